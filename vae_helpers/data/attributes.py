"""What is known of pictures beside their pixels: where a set's attributes come from."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence

import numpy as np

from vae_helpers.data.attribute_table import Attribute, Attributes, ranged
from vae_helpers.data.pictures import PictureSet
from vae_helpers.data.pixel_attributes import PIXELS, PIXELS_VERSION, Pixel, measure_pixels
from vae_helpers.data.synthetic.shapes import Factor
from vae_helpers.errors import InputError
from vae_helpers.files import say, write_aside

_TURNS = {"degrees": 360.0, "radians": 2 * np.pi, "of the colour circle": 1.0}  # a whole turn in that unit
_MOST_CHOICES = 200


def attributes_of(pictures: PictureSet, extra: Attributes | None = None) -> Attributes:
    """All that is known of a set: its factors, or else its pixels and its folders' names; and `extra`, which wins.

    Pixels are measured once per cache and kept beside its pictures.
    """
    if pictures.factors is not None:
        found = from_factors(pictures.factors, pictures.factor_table)
    else:
        values = _pixels(pictures)
        found = Attributes(values, tuple(ranged(_of_pixels(p), column) for p, column in zip(PIXELS, values.T)))
        labels = from_labels(pictures.labels)
        found = found if labels is None else found.with_more(labels)
    return found if extra is None else found.with_more(extra)


def read_pixels(frames: np.ndarray) -> Attributes:
    """The pixel attributes of uint8 frames (N, H, W, 3), as `attributes_of` measures those of a folder."""
    return Attributes(measure_pixels(frames), tuple(_of_pixels(pixel) for pixel in PIXELS))


def from_factors(factors: np.ndarray, table: Sequence[Factor]) -> Attributes:
    """Known factors (N, F) as attributes; one that goes once round in its unit is circular."""
    return Attributes(factors, tuple(_of_factor(factor) for factor in table))


def from_labels(labels: Sequence[str], name: str = "label") -> Attributes | None:
    """Folder names as a category, pictures at the top unknown; None where there are fewer than 2 or more than 200."""
    choices = tuple(sorted({label for label in labels if label}))
    if not 2 <= len(choices) <= _MOST_CHOICES:
        return None
    number = {choice: float(i) for i, choice in enumerate(choices)}
    values = np.array([[number.get(label, np.nan)] for label in labels])
    made = Attribute(name, "folder", "category", 0.0, len(choices) - 1.0, choices, "folder names")
    return Attributes(values, (made,))


def from_marks(marks: Mapping[str, Mapping[str, bool]], names: Sequence[str]) -> Attributes:
    """Marks by hand, `{attribute: {picture's name: has it or not}}`, as numbers 1 and -1; the others are unknown."""
    row = {name: i for i, name in enumerate(names)}
    values = np.full((len(names), len(marks)), np.nan)
    for column, marked in zip(values.T, marks.values()):
        for name, has in marked.items():
            if name not in row:
                raise InputError(
                    f"a mark names the picture {name!r}, which this set does not hold: open the set that "
                    "was marked, or remove the mark."
                )
            column[row[name]] = 1.0 if has else -1.0
    return Attributes(
        values, tuple(Attribute(name, "-1 has not, 1 has", "number", -1.0, 1.0, (), "by hand") for name in marks)
    )


def _of_pixels(pixel: Pixel) -> Attribute:
    return Attribute(pixel.name, pixel.unit, pixel.kind, pixel.low, pixel.high, (), "pixels")


def _of_factor(factor: Factor) -> Attribute:
    name, turn = factor.name.replace("_", " "), _TURNS.get(factor.unit)
    if factor.choices:
        return Attribute(name, factor.unit, "category", 0.0, len(factor.choices) - 1.0, factor.choices, "known factors")
    if turn and factor.high - factor.low > 0.85 * turn:
        return Attribute(name, factor.unit, "circular", factor.low, factor.low + turn, (), "known factors")
    return Attribute(name, factor.unit, "number", factor.low, factor.high, (), "known factors")


def _pixels(pictures: PictureSet) -> np.ndarray:
    """Measured, or read from beside the cache where that was done for as many pictures by this version."""
    kept = None if pictures.cache is None else pictures.cache / "pixels.npy"
    shape = (len(pictures), len(PIXELS))
    with contextlib.suppress(OSError, ValueError, EOFError):  # not measured yet, or damaged
        if kept:
            stored = np.load(kept, allow_pickle=False)
            if stored.shape == (shape[0] + 1, shape[1]) and (stored[-1] == PIXELS_VERSION).all():
                return stored[:-1]
    if len(pictures) > 20_000:
        say(f"Measuring the pixels of {len(pictures):,} pictures, once.")
    values = measure_pixels(pictures.pictures)
    if kept:
        file = io.BytesIO()
        np.save(file, np.concatenate([values, np.full((1, shape[1]), float(PIXELS_VERSION))]))
        with contextlib.suppress(OSError):  # a read-only cache: measure again next time
            write_aside(kept, file.getvalue())
    return values
