"""Training, validation and test: decided by each picture's name, with near-duplicates on one side."""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vae_helpers.errors import InputError
from vae_helpers.sources import fraction

TRAINING, VALIDATION = 0.8, 0.1  # the rest is the test set


class Split(NamedTuple):
    """Sorted int64 rows of a picture set; together they are all rows, once."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split_by_name(names: Sequence[str], groups: Sequence[Sequence[int]] = ()) -> Split:
    """80 % training, 10 % validation, 10 % test by a hash of the name, so that no picture ever changes sides.

    The rows of one group (near-duplicates) go together, by their smallest hash: a new duplicate can pull a held-out
    picture into training, never one that was trained on into the held-out part. Where a tiny set would leave a part
    empty, the group with the most fitting hash fills it. Raises `InputError` for fewer than two pictures.
    """
    count = len(names)
    if count < 2:
        raise InputError(f"A split needs at least two pictures, and this set has {count}; add pictures, or use the "
                         "built-in set (`DATASET=synthetic`).")
    hashes = np.array([fraction(name, "split") for name in names])
    group = np.arange(count)
    for rows in groups:
        group[list(rows)] = min(rows)
    if len(np.unique(group)) == 1:
        group = np.arange(count)  # nothing but copies of one picture: held out means little, but must not be empty
    lowest = np.ones(count)
    np.minimum.at(lowest, group, hashes)
    part = np.searchsorted([TRAINING, TRAINING + VALIDATION], lowest[group], side="right")
    _fill(part, group, lowest)
    return Split(*(np.flatnonzero(part == side) for side in range(3)))


def _fill(part: np.ndarray, group: np.ndarray, lowest: np.ndarray) -> None:
    """Give each empty part the nearest group of another; training and validation keep at least one themselves."""
    train, validation, test = range(3)
    for side, target, givers in (
        (train, 0.0, (test, validation)), (validation, TRAINING, (test, train)), (test, 1.0, (train, validation))
    ):
        for giver in givers if not (part == side).any() else ():
            candidates = np.unique(group[part == giver])
            if len(candidates) > (giver != test):
                chosen = candidates[np.argmin(np.abs(lowest[candidates] - target))]
                part[group == chosen] = side
                break
