"""Arithmetic with codes: analogies, and directions between two groups of pictures with their uncertainty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError

_SHUFFLES = 999


class Direction(NamedTuple):
    """The way from one group of codes to another, and how far to trust it; vectors of shape (latent_dim,)."""

    vector: Tensor  # difference of the groups' means
    standard_error: Tensor  # of that difference, per latent
    signal_to_noise: float  # squared length over the squared length that chance adds; about 1 where there is nothing
    cosine: float  # expected cosine between this direction and the true one, 0 to 1
    p_value: float  # share of regroupings whose means lie at least as far apart

    def apply(self, code: Tensor, amounts: np.ndarray | Tensor) -> Tensor:
        """`code + amount · vector` for each amount (n,): codes (n, latent_dim); 1 is the groups' whole difference."""
        amounts = torch.as_tensor(np.asarray(amounts), dtype=torch.float32)
        return code + amounts[:, None] * self.vector


def analogy(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """`a - b + c`: c with what a has and b lacks; codes of one shape."""
    if not a.shape == b.shape == c.shape:
        raise InputError(
            f"an analogy needs three codes of one shape, but got {tuple(a.shape)}, {tuple(b.shape)} and "
            f"{tuple(c.shape)}."
        )
    return c + (a - b)  # this order gives exactly c where a equals b


def direction_between(without: Tensor, with_: Tensor, seed: int = 0) -> Direction:
    """The direction from the codes of one group (n, latent_dim) to those of another (m, latent_dim).

    Per latent the standard error is `√(s²/n + s'²/m)` (Welch), s² and s'² the groups' variances. Chance alone makes the
    squared length of the difference longer by the sum of the squared errors, in expectation; what exceeds it is signal,
    and `√(signal / length²)` estimates the cosine to the true direction. `p_value` is from a permutation test: all
    regroupings where there are at most 999, else 999 drawn by `seed`. Raises InputError for groups of fewer than 2.
    """
    groups = [group.detach().cpu().double() for group in (without, with_)]
    if any(group.dim() != 2 for group in groups) or groups[0].shape[1] != groups[1].shape[1]:
        raise InputError(
            f"a direction needs two groups of codes, (n, latent_dim) each, but got "
            f"{tuple(without.shape)} and {tuple(with_.shape)}."
        )
    sizes = [len(group) for group in groups]
    if min(sizes) < 2:
        raise InputError(
            f"groups of {sizes[0]} and {sizes[1]} pictures give no standard error: put at least 2 into each."
        )
    difference = groups[1].mean(dim=0) - groups[0].mean(dim=0)
    squared_errors = sum(group.var(dim=0) / len(group) for group in groups)
    length, noise = difference.square().sum().item(), squared_errors.sum().item()
    cosine = np.sqrt(max(0.0, 1 - noise / length)) if length else 0.0
    ratio = length / noise if noise else (np.inf if length else 0.0)
    return Direction(
        difference.float(),
        squared_errors.sqrt().float(),
        float(ratio),
        float(cosine),
        _p_value(torch.cat(groups).numpy(), sizes[0], seed),
    )


def _p_value(codes: np.ndarray, first: int, seed: int) -> float:
    """Permutation test of the distance between the means of the `first` codes (N, latent_dim) and of the others."""
    from scipy.stats import permutation_test

    def squared_distance(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        difference = codes[b].mean(axis=axis - 1) - codes[a].mean(axis=axis - 1)
        return np.square(difference).sum(axis=-1)

    rows = np.arange(len(codes))
    return float(
        permutation_test(
            (rows[:first], rows[first:]),
            squared_distance,
            n_resamples=_SHUFFLES,
            batch=64,
            alternative="greater",
            random_state=seed,
        ).pvalue
    )
