"""Figures of the path inspector: frames with their verdicts, changes of the picture, factors along the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vae_helpers.errors import InputError
from vae_helpers.latent import BROKEN, FactorReader, PathReport, Soundness
from vae_helpers.show.style import BAD, FAINT, FAIR, GOOD, INK, bare, closed, plain, subplots

_COLOURS = ("#2f80d0", "#dd7a1e", "#4c8c6b", "#8e5ea2", "#7f6a55", "#c8553d")
_LEVELS = ((GOOD, "{:.1f}"), (FAIR, "{:.1f} ?"), (BAD, "{:.1f} ✕"))  # sound, doubtful, broken
_HEIGHTS = {"frames": 1, "verdict": 0.28, "distance": 0.2, "nearest": 1}
_LABELS = {"verdict": "re-encode error", "distance": "distance", "nearest": "nearest in\ntraining set"}


def show_inspection(
    reports: dict[str, PathReport], training_pictures: np.ndarray | None = None, title: str = ""
) -> Figure:
    """Paths above each other, `{name: report}`, all of as many frames, and the change at each step of all of them.

    Under a frame stand its re-encode error in units of the held-out pictures' median, if it was judged by a Soundness,
    green where sound, amber and "?" where doubtful, red and "✕" where broken; and its code's distance from the training
    codes, in typical distances, if there was a Support. `training_pictures` uint8 (N, H, W, 3), indexed as the
    Support's `rows` say, adds the nearest training picture.
    """
    steps = _require_reports(reports)
    if training_pictures is not None and any(r.support is None for r in reports.values()):
        raise InputError("the nearest training pictures are not known, because a path was inspected without a Support.")
    rows = [
        (name, report, kind)
        for name, report in reports.items()
        for kind in _kinds_of_rows(report, training_pictures is not None)
    ]
    heights = [_HEIGHTS[kind] for *_, kind in rows]
    side = min(1.1, 11 / steps)
    size = (side * steps + 1.6, side * sum(heights) + 2.1 + 0.3 * bool(title))
    figure, axes = subplots(len(rows) + 1, 1, figsize=size, height_ratios=[*heights, 1.7 / side], squeeze=False)
    figure.get_layout_engine().set(h_pad=0.01, hspace=0.01)  # type: ignore[call-arg]
    for axis, (name, report, kind) in zip(axes[:, 0], rows):
        _paint_row(axis, name, report, kind, training_pictures)
    _paint_changes(axes[-1, 0], reports, steps)
    return closed(figure, title)


def show_factors(reports: dict[str, PathReport], reader: FactorReader, best: int = 8, title: str = "") -> Figure:
    """The true factors along each path, as the reader sees them, for the `best` factors by their held-out score.

    The score stands over each curve: R² of a number (1 is perfect, 0 is guessing the mean), or the share of held-out
    pictures whose category was read right against the share that guessing gets. Where a frame is broken the curve has a
    gap, and a cross at the bottom.
    """
    _require_reports(reports)
    if any(r.factors is None for r in reports.values()):
        raise InputError("no factors were read along these paths: inspect them with a FactorReader.")
    order = np.argsort(-np.nan_to_num(reader.score, nan=-np.inf), kind="stable")[: max(1, best)]
    columns = min(4, len(order))
    rows = -(-len(order) // columns)
    figure, axes = subplots(rows, columns, figsize=(2.9 * columns, 1.9 * rows + 0.35), squeeze=False)
    for axis in axes.flat[len(order) :]:
        axis.axis("off")
    for axis, which in zip(axes.flat, order):
        _paint_factor(axis, reports, reader, which)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=8)
    return closed(figure, title)


def show_samples(
    samples: Mapping[str, np.ndarray], soundness: Soundness | None = None, shown: int = 12, title: str = ""
) -> Figure:
    """The first `shown` samples of each kind, `{kind: uint8 (n, H, W, 3)}`, a row each.

    With a `soundness` the verdict stands under each as in `show_inspection`, and beside a row the share of all n that
    passes (is not broken). Raises InputError for no kind, or one without pictures.
    """
    if not samples or not all(map(len, samples.values())):
        raise InputError("there are no samples to show: give at least one picture of each kind.")
    columns = max(min(len(pictures), shown) for pictures in samples.values())
    heights = [_HEIGHTS["frames"]] + [_HEIGHTS["verdict"]] * (soundness is not None)
    side = min(1.1, 11 / columns)
    figure, axes = subplots(
        len(samples) * len(heights),
        1,
        figsize=(side * columns + 1.6, side * len(samples) * sum(heights) + 0.3 * bool(title)),
        height_ratios=heights * len(samples),
        squeeze=False,
    )
    figure.get_layout_engine().set(h_pad=0.01, hspace=0.01)  # type: ignore[call-arg]
    for (kind, pictures), (first, *below) in zip(samples.items(), axes[:, 0].reshape(len(samples), -1)):
        _paint_strip(first, pictures[:columns])
        label = kind
        for axis in below:
            verdict = soundness.judge(pictures)
            _paint_verdict(axis, verdict.error[:columns], verdict.level[:columns])
            label = f"{kind}\n{(verdict.level < BROKEN).mean():.0%} of {len(pictures)}\npass the check"
        first.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9, color=INK)
    return closed(figure, title)


def _kinds_of_rows(report: PathReport, nearest: bool) -> list[str]:
    shown = {"verdict": report.verdict is not None, "distance": report.support is not None, "nearest": nearest}
    return ["frames", *(kind for kind, there in shown.items() if there)]


def _paint_row(axis: Axes, name: str, report: PathReport, kind: str, training_pictures: np.ndarray | None) -> None:
    if kind == "verdict":
        _paint_verdict(axis, report.verdict.error, report.verdict.level)
    elif kind == "distance":
        _paint_numbers(axis, [f"{distance:.2f}" for distance in report.support.distance])
    else:
        _paint_strip(axis, report.path.frames if kind == "frames" else training_pictures[report.support.nearest])
    lengths = f"{name}\n{report.picture_length:.0f} levels long\n{report.latent_length:.1f} in z"
    first = kind == "frames"
    axis.set_ylabel(
        lengths if first else _LABELS[kind],
        rotation=0,
        ha="right",
        va="center",
        fontsize=9 if first else 8,
        color=INK if first else FAINT,
    )


def _paint_strip(axis: Axes, pictures: Sequence[np.ndarray]) -> None:
    """Frames beside each other, each in a cell of width 1, so that numbers and curves below line up."""
    for i, picture in enumerate(pictures):
        axis.imshow(picture, extent=(i + 0.02, i + 0.98, 0, 0.96), interpolation="antialiased")
    axis.set(xlim=(0, len(pictures)), ylim=(0, 0.96), aspect="auto")
    bare(axis)


def _paint_verdict(axis: Axes, error: np.ndarray, level: np.ndarray) -> None:
    colours, texts = zip(*(_LEVELS[each] for each in level))
    axis.bar(np.arange(len(error)) + 0.5, 0.8, width=0.92, bottom=0.1, color=colours)
    _paint_numbers(axis, [text.format(value) for text, value in zip(texts, error)], "white")


def _paint_numbers(axis: Axes, texts: Sequence[str], colour: str = INK) -> None:
    for i, text in enumerate(texts):
        axis.text(i + 0.5, 0.48, text, fontsize=7, ha="center", va="center", color=colour)
    axis.set(xlim=(0, len(texts)), ylim=(0, 1))
    bare(axis)


def _paint_factor(axis: Axes, reports: dict[str, PathReport], reader: FactorReader, which: int) -> None:
    factor = reader.table[which]
    margin = 0.06 * (factor.high - factor.low)
    for colour, (name, report) in zip(_COLOURS, reports.items()):
        at, values = np.linspace(0, 1, len(report.factors)), report.factors[:, which]
        style = {"color": colour, "linewidth": 1.5, "marker": "o", "markersize": 2, "label": name}
        if factor.choices:
            axis.step(at, values, where="mid", **style)
        else:
            axis.plot(at, values, **style)
        broken = at[np.isnan(values)]
        axis.scatter(broken, np.full(len(broken), factor.low), marker="x", s=14, linewidths=1, color=colour)
    score = (
        f"{reader.score[which]:.0%} right, by guessing {reader.chance[which]:.0%}"
        if factor.choices
        else f"R² {reader.score[which]:.2f}"
    )
    axis.set_title(f"{factor.name.replace('_', ' ')}  ({score})", fontsize=8, color=INK)
    axis.set(
        xlim=(-0.05, 1.05), ylim=(factor.low - margin, factor.high + margin), xticks=[0, 1], xticklabels=["A", "B"]
    )
    if factor.choices:
        axis.set_yticks(range(len(factor.choices)), factor.choices)
    plain(axis)


def _paint_changes(axis: Axes, reports: dict[str, PathReport], steps: int) -> None:
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
    axis.set_ylabel("change per step,\ngrey levels", fontsize=8, color=INK)
    axis.legend(frameon=False, fontsize=8, loc="upper center", ncols=min(3, len(reports)))
    plain(axis)


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
