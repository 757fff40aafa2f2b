"""Decoded paths: between two codes, through several, over a grid; in even steps of time, or of picture.

A path is decoded in the constant chunks of `latent.decode_codes`, so its stops equal their reconstructions bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.codes import LatentSummary, Path, decode_codes, frozen_decoder
from vae_helpers.latent.curves import METHODS, path_between
from vae_helpers.latent.factor_reader import FactorReader
from vae_helpers.latent.geodesic import geodesic_curve
from vae_helpers.latent.support import Ground, Support
from vae_helpers.model import BetaVAE, Decoder

KINDS = (*METHODS, "geodesic")
_EVEN = 1.08  # largest step over mean step at which re-timing stops: within the promised 1.1, with room to spare
_ROUNDS = 12


class _Leg(NamedTuple):
    """The ways from one stop to the next, each fractions (n,) => codes (n, latent_dim); the shortest is taken."""

    curves: tuple[Callable[[Tensor], Tensor], ...]


def picture_change(frames: np.ndarray) -> np.ndarray:
    """How much the picture changes at each step: uint8 frames (n, H, W, 3) => float (n - 1,).

    The root of the mean squared difference over pixels and channels, in grey levels of 0 to 255.
    """
    frames = np.asarray(frames).astype(np.float32)
    return np.sqrt(np.square(np.diff(frames, axis=0)).mean(axis=(1, 2, 3), dtype=np.float64))


def picture_length(frames: np.ndarray) -> float:
    """The length of a path in pictures: the sum of its changes, in grey levels."""
    return float(picture_change(frames).sum())


def walk(
    model: BetaVAE,
    a: Tensor,
    b: Tensor,
    steps: int = 12,
    kind: str = "lerp",
    active: np.ndarray | None = None,
    even: bool = False,
    support: Support | None = None,
) -> Path:
    """The path from code a to code b, (latent_dim,) each, in `steps` frames, ends included.

    `kind` is "lerp", "slerp" (over the `active` latents) or "geodesic", which is never longer in pictures than the
    straight line of as many frames, and keeps to known ground if a `support` is given. With `even` the frames are moved
    along the path until the picture changes by the same amount at each step: the largest step within 10 % of the mean.
    Raises InputError for another kind or too few steps.
    """
    _require_steps(steps)
    decoder = frozen_decoder(model)
    return _decoded(decoder, _leg(decoder, a, b, kind, active, support), steps, even)


def chain(
    model: BetaVAE,
    stops: Tensor,
    steps: int = 12,
    kind: str = "lerp",
    active: np.ndarray | None = None,
    even: bool = False,
    closed: bool = False,
    support: Support | None = None,
) -> Path:
    """A path through several codes (k, latent_dim), `steps` frames per leg with both its stops.

    The frames are `(k - 1)·(steps - 1) + 1`; `closed` adds the leg back to the first stop, but not that stop again, so
    that the animation loops without a pause. With `even` a leg gets frames in proportion to its length in pictures.
    """
    _require_steps(steps)
    if stops.dim() != 2 or len(stops) < 2:
        raise InputError(f"a chain needs at least 2 codes, (k, latent_dim), but got shape {tuple(stops.shape)}.")
    decoder = frozen_decoder(model)
    pairs = list(zip(stops, [*stops[1:], stops[0]] if closed else stops[1:]))
    legs = [_leg(decoder, a, b, kind, active, support) for a, b in pairs]
    paths = [_decoded(decoder, leg, steps, even) for leg in legs]
    if even and len(legs) > 1:
        shares = _shares([picture_length(p.frames) for p in paths], len(legs) * (steps - 1))
        paths = [
            path if share == steps - 1 else _decoded(decoder, leg, share + 1, even)
            for leg, path, share in zip(legs, paths, shares)
        ]
    last = [] if closed else [Path(paths[-1].codes[-1:], paths[-1].frames[-1:])]
    parts = [Path(p.codes[:-1], p.frames[:-1]) for p in paths] + last
    return Path(torch.cat([p.codes for p in parts]), np.concatenate([p.frames for p in parts]))


def four_corners(
    model: BetaVAE,
    corners: Tensor,
    rows: int = 7,
    columns: int = 7,
    kind: str = "lerp",
    active: np.ndarray | None = None,
) -> Path:
    """A grid between four codes (4, latent_dim): top left, top right, bottom left, bottom right.

    The left and right edges are paths of `rows` frames, and every row is a path from edge to edge. Codes
    (rows, columns, latent_dim), frames uint8 (rows, columns, H, W, 3); the corners equal their reconstructions.
    `kind` is "lerp" (bilinear) or "slerp".
    """
    if corners.dim() != 2 or len(corners) != 4:
        raise InputError(f"a grid needs 4 codes, one per corner, but got shape {tuple(corners.shape)}.")
    left, right = (path_between(corners[i], corners[i + 2], rows, kind, active) for i in (0, 1))
    codes = torch.stack([path_between(a, b, columns, kind, active) for a, b in zip(left, right)])
    frames = decode_codes(model, codes.flatten(0, 1))
    return Path(codes, frames.reshape(rows, columns, *frames.shape[1:]))


def _leg(decoder: Decoder, a: Tensor, b: Tensor, kind: str, active: np.ndarray | None, support: Support | None) -> _Leg:
    if kind not in KINDS:
        raise InputError(f"{kind!r} is not a way between two pictures; choose one of {', '.join(KINDS)}.")
    if a.dim() != 1 or a.shape != b.shape:
        raise InputError(
            f"a path goes between two codes of one shape (latent_dim,), but these have shapes "
            f"{tuple(a.shape)} and {tuple(b.shape)}: encode both pictures with the same model."
        )
    if kind != "geodesic":
        return _Leg((lambda t: path_between(a, b, t, kind, active),))
    shortest = geodesic_curve(decoder, a, b, active, None if support is None else support.distance)
    return _Leg((shortest, lambda t: path_between(a, b, t, "lerp")))


def _decoded(decoder: Decoder, leg: _Leg, steps: int, even: bool) -> Path:
    paths = [
        _in_even_steps(decoder, curve, steps) if even else _at(decoder, curve, torch.linspace(0, 1, steps))
        for curve in leg.curves
    ]
    return min(paths, key=lambda path: picture_length(path.frames))  # the first of equals


def _at(decoder: Decoder, curve: Callable[[Tensor], Tensor], t: Tensor) -> Path:
    codes = curve(t)
    return Path(codes, decode_codes(decoder, codes))


def _in_even_steps(decoder: Decoder, curve: Callable[[Tensor], Tensor], steps: int) -> Path:
    """Move the frames by the inverse of the picture length covered so far, until every step is about as long.

    Equal steps are the fixed point. Should the rounds run out, the most even frames seen are taken.
    """
    t = np.linspace(0, 1, steps)
    best, unevenness = None, np.inf
    for _ in range(_ROUNDS):
        path = _at(decoder, curve, torch.from_numpy(t).float())
        covered = np.concatenate([[0], np.cumsum(picture_change(path.frames))])
        if covered[-1] == 0:
            return path  # the picture never changes
        largest = np.diff(covered).max() * (steps - 1) / covered[-1]
        if largest < unevenness:
            best, unevenness = path, largest
        if largest <= _EVEN:
            break
        t = np.interp(np.linspace(0, covered[-1], steps), covered, t)
        t[0], t[-1] = 0, 1
    return best


def _shares(lengths: Sequence[float], total: int) -> list[int]:
    """Divide `total` steps among legs in proportion to their lengths, at least 1 each."""
    lengths = np.maximum(lengths, 1e-9)
    wanted = 1 + (total - len(lengths)) * lengths / lengths.sum()
    shares = np.floor(wanted).astype(int)
    most_missed = np.argsort(shares - wanted, kind="stable")
    shares[most_missed[: total - shares.sum()]] += 1
    return shares.tolist()


def _require_steps(steps: int) -> None:
    if steps < 2:
        raise InputError(f"a path of {steps} step has no two ends: ask for at least 2.")


class PathReport(NamedTuple):
    """One path of n frames under the lens."""

    path: Path
    change: np.ndarray  # (n - 1,) of the picture at each step, in grey levels
    picture_length: float  # the sum of `change`
    latent_length: float  # Σ ‖z_{i+1} - z_i‖
    ground: Ground | None  # of each code, (n,) each; None without a Support
    factors: np.ndarray | None  # (n, F) read off each code; None without a FactorReader

    @property
    def unevenness(self) -> float:
        """Largest step over the mean step, 1 = perfectly even."""
        return float(self.change.max() / self.change.mean()) if self.picture_length else 1.0


def inspect_path(path: Path, support: Support | None = None, reader: FactorReader | None = None) -> PathReport:
    """Measure a decoded path; `support` adds the ground under each frame, `reader` the factors along it."""
    if len(path.frames) < 2 or len(path.frames) != len(path.codes):
        raise InputError(
            f"a path of {len(path.codes)} codes and {len(path.frames)} frames cannot be inspected: it "
            "needs at least 2 of each, one frame per code."
        )
    change = picture_change(path.frames)
    latent = torch.diff(path.codes.double(), dim=0).norm(dim=1).sum().item()
    ground = None if support is None else support.measure(path.codes)
    factors = None if reader is None else reader.read(path.codes)
    return PathReport(path, change, float(change.sum()), latent, ground, factors)


def compare_paths(
    model: BetaVAE,
    a: Tensor,
    b: Tensor,
    steps: int = 12,
    summary: LatentSummary | None = None,
    support: Support | None = None,
    reader: FactorReader | None = None,
    even: bool = False,
    kinds: tuple[str, ...] = KINDS,
) -> dict[str, PathReport]:
    """Every kind of path between two codes (latent_dim,), inspected: `{kind: report}`.

    A geodesic keeps to the `support`'s known ground if there is one. Pass `kinds` for fewer.
    """
    active = None if summary is None else summary.active
    return {
        kind: inspect_path(walk(model, a, b, steps, kind, active, even, support), support, reader) for kind in kinds
    }
