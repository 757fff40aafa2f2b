"""Scores on held-out pictures: picture quality, the terms of the objective, and how many latents are used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.latent import LatentSummary, summarise
from vae_helpers.model import BetaVAE, calibrated, distortion, kl_per_dimension, psnr, wants_activation


@dataclass(frozen=True)
class Scores:
    """How a model does on a set of pictures; loss terms in nats per picture, PSNR in dB."""

    total: float
    reconstruction: float
    kl: float
    psnr: float  # of the reconstruction from μ, mean over pictures
    active_units: int
    pictures: int
    summary: LatentSummary

    def as_dict(self) -> dict[str, float]:
        """The numbers, without the per-latent summary."""
        return {k: getattr(self, k) for k in ("total", "reconstruction", "kl", "psnr", "active_units", "pictures")}


def _ready(model: BetaVAE) -> torch.device:
    if model.training:
        raise InputError("the model is in training mode: call model.eval() before scoring it.")
    return next(model.parameters()).device


@torch.no_grad()
def evaluate(
    model: BetaVAE,
    pictures: np.ndarray,
    indices: np.ndarray,
    beta: float = 1.0,
    batch_size: int = 64,
    seed: int = 0,
    *,
    capacity: float = 0.0,
    likelihood: str = "gaussian",
    scale: float | None = None,
) -> Scores:
    """Score `model` (in eval mode) on `pictures[indices]`, uint8 (N, H, W, 3).

    The loss terms use one sample per picture, its noise fixed by `seed`, so that two calls agree; PSNR uses μ.
    `total` is `reconstruction + beta·|KL - capacity|`, the reconstruction term that of `likelihood` and its `scale`;
    `**held_out_loss(settings)` gives these four for a run. "calibrated" takes its s² over all of `indices`.
    """
    device, activation = _ready(model), wants_activation(likelihood)
    # The s² that all pictures share is known when all are seen: until then, their squared errors.
    kind = "gaussian" if likelihood == "calibrated" else likelihood
    generator = torch.Generator().manual_seed(seed)
    sums, quality, heads = torch.zeros(2, dtype=torch.float64), [], []
    for start in range(0, len(indices), batch_size):
        batch = indices[start : start + batch_size]
        x = to_float(torch.from_numpy(np.ascontiguousarray(pictures[batch])), device)
        mu, logvar = model.encode(x)
        noise = torch.randn(len(batch), mu.shape[1], generator=generator).to(device)
        sampled, from_mu = model.decode(torch.stack([model.reparameterize(mu, logvar, noise), mu]), activation)
        cost, kl = distortion(kind, sampled, x, scale).mean(), kl_per_dimension(mu, logvar).sum(dim=-1).mean()
        sums += torch.stack([cost, kl]).cpu().double() * len(batch)
        quality.append(psnr(model.decoder.picture(from_mu) if activation else from_mu, x).cpu())
        heads.append((mu.cpu(), logvar.cpu()))
    summary = summarise(*(torch.cat(part) for part in zip(*heads)))
    reconstruction, kl = (sums / len(indices)).tolist()
    if likelihood == "calibrated":
        error, values = torch.tensor(reconstruction), x[0].numel()
        reconstruction = calibrated(error, error / values, values).item()
    total, mean = reconstruction + beta * abs(kl - capacity), torch.cat(quality).mean().item()
    return Scores(total, reconstruction, kl, mean, len(summary.active), len(indices), summary)
