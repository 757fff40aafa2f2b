"""The KL of a whole encoded set taken apart: what codes tell about pictures, and how far latents hang together."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm.auto import tqdm

from vae_helpers.errors import InputError
from vae_helpers.losses import kl_per_dimension
from vae_helpers.total_correlation import log_aggregate, log_density

_AT_ONCE = 1 << 22  # densities in a working array: 32 MB
_NEARLY = 0.9  # of ln n


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
        raise InputError(f"mu and logvar must both be (N, latents) with N at least 2, but have shapes "
                         f"{tuple(mu.shape)} and {tuple(logvar.shape)}.")
    mu, logvar = (t[:most].detach().cpu().double() for t in (mu, logvar))
    n, latents = mu.shape
    z = mu + torch.exp(0.5 * logvar) * torch.randn(n, latents, dtype=torch.float64,
                                                  generator=torch.Generator().manual_seed(seed))
    size = max(1, _AT_ONCE // (n * latents))
    starts = tqdm(range(0, n, size), desc="total correlation", unit="chunk", delay=2, disable=not progress)
    chunks = [log_aggregate(z[i:i + size], mu, logvar, torch.full((1, n), -math.log(n))) for i in starts]
    joint, each = (torch.cat(parts) for parts in zip(*chunks))
    own = log_density(z, mu, logvar).sum(dim=1)
    prior = log_density(z, torch.zeros(()), torch.zeros(())).sum(dim=1)
    product = each.sum(dim=1)
    parts = (own - joint, joint - product, product - prior)
    return LatentParts(*(part.mean().item() for part in parts),
                       kl_per_dimension(mu, logvar).sum(dim=1).mean().item(), n)
