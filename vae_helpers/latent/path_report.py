"""Measures of a decoded path: how its pictures change, how near the training codes it stays, which frames are sound."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.factor_reader import FactorReader
from vae_helpers.latent.path_kinds import PathContext
from vae_helpers.latent.paths import Path, picture_change, walk
from vae_helpers.latent.soundness import BROKEN, Soundness, Verdict
from vae_helpers.latent.support import SupportReport
from vae_helpers.model import BetaVAE


class PathReport(NamedTuple):
    """The measures of one path of n frames."""

    path: Path
    change: np.ndarray  # (n - 1,) of the picture at each step, in grey levels
    picture_length: float  # the sum of `change`
    latent_length: float  # Σ ‖z_{i+1} - z_i‖
    support: SupportReport | None  # of each code, (n,) each; None without a Support
    verdict: Verdict | None  # of each frame, (n,) each; None without a Soundness
    factors: np.ndarray | None  # (n, F) read off each code, NaN where the frame is BROKEN; None without a FactorReader

    @property
    def unevenness(self) -> float:
        """Largest step over the mean step, 1 = perfectly even."""
        return float(self.change.max() / self.change.mean()) if self.picture_length else 1.0


def inspect_path(
    path: Path,
    context: PathContext | None = None,
    soundness: Soundness | None = None,
    reader: FactorReader | None = None,
) -> PathReport:
    """Measure a decoded path.

    The context's Support adds each code's distance from the training codes, `soundness` the verdict on each frame,
    `reader` the factors along the path: none for a frame that is BROKEN, because a broken picture has no factors.
    Raises InputError for fewer than 2 frames, or not one per code.
    """
    if len(path.frames) < 2 or len(path.frames) != len(path.codes):
        raise InputError(
            f"a path of {len(path.codes)} codes and {len(path.frames)} frames cannot be inspected: it "
            "needs at least 2 of each, one frame per code."
        )
    change = picture_change(path.frames)
    latent = torch.diff(path.codes.double(), dim=0).norm(dim=1).sum().item()
    support = None if context is None or context.support is None else context.support.measure(path.codes)
    verdict = None if soundness is None else soundness.judge(path.frames)
    factors = None if reader is None else reader.read(path.codes)
    if factors is not None and verdict is not None:
        factors[verdict.level == BROKEN] = np.nan
    return PathReport(path, change, float(change.sum()), latent, support, verdict, factors)


def compare_paths(
    model: BetaVAE,
    a: Tensor,
    b: Tensor,
    steps: int = 12,
    context: PathContext | None = None,
    soundness: Soundness | None = None,
    reader: FactorReader | None = None,
    even: bool = False,
    kinds: tuple[str, ...] | None = None,
) -> dict[str, PathReport]:
    """Several kinds of path between two codes (latent_dim,), inspected: `{kind: report}`.

    `kinds` are by default all that the context can draw. The other parameters are those of `walk` and `inspect_path`.
    """
    context = context or PathContext()
    return {
        kind: inspect_path(walk(model, a, b, steps, kind, context, even), context, soundness, reader)
        for kind in kinds or context.kinds
    }
