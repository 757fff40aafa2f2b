"""How far an attribute's slider can be trusted: measured by moving held-out codes and reading the decoded pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import Attribute, Attributes, PictureSet
from vae_helpers.latent import Chart, Trust, decode_codes, encode_pictures, frozen_decoder
from vae_helpers.model import BetaVAE
from vae_helpers.scores.judge import Judge, apart, centre_of, score_of

PICTURES, _STEPS, _TURNS, _CHOICES = 24, 5, 6, 8  # moved pictures; values asked of each number, circle, category
READABLE = 0.3  # R² of the judge below which nothing can be said
HELD_OUT, LEARNT = 512, 3000  # pictures that trust is measured on and a chart learns from, at most


class Measured(NamedTuple):
    """A decoder of codes (n, latent_dim), a chart, held-out codes with their attributes, and who reads frames."""

    decode: Callable[[Tensor], np.ndarray]
    chart: Chart
    codes: Tensor
    attributes: Attributes
    judge: Judge


def spread_rows(rows: np.ndarray, most: int) -> np.ndarray:
    """Up to `most` of the rows, evenly spread: the first ones of a folder may all be of one kind."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, most).astype(int))] if len(rows) > most else rows


def trust_of(
    model: BetaVAE, chart: Chart, pictures: PictureSet, attributes: Attributes, way: str = "conditional"
) -> list[Trust]:
    """The trust table of a chart on the held-out pictures of its set, one entry per attribute of the chart.

    Learns a `Judge` from the training pictures and measures by `measure_trust`.
    """
    return measure_trust(*measured_by(model, chart, pictures, attributes), way)


def measured_by(model: BetaVAE, chart: Chart, pictures: PictureSet, attributes: Attributes) -> Measured:
    """What sliders of a set are measured by: learnt from its training pictures, to be asked about held-out ones."""
    split = pictures.split
    held_out = spread_rows(np.concatenate([split.validation, split.test]), HELD_OUT)
    learnt = spread_rows(split.train, LEARNT)
    known, held = ((pictures.pictures[rows], attributes.rows(rows)) for rows in (learnt, held_out))
    judge = Judge.fit(lambda frames: encode_pictures(model, frames)[0], chart, known, held)
    decode = partial(decode_codes, frozen_decoder(model))
    return Measured(decode, chart, encode_pictures(model, held[0])[0], held[1], judge)


def measure_trust(
    decode: Callable[[Tensor], np.ndarray],
    chart: Chart,
    codes: Tensor,
    attributes: Attributes,
    judge: Judge,
    way: str = "conditional",
) -> list[Trust]:
    """Read-out, steering slope and leak of each attribute of a chart, on held-out codes (n, latent_dim).

    Of at most 24 codes each attribute is asked for several values, and `judge` reads the decoded pictures. Slope: of
    what is read against what is asked, per picture, by least squares. Leak: the mean over the others of |slope| beyond
    what they were asked, too. Both are in standard deviations of the set, medians over pictures, and made up for what
    the judge itself misses on real pictures (its gain). For a circle the slope is the mean cosine of what is missed;
    for a category the share read as asked, 0 for chance; their leak is the others' standard deviation. Into a category
    it is the share of frames where that changes.
    """
    attributes = attributes.select(chart.names)
    read = chart.read(codes)
    scores = [score_of(got, true, a) for got, true, a in zip(read.T, attributes.values.T, chart.table)]
    spread = np.array([spread_of(column, a) for column, a in zip(attributes.values.T, chart.table)])
    rows = np.unique(np.linspace(0, len(codes) - 1, PICTURES).astype(int))
    readable = np.nan_to_num(judge.score, nan=0.0) >= READABLE
    found = []
    for k, attribute in enumerate(chart.table):
        values = asked_values(attributes.values[:, k], attribute, chart)
        asked = np.stack([chart.asked(codes[i], attribute.name, values, way) for i in rows])
        moved = torch.cat([chart.move(codes[i], attribute.name, values, way) for i in rows])
        got = judge.read(decode(moved)).reshape(asked.shape)
        slope = np.median([_slope(g[:, k], values, attribute, judge.gain[k]) for g in got]) if readable[k] else np.nan
        leaks = []
        for j, other in enumerate(chart.table):
            if j != k and readable[j]:
                beyond = _beyond(got[..., j], asked[..., j], other, spread[j] * judge.gain[j])
                leaks.append(np.median([_leak(each, values / spread[k], attribute, other) for each in beyond]))
        found.append(Trust(attribute.name, scores[k], float(slope), float(np.mean(leaks or [0.0])), judge.sources[k]))
    return found


