"""Figures of scores: which latent holds which factor, rate against distortion, and objectives side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from vae_helpers.errors import InputError
from vae_helpers.show.style import ACCENT, COLOURS, INK, LINES, closed, plain, subplots

_HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#f3d9d2", ACCENT, "#5e2317"])
_FAINT = 0.1  # of the largest value: a cell below carries no number and no frame


def show_factor_map(
    matrix: np.ndarray,
    factors: Sequence[str],
    latents: Sequence[int],
    unit: str = "nats",
    title: str = "",
    most: int = 24,
) -> Figure:
    """Latents × factors, (L, F): mutual information of MIG or importance of DCI, a row per latent in the order given.

    `latents` are the rows' numbers, by KL as `evaluation` has them; beyond `most` rows the rest are left out, and the
    axis says so. The best latent of a factor is framed, where it tells a tenth of the largest value or more.
    """
    matrix = np.asarray(matrix, float)
    if matrix.ndim != 2 or matrix.shape != (len(latents), len(factors)) or not matrix.size:
        raise InputError(
            f"a map of {len(latents)} latents and {len(factors)} factors needs a matrix of that shape, "
            f"but got {matrix.shape}."
        )
    shown = matrix[:most]
    height, width = shown.shape
    figure, axis = subplots(figsize=(0.52 * width + 2.4, 0.34 * height + 1.9))
    top = max(float(shown.max()), 1e-9)
    image = axis.imshow(shown, cmap=_HEAT, vmin=0, vmax=top, aspect="auto")
    names = [name.replace("_", " ") for name in factors]
    axis.set_xticks(range(width), names, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(height), [f"z{latent}" for latent in latents[:most]])
    left_out = f", {len(matrix) - most} more left out" if len(matrix) > most else ""
    axis.set_ylabel(f"latents by KL{left_out}", color=INK, fontsize=9)
    axis.set_xticks(np.arange(width + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(height + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.2)
    axis.tick_params(which="both", length=0, colors=INK, labelsize=8)
    axis.spines[:].set_visible(False)
    _paint_values(axis, shown, top)
    bar = figure.colorbar(image, ax=axis, shrink=0.8, pad=0.01, aspect=25)
    bar.set_label(unit, fontsize=8, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=7, length=0)
    return closed(figure, title)


def _paint_values(axis: Axes, matrix: np.ndarray, top: float) -> None:
    """The numbers in the cells, and a frame around the largest of each column, but for those near 0."""
    for row, column in np.argwhere(matrix >= _FAINT * top):
        value = matrix[row, column]
        colour = "white" if value > 0.55 * top else INK
        axis.text(column, row, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=6.5, color=colour)
    for column, row in enumerate(matrix.argmax(axis=0)):
        if matrix[row, column] >= _FAINT * top:
            corner = (column - 0.47, row - 0.46)
            axis.add_patch(Rectangle(corner, 0.94, 0.92, fill=False, edgecolor=INK, linewidth=1))


def show_rate_distortion(
    curves: Mapping[str, Mapping[float, Sequence[tuple[float, float]]]], title: str = "", weight: str = "β"
) -> Figure:
    """Rate against distortion in nats: `{objective: {β: [(rate, distortion) of each seed]}}`.

    Seeds are dots, their medians joined in the order of β and labelled with it; bars reach from the lowest seed to the
    highest. Lower left is better; along a curve β trades one for the other.
    """
    if not curves or not all(len(seeds) for points in curves.values() for seeds in points.values()):
        raise InputError("there is no rate and distortion to show: score at least one run of every β.")
    figure, axis = subplots(figsize=(6.6, 4.2))
    for number, (label, points) in enumerate(curves.items()):
        _paint_trade(axis, number, label, points, weight)
    axis.set_xlabel("rate: KL, nats a picture", color=INK)
    axis.set_ylabel("distortion, nats a picture", color=INK)
    axis.margins(0.1)
    axis.grid(color=LINES, linewidth=0.8)
    axis.set_axisbelow(True)
    if len(curves) > 1:
        axis.legend(frameon=False, fontsize=8)
    plain(axis)
    return closed(figure, title)


def _paint_trade(
    axis: Axes, number: int, label: str, points: Mapping[float, Sequence[tuple[float, float]]], weight: str
) -> None:
    """One curve; the labels of neighbouring curves stand on either side."""
    colour = COLOURS[number % len(COLOURS)]
    betas = sorted(points)
    seeds = [np.asarray(points[beta], float).reshape(-1, 2) for beta in betas]
    medians = np.array([np.median(rows, axis=0) for rows in seeds])
    low, high = (np.array([end(rows, axis=0) for rows in seeds]) for end in (np.min, np.max))
    axis.errorbar(
        *medians.T,
        xerr=np.abs([(medians - low)[:, 0], (high - medians)[:, 0]]),
        yerr=np.abs([(medians - low)[:, 1], (high - medians)[:, 1]]),
        color=colour,
        linewidth=1.4,
        elinewidth=0.8,
        marker="o",
        markersize=5,
        label=label,
        zorder=3,
    )
    every = np.concatenate(seeds)
    axis.scatter(*every.T, s=12, color=colour, alpha=0.35, linewidths=0, zorder=2)
    for beta, (rate, distortion) in zip(betas, medians):
        axis.annotate(
            f"{weight} {beta:g}",
            (rate, distortion),
            textcoords="offset points",
            fontsize=7.5,
            color=colour,
            xytext=(6, 6) if number % 2 else (-5, -5),
            ha="left" if number % 2 else "right",
            va="bottom" if number % 2 else "top",
        )


def show_scores(scores: Mapping[str, Mapping[str, Sequence[float]]], title: str = "", columns: int = 4) -> Figure:
    """Objectives side by side: `{score: {objective: one value per seed}}`, a panel per score, seeds as dots.

    The bar is the median over seeds. Panels share the objectives' rows and have axes of their own, from 0 where all
    values are shares of 1. An objective without a value in a panel keeps its empty row.
    """
    labels = list(dict.fromkeys(label for by_label in scores.values() for label in by_label))
    if not labels or not any(len(values) for by_label in scores.values() for values in by_label.values()):
        raise InputError("there are no scores to show: evaluate at least one run.")
    columns = min(columns, len(scores))
    rows = -(-len(scores) // columns)
    longest = max(len(label) for label in labels)
    size = (2.25 * columns + 0.075 * longest, (0.3 * len(labels) + 0.85) * rows)
    figure, axes = subplots(rows, columns, sharey=True, squeeze=False, figsize=size)
    for axis in axes.flat[len(scores) :]:
        axis.set_visible(False)
    for axis, (name, by_label) in zip(axes.flat, scores.items()):
        _paint_panel(axis, name, by_label, labels)
    return closed(figure, title)


def _paint_panel(axis: Axes, name: str, by_label: Mapping[str, Sequence[float]], labels: Sequence[str]) -> None:
    every = np.concatenate([np.asarray(values, float) for values in by_label.values()])
    for place, label in enumerate(labels):
        values = np.asarray(by_label.get(label, ()), float)
        colour = COLOURS[place % len(COLOURS)]
        if len(values):
            axis.plot(
                [np.median(values)] * 2,
                [place - 0.32, place + 0.32],
                color=colour,
                linewidth=2.4,
                solid_capstyle="round",
                zorder=3,
            )
        # Dots that lie on one another are told apart by a small, fixed step up and down.
        axis.scatter(
            values,
            place + 0.09 * (np.arange(len(values)) % 3 - 1),
            s=20,
            color=colour,
            alpha=0.55,
            linewidths=0,
            zorder=2,
        )
    if len(every) and 0 <= every.min() and every.max() <= 1:
        axis.set_xlim(-0.02 * max(every.max(), 0.1), min(1.03, max(1.15 * every.max(), 0.1)))
    axis.set_title(name, fontsize=9.5, color=INK)
    axis.set_yticks(range(len(labels)), labels)
    axis.set_ylim(len(labels) - 0.4, -0.6)
    axis.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axis.grid(axis="x", color=LINES, linewidth=0.8)
    axis.set_axisbelow(True)
    plain(axis)
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
