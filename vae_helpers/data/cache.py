"""Pictures decoded once into one flat file, memory-mapped ever after.

A finished cache is a folder `STEM/` with `pictures.npy` (uint8, rows × height × width × 3, a plain .npy file) and
`index.json` (the row's names, what was skipped, a checksum per block) and `about.json` (what it was made of). Beside
it lies `STEM.skipped.txt` if a file was skipped. A cache under construction is `STEM.building/`; it becomes `STEM/`
by one rename, so a reader never meets half a cache. Only their owner may read them: they are copies of pictures.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from vae_helpers.data.decode import is_temporary
from vae_helpers.errors import InputError
from vae_helpers.files import only_builder, plain_disk_errors, say, sync_folder, write_aside, write_at

CACHE_VERSION = 2
HEADER = 128  # bytes of .npy header; enough for any shape here, and what numpy itself writes
CHECK_BYTES = 16 << 20  # one checksum per this much
SAMPLED_BLOCKS = 8  # looked at on every opening of a cache that nobody has touched
SYNC_SECONDS = 5.0
PRIVATE = 0o700  # folders; the files in them are 0600
# Given blocks of row numbers, yields (rows, uint8 pictures, reason or None per row).
Fill = Callable[[Sequence[np.ndarray]], Iterable[tuple[np.ndarray, np.ndarray, Sequence["str | None"]]]]


class Cached(NamedTuple):
    """What a finished cache holds: row r of `pictures` shows the item `names[r]`."""

    pictures: np.ndarray
    names: tuple[str, ...]
    skipped: tuple[tuple[str, str], ...]
    folder: Path
    more: dict  # what the maker of the cache keeps with it


def digest(*parts: object) -> str:
    """Sixteen hex digits that change when any part (of plain types) changes."""
    state = hashlib.blake2b(digest_size=8)
    for part in parts:
        state.update(json.dumps(part).encode("ascii") + b"\n")
    return state.hexdigest()


def open_cache(
    folder: Path,
    stem: str,
    names: Sequence[str],
    size: int,
    fill: Fill,
    *,
    allow_bad: float = 0.01,
    progress: bool = True,
    unit: str = "picture",
    family: str = "",
    more: Callable[[list[str]], dict] = lambda names: {},
    about: dict | None = None,
) -> Cached:
    """Open the cache `folder/stem`, building or rebuilding it first if it is missing, unfinished or damaged.

    `stem` must change whenever the pictures would (see `digest`). A second process that asks for the same cache
    waits for the first. Of the caches whose stems begin with `family` only the newest stays. `more` says of the rows'
    names what the index is to keep, `about` is kept beside it, both in plain types. Raises
    `InputError` for a full disk, a folder that cannot be written, or more than `allow_bad` (a fraction) of unreadable
    items.
    """
    final = folder / stem
    with plain_disk_errors(folder, len(names) * size * size * 3):
        if (ready := open_if_sound(final)) is not None and not _mended(ready, names, fill):
            return ready
        folder.mkdir(parents=True, exist_ok=True, mode=PRIVATE)
        with only_builder(folder / f"{family.rstrip('-') or stem}.lock", progress) as alone:
            # Another process may have finished it while this one waited.
            if (ready := open_if_sound(final)) is not None and not _mended(ready, names, fill):
                return ready
            if final.exists():
                say(
                    f"The cache {final} is damaged; building it again."
                    if ready is None
                    else f"Files that could not be read can be read now; building the cache {final} again."
                )
                shutil.rmtree(final)
            building = folder / (f"{stem}.building" if alone else f"{stem}.building-{os.getpid()}")
            reasons = _build(building, names, size, fill, progress, unit)
            skipped = tuple((names[row], reason) for row, reason in sorted(reasons.items()))
            _report_skipped(folder / f"{stem}.skipped.txt", skipped, len(names), allow_bad)
            write_private(building / "about.json", json.dumps({"version": CACHE_VERSION, **(about or {})}))
            _finish(building, names, size, skipped, more)
            try:
                os.replace(building, final)
            except OSError:
                if alone or not final.exists():
                    raise
                shutil.rmtree(building)  # without locks two may finish: both are right, the first one stays
            sync_folder(folder)
            ready = open_if_sound(final)
            if alone and family and ready is not None:
                _remove_family(folder, family, stem)
    if ready is None:
        raise InputError(
            f"The cache {final} does not read back as written; check that disk, or pass another `cache_dir`."
        )
    return ready


def _mended(cached: Cached, names: Sequence[str], fill: Fill) -> bool:
    """Whether an item that was left out for a reason that may pass, such as a missing permission, can be read now."""
    again = {name for name, reason in cached.skipped if is_temporary(reason)}
    rows = np.array([row for row, name in enumerate(names) if name in again], int)
    return any(
        reason is None
        for start in range(0, len(rows), 64)
        for _, _, reasons in fill([rows[start : start + 64]])
        for reason in reasons
    )


def verify(folder: Path) -> bool:
    """Whether every block of the finished cache in `folder` still has its checksum (reads all of it)."""
    index = _read_index(folder)
    return index is not None and _blocks_sound(folder, index, everything=True)


def _remove_family(folder: Path, family: str, stem: str) -> None:
    """Delete the caches, finished or not, that the cache `stem` takes the place of."""
    for path in folder.glob(f"{family}*"):
        if path.name.partition(".")[0] != stem and path.suffix != ".json":
            with contextlib.suppress(OSError):  # Windows keeps what is still mapped; the next one deletes it
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _build(building: Path, names: Sequence[str], size: int, fill: Fill, progress: bool, unit: str) -> dict[int, str]:
    """Decode what is still missing into `building`; return the reasons of the rows that have no picture."""
    building.mkdir(exist_ok=True, mode=PRIVATE)
    row_bytes = size * size * 3
    pixels_path, done_path = building / "pictures.npy", building / "done.u8"
    done = np.zeros(len(names), np.uint8)
    if done_path.exists() and done_path.stat().st_size == len(names) and pixels_path.exists():
        done = np.fromfile(done_path, np.uint8)
        done[max(0, (pixels_path.stat().st_size - HEADER) // row_bytes) :] = 0
    (building / "index.json").unlink(missing_ok=True)
    todo = np.flatnonzero(done != 1)  # rows without a picture get another chance
    need = len(todo) * row_bytes
    if need > (free := shutil.disk_usage(building).free):
        raise OSError(errno.ENOSPC, f"needs {need}, has {free}")
    rows_at_once = max(8, min(256, (32 << 20) // row_bytes))
    blocks = [todo[i : i + rows_at_once] for i in range(0, len(todo), rows_at_once)]
    reasons: dict[int, str] = {}
    mode = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
    pixels, marks = os.open(pixels_path, mode, 0o600), os.open(done_path, mode, 0o600)
    bar = tqdm(
        total=len(names),
        initial=len(names) - len(todo),
        unit=unit,
        desc="preparing pictures",
        disable=not progress or not len(todo),
        mininterval=0.3,
    )
    try:
        os.ftruncate(marks, len(names))
        synced = time.monotonic()
        for rows, block, block_reasons in fill(blocks):
            _write_runs(pixels, rows, block, HEADER, row_bytes)
            for row, reason in zip(rows.tolist(), block_reasons):
                done[row] = 1 if reason is None else 2
                if reason is not None:
                    reasons[row] = reason
            bar.update(len(rows))
            if time.monotonic() - synced > SYNC_SECONDS:
                _mark(pixels, marks, done)
                synced = time.monotonic()
    finally:  # also on Ctrl-C: the next run goes on from here
        bar.close()
        try:
            _mark(pixels, marks, done)
        finally:
            os.close(pixels)
            os.close(marks)
    return reasons


def _mark(pixels: int, marks: int, done: np.ndarray) -> None:
    """Pixels reach the disk before the note that says so: a power cut may lose work, never invent it."""
    os.fsync(pixels)
    write_at(marks, done.tobytes(), 0)
    os.fsync(marks)


def _write_runs(file: int, rows: np.ndarray, block: np.ndarray, offset: int, row_bytes: int) -> None:
    """Write each run of neighbouring rows at once. Plain writes, since mapped pages would count as memory used."""
    cuts = np.flatnonzero(np.diff(rows) != 1) + 1
    for part in np.split(np.arange(len(rows)), cuts):
        write_at(file, memoryview(block[part[0] : part[-1] + 1]).cast("B"), offset + int(rows[part[0]]) * row_bytes)


def _finish(
    building: Path,
    names: Sequence[str],
    size: int,
    skipped: Sequence[tuple[str, str]],
    more: Callable[[list[str]], dict],
) -> None:
    """Close the holes that skipped items left with rows from the end, and write header, checksums and index."""
    row_bytes, path = size * size * 3, building / "pictures.npy"
    done = np.fromfile(building / "done.u8", np.uint8)
    count = int((done == 1).sum())
    source = np.arange(len(names))
    # Rows from behind the new end are copied, never overwritten, so being interrupted here does no harm.
    source[:count][done[:count] != 1] = np.flatnonzero(done == 1)[::-1][: int((done[:count] != 1).sum())]
    source = source[:count]
    with open(path, "r+b") as file:
        for row in np.flatnonzero(source != np.arange(count)):
            file.seek(HEADER + int(source[row]) * row_bytes)
            data = file.read(row_bytes)
            file.seek(HEADER + int(row) * row_bytes)
            file.write(data)
        file.seek(0)
        file.write(_npy_header((count, size, size, 3)))
        file.flush()
        checksums = list(_checksums(file, HEADER + count * row_bytes))
        (building / "done.u8").unlink()  # from here on rows vanish: a cut means building anew
        file.truncate(HEADER + count * row_bytes)
        file.flush()
        os.fsync(file.fileno())
    kept = [names[row] for row in source]
    content = {
        "version": CACHE_VERSION,
        "size": size,
        "names": kept,
        "skipped": list(skipped),
        "checksums": checksums,
        "more": more(kept),
    }
    text = json.dumps(content)
    write_private(building / "index.json", f"{digest(text)}\n{text}\n")
    _stamp(building)
    sync_folder(building)


def _npy_header(shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11).encode() + b"\n"


def open_if_sound(folder: Path) -> Cached | None:
    index = _read_index(folder)
    if index is None or not _blocks_sound(folder, index, everything=not _untouched(folder)):
        return None
    _stamp(folder)
    try:
        pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    except OSError:
        return None  # another process has just put a newer one in its place
    skipped = tuple((name, reason) for name, reason in index["skipped"])
    return Cached(pictures, tuple(index["names"]), skipped, folder, index["more"])


def _read_index(folder: Path) -> dict | None:
    try:
        checksum, text = (folder / "index.json").read_text("ascii").rstrip("\n").split("\n")
        index = json.loads(text) if checksum == digest(text) else None
        return index if index and index["version"] == CACHE_VERSION else None
    except (OSError, ValueError):
        return None


def _blocks_sound(folder: Path, index: dict, everything: bool) -> bool:
    count, size = len(index["names"]), index["size"]
    end = HEADER + count * size * size * 3
    expected = index["checksums"]
    try:
        with open(folder / "pictures.npy", "rb") as file:
            if os.fstat(file.fileno()).st_size != end or file.read(HEADER) != _npy_header((count, size, size, 3)):
                return False
            chosen = None if everything else np.linspace(0, len(expected) - 1, SAMPLED_BLOCKS).astype(int).tolist()
            found = list(_checksums(file, end, chosen))
    except OSError:
        return False
    return found == (expected if everything else [expected[i] for i in sorted(set(chosen))])


def _checksums(file, end: int, chosen: Sequence[int] | None = None) -> Iterator[int]:
    total = -(-end // CHECK_BYTES)
    for block in range(total) if chosen is None else sorted(set(chosen)):
        file.seek(block * CHECK_BYTES)
        yield zlib.crc32(file.read(min(CHECK_BYTES, end - block * CHECK_BYTES)))


def _untouched(folder: Path) -> bool:
    """Whether the pixels' file is as it was when last checked in full: then a sample of its blocks is enough."""
    try:
        state = (folder / "pictures.npy").stat()
        return json.loads((folder / "checked.json").read_text()) == [state.st_size, state.st_mtime_ns]
    except (OSError, ValueError):
        return False


