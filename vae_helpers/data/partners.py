"""Pictures that have something in common with given ones, for objectives that learn from pairs (Locatello 2020)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image

from vae_helpers.data.pictures import PictureSet
from vae_helpers.data.synthetic import render
from vae_helpers.errors import InputError
from vae_helpers.settings import BUILT_IN, PAIRS, one_of

Generators: TypeAlias = Sequence[np.random.Generator]
Finder: TypeAlias = Callable[[np.ndarray, Generators], np.ndarray]
_TRIES = 16  # draws of a partner among the rows of a file of known factors
_SMALLEST_CROP, _LIGHT, _TINT = 0.75, 0.25, 0.12  # of a view: least share of the edge; brightness and colour, at most


class Partners:
    """`partners(rows, epoch)` is a picture for each row, uint8 (n, H, W, 3); it follows from (seed, epoch, row) alone.

    By `kind`, with None the first of these that the set allows: "factors": all known factors are the row's but `k`, or
    with k = 0 a random number of them, chosen anew each time and not told, which take another training row's values; a
    built-in set draws such a picture, a file of known factors is searched for it. "labels": another training picture
    of the row's class. "views": the same picture, cropped and lit at random. Raises InputError for a set that cannot
    give the kind, for a k above its factors or not whole, and for a k with another kind.
    """

    def __init__(self, pictures: PictureSet, kind: str | None = None, k: float = 0, seed: int = 0):
        self._seed, self.kind = seed, kind or usual_pairs(pictures)
        one_of("pairs", self.kind, PAIRS)
        if k != int(k) or (k and self.kind != "factors"):
            raise InputError(
                f"k is {k:g}, but must be a whole number of factors, and 0 for pairs by labels or views: these are by "
                f"{self.kind}."
            )
        self._find: Finder = (
            _by_factors(pictures, int(k))
            if self.kind == "factors"
            else _by_labels(pictures)
            if self.kind == "labels"
            else _by_views(pictures)
        )

    def __call__(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        rows = np.asarray(rows, np.int64)
        return self._find(rows, [np.random.default_rng([self._seed % 2**64, epoch, int(row)]) for row in rows])


def no_factors(name: str) -> InputError:
    """What to say of pairs by factors, of a set that has none."""
    return InputError(
        f"{name} does not know its factors: pair its pictures by labels or views (--pairs), or take a set with known "
        "factors."
    )


def too_few_classes(name: str, classes: int) -> InputError:
    """What to say of pairs by labels, of a set with so few classes, or with no two pictures in one."""
    return InputError(
        f"{name} has {classes} class{'es' * (classes != 1)} to train on, and pairs by labels need two or more, with "
        "two pictures in one: sort the pictures into sub-folders, or pair views (--pairs)."
    )


def usual_pairs(pictures: PictureSet) -> str:
    """The kind of pairs that says most of what a set can give: by its factors, by its labels, else views."""
    if pictures.factors is not None:
        return "factors"
    return "labels" if len({pictures.labels[row] for row in pictures.split.train}) > 1 else "views"


def _by_factors(pictures: PictureSet, k: int) -> Finder:
    factors = pictures.factors
    if factors is None:
        raise no_factors(pictures.name)
    count = factors.shape[1]
    if not 0 <= k < count:
        raise InputError(f"{k} factors cannot differ: {pictures.name} has {count}, so k is from 0 to {count - 1}.")
    train = np.asarray(pictures.split.train)

    def changed(row: int, draw: np.random.Generator) -> np.ndarray:
        new = factors[row].copy()
        which = draw.permutation(count)[: k or draw.integers(1, count)]
        new[which] = factors[train[draw.integers(len(train))], which]
        return new

    if pictures.source == "built-in":
        size, set_name = pictures.pictures.shape[1], BUILT_IN[pictures.name]
        return lambda rows, draws: render(np.stack([changed(*each) for each in zip(rows, draws)]), size, set_name)
    return _among_rows(pictures, train, changed)


def _among_rows(
    pictures: PictureSet, train: np.ndarray, changed: Callable[[int, np.random.Generator], np.ndarray]
) -> Finder:
    """Partners that are rows of the set; where none of a few draws is there, a picture is its own partner."""
    assert pictures.factors is not None
    places = {pictures.factors[row].tobytes(): int(row) for row in train}

    def partner(row: int, draw: np.random.Generator) -> int:
        found = (places.get(changed(row, draw).tobytes(), row) for _ in range(_TRIES))
        return next((other for other in found if other != row), row)

    some = train[: min(256, len(train))]
    paired = sum(partner(row, np.random.default_rng([0, int(row)])) != row for row in some)
    if paired < len(some) / 2:
        raise InputError(
            f"only {paired} of {len(some)} pictures of {pictures.name} have a partner in the set that differs in so "
            "few factors: open more of it (limit), or let more factors differ (knob k)."
        )
    return lambda rows, draws: pictures.pictures[[partner(*each) for each in zip(rows, draws)]]


def _by_labels(pictures: PictureSet) -> Finder:
    train = np.asarray(pictures.split.train)
    classes: dict[str, list[int]] = {}
    for row in train:
        classes.setdefault(pictures.labels[row], []).append(int(row))
    if len(classes) < 2 or max(map(len, classes.values())) < 2:
        raise too_few_classes(pictures.name, len(classes))

    def partner(row: int, draw: np.random.Generator) -> int:
        others = classes[pictures.labels[row]]
        at = int(draw.integers(max(1, len(others) - 1)))
        return others[at] if others[at] != row else others[-1]

    return lambda rows, draws: pictures.pictures[[partner(*each) for each in zip(rows, draws)]]


def _by_views(pictures: PictureSet) -> Finder:
    return lambda rows, draws: np.stack([_view(pictures.pictures[row], draw) for row, draw in zip(rows, draws)])


def _view(picture: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The picture nearer by or to the side, and in another light: uint8 (S, S, 3)."""
    size = len(picture)
    edge = draw.uniform(_SMALLEST_CROP, 1) * size
    left, top = draw.uniform(0, size - edge, 2)
    cut = Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR, (left, top, left + edge, top + edge))
    light = (1 + draw.uniform(-_LIGHT, _LIGHT)) * (1 + draw.uniform(-_TINT, _TINT, 3))
    return np.clip(np.asarray(cut) * light + 0.5, 0, 255).astype(np.uint8)
