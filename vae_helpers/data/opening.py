"""A built-in set, a folder of photos or a file with known factors, opened as one `PictureSet`; or a single picture.

Everything comes out as uint8 `(N, H, W, 3)`, memory-mapped from a cache that is made once; `batches` turns that into
tensors.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from vae_helpers.data import synthetic
from vae_helpers.data.batching import order
from vae_helpers.data.cache import CacheSpec, open_cache
from vae_helpers.data.cache_format import Cached, digest
from vae_helpers.data.decoding import DECODER_VERSION, decode, quiet
from vae_helpers.data.fingerprint import UNKNOWN, file_print, name_prints
from vae_helpers.data.folder_cache import open_folder
from vae_helpers.data.folders import FOLDERS, find_folder, find_pictures, label_of, project_root
from vae_helpers.data.kinds import Unreadable
from vae_helpers.data.known_factors import SUFFIXES as FACTOR_SUFFIXES
from vae_helpers.data.known_factors import open_known_factors
from vae_helpers.data.pictures import PictureSet
from vae_helpers.data.request import CacheOptions, Request
from vae_helpers.errors import InputError, printable
from vae_helpers.files import expand, say
from vae_helpers.settings import BUILT_IN

BUILT_IN_PICTURES = 4096
MOST_BUILT_IN = 10_000_000
KNOWN_FACTOR_PICTURES = 16384  # of the 480,000 to 737,280 in such a file, unless `limit` says otherwise
_MOST_LETTERS = 60  # of a folder's name that its cache and its runs are called after: they add some of their own


def open_pictures(
    source: str | os.PathLike[str],
    image_size: int = 128,
    limit: int | None = None,
    fit: str = "crop",
    allow_bad: float = 0.01,
    cache_dir: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: bool = True,
    seed: int = 0,
) -> PictureSet:
    """Open a set of pictures as squares of `image_size`, decoding or drawing them the first time only.

    `source`: `"synthetic"` (the built-in butterflies), `"animals"` (the built-in faces), `"butterfly"` or
    `"animal"` (the folders under `data/`), or a path: any folder of pictures, dSprites' `.npz` or Shapes3D's `.h5`.
    `limit` takes that many: of a folder a fixed choice spread over its sub-folders, of a built-in set the first ones
    of `seed` (4,096 unless said), of a file with known factors a fixed random choice (16,384 unless said).
    `fit`: `"crop"` or `"pad"`. More than the fraction `allow_bad` of unreadable files stops with a sentence.
    `cache_dir` defaults to `data/cache` under the project; `workers` to one thread per core.

    Raises `InputError` for a missing or empty folder, one without pictures, too many bad files, a full disk.
    """
    request = Request(source, image_size, fit, limit, allow_bad, seed)
    where = cache_folder() if cache_dir is None else expand(cache_dir)
    options = CacheOptions(where, workers or _cores(), progress)
    if isinstance(source, str) and source in BUILT_IN:
        opened = _open_built_in(BUILT_IN[source], request, options)
    else:
        path = find_folder(source)
        opened = _open_known_factors(path, request, options) if _is_file(path) else _open_folder(request, options)
        request = replace(request, source=source if source in FOLDERS else str(path.resolve()))
    return replace(opened, request=asdict(request))


def cache_folder() -> Path:
    """Where decoded pictures are kept unless another place is said."""
    return project_root() / "data" / "cache"


def read_picture(path: str | os.PathLike[str], image_size: int = 128, fit: str = "crop") -> np.ndarray:
    """One picture file as uint8 `(image_size, image_size, 3)`, exactly as a folder's pictures are decoded."""
    Request(path, image_size, fit)
    path = expand(path)
    if not os.path.isfile(path):
        raise InputError(f"there is no picture {printable(str(path))}: give the path of a picture file.")
    try:
        with quiet():
            return np.array(decode(path, image_size, fit))
    except Unreadable as error:
        raise InputError(
            f"the picture {printable(str(path))} cannot be used, because it {error}: give another one."
        ) from None


def name_of(source: str | os.PathLike[str]) -> str:
    """The name that the set opened from `source` will have. InputError for a folder or file that is not there."""
    if isinstance(source, str) and source in BUILT_IN:
        return BUILT_IN[source]
    path = find_folder(source)
    if _is_file(path):
        return open_known_factors(path).name
    if not path.is_dir():
        find_pictures(path)  # refuses it in its own words
    return source if source in FOLDERS else _plain_name(path.resolve().name)


