"""Smooth functions of embedded attributes that a chart is linear in, as many as the number of codes can bear."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.polynomial import legendre

from vae_helpers.data import Attribute

_DEGREES = (5, 3, 2, 1)  # of a number's Legendre polynomials, the first that the number of codes bears
_PAIRED = 3  # products are made of polynomials up to this degree
_MOST = 320  # features: more gained nothing with 3,000 codes of 13 factors
_PER_CODE = 3  # codes for each feature, at least, where products are concerned
_SHARES = (0, 1 / 8, 1 / 4, 1 / 2, 1)  # of the candidate products, tried on one code of so many, with these ridges
_FOLDS, _RIDGES = 5, (3.0, 100.0)
_ENOUGH = 1.01  # the fewest whose error is at most so many times the least
_SCREENED = 12_000  # products that are looked at, at most; else those of straight lines only


class Features:
    """Functions of the embedded attributes (N, E): polynomials and harmonics of each, and products of two of them.

    `degrees` (A,) says how far the polynomials of a number go (the harmonics of a circle, in pairs); `pairs` (P, 2)
    which of those functions are multiplied.
    """

    def __init__(self, table: Sequence[Attribute], degrees: np.ndarray, pairs: np.ndarray):
        self.table, self.degrees, self.pairs = tuple(table), np.asarray(degrees, int), np.asarray(pairs, int)
        starts = np.cumsum([0, *(a.width for a in table)])
        kinds = np.array([a.kind for a in table])
        self._numbers = np.flatnonzero(kinds == "number")
        self._others = np.flatnonzero(kinds != "number")
        self._places = [slice(*ends) for ends in pairwise(starts)]
        self._scalars = starts[self._numbers]
        self._used = np.arange(1, max(self.degrees, default=1) + 1) <= self.degrees[self._numbers][:, None]

    @classmethod
    def chosen(cls, table: Sequence[Attribute], embedded: np.ndarray, codes: np.ndarray) -> Features:
        """Choose by budget for training rows: first each attribute's own functions, as smooth as need be.

        Then the products that explain most of what those leave of the codes (N, L): all pairs are looked at one by one,
        those with the largest squared correlations, summed over latents, are candidates; every fifth code decides how
        many of them help.
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
        test = np.arange(len(codes)) % _FOLDS == _FOLDS - 1
        ranked = _ranked_products(alone, embedded[~test], codes[~test], budget - alone.width)
        counts = sorted({round(share * len(ranked)) for share in _SHARES})
        errors = np.array([_error(cls(table, degrees, ranked[:count])(embedded), codes, test) for count in counts])
        enough = int(np.flatnonzero(errors <= _ENOUGH * errors.min())[0])
        return cls(table, degrees, ranked[: counts[enough]])

    @property
    def width(self) -> int:
        """How many features there are."""
        return len(self.owners()[0]) + len(self.pairs)

    def owners(self) -> tuple[np.ndarray, np.ndarray]:
        """For each function of one attribute: which attribute, and of what degree; numbers come first."""
        number, power = np.nonzero(self._used)
        owner, degree = [self._numbers[number]], [power + 1]
        for i in self._others:
            harmonics = np.repeat(np.arange(self.degrees[i]), 2) + 1
            degree.append(harmonics if self.table[i].kind == "circular" else np.ones(self.table[i].width, int))
            owner.append(np.full(len(degree[-1]), i))
        return np.concatenate(owner), np.concatenate(degree)

    def __call__(self, embedded: np.ndarray) -> np.ndarray:
        """(N, E) => (N, width)."""
        own = self._own(embedded)
        return np.concatenate([own, own[:, self.pairs[:, 0]] * own[:, self.pairs[:, 1]]], axis=1)

    def _own(self, embedded: np.ndarray) -> np.ndarray:
        powers = legendre.legvander(embedded[:, self._scalars], self._used.shape[1])[..., 1:]
        parts = [powers[:, self._used]]
        for i in self._others:
            part = embedded[:, self._places[i]]
            if self.table[i].kind == "circular":
                turn = part @ [1, 1j]
                part = np.stack([turn**k for k in range(1, self.degrees[i] + 1)], axis=1).view(np.float64)
            parts.append(part)
        return np.concatenate(parts, axis=1)


def _degree(attribute: Attribute, degree: int, different: int) -> int:
    if attribute.kind == "number":
        return max(1, min(degree, different - 1))  # two values: a straight line
    return min(2, degree) if attribute.kind == "circular" else 1


def _error(features: np.ndarray, codes: np.ndarray, test: np.ndarray) -> float:
    """Squared error of the codes of the `test` rows, learnt from the others, with the better ridge."""
    from sklearn.linear_model import Ridge

    features, codes = features - features[~test].mean(axis=0), codes - codes[~test].mean(axis=0)
    fits = [Ridge(ridge, fit_intercept=False).fit(features[~test], codes[~test]) for ridge in _RIDGES]
    return min(float(np.square(fit.predict(features[test]) - codes[test]).sum()) for fit in fits)


def _ranked_products(alone: Features, embedded: np.ndarray, codes: np.ndarray, count: int) -> np.ndarray:
    """The `count` products of functions of different attributes that explain most of what those alone leave."""
    from sklearn.linear_model import Ridge

    owner, degree = alone.owners()
    own = alone(embedded)
    left = codes - codes.mean(axis=0)
    left = left - Ridge(1.0).fit(own, left).predict(own)
    for highest in (_PAIRED, 1):
        used = np.flatnonzero(degree <= highest)
        if len(used) ** 2 / 2 <= _SCREENED:
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
    return np.concatenate(pairs)[best]
