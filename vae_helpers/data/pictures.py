"""The door to pictures: a built-in set, a folder of photos or a file with known factors, opened as one `PictureSet`.

Everything comes out as uint8 `(N, H, W, 3)`, memory-mapped from a cache that is made once; `batching` turns that
into tensors.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from vae_helpers.data import synthetic
from vae_helpers.data.batches import order
from vae_helpers.data.cache import digest, open_cache, write_private
from vae_helpers.data.decode import DECODER_VERSION, decode, quiet
from vae_helpers.data.duplicates import DUPLICATES_VERSION, near_duplicates
from vae_helpers.data.fingerprint import file_print, name_prints
from vae_helpers.data.folder_cache import open_folder, tell
from vae_helpers.data.folders import FOLDERS, find_folder, find_pictures, label_of, project_root
from vae_helpers.data.kinds import Unreadable, shown
from vae_helpers.data.known_factors import SUFFIXES as FACTOR_SUFFIXES
from vae_helpers.data.known_factors import open_known_factors
from vae_helpers.data.split import Split, small_parts, split_by_name
from vae_helpers.errors import InputError
from vae_helpers.files import expand, say
from vae_helpers.settings import BUILT_IN

BUILT_IN_PICTURES = 4096
MOST_BUILT_IN = 10_000_000
_SLUG = 60  # letters of a folder's name that its cache and its runs are called after: they add some of their own
KNOWN_FACTOR_PICTURES = 16384  # of the 480,000 to 737,280 in such a file, unless `limit` says otherwise


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one size with what is known about them; row r is the same picture everywhere.

    `pictures` uint8 `(N, H, W, 3)`, read-only; `names` paths relative to the folder, or `butterflies/seed0/000123`;
    `labels` sub-folders for display; `factors` float64 `(N, F)` and `factor_table` if the set was made from known
    factors; `skipped` pairs of name and reason; `notes` what was done to a picture, by name; `left_out` how many
    files of other kinds lie beside the pictures; `source` what it was opened from; `prints` int64 `(N,)` a fingerprint
    of what each picture shows (see `fingerprint`); `parts` uint8 `(N,)` the parts that a run had them in.
    """

    name: str
    pictures: np.ndarray
    names: tuple[str, ...]
    labels: tuple[str, ...]
    factors: np.ndarray | None = None
    factor_table: tuple[synthetic.Factor, ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    source: str = ""
    cache: Path | None = None
    prints: np.ndarray | None = None
    parts: np.ndarray | None = None
    request: dict | None = None  # `open_pictures(**request)` opens the same set again; plain types, for a checkpoint
    notes: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def remarks(self) -> list[str]:
        """Lines that count what was done to pictures (colours converted, too dark) and what was left out."""
        return tell(self.notes, self.left_out)

    @cached_property
    def split(self) -> Split:
        """Training, validation and test rows by a hash of each name; near-duplicates are on one side.

        A part that is too small to say much is said, but of a built-in set, where more are to be had for the asking.
        """
        split = split_by_name(self.names, self.duplicates, self.parts)
        if self.source != "built-in" and (small := small_parts(split)):
            alike = sum(map(len, self.duplicates))
            say(
                f"The split has a small part, whose scores say little: {small}"
                f"{f' ({alike:,} pictures are nearly the same as others)' if alike else ''}."
            )
        return split

    @cached_property
    def duplicates(self) -> tuple[tuple[int, ...], ...]:
        """Groups of rows that show nearly the same picture (see `duplicates.py`); none where factors are known.

        Found once per cache and kept beside its pictures.
        """
        if self.factors is not None:
            return ()
        kept = None if self.cache is None else self.cache / "duplicates.json"
        try:
            version, count, groups = json.loads(kept.read_text()) if kept else (None, None, ())
            if [version, count] == [DUPLICATES_VERSION, len(self)]:
                return tuple(tuple(group) for group in groups)
        except (OSError, ValueError, TypeError):
            pass  # not looked for yet, or torn
        if len(self) > 20_000:
            say(f"Looking for near-duplicates among {len(self):,} pictures, once.")
        groups = near_duplicates(self.pictures)
        if kept:
            with contextlib.suppress(OSError):  # a read-only cache: look again next time
                write_private(kept, json.dumps([DUPLICATES_VERSION, len(self), groups]))
        return groups


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
    _check(image_size, limit, fit, allow_bad, seed)
    where = cache_folder() if cache_dir is None else expand(cache_dir)
    if isinstance(source, str) and source in BUILT_IN:
        count = BUILT_IN_PICTURES if limit is None else limit
        if count > MOST_BUILT_IN:
            raise InputError(f"`limit` is {limit:,}; of a built-in set give {MOST_BUILT_IN:,} at most.")
        opened = _open_built_in(BUILT_IN[source], count, image_size, seed, where, progress)
    else:
        path = find_folder(source)
        if path.suffix.lower() in FACTOR_SUFFIXES and not path.is_dir():
            opened = _open_known_factors(path, limit, image_size, where, progress)
        else:
            opened = _open_folder(source, image_size, limit, fit, allow_bad, where, workers or _cores(), progress)
        source = source if source in FOLDERS else str(path.resolve())
    return replace(
        opened,
        request=dict(
            source=source,
            image_size=int(image_size),
            fit=fit,
            limit=None if limit is None else int(limit),
            allow_bad=float(allow_bad),
            seed=int(seed),
        ),
    )


def cache_folder() -> Path:
    """Where decoded pictures are kept unless another place is said."""
    return project_root() / "data" / "cache"


def read_picture(path: str | os.PathLike[str], image_size: int = 128, fit: str = "crop") -> np.ndarray:
    """One picture file as uint8 `(image_size, image_size, 3)`, exactly as a folder's pictures are decoded."""
    _check(image_size, None, fit, 0.0)
    path = expand(path)
    if not os.path.isfile(path):
        raise InputError(f"There is no picture {shown(str(path))}; give the path of a picture file.")
    try:
        with quiet():
            return np.array(decode(path, image_size, fit))
    except Unreadable as error:
        raise InputError(f"The picture {shown(str(path))} cannot be used: it {error}; give another one.") from None


def name_of(source: str | os.PathLike[str]) -> str:
    """The name that the set opened from `source` will have. InputError for a folder or file that is not there."""
    if isinstance(source, str) and source in BUILT_IN:
        return BUILT_IN[source]
    path = find_folder(source)
    if path.suffix.lower() in FACTOR_SUFFIXES and not path.is_dir():
        return open_known_factors(path).name
    if not path.is_dir():
        find_pictures(path)  # refuses it in its own words
    return source if source in FOLDERS else _slug(path.resolve().name)


def _open_folder(source, size, limit, fit, allow_bad, where, workers, progress) -> PictureSet:
    folder = find_folder(source)
    name = name_of(source)
    cached, notes, left_out = open_folder(folder, name, size, limit, fit, allow_bad, where, workers, progress)
    labels = tuple(label_of(item) for item in cached.names)
    return PictureSet(
        name,
        cached.pictures,
        cached.names,
        labels,
        skipped=cached.skipped,
        notes=notes,
        left_out=left_out,
        source=str(folder),
        cache=cached.folder,
        prints=np.array(cached.more["prints"], np.int64),
    )


def _open_built_in(set_name, count, size, seed, where, progress) -> PictureSet:
    factors = synthetic.sample_factors(set_name, count, seed)
    names = [f"{set_name}/seed{seed}/{row:06d}" for row in range(count)]
    family = f"{set_name}-{size}-{digest(count, seed)}-"

    def fill(blocks: Sequence[np.ndarray]) -> Iterator:
        for rows in blocks:
            for part in np.array_split(rows, -(-len(rows) // 32)):
                yield part, synthetic.render(factors[part], size, set_name), [None] * len(part)

    cached = open_cache(
        where,
        family + digest(synthetic.DRAWING_VERSION),
        names,
        size,
        fill,
        progress=progress,
        family=family,
        about={"source": set_name},
    )
    return PictureSet(
        set_name,
        cached.pictures,
        cached.names,
        ("",) * count,
        factors,
        synthetic.SETS[set_name],
        source="built-in",
        cache=cached.folder,
        prints=name_prints(cached.names),
    )


def _open_known_factors(path: Path, limit, size, where, progress) -> PictureSet:
    file = open_known_factors(path)
    total = len(file.factors)
    if limit is None and total > KNOWN_FACTOR_PICTURES:
        say(
            f"{path.name} holds {total:,} pictures; taking a fixed random choice of {KNOWN_FACTOR_PICTURES:,} "
            "(say `limit` for another number)."
        )
    chosen = np.sort(order(total, 0, 0)[: KNOWN_FACTOR_PICTURES if limit is None else limit])
    state = path.stat()
    family = f"{file.name}-{size}-{digest(str(path.resolve()), len(chosen), DECODER_VERSION)}-"

    def fill(blocks: Sequence[np.ndarray]) -> Iterator:
        reader = file.read(chosen[np.concatenate(blocks)] if len(blocks) else chosen[:0], size)
        for rows in blocks:
            yield rows, np.stack([next(reader) for _ in rows]), [None] * len(rows)

    names = [f"{file.name}/{row:07d}" for row in chosen.tolist()]
    cached = open_cache(
        where,
        family + digest(state.st_size, state.st_mtime_ns),
        names,
        size,
        fill,
        progress=progress,
        family=family,
        about={"source": str(path.resolve()), "files": True},
        more=lambda names: {"print": file_print(path)},
    )
    return PictureSet(
        file.name,
        cached.pictures,
        cached.names,
        ("",) * len(names),
        file.factors[chosen],
        file.table,
        source=str(path),
        cache=cached.folder,
        prints=name_prints(cached.names, cached.more["print"]),
    )


def _cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 32)


def _slug(text: str) -> str:
    slug = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in text).strip("_").lower()
    return slug[:_SLUG] or "pictures"


def _check(image_size: int, limit: int | None, fit: str, allow_bad: float, seed: int = 0) -> None:
    if not isinstance(image_size, (int, np.integer)) or not 4 <= image_size <= 4096:
        raise InputError(f"`image_size` is {image_size!r}; give a whole number of pixels from 4 to 4096.")
    if limit is not None and (not isinstance(limit, (int, np.integer)) or limit < 1):
        raise InputError(f"`limit` is {limit!r}; give a whole number of pictures, at least 1, or leave it out.")
    if fit not in ("crop", "pad"):
        raise InputError(f"`fit` is {fit!r}; choose 'crop' (the centre square) or 'pad' (everything, on grey).")
    if not isinstance(allow_bad, (int, float, np.number)) or not 0 <= allow_bad <= 1:
        raise InputError(f"`allow_bad` is {allow_bad!r}; give a fraction from 0 to 1, such as 0.05 for 5 %.")
    if not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise InputError(f"`seed` is {seed!r}; give a whole number, at least 0.")
