"""Pictures from codes that no picture was encoded to: drawn from the prior, from where codes lie, along a chart."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vae_helpers.latent.chart import Chart
from vae_helpers.latent.codes import decode_codes, encode_pictures
from vae_helpers.model import BetaVAE


def sample_posterior(model: BetaVAE, pictures: np.ndarray, seed: int = 0) -> np.ndarray:
    """Like `reconstruct`, but from one random point of each q(z|x) instead of its centre."""
    mu, logvar = encode_pictures(model, pictures)
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed))
    return decode_codes(model, model.reparameterize(mu, logvar, noise))


def sample_prior(model: BetaVAE, n: int, seed: int = 0) -> np.ndarray:
    """Decode n codes drawn from the prior N(0, 1): uint8 (n, H, W, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return decode_codes(model, torch.randn(n, model.config.latent_dim, generator=generator))


def sample_fitted(model: BetaVAE, mu: Tensor, logvar: Tensor, n: int, seed: int = 0) -> np.ndarray:
    """Decode n codes from one Gaussian fitted to the encoded pictures mu, logvar (N, latent_dim): uint8 (n, H, W, 3).

    The prior N(0, 1) is where codes were meant to lie; this is where they lie (ex-post density, Ghosh et al. 2020),
    so these samples lie nearer to known codes.
    """
    mu, logvar = mu.cpu(), logvar.cpu()
    centred = (mu - mu.mean(dim=0)).double()
    covariance = centred.T @ centred / len(mu) + torch.diag(logvar.double().exp().mean(dim=0))
    noise = torch.randn(n, mu.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return decode_codes(model, (mu.mean(dim=0) + noise @ torch.linalg.cholesky(covariance).T).float())


def sample_chart(model: BetaVAE, chart: Chart, n: int, seed: int = 0) -> np.ndarray:
    """Decode n codes of `chart.sample`, attributes of one picture with the rest of another: uint8 (n, H, W, 3)."""
    return decode_codes(model, chart.sample(n, seed))


def samples_by_kind(
    model: BetaVAE, mu: Tensor, logvar: Tensor, chart: Chart | None = None, n: int = 48, seed: int = 0
) -> dict[str, np.ndarray]:
    """`{"prior", "fitted", "chart"}`: n samples of each kind, uint8 (n, H, W, 3); the last only with a chart.

    `mu` and `logvar` (N, latent_dim) are the codes of training pictures.
    """
    samples = {"prior": sample_prior(model, n, seed), "fitted": sample_fitted(model, mu, logvar, n, seed)}
    return samples if chart is None else samples | {"chart": sample_chart(model, chart, n, seed)}
