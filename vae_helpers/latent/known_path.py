"""A path near the training codes that needs no attributes: from training code to training code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.curves import lerp

_NEIGHBOURS = 10
_POWER = 3  # of the distance, as an edge's cost: many short edges are cheaper than one long one
_SMOOTHING = 0.5  # standard deviation of the smoothing, in edges of the path
_POINTS = 65


def known_curve(known: Tensor, a: Tensor, b: Tensor, active: np.ndarray | None = None) -> Callable[[Tensor], Tensor]:
    """The cheapest way from code a to code b, (latent_dim,) each, through the training codes `known` (N, latent_dim).

    The shortest path (Dijkstra) in the graph of the 10 nearest neighbours over the `active` latents (default: all), an
    edge costing distance³; then smoothed, and moved along at even speed. Returns a curve: fractions of the way (n,) in
    [0, 1] => codes (n, latent_dim), exact at 0 and 1. Where no way leads from a to b it is the straight line.
    Raises InputError for fewer than two known codes, or codes of another size.
    """
    if known.dim() != 2 or len(known) < 2 or known.shape[1] != len(a) or a.shape != b.shape:
        raise InputError(
            f"a path through known codes needs at least 2 of them, (N, {len(a)}), but these have shape "
            f"{tuple(known.shape)}."
        )
    nodes = torch.cat([known, a[None], b[None]]).detach().cpu().double().numpy()
    dims = np.arange(nodes.shape[1]) if active is None or not len(active) else np.asarray(active)
    stops = nodes[_cheapest_way(nodes[:, dims])]
    edges = np.linalg.norm(np.diff(stops[:, dims], axis=0), axis=1)
    covered = np.concatenate([[0], np.cumsum(edges)])
    if len(stops) == 2 or not covered[-1]:
        return lambda t: lerp(a, b, t)
    places = np.linspace(0, covered[-1], _POINTS)
    line = np.linspace(0, 1, _POINTS)[:, None] * (stops[-1] - stops[0]) + stops[0]
    way = np.stack([np.interp(places, covered, column) for column in stops.T], axis=1)
    bend = torch.from_numpy(_smoothed(way - line, _SMOOTHING * _POINTS / len(stops))).to(a.dtype)
    return lambda t: lerp(a, b, t) + _at(bend, t)


def _cheapest_way(nodes: np.ndarray) -> list[int]:
    """Indices of nodes (N, dims) from the last but one to the last."""
    from scipy.sparse.csgraph import dijkstra
    from sklearn.neighbors import NearestNeighbors

    neighbours = min(_NEIGHBOURS, len(nodes) - 1)
    graph = NearestNeighbors(n_neighbors=neighbours).fit(nodes).kneighbors_graph(mode="distance")
    graph.data = np.maximum(graph.data, 1e-12) ** _POWER  # a cost of 0 would read as no edge
    start, end = len(nodes) - 2, len(nodes) - 1
    _, before = dijkstra(graph.maximum(graph.T), directed=False, indices=start, return_predecessors=True)
    way = [end]
    while way[-1] != start:
        if before[way[-1]] < 0:
            return [start, end]
        way.append(int(before[way[-1]]))
    return way[::-1]


def _smoothed(bend: np.ndarray, sigma: float) -> np.ndarray:
    """A bend (points, latent_dim) with zero ends, smoothed by a Gaussian; continued as an odd function at the ends."""
    from scipy.ndimage import gaussian_filter1d

    last = len(bend) - 1
    mirrored = np.concatenate([-bend[:0:-1], bend, -bend[-2::-1]])
    smooth = gaussian_filter1d(mirrored, sigma, axis=0)[last : 2 * last + 1]
    smooth[[0, -1]] = 0
    return smooth


def _at(bend: Tensor, t: Tensor) -> Tensor:
    """The bend (points, latent_dim) at fractions of the way (n,): (n, latent_dim), exactly 0 at both ends."""
    place = t.clamp(0, 1) * (len(bend) - 1)
    left = place.long().clamp(max=len(bend) - 2)
    share = (place - left)[:, None]
    return (1 - share) * bend[left] + share * bend[left + 1]
