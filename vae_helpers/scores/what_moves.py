"""What moves while one slider is swept: every attribute of the decoded pictures, not only the one that is named."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vae_helpers.data import Attribute
from vae_helpers.errors import InputError
from vae_helpers.latent import AttributeAxis, Axis
from vae_helpers.scores.judge import apart, centre_of
from vae_helpers.scores.trust import PICTURES, READABLE, Measured, asked_values, spread_of

_STEPS = 5  # values of an axis


def what_moves(measured: Measured, axes: Sequence[Axis]) -> np.ndarray:
    """How far each attribute moves while one axis is swept and the others rest, in its own spreads: (axes, A).

    Of at most 24 held-out codes, each axis goes through five values between the 10th and the 90th percentile of what it
    has at those codes (a circle all round, a category through its choices), and the judge reads the decoded frames. A
    cell is the standard deviation of what was read along the sweep over the attribute's own among held-out pictures,
    the median over codes; of a category the share of frames that differ from the commonest, over the same share in the
    set. NaN for an attribute that nothing reads well. InputError for no axis.
    """
    if not axes:
        raise InputError("nothing can be swept: give at least one axis.")
    decode, chart, codes, attributes, judge = measured
    attributes = attributes.select(chart.names)
    columns = attributes.values.T
    units = [_turnover(c[~np.isnan(c)]) if a.choices else spread_of(c, a) for c, a in zip(columns, chart.table)]
    readable = np.nan_to_num(judge.score, nan=0.0) >= READABLE
    rows = np.unique(np.linspace(0, len(codes) - 1, PICTURES).astype(int))
    found = np.full((len(axes), len(chart.table)), np.nan)
    for i, axis in enumerate(axes):
        values = _values(axis, codes, columns, measured)
        read = np.stack([judge.read(decode(axis.move(codes[row], values))) for row in rows])
        for k in np.flatnonzero(readable):
            changes = [_change(each[:, k], chart.table[k]) for each in read]
            found[i, k] = np.median(changes) / (units[k] * judge.gain[k])
    return found


def _values(axis: Axis, codes, columns: np.ndarray, measured: Measured) -> np.ndarray:
    if isinstance(axis, AttributeAxis):
        k = measured.chart.column(axis.name)
        return asked_values(columns[k], measured.chart.table[k], measured.chart)
    starts = np.array([axis.start(code) for code in codes])
    return np.linspace(*np.quantile(starts, (0.1, 0.9)), _STEPS)


def _change(read: np.ndarray, attribute: Attribute) -> float:
    read = read[~np.isnan(read)]
    if not len(read):
        return 0.0
    if attribute.choices:
        return _turnover(read, 0.0)
    return float(np.sqrt(np.square(apart(read, centre_of(read, attribute), attribute)).mean()))


def _turnover(values: np.ndarray, least: float = 1e-9) -> float:
    """The share of values that are not the commonest."""
    counts = np.unique(values, return_counts=True)[1]
    return max(least, float(1 - counts.max() / counts.sum())) if len(counts) else 1.0
