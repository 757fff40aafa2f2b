"""How near a frame is to what the renderer of a built-in set can draw, in dB: it tells pictures from broken frames."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from vae_helpers.data import SETS, paint, render, sample_factors
from vae_helpers.errors import InputError
from vae_helpers.model import psnr_of

MARGIN = 3.0  # dB below the median of reconstructions: a frame further down is no picture of the set
_LIBRARY, _LIBRARY_SEED, _LIBRARY_SIZE = 4096, 977, 32
_STEP = 0.02  # of a factor's range, for derivatives: smaller ones drown in the soft edges' own noise
_STARTS = 3
_PLACES = 6  # over the range of each factor, where another minimum may lie
_PLACING = 4  # iterations at 32 px from the nearest pictures, which find place, pose and ground colour
# Side in pixels, how many of the best go on, and iterations there, for the best of those in every category.
_STAGES = ((32, None, 5), (64, 2, 4), (128, 1, 4))


class BestPictures(NamedTuple):
    """The best pictures found for n frames."""

    psnr: np.ndarray  # (n,) between each frame and its best picture, in dB
    factors: np.ndarray  # (n, F) of that picture


def drawability(frames: np.ndarray, set_name: str = "butterflies", progress: bool = False) -> BestPictures:
    """PSNR between each frame, uint8 (n, H, W, 3), and the best picture of the set that was found for it.

    Starts at the nearest of 4,096 fixed pictures, tries each continuous factor over its range, then in each category
    moves them all by Levenberg-Marquardt (Moré 1978), at 32, 64 and 128 px. It is a lower bound: a better picture may
    exist. Raises InputError for a set that nobody draws, or frames of another shape.
    """
    if set_name not in SETS:
        raise InputError(
            f"nothing is known about how {set_name!r} is drawn; drawability needs one of {', '.join(SETS)}."
        )
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.dtype != np.uint8 or frames.shape[1] != frames.shape[2] or not len(frames):
        raise InputError(
            f"frames must be square and uint8 (n, H, H, 3) with n at least 1, but have shape {frames.shape}."
        )
    if frames.shape[1] < 16:
        raise InputError(f"frames of {frames.shape[1]} px are too small to tell: give at least 16.")
    frames_left = tqdm(frames, desc="drawability", unit="frame", delay=2, disable=not progress)
    factors = np.stack([_best_factors(frame, set_name) for frame in frames_left])
    return BestPictures(psnr_of(render(factors, frames.shape[1], set_name), frames), factors)


def share_drawable(psnr: np.ndarray, reconstructions: np.ndarray) -> float:
    """The share of frames whose drawability in dB is at most 3 dB below the median of the reconstructions'."""
    return float((np.asarray(psnr) >= np.median(reconstructions) - MARGIN).mean())


def _best_factors(frame: np.ndarray, set_name: str) -> np.ndarray:
    """Factors (F,) of the best picture found for one frame (H, H, 3)."""
    table = SETS[set_name]
    largest = max(_STAGES[0][0], frame.shape[0])
    small = _reduced(frame, _LIBRARY_SIZE)
    starts = _improved(small, set_name, _nearest(small, set_name), _PLACING)
    starts = _in_every_category(_best_elsewhere(small, set_name, starts[0]), table)
    for size, keep, iterations in _STAGES:
        if size > largest:
            break
        starts = _improved(_reduced(frame, size), set_name, starts[:keep], iterations)
    return _factors(starts[:1], table)[0]


def _improved(target: np.ndarray, set_name: str, starts: np.ndarray, iterations: int) -> np.ndarray:
    """The starts, units (k, F), after so many steps of each, the best one first."""
    fit = _Fit(target, set_name, starts.copy())
    for _ in range(iterations):
        fit.improve()
    return fit.units[np.argsort(fit.error, kind="stable")]


def _best_elsewhere(target: np.ndarray, set_name: str, start: np.ndarray) -> np.ndarray:
    """A start, units (F,), with that one factor moved far that makes it fit best, if any does.

    Levenberg-Marquardt finds the nearest minimum: a hue at one end of its range never gets to the other end.
    """
    table, size = SETS[set_name], target.shape[0]
    moving = _moving(table)
    places = (np.arange(_PLACES) + 0.5) / _PLACES
    tried = np.tile(start, (1 + len(moving) * _PLACES, 1))
    tried[np.arange(1, len(tried)), np.repeat(moving, _PLACES)] = np.tile(places, len(moving))
    painted = paint(_factors(tried, table), size, set_name)
    error = np.square(painted - target.transpose(2, 0, 1)).reshape(len(tried), -1).sum(axis=1)
    return tried[error.argmin()]


