"""How drawable the middles of paths are, by kind of path, and samples, by kind of sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import PictureSet
from vae_helpers.latent import Chart, decode_codes, encode_pictures, frozen_decoder, known_curve, samples_by_kind
from vae_helpers.model import BetaVAE
from vae_helpers.scores.drawability import drawability, share_drawable
from vae_helpers.scores.trust import LEARNT, spread_rows

RECONSTRUCTIONS = "reconstructions"


def frames_by_kind(
    model: BetaVAE, pictures: PictureSet, codes: tuple[Tensor, Tensor], chart: Chart | None, n: int = 64, seed: int = 0
) -> dict[str, np.ndarray]:
    """`n` decoded frames of each kind, uint8 (n, H, W, 3); fewer reconstructions where there are fewer codes.

    Kinds: reconstructions; middles of straight, known and chart paths between the same random pairs; samples from the
    prior, from one Gaussian fitted to `codes` and from the chart. `codes` are `(mu, logvar)` of held-out pictures,
    (N, latent_dim) each with N at least 2; the kinds of a chart are left out where there is none.
    """
    mu, logvar = codes
    decoder = frozen_decoder(model)
    frames = {RECONSTRUCTIONS: decode_codes(decoder, mu[spread_rows(np.arange(len(mu)), n)])}
    for kind, middles in _middles(model, pictures, mu, chart, n, seed).items():
        frames[f"{kind} middles"] = decode_codes(decoder, middles)
    samples = samples_by_kind(model, mu, logvar, chart, n, seed)
    return frames | {f"{kind} samples": drawn for kind, drawn in samples.items()}


def drawability_by_kind(
    frames: Mapping[str, np.ndarray], set_name: str, progress: bool = False
) -> dict[str, np.ndarray]:
    """Drawability in dB of each of `frames_by_kind`: `{kind: (n,)}`. Raises InputError for a set that nobody draws."""
    ends = np.cumsum([len(part) for part in frames.values()])[:-1]
    psnr = np.split(drawability(np.concatenate(list(frames.values())), set_name, progress).psnr, ends)
    return dict(zip(frames, psnr))


def traversal_quality(frames: Mapping[str, np.ndarray], set_name: str, progress: bool = False) -> dict[str, Any]:
    """Drawability of `frames_by_kind`: `{kind: {"median": dB, "share": within 3 dB of reconstructions, "frames": n}}`.

    Raises InputError for a set that nobody draws.
    """
    by_kind = drawability_by_kind(frames, set_name, progress)
    return {
        kind: {
            "median": float(np.median(part)),
            "share": share_drawable(part, by_kind[RECONSTRUCTIONS]),
            "frames": len(part),
        }
        for kind, part in by_kind.items()
    }


def _middles(
    model: BetaVAE, pictures: PictureSet, mu: Tensor, chart: Chart | None, n: int, seed: int
) -> dict[str, Tensor]:
    """Codes (n, latent_dim) half-way between random pairs of held-out codes, by kind of path."""
    rng, half = np.random.default_rng(seed), torch.tensor([0.5])
    first = rng.integers(len(mu), size=n)
    second = (first + rng.integers(1, len(mu), size=n)) % len(mu)
    pairs = [(mu[i], mu[j]) for i, j in zip(first, second)]
    known, _ = encode_pictures(model, pictures.pictures[spread_rows(pictures.split.train, LEARNT)])
    active = np.flatnonzero(known.var(dim=0, correction=0).numpy() > 0.01)
    middles = {
        "straight": [(a + b)[None] / 2 for a, b in pairs],
        "known": [known_curve(known, a, b, active)(half) for a, b in pairs],
    }
    if chart is not None:
        middles["chart"] = [chart.path(a, b, half) for a, b in pairs]
    return {kind: torch.cat(codes) for kind, codes in middles.items()}
