"""A table of what is known of pictures, one row each, and how its values stand as numbers that can be regressed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vae_helpers.errors import InputError

KINDS = ("number", "circular", "category")


class Attribute(NamedTuple):
    """One column of the table; `low` to `high` is its range, one whole turn if circular, 0 to the last choice's number.

    `kind` is "number", "circular" or "category", whose `choices` are named; `source` says where values come from.
    """

    name: str
    unit: str = ""
    kind: str = "number"
    low: float = 0.0
    high: float = 1.0
    choices: tuple[str, ...] = ()
    source: str = ""

    @property
    def period(self) -> float | None:
        """One whole turn of a circular attribute."""
        return self.high - self.low if self.kind == "circular" else None

    @property
    def width(self) -> int:
        """How many numbers stand for a value when it is embedded (see `embed`)."""
        return {"number": 1, "circular": 2}.get(self.kind, len(self.choices))

    def number_of(self, value: float | str) -> float:
        """A value as a number: a category's name, or anything that is one. InputError for anything else."""
        if value in self.choices:
            return float(self.choices.index(value))
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not np.isfinite(number) or (self.choices and number not in range(len(self.choices))):
            wanted = f"a number from {self.low:g} to {self.high:g}"
            wanted = f"one of {', '.join(self.choices[:8])}" if self.choices else wanted
            raise InputError(f"{value!r} is no value of {self.name!r}: give {wanted}.")
        return number


@dataclass(frozen=True)
class Attributes:
    """`values` float64 (N, A), categories as their choice's number, NaN = unknown; `table` says what columns are."""

    values: np.ndarray
    table: tuple[Attribute, ...]

    def __post_init__(self):
        values = np.asarray(self.values, np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.table):
            raise InputError(
                f"a table of {len(self.table)} attributes needs values of shape (N, {len(self.table)}), "
                f"but these have shape {values.shape}."
            )
        twice = [name for i, name in enumerate(self.names) if name in self.names[:i]]
        if twice:
            raise InputError(
                f"two attributes are called {twice[0]!r}: rename one, so that each slider has a name of its own."
            )
        for column, attribute in zip(values.T, self.table):
            known = column[~np.isnan(column)]
            if np.isinf(known).any() or (attribute.choices and not np.isin(known, range(len(attribute.choices))).all()):
                raise InputError(
                    f"{attribute.name!r} holds a value that is neither finite nor NaN, or the number of "
                    "no choice: correct it, or leave it unknown."
                )
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "table", tuple(self.table))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes' names, in order."""
        return tuple(attribute.name for attribute in self.table)

    def column(self, name: str) -> int:
        """The number of the attribute of that name; InputError with the names there are."""
        return find_name(name, self.names)

    def select(self, names: Sequence[str]) -> Attributes:
        """Only these attributes, in this order."""
        columns = [self.column(name) for name in names]
        return Attributes(self.values[:, columns], tuple(self.table[i] for i in columns))

    def rows(self, rows: np.ndarray | slice) -> Attributes:
        """Only these pictures, in this order."""
        return Attributes(self.values[rows], self.table)

    def with_more(self, other: Attributes) -> Attributes:
        """These attributes and another table's of the same pictures; where both have a name, the other's is taken."""
        if len(other) != len(self):
            raise InputError(
                f"one table of attributes has {len(self)} rows and the other {len(other)}: both must "
                "describe the same pictures."
            )
        kept = self.select([name for name in self.names if name not in other.names])
        return Attributes(np.concatenate([kept.values, other.values], axis=1), kept.table + other.table)

    def correlation(self) -> np.ndarray:
        """How much each attribute tells of each other, (A, A), over the pictures that know both.

        Pearson's r between numbers; else the first canonical correlation of their embeddings, 0 to 1 (for a number and
        a category the root of the share of its variance between the categories). NaN where fewer than 8 know both.
        """
        parts = split_embedded(embed_all(self.values, self.table), self.table)
        found = np.eye(len(parts))
        for i, a in enumerate(parts):
            for j in range(i):
                found[i, j] = found[j, i] = canonical_correlation(a, parts[j])
        return found


