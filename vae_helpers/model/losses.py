"""The objective, per picture and in nats: summed over pixels and latents, averaged over pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.model.objectives_by_name import OBJECTIVES
from vae_helpers.settings import default_knobs, require_objective

# What a β of each convention is worth in the canonical one, `½Σ(x-x̂)²` on [0, 1] pixels + β·KL. D = 3·S·S values.
_CANONICAL = {
    "canonical": lambda values, latents: 1.0,
    "ours": lambda values, latents: 1 / 8,  # Σ on [-1, 1]
    "pythae": lambda values, latents: 1.0,  # ½Σ on [0, 1]
    "disentanglement_lib": lambda values, latents: 1 / 2,  # its l2, and 1Konny's gaussian: Σ on [0, 1]
    "antixk": lambda values, latents: 2.5e-4 * values / 2,  # mean + 2.5·10⁻⁴·β·KL: 1.536 at its 64 pixels
    "yannDubs": lambda values, latents: 1 / 510,  # its gaussian: Σ(255 (x-x̂))²/255
    "mean": lambda values, latents: values / (2 * latents),
}  # mean over values + β · mean over latents, on [0, 1]
CONVENTIONS = tuple(_CANONICAL)


class Loss(NamedTuple):
    """The terms of the objective, each a scalar: mean over pictures, in nats per picture."""

    total: Tensor  # reconstruction + β·KL
    reconstruction: Tensor
    kl: Tensor


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """`Σ (x - x̂)²` over a picture's pixels: (..., 3, H, W) => (...).

    On [-1, 1] pixels this is -log p(x|z) of a Gaussian with variance ½, up to a constant
    (Kingma & Welling 2014, App. C.2), so it is in nats.
    """
    return (x_hat.float() - x.float()).square().sum(dim=(-3, -2, -1))


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """`KL(N(μ, σ²) ‖ N(0, 1))` in nats for each latent, same shape as `mu` (Kingma & Welling 2014, App. B).

    `expm1(v) - v` instead of `exp(v) - v - 1`: near collapse the subtraction of 1 loses every digit.
    """
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * (mu.square() + torch.expm1(logvar) - logvar)


def beta_vae_loss(x_hat: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Loss:
    """`J = E_q[-log p(x|z)] + β·KL(q(z|x) ‖ p(z))` (Higgins 2017, eq. 4), to be minimised.

    x_hat (K, N, 3, H, W) are K samples of N pictures; the reconstruction term is the mean of the K errors
    (Kingma & Welling 2014, eq. 7), never the error of the mean picture, which would forgive latent noise K times.
    x (N, 3, H, W), mu and logvar (N, latent_dim).
    """
    reconstruction = squared_error(x_hat, x).mean()
    kl = kl_per_dimension(mu, logvar).sum(dim=-1).mean()
    return Loss(reconstruction + beta * kl, reconstruction, kl)


def translate_beta(
    beta: float, source: str, target: str = "canonical", image_size: int = 128, latents: int = 128
) -> float:
    """The β that gives in the code base `target` the same optimum as `beta` in `source`; names: `CONVENTIONS`.

    β and the variance of p(x|z) are one knob, so a β means nothing without its loss: this project's
    `Σ(x-x̂)²` on [-1, 1] + β·KL is "ours", the Gaussian `½Σ(x-x̂)²` on [0, 1] + β·KL "canonical". "antixk" and "mean"
    depend on `image_size`, "mean" on `latents` too; pictures are 3 × image_size × image_size.
    """
    for name in (source, target):
        if name not in CONVENTIONS:
            raise InputError(f"convention {name!r} is unknown; choose one of {', '.join(CONVENTIONS)}.")
    if not 0 <= beta < float("inf"):
        raise InputError(f"beta is {beta}, but must be 0 or above.")
    if image_size < 1 or latents < 1:
        raise InputError(f"image_size {image_size} and latents {latents} must be at least 1.")
    given, wanted = (_CANONICAL[name](3 * image_size**2, latents) for name in (source, target))
    return beta * given / wanted


def psnr(x_hat: Tensor, x: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each picture, (..., 3, H, W) in [-1, 1] => (...).

    `10·log10(1 / MSE)` on [0, 1] pixels, which is the usual scale: on [-1, 1] the MSE is 4 times larger.
    """
    mse = squared_error(x_hat, x) / x.shape[-3:].numel() / 4
    return -10 * torch.log10(mse.clamp_min(1e-10))  # 100 dB stands for "equal"


def psnr_of(pictures: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """PSNR in dB of each uint8 picture, (N, H, W, 3) both => (N,)."""
    if np.shape(pictures) != np.shape(originals) or not len(pictures):
        raise InputError(
            f"pictures of shapes {np.shape(pictures)} and {np.shape(originals)} cannot be compared: give "
            "equal shapes (N, H, W, 3)."
        )
    parts = [psnr(*(to_float(p[i : i + 64]) for p in (pictures, originals))) for i in range(0, len(pictures), 64)]
    return torch.cat(parts).numpy()


def held_out_loss(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments by which `scores.evaluate` scores a run, from its settings; older ones lack some defaults."""
    name = settings.get("objective", "beta")
    require_objective(name, settings.get("knobs"))
    knobs = default_knobs(name) | (settings.get("knobs") or {})
    weight, capacity = OBJECTIVES[name].held_out(knobs, settings["beta"])
    return {
        "beta": weight,
        "capacity": capacity,
        "likelihood": settings.get("likelihood", "gaussian"),
        "scale": settings.get("scale"),
    }
