"""Reading attributes from pictures, to tell whether a decoded frame has what was asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from vae_helpers.data import PIXELS, Attribute, Attributes, embed, embed_all, measure_pixels, unembed, unembed_all
from vae_helpers.latent import Chart, VectorReader

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

PIXEL, PICTURE, CODE = "pixels", "reader of pictures", "re-encoded"
_SIDE, _PARTS = 24, 300  # pixels a side, and principal components of them, that the reader of pictures sees
_MOST = 4096  # pictures that it learns from


class PictureReader(NamedTuple):
    """Attributes from pictures, by regression on their principal components; knows nothing of the model."""

    table: tuple[Attribute, ...]
    parts: PCA
    reader: VectorReader

    @classmethod
    def fit(cls, pictures: np.ndarray, attributes: Attributes) -> PictureReader:
        """From uint8 training pictures (N, H, W, 3) and their attributes."""
        from sklearn.decomposition import PCA

        rows = np.unique(np.linspace(0, len(pictures) - 1, _MOST).astype(int))
        small = _small(pictures[rows])
        parts = PCA(min(_PARTS, len(small) // 2, small.shape[1]), svd_solver="randomized", random_state=0).fit(small)
        reader = VectorReader.fit(parts.transform(small), embed_all(attributes.values[rows], attributes.table))
        return cls(attributes.table, parts, reader)

    def read(self, frames: np.ndarray) -> np.ndarray:
        """uint8 (n, H, W, 3) => (n, A)."""
        return unembed_all(self.reader.read(self.parts.transform(_small(frames))), self.table)


class Judge(NamedTuple):
    """What reads each attribute of the table (A,) from a picture, and how well it does on real ones."""

    sources: tuple[str, ...]  # "pixels" (computed), "reader of pictures" or "re-encoded"
    score: np.ndarray  # (A,) R² on held-out pictures (the share read right of a category); 1 if computed
    gain: np.ndarray  # (A,) slope of what is read against the truth, by which changes are to be divided
    read: Callable[[np.ndarray], np.ndarray]  # uint8 (n, H, W, 3) => (n, A)

    @classmethod
    def fit(
        cls,
        encode: Callable[[np.ndarray], Tensor],
        chart: Chart,
        known: tuple[np.ndarray, Attributes],
        held_out: tuple[np.ndarray, Attributes],
    ) -> Judge:
        """Take for each attribute what reads it best: its definition in pixels, else the better of two readers.

        These are one that learns from the training pictures `known`, and the chart's reading of the picture encoded
        once more, which trusts the encoder; what is `held_out` decides. Both are (pictures, attributes).
        """
        table = chart.table
        pixel = {p.name: i for i, p in enumerate(PIXELS)}
        computed = [pixel.get(a.name) if a.source == "pixels" else None for a in table]
        known, held_out = ((pictures, attributes.select(chart.names)) for pictures, attributes in (known, held_out))
        readers = (
            {}
            if None not in computed
            else {PICTURE: PictureReader.fit(*known).read, CODE: lambda frames: chart.read(encode(frames))}
        )
        read = {name: reader(held_out[0]) for name, reader in readers.items()}
        best = [
            (PIXEL, 1.0, 1.0) if place is not None else _best_reader(read, held_out[1].values, k, attribute)
            for k, (attribute, place) in enumerate(zip(table, computed))
        ]
        sources, score, gain = zip(*best)

        def read_best(frames: np.ndarray) -> np.ndarray:
            found = {name: readers[name](frames) for name in set(sources) - {PIXEL}}
            if PIXEL in sources:
                found[PIXEL] = measure_pixels(frames)[:, [place or 0 for place in computed]]
            return np.stack([found[name][:, k] for k, name in enumerate(sources)], axis=1)

        return cls(sources, np.array(score), np.array(gain), read_best)


def _best_reader(
    read: dict[str, np.ndarray], truth: np.ndarray, k: int, attribute: Attribute
) -> tuple[str, float, float]:
    """Of what readers gave (n, A), the one whose column k scores highest: its name, score and gain."""
    scores = {name: score_of(values[:, k], truth[:, k], attribute) for name, values in read.items()}
    name = max(scores, key=lambda name: np.nan_to_num(scores[name], nan=-np.inf))
    return name, scores[name], _gain(read[name][:, k], truth[:, k], attribute)


def score_of(read: np.ndarray, truth: np.ndarray, attribute: Attribute) -> float:
    """R² of what was read (n,) of an attribute against the truth, where known; of a category the share right."""
    known = ~(np.isnan(truth) | np.isnan(read))
    read, truth = read[known], truth[known]
    if not len(truth):
        return np.nan
    if attribute.choices:
        return float((read == truth).mean())
    varies = np.square(apart(truth, centre_of(truth, attribute), attribute)).sum()
    return float(1 - np.square(apart(read, truth, attribute)).sum() / varies) if varies else np.nan


def centre_of(values: np.ndarray, attribute: Attribute) -> float:
    """The mean of known values (n,), on a circle that of the directions."""
    values = values[~np.isnan(values)]
    if attribute.kind != "circular" or not len(values):
        return float(values.mean()) if len(values) else np.nan
    return float(unembed(embed(values, attribute).mean(axis=0, keepdims=True), attribute)[0])


def apart(a: np.ndarray, b: np.ndarray | float, attribute: Attribute) -> np.ndarray:
    """`a - b`, on a circle the short way round."""
    if attribute.kind != "circular":
        return a - b
    return (a - b + attribute.period / 2) % attribute.period - attribute.period / 2


def _gain(read: np.ndarray, truth: np.ndarray, attribute: Attribute) -> float:
    known = ~(np.isnan(truth) | np.isnan(read))
    if attribute.kind != "number" or known.sum() < 2 or not truth[known].std():
        return 1.0
    return float(np.polyfit(truth[known], read[known], 1)[0])


def _small(pictures: np.ndarray) -> np.ndarray:
    """uint8 (n, H, W, 3) => float32 (n, 3·24·24)."""
    parts = [
        adaptive_avg_pool2d(torch.from_numpy(np.array(pictures[i : i + 128])).permute(0, 3, 1, 2).float(), _SIDE)
        for i in range(0, len(pictures), 128)
    ]
    return torch.cat(parts).flatten(1).numpy()
