"""Training, validation and test: decided by each picture's name, with near-duplicates on one side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vae_helpers.data.folders import fraction
from vae_helpers.errors import InputError

TRAINING, VALIDATION = 0.8, 0.1  # the rest is the test set
SHARES = np.array([TRAINING, VALIDATION, 1 - TRAINING - VALIDATION])
# Groups may fill a part up to these shares before they go elsewhere: with few duplicates none ever does.
MOST = np.array([0.85, 0.125, 0.125])
FEW, SMALL = 32, 0.05  # a part of fewer pictures, or of a smaller share, is said to be small
UNDECIDED = 255


class Split(NamedTuple):
    """Sorted int64 rows of a picture set; together they are all rows, once."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_by_name(names: Sequence[str], groups: Sequence[Sequence[int]] = (), parts: np.ndarray | None = None) -> Split:
    """80 % training, 10 % validation, 10 % test by a hash of the name, so that no picture alone ever changes sides.

    1. A row whose part is given in `parts` (uint8 `(N,)`, 255 where it is not) has that part, and its group follows.
    2. A picture that is in no group (of near-duplicates) goes by the hash of its own name, whatever others there are.
    3. Groups stay whole. Largest first, each goes by its lowest hash, so that a new duplicate pulls into training and
       not out of it, unless that part would grow beyond its `MOST`: then it goes to the part that lacks most. So
       adding pictures moves a group only where copies are so many that held-out parts would starve.
    4. Where a tiny set would leave a part empty, the group with the most fitting hash fills it.

    Raises `InputError` for fewer than two pictures, or where `parts` leaves nothing to hold out.
    """
    hashes, group, lowest = _grouped(names, groups)
    part = np.full(len(names), UNDECIDED, np.uint8) if parts is None else parts.copy()
    given = np.full(len(names), UNDECIDED, np.uint8)
    np.minimum.at(given, group, part)
    part = np.where(part == UNDECIDED, given[group], part)  # training counts most, as the lowest number
    size = np.bincount(group, minlength=len(names))
    free = part == UNDECIDED
    alone = free & (size[group] == 1)
    part[alone] = _by_hash(hashes[alone])
    held = np.bincount(part[part != UNDECIDED], minlength=3)
    whole, side_of = np.unique(group[free & ~alone]), np.zeros(len(names), np.uint8)
    for top in whole[np.lexsort((lowest[whole], -size[whole]))]:
        side = _by_hash(lowest[top])
        if held[side] + size[top] > MOST[side] * len(names):
            side = np.argmax(SHARES * len(names) - held)
        side_of[top] = side
        held[side] += size[top]
    part[free & ~alone] = side_of[group[free & ~alone]]
    _fill(part, group, lowest, free)
    split = Split(*(np.flatnonzero(part == side) for side in range(3)))
    if not (len(split.train) and len(split.validation)):
        raise InputError(
            "all of these pictures are in one part of the run's own split, so there is nothing to hold "
            "out: add pictures."
        )
    return split


def split_by_lowest_hash(names: Sequence[str], groups: Sequence[Sequence[int]] = ()) -> Split:
    """The split of runs from before groups were balanced: each group by its lowest hash, however large."""
    _, group, lowest = _grouped(names, groups)
    part = _by_hash(lowest[group])
    _fill(part, group, lowest, np.ones(len(names), bool))
    return Split(*(np.flatnonzero(part == side) for side in range(3)))


def small_parts(split: Split) -> str:
    """Which parts are too small for their scores to mean much, in words; empty if none is."""
    count = sum(map(len, split))
    small = [
        f"{name} has {len(rows):,}" for name, rows in zip(split._fields, split) if len(rows) < max(FEW, SMALL * count)
    ]
    return f"of {count:,} pictures {', '.join(small)}" if small else ""


def _grouped(names: Sequence[str], groups: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The hash of each row, the first row of its group, and the lowest hash of the group that begins there."""
    count = len(names)
    if count < 2:
        raise InputError(
            f"a split needs at least two pictures, and this set has {count}: add pictures, or use the "
            "built-in set (`DATASET=synthetic`)."
        )
    hashes = np.array([fraction(name, "split") for name in names])
    group = np.arange(count)
    for rows in groups:
        group[list(rows)] = min(rows)
    if len(np.unique(group)) == 1:
        group = np.arange(count)  # nothing but copies of one picture: held out means little, but must not be empty
    lowest = np.ones(count)
    np.minimum.at(lowest, group, hashes)
    return hashes, group, lowest


def _by_hash(hashes: np.ndarray) -> np.ndarray:
    return np.searchsorted([TRAINING, TRAINING + VALIDATION], hashes, side="right")


def _fill(part: np.ndarray, group: np.ndarray, lowest: np.ndarray, free: np.ndarray) -> None:
    """Give each empty part the nearest `free` group of another; training and validation keep one at least."""
    train, validation, test = range(3)
    for side, target, givers in (
        (train, 0.0, (test, validation)),
        (validation, TRAINING, (test, train)),
        (test, 1.0, (train, validation)),
    ):
        for giver in givers if not (part == side).any() else ():
            candidates = np.unique(group[(part == giver) & free])
            if len(candidates) and len(np.unique(group[part == giver])) > (giver != test):
                chosen = candidates[np.argmin(np.abs(lowest[candidates] - target))]
                part[group == chosen] = side
                break
