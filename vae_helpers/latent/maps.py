"""A set of pictures laid out on a plane by their codes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from vae_helpers.errors import InputError

_TSNE_MOST = 5000


class PlaneMap(NamedTuple):
    """Codes on their first two principal components."""

    points: np.ndarray  # (N, 2)
    explained: np.ndarray  # (2,) share of the codes' variance along each axis
    centre: np.ndarray  # (latent_dim,)
    axes: np.ndarray  # (2, latent_dim), of length 1

    def place(self, codes: Tensor) -> np.ndarray:
        """Where other codes (n, latent_dim) lie on this map, such as those of a path: (n, 2)."""
        return (_plain(codes) - self.centre) @ self.axes.T


def pca_map(codes: Tensor) -> PlaneMap:
    """Project codes (N, latent_dim) on their first two principal components; N at least 3, latent_dim at least 2.

    Each axis points to where its largest entry is positive, so two calls and two machines agree.
    """
    codes = _plain(codes)
    if len(codes) < 3 or codes.shape[1] < 2:
        raise InputError(f"a map needs at least 3 codes of at least 2 latents, but these have shape {codes.shape}.")
    from sklearn.decomposition import PCA

    with np.errstate(invalid="ignore"):  # equal codes have no variance to share
        pca = PCA(2, svd_solver="full").fit(codes)
    axes = pca.components_ * np.sign(pca.components_[[0, 1], np.abs(pca.components_).argmax(axis=1)])[:, None]
    return PlaneMap((codes - pca.mean_) @ axes.T, np.nan_to_num(pca.explained_variance_ratio_), pca.mean_, axes)


def tsne_map(codes: Tensor, perplexity: float = 30, seed: int = 0) -> np.ndarray:
    """t-SNE of codes (N, latent_dim) (van der Maaten & Hinton 2008): (N, 2).

    Neighbours stay neighbours, but distances between clusters mean little. Raises InputError for more than 5,000 codes
    (minutes), or no more codes than `perplexity`.
    """
    codes = _plain(codes)
    if not perplexity < len(codes) <= _TSNE_MOST:
        raise InputError(
            f"t-SNE of {len(codes)} codes at perplexity {perplexity:g} is not possible: give more codes "
            f"than the perplexity, and at most {_TSNE_MOST:,}."
        )
    from sklearn.manifold import TSNE

    return TSNE(perplexity=perplexity, random_state=seed, init="pca").fit_transform(codes).astype(np.float64)


def nearest_codes(codes: Tensor, index: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` codes (or all others) nearest to one of codes (N, latent_dim), nearest first: rows and distances.

    The distance is Euclid's, over all latents: those that tell nothing hardly differ. Raises InputError for a row that
    is not there.
    """
    codes = _plain(codes)
    if not 0 <= index < len(codes):
        raise InputError(f"there is no code {index} among {len(codes)}: give a number from 0 to {len(codes) - 1}.")
    distances = np.sqrt(np.square(codes - codes[index]).sum(axis=1))
    others = np.delete(np.arange(len(codes)), index)
    nearest = others[np.argsort(distances[others], kind="stable")][: max(0, count)]
    return nearest, distances[nearest]


def choose_apart(points: np.ndarray, side: float) -> np.ndarray:
    """Indices of points (N, 2) whose squares of this side, centred on them, do not overlap.

    Greedy from the middle of the map outwards, so the choice is the same every time.
    """
    if not side > 0:
        raise InputError(f"squares of side {side} cover nothing: give a side above 0.")
    points = np.asarray(points, np.float64)
    chosen = np.empty((0, 2))
    indices = []
    for i in np.argsort(np.square(points - np.median(points, axis=0)).sum(axis=1), kind="stable"):
        if (np.abs(chosen - points[i]).max(axis=1) >= side).all():
            chosen = np.vstack([chosen, points[i]])
            indices.append(i)
    return np.array(indices, int)


def _plain(codes: Tensor) -> np.ndarray:
    if codes.dim() != 2:
        raise InputError(f"codes must have shape (N, latent_dim), but these have shape {tuple(codes.shape)}.")
    return codes.detach().cpu().double().numpy()