def _stamp(folder: Path) -> None:
    if _untouched(folder):
        return
    with contextlib.suppress(OSError):  # a read-only cache is checked in full every time instead
        state = (folder / "pictures.npy").stat()
        write_private(folder / "checked.json", json.dumps([state.st_size, state.st_mtime_ns]))


def write_private(path: Path, text: str) -> None:
    write_aside(path, text)
    os.chmod(path, 0o600)


def _report_skipped(path: Path, skipped: Sequence[tuple[str, str]], total: int, allow_bad: float) -> None:
    if not skipped:
        path.unlink(missing_ok=True)
        return
    lines = [f"{json.dumps(name, ensure_ascii=False)}\t{reason}\n" for name, reason in skipped]
    write_private(path, "".join(lines))
    share = len(skipped) / total
    if len(skipped) == total:
        raise InputError(
            f"None of the {total:,} files could be read as a picture (the first: {_first(skipped)}); "
            f"the reasons are in {path}."
        )
    if share > allow_bad:
        raise InputError(
            f"{len(skipped):,} of {total:,} pictures ({share:.1%}) could not be read (the first: {_first(skipped)}), "
            f"more than the {allow_bad:.0%} allowed: see {path}, then mend or remove them, or allow it with "
            f"`allow_bad={min(1.0, int(share * 100 + 1) / 100):g}`."
        )
    say(f"Skipped {len(skipped):,} of {total:,} files that could not be read; the reasons are in {path}.")


def _first(skipped: Sequence[tuple[str, str]]) -> str:
    name, reason = skipped[0]
    return f"{json.dumps(name, ensure_ascii=False)} {reason}".encode("utf-8", "backslashreplace").decode()
