"""How far a code lies from those of the training pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError

_AT_ONCE = 1 << 21  # numbers in a working array: 16 MB


class SupportReport(NamedTuple):
    """What a `Support` says of n codes; each field has shape (n,)."""

    distance: np.ndarray  # to the nearest training code, 1 = as far as a new picture of the set typically lies
    nearest: np.ndarray  # the number of the picture with that code
    log_density: np.ndarray  # of the aggregate posterior, in nats


class Support:
    """The codes of the training pictures, mu and logvar (N, latent_dim), as a measure for other codes.

    Distances are Euclidean over the `active` latents (default: all), in units of `typical`: the median distance from
    the held-out codes (M, latent_dim) to their nearest training code. `rows` are the training pictures' numbers in
    their set (default: 0 to N - 1). `held_out` is the `SupportReport` of the held-out codes, to compare with.
    """

    def __init__(
        self,
        mu: Tensor,
        logvar: Tensor,
        held_out_mu: Tensor,
        active: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ):
        _require_codes(mu, logvar, held_out_mu)
        self.rows = np.arange(len(mu)) if rows is None else np.asarray(rows)
        if len(self.rows) != len(mu):
            raise InputError(f"there are {len(mu)} training codes but {len(self.rows)} row numbers: give one per code.")
        dims = np.arange(mu.shape[1]) if active is None or not len(active) else np.sort(np.asarray(active))
        self._dims, self._latents = torch.from_numpy(dims), mu.shape[1]
        self._mu = mu[:, self._dims].detach().cpu().double()
        self._precision = torch.exp(-logvar[:, self._dims].detach().cpu().double())
        # log of each posterior's peak, and of the mixture's equal weights
        self._peak = 0.5 * (self._precision.log() - np.log(2 * np.pi)).sum(dim=1) - np.log(len(mu))
        self.typical = 1.0
        self.typical = float(np.median(self.measure(held_out_mu).distance))
        if self.typical == 0:
            raise InputError(
                "at least half of the held-out codes equal a training code, so there is no typical "
                "distance: give codes of pictures that were not trained on."
            )
        self.held_out = self.measure(held_out_mu)

    def measure(self, codes: Tensor) -> SupportReport:
        """Distance, nearest training picture and log density of codes (n, latent_dim).

        The density is `log 1/N Σ_i N(z; μ_i, σ_i²)` over the active latents, summed in logarithms.
        """
        if codes.dim() != 2 or not len(codes) or codes.shape[1] != self._latents:
            raise InputError(
                f"codes must have shape (n, {self._latents}) as those of this support, n at least 1, but "
                f"these have shape {tuple(codes.shape)}."
            )
        codes = codes.detach().cpu().double()[:, self._dims]
        size = max(1, _AT_ONCE // self._mu.numel())
        parts = [self._measure(chunk) for chunk in codes.split(size)]
        distance, nearest, log_density = (torch.cat(fields).numpy() for fields in zip(*parts))
        return SupportReport(distance / self.typical, self.rows[nearest], log_density)

    def distance(self, codes: Tensor) -> Tensor:
        """The distances alone, (n, latent_dim) => (n,), on the codes' device and with a gradient for them."""
        own = codes.cpu().double()[:, self._dims]  # here, because a GPU may know no float64
        nearest = torch.cdist(own.detach(), self._mu).argmin(dim=1)
        return ((own - self._mu[nearest]).norm(dim=1) / self.typical).to(codes.device, codes.dtype)

    def _measure(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        squared = (codes[:, None] - self._mu).square()  # exact zeros on a training code, unlike ‖z‖² - 2zμ + ‖μ‖²
        distance, nearest = squared.sum(dim=2).min(dim=1)
        log_density = torch.logsumexp(self._peak - 0.5 * (squared * self._precision).sum(dim=2), dim=1)
        return distance.sqrt(), nearest, log_density


def _require_codes(mu: Tensor, logvar: Tensor, held_out_mu: Tensor) -> None:
    if mu.dim() != 2 or mu.shape != logvar.shape or held_out_mu.dim() != 2 or mu.shape[1] != held_out_mu.shape[1]:
        raise InputError(
            f"training mu and logvar must both be (N, latent_dim) and held-out mu (M, latent_dim), but "
            f"got {tuple(mu.shape)}, {tuple(logvar.shape)} and {tuple(held_out_mu.shape)}."
        )
    if not len(mu) or not len(held_out_mu):
        raise InputError(
            f"{len(mu)} training and {len(held_out_mu)} held-out codes give no typical distance: encode "
            "at least one picture of each."
        )
