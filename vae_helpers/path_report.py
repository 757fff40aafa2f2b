"""The path inspector's numbers: how a path changes, how long it is, and what ground it crosses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.factor_reader import FactorReader
from vae_helpers.latent import LatentSummary, Path
from vae_helpers.model import BetaVAE
from vae_helpers.paths import KINDS, picture_change, walk
from vae_helpers.support import Ground, Support


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
        raise InputError(f"a path of {len(path.codes)} codes and {len(path.frames)} frames cannot be inspected: it "
                         "needs at least 2 of each, one frame per code.")
    change = picture_change(path.frames)
    latent = torch.diff(path.codes.double(), dim=0).norm(dim=1).sum().item()
    ground = None if support is None else support.measure(path.codes)
    factors = None if reader is None else reader.read(path.codes)
    return PathReport(path, change, float(change.sum()), latent, ground, factors)


def compare_paths(model: BetaVAE, a: Tensor, b: Tensor, steps: int = 12, summary: LatentSummary | None = None,
                  support: Support | None = None, reader: FactorReader | None = None, even: bool = False,
                  kinds: tuple[str, ...] = KINDS) -> dict[str, PathReport]:
    """Every kind of path between two codes (latent_dim,), inspected: `{kind: report}`.

    A geodesic keeps to the `support`'s known ground if there is one. Pass `kinds` for fewer.
    """
    active = None if summary is None else summary.active
    return {kind: inspect_path(walk(model, a, b, steps, kind, active, even, support), support, reader)
            for kind in kinds}
