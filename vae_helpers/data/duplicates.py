"""Pictures that are nearly the same: found by a perceptual hash of the decoded cache, mirrored ones included.

The hash is the sign of the 128 lowest frequencies of the brightness (a cosine transform, as in Zauner's pHash,
2010): it survives another size, quality, brightness or contrast. Mirroring a picture flips the sign of its odd
horizontal frequencies, so the mirrored hash costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

DUPLICATES_VERSION = 1
MAX_BITS = 20  # of 128 that may differ; between different photos the least seen was 38
MAX_COLOUR = 16.0  # root mean square difference of the 8 × 8 colour thumbnails, in levels of 255
MIN_SIGNAL = 0.5  # levels: a frequency weaker than this is noise, and counts as not there
_WAVES = 16  # frequencies per side that the hash is chosen from
_ORDERS = 3  # orders in which the 128 bits are cut into 8 bands of 16; rows are compared if any band is equal:
# sure up to 7 differing bits, 99 % at 12, 75 % at 20
_WINDOW = 16  # neighbours looked at within equal bands: bounds the work when all pictures look alike
_ROWS = 256


class Fingerprints(NamedTuple):
    """Per picture: the hash and the mirrored hash as uint16 `(N, 8)`, and a thumbnail uint8 `(N, 8, 8, 3)`."""

    bits: np.ndarray
    mirrored: np.ndarray
    thumbnails: np.ndarray


def near_duplicates(pictures: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """Groups of rows of uint8 `(N, H, W, 3)` that show nearly the same picture, sorted; rows alone are left out.

    Two rows are linked when at most 20 of 128 hash bits differ and their 8 × 8 thumbnails agree; groups are what
    links connect. Time and memory grow like N log N, whatever the pictures.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count, links = len(pictures), [np.stack(pair) for pair in _links(fingerprints(pictures))]
    if not links:
        return ()
    first, second = np.concatenate(links, axis=1)
    linked = coo_array((np.ones(len(first), bool), (first, second)), (count, count))
    _, group = connected_components(linked, directed=False)
    rows = np.argsort(group, kind="stable")
    groups = np.split(rows, np.flatnonzero(np.diff(group[rows])) + 1)
    return tuple(sorted(tuple(members.tolist()) for members in groups if len(members) > 1))


def fingerprints(pictures: np.ndarray) -> Fingerprints:
    """Hash every picture, a block at a time."""
    count, height, width = pictures.shape[:3]
    chosen = _lowest()
    odd = chosen % _WAVES % 2 == 1
    bits = np.empty((count, 128), bool)
    mirrored = np.empty((count, 128), bool)
    thumbnails = np.empty((count, 8, 8, 3), np.uint8)
    # One matrix for all that is wanted of a line: brightness in 16 waves, then 8 cells of each colour.
    brightness = np.kron(_waves(width).T, np.array([[0.299], [0.587], [0.114]], np.float32))
    across = np.concatenate([brightness, np.kron(_areas(width).T, np.eye(3, dtype=np.float32))], axis=1)
    for start in range(0, count, _ROWS):
        part = slice(start, start + _ROWS)
        lines = np.asarray(pictures[part], np.float32).reshape(-1, height, width * 3) @ across
        signal = (_waves(height) @ lines[..., :_WAVES]).reshape(len(lines), -1)[:, chosen]
        bits[part] = signal > MIN_SIGNAL
        mirrored[part] = np.where(odd, -signal, signal) > MIN_SIGNAL
        thumbnails[part] = np.rint(_areas(height) @ lines[..., _WAVES:]).reshape(-1, 8, 8, 3)
    return Fingerprints(_pack(bits), _pack(mirrored), thumbnails)


def _links(prints: Fingerprints) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows that agree in hash and thumbnail, from neighbours in the sort order of each band."""
    count = len(prints.bits)
    codes = np.concatenate([prints.bits, prints.mirrored])
    words = codes.view(np.uint64)
    brightness = np.tile(prints.thumbnails.mean((1, 2, 3)), 2)
    by_hash = np.lexsort((brightness, words[:, 1], words[:, 0]))
    _, whole = np.unique(words, axis=0, return_inverse=True)
    whole = whole.reshape(-1)
    # Equal hashes meet in the first sort, so the bands leave them out: they may be the whole set.
    sorts = [(by_hash, whole, None)]
    sorts += [(by_hash[np.argsort(band[by_hash], kind="stable")], band, whole) for band in _bands(codes)]
    for by, code, apart in sorts:
        for step in range(1, _WINDOW + 1):
            close = code[by[:-step]] == code[by[step:]]
            if not close.any():
                break
            if apart is not None:
                close &= apart[by[:-step]] != apart[by[step:]]
            near = np.flatnonzero(close)
            first, second = by[near], by[near + step]
            # Two mirrored entries repeat the pair of unmirrored ones.
            useful = (first % count != second % count) & ((first < count) | (second < count))
            first, second = first[useful], second[useful]
            alike = _distance(words[first], words[second]) <= MAX_BITS
            first, second = first[alike], second[alike]
            alike = _colour_distance(prints.thumbnails, first, second) <= MAX_COLOUR
            yield first[alike] % count, second[alike] % count


def _bands(codes: np.ndarray) -> Iterator[np.ndarray]:
    """16-bit pieces of the hashes: in their order, then reordered by fixed strides."""
    bits = np.unpackbits(codes.view(np.uint8), axis=1)
    for stride in (1, 43, 85)[:_ORDERS]:
        yield from _pack(bits[:, np.arange(128) * stride % 128]).T


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many bits differ, per row."""
    differing = (a ^ b).view(np.uint8)
    return _BIT_COUNT[differing].sum(axis=1, dtype=np.int64)


def _colour_distance(thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    count = len(thumbnails)
    a, b = thumbnails[first % count].astype(np.float32), thumbnails[second % count].astype(np.float32)
    turned = (first < count) != (second < count)
    b[turned] = b[turned, :, ::-1]
    return np.sqrt(((a - b) ** 2).mean((1, 2, 3)))


def _waves(size: int) -> np.ndarray:
    """The lowest cosine waves over `size` pixels, scaled so that a full-strength wave gives its height in levels."""
    place = (np.arange(size) + 0.5) / size
    return (np.cos(np.pi * np.arange(_WAVES)[:, None] * place) * (2 / size)).astype(np.float32)


def _areas(size: int) -> np.ndarray:
    """Weights that average `size` pixels into 8 cells, sharing pixels that lie across an edge."""
    edges = np.linspace(0, size, 9)
    overlap = np.minimum(edges[1:, None], np.arange(1, size + 1)) - np.maximum(edges[:-1, None], np.arange(size))
    return (np.clip(overlap, 0, None) * 8 / size).astype(np.float32)


def _lowest() -> np.ndarray:
    """Flat indices of the 128 lowest of the 16 × 16 frequencies, without the mean."""
    vertical, horizontal = np.divmod(np.arange(_WAVES**2), _WAVES)
    return np.lexsort((vertical, horizontal + vertical))[1:129]


def _pack(bits: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(np.uint16)


_BIT_COUNT = np.array([bin(value).count("1") for value in range(256)], np.uint8)
