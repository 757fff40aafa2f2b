"""A chart of the latent space: which codes go with which attributes, so that a slider can move one of them.

Codes are regressed on attributes, `g: a ↦ E[z | a]`, curved and with products, and attributes on codes. A code z with
attributes a then moves along `z + g(a with a_k = t) - g(a)`: what the attributes don't explain of it stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import Attribute, Attributes, embed, embed_all, find_name, split_embedded, unembed_all
from vae_helpers.errors import InputError
from vae_helpers.latent.chart_features import Features
from vae_helpers.latent.chart_values import (
    FEWEST,
    clip_embedded,
    fill_unknown,
    interpolated,
    seen_columns,
    shared_covariance,
    unlearnable,
)
from vae_helpers.latent.code_reader import VectorReader, ridge

WAYS = ("conditional", "marginal")  # the others follow as they do in the set, or stay
_MOST, _KEPT = 4096, 2048  # codes learnt from, and residues kept for samples: more gain little


@dataclass(frozen=True)
class Chart:
    """Made by `Chart.fit`. `table` are the attributes it holds, `left_out` says why others are not among them.

    Codes are float32 tensors (..., latent_dim); only the `active` latents ever move. `embedded` (M, E) and `residues`
    (M, active) are of training pictures, for samples.
    """

    table: tuple[Attribute, ...]
    left_out: dict[str, str]
    mean: np.ndarray  # (latent_dim,) of the codes
    active: np.ndarray  # (L,) latents
    features: Features
    weights: np.ndarray  # (F, L) of g
    offset: np.ndarray  # (L,)
    reader: VectorReader
    covariance: np.ndarray  # (E, E) of the embedded attributes, without what may be chance
    seen: np.ndarray  # (E,) bool: choices that a training picture has; True for numbers
    embedded: np.ndarray
    residues: np.ndarray

    @classmethod
    def fit(cls, codes: Tensor, attributes: Attributes, active: np.ndarray | None = None, seed: int = 0) -> Chart:
        """From training codes (N, latent_dim) and their attributes; of more than 4,096 codes as many, evenly spread.

        `active` are the latents that matter (default: those whose variance is over 0.01). Cells that are unknown are
        read off the codes. Raises InputError for fewer than 8 codes, no active latent or no attribute to learn.
        """
        _require_codes(codes, attributes)
        rows = np.unique(np.linspace(0, len(codes) - 1, _MOST).astype(int))
        z = np.asarray(codes.detach().cpu(), np.float64)[rows]
        active = np.flatnonzero(z.var(axis=0) > 0.01) if active is None else np.sort(np.asarray(active))
        left_out = unlearnable(attributes := attributes.rows(rows))
        attributes = attributes.select([name for name in attributes.names if name not in left_out])
        table = attributes.table
        _require_something(active, table, left_out)
        embedded = embed_all(attributes.values, table)
        reader = VectorReader.fit(z[:, active], embedded, seed)
        embedded = fill_unknown(embedded, reader.read(z[:, active]), table)
        features = Features.chosen(table, embedded, z[:, active])
        made = features(embedded)
        weights, offset = ridge(made, z[:, active])
        kept = np.unique(np.linspace(0, len(z) - 1, _KEPT).astype(int))
        residues = (z[:, active] - made @ weights - offset)[kept].astype(np.float32)
        return cls(
            table,
            left_out,
            z.mean(axis=0),
            active,
            features,
            weights,
            offset,
            reader,
            shared_covariance(embedded, table),
            seen_columns(embedded, table),
            embedded[kept].astype(np.float32),
            residues,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes it can move and read."""
        return tuple(attribute.name for attribute in self.table)

    @property
    def correlated(self) -> bool:
        """Whether any two attributes hang together in the training pictures, so that the two ways to move differ."""
        blocks = np.repeat(np.arange(len(self.table)), [attribute.width for attribute in self.table])
        return bool(self.covariance[blocks[:, None] != blocks].any())

    def column(self, name: str) -> int:
        """The place of an attribute; InputError for one that the chart does not hold, and why."""
        if name in self.left_out:
            raise InputError(
                f"{name!r} cannot be moved or read, because it {self.left_out[name]}; there are "
                f"{', '.join(self.names)}."
            )
        return find_name(name, self.names)

    def choices(self, name: str) -> list[int]:
        """The numbers of a category's choices that training pictures have; empty for a number or a circle."""
        k = self.column(name)
        seen = split_embedded(self.seen, self.table)[k]
        return np.flatnonzero(seen).tolist() if self.table[k].choices else []

    def read(self, codes: Tensor, known: np.ndarray | None = None) -> np.ndarray:
        """The attributes at codes (n, latent_dim), float64 (n, A) within their ranges; `known` (n, A) cells stay."""
        return unembed_all(self._start(self._matrix(codes), known), self.table)

    def expected(self, values: np.ndarray) -> Tensor:
        """g: the mean code of pictures with attributes (n, A), none unknown: (n, latent_dim)."""
        embedded = embed_all(values, self.table)
        full = np.tile(self.mean, (len(embedded), 1))
        full[:, self.active] = self.features(embedded) @ self.weights + self.offset
        return torch.from_numpy(full).float()

    def move(
        self,
        code: Tensor,
        name: str,
        value: float | str | np.ndarray,
        way: str = "conditional",
        known: np.ndarray | None = None,
    ) -> Tensor:
        """The code (latent_dim,) with one attribute changed to `value`, or to each of several values (n,).

        `way` "conditional": attributes that are correlated with it follow by their conditional expectation, so that the
        picture stays one of the set; "marginal": all others stay. A number beyond its range counts as its end. `known`
        (A,) are the code's attributes where they are known, else they are read. Gives (latent_dim,) or (n, latent_dim).
        """
        attribute = self.table[self.column(name)]
        several = not isinstance(value, str) and np.ndim(value) > 0
        values = [attribute.number_of(each) for each in (value if several else [value])]
        moved = self._moved(code, {name: np.array(values)}, way, known)
        return moved if several else moved[0]

    def move_all(
        self, code: Tensor, wanted: Mapping[str, float | str], way: str = "conditional", known: np.ndarray | None = None
    ) -> Tensor:
        """The code (latent_dim,) with several attributes changed at once; those not `wanted` follow or stay."""
        values = {name: np.array([self.table[self.column(name)].number_of(v)]) for name, v in wanted.items()}
        return self._moved(code, values, way, known)[0] if values else code.clone()

    def asked(
        self, code: Tensor, name: str, values: np.ndarray, way: str = "conditional", known: np.ndarray | None = None
    ) -> np.ndarray:
        """What `move` means all attributes to be at each of `values` (n,): (n, A)."""
        start = self._start(self._matrix(code[None]), None if known is None else known[None])
        return unembed_all(self._targets(start, {name: np.asarray(values, np.float64)}, way), self.table)

    def path(self, a: Tensor, b: Tensor, steps: int | Tensor, known: np.ndarray | None = None) -> Tensor:
        """From code a to code b: (steps, latent_dim), whose ends are a and b bit for bit.

        Attributes go straight (a circle the short way round, a category switches half-way), and so does what they don't
        explain. Instead of a number of even steps, fractions of the way may be given. `known` (2, A) as in `read`.
        """
        if isinstance(steps, int) and steps < 2:
            raise InputError(f"a path of {steps} step has no two ends: ask for at least 2.")
        t = torch.as_tensor(steps).double() if isinstance(steps, Tensor) else torch.linspace(0, 1, steps).double()
        ends = self._start(self._matrix(torch.stack([a, b])), known)
        share = t.numpy()[:, None]
        between = np.concatenate(
            [
                interpolated(part, attribute, share)
                for part, attribute in zip(split_embedded(ends, self.table), self.table)
            ],
            axis=1,
        )
        first, last = self.features(ends)
        bend = (self.features(between) - (1 - share) * first - share * last) @ self.weights
        path = (1 - t[:, None]) * a.double() + t[:, None] * b.double()
        path[:, self.active] += torch.from_numpy(bend)
        path = path.float()
        path[t == 0], path[t == 1] = a.float(), b.float()
        return path

    def sample(self, n: int, seed: int = 0, temperature: float = 1.0) -> Tensor:
        """Codes of new pictures, (n, latent_dim): the attributes of one training picture, the residue of another.

        `temperature` scales the residue: 0 gives the mean picture of those attributes.
        """
        if n < 1 or not 0 <= temperature <= 10:
            raise InputError(
                f"{n} samples at temperature {temperature:g} cannot be drawn: ask for at least 1, and a "
                "temperature from 0 to 10."
            )
        rng = np.random.default_rng(seed)
        rows, others = rng.integers(len(self.embedded), size=(2, n))
        full = np.tile(self.mean, (n, 1))
        full[:, self.active] = (
            self.features(self.embedded[rows]) @ self.weights + self.offset + temperature * self.residues[others]
        )
        return torch.from_numpy(full).float()

    def fit_score(self, codes: Tensor, attributes: Attributes) -> float:
        """R² of held-out codes (n, latent_dim) from their attributes, over the active latents together."""
        z, known = self._matrix(codes), attributes.select(self.names).values
        explained = self.features(self._start(z, known)) @ self.weights + self.offset
        return float(1 - np.square(z - explained).sum() / np.square(z - z.mean(axis=0)).sum())

    def _matrix(self, codes: Tensor) -> np.ndarray:
        if codes.dim() != 2 or codes.shape[1] != len(self.mean):
            raise InputError(
                f"codes must have {len(self.mean)} latents, as those that this chart was made of, but "
                f"these have shape {tuple(codes.shape)}."
            )
        return np.asarray(codes.detach().cpu(), np.float64)[:, self.active]

    def _start(self, active: np.ndarray, known: np.ndarray | None) -> np.ndarray:
        """Embedded attributes (n, E) of codes (n, L)."""
        read = self.reader.read(active)
        if known is None:
            return fill_unknown(np.full_like(read, np.nan), read, self.table)
        return fill_unknown(embed_all(known, self.table), read, self.table)

    def _moved(self, code: Tensor, wanted: Mapping[str, np.ndarray], way: str, known: np.ndarray | None) -> Tensor:
        start = self._start(self._matrix(code[None]), None if known is None else np.asarray(known)[None])
        before, after = self.features(start), self.features(self._targets(start, wanted, way))
        moved = code.detach().cpu().double().repeat(len(after), 1)
        moved[:, self.active] += torch.from_numpy((after - before) @ self.weights)
        return moved.to(code.dtype)

    def _targets(self, start: np.ndarray, wanted: Mapping[str, np.ndarray], way: str) -> np.ndarray:
        """The embedded attributes (n, E) of a start (1, E) where some are changed and others follow."""
        if way not in WAYS:
            raise InputError(f"{way!r} is not a way to move: choose {' or '.join(WAYS)}.")
        columns = {self.column(name): values for name, values in wanted.items()}
        target = np.repeat(start, max(len(values) for values in columns.values()), axis=0)
        places = np.split(np.arange(start.shape[1]), np.cumsum([a.width for a in self.table])[:-1])
        for k, values in columns.items():
            asked, own = embed(values, self.table[k]), start[:, places[k]]
            target[:, places[k]] = np.where(np.isclose(asked, own, 0, 1e-9).all(axis=1, keepdims=True), own, asked)
            if self.table[k].choices and not self.seen[places[k]][values.astype(int)].all():
                unseen = self.table[k].choices[int(values[~self.seen[places[k]][values.astype(int)]][0])]
                raise InputError(
                    f"no training picture's {self.table[k].name} is {unseen!r}, so nothing was learnt of it."
                )
        if way == "conditional":
            moved = np.concatenate([places[k] for k in columns])
            slopes = np.linalg.pinv(self.covariance[np.ix_(moved, moved)], 1e-6) @ self.covariance[moved]
            change = (target[:, moved] - start[:, moved]) @ slopes
            for j, (attribute, place) in enumerate(zip(self.table, places)):
                if j not in columns and change[:, place].any():
                    target[:, place] = clip_embedded(target[:, place] + change[:, place], attribute)
        return target


def _require_codes(codes: Tensor, attributes: Attributes) -> None:
    if codes.dim() != 2 or len(codes) != len(attributes):
        raise InputError(
            f"a chart needs codes (N, latent_dim) and as many rows of attributes, but got "
            f"{tuple(codes.shape)} and {len(attributes)} rows."
        )
    if len(codes) < FEWEST:
        raise InputError(f"{len(codes)} pictures are too few for a chart: give at least {FEWEST}.")
    if not bool(torch.isfinite(codes).all()):
        raise InputError("some codes are not finite numbers, so no chart can be made of them: train the model again.")


def _require_something(active: np.ndarray, table: tuple[Attribute, ...], left_out: Mapping[str, str]) -> None:
    if not len(active) or not table:
        why = "; ".join(f"{name} {reason}" for name, reason in list(left_out.items())[:3]) or "none was given"
        raise InputError(
            f"no chart can be made of {len(active)} active latents and {len(table)} "
            f"attributes ({why}): it needs codes that differ, and attributes that do."
        )
