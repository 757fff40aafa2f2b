"""The pictures of a folder, decoded once: what changed in it is decoded anew, the rest is taken along."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from vae_helpers.data.cache import Cached, digest, open_cache, write_private
from vae_helpers.data.caches import carrying, newest_of
from vae_helpers.data.decode import DECODER_VERSION, decode_blocks
from vae_helpers.data.fingerprint import UNKNOWN, file_prints
from vae_helpers.data.folders import choose, list_pictures, tell_left_out
from vae_helpers.data.kinds import advice_left_out
from vae_helpers.files import say


def open_folder(
    folder: Path,
    name: str,
    size: int,
    limit: int | None,
    fit: str,
    allow_bad: float,
    where: Path,
    workers: int,
    progress: bool,
) -> tuple[Cached, dict[str, str], dict[str, int]]:
    """The cache in `where` of a folder's pictures; `more` holds each row's `stamps` (size, time) and `prints`.

    With it what was done to a picture, by name, and how many files of other kinds lie beside the pictures.

    A folder, asked for in the same way, has one cache. A picture that came, went, changed or was renamed makes a new
    one, into which all others are copied, and the one before is deleted; so does a folder that was moved.
    """
    found, left_out = list_pictures(folder)
    if advice_left_out(left_out):
        say(f"In {folder}, {tell({}, left_out)[0]}.")
    found = [found[row] for row in choose([item.name for item in found], limit)]
    stamps, prints = {item.name: [item.size, item.mtime_ns] for item in found}, {}
    path, names, outlived = str(folder.resolve()), list(stamps), []
    recipe = digest(size, fit, limit, DECODER_VERSION)[:8]
    family = f"{name}-{size}-{digest(path)[:8]}{recipe}-"
    notes, filled = read_notes(_notes_of(where, family)), []

    def decoded(blocks: Sequence[np.ndarray]) -> Iterator:
        filled.append(True)
        try:
            for rows, block, reasons in decode_blocks(folder, names, blocks, size, fit, workers, notes):
                part = [names[row] for row in rows.tolist()]
                _add_prints(prints, folder, part, workers)  # while their bytes are at hand
                yield rows, block, reasons
        finally:  # also on Ctrl-C: the next run decodes only what is left
            write_notes(_notes_of(where, family), notes)

    def rows_in(earlier: Cached) -> np.ndarray:
        rows = _rows_in(earlier, folder, stamps, workers)
        taken = [(names[row], old) for row, old in enumerate(rows.tolist()) if old >= 0]
        prints.update((name, earlier.more["prints"][old]) for name, old in taken)
        said = read_notes(_notes_of(where, earlier.folder.name.rpartition("-")[0] + "-"))
        notes.update((name, said[earlier.names[old]]) for name, old in taken if earlier.names[old] in said)
        if not earlier.folder.name.startswith(family) and len(np.unique(rows[rows >= 0])) == len(earlier.names):
            outlived.append(earlier.folder)
        return rows

    def more(kept: list[str]) -> dict:
        _add_prints(prints, folder, kept, workers)  # of those decoded by a process that was stopped
        return {"stamps": [stamps[name] for name in kept], "prints": [prints[name] for name in kept]}

    fill = carrying(decoded, lambda: newest_of(where, family, f"*-{size}-????????{recipe}-*"), rows_in)
    cached = open_cache(
        where,
        family + digest(*found),
        names,
        size,
        fill,
        allow_bad=allow_bad,
        progress=progress,
        family=family,
        more=more,
        about={"source": path, "files": True},
    )
    for cache in outlived:
        shutil.rmtree(cache, ignore_errors=True)
    for line in tell(notes, {}) if filled else ():
        say(line)
    return cached, {name: notes[name] for name in cached.names if name in notes}, dict(left_out)


def _notes_of(where: Path, family: str) -> Path:
    return where / f"{family}notes.json"


def _add_prints(prints: dict[str, int], folder: Path, names: Sequence[str], workers: int) -> None:
    left = [name for name in names if name not in prints]
    prints.update(zip(left, file_prints(folder, left, workers).tolist()))


def _rows_in(earlier: Cached, folder: Path, stamps: Mapping[str, list[int]], workers: int) -> np.ndarray:
    """The row of each of the names of `stamps` in an earlier cache, -1 where it holds no such picture.

    A file that kept its name, size and time is the same; one that did not may be one that was renamed or touched.
    """
    old, names = {name: row for row, name in enumerate(earlier.names)}, list(stamps)
    rows = np.array(
        [
            old[name] if name in old and earlier.more["stamps"][old[name]] == stamp else -1
            for name, stamp in stamps.items()
        ]
    )
    left = np.flatnonzero(rows < 0)
    if len(left) and len(rows) - len(left) < len(old):
        by_print = {value: row for row, value in enumerate(earlier.more["prints"]) if value != UNKNOWN}
        found = file_prints(folder, [names[place] for place in left], workers)
        rows[left] = [by_print.get(value, -1) for value in found.tolist()]
    return rows


def read_notes(path: Path) -> dict[str, str]:
    """Notes by name of picture; none if the file is not there yet, or torn."""
    try:
        notes = json.loads(path.read_text("ascii"))
    except (OSError, ValueError):
        return {}
    good = isinstance(notes, dict) and all(isinstance(note, str) for note in notes.values())
    return notes if good else {}


def write_notes(path: Path, notes: Mapping[str, str]) -> None:
    """Keep the notes for the next opening, which decodes nothing."""
    with contextlib.suppress(OSError):  # they are for the screen alone: nothing may fail for them
        write_private(path, json.dumps(notes))


def tell(notes: Mapping[str, str], left_out: Mapping[str, int]) -> list[str]:
    """One line for each kind of note, with its count, and one for what was left out."""
    counts = Counter(part for note in notes.values() for part in note.split("; "))
    lines = [f"{count:,} × {note}" for note, count in counts.most_common(8)]
    return lines + ([f"left out: {tell_left_out(Counter(left_out))}"] if left_out else [])
