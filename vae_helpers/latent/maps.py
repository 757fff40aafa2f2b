"""A set of pictures laid out on a plane by their codes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from vae_helpers.errors import InputError

_TSNE_MOST = 5000


class PlaneMap(NamedTuple):
    """Codes seen from their two widest sides (PCA)."""

    points: np.ndarray  # (N, 2)
    explained: np.ndarray  # (2,) share of the codes' variance along each axis
    centre: np.ndarray  # (latent_dim,)
    axes: np.ndarray  # (2, latent_dim), of length 1

    def place(self, codes: Tensor) -> np.ndarray:
        """Where other codes (n, latent_dim) lie on this map, such as those of a path: (n, 2)."""
        return (_plain(codes) - self.centre) @ self.axes.T


def pca_map(codes: Tensor) -> PlaneMap:
    """Project codes (N, latent_dim) on their two principal axes; N at least 3, latent_dim at least 2.

    Each axis points to where its largest entry is positive, so two calls and two machines agree.
    """
    codes = _plain(codes)
    if len(codes) < 3 or codes.shape[1] < 2:
        raise InputError(f"a map needs at least 3 codes of at least 2 latents, but these have shape {codes.shape}.")
    centre = codes.mean(axis=0)
    _, widths, axes = np.linalg.svd(codes - centre, full_matrices=False)
    axes = axes[:2]
    axes = axes * np.sign(axes[[0, 1], np.abs(axes).argmax(axis=1)])[:, None]
    total = np.square(widths).sum()
    explained = np.square(widths[:2]) / total if total else np.zeros(2)
    return PlaneMap((codes - centre) @ axes.T, explained, centre, axes)


def tsne_map(codes: Tensor, perplexity: float = 30, seed: int = 0) -> np.ndarray:
    """t-SNE of codes (N, latent_dim) (van der Maaten & Hinton 2008): (N, 2); needs scikit-learn.

    Neighbours stay neighbours, but distances between clusters mean little. Raises InputError without scikit-learn, for
    more than 5,000 codes (minutes), or no more codes than `perplexity`.
    """
    codes = _plain(codes)
    if not perplexity < len(codes) <= _TSNE_MOST:
        raise InputError(
            f"t-SNE of {len(codes)} codes at perplexity {perplexity:g} is not possible: give more codes "
            f"than the perplexity, and at most {_TSNE_MOST:,}."
        )
    try:
        from sklearn.manifold import TSNE
    except ImportError:
        raise InputError(
            "t-SNE needs the package scikit-learn, which is not installed: `pip install scikit-learn`, or "
            "use the PCA map."
        ) from None
    return TSNE(perplexity=perplexity, random_state=seed, init="pca").fit_transform(codes).astype(np.float64)


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
