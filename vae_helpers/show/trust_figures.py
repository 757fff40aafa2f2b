"""Figures of what can be relied on: an attribute's slider, and the middle of a path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from vae_helpers.errors import InputError
from vae_helpers.latent import Trust
from vae_helpers.show.style import ACCENT, BAD, GOOD, INK, LINES, QUIET, closed, plain, subplots

_WRECKED = 3.0  # dB below the reconstructions' median at which a frame is no picture of the set (scores.drawability)
_MEASURES = (("read-out R²", "readout", 1.0), ("steering slope", "slope", 1.0), ("leak", "leak", 0.0))  # and the best
_KEPT = 0.5  # R² from which an attribute counts as kept
_AMOUNT = LinearSegmentedColormap.from_list("amount", ["#f2f4f6", "#3d6d9e", "#16283c"])
_BOTH_WAYS = LinearSegmentedColormap.from_list("both ways", ["#3d6d9e", "#ffffff", ACCENT])


def show_trust(trusts: Sequence[Trust], correlation: np.ndarray | None = None, title: str = "") -> Figure:
    """How well each attribute's slider does what it says: read-out R², steering slope and leak, the most trusted first.

    A vertical line marks the best value. Sliders that are not to be trusted are grey; a slope that was not to be
    measured is a "?". `correlation` (A, A), in the order of `trusts`, adds a matrix of the attributes' correlation.
    Raises InputError for no attribute, or a matrix of another shape.
    """
    if not len(trusts):
        raise InputError("there is no trust to show: give at least one attribute.")
    if correlation is not None and np.shape(correlation) != (len(trusts), len(trusts)):
        raise InputError(
            f"the correlation of {len(trusts)} attributes must have shape ({len(trusts)}, {len(trusts)}), but has "
            f"{np.shape(correlation)}."
        )
    order = sorted(range(len(trusts)), key=lambda i: (-trusts[i].value, -trusts[i].readout))
    ordered = [trusts[i] for i in order]
    height = 0.26 * len(trusts) + 1.1
    matrix_width = 0 if correlation is None else 0.3 * len(trusts) + 1.2
    widths = [2.2, 2.2, 2.2] + [matrix_width] * (correlation is not None)
    names = [t.name.replace("_", " ") for t in ordered]
    figure, axes = subplots(
        1, len(widths), figsize=(sum(widths) + 0.09 * max(map(len, names)), height), width_ratios=widths
    )
    for axis, (label, field, best) in zip(axes, _MEASURES):
        _paint_measure(axis, ordered, label, field, best)
    axes[0].set_yticks(range(len(names)), names)
    if correlation is not None:
        _paint_correlation(axes[-1], np.asarray(correlation, float)[np.ix_(order, order)], names)
    return closed(figure, title)


def show_what_moves(
    panels: Mapping[str, tuple[np.ndarray, Sequence[str]]], attributes: Sequence[str], title: str = ""
) -> Figure:
    """What moves while one slider is swept, side by side: `{title: (matrix (sliders, A), names of the sliders)}`.

    Matrices as `scores.what_moves` gives them: 1 is as far as pictures of the set differ; NaN cells stay empty. Raises
    InputError for no panel, or a matrix of another shape.
    """
    shapes = {name: (np.shape(matrix), (len(rows), len(attributes))) for name, (matrix, rows) in panels.items()}
    wrong = [name for name, (found, due) in shapes.items() if found != due or not all(due)]
    if not panels or wrong:
        said = ", ".join(f"{name}: {shapes[name][0]} for {shapes[name][1]}" for name in wrong)
        raise InputError(
            f"there is nothing to compare: give a matrix of sliders and attributes each ({said or 'none'})."
        )
    tallest = max(len(rows) for _, rows in panels.values())
    longest = max(len(name) for _, rows in panels.values() for name in rows)
    size = (len(panels) * (0.3 * len(attributes) + 0.07 * longest) + 0.8, 0.27 * tallest + 1.9)
    figure, axes = subplots(1, len(panels), figsize=size, squeeze=False)
    names = [name.replace("_", " ") for name in attributes]
    for axis, (panel, (matrix, rows)) in zip(axes[0], panels.items()):
        image = axis.imshow(matrix, cmap=_AMOUNT, vmin=0, vmax=1, aspect="auto")
        axis.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
        axis.set_yticks(range(len(rows)), [row.replace("_", " ") for row in rows])
        axis.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
        axis.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
        axis.grid(which="minor", color="white", linewidth=1.2)
        axis.tick_params(which="both", length=0, colors=INK, labelsize=7.5)
        axis.spines[:].set_visible(False)
        axis.set_title(panel, fontsize=9.5, color=INK)
    bar = figure.colorbar(image, ax=axes[0], shrink=0.7, pad=0.01, aspect=25, extend="max")
    bar.set_label("moves by, in spreads of the set", fontsize=8, color=INK)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=INK, labelsize=7, length=0)
    return closed(figure, title)


def show_readout(trusts: Sequence[Trust], title: str = "") -> Figure:
    """What a code keeps of each attribute and what it drops: the read-out R² on held-out pictures, best first.

    Of a category the share read right. What is read worse than half is drawn as dropped. InputError for no attribute.
    """
    if not len(trusts):
        raise InputError("there is nothing to show: give at least one attribute.")
    ordered = sorted(trusts, key=lambda t: -np.nan_to_num(t.readout, nan=-1.0))
    values = np.nan_to_num([t.readout for t in ordered]).clip(0, 1)
    names = [t.name.replace("_", " ") for t in ordered]
    figure, axis = subplots(figsize=(6.0, 0.26 * len(names) + 0.9))
    axis.barh(range(len(values)), values, height=0.66, color=[GOOD if v >= _KEPT else BAD for v in values], zorder=2)
    for row, value in enumerate(values):
        word = "" if value >= _KEPT else "   dropped"
        axis.text(value + 0.01, row, f"{value:.2f}{word}", va="center", fontsize=7.5, color=INK)
    axis.set_yticks(range(len(names)), names)
    axis.set(ylim=(len(values) - 0.4, -0.6), xlim=(0, 1.15))
    axis.set_xlabel(
        "read from the code of a held-out picture: R², of a category the share right", fontsize=8, color=INK
    )
    plain(axis)
    axis.tick_params(axis="y", length=0)
    return closed(figure, title)


def _paint_measure(axis: Axes, trusts: Sequence[Trust], label: str, field: str, best: float) -> None:
    values = np.array([getattr(t, field) for t in trusts], float)
    colours = [GOOD if t.trusted else QUIET for t in trusts]
    axis.barh(range(len(values)), np.nan_to_num(values), height=0.66, color=colours, zorder=2)
    right = max(1.0, np.nan_to_num(values).max())
    for row, value in enumerate(values):
        text = "?" if np.isnan(value) else f"{value:.2f}"
        axis.text(1.28 * right, row, text, ha="right", va="center", fontsize=7.5, color=INK)
    axis.axvline(best, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    axis.set(ylim=(len(values) - 0.4, -0.6), xlim=(min(0.0, np.nan_to_num(values).min()), 1.3 * right), yticks=[])
    axis.set_title(f"{label}, best {best:g}", fontsize=9, color=INK)
    plain(axis)
    axis.tick_params(axis="y", length=0)


def _paint_correlation(axis: Axes, correlation: np.ndarray, names: Sequence[str]) -> None:
    axis.imshow(correlation, cmap=_BOTH_WAYS, vmin=-1, vmax=1, aspect="auto")
    for row, line in enumerate(correlation):
        for column, r in enumerate(line):
            if row != column and abs(r) >= 0.1:
                text = f"{r:.1f}".replace("0.", ".")
                colour = "white" if abs(r) > 0.6 else INK
                axis.text(column, row, text, fontsize=6, ha="center", va="center", color=colour)
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right", rotation_mode="anchor")
    axis.set_yticks([])
    axis.set_title("correlation in the set", fontsize=9, color=INK)
    axis.tick_params(colors=INK, labelsize=7, length=0)
    axis.spines[:].set_visible(False)


def show_kinds(values_by_kind: Mapping[str, Sequence[float]], title: str = "") -> Figure:
    """The share of frames that come within 3 dB of reconstructions, a bar per kind, and their drawability.

    `values_by_kind` is `{kind: drawability of each frame in dB}`; among them "reconstructions", whose median
    less 3 dB is the mark (`scores.share_drawable`). Dots on the right are single pictures, lines their medians.
    Raises InputError where a kind has no value, or the reconstructions are missing.
    """
    if "reconstructions" not in values_by_kind or not all(map(len, values_by_kind.values())):
        raise InputError(
            "there is nothing to compare: give the drawability of at least one middle of each kind of path, and of "
            "'reconstructions'."
        )
    mark = float(np.median(values_by_kind["reconstructions"])) - _WRECKED
    rows = {kind: np.asarray(values, float) for kind, values in values_by_kind.items()}
    figure, (shares, dots) = subplots(1, 2, sharey=True, figsize=(8.6, 0.42 * len(rows) + 1.3))
    for place, values in enumerate(rows.values()):
        share = float((values >= mark).mean())
        shares.barh(place, share, height=0.62, color=GOOD, zorder=2)
        shares.barh(place, 1 - share, left=share, height=0.62, color=LINES, zorder=2)
        shares.text(1.02, place, f"{share:.0%} of {len(values)}", va="center", fontsize=8, color=INK)
        shift = 0.09 * (np.arange(len(values)) % 5 - 2)
        colours = np.where(values >= mark, GOOD, BAD)
        dots.scatter(values, place + shift, s=12, c=colours, alpha=0.6, linewidths=0, zorder=2)
        middle = np.median(values)
        dots.plot([middle] * 2, [place - 0.34, place + 0.34], color=INK, linewidth=2, zorder=3)
        dots.text(middle, place - 0.37, f"{middle:.1f} dB", ha="center", va="bottom", fontsize=7, color=INK)
    dots.axvline(mark, color=INK, linewidth=0.8, linestyle=":", zorder=1)
    shares.set(xlim=(0, 1.22), xticks=[0, 0.5, 1], xticklabels=["0", "50 %", "100 %"], ylim=(len(rows) - 0.4, -0.75))
    shares.set_yticks(range(len(rows)), list(rows))
    shares.set_title("within 3 dB of reconstructions", fontsize=9, color=INK)
    dots.set_title(f"drawability in dB; the mark is {mark:.1f}", fontsize=9, color=INK)
    for axis in (shares, dots):
        plain(axis)
        axis.tick_params(axis="y", length=0)
    return closed(figure, title)
