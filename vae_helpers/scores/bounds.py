"""What a model says of pictures it never saw: ELBO, the importance-weighted bound on log p(x), bits per dimension.

All of it in nats per picture with every constant kept, p a density over x in [-1, 1]; larger is better, but for bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.latent import encode_pictures, frozen_decoder
from vae_helpers.model import (
    BetaVAE,
    Decoder,
    distortion,
    kl_per_dimension,
    log_aggregate,
    log_density,
    log_normaliser,
    squared_error,
    wants_activation,
)
from vae_helpers.settings import require_likelihood

_VALUES_AT_ONCE = 32 * 3 * 128 * 128  # of decoded pictures: more at once is no faster on a CPU
_STEP = 2 / 255  # between two values of an 8-bit picture
_AT_ONCE = 1 << 22  # densities in a working array: 32 MB
_NEARLY = 0.9  # of ln n


class Likelihood(NamedTuple):
    """Bounds on log p(x) of held-out pictures, means over them."""

    elbo: float  # nats per picture, z sampled
    elbo_error: float  # standard error over pictures
    elbo_spread: float  # standard deviation of the set's ELBO from one draw of all z to the next; NaN for one sample
    iwae: float  # the bound of `samples` draws: above the ELBO, below log p(x), both on average
    iwae_error: float
    bits_per_dimension: float  # of the IWAE bound
    distortion: float  # E[-log p(x|z)], and
    rate: float  # KL(q(z|x) ‖ p(z)) in closed form: -ELBO is about their sum
    likelihood: str
    scale: float | None  # of the likelihood; a calibrated one's s, which these pictures gave
    samples: int
    pictures: int


def likelihood(
    model: BetaVAE,
    pictures: np.ndarray,
    indices: np.ndarray,
    name: str = "gaussian",
    scale: float | None = None,
    samples: int = 64,
    seed: int = 0,
    progress: bool = False,
) -> Likelihood:
    """Bounds on log p(x) of `pictures[indices]`, uint8 (N, H, W, 3), under likelihood `name` (see `likelihoods`).

    A calibrated likelihood is scored as a Gaussian with one s for all pictures, their root mean squared error at one z
    each: an s of a picture's own would make p no density. Raises InputError for one that never was a density.
    """
    require_likelihood(name, scale)
    if samples < 1 or not len(indices):
        raise InputError(f"{samples} samples of {len(indices)} pictures bound nothing: give at least one of each.")
    rows = np.ascontiguousarray(pictures[indices])
    mu, logvar = encode_pictures(model, rows)
    decoder = frozen_decoder(model)
    if name.startswith("calibrated"):
        name, scale = "gaussian", _root_error(decoder, rows, mu, logvar, seed)
    generator, label, found = torch.Generator().manual_seed(seed), f"likelihood, {samples} samples each", []
    for picture, m, v in zip(tqdm(rows, desc=label, unit="picture", delay=2, disable=not progress), mu, logvar):
        given_z = _log_likelihood(decoder, picture, name, scale)
        found.append(log_importance_weights(m[None], v[None], given_z, samples, generator))
    weights, given = (torch.cat(parts, dim=1) for parts in zip(*found))  # (samples, N) each
    return Likelihood(
        **_means(weights, rows[0].size),
        distortion=-given.mean().item(),
        rate=kl_per_dimension(mu, logvar).sum(dim=1).double().mean().item(),
        likelihood=name,
        scale=scale,
        samples=samples,
        pictures=len(rows),
    )


def _means(weights: Tensor, values: int) -> dict[str, float]:
    """Both bounds over pictures of so many values, from log weights (samples, N)."""
    elbo, iwae = bounds_of(weights)
    return {
        "elbo": elbo.mean().item(),
        "elbo_error": _standard_error(elbo),
        "elbo_spread": weights.mean(dim=1).std().item() if len(weights) > 1 else math.nan,
        "iwae": iwae.mean().item(),
        "iwae_error": _standard_error(iwae),
        "bits_per_dimension": bits_per_dimension(iwae.mean().item(), values),
    }


def _standard_error(values: Tensor) -> float:
    return values.std().item() / math.sqrt(len(values)) if len(values) > 1 else math.nan


def _log_likelihood(decoder: Decoder, picture: np.ndarray, name: str, scale: float | None) -> Callable:
    """log p(x|z) of one uint8 picture (H, W, 3): a function of z (samples, 1, latents), giving float64 (samples, 1)."""
    x, constant = to_float(picture[None], _device(decoder)), log_normaliser(name, picture.size, scale)

    def log_likelihood(z: Tensor) -> Tensor:
        decoded = _decoded(decoder, z[:, 0], wants_activation(name))
        costs = torch.cat([distortion(name, part, x, scale).cpu().double() for part in decoded])
        return -(costs + constant)[:, None]

    return log_likelihood


def log_importance_weights(
    mu: Tensor, logvar: Tensor, log_likelihood: Callable[[Tensor], Tensor], samples: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`log w = log p(x|z) + log p(z) - log q(z|x)` of z ~ q, and its first term: both float64 (samples, N).

    mu and logvar (N, latents); `log_likelihood` takes z (samples, N, latents) to log p(x|z) (samples, N).
    """
    mu, logvar = mu.double(), logvar.double()
    noise = torch.randn(samples, *mu.shape, generator=generator, dtype=torch.float64)
    z = mu + torch.exp(0.5 * logvar) * noise
    given = log_likelihood(z).double()
    # log p(z) - log q(z|x): the two log 2π cancel, and (z-μ)²/σ² is ε².
    return given + 0.5 * (noise.square() + logvar - z.square()).sum(dim=-1), given


