"""All caches of a folder: pictures that a new one takes from an earlier one, their sizes, which are old, clearing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_helpers.data.cache import Fill
from vae_helpers.data.cache_format import CACHE_VERSION, Cached, open_if_sound
from vae_helpers.files import only_builder

GONE = "its pictures are gone"


class CacheInfo(NamedTuple):
    """A cache on the disk: its folder, bytes, what it was made of (a path or a set), and why it is old, or nothing."""

    folder: Path
    size: int
    source: str
    old: str


def list_caches(where: Path) -> list[CacheInfo]:
    """Every cache in the folder `where`, finished or not, by name; a folder that is something else is left out."""
    with contextlib.suppress(OSError):
        return [_look(path) for path in sorted(where.iterdir()) if _is_cache(path)]
    return []


def sources_in(where: Path) -> set[str]:
    """What has been opened there by name: paths and sets."""
    return {cache.source for cache in list_caches(where) if cache.source}


def clear_caches(where: Path, everything: bool = False) -> list[CacheInfo]:
    """Delete the old caches in `where`, or all; returns what was deleted. One that is being built stays."""
    cleared = [cache for cache in list_caches(where) if (cache.old or everything) and _delete(cache.folder)]
    stems = {path.name for path in where.iterdir() if path.is_dir()} if cleared else set()
    for path in where.glob("*.skipped.txt") if cleared else ():
        if path.name.removesuffix(".skipped.txt") not in stems:
            path.unlink(missing_ok=True)
    for path in where.glob("*-notes.json") if cleared else ():
        if not any(stem.startswith(path.name.removesuffix("notes.json")) for stem in stems):
            path.unlink(missing_ok=True)
    return cleared


def newest_of(where: Path, family: str, orphans: str = "") -> Cached | None:
    """The newest sound cache whose stem begins with `family`, else one of pattern `orphans` whose pictures are gone."""
    for stems in filter(None, (f"{family}*", orphans)):
        found = [path.parent for path in where.glob(f"{stems}/index.json") if not path.parent.suffix]
        for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
            if stems == orphans and _look(path).old != GONE:
                continue
            if (ready := open_if_sound(path)) is not None:
                return ready
    return None


def reusing(fill: Fill, old: Callable[[], Cached | None], source: Callable[[Cached], np.ndarray]) -> Fill:
    """`fill`, but rows that the cache `old()` holds are copied from there.

    `source` gives the old row of each new one, -1 where there is none. Both are asked when a cache is being built only.
    """

    def copied_or_filled(blocks: Sequence[np.ndarray]) -> Iterator:
        """Copy what there is, then fill the rest."""
        earlier = old()
        if earlier is None:
            yield from fill(blocks)
            return
        rows_of = source(earlier)
        for rows in blocks:
            kept = rows[rows_of[rows] >= 0]
            if len(kept):
                yield kept, np.ascontiguousarray(earlier.pictures[rows_of[kept]]), [None] * len(kept)
        yield from fill([left for rows in blocks if len(left := rows[rows_of[rows] < 0])])

    return copied_or_filled


def _is_cache(path: Path) -> bool:
    if path.is_symlink() or not path.is_dir():
        return False
    return path.name.partition(".")[2].startswith("building") or (path / "pictures.npy").is_file()


def _look(path: Path) -> CacheInfo:
    """What a cache is, from the small file beside its index."""
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    try:
        about = json.loads((path / "about.json").read_text("ascii"))
        version, source, made_of_files = about["version"], str(about.get("source", "")), about.get("files", False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        version, source, made_of_files = None, "", False
    if "." in path.name:
        return CacheInfo(path, size, source, "unfinished")
    if version != CACHE_VERSION:
        return CacheInfo(path, size, source, "from another version")
    return CacheInfo(path, size, source, GONE if made_of_files and not os.path.exists(source) else "")


def _delete(path: Path) -> bool:
    """Whether a cache could be deleted: nobody is building it, and this system lets go of it."""
    stem = path.name.partition(".")[0]
    with contextlib.suppress(OSError), contextlib.ExitStack() as held:
        for lock in path.parent.glob("*.lock"):
            if stem.startswith(lock.stem) and held.enter_context(only_builder(lock, False, wait=False)) is False:
                return False
        shutil.rmtree(path)
    return not path.exists()
