"""How far each latent stands for one known factor: MIG, modularity, SAP and DCI, from a table of codes and factors.

Definitions are those of disentanglement_lib (Locatello et al. 2019), so that numbers can be compared; where our factors
are numbers and theirs categories, the docstring says what changes. Every result carries its `Basis`: a score without
its bins and n is no score. Factor order is the table's, latent order is the codes'.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from vae_helpers.data import Factor
from vae_helpers.errors import InputError

BINS = 20  # of each code and of each number among the factors, as in the study
_FEWEST = 50  # pictures: below, 20 × 20 bins hold nothing but chance


class Basis(NamedTuple):
    """What a score was measured on; goes wherever the score goes."""

    n: int  # codes
    latents: int
    factors: tuple[str, ...]
    code: str = "mean"  # "mean" (μ) or "sample" (one z per picture)
    bins: int | None = None  # equal widths, of codes and of factors that are numbers; None: not binned

    def __str__(self) -> str:
        binned = f", {self.bins} bins" if self.bins else ""
        return f"n = {self.n:,}, {self.code} codes, {self.latents} latents, {len(self.factors)} factors{binned}"


class Mig(NamedTuple):
    """Mutual information gap, with what it was made from."""

    score: float  # mean of `per_factor`, 0 to 1
    per_factor: np.ndarray  # (F,) gap / entropy
    information: np.ndarray  # (latents, F) mutual information in nats
    entropy: np.ndarray  # (F,) of the binned factor, in nats
    basis: Basis


class Modularity(NamedTuple):
    """Does each latent tell about one factor only?"""

    score: float  # mean of `per_latent`, 0 to 1
    per_latent: np.ndarray  # (latents,)
    basis: Basis


class Sap(NamedTuple):
    """Separated attribute predictability: the lead of the best single latent over the next."""

    score: float  # mean of `per_factor`, 0 to 1
    per_factor: np.ndarray  # (F,)
    predictability: np.ndarray  # (latents, F): R² of a line, or for a category the share a linear SVM gets right
    basis: Basis


class Dci(NamedTuple):
    """Disentanglement, completeness, informativeness."""

    disentanglement: float  # 1: each latent matters to one factor
    completeness: float  # 1: each factor is held by one latent
    informativeness: float  # mean of `read`
    importance: np.ndarray  # (latents, F), each column sums to 1
    read: np.ndarray  # (F,) on held-out rows: R² (at least 0), or for a category the share read right
    chance: np.ndarray  # (F,) what guessing scores: 0, or the share of the commonest category
    basis: Basis


def mig(
    codes: np.ndarray | Tensor, factors: np.ndarray, table: Sequence[Factor], bins: int = BINS, code: str = "mean"
) -> Mig:
    """Mutual information gap (Chen et al. 2018, eq. 6) of codes (n, latents) and factors (n, F).

    Per factor, the information of its best latent less that of the second best, as a share of the factor's entropy.
    Codes, and factors that are numbers with more than `bins` values, are cut into `bins` equal widths. Binning by
    itself makes about `(bins-1)²/2n` nats of information; the gap is between two with the same bias.
    """
    codes, factors, basis = _known(codes, factors, table, bins, code)
    information, entropy = _information(codes, factors, table, bins)
    gaps = _lead(information) / entropy
    return Mig(float(gaps.mean()), gaps, information, entropy, basis)


def modularity(
    codes: np.ndarray | Tensor, factors: np.ndarray, table: Sequence[Factor], bins: int = BINS, code: str = "mean"
) -> Modularity:
    """Modularity (Ridgeway & Mozer 2018, eq. 2): per latent, 1 - Σ of the other squared informations / (best²·(F-1)).

    A latent without any information counts 0. One with very little is judged by the noise of its bins: leave inactive
    latents out.
    """
    codes, factors, basis = _known(codes, factors, table, bins, code)
    if len(table) < 2:
        raise InputError("modularity compares the factors a latent tells of, but there is 1 factor: give at least 2.")
    squared = np.square(_information(codes, factors, table, bins)[0])
    best = squared.max(axis=1)
    spread = (squared.sum(axis=1) - best) / np.where(best > 0, best * (len(table) - 1), 1)
    per_latent = np.where(best > 0, 1 - spread, 0.0)
    return Modularity(float(per_latent.mean()), per_latent, basis)


def sap(codes: np.ndarray | Tensor, factors: np.ndarray, table: Sequence[Factor], code: str = "mean") -> Sap:
    """Separated attribute predictability (Kumar et al. 2018, sec. 3) of codes (n, latents) and factors (n, F).

    A number is read by a line, scored by R² (the squared correlation); a category by a linear SVM on every other row
    (C = 0.01, balanced), scored on the rest. The second best latent still guesses a category right by chance, so a
    perfect code reaches 1 - chance there.
    """
    codes, factors, basis = _known(codes, factors, table, None, code)
    from sklearn.svm import LinearSVC

    predictability = np.zeros((codes.shape[1], len(table)))
    varies = codes.var(axis=0) > 1e-12
    centred = codes[:, varies] - codes[:, varies].mean(axis=0)
    for k, factor in enumerate(table):
        if factor.choices:
            for latent in range(codes.shape[1]):  # a constant one, too: it scores chance
                reader = LinearSVC(C=0.01, class_weight="balanced", dual=False)
                column = codes[:, [latent]]
                reader.fit(column[::2], factors[::2, k])
                predictability[latent, k] = reader.score(column[1::2], factors[1::2, k])
        else:
            target = factors[:, k] - factors[:, k].mean()
            scale = np.square(centred).sum(axis=0) * (target @ target)
            predictability[varies, k] = np.square(centred.T @ target) / scale
    gaps = _lead(predictability)
    return Sap(float(gaps.mean()), gaps, predictability, basis)


def dci(
    codes: np.ndarray | Tensor,
    factors: np.ndarray,
    table: Sequence[Factor],
    code: str = "mean",
    seed: int = 0,
    progress: bool = False,
) -> Dci:
    """Disentanglement, completeness and informativeness (Eastwood & Williams 2018, sec. 2).

    A random forest per factor (theirs, too; disentanglement_lib takes boosted trees) learns from four rows in five and
    is scored on the fifth: 20 trees that weigh all latents at each split, leaves of 5 rows or more. Its importances,
    the share of the variance or impurity that each latent's splits remove, are the matrix. Disentanglement is
    1 - the entropy of a latent's row in base F, weighted by the row's sum; completeness 1 - the entropy of a factor's
    column in base `latents`, averaged. Importances say nothing of how well a factor is read: look at `read` as well.
    """
    codes, factors, basis = _known(codes, factors, table, None, code)
    if len(table) < 2:
        raise InputError("DCI asks which factor a latent is for, but there is 1 factor: give at least 2.")
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    held_out = np.arange(len(codes)) % 5 == 4
    importance, read, chance = np.empty((codes.shape[1], len(table))), np.empty(len(table)), np.zeros(len(table))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for k, factor in enumerate(tqdm(table, desc="DCI", unit="factor", disable=not progress, delay=2)):
        forest = (RandomForestClassifier if factor.choices else RandomForestRegressor)(
            20, min_samples_leaf=5, max_features=None, max_samples=0.5, n_jobs=cores, random_state=seed
        )
        forest.fit(codes[~held_out], factors[~held_out, k])
        importance[:, k] = _shares(forest.feature_importances_)
        forest.set_params(n_jobs=1)  # threads would add up the trees' answers in any order, and differ in the last bit
        read[k] = max(0.0, forest.score(codes[held_out], factors[held_out, k]))
        if factor.choices:
            values, counts = np.unique(factors[~held_out, k], return_counts=True)
            chance[k] = (factors[held_out, k] == values[counts.argmax()]).mean()
    return Dci(*concentration(importance), float(read.mean()), importance, read, chance, basis)


def concentration(importance: np.ndarray) -> tuple[float, float]:
    """Disentanglement and completeness of an importance matrix (latents, F) of at least 2 × 2."""
    latents, factors = importance.shape
    weight = importance.sum(axis=1) / importance.sum()
    # The rows of latents that matter to nothing have no entropy, and no weight.
    rows = importance / np.where(weight > 0, importance.sum(axis=1), 1)[:, None]
    columns = importance / importance.sum(axis=0)
    return (
        float(weight @ (1 - _entropy(rows.T) / np.log(factors))),
        float((1 - _entropy(columns) / np.log(latents)).mean()),
    )


def discretise(values: np.ndarray, bins: int) -> np.ndarray:
    """Numbers (n,) => the number of their bin, `bins` of equal width from the lowest to the highest."""
    edges = np.histogram_bin_edges(values, bins)
    return np.searchsorted(edges[1:-1], values, side="right")


def _information(
    codes: np.ndarray, factors: np.ndarray, table: Sequence[Factor], bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mutual information in nats (latents, F), and the factors' entropies (F,), all of binned values."""
    from sklearn.metrics import mutual_info_score

    code_bins = [discretise(column, bins) for column in codes.T]
    factor_bins = []
    for column, factor in zip(factors.T, table):
        values, numbered = np.unique(column, return_inverse=True)
        factor_bins.append(numbered if factor.choices or len(values) <= bins else discretise(column, bins))
    information = np.array([[mutual_info_score(a, b) for b in factor_bins] for a in code_bins])
    entropy = np.array([mutual_info_score(b, b) for b in factor_bins])
    return information, entropy


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Entropy in nats of each column of shares."""
    return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=0)


def _lead(matrix: np.ndarray) -> np.ndarray:
    """How far the best latent is ahead of the second best, per factor: (latents, F) => (F,)."""
    second, best = np.sort(matrix, axis=0)[-2:]
    return best - second


def _shares(importance: np.ndarray) -> np.ndarray:
    """Importances that sum to 1; trees that found nothing to split on hold every latent equally important."""
    total = importance.sum()
    return importance / total if total > 0 else np.full(len(importance), 1 / len(importance))


def _known(
    codes: np.ndarray | Tensor, factors: np.ndarray | None, table: Sequence[Factor] | None, bins: int | None, code: str
) -> tuple[np.ndarray, np.ndarray, Basis]:
    """Codes and factors as float64, checked, and the basis of a score on them."""
    codes = np.asarray(codes.detach().cpu() if isinstance(codes, Tensor) else codes, np.float64)
    if factors is None or not table:
        raise InputError(
            "this set's factors are not known, so disentanglement has no score: take a built-in set, "
            "dSprites or Shapes3D."
        )
    factors = np.asarray(factors, np.float64)
    if codes.ndim != 2 or factors.shape != (len(codes), len(table)):
        raise InputError(
            f"codes must be (n, latents) and factors (n, {len(table)}), one row per code, but they have "
            f"shapes {codes.shape} and {factors.shape}."
        )
    if len(codes) < _FEWEST or codes.shape[1] < 2:
        raise InputError(
            f"{len(codes)} codes of {codes.shape[1]} latents are too few to score disentanglement: give "
            f"at least {_FEWEST} codes of 2 latents."
        )
    if bins is not None and bins < 2:
        raise InputError(f"{bins} bins keep nothing of a code: give at least 2 (the study takes {BINS}).")
    if not np.isfinite(codes).all():
        raise InputError("the codes hold numbers that are not finite: the model has run away, train it again.")
    for column, factor in zip(factors.T, table):
        if column.min() == column.max():
            raise InputError(
                f"the factor {factor.name!r} has the same value in all {len(codes)} pictures, so no code "
                "can tell it: leave it out, or take more pictures."
            )
    return codes, factors, Basis(len(codes), codes.shape[1], tuple(f.name for f in table), code, bins)
