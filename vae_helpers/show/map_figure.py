"""A set's pictures laid out on a plane."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_helpers.errors import InputError
from vae_helpers.latent import choose_apart
from vae_helpers.show.style import ACCENT, QUIET, closed, plain, subplots

_INCHES = np.array([8.0, 5.6])  # of the axes without their labels, a little less than they come out


def show_map(
    points: np.ndarray,
    pictures: np.ndarray,
    path: np.ndarray | None = None,
    labels: tuple[str, str] = ("first principal axis", "second principal axis"),
    title: str = "",
    thumbnail: float = 0.42,
) -> Figure:
    """A set on a plane: points (N, 2) with uint8 pictures (N, H, W, 3) where they do not overlap, dots elsewhere.

    `path` (n, 2) is drawn over it from A to B. `thumbnail` is the side in inches.
    """
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or len(points) != len(pictures):
        raise InputError(
            f"a map needs one point (N, 2) per picture, but there are points of shape {points.shape} and "
            f"{len(pictures)} pictures."
        )
    figure, axis = subplots(figsize=(9, 6.6))
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1)
    margin = thumbnail / _INCHES * span  # on each side, so that no thumbnail is cut
    chosen = choose_apart((points - low) / (span + 2 * margin) * _INCHES, 1.05 * thumbnail)
    axis.scatter(*points.T, s=5, color=QUIET, alpha=0.5, linewidths=0, zorder=1)
    _paint_thumbnails(axis, points[chosen], np.asarray(pictures)[chosen], thumbnail)
    if path is not None:
        _paint_path(axis, path)
    axis.set(
        xlim=(low[0] - margin[0], high[0] + margin[0]),
        ylim=(low[1] - margin[1], high[1] + margin[1]),
        xlabel=labels[0],
        ylabel=labels[1],
    )
    plain(axis)
    return closed(figure, title)


def _paint_thumbnails(axis: Axes, points: np.ndarray, pictures: np.ndarray, side: float) -> None:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    for point, picture in zip(points, pictures):
        image = OffsetImage(picture, zoom=side * 72 / picture.shape[0], interpolation="antialiased")
        axis.add_artist(AnnotationBbox(image, point, frameon=False, pad=0, zorder=2))


def _paint_path(axis: Axes, path: np.ndarray) -> None:
    axis.plot(*path.T, color="white", linewidth=4, zorder=5)
    axis.plot(*path.T, color=ACCENT, linewidth=1.6, marker="o", markersize=3, zorder=6)
    for place, name in ((path[0], "A"), (path[-1], "B")):
        axis.annotate(
            name,
            place,
            color="white",
            fontsize=9,
            fontweight="bold",
            ha="center",
            va="center",
            zorder=7,
            bbox={"boxstyle": "circle,pad=0.25", "facecolor": ACCENT, "edgecolor": "white"},
        )
