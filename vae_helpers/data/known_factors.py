"""Files whose factors are known: dSprites (`.npz`) and Shapes3D (`.h5`), read row by row, never whole.

dSprites: Matthey, Higgins, Hassabis and Lerchner (2017). Shapes3D: Burgess and Kim (2018).
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_helpers.data.decoding import resize_square
from vae_helpers.data.synthetic.shapes import Factor
from vae_helpers.errors import InputError

SUFFIXES = (".npz", ".h5", ".hdf5")
_TURN = float(2 * np.pi)
# Factors as the files hold them; a categorical column counts from `low`.
_DSPRITES = (
    Factor("colour", 1, 1, ""),
    Factor("shape", 1, 3, "", ("square", "ellipse", "heart")),
    Factor("scale", 0.5, 1, "of the largest"),
    Factor("orientation", 0, _TURN, "radians"),
    Factor("position_x", 0, 1, "of the range"),
    Factor("position_y", 0, 1, "of the range"),
)
_SHAPES3D = (
    Factor("floor_hue", 0, 0.9, "of the colour circle"),
    Factor("wall_hue", 0, 0.9, "of the colour circle"),
    Factor("object_hue", 0, 0.9, "of the colour circle"),
    Factor("scale", 0.75, 1.25, "of the middle size"),
    Factor("shape", 0, 3, "", ("cube", "cylinder", "sphere", "capsule")),
    Factor("orientation", -30, 30, "degrees"),
)


class KnownFactors(NamedTuple):
    """An open file: its factors float64 `(N, F)`, their table, and a reader of sorted rows as squares of one size."""

    name: str
    factors: np.ndarray
    table: tuple[Factor, ...]
    read: Callable[[np.ndarray, int], Iterator[np.ndarray]]


def open_known_factors(path: Path) -> KnownFactors:
    """Open a dSprites or Shapes3D file; `read(rows, size)` yields one uint8 `(size, size, 3)` per row, rows sorted.

    A factor that never changes (dSprites' colour) is left out, and categories count from 0. Raises `InputError`
    when the file is missing, is something else, or h5py is not installed.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: give the path of a dSprites .npz or a Shapes3D .h5 file.")
    try:
        opened = _open_npz(path) if path.suffix.lower() == ".npz" else _open_h5(path)
        return opened._replace(read=_with_plain_errors(path, opened.read))
    except InputError:
        raise
    except Exception:  # damaged headers raise nearly anything, down to tokenizer errors
        raise InputError(
            f"{path} is not a dSprites .npz (imgs, latents_values) or Shapes3D .h5 (images, labels) file, "
            "or it is damaged: download it again."
        ) from None


def _with_plain_errors(path: Path, read: Callable[[np.ndarray, int], Iterator[np.ndarray]]):
    def read_in_words(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """As `read`; whatever it raises becomes one sentence."""
        try:
            yield from read(rows, size)
        except Exception:  # whatever zlib, zipfile or HDF5 say
            raise InputError(
                f"the pictures in {path} cannot be read to the end, because it is damaged: download it again."
            ) from None

    return read_in_words


def _open_npz(path: Path) -> KnownFactors:
    with np.load(path, allow_pickle=False) as file:
        values = file["latents_values"]
    with _open_images(path) as (_, shape):
        if len(shape) not in (3, 4) or values.shape != (shape[0], len(_DSPRITES)):
            raise ValueError

    def read(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """Squares of sorted rows."""
        # The archive is compressed, so it is read through once, forward, keeping one picture at a time.
        with _open_images(path) as (stream, shape):
            length = int(np.prod(shape[1:]))
            here = 0
            for row in rows.tolist():
                _skip(stream, (row - here) * length)
                raw = np.frombuffer(stream.read(length), np.uint8).reshape(shape[1:])
                here = row + 1
                yield resize_square(raw * np.uint8(255), size)  # stored as 0 and 1

    return KnownFactors("dsprites", *_varying(values, _DSPRITES), read)


class _open_images:
    """The stream of `imgs.npy` inside the archive, behind its header, and its shape."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self):
        self.archive = zipfile.ZipFile(self.path)
        try:
            stream = self.archive.open("imgs.npy")
            version = np.lib.format.read_magic(stream)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, fortran, dtype = header(stream)
            if fortran or dtype != np.uint8:
                raise ValueError
        except BaseException:
            self.archive.close()
            raise
        return stream, shape

    def __exit__(self, *_):
        self.archive.close()


def _skip(stream, count: int) -> None:
    while count > 0:
        got = len(stream.read(min(count, 1 << 20)))
        if not got:
            raise EOFError
        count -= got


def _open_h5(path: Path) -> KnownFactors:
    try:
        import h5py
    except ImportError:
        raise InputError(f"reading {path.name} needs the package h5py: install it with `pip install h5py`.") from None
    with h5py.File(path, "r") as file:
        values, shape = np.asarray(file["labels"], np.float64), file["images"].shape
    if len(shape) != 4 or shape[3] != 3 or values.shape != (shape[0], len(_SHAPES3D)):
        raise ValueError

    def read(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
        """Squares of sorted rows."""
        with h5py.File(path, "r") as file:
            images = file["images"]
            for start in range(0, len(rows), 64):
                for raw in images[rows[start : start + 64]]:
                    yield resize_square(np.asarray(raw, np.uint8), size)

    return KnownFactors("shapes3d", *_varying(values, _SHAPES3D), read)


def _varying(values: np.ndarray, table: Sequence[Factor]) -> tuple[np.ndarray, tuple[Factor, ...]]:
    kept = [column for column, factor in enumerate(table) if factor.low < factor.high]
    values = values[:, kept].astype(np.float64)
    table = [table[column] for column in kept]
    for column, factor in enumerate(table):
        if factor.choices:
            values[:, column] -= factor.low
            table[column] = factor._replace(low=0.0, high=float(len(factor.choices) - 1))
    return values, tuple(table)
