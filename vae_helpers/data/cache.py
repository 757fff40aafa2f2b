"""Pictures decoded once into one flat file, memory-mapped ever after (its layout: see `cache_format`).

A cache under construction is `STEM.building/`; it becomes `STEM/` by one rename, so no reader ever opens half a cache.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from vae_helpers.data.cache_format import (
    CACHE_VERSION,
    HEADER,
    PRIVATE,
    Cached,
    checksums,
    npy_header,
    open_if_sound,
    remember_checked,
    report_skipped,
    write_index,
    write_private,
)
from vae_helpers.data.decoding import is_temporary
from vae_helpers.errors import InputError, is_full, reason
from vae_helpers.files import only_builder, say, sync_folder, write_at

SYNC_SECONDS = 5.0
_WRONG_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
# Given blocks of row numbers, yields (rows, uint8 pictures, reason or None per row).
Fill = Callable[[Sequence[np.ndarray]], Iterable[tuple[np.ndarray, np.ndarray, Sequence["str | None"]]]]


@dataclass(frozen=True)
class CacheSpec:
    """What a cache is to hold: the pictures called `names`, `size` pixels a side, in the folder `folder/stem`.

    `stem` must change whenever the pictures would (see `digest`). Of the caches whose stems begin with `family` only
    the newest stays. `more` says of the rows' names what the index is to keep, `about` is kept beside it, both in
    plain types.
    """

    folder: Path
    stem: str
    names: Sequence[str]
    size: int
    family: str = ""
    about: dict = field(default_factory=dict)
    more: Callable[[list[str]], dict] = lambda names: {}

    @property
    def final(self) -> Path:
        """Where the finished cache lies."""
        return self.folder / self.stem

    @property
    def row_bytes(self) -> int:
        """Bytes of one picture."""
        return self.size * self.size * 3


def open_cache(spec: CacheSpec, fill: Fill, allow_bad: float = 0.01, progress: bool = True) -> Cached:
    """Open a cache, building or rebuilding it by `fill` first if it is missing, unfinished or damaged.

    A second process that asks for the same cache waits for the first. Raises `InputError` for a full disk, a folder
    that cannot be written, or more than `allow_bad` (a fraction) of unreadable items.
    """
    with _disk_errors_in_words(spec):
        if (ready := _open_if_current(spec, fill)) is not None:
            return ready
        spec.folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        with only_builder(spec.folder / f"{spec.family.rstrip('-') or spec.stem}.lock", progress) as alone:
            # Another process may have finished it while this one waited.
            if (ready := _open_if_current(spec, fill)) is not None:
                return ready
            if spec.final.exists():
                _remove_outdated(spec.final)
            building = spec.folder / (f"{spec.stem}.building" if alone else f"{spec.stem}.building-{os.getpid()}")
            reasons = _build(building, spec, fill, progress)
            skipped = tuple((spec.names[row], why) for row, why in sorted(reasons.items()))
            report_skipped(spec.folder / f"{spec.stem}.skipped.txt", skipped, len(spec.names), allow_bad)
            _finish(building, spec, skipped)
            try:
                os.replace(building, spec.final)
            except OSError:
                if alone or not spec.final.exists():
                    raise
                shutil.rmtree(building)  # without locks two may finish: both are right, the first one stays
            sync_folder(spec.folder)
            ready = open_if_sound(spec.final)
            if alone and spec.family and ready is not None:
                _remove_family(spec)
    if ready is None:
        raise InputError(
            f"the cache {spec.final} does not read back as written: check that disk, or pass another `cache_dir`."
        )
    return ready


@contextlib.contextmanager
def _disk_errors_in_words(spec: CacheSpec) -> Iterator[None]:
    """Turn a full or unwritable disk into one sentence; other errors pass."""
    try:
        yield
    except OSError as problem:
        if is_full(problem):
            need = f"{max(1, round(len(spec.names) * spec.row_bytes / 1e6)):,} MB"
            raise InputError(
                f"the disk that holds {spec.folder} is full: the decoded pictures need {need}; free some space "
                "and run again (it goes on where it stopped), or pass another `cache_dir`."
            ) from None
        if problem.errno in _WRONG_PLACE:
            raise InputError(
                f"the cache folder {spec.folder} cannot be written, because {reason(problem)}: "
                "pass another `cache_dir`."
            ) from None
        raise


def _open_if_current(spec: CacheSpec, fill: Fill) -> Cached | None:
    """The finished cache, unless it is damaged or an item that it left out can be read now."""
    ready = open_if_sound(spec.final)
    return None if ready is None or _readable_again(ready, spec.names, fill) else ready


def _readable_again(cached: Cached, names: Sequence[str], fill: Fill) -> bool:
    """Whether an item that was left out for a reason that may pass, such as a missing permission, can be read now."""
    again = {name for name, why in cached.skipped if is_temporary(why)}
    rows = np.array([row for row, name in enumerate(names) if name in again], int)
    return any(
        why is None
        for start in range(0, len(rows), 64)
        for _, _, reasons in fill([rows[start : start + 64]])
        for why in reasons
    )


def _remove_outdated(final: Path) -> None:
    """Delete a finished cache that is to be built again, and say why."""
    say(
        f"The cache {final} is damaged; building it again."
        if open_if_sound(final) is None
        else f"Files that could not be read can be read now; building the cache {final} again."
    )
    shutil.rmtree(final)


def _remove_family(spec: CacheSpec) -> None:
    """Delete the caches, finished or not, that the new one takes the place of."""
    for path in spec.folder.glob(f"{spec.family}*"):
        if path.name.partition(".")[0] != spec.stem and path.suffix != ".json":
            with contextlib.suppress(OSError):  # Windows keeps what is still mapped; the next one deletes it
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _build(building: Path, spec: CacheSpec, fill: Fill, progress: bool) -> dict[int, str]:
    """Decode what is still missing into `building`; return the reasons of the rows that have no picture."""
    done = _done_before(building, spec)
    todo = np.flatnonzero(done != 1)  # rows without a picture get another chance
    need = len(todo) * spec.row_bytes
    if need > (free := shutil.disk_usage(building).free):
        raise OSError(errno.ENOSPC, f"needs {need}, has {free}")
    rows_at_once = max(8, min(256, (32 << 20) // spec.row_bytes))
    blocks = [todo[i : i + rows_at_once] for i in range(0, len(todo), rows_at_once)]
    reasons: dict[int, str] = {}
    with _Writer(building, done, spec.row_bytes) as writer, _bar(len(done), len(todo), progress) as bar:
        for rows, block, block_reasons in fill(blocks):
            writer.write(rows, block)
            for row, why in zip(rows.tolist(), block_reasons):
                done[row] = 1 if why is None else 2
                if why is not None:
                    reasons[row] = why
            bar.update(len(rows))
            writer.mark_now_and_then()
    return reasons


def _done_before(building: Path, spec: CacheSpec) -> np.ndarray:
    """Of each row: 1 where an earlier process, which was stopped, has left its picture in `building`."""
    building.mkdir(exist_ok=True, mode=PRIVATE)
    pixels, marks = building / "pictures.npy", building / "done.u8"
    done = np.zeros(len(spec.names), np.uint8)
    if marks.exists() and marks.stat().st_size == len(done) and pixels.exists():
        done = np.fromfile(marks, np.uint8)
        done[max(0, (pixels.stat().st_size - HEADER) // spec.row_bytes) :] = 0
    (building / "index.json").unlink(missing_ok=True)
    return done


def _bar(total: int, todo: int, progress: bool) -> tqdm:
    return tqdm(
        total=total,
        initial=total - todo,
        unit="picture",
        desc="preparing pictures",
        disable=not progress or not todo,
        mininterval=0.3,
    )


class _Writer:
    """The two files of a cache under construction, open: pixels, and `done` (1 or 2 per row that was tried)."""

    def __init__(self, building: Path, done: np.ndarray, row_bytes: int):
        mode = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self.done, self.row_bytes, self.marked = done, row_bytes, time.monotonic()
        self.pixels, self.marks = (os.open(building / name, mode, 0o600) for name in ("pictures.npy", "done.u8"))

    def __enter__(self) -> _Writer:
        os.ftruncate(self.marks, len(self.done))
        return self

    def __exit__(self, *_) -> None:  # also on Ctrl-C: the next run goes on from here
        try:
            self._mark()
        finally:
            os.close(self.pixels)
            os.close(self.marks)

    def write(self, rows: np.ndarray, block: np.ndarray) -> None:
        """Write runs of neighbouring rows at once. Plain writes, since mapped pages would count as memory used."""
        cuts = np.flatnonzero(np.diff(rows) != 1) + 1
        for part in np.split(np.arange(len(rows)), cuts):
            pictures = memoryview(block[part[0] : part[-1] + 1]).cast("B")
            write_at(self.pixels, pictures, HEADER + int(rows[part[0]]) * self.row_bytes)

    def mark_now_and_then(self) -> None:
        """Bring what was written to the disk, every few seconds."""
        if time.monotonic() - self.marked > SYNC_SECONDS:
            self._mark()
            self.marked = time.monotonic()

    def _mark(self) -> None:
        """Pixels reach the disk before the note that says so: a power cut may lose work, never invent it."""
        os.fsync(self.pixels)
        write_at(self.marks, self.done.tobytes(), 0)
        os.fsync(self.marks)


def _finish(building: Path, spec: CacheSpec, skipped: Sequence[tuple[str, str]]) -> None:
    """Close the holes that skipped items left with rows from the end, and write header, checksums and index."""
    write_private(building / "about.json", json.dumps({"version": CACHE_VERSION, **spec.about}))
    done = np.fromfile(building / "done.u8", np.uint8)
    count = int((done == 1).sum())
    source = np.arange(len(spec.names))
    # Rows from behind the new end are copied, never overwritten, so being interrupted here does no harm.
    source[:count][done[:count] != 1] = np.flatnonzero(done == 1)[::-1][: int((done[:count] != 1).sum())]
    source = source[:count]
    end = HEADER + count * spec.row_bytes
    with open(building / "pictures.npy", "r+b") as file:
        for row in np.flatnonzero(source != np.arange(count)):
            file.seek(HEADER + int(source[row]) * spec.row_bytes)
            picture = file.read(spec.row_bytes)
            file.seek(HEADER + int(row) * spec.row_bytes)
            file.write(picture)
        file.seek(0)
        file.write(npy_header((count, spec.size, spec.size, 3)))
        file.flush()
        found = list(checksums(file, end))
        (building / "done.u8").unlink()  # from here on rows vanish: a cut means building anew
        file.truncate(end)
        file.flush()
        os.fsync(file.fileno())
    kept = [spec.names[row] for row in source]
    index = {"size": spec.size, "names": kept, "skipped": list(skipped), "checksums": found, "more": spec.more(kept)}
    write_index(building, index)
    remember_checked(building)
    sync_folder(building)
