"""KL(q(z|x) ‖ p(z)) taken apart, estimated from one batch, and FactorVAE's way to its middle part, a discriminator.

`E_x KL = I(x; z) + TC + Σ_j KL(q(z_j) ‖ p(z_j))` (Chen 2018, eq. 2): what codes tell about pictures, how far the
latents are from independent, and how far each by itself is from the prior.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_helpers.errors import InputError

_LOG_2PI = math.log(2 * math.pi)


class Parts(NamedTuple):
    """The parts of the KL, scalars: means over samples, in nats per picture."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise_kl: Tensor


def log_density(z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
    """log N(z; μ, σ²) of each latent, elementwise with broadcasting."""
    return -0.5 * (_LOG_2PI + logvar + (z - mu).square() * torch.exp(-logvar))


def minibatch_weights(batch: int, pictures: int) -> Tensor:
    """Log-weights (batch, batch) of minibatch-weighted sampling (Chen 2018, sec. 3.1): all `1/(N·B)`, N = `pictures`.

    They are not the weights of a mean: where the q(z|x) overlap each log q(z) comes out ln N too low, one such constant
    for the joint and one for every latent.
    """
    return torch.full((batch, batch), -math.log(pictures * batch))


def stratified_weights(batch: int, pictures: int) -> Tensor:
    """Log-weights (batch, batch) that make the sum over a row an unbiased q(z_i) (Chen 2018, App. C.2); rows sum to 1.

    With M = batch-1: row i has 1/N at its own picture, (N-M)/(N·M) at one other, 1/M elsewhere. The widespread code
    puts the 1/N into column 0 of every row.
    """
    others = batch - 1
    weights = torch.full((batch, batch), 1 / others, dtype=torch.float64)
    rows = torch.arange(batch)
    weights[rows, (rows + 1) % batch] = (pictures - others) / (pictures * others)
    weights[rows, rows] = 1 / pictures
    return weights.log().float()


def log_aggregate(z: Tensor, mu: Tensor, logvar: Tensor, log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """log q(z_i) of whole codes and of each latent: z, mu, logvar (B, Z), log-weights (B, B) => (B,), (B, Z).

    `log Σ_j w_ij q(z_i|x_j)`, with the weight once in either sum. Never `exp` first: over 128 latents every density of
    another picture underflows.
    """
    densities = log_density(z[:, None], mu, logvar)  # (B, B, Z)
    return (
        torch.logsumexp(densities.sum(dim=-1) + log_weights, dim=1),
        torch.logsumexp(densities + log_weights[..., None], dim=1),
    )


def decompose(z: Tensor, mu: Tensor, logvar: Tensor, log_weights: Tensor) -> Parts:
    """The three parts from K samples of B pictures: z (K, B, Z), mu and logvar (B, Z), log-weights (B, B).

    Their sum is the mean of `log q(z|x) - log p(z)`, whatever the weights.
    """
    z, mu, logvar = z.float(), mu.float(), logvar.float()
    given = log_density(z, mu, logvar).sum(dim=-1)
    prior = log_density(z, torch.zeros_like(mu), torch.zeros_like(mu)).sum(dim=-1)
    pairs = [log_aggregate(sample, mu, logvar, log_weights.to(z.device)) for sample in z]  # one by one: B·B·Z each
    joint, each = (torch.stack(parts) for parts in zip(*pairs))
    product = each.sum(dim=-1)
    return Parts((given - joint).mean(), (joint - product).mean(), (product - prior).mean())


class Discriminator(nn.Module):
    """Codes (..., Z) => the log-odds (...) that one is a real code and not a permuted one (Kim & Mnih 2018, App. A).

    Layers and width are the paper's. One log-odds stands for the difference of its two outputs, so the mean over real
    codes estimates the total correlation in nats (eq. 3).
    """

    def __init__(self, latent_dim: int, layers: int = 6, width: int = 1000):
        super().__init__()
        sizes = [latent_dim] + [width] * (layers - 1) + [1]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, z: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            z = F.leaky_relu(layer(z), 0.2)
        return self.layers[-1](z)[..., 0]


def permute_latents(z: Tensor, generator: torch.Generator) -> Tensor:
    """Each latent of codes (B, Z) permuted by itself across the pictures: a sample of Π_j q(z_j) (Kim & Mnih)"""
    return z.gather(0, torch.rand(z.shape, generator=generator, device=z.device).argsort(dim=0))


def mmd(a: Tensor, b: Tensor, bandwidth: float = 1.0, imq: bool = False) -> Tensor:
    """Squared maximum mean discrepancy of samples (n, Z) and (m, Z), unbiased, so at times negative (Gretton 2012).

    Two draws from the prior lie 2Z apart, squared; so with h = bandwidth·2Z the Gaussian kernel is `exp(-d²/h)` and the
    inverse multiquadric `h/(h + d²)`.
    """
    scale = 2 * bandwidth * a.shape[1]

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        squares = (one[:, None] - other).square().sum(dim=-1)
        return scale / (scale + squares) if imq else torch.exp(-squares / scale)

    def within(one: Tensor) -> Tensor:
        count = len(one)
        return (kernel(one, one).sum() - count) / (count * (count - 1))  # a code and itself: kernel 1, no pair

    return within(a) + within(b) - 2 * kernel(a, b).mean()


def average_between(mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Posteriors (2T, Z) of the ends of T triples, rows 2i and 2i + 1 => (3T, Z) of triples, rows 3i to 3i + 2.

    The third's mean is the mean of their means, its variance that of their variances.
    """
    means, logs = (each.unflatten(0, (-1, 2)) for each in (mu, logvar))
    mean = torch.cat([means, means.mean(dim=1, keepdim=True)], dim=1)
    log = torch.cat([logs, logs.exp().mean(dim=1, keepdim=True).log()], dim=1)
    return mean.flatten(0, 1), log.flatten(0, 1)


def average_shared(mu: Tensor, logvar: Tensor) -> tuple[Tensor, Tensor]:
    """Posteriors (2P, Z) of P pairs, rows 2i and 2i + 1, with those latents averaged that a pair seems to share.

    A latent is shared where the divergence of its two posteriors lies below half-way between the least and the greatest
    of the pair (Locatello 2020, sec. 4); there both get the mean of the means and of the variances (Hosoya 2019). The
    divergence is `½·KL(q₁ ‖ q₂) + ½·KL(q₂ ‖ q₁)`, so that a pair has no order, where the paper has one of the two. The
    choice of what is shared passes no gradient. Raises InputError for an odd number of rows.
    """
    if len(mu) % 2:
        raise InputError(f"{len(mu)} pictures are not pairs: give an even number.")
    means, logs = mu.unflatten(0, (-1, 2)), logvar.unflatten(0, (-1, 2))
    (one, other), (its, others) = means.detach().unbind(1), logs.detach().exp().unbind(1)
    distance = (one - other).square() * (1 / its + 1 / others)
    divergence = (its / others + others / its - 2 + distance) / 4
    least, greatest = divergence.aminmax(dim=1, keepdim=True)
    shared = (divergence < (least + greatest) / 2)[:, None]
    mean = torch.where(shared, means.mean(dim=1, keepdim=True), means)
    log = torch.where(shared, logs.exp().mean(dim=1, keepdim=True).log(), logs)
    return mean.flatten(0, 1), log.flatten(0, 1)
