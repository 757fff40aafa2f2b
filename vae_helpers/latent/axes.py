"""What a slider moves: an attribute, a latent, a principal component or a direction made by hand, all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.chart import Chart
from vae_helpers.latent.codes import LatentSummary
from vae_helpers.latent.kept_directions import KeptDirection

_REACH = 3.0  # spreads from the mean to the ends of a latent's or a component's range


@dataclass(frozen=True, eq=False)
class Axis:
    """A way to move a code (latent_dim,): `start` is its value there, `move` changes the code to another value.

    `low` to `high` is the range, `choices` names the values 0, 1, ... of a category; `trust` is 0 to 1, None where
    nothing was measured. Moving to the start's own value gives the code, bit for bit.
    """

    name: str
    unit: str
    low: float
    high: float
    trust: float | None = None
    choices: tuple[str, ...] = ()
    kind = "axis"

    @property
    def trusted(self) -> bool:
        """False where it was measured to do something else than it says."""
        return self.trust is None or self.trust >= TRUSTED

    def start(self, code: Tensor) -> float:
        """The value at a code (latent_dim,)."""
        raise NotImplementedError

    def move(self, code: Tensor, value: float | np.ndarray) -> Tensor:
        """The code at a value => (latent_dim,), or at several (n,) => (n, latent_dim)."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class AttributeAxis(Axis):
    """Moves an attribute of a chart; `way` as in `Chart.move`."""

    chart: Chart | None = None
    way: str = "conditional"
    kind = "attribute"

    def start(self, code: Tensor) -> float:
        return float(self.chart.read(code[None])[0, self.chart.column(self.name)])

    def move(self, code: Tensor, value: float | str | np.ndarray) -> Tensor:
        return self.chart.move(code, self.name, value, self.way)


@dataclass(frozen=True, eq=False)
class LatentAxis(Axis):
    """Moves one latent."""

    latent: int = 0
    kind = "latent"

    def start(self, code: Tensor) -> float:
        return float(code[self.latent])

    def move(self, code: Tensor, value: float | np.ndarray) -> Tensor:
        values = torch.as_tensor(np.atleast_1d(np.asarray(value, np.float64))).to(code.dtype)
        moved = code.repeat(len(values), 1)
        moved[:, self.latent] = values
        return moved if np.ndim(value) else moved[0]


@dataclass(frozen=True, eq=False)
class LineAxis(Axis):
    """Moves along a straight line: the value is how many `vector`s (latent_dim,) a code lies from `origin`."""

    vector: np.ndarray | None = None
    origin: np.ndarray | None = None
    kind: str = "component"

    def start(self, code: Tensor) -> float:
        z = np.asarray(code.detach().cpu(), np.float64) - self.origin
        return float(z @ self.vector / (self.vector @ self.vector))

    def move(self, code: Tensor, value: float | np.ndarray) -> Tensor:
        step = np.atleast_1d(np.asarray(value, np.float64)) - self.start(code)
        moved = code.detach().cpu().double() + torch.from_numpy(step[:, None] * self.vector)
        return moved.to(code.dtype) if np.ndim(value) else moved[0].to(code.dtype)


def attribute_axes(chart: Chart, trust: Sequence[Trust] = (), way: str = "conditional") -> list[AttributeAxis]:
    """An axis for each attribute of a chart, the most trusted first."""
    value = {t.name: t.value for t in trust}
    return by_trust(
        [
            AttributeAxis(a.name, a.unit, a.low, a.high, value.get(a.name), a.choices, chart=chart, way=way)
            for a in chart.table
        ]
    )


def latent_axes(summary: LatentSummary) -> list[LatentAxis]:
    """An axis for each active latent, the one with the highest KL first; mean ± 3 spreads."""
    reach = _REACH * summary.spread
    low, high = (summary.mean - reach).tolist(), (summary.mean + reach).tolist()
    return [LatentAxis(f"latent {j}", "", low[j], high[j], latent=j) for j in summary.active.tolist()]


