"""Latents brought to the scale of their prior, by weights alone: every picture is decoded as before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae_helpers.errors import InputError
from vae_helpers.model.network import LOGVAR_BOUND, BetaVAE, InstanceNorm

_LEAST_SPREAD = 1e-3  # a latent that hardly varies is not blown up by more
_SLOPES = (0.5, 2.0)  # of the head for log-variances: what its bound may ask for


@torch.no_grad()
def standardise_latents(model: BetaVAE, mu: Tensor, logvar: Tensor) -> BetaVAE:
    """Shift and scale each latent, in place, so that codes of pictures like the given ones have mean 0 and variance 1.

    `mu` and `logvar` (n, latent_dim) are what the model's encoder makes of n training pictures. The variance is that of
    samples, `Var[μ] + E[σ²]`: of all shifts and scales of a latent these minimise its mean KL from N(0, 1), and the
    decoder's first weights take them back, so every picture is decoded as before. A converged β-VAE has such latents by
    itself, since its objective is least there; a short training does not reach it, and samples of N(0, 1) then miss the
    codes. The log-variances pass through a bound (see `Encoder`), so they follow only nearly. Returns the model. Raises
    InputError for under 2 codes.
    """
    if len(mu) < 2:
        raise InputError(f"{len(mu)} codes have no variance: give those of at least 2 pictures.")
    mu, logvar = mu.cpu().double(), logvar.cpu().double()  # not every GPU has float64
    mean = mu.mean(dim=0)
    spread = (mu.var(dim=0, correction=0) + logvar.exp().mean(dim=0)).sqrt().clamp(min=_LEAST_SPREAD)

    _affine(model.encoder.mu, 1 / spread, -mean / spread)
    _affine(model.encoder.logvar, *_head_for(logvar, logvar - 2 * spread.log()))
    for layer in _taking_codes(model):
        weight = layer.weight.cpu().double()
        assert layer.bias is not None
        layer.bias.copy_((layer.bias.cpu().double() + weight @ mean).float())
        layer.weight.copy_((weight * spread).float())
    return model


def _affine(head: nn.Linear, scale: Tensor, shift: Tensor) -> None:
    """Let a layer give `scale * y + shift` where it gave y."""
    head.weight.copy_((head.weight.cpu().double() * scale[:, None]).float())
    head.bias.copy_((head.bias.cpu().double() * scale + shift).float())


def _head_for(logvar: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift of what the bound is put on, so that it gives nearly `wanted`: least squares for each latent."""
    before, after = (
        LOGVAR_BOUND * torch.atanh((each / LOGVAR_BOUND).clamp(-0.999, 0.999)) for each in (logvar, wanted)
    )
    centred = before - before.mean(dim=0)
    variance = centred.square().mean(dim=0)
    covariance = (centred * (after - after.mean(dim=0))).mean(dim=0)
    scale = torch.where(variance > 1e-9, covariance / variance.clamp(min=1e-9), 1.0).clamp(*_SLOPES)
    return scale, after.mean(dim=0) - scale * before.mean(dim=0)


def _taking_codes(model: BetaVAE) -> list[nn.Linear]:
    """The decoder's layers that see the code itself: the first one, and those of adaptive norms."""
    norms = (block.norm for block in model.decoder.blocks)
    return [model.decoder.linear, *(norm.style for norm in norms if isinstance(norm, InstanceNorm) and norm.style)]
