"""Is a decoded frame a picture or wreckage? Encoding and decoding it once more tells, without any factors."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.latent.codes import frozen_decoder
from vae_helpers.model import BetaVAE, Decoder

SOUND, DOUBTFUL, BROKEN = 0, 1, 2
QUANTILES = (0.95, 0.99)  # of the held-out pictures' own error: up to the first sound, above the second broken
_AT_ONCE = 8


class Verdict(NamedTuple):
    """What a `Soundness` says of n frames; each field has shape (n,)."""

    error: np.ndarray  # in units of the held-out pictures' median
    level: np.ndarray  # SOUND, DOUBTFUL or BROKEN


def reencode_error(model: BetaVAE, frames: np.ndarray, decoder: Decoder | None = None) -> np.ndarray:
    """Mean squared error between frames, uint8 (n, H, W, 3), and D(E(frame)), in squared grey levels: (n,).

    A model maps a picture of its kind close to itself; wreckage it mends, so that comes back changed. `decoder` is its
    `frozen_decoder`, to save time.
    """
    _require_frames(model, frames)
    device, decoder = next(model.parameters()).device, frozen_decoder(model) if decoder is None else decoder
    errors = []
    with torch.no_grad():
        for start in range(0, len(frames), _AT_ONCE):
            x = to_float(np.ascontiguousarray(frames[start : start + _AT_ONCE]), device)
            errors.append(_squared_levels(decoder(model.encode(x)[0]), x))
    return torch.cat(errors).double().cpu().numpy()


class Soundness:
    """How much held-out pictures change when they are encoded and decoded, as a measure for frames of the same model.

    `pictures` uint8 (N, H, W, 3) are held-out ones, N at least 20 for their quantiles to mean something. `typical` is
    their median error in squared grey levels, `marks` are their 95 % and 99 % quantiles in units of that. A decoded
    frame that changes more than nearly all real pictures do, though it should change less, is wreckage.
    """

    def __init__(self, model: BetaVAE, pictures: np.ndarray):
        if len(pictures) < 20:
            raise InputError(
                f"{len(pictures)} held-out pictures are too few to say which re-encode error is usual: give "
                "at least 20."
            )
        self._model, self._decoder = model, None
        self.held_out = reencode_error(model, pictures)
        self.typical = max(float(np.median(self.held_out)), 1e-9)
        self.marks = tuple(float(np.quantile(self.held_out, q)) / self.typical for q in QUANTILES)

    def of(self, model: BetaVAE) -> Soundness:
        """The same measure that asks a copy of its model, whose weights no longer change."""
        other = copy.copy(self)
        other._model, other._decoder = model, frozen_decoder(model)
        return other

    def judge(self, frames: np.ndarray) -> Verdict:
        """The verdict on frames, uint8 (n, H, W, 3)."""
        error = reencode_error(self._model, frames, self._decoder) / self.typical
        return Verdict(error, np.searchsorted(self.marks, error, side="left"))


def _squared_levels(decoded: Tensor, x: Tensor) -> Tensor:
    """Mean over pixels and channels of the squared difference, [-1, 1] => squared levels of 255: (n,)."""
    return (decoded - x).float().square().mean(dim=(1, 2, 3)) * 127.5**2


def _require_frames(model: BetaVAE, frames: np.ndarray) -> None:
    size = model.config.image_size
    if model.training:
        raise InputError("the model is in training mode, where BatchNorm mixes pictures: call model.eval() first.")
    if getattr(frames, "dtype", None) != np.uint8 or frames.shape[1:] != (size, size, 3) or not len(frames):
        raise InputError(
            f"frames must be uint8 (n, {size}, {size}, 3) with n at least 1, but have shape {np.shape(frames)}."
        )