def component_axes(codes: Tensor, count: int = 8) -> list[LineAxis]:
    """The principal components of training codes (N, latent_dim), largest first (GANSpace, Härkönen 2020, sec. 2.1).

    Values are in standard deviations from the mean code. InputError for fewer than 3 codes.
    """
    from sklearn.decomposition import PCA

    if codes.dim() != 2 or len(codes) < 3:
        raise InputError(f"principal components need at least 3 codes (N, latent_dim), but got {tuple(codes.shape)}.")
    count = min(count, len(codes) - 1, codes.shape[1])
    pca = PCA(count, svd_solver="full").fit(np.asarray(codes.detach().cpu(), np.float64))
    spread = np.sqrt(pca.explained_variance_)
    return [
        LineAxis(f"component {i}", "standard deviations", -_REACH, _REACH, vector=vector * size, origin=pca.mean_)
        for i, (vector, size) in enumerate(zip(pca.components_, spread), 1)
        if size > 0
    ]


def direction_axis(kept: KeptDirection) -> LineAxis:
    """A direction made by hand: 0 where the pictures without it lie, 1 where those with it do."""
    vector, origin = np.asarray(kept.vector, np.float64), np.asarray(kept.origin, np.float64)
    return LineAxis(
        kept.name, "0 has it not, 1 has it", -1.0, 2.0, kept.cosine, vector=vector, origin=origin, kind="direction"
    )


def by_trust(axes: Sequence[Axis]) -> list[Axis]:
    """The most trusted first, then those of which nothing is known, then those that are not to be trusted."""

    def place(axis: Axis) -> tuple[int, float]:
        return (1, 0.0) if axis.trust is None else (0 if axis.trusted else 2, -axis.trust)

    return sorted(axes, key=place)


def move_together(code: Tensor, wanted: Sequence[tuple[Axis, float]]) -> Tensor:
    """The code (latent_dim,) with several axes at given values: attributes of one chart jointly, the rest added up."""
    charts: dict[tuple[int, str], list[tuple[AttributeAxis, float]]] = {}
    others = []
    for axis, value in wanted:
        if isinstance(axis, AttributeAxis):
            charts.setdefault((id(axis.chart), axis.way), []).append((axis, value))
        else:
            others.append(axis.move(code, value))
    joint = [
        pairs[0][0].chart.move_all(code, {axis.name: value for axis, value in pairs}, pairs[0][0].way)
        for pairs in charts.values()
    ]
    moved = [*joint, *others]
    if len(moved) == 1:
        return moved[0]
    start = code.detach().double()
    return (start + sum(each.double() - start for each in moved)).to(code.dtype)


def sound_range(
    axis: Axis, code: Tensor, sound: Callable[[Tensor], np.ndarray], steps: int = 16
) -> tuple[float, float]:
    """The part of an axis's range around a code's own value in which all codes are sound: `(low, high)`.

    `sound` takes codes (n, latent_dim) to bool (n,); it is asked once, at `steps` even places of the range.
    """
    values, start = np.linspace(axis.low, axis.high, steps), axis.start(code)
    good = np.asarray(sound(axis.move(code, values)), bool)
    below, above = values[(values < start) & ~good], values[(values > start) & ~good]
    inside = values[
        good & (values > (below.max() if len(below) else -np.inf)) & (values < (above.min() if len(above) else np.inf))
    ]
    return float(min([start, *inside])), float(max([start, *inside]))


def sound_choices(axis: Axis, code: Tensor, sound: Callable[[Tensor], np.ndarray]) -> list[int]:
    """The choices of a category whose codes are sound."""
    values = np.array(axis.chart.choices(axis.name) if isinstance(axis, AttributeAxis) else range(len(axis.choices)))
    return values[np.asarray(sound(axis.move(code, values)), bool)].tolist() if len(values) else []


TRUSTED = 0.5  # a slider below is offered last, and says so


class Trust(NamedTuple):
    """What is known of one attribute's slider."""

    name: str
    readout: float  # R² of reading it off held-out codes; of a category the share read right
    slope: float  # how far the picture's own attribute moves when asked for 1; NaN where nothing can read it
    leak: float  # how far the others move that should not, in standard deviations
    judge: str  # what read it from the pictures

    @property
    def value(self) -> float:
        """One number from 0 to 1: 1 if it moves as asked and nothing else does."""
        if not np.isfinite(self.slope) or self.slope <= 0 or not np.isfinite(self.leak):
            return 0.0
        return float(min(self.slope, 1 / self.slope) * max(0.0, 1 - self.leak))

    @property
    def trusted(self) -> bool:
        """Whether its slider is worth offering."""
        return self.value >= TRUSTED
