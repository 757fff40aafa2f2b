"""The pictures of a folder, decoded once: what changed in it is decoded anew, the rest is taken along."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vae_helpers.data.cache import CacheSpec, open_cache
from vae_helpers.data.cache_format import Cached, digest, write_private
from vae_helpers.data.caches import newest_of, reusing
from vae_helpers.data.decoding import DECODER_VERSION, Square, decode_blocks
from vae_helpers.data.fingerprint import UNKNOWN, file_prints
from vae_helpers.data.folders import choose, left_out_in_words, list_pictures
from vae_helpers.data.kinds import advice_left_out
from vae_helpers.data.request import CacheOptions, Request
from vae_helpers.files import say


def open_folder(
    folder: Path, name: str, request: Request, options: CacheOptions
) -> tuple[Cached, dict[str, str], dict[str, int]]:
    """The cache of a folder's pictures; `more` holds each row's `stamps` (size, time) and `prints`.

    With it what was done to a picture, by name, and how many files of other kinds lie beside the pictures.

    A folder, asked for in the same way, has one cache. A picture that came, went, changed or was renamed makes a new
    one, into which all others are copied, and the one before is deleted; so does a folder that was moved.
    """
    found, left_out = list_pictures(folder)
    if advice_left_out(left_out):
        say(f"In {folder}, {remark_lines({}, left_out)[0]}.")
    found = [found[row] for row in choose([item.name for item in found], request.limit)]
    size, path = request.image_size, str(folder.resolve())
    recipe = digest(size, request.fit, request.limit, DECODER_VERSION)[:8]
    family = f"{name}-{size}-{digest(path)[:8]}{recipe}-"
    notes = read_notes(_notes_of(options.folder, family))
    stamps = {item.name: [item.size, item.mtime_ns] for item in found}
    source = _Source(folder, stamps, Square(size, request.fit), family, options, notes)
    spec = CacheSpec(
        options.folder,
        family + digest(*found),
        list(stamps),
        size,
        family,
        about={"source": path, "files": True},
        more=source.stamps_and_prints,
    )
    earlier = f"*-{size}-????????{recipe}-*"  # of whatever folder, which may have been moved
    fill = reusing(source.decoded, lambda: newest_of(options.folder, family, earlier), source.rows_in)
    cached = open_cache(spec, fill, request.allow_bad, options.progress)
    for cache in source.outlived:
        shutil.rmtree(cache, ignore_errors=True)
    for line in remark_lines(notes, {}) if source.has_decoded else ():
        say(line)
    return cached, {name: notes[name] for name in cached.names if name in notes}, dict(left_out)


@dataclass
class _Source:
    """The picture files that a cache is made of, and what becomes known of them while it is made.

    `stamps` size and time of change by name; `prints` fingerprints by name; `outlived` caches that lie elsewhere and
    are copied whole, so not needed any more.
    """

    folder: Path
    stamps: Mapping[str, list[int]]
    square: Square
    family: str
    options: CacheOptions
    notes: dict[str, str]
    prints: dict[str, int] = field(default_factory=dict)
    outlived: list[Path] = field(default_factory=list)
    has_decoded: bool = False

    @property
    def names(self) -> list[str]:
        """The name of each row."""
        return list(self.stamps)

    def decoded(self, blocks: Sequence[np.ndarray]) -> Iterator:
        """Decode blocks of rows; a `cache.Fill`."""
        self.has_decoded, names = True, self.names
        try:
            found = decode_blocks(self.folder, names, blocks, self.square, self.options.workers, self.notes)
            for rows, block, reasons in found:
                self._add_prints([names[row] for row in rows.tolist()])  # while their bytes are at hand
                yield rows, block, reasons
        finally:  # also on Ctrl-C: the next run decodes only what is left
            write_notes(_notes_of(self.options.folder, self.family), self.notes)

    def rows_in(self, earlier: Cached) -> np.ndarray:
        """The row of each picture in an earlier cache, -1 where it holds none; its prints and notes are taken over."""
        rows = _rows_in(earlier, self.folder, self.stamps, self.options.workers)
        taken = [(name, old) for name, old in zip(self.stamps, rows.tolist()) if old >= 0]
        self.prints.update((name, earlier.more["prints"][old]) for name, old in taken)
        earlier_notes = read_notes(_notes_of(self.options.folder, earlier.folder.name.rpartition("-")[0] + "-"))
        self.notes.update(
            (name, earlier_notes[earlier.names[old]]) for name, old in taken if earlier.names[old] in earlier_notes
        )
        if not earlier.folder.name.startswith(self.family) and len(np.unique(rows[rows >= 0])) == len(earlier.names):
            self.outlived.append(earlier.folder)
        return rows

    def stamps_and_prints(self, kept: list[str]) -> dict:
        """What the index keeps of each row."""
        self._add_prints(kept)  # of those decoded by a process that was stopped
        return {"stamps": [self.stamps[name] for name in kept], "prints": [self.prints[name] for name in kept]}

    def _add_prints(self, names: Sequence[str]) -> None:
        left = [name for name in names if name not in self.prints]
        self.prints.update(zip(left, file_prints(self.folder, left, self.options.workers).tolist()))


def _notes_of(where: Path, family: str) -> Path:
    return where / f"{family}notes.json"


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
    """Notes by name of picture; none if the file is not there yet, or damaged."""
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


def remark_lines(notes: Mapping[str, str], left_out: Mapping[str, int]) -> list[str]:
    """One line for each kind of note, with its count, and one for what was left out."""
    counts = Counter(part for note in notes.values() for part in note.split("; "))
    lines = [f"{count:,} × {note}" for note, count in counts.most_common(8)]
    return lines + ([f"left out: {left_out_in_words(Counter(left_out))}"] if left_out else [])
