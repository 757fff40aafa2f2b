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
