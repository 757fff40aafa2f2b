"""The objective, per picture and in nats: summed over pixels and latents, averaged over pictures."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


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