def _is_file(path: Path) -> bool:
    """Whether it is a file with known factors, by its name."""
    return path.suffix.lower() in FACTOR_SUFFIXES and not path.is_dir()


def _open_folder(request: Request, options: CacheOptions) -> PictureSet:
    folder, name = find_folder(request.source), name_of(request.source)
    cached, notes, left_out = open_folder(folder, name, request, options)
    return PictureSet(
        name,
        cached.pictures,
        cached.names,
        tuple(label_of(item) for item in cached.names),
        skipped=cached.skipped,
        notes=notes,
        left_out=left_out,
        source=str(folder),
        cache=cached.folder,
        prints=np.array(cached.more["prints"], np.int64),
    )


def built_in_names(set_name: str, count: int, seed: int = 0) -> list[str]:
    """The names of the first pictures of a built-in set, which decide how it is split."""
    return [f"{set_name}/seed{seed}/{row:06d}" for row in range(count)]


def _open_built_in(set_name: str, request: Request, options: CacheOptions) -> PictureSet:
    size, seed = request.image_size, request.seed
    count = BUILT_IN_PICTURES if request.limit is None else request.limit
    if count > MOST_BUILT_IN:
        raise InputError(f"`limit` is {count:,}, but must be at most {MOST_BUILT_IN:,} of a built-in set.")
    factors = synthetic.sample_factors(set_name, count, seed)

    def fill(blocks: Sequence[np.ndarray]) -> Iterator:
        """Draw blocks of rows; a `cache.Fill`."""
        for rows in blocks:
            for part in np.array_split(rows, -(-len(rows) // 32)):
                yield part, synthetic.render(factors[part], size, set_name), [None] * len(part)

    names = built_in_names(set_name, count, seed)
    family = f"{set_name}-{size}-{digest(count, seed)}-"
    stem = family + digest(synthetic.DRAWING_VERSION)
    spec = CacheSpec(options.folder, stem, names, size, family, about={"source": set_name})
    cached = open_cache(spec, fill, progress=options.progress)
    return _with_factors(set_name, cached, factors, synthetic.SETS[set_name], source="built-in")


def _open_known_factors(path: Path, request: Request, options: CacheOptions) -> PictureSet:
    file, size = open_known_factors(path), request.image_size
    total = len(file.factors)
    if request.limit is None and total > KNOWN_FACTOR_PICTURES:
        say(
            f"{path.name} holds {total:,} pictures; taking a fixed random choice of {KNOWN_FACTOR_PICTURES:,} "
            "(say `limit` for another number)."
        )
    chosen = np.sort(order(total, 0, 0)[: request.limit or KNOWN_FACTOR_PICTURES])

    def fill(blocks: Sequence[np.ndarray]) -> Iterator:
        """Read blocks of rows; a `cache.Fill`."""
        reader = file.read(chosen[np.concatenate(blocks)] if len(blocks) else chosen[:0], size)
        for rows in blocks:
            yield rows, np.stack([next(reader) for _ in rows]), [None] * len(rows)

    state, full = path.stat(), str(path.resolve())
    family = f"{file.name}-{size}-{digest(full, len(chosen), DECODER_VERSION)}-"
    spec = CacheSpec(
        options.folder,
        family + digest(state.st_size, state.st_mtime_ns),
        [f"{file.name}/{row:07d}" for row in chosen.tolist()],
        size,
        family,
        about={"source": full, "files": True},
        more=lambda names: {"print": file_print(path)},
    )
    cached = open_cache(spec, fill, progress=options.progress)
    return _with_factors(file.name, cached, file.factors[chosen], file.table, source=str(path))


def _with_factors(name: str, cached: Cached, factors: np.ndarray, table: Sequence, source: str) -> PictureSet:
    """A set whose pictures are made from known factors."""
    return PictureSet(
        name,
        cached.pictures,
        cached.names,
        ("",) * len(factors),
        factors,
        table,
        source=source,
        cache=cached.folder,
        prints=name_prints(cached.names, cached.more.get("print", UNKNOWN)),
    )


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 32)


def _plain_name(text: str) -> str:
    """ASCII letters, digits and underscores alone."""
    plain = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in text).strip("_").lower()
    return plain[:_MOST_LETTERS] or "pictures"
