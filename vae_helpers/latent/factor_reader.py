"""Reading known factors off latent codes, on sets that were drawn from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from vae_helpers.data import Factor
from vae_helpers.errors import InputError

_MOST = 1500  # pictures learnt from: the solver takes about a second, and more add little
_RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
_WIDTHS = (1.0, 2.0)  # in units of the codes' own spread


class FactorReader:
    """Reads the factors of a picture off its code, and says how well: kernel ridge regression from μ.

    `mu` (N, latent_dim) and `factors` (N, F) of training pictures, and of held-out ones for the score. The kernel is
    Gaussian over the codes in units of their spread; its width and the ridge are chosen per factor on a quarter of the
    training pictures. `score` (F,) holds the held-out R² of each factor, or for a category the share read right;
    `chance` (F,) what guessing the mean or the commonest category scores.
    """

    def __init__(
        self,
        mu: Tensor,
        factors: np.ndarray,
        table: Sequence[Factor],
        held_out_mu: Tensor,
        held_out_factors: np.ndarray,
    ):
        _require_known(mu, factors, table, held_out_mu, held_out_factors)
        self.table = tuple(table)
        rows = np.unique(np.linspace(0, len(mu) - 1, _MOST).astype(int))
        factors = np.asarray(factors, np.float64)
        codes = np.asarray(mu.detach().cpu(), np.float64)[rows]
        self._scale = 1 / max(np.sqrt(codes.var(axis=0).sum()), 1e-12)
        self._codes = codes * self._scale
        targets, self._columns = _one_hot(factors[rows], self.table)
        self._mean = targets.mean(axis=0)
        self._fit(targets - self._mean)
        read, true = self.read(held_out_mu), np.asarray(held_out_factors, np.float64)
        self.score, self.chance = np.empty(len(table)), np.zeros(len(table))
        for i, factor in enumerate(self.table):
            if factor.choices:
                self.score[i] = (read[:, i] == true[:, i]).mean()
                commonest = np.bincount(factors[rows, i].astype(int)).argmax()
                self.chance[i] = (true[:, i] == commonest).mean()
            else:
                varies = np.square(true[:, i] - true[:, i].mean()).sum()
                self.score[i] = 1 - np.square(read[:, i] - true[:, i]).sum() / varies if varies else np.nan

    def read(self, codes: Tensor) -> np.ndarray:
        """The factors at codes (n, latent_dim): float64 (n, F) within each factor's range; a category is its number."""
        codes = np.asarray(codes.detach().cpu(), np.float64) * self._scale
        distance = _squared_distances(codes, self._codes)
        raw = np.empty((len(codes), len(self._mean)))
        for width, columns, weights in self._solutions:
            raw[:, columns] = np.exp(-distance / (2 * width**2)) @ weights
        raw += self._mean
        read = np.empty((len(codes), len(self.table)))
        for i, (factor, columns) in enumerate(zip(self.table, self._columns)):
            part = raw[:, columns]
            read[:, i] = part.argmax(axis=1) if factor.choices else part[:, 0].clip(factor.low, factor.high)
        return read

    def _fit(self, targets: np.ndarray) -> None:
        """Choose width and ridge per target on every fourth picture, then learn from all of them."""
        distance = _squared_distances(self._codes, self._codes)
        test = np.arange(len(targets)) % 4 == 3
        errors = {}
        for width in _WIDTHS:
            kernel = np.exp(-distance / (2 * width**2))
            # One decomposition serves every ridge.
            values, vectors = np.linalg.eigh(kernel[np.ix_(~test, ~test)])
            projected, across = vectors.T @ targets[~test], kernel[np.ix_(test, ~test)] @ vectors
            for ridge in _RIDGES:
                read = across @ (projected / (values.clip(0) + ridge)[:, None])
                errors[width, ridge] = np.square(read - targets[test]).mean(axis=0)
        chosen = list(errors)
        best = np.argmin([errors[c] for c in chosen], axis=0)
        self._solutions = []
        for which in np.unique(best):
            width, ridge = chosen[which]
            columns = np.flatnonzero(best == which)
            kernel = np.exp(-distance / (2 * width**2))
            kernel.flat[:: len(kernel) + 1] += ridge
            self._solutions.append((width, columns, np.linalg.solve(kernel, targets[:, columns])))


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    from scipy.spatial.distance import cdist

    return cdist(a, b, "sqeuclidean")


def _one_hot(factors: np.ndarray, table: Sequence[Factor]) -> tuple[np.ndarray, list[slice]]:
    """Targets (N, T), a column per number and one per category, and each factor's columns."""
    parts = [
        np.eye(len(f.choices))[column.astype(int)] if f.choices else column[:, None]
        for f, column in zip(table, factors.T)
    ]
    ends = np.cumsum([part.shape[1] for part in parts])
    return np.concatenate(parts, axis=1), [slice(end - part.shape[1], end) for end, part in zip(ends, parts)]


def _require_known(
    mu: Tensor,
    factors: np.ndarray | None,
    table: Sequence[Factor] | None,
    held_out_mu: Tensor,
    held_out_factors: np.ndarray | None,
) -> None:
    if factors is None or held_out_factors is None or not table:
        raise InputError(
            "this set's factors are not known, so none can be read off its codes: open a built-in set, "
            "dSprites or Shapes3D."
        )
    for part, codes, known in (("training", mu, factors), ("held-out", held_out_mu, held_out_factors)):
        if np.shape(known) != (len(codes), len(table)):
            raise InputError(
                f"the {part} factors must have shape ({len(codes)}, {len(table)}), one row per code, but "
                f"have {np.shape(known)}."
            )
        if len(codes) < 8:
            raise InputError(f"{len(codes)} {part} pictures are too few to read factors from: give at least 8.")