def trust_lines(table: Sequence[Trust]) -> list[str]:
    """The table as lines of text, the most trusted first."""
    wide = max((len(t.name) for t in table), default=0)
    lines = [f"{'attribute':<{wide}}  read-out  slope   leak  trust  judged by"]
    for t in sorted(table, key=lambda t: -t.value):
        slope = "    ?" if np.isnan(t.slope) else f"{t.slope:5.2f}"
        lines.append(f"{t.name:<{wide}}  {t.readout:8.2f}  {slope}  {t.leak:5.2f}  {t.value:5.2f}  {t.judge}")
    return lines


def asked_values(column: np.ndarray, attribute: Attribute, chart: Chart) -> np.ndarray:
    """Even steps over the middle four fifths of what held-out pictures have, round the circle, or the choices seen."""
    if attribute.kind == "circular":
        return attribute.low + attribute.period * np.arange(_TURNS) / _TURNS
    if attribute.choices:
        return np.array(chart.choices(attribute.name)[:_CHOICES], np.float64)
    low, high = np.nanquantile(column, (0.1, 0.9)) if not np.isnan(column).all() else (attribute.low, attribute.high)
    low, high = (low, high) if high > low else (attribute.low, attribute.high)
    return np.linspace(max(low, attribute.low), min(high, attribute.high), _STEPS)


def spread_of(column: np.ndarray, attribute: Attribute) -> float:
    """How far known values (N,) lie from their centre, as a standard deviation; 1 where they don't differ."""
    column = column[~np.isnan(column)]
    around = apart(column, centre_of(column, attribute), attribute)
    return float(np.sqrt(np.square(around).mean())) or 1.0 if len(column) else 1.0


def _slope(got: np.ndarray, asked: np.ndarray, attribute: Attribute, gain: float) -> float:
    """How one picture's attribute answered."""
    if attribute.kind == "circular":
        turn = 2 * np.pi * (got - asked) / attribute.period
        return float(np.cos(turn[~np.isnan(turn)]).sum() / len(turn))
    if attribute.choices:
        chance = 1 / len(asked)
        return float(((got == asked).mean() - chance) / (1 - chance)) if chance < 1 else np.nan
    return _line(asked, got) / gain


def _beyond(got: np.ndarray, asked: np.ndarray, other: Attribute, unit: float) -> np.ndarray:
    """How far another attribute (pictures, values) went beyond what was asked of it, in units; a category stays."""
    if other.choices:
        return got
    beyond = apart(got, asked, other)
    around = [apart(row, centre_of(row, other), other) for row in beyond] if other.kind == "circular" else beyond
    return np.asarray(around) / unit


def _leak(beyond: np.ndarray, moved: np.ndarray, attribute: Attribute, other: Attribute) -> float:
    """The same of one picture as one number, for values that `moved` so many standard deviations."""
    if other.choices:
        return float(1 - np.unique(beyond, return_counts=True)[1].max() / len(beyond))
    if attribute.kind == "number":
        return abs(_line(moved, beyond))
    return float(np.nanstd(beyond)) if not np.isnan(beyond).all() else 0.0


def _line(x: np.ndarray, y: np.ndarray) -> float:
    """Slope of y against x by least squares, over what is known."""
    known = ~np.isnan(y)
    x = x[known] - x[known].mean() if known.any() else x[known]
    return float(x @ y[known] / (x @ x)) if len(x) > 1 and x.any() else 0.0
