"""A better code for one picture than the encoder's guess: a few gradient steps on z itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.latent.codes import decode_codes, encode_pictures, watched_decoder
from vae_helpers.latent.lbfgs import minimise
from vae_helpers.latent.support import Support, SupportReport
from vae_helpers.model import BetaVAE, psnr_of, squared_error


class Refined(NamedTuple):
    """A picture's code before and after, (latent_dim,) each, and what became of it."""

    start: Tensor  # μ
    code: Tensor
    pictures: np.ndarray  # uint8 (2, H, W, 3): decoded before and after
    psnr: tuple[float, float]  # in dB, before and after; never worse
    moved: float  # ‖code - start‖
    support: SupportReport | None  # of both codes, (2,) each; None without a Support


def refine(
    model: BetaVAE,
    picture: np.ndarray,
    steps: int = 20,
    support: Support | None = None,
    watch: Callable[[], None] | None = None,
) -> Refined:
    """Improve the code of one uint8 picture (H, W, 3), from μ on, with at most `steps` passes through the decoder.

    Minimises `Σ (x - x̂)² + ½ ‖z‖²`, which is -log p(x|z) - log p(z) up to a constant, so that the code stays where the
    prior expects codes. Returns the start if the picture came out no better. `steps` 0 just measures. Before each pass
    `watch` is called, which may raise.
    """
    if steps < 0:
        raise InputError(f"a code cannot be refined in {steps} steps: give 0 or more.")
    start = encode_pictures(model, np.asarray(picture)[None])[0][0]
    decoder = watched_decoder(model, watch)
    device = next(decoder.parameters()).device
    code = start
    if steps:
        with torch.inference_mode(False):
            wanted = to_float(np.asarray(picture)[None], device)

            def objective(z: Tensor) -> Tensor:
                return squared_error(decoder(z[None]), wanted)[0] + 0.5 * z.square().sum()

            code = minimise(objective, start.clone().to(device), steps + 1).cpu()
    pictures = decode_codes(decoder, codes := torch.stack([start, code]))
    psnr = psnr_of(pictures, np.stack([picture, picture]))
    if psnr[1] <= psnr[0]:
        codes, pictures, psnr = codes[[0, 0]], pictures[[0, 0]], psnr[[0, 0]]
    return Refined(
        codes[0],
        codes[1],
        pictures,
        (float(psnr[0]), float(psnr[1])),
        float((codes[1] - codes[0]).norm()),
        None if support is None else support.measure(codes),
    )
