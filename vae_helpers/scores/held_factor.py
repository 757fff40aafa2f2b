"""Scores from batches in which one known factor is held: the FactorVAE score and the β-VAE score.

Where pictures can be drawn to order, `FactorSampler` draws them; where a file holds a grid of factors, `GroupedCodes`
finds rows that share a value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from vae_helpers.data import Factor
from vae_helpers.errors import InputError
from vae_helpers.scores.disentanglement import Basis

_AT_ONCE = 256  # pictures drawn and encoded at a time


class CodeSource(Protocol):
    """Codes of pictures whose factors can be chosen."""

    table: tuple[Factor, ...]

    def codes(self, held: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """For each of the factors `held` (m,), codes of `size` pictures that share its value: (m, size, latents)."""

    def pairs(self, held: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """For each of the factors `held` (m,), codes of `size` pairs that share its value: (m, size, 2, latents)."""


class FactorSampler:
    """Pictures drawn to order: `sampler` takes factors (n, F) to codes (n, latents); other factors are uniform."""

    def __init__(
        self, table: Sequence[Factor], sampler: Callable[[np.ndarray], np.ndarray | Tensor], progress: bool = False
    ):
        self.table, self._sampler, self._progress = tuple(table), sampler, progress

    def codes(self, held: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Codes of pictures that share a factor's value, see `CodeSource`: (m, size, latents)."""
        factors = uniform_factors(self.table, len(held) * size, rng).reshape(len(held), size, -1)
        for batch, factor in zip(factors, held):
            batch[:, factor] = batch[0, factor]
        return self.encode(factors)

    def pairs(self, held: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Codes of pairs that share a factor's value, see `CodeSource`: (m, size, 2, latents)."""
        factors = uniform_factors(self.table, len(held) * size * 2, rng).reshape(len(held), size, 2, -1)
        for batch, factor in zip(factors, held):
            batch[:, 1, factor] = batch[:, 0, factor]
        return self.encode(factors)

    def encode(self, factors: np.ndarray) -> np.ndarray:
        """Codes of pictures with these factors (..., F): (..., latents)."""
        rows = factors.reshape(-1, factors.shape[-1])
        starts = tqdm(
            range(0, len(rows), _AT_ONCE),
            desc="drawing pictures with known factors",
            delay=2,
            unit=f"× {_AT_ONCE} pictures",
            disable=not self._progress,
        )
        codes = np.concatenate([np.asarray(self._sampler(rows[i : i + _AT_ONCE])) for i in starts])
        return codes.astype(np.float64).reshape(*factors.shape[:-1], -1)


class GroupedCodes:
    """Codes (n, latents) that are there already, grouped by the values of their factors (n, F), as dSprites allows.

    A value that fewer than `fewest` pictures share is never held; each factor needs two values that can be.
    """

    def __init__(self, codes: np.ndarray | Tensor, factors: np.ndarray, table: Sequence[Factor], fewest: int = 8):
        self.table, self._codes = tuple(table), np.asarray(codes, np.float64)
        self._groups = []
        for factor, column in zip(self.table, np.asarray(factors, np.float64).T):
            order = np.argsort(column, kind="stable")
            groups = np.split(order, np.flatnonzero(np.diff(column[order])) + 1)
            groups = [rows for rows in groups if len(rows) >= fewest]
            if len(groups) < 2:
                raise InputError(
                    f"too few pictures share a value of {factor.name!r} to hold it: take more pictures of "
                    f"the file (two values of {fewest} pictures each at least), or draw them to order."
                )
            self._groups.append(groups)

    def codes(self, held: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Codes of pictures that share a factor's value, see `CodeSource`: (m, size, latents)."""
        rows = [rng.choice(group, size, replace=len(group) < size) for group in self._some_groups(held, rng)]
        return self._codes[np.array(rows)]

    def pairs(self, held: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
        """Codes of pairs that share a factor's value, see `CodeSource`: (m, size, 2, latents)."""
        rows = [
            [rng.choice(group, 2, replace=False) for group in self._some_groups([factor] * size, rng)]
            for factor in held
        ]
        return self._codes[np.array(rows)]

    def _some_groups(self, held: Sequence[int], rng: np.random.Generator):
        return (self._groups[factor][rng.integers(len(self._groups[factor]))] for factor in held)


class FactorVaeScore(NamedTuple):
    """How often the latent that varies least tells which factor was held."""

    score: float  # share of the held-out votes that the majority rule gets right; 1/F is chance
    votes: np.ndarray  # (latents, F) training votes
    batch: int  # pictures a vote
    held_out_votes: int
    basis: Basis  # n: pictures behind all votes


class BetaVaeScore(NamedTuple):
    """How well a linear classifier tells the held factor from how far pairs lie apart along each latent."""

    score: float  # share of the held-out points told right; 1/F is chance
    points: int  # for training
    batch: int  # pairs a point
    held_out_points: int
    basis: Basis  # n: pictures behind all points


def factor_vae_score(
    source: CodeSource, spread: np.ndarray, votes: int = 800, batch: int = 64, seed: int = 0, code: str = "mean"
) -> FactorVaeScore:
    """FactorVAE score (Kim & Mnih 2018, sec. 4 and App. B).

    Each vote holds one factor over `batch` pictures; the latent with the least variance, relative to its variance over
    the whole set (`spread` (latents,), a standard deviation), votes for it. A latent stands for the factor it gets most
    votes for, and that rule is scored on half as many votes again. The paper: 800 votes, batches of 200;
    disentanglement_lib: 10,000 of 64. Latents that never vary take no part.
    """
    _require(votes, batch, source)
    rng = np.random.default_rng(seed)
    variance = np.square(np.asarray(spread, np.float64))
    alive = variance > 1e-12
    if not alive.any():
        raise InputError(
            "no latent varies over the set, so none can vote for a factor: the model has collapsed, train "
            "it with a smaller beta."
        )
    counts = []
    for number in (votes, -(-votes // 2)):
        held = _held(number, len(source.table), rng)
        varied = source.codes(held, batch, rng).var(axis=1, ddof=1)
        least = np.where(alive, varied / np.where(alive, variance, 1), np.inf).argmin(axis=1)
        table = np.zeros((len(variance), len(source.table)), int)
        np.add.at(table, (least, held), 1)
        counts.append(table)
    training, held_out = counts
    right = held_out[np.arange(len(variance)), training.argmax(axis=1)].sum()
    basis = Basis((training.sum() + held_out.sum()) * batch, len(variance), _names(source), code)
    return FactorVaeScore(float(right / held_out.sum()), training, batch, int(held_out.sum()), basis)


def beta_vae_score(
    source: CodeSource, points: int = 800, batch: int = 64, seed: int = 0, code: str = "mean"
) -> BetaVaeScore:
    """β-VAE score (Higgins et al. 2017, sec. 3).

    Each point is the mean of |z_a - z_b| over `batch` pairs that share one factor; logistic regression on the points
    tells which, scored on half as many points again. disentanglement_lib: 10,000 points of 64. It can be high where a
    factor is spread over several latents, which is why the others exist.
    """
    from sklearn.linear_model import LogisticRegression

    _require(points, batch, source)
    rng = np.random.default_rng(seed)
    parts = []
    for number in (points, -(-points // 2)):
        held = _held(number, len(source.table), rng)
        pairs = source.pairs(held, batch, rng)
        parts.append((np.abs(pairs[:, :, 0] - pairs[:, :, 1]).mean(axis=1), held))
    (training, labels), (held_out, truth) = parts
    score = LogisticRegression(max_iter=1000).fit(training, labels).score(held_out, truth)
    basis = Basis((len(labels) + len(truth)) * batch * 2, training.shape[1], _names(source), code)
    return BetaVaeScore(float(score), len(labels), batch, len(truth), basis)


def uniform_factors(table: Sequence[Factor], n: int, rng: np.random.Generator) -> np.ndarray:
    """Independent factors, uniform over their ranges: float64 (n, F)."""
    share = rng.random((n, len(table)))
    low, high = (np.array([getattr(factor, end) for factor in table]) for end in ("low", "high"))
    categories = np.array([bool(factor.choices) for factor in table])
    counts = np.array([max(1, len(factor.choices)) for factor in table])
    return np.where(categories, np.floor(share * counts), low + share * (high - low))


def _held(number: int, factors: int, rng: np.random.Generator) -> np.ndarray:
    """Which factor each batch holds: all of them equally often, in random order."""
    return rng.permutation(np.arange(number) % factors)


def _names(source: CodeSource) -> tuple[str, ...]:
    return tuple(factor.name for factor in source.table)


def _require(number: int, batch: int, source: CodeSource) -> None:
    factors = len(source.table)
    if factors < 2:
        raise InputError(f"a set with {factors} known factor leaves nothing to tell apart: give at least 2 factors.")
    if number < 4 * factors or batch < 2:
        raise InputError(
            f"{number} batches of {batch} are too few to tell {factors} factors apart: give at least "
            f"{4 * factors} batches of 2."
        )
