"""Fingerprints: 64 bits of a file's contents, by which a picture is known again under another name or path."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os.path import join
from pathlib import Path

import numpy as np

WHOLE = 256 << 10  # bytes: a file up to this size is hashed whole
PIECES, PIECE = 8, 16 << 10  # of a larger one so many pieces of so many bytes, spread evenly from first to last byte
UNKNOWN = 0  # of a file that cannot be read, and of pictures from a time without fingerprints


def file_print(path: str | os.PathLike[str]) -> int:
    """The signed 64 bits of a file: a hash of its size and of a part of its bytes; 0 where it cannot be read."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            state = hashlib.blake2b(str(size).encode(), digest_size=8)
            if size <= WHOLE:
                state.update(file.read(WHOLE))
            else:
                for piece in range(PIECES):
                    file.seek((size - PIECE) * piece // (PIECES - 1))
                    state.update(file.read(PIECE))
    except OSError:
        return UNKNOWN
    return _signed(state)


def file_prints(folder: Path, names: Sequence[str], workers: int) -> np.ndarray:
    """`file_print` of every name below `folder`, int64 `(N,)`."""
    with ThreadPoolExecutor(workers, thread_name_prefix="fingerprint") as pool:
        found = pool.map(lambda name: file_print(join(folder, name)), names)
        return np.fromiter(found, np.int64, len(names))


def name_prints(names: Sequence[str], of: int = UNKNOWN) -> np.ndarray:
    """Prints int64 `(N,)` of pictures that their names say all about, such as rows of one file whose print is `of`."""
    start = str(of)
    states = (hashlib.blake2b(f"{start}/{name}".encode(), digest_size=8) for name in names)
    return np.fromiter((_signed(state) for state in states), np.int64, len(names))


def _signed(state) -> int:
    return int.from_bytes(state.digest(), "big", signed=True)