def bounds_of(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """ELBO and IWAE bound of log weights (K, N): (N,) each.

    The mean of the logs (Kingma & Welling 2014, eq. 7) and the log of the mean (Burda et al. 2016, eq. 8), by
    log-sum-exp: exp of -10,000 nats is 0.
    """
    return log_weights.mean(dim=0), torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))


def bits_per_dimension(log_density: float, values: int) -> float:
    """Bits per colour value of pictures of D = `values` values with 8 bits, from log p(x) over x in [-1, 1].

    `-(log p - D·log 127.5) / (D·log 2)`: a density over [0, 255] is 127.5 times lower per value. The pictures are taken
    as they are, on whole steps. A bound on the length of a code asks for uniform noise of one step on them (Theis et
    al. 2016); it costs a Gaussian `step²/(24 s²)` nats per value, step = 2/255: nothing at s = 0.7, a tenth of a bit at
    s = 0.006. Below that the number says how well the steps are guessed, not how well pictures are.
    """
    return -(log_density - values * math.log(127.5)) / (values * math.log(2))


def _root_error(decoder: Decoder, rows: np.ndarray, mu: Tensor, logvar: Tensor, seed: int) -> float:
    """Root mean squared error per value, at one z for each picture; not below what rounding to 8 bits leaves."""
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed + 1))
    error, at = 0.0, 0
    for decoded in _decoded(decoder, BetaVAE.reparameterize(mu, logvar, noise), activation=False):
        error += (
            squared_error(decoded, to_float(rows[at : at + len(decoded)], decoded.device)).cpu().double().sum().item()
        )
        at += len(decoded)
    return max(math.sqrt(error / rows.size), _STEP / math.sqrt(12))


@torch.no_grad()
def _decoded(decoder: Decoder, z: Tensor, activation: bool):
    """What the decoder makes of codes (n, latents), in chunks of as many as are quick at once."""
    side = 4 * 2 ** len(decoder.blocks) * 2
    for chunk in z.float().split(max(1, _VALUES_AT_ONCE // (3 * side * side))):
        yield decoder(chunk.to(_device(decoder)), activation)


def _device(decoder: Decoder) -> torch.device:
    return next(decoder.parameters()).device


class LatentParts(NamedTuple):
    """`KL = mutual information + total correlation + dimension-wise KL` (Chen et al. 2018, eq. 2), nats per picture."""

    mutual_information: float  # I(x; z), cut at ln n: that many nats tell n pictures apart
    total_correlation: float  # KL(q(z) ‖ Π_j q(z_j))
    dimension_wise_kl: float  # Σ_j KL(q(z_j) ‖ p(z_j))
    kl: float  # in closed form; the three above sum to it but for the noise of one z per picture
    pictures: int

    @property
    def saturated(self) -> bool:
        """Whether the codes tell (nearly) all pictures apart: then more pictures would move nats from TC to I(x; z)."""
        return self.mutual_information > _NEARLY * math.log(self.pictures)


def latent_parts(mu: Tensor, logvar: Tensor, seed: int = 0, most: int = 2000, progress: bool = False) -> LatentParts:
    """The parts of the KL over encoded pictures, mu and logvar (N, latents), the first `most` of them.

    q(z) is the exact mixture of all n posteriors, at one z from each; a picture's own posterior is part of it, so
    log q(z) cannot fall below log q(z|x) - ln n. Hence `0 ≤ I(x; z) ≤ ln n`, and where I comes near ln n it is a lower
    bound and the total correlation an upper one. The cost goes with n² · latents.
    """
    if mu.dim() != 2 or mu.shape != logvar.shape or len(mu) < 2:
        raise InputError(
            f"mu and logvar must both be (N, latents) with N at least 2, but have shapes "
            f"{tuple(mu.shape)} and {tuple(logvar.shape)}."
        )
    mu, logvar = (t[:most].detach().cpu().double() for t in (mu, logvar))
    n, latents = mu.shape
    z = mu + torch.exp(0.5 * logvar) * torch.randn(
        n, latents, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    size = max(1, _AT_ONCE // (n * latents))
    starts = tqdm(range(0, n, size), desc="total correlation", unit="chunk", delay=2, disable=not progress)
    chunks = [log_aggregate(z[i : i + size], mu, logvar, torch.full((1, n), -math.log(n))) for i in starts]
    joint, each = (torch.cat(parts) for parts in zip(*chunks))
    own = log_density(z, mu, logvar).sum(dim=1)
    prior = log_density(z, torch.zeros(()), torch.zeros(())).sum(dim=1)
    product = each.sum(dim=1)
    means = [part.mean().item() for part in (own - joint, joint - product, product - prior)]
    return LatentParts(means[0], means[1], means[2], kl_per_dimension(mu, logvar).sum(dim=1).mean().item(), n)
