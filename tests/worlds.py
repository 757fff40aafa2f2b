"""Latent spaces made by hand, in which the right answer is known."""

import numpy as np
import torch

from vae_helpers.data import Attribute, Attributes

LATENTS = 12
SIZE = Attribute("size", "cm", "number", 10.0, 30.0)
TURN = Attribute("turn", "degrees", "circular", 0.0, 360.0)
KIND = Attribute("kind", "", "category", 0.0, 2.0, ("cat", "fox", "bear"))
BEND = Attribute("bend", "", "number", -2.0, 2.0)
CURVED = (SIZE, BEND, TURN, KIND)


def curved_codes(values):
    """Codes (N, 12) of size, bend, turn, kind: a product, an arc, a circle, corners; latents 8 to 11 stay idle."""
    size, bend, turn, kind = values.T
    s = (size - 20) / 10
    codes = np.zeros((len(values), LATENTS))
    codes[:, 0] = 2 * s
    codes[:, 1], codes[:, 2] = 2 * np.sin(bend), 2 * np.cos(bend) + 0.5 * s * bend
    codes[:, 3], codes[:, 4] = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    codes[:, 5], codes[:, 6] = kind == 1, 1.0 * (kind == 2) + 0.4 * s * (kind == 1)
    return codes


def curved_read(codes):
    """The inverse of `curved_codes`, float64 (N, 4)."""
    z = np.asarray(codes, np.float64)
    s = z[:, 0] / 2
    middle = np.stack([z[:, 2]] * 5, axis=1)
    bend = np.arcsin((z[:, 1] / 2).clip(-1, 1))
    both = np.stack([bend, np.where(bend >= 0, np.pi - bend, -np.pi - bend)], axis=1)
    miss = np.abs(2 * np.cos(both) + 0.5 * s[:, None] * both - middle[:, :2])
    bend = both[np.arange(len(z)), miss.argmin(axis=1)]
    corner = np.stack(
        [np.zeros((len(z), 2)), np.stack([np.ones(len(z)), 0.4 * s], axis=1), np.tile([0.0, 1.0], (len(z), 1))], axis=1
    )
    kind = np.square(z[:, None, 5:7] - corner).sum(axis=2).argmin(axis=1)
    return np.stack([20 + 10 * s, bend, np.degrees(np.arctan2(z[:, 4], z[:, 3])) % 360, kind], axis=1)


def curved_world(n, seed, noise=0.3):
    """Codes float32 (n, 12) with a residue in latent 7, and their attributes."""
    rng = np.random.default_rng(seed)
    values = np.stack(
        [rng.uniform(10, 30, n), rng.uniform(-2, 2, n), rng.uniform(0, 360, n), rng.integers(0, 3, n)], axis=1
    )
    codes = curved_codes(values)
    codes[:, 7] = noise * rng.normal(size=n)
    return torch.from_numpy(codes).float(), Attributes(values, CURVED)


def linear_world(n, seed, correlation=0.0):
    """Codes (n, 6) = attributes (n, 3) on the first three latents, with residues on the others; `b` follows `a`."""
    rng = np.random.default_rng(seed)
    a, own, c = rng.uniform(-1, 1, (3, n))
    values = np.stack([a, correlation * a + np.sqrt(1 - correlation**2) * own, c], axis=1).clip(-1.4, 1.4)
    table = tuple(Attribute(name, "", "number", -1.5, 1.5) for name in "abc")
    codes = np.concatenate([values, rng.normal(size=(n, 3))], axis=1)
    return torch.from_numpy(codes).float(), Attributes(values, table)
