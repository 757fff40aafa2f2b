"""A set's pictures laid out on a plane."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vae_helpers.errors import InputError
from vae_helpers.latent import choose_apart
from vae_helpers.show.point_colours import PointColours
from vae_helpers.show.style import ACCENT, INK, QUIET, closed, plain, subplots

_INCHES = np.array([8.0, 5.6])  # of the axes without their labels, a little less than they come out
_THUMB = 0.42  # inches: side of a thumbnail


def show_map(
    points: np.ndarray,
    pictures: np.ndarray,
    path: np.ndarray | None = None,
    labels: tuple[str, str] = ("first principal axis", "second principal axis"),
    title: str = "",
    colours: PointColours | None = None,
) -> Figure:
    """A set on a plane: points (N, 2) with uint8 pictures (N, H, W, 3) where they do not overlap, dots elsewhere.

    `path` (n, 2) is drawn over it from A to B. With `colours` dots and frames of thumbnails have them, with a legend.
    """
    points = _require_fitting(points, pictures, colours)
    figure, axis = subplots(figsize=(9, 6.6 + 0.3 * (colours is not None)))
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1)
    margin = _THUMB / _INCHES * span  # on each side, so that no thumbnail is cut
    chosen = choose_apart((points - low) / (span + 2 * margin) * _INCHES, 1.05 * _THUMB)
    if colours is None:
        axis.scatter(*points.T, s=5, color=QUIET, alpha=0.5, linewidths=0, zorder=1)
    else:
        axis.scatter(*points.T, s=22, color=colours.colours, linewidths=0, zorder=1)
        _paint_legend(axis, colours)
    _paint_thumbnails(axis, points, pictures, chosen, colours)
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


def _require_fitting(points: np.ndarray, pictures: np.ndarray, colours: PointColours | None) -> np.ndarray:
    points = np.asarray(points, float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or len(points) != len(pictures):
        raise InputError(
            f"a map needs one point (N, 2) per picture, but there are points of shape {points.shape} and "
            f"{len(pictures)} pictures."
        )
    if colours is not None and len(colours.colours) != len(points):
        raise InputError(
            f"there are {len(points)} points but {len(colours.colours)} colours: colour the same pictures."
        )
    return points


def _paint_thumbnails(
    axis: Axes, points: np.ndarray, pictures: np.ndarray, chosen: np.ndarray, colours: PointColours | None
) -> None:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    for i in chosen:
        image = OffsetImage(pictures[i], zoom=_THUMB * 72 / pictures[i].shape[0], interpolation="antialiased")
        frame = {} if colours is None else {"edgecolor": colours.colours[i], "linewidth": 2.5}
        box = AnnotationBbox(image, points[i], frameon=colours is not None, pad=0, bboxprops=frame, zorder=2)
        axis.add_artist(box)


def _paint_legend(axis: Axes, colours: PointColours) -> None:
    dots = [
        Line2D([], [], color=entry.colour, marker="o", linestyle="", markersize=6, label=entry.text)
        for entry in colours.legend
    ]
    place = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": min(6, len(dots)) or 1, "frameon": False}
    axis.legend(handles=dots, title=colours.title, fontsize=8, title_fontsize=9, labelcolor=INK, **place)


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
