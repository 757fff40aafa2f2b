"""Figures of the path inspector and the map of a set; like those of `figures`, each is returned closed."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

from vae_helpers.errors import InputError
from vae_helpers.latent import FactorReader, PathReport, choose_apart

_INK, _ACCENT, _QUIET, _GOOD = "#333333", "#c8553d", "#9aa5b1", "#4c8c6b"
_COLOURS = ("#2f80d0", "#dd7a1e", "#4c8c6b", "#8e5ea2", "#7f6a55", "#c8553d")
_FAR = 2.0  # the support meter is full at this many typical distances


def show_inspection(
    reports: dict[str, PathReport], training_pictures: np.ndarray | None = None, title: str = ""
) -> Figure:
    """Paths side by side, `{name: report}`, all of as many frames: each with its support meter, under all the changes.

    The meter under a frame fills with the distance to the nearest training code, in typical distances; the line in its
    middle is 1, as far as a new picture of the set lies. `training_pictures` uint8 (N, H, W, 3), indexed as the
    Support's `rows` say, adds under each frame the nearest training picture: memory or invention?
    """
    steps = _require_reports(reports)
    if training_pictures is not None and any(r.support is None for r in reports.values()):
        raise InputError("the nearest training pictures are not known, because a path was inspected without a Support.")
    heights, rows = [], []
    for name, report in reports.items():
        kinds = [
            "frames",
            *(["meter"] if report.support is not None else []),
            *(["nearest"] if training_pictures is not None else []),
        ]
        rows += [(name, kind) for kind in kinds]
        heights += [{"frames": 1, "meter": 0.3, "nearest": 1}[kind] for kind in kinds]
    side = min(1.1, 11 / steps)
    size = (side * steps + 1.6, side * sum(heights) + 2.1 + 0.3 * bool(title))
    figure, axes = plt.subplots(
        len(rows) + 1, 1, figsize=size, height_ratios=[*heights, 1.7 / side], squeeze=False, layout="constrained"
    )
    figure.get_layout_engine().set(h_pad=0.01, hspace=0.01)
    for axis, (name, kind) in zip(axes[:, 0], rows):
        report = reports[name]
        if kind == "meter":
            _draw_meter(axis, report.support.distance)
        else:
            pictures = report.path.frames if kind == "frames" else training_pictures[report.support.nearest]
            _draw_strip(axis, pictures)
        if kind == "frames":
            text = f"{name}\n{report.picture_length:.0f} levels long\n{report.latent_length:.1f} in z"
        else:
            text = "support" if kind == "meter" else "nearest in\ntraining set"
        axis.set_ylabel(
            text,
            rotation=0,
            ha="right",
            va="center",
            fontsize=9 if kind == "frames" else 8,
            color=_INK if kind == "frames" else "#66707a",
        )
    _draw_changes(axes[-1, 0], reports, steps)
    return _closed(figure, title)


def show_factors(reports: dict[str, PathReport], reader: FactorReader, best: int = 8, title: str = "") -> Figure:
    """The true factors along each path, as the reader sees them, for the `best` factors by their held-out score.

    The score stands over each curve: R² of a number (1 is perfect, 0 is guessing the mean), or the share of held-out
    pictures whose category was read right against the share that guessing gets.
    """
    _require_reports(reports)
    if any(r.factors is None for r in reports.values()):
        raise InputError("no factors were read along these paths: inspect them with a FactorReader.")
    order = np.argsort(-np.nan_to_num(reader.score, nan=-np.inf), kind="stable")[: max(1, best)]
    columns = min(4, len(order))
    rows = -(-len(order) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.9 * columns, 1.9 * rows + 0.35), squeeze=False, layout="constrained"
    )
    for axis in axes.flat[len(order) :]:
        axis.axis("off")
    for axis, which in zip(axes.flat, order):
        factor = reader.table[which]
        for colour, (name, report) in zip(_COLOURS, reports.items()):
            at = np.linspace(0, 1, len(report.factors))
            if factor.choices:
                axis.step(at, report.factors[:, which], where="mid", color=colour, label=name, linewidth=1.5)
            else:
                axis.plot(at, report.factors[:, which], color=colour, label=name, linewidth=1.5)
        score = (
            f"{reader.score[which]:.0%} right, by guessing {reader.chance[which]:.0%}"
            if factor.choices
            else f"R² {reader.score[which]:.2f}"
        )
        axis.set_title(f"{factor.name.replace('_', ' ')}  ({score})", fontsize=8, color=_INK)
        margin = 0.06 * (factor.high - factor.low)
        axis.set(ylim=(factor.low - margin, factor.high + margin), xticks=[0, 1], xticklabels=["A", "B"])
        if factor.choices:
            axis.set_yticks(range(len(factor.choices)), factor.choices)
        _plain(axis)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    return _closed(figure, title)


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
    figure, axis = plt.subplots(figsize=(9, 6.6), layout="constrained")
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, 1)
    inches = np.array([8.0, 5.6])  # the axes without their labels, a little less than they come out
    room = thumbnail / inches * span  # on each side, so that no thumbnail is cut
    shown = choose_apart((points - low) / (span + 2 * room) * inches, 1.05 * thumbnail)
    axis.scatter(*points.T, s=5, color=_QUIET, alpha=0.5, linewidths=0, zorder=1)
    pictures = np.asarray(pictures)
    for i in shown:
        image = OffsetImage(pictures[i], zoom=thumbnail * 72 / pictures.shape[1], interpolation="antialiased")
        axis.add_artist(AnnotationBbox(image, points[i], frameon=False, pad=0, zorder=2))
    if path is not None:
        axis.plot(*path.T, color="white", linewidth=4, zorder=5)
        axis.plot(*path.T, color=_ACCENT, linewidth=1.6, marker="o", markersize=3, zorder=6)
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
                bbox={"boxstyle": "circle,pad=0.25", "facecolor": _ACCENT, "edgecolor": "white"},
            )
    axis.set(
        xlim=(low[0] - room[0], high[0] + room[0]),
        ylim=(low[1] - room[1], high[1] + room[1]),
        xlabel=labels[0],
        ylabel=labels[1],
    )
    _plain(axis)
    return _closed(figure, title)


def _draw_strip(axis: plt.Axes, pictures: Sequence[np.ndarray]) -> None:
    """Frames beside each other, each in a cell of width 1, so that meters and curves below line up."""
    for i, picture in enumerate(pictures):
        axis.imshow(picture, extent=(i + 0.02, i + 0.98, 0, 0.96), interpolation="antialiased")
    axis.set(xlim=(0, len(pictures)), ylim=(0, 0.96), aspect="auto")
    _bare(axis)


def _draw_meter(axis: plt.Axes, distance: np.ndarray) -> None:
    at = np.arange(len(distance)) + 0.08
    axis.barh(np.full(len(at), 0.72), 0.84, height=0.3, left=at, color="#e6e9ec")
    colours = [_GOOD if d <= 1 else "#e0a030" if d <= 1.5 else _ACCENT for d in distance]
    axis.barh(np.full(len(at), 0.72), 0.84 * np.minimum(distance, _FAR) / _FAR, height=0.3, left=at, color=colours)
    axis.vlines(at + 0.42, 0.53, 0.91, color=_INK, linewidth=0.8)
    for i, d in enumerate(distance):
        axis.text(i + 0.5, 0.2, f"{d:.2f}", fontsize=7, ha="center", va="center", color=_INK)
    axis.set(xlim=(0, len(distance)), ylim=(0, 1))
    _bare(axis)


def _draw_changes(axis: plt.Axes, reports: dict[str, PathReport], steps: int) -> None:
    """Each step's change, drawn between the two frames that it joins."""
    for colour, (name, report) in zip(_COLOURS, reports.items()):
        axis.plot(
            np.arange(1, steps),
            report.change,
            color=colour,
            marker="o",
            markersize=3,
            linewidth=1.4,
            label=f"{name}: largest step {report.unevenness:.2f} × mean",
        )
    highest = max(report.change.max() for report in reports.values())
    axis.set(xlim=(0, steps), ylim=(0, 1.45 * max(highest, 1e-9)), xticks=[0.5, steps - 0.5], xticklabels=["A", "B"])
    axis.set_ylabel("change per step,\ngrey levels", fontsize=8, color=_INK)
    axis.legend(frameon=False, fontsize=8, loc="upper center", ncols=min(3, len(reports)))
    _plain(axis)


def _require_reports(reports: dict[str, PathReport]) -> int:
    """The number of frames, the same in all reports."""
    if not reports:
        raise InputError("there is no path to show: inspect at least one.")
    if len(reports) > len(_COLOURS):
        raise InputError(f"{len(reports)} paths are too many for one figure: show at most {len(_COLOURS)}.")
    counts = {len(report.path.frames) for report in reports.values()}
    if len(counts) > 1:
        raise InputError(
            f"paths of {', '.join(map(str, sorted(counts)))} frames do not line up: give all as many steps."
        )
    return counts.pop()


def _bare(axis: plt.Axes) -> None:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def _plain(axis: plt.Axes) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(colors=_INK, labelsize=8)


def _closed(figure: Figure, title: str) -> Figure:
    if title:
        figure.suptitle(title, fontsize=11, color=_INK)
    plt.close(figure)  # pyplot must not show it a second time, nor keep it for ever
    return figure
