"""Smooth functions of embedded attributes that a chart is linear in, as many as the number of codes can bear."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial import legendre
from sklearn.linear_model import Ridge

from vae_helpers.attributes import Attribute

_DEGREES = (5, 3, 2, 1)  # of a number's Legendre polynomials, the first that the number of codes bears
_PAIRED = 3              # products are made of polynomials up to this degree
_MOST = 320              # features: more gained nothing with 3,000 codes of 13 factors
_PER_CODE = 8            # codes for each feature, at least, where products are concerned
_SCREENED = 12_000       # products that are looked at, at most; else those of straight lines only


class Features:
    """Functions of the embedded attributes (N, E): polynomials and harmonics of each, and products of two of them.

    `degrees` (A,) says how far the polynomials of a number go (the harmonics of a circle, in pairs); `pairs` (P, 2)
    which of those functions are multiplied.
    """

    def __init__(self, table: Sequence[Attribute], degrees: np.ndarray, pairs: np.ndarray):
        self.table, self.degrees, self.pairs = tuple(table), np.asarray(degrees, int), np.asarray(pairs, int)

    @classmethod
    def chosen(cls, table: Sequence[Attribute], embedded: np.ndarray, codes: np.ndarray) -> Features:
        """Choose by budget for training rows: first each attribute's own functions, as smooth as need be.

        Then the products that explain most of what those leave of the codes (N, L): all pairs are looked at one by one,
        those with the largest squared correlations, summed over latents, are taken.
        """
        budget = min(_MOST, max(len(embedded) // _PER_CODE, 1))
        columns = np.split(embedded, np.cumsum([a.width for a in table])[:-1], axis=1)
        different = [len(np.unique(column[:2000].round(6), axis=0)) for column in columns]
        for degree in _DEGREES:
            degrees = [_degree(a, degree, count) for a, count in zip(table, different)]
            alone = cls(table, degrees, np.empty((0, 2)))
            if alone.width <= budget:
                break
        if alone.width >= budget:
            return alone
        functions = alone(embedded)
        functions -= functions.mean(axis=0)
        left = codes - codes.mean(axis=0)
        left = left - Ridge(1.0).fit(functions, left).predict(functions)
        return cls(table, degrees, _best_products(alone, embedded, left, budget - alone.width))

    @property
    def width(self) -> int:
        """How many features there are."""
        return len(self.owners()[0]) + len(self.pairs)

    def owners(self) -> tuple[np.ndarray, np.ndarray]:
        """For each function of one attribute: which attribute, and of what degree."""
        owner, degree = [], []
        for i, (attribute, highest) in enumerate(zip(self.table, self.degrees)):
            own = {"number": range(1, highest + 1), "circular": np.repeat(range(1, highest + 1), 2)}.get(
                attribute.kind, [1] * attribute.width)
            owner += [i] * len(own)
            degree += list(own)
        return np.array(owner, int), np.array(degree, int)

    def __call__(self, embedded: np.ndarray) -> np.ndarray:
        """(N, E) => (N, width)."""
        own = self._own(embedded)
        return np.concatenate([own, own[:, self.pairs[:, 0]] * own[:, self.pairs[:, 1]]], axis=1)

    def _own(self, embedded: np.ndarray) -> np.ndarray:
        parts, start = [], 0
        for attribute, degree in zip(self.table, self.degrees):
            part = embedded[:, start:start + attribute.width]
            start += attribute.width
            if attribute.kind == "number":
                part = legendre.legvander(part[:, 0], degree)[:, 1:]
            elif attribute.kind == "circular":
                turn = part[:, 0] + 1j * part[:, 1]
                part = np.concatenate([np.stack([(turn**k).real, (turn**k).imag], axis=1)
                                       for k in range(1, degree + 1)], axis=1)
            parts.append(part)
        return np.concatenate(parts, axis=1)


def _degree(attribute: Attribute, degree: int, different: int) -> int:
    if attribute.kind == "number":
        return max(1, min(degree, different - 1))  # two values: a straight line
    return min(2, degree) if attribute.kind == "circular" else 1


def _best_products(alone: Features, embedded: np.ndarray, left: np.ndarray, count: int) -> np.ndarray:
    """The `count` products of functions of different attributes with the largest share of `left` (N, L)."""
    owner, degree = alone.owners()
    own = alone(embedded)
    for highest in (_PAIRED, 1):
        used = np.flatnonzero(degree <= highest)
        if len(used)**2 / 2 <= _SCREENED:
            break
    gains, pairs = [], []
    for first in used:
        others = used[(used > first) & (owner[used] != owner[first])]
        if not len(others):
            continue
        products = own[:, [first]] * own[:, others]
        products -= products.mean(axis=0)
        squared = np.square(products).sum(axis=0)
        gains.append(np.square(products.T @ left).sum(axis=1) / np.maximum(squared, 1e-9 * len(own)))
        pairs.append(np.stack([np.full(len(others), first), others], axis=1))
    if not pairs:
        return np.empty((0, 2), int)
    best = np.argsort(-np.concatenate(gains), kind="stable")[:count]
    return np.concatenate(pairs)[np.sort(best)]
