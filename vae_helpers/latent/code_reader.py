"""Reading numbers off latent codes (or any vectors): a smooth regression, learnt in a second, kept as plain arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RIDGES = tuple(np.logspace(-2, 4, 6))
_CENTRES = 500  # training codes that the kernel is measured to
_WIDTH = 2.0  # of the kernel, in units of the vectors' own spread
_FEWEST = 8
_KINDS, _GAPS, _ROUNDS = 4, 0.34, 4


class VectorReader(NamedTuple):
    """Ridge regression on the vectors (N, D) and on Gaussian kernels around some of the training ones (Nyström)."""

    centre: np.ndarray  # (D,)
    scale: np.ndarray  # ()
    places: np.ndarray  # (C, D), scaled
    weights: np.ndarray  # (C + D, T)
    offset: np.ndarray  # (T,)

    @property
    def gamma(self) -> float:
        """Of the kernel exp(-gamma · distance²) between scaled vectors."""
        return _gamma()

    @classmethod
    def fit(cls, vectors: np.ndarray, targets: np.ndarray, seed: int = 0) -> VectorReader:
        """From vectors (N, D) and targets (N, T); targets that are NaN in the same rows are learnt together."""
        from sklearn.kernel_approximation import Nystroem

        vectors = np.asarray(vectors, np.float64)
        centre = vectors.mean(axis=0)
        scale = np.array(1 / max(np.sqrt(vectors.var(axis=0).sum()), 1e-12))
        scaled = (vectors - centre) * scale
        kernel = Nystroem(gamma=_gamma(), n_components=min(_CENTRES, len(vectors)), random_state=seed).fit(scaled)
        features = np.concatenate([kernel.transform(scaled), scaled], axis=1) * 10
        weights, offset = _ridge_with_gaps(features, targets)
        count = len(kernel.components_)
        weights = 10 * np.concatenate([kernel.normalization_.T @ weights[:count], weights[count:]])
        return cls(centre, scale, kernel.components_, weights, offset)

    def read(self, vectors: np.ndarray) -> np.ndarray:
        """(n, D) => (n, T)."""
        from scipy.spatial.distance import cdist

        scaled = (np.asarray(vectors, np.float64) - self.centre) * self.scale
        near = np.exp(-_gamma() * cdist(scaled, self.places, "sqeuclidean"))
        return np.concatenate([near, scaled], axis=1) @ self.weights + self.offset


def _gamma() -> float:
    return 1 / (2 * _WIDTH**2)


def _ridge_with_gaps(features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `ridge`, each target from the rows that know it.

    Where many targets have gaps of their own, those with few are learnt together, their gaps filled by what is read
    of them, again and again: for least squares that ends at the same weights.
    """
    weights, offset = np.zeros((features.shape[1], targets.shape[1])), np.zeros(targets.shape[1])
    kinds = same_rows(targets)
    if len(kinds) > _KINDS and len(features) >= 2 * features.shape[1]:  # else fills would only repeat themselves
        gaps = np.isnan(targets)
        some = np.flatnonzero(gaps.mean(axis=0) < _GAPS)
        filled = np.where(gaps, np.nanmean(targets, axis=0), targets)[:, some]
        for _ in range(_ROUNDS if len(some) else 0):
            weights[:, some], offset[some] = ridge(features, filled)
            filled = np.where(gaps[:, some], features @ weights[:, some] + offset[some], targets[:, some])
        kinds = [(known, columns) for known, columns in kinds if columns[0] not in some]
    for known, columns in kinds:
        if known.sum() >= _FEWEST:
            weights[:, columns], offset[columns] = ridge(features[known], targets[np.ix_(known, columns)])
    return weights, offset


def same_rows(targets: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Targets (N, T) by the rows in which they are known: `(known (N,), columns)` of each kind."""
    known = ~np.isnan(targets)
    kinds: dict[bytes, list[int]] = {}
    for column in range(targets.shape[1]):
        kinds.setdefault(known[:, column].tobytes(), []).append(column)
    return [(known[:, columns[0]], np.array(columns)) for columns in kinds.values()]


def ridge(features: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights (F, T) and offset (T,), the ridge chosen for each target by leaving each row out once."""
    from sklearn.linear_model import RidgeCV

    mean = features.mean(axis=0)
    fitted = RidgeCV(RIDGES, alpha_per_target=targets.shape[1] > 1).fit(features - mean, targets)
    weights = fitted.coef_.reshape(targets.shape[1], -1).T
    return weights, np.atleast_1d(fitted.intercept_) - mean @ weights
