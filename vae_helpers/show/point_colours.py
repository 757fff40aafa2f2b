"""Points of a map coloured by an attribute, with the legend that says which colour means what."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from vae_helpers.data import Attribute
from vae_helpers.errors import InputError
from vae_helpers.show.style import COLOURS, QUIET

_STOPS = 5  # of a legend for numbers
_OTHER = "other"


class Legend(NamedTuple):
    """One entry: what it stands for, and its colour as `#rrggbb`."""

    text: str
    colour: str


class PointColours(NamedTuple):
    """A colour for each point as `#rrggbb`, its value in words, and a legend; `title` is its `name` with the unit."""

    name: str
    title: str
    colours: tuple[str, ...]
    words: tuple[str, ...]
    legend: tuple[Legend, ...]


def colour_points(attribute: Attribute, values: np.ndarray) -> PointColours:
    """Colours of points by their values (N,) of an attribute; NaN, which is unknown, is grey.

    Numbers go from the lowest value to the highest along viridis, which rises in brightness; circular ones once round
    twilight, which ends as it begins. Of a category the ten most frequent choices have a colour each.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 1:
        raise InputError(f"points are coloured by one value each, but these have shape {values.shape}: give (N,).")
    known = values[~np.isnan(values)]
    unknown = (Legend("unknown", QUIET),) * (len(known) < len(values))
    if attribute.kind == "category":
        colours, words, legend = _by_choice(attribute, values)
    else:
        colours, words, legend = _by_number(attribute, values, known)
    title = f"{attribute.name}, {attribute.unit}" if attribute.unit and attribute.kind != "category" else attribute.name
    return PointColours(attribute.name, title, tuple(colours), tuple(words), (*legend, *unknown))


def _by_choice(attribute: Attribute, values: np.ndarray) -> tuple[list[str], list[str], list[Legend]]:
    counts = Counter(int(value) for value in values if not np.isnan(value))
    frequent = sorted(sorted(counts), key=lambda choice: -counts[choice])[: len(COLOURS)]
    colour_of = dict(zip(sorted(frequent), COLOURS))
    words = ["unknown" if np.isnan(value) else attribute.choices[int(value)] for value in values]
    colours = [QUIET if np.isnan(value) else colour_of.get(int(value), QUIET) for value in values]
    legend = [Legend(attribute.choices[choice], colour) for choice, colour in colour_of.items()]
    return colours, words, legend + [Legend(_OTHER, QUIET)] * (len(counts) > len(frequent))


def _by_number(
    attribute: Attribute, values: np.ndarray, known: np.ndarray
) -> tuple[list[str], list[str], list[Legend]]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    round_trip = attribute.kind == "circular"
    low, high = (attribute.low, attribute.high) if round_trip else (known.min(), known.max()) if len(known) else (0, 1)
    palette = colormaps["twilight" if round_trip else "viridis"]

    def colour(value: float) -> str:
        if np.isnan(value):
            return QUIET
        share = (value - low) / ((high - low) or 1)
        return to_hex(palette(share % 1 if round_trip else share))

    def words(value: float) -> str:
        return "unknown" if np.isnan(value) else f"{value:.3g} {attribute.unit}".strip()

    stops = np.linspace(low, high, _STOPS)[: _STOPS - round_trip] if high > low else np.array([low])
    legend = [Legend(f"{stop:.3g}", colour(stop)) for stop in stops] if len(known) else []
    return [colour(value) for value in values], [words(value) for value in values], legend
