"""The files of a cache: how they are laid out, opened and checked.

A finished cache is a folder `STEM/` with `pictures.npy` (uint8, rows × height × width × 3, a plain .npy file),
`index.json` (the rows' names, what was skipped, a checksum per block) and `about.json` (what it was made of). Beside
it lies `STEM.skipped.txt` if a file was skipped. Only their owner may read them: they are copies of pictures.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from vae_helpers.errors import InputError
from vae_helpers.files import say, write_aside

CACHE_VERSION = 2
HEADER = 128  # bytes of .npy header; enough for any shape here, and what numpy itself writes
CHECK_BYTES = 16 << 20  # one checksum per this much
SAMPLED_BLOCKS = 8  # looked at on every opening of a cache that nobody has touched
PRIVATE = 0o700  # folders; the files in them are 0600


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


def npy_header(shape: tuple[int, ...]) -> bytes:
    """The first 128 bytes of a .npy file of uint8."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    return b"\x93NUMPY\x01\x00" + (HEADER - 10).to_bytes(2, "little") + text.ljust(HEADER - 11).encode() + b"\n"


def checksums(file: BinaryIO, end: int, chosen: Sequence[int] | None = None) -> Iterator[int]:
    """CRC-32 of each block, or of the `chosen` ones in ascending order, up to byte `end`."""
    total = -(-end // CHECK_BYTES)
    for block in range(total) if chosen is None else sorted(set(chosen)):
        file.seek(block * CHECK_BYTES)
        yield zlib.crc32(file.read(min(CHECK_BYTES, end - block * CHECK_BYTES)))


def write_private(path: Path, text: str) -> None:
    """Replace a file's content by `text`, readable by its owner only."""
    write_aside(path, text)
    os.chmod(path, 0o600)


def write_index(folder: Path, index: dict) -> None:
    """Write the index with its own checksum in the first line."""
    text = json.dumps({"version": CACHE_VERSION, **index})
    write_private(folder / "index.json", f"{digest(text)}\n{text}\n")


def verify(folder: Path) -> bool:
    """Whether every block of the finished cache in `folder` still has its checksum (reads all of it)."""
    index = _read_index(folder)
    return index is not None and _blocks_sound(folder, index, everything=True)


def open_if_sound(folder: Path) -> Cached | None:
    """The finished cache in `folder`, memory-mapped; None where there is none or it is damaged."""
    index = _read_index(folder)
    if index is None or not _blocks_sound(folder, index, everything=not _untouched(folder)):
        return None
    remember_checked(folder)
    try:
        pictures = np.load(folder / "pictures.npy", mmap_mode="r")
    except OSError:
        return None  # another process has just put a newer one in its place
    skipped = tuple((name, reason) for name, reason in index["skipped"])
    return Cached(pictures, tuple(index["names"]), skipped, folder, index["more"])


def remember_checked(folder: Path) -> None:
    """Note the size and time of the pixels' file, which has just been checked in full."""
    if _untouched(folder):
        return
    with contextlib.suppress(OSError):  # a read-only cache is checked in full every time instead
        state = (folder / "pictures.npy").stat()
        write_private(folder / "checked.json", json.dumps([state.st_size, state.st_mtime_ns]))


def _untouched(folder: Path) -> bool:
    """Whether the pixels' file is as it was when last checked in full: then a sample of its blocks is enough."""
    try:
        state = (folder / "pictures.npy").stat()
        return json.loads((folder / "checked.json").read_text()) == [state.st_size, state.st_mtime_ns]
    except (OSError, ValueError):
        return False


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
            if os.fstat(file.fileno()).st_size != end or file.read(HEADER) != npy_header((count, size, size, 3)):
                return False
            chosen = None if everything else np.linspace(0, len(expected) - 1, SAMPLED_BLOCKS).astype(int).tolist()
            found = list(checksums(file, end, chosen))
    except OSError:
        return False
    return found == (expected if everything else [expected[i] for i in sorted(set(chosen))])


def report_skipped(path: Path, skipped: Sequence[tuple[str, str]], total: int, allow_bad: float) -> None:
    """List what was left out in the file `path`, and say how much it is; InputError where it is too much."""
    if not skipped:
        path.unlink(missing_ok=True)
        return
    lines = [f"{json.dumps(name, ensure_ascii=False)}\t{why}\n" for name, why in skipped]
    write_private(path, "".join(lines))
    share = len(skipped) / total
    if len(skipped) == total:
        raise InputError(
            f"none of the {total:,} files could be read as a picture (the first: {_first(skipped)}); "
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
    name, why = skipped[0]
    return f"{json.dumps(name, ensure_ascii=False)} {why}".encode("utf-8", "backslashreplace").decode()