def find_name(name: str, names: Sequence[str]) -> int:
    """The place of a name, in any case and with _ for a space; InputError with the nearest and all the others."""
    if name in names:
        return list(names).index(name)
    plain = [each.casefold().replace("_", " ") for each in names]
    if plain.count(wanted := str(name).casefold().replace("_", " ")) == 1:
        return plain.index(wanted)
    near = difflib.get_close_matches(str(name), names, 1)
    advice = f"did you mean {near[0]!r}? There are" if near else "there are"
    raise InputError(f"there is no attribute {name!r}; {advice} {', '.join(names[:40]) or 'none'}.")


def embed(column: np.ndarray, attribute: Attribute) -> np.ndarray:
    """Values (N,) => (N, width): a number from -1 to 1 over its range, clipped; cosine and sine; or one-hot."""
    column = np.asarray(column, np.float64)
    share = (column - attribute.low) / ((attribute.high - attribute.low) or 1.0)
    if attribute.kind == "number":
        return (2 * share - 1).clip(-1, 1)[:, None]
    if attribute.kind == "circular":
        return np.stack([np.cos(2 * np.pi * share), np.sin(2 * np.pi * share)], axis=1)
    hot = (column[:, None] == np.arange(len(attribute.choices))).astype(np.float64)
    hot[np.isnan(column)] = np.nan
    return hot


def unembed(embedded: np.ndarray, attribute: Attribute) -> np.ndarray:
    """The inverse of `embed`, (N, width) => (N,): clipped to the range, by the angle, or the largest."""
    if attribute.kind == "category":
        return embedded.argmax(axis=1).astype(np.float64)
    if attribute.kind == "circular":
        share = np.arctan2(embedded[:, 1], embedded[:, 0]) / (2 * np.pi) % 1.0
    else:
        share = (embedded[:, 0].clip(-1, 1) + 1) / 2
    return attribute.low + share * (attribute.high - attribute.low)


def embed_all(values: np.ndarray, table: Sequence[Attribute]) -> np.ndarray:
    """Every column of values (N, A) embedded, (N, E)."""
    parts = [embed(column, attribute) for column, attribute in zip(np.asarray(values).T, table)]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(values), 0))


def unembed_all(embedded: np.ndarray, table: Sequence[Attribute]) -> np.ndarray:
    """The inverse of `embed_all`, (N, E) => (N, A)."""
    return np.stack([unembed(part, a) for part, a in zip(split_embedded(embedded, table), table)], axis=1)


def split_embedded(embedded: np.ndarray, table: Sequence[Attribute]) -> list[np.ndarray]:
    """Each attribute's part of the last axis of (..., E)."""
    return np.split(embedded, np.cumsum([a.width for a in table])[:-1], axis=-1)


def canonical_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """The first canonical correlation of columns (N, p) and (N, q) over rows without NaN; signed where p = q = 1."""
    known = ~(np.isnan(a).any(axis=1) | np.isnan(b).any(axis=1))
    if known.sum() < 8:
        return np.nan
    a, b = a[known] - a[known].mean(axis=0), b[known] - b[known].mean(axis=0)
    if a.shape[1] == b.shape[1] == 1:
        length = np.sqrt(np.square(a).sum() * np.square(b).sum())
        return float((a * b).sum() / length) if length else 0.0
    bases = [_basis(part) for part in (a, b)]
    shared = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False) if all(x.size for x in bases) else [0.0]
    return float(min(1.0, shared[0]))


def _basis(centred: np.ndarray) -> np.ndarray:
    vectors, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    return vectors[:, lengths > 1e-9 * max(1.0, np.sqrt(len(centred)))]


def ranged(attribute: Attribute, column: np.ndarray) -> Attribute:
    """A number with the range of its known values; the half per cent at each end is left out of many different ones."""
    known = column[~np.isnan(column)]
    if attribute.kind != "number" or not len(known):
        return attribute
    ends = np.quantile(known, (0.005, 0.995)) if len(np.unique(known)) > 20 else (known.min(), known.max())
    return attribute._replace(low=float(ends[0]), high=float(ends[1]))