def _moving(table: Sequence) -> np.ndarray:
    """The columns of continuous factors."""
    return np.flatnonzero([not factor.choices for factor in table])


def _in_every_category(start: np.ndarray, table: Sequence) -> np.ndarray:
    """One start (F,) in each combination of categories: (combinations, F)."""
    choices = [range(len(factor.choices)) if factor.choices else (start[j],) for j, factor in enumerate(table)]
    return np.array(list(itertools.product(*choices)), float)


class _Fit:
    """Several starts of Levenberg-Marquardt side by side, so that all their pictures are painted in one call."""

    def __init__(self, target: np.ndarray, set_name: str, units: np.ndarray):
        self.target, self.set_name, self.table = target, set_name, SETS[set_name]
        self.moving = _moving(self.table)
        self.units = units
        self.damping = np.full(len(units), 1e-2)
        self.residual = self._residuals(units)
        self.error = np.square(self.residual).sum(axis=1)

    def improve(self) -> None:
        """One step of every start: taken where the error falls, else shorter the next time."""
        slopes = self._slopes()
        normal = slopes @ slopes.transpose(0, 2, 1)
        gradient = (slopes @ self.residual[:, :, None])[..., 0]
        scale = np.einsum("kii->ki", normal)
        damped = normal + np.einsum(
            "k,ki,ij->kij",
            self.damping,
            scale + 1e-6 * scale.max(axis=1, keepdims=True) + 1e-9,
            np.eye(len(self.moving)),
        )
        tried = self.units.copy()
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        tried[:, self.moving] = (tried[:, self.moving] - step).clip(0, 1)
        residual = self._residuals(tried)
        error = np.square(residual).sum(axis=1)
        better = error < self.error
        for own, new in ((self.units, tried), (self.residual, residual), (self.error, error)):
            own[better] = new[better]
        self.damping *= np.where(better, 0.3, 5.0)

    def _slopes(self) -> np.ndarray:
        """d residual / d factor by differences, towards the middle of its range: (starts, moving factors, values)."""
        count = len(self.moving)
        moved = np.repeat(self.units, count, axis=0)
        which = np.tile(self.moving, len(self.units))
        rows = np.arange(len(moved))
        step = np.where(moved[rows, which] > 0.5, -_STEP, _STEP)
        moved[rows, which] += step
        change = self._residuals(moved).reshape(len(self.units), count, -1) - self.residual[:, None]
        return change / step.reshape(len(self.units), count, 1)

    def _residuals(self, units: np.ndarray) -> np.ndarray:
        size = self.target.shape[0]
        painted = paint(_factors(units, self.table), size, self.set_name)
        return (painted - self.target.transpose(2, 0, 1)).reshape(len(units), -1)


def _factors(units: np.ndarray, table: Sequence) -> np.ndarray:
    """Shares of each factor's range, with a category's number as it is => factors."""
    low, high = (np.array([getattr(factor, end) for factor in table]) for end in ("low", "high"))
    choice = np.array([bool(factor.choices) for factor in table])
    return np.where(choice, units, low + units * (high - low))


@lru_cache(maxsize=2)
def _library(set_name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (4096, values) in [0, 1] at 32 px, and their factors in units (4096, F)."""
    table = SETS[set_name]
    factors = sample_factors(set_name, _LIBRARY, _LIBRARY_SEED)
    low, high = (np.array([getattr(factor, end) for factor in table]) for end in ("low", "high"))
    choice = np.array([bool(factor.choices) for factor in table])
    units = np.where(choice, factors, (factors - low) / (high - low))
    pictures = render(factors, _LIBRARY_SIZE, set_name).reshape(_LIBRARY, -1).astype(np.float32) / 255
    return pictures, units


def _nearest(small: np.ndarray, set_name: str) -> np.ndarray:
    """Units (starts, F) of the nearest pictures."""
    pictures, units = _library(set_name)
    distance = np.square(pictures - small.reshape(-1)).sum(axis=1)
    return units[np.argsort(distance, kind="stable")[:_STARTS]]


def _reduced(frame: np.ndarray, size: int) -> np.ndarray:
    """A frame averaged to `size`: float32 (size, size, 3) in [0, 1]."""
    if frame.shape[0] != size:
        frame = np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BOX))
    return frame.astype(np.float32) / 255
