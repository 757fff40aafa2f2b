"""A set of pictures: what `open_pictures` gives."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from vae_helpers.data.cache_format import write_private
from vae_helpers.data.duplicates import DUPLICATES_VERSION, near_duplicates
from vae_helpers.data.folder_cache import remark_lines
from vae_helpers.data.split import Split, small_parts, split_by_name
from vae_helpers.data.synthetic.shapes import Factor
from vae_helpers.files import say

FEW_TO_LEARN = 1000  # training pictures below which a run says what to expect


@dataclass(frozen=True)
class PictureSet:
    """Pictures of one size with what is known about them; row r is the same picture everywhere.

    `pictures` uint8 `(N, H, W, 3)`, read-only; `names` paths relative to the folder, or `butterflies/seed0/000123`;
    `labels` sub-folders for display; `factors` float64 `(N, F)` and `factor_table` if the set was made from known
    factors; `skipped` pairs of name and reason; `notes` what was done to a picture, by name; `left_out` how many
    files of other kinds lie beside the pictures; `source` what it was opened from; `prints` int64 `(N,)` a fingerprint
    of what each picture shows (see `fingerprint`); `parts` uint8 `(N,)` the parts that a run had them in; `request`
    the choices by which `open_pictures(**request)` opens the same set again, plain types for a checkpoint.
    """

    name: str
    pictures: np.ndarray
    names: tuple[str, ...]
    labels: tuple[str, ...]
    factors: np.ndarray | None = None
    factor_table: tuple[Factor, ...] | None = None
    skipped: tuple[tuple[str, str], ...] = ()
    source: str = ""
    cache: Path | None = None
    prints: np.ndarray | None = None
    parts: np.ndarray | None = None
    request: dict | None = None
    notes: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def in_words(self) -> str:
        """How many pictures there are, of which parts, what was skipped and what is there twice: part of a sentence."""
        parts = ", ".join(f"{len(rows):,} {part}" for part, rows in zip(self.split._fields, self.split))
        words = f"{len(self):,} pictures ({parts})"
        if self.factors is not None:
            return words  # drawn, or from a file of known factors: no files to skip, none twice
        groups = len(self.duplicates)
        return f"{words}, {len(self.skipped):,} skipped, {groups:,} group{'s' * (groups != 1)} of near-duplicates"

    def expectation(self) -> str:
        """A sentence on what so few training pictures teach; empty where there are enough."""
        count = len(self.split.train)
        if count >= FEW_TO_LEARN or self.factors is not None:
            return ""
        return (
            f"{count:,} training pictures are few: new ones come out soft, with their colours and rough shape, and "
            f"samples resemble what was seen; more pictures of the same kind, {FEW_TO_LEARN:,} or thousands, help most."
        )

    def remarks(self) -> list[str]:
        """Lines that count what was done to pictures (colours converted, too dark) and what was left out."""
        return remark_lines(self.notes, self.left_out)

    @property
    def training(self) -> np.ndarray:
        """The training pictures, uint8 `(n, H, W, 3)`: a copy in memory, made anew each time it is asked for."""
        return self.pictures[self.split.train]

    @property
    def validation(self) -> np.ndarray:
        """The validation pictures, as `training`."""
        return self.pictures[self.split.validation]

    @property
    def test(self) -> np.ndarray:
        """The test pictures, as `training`."""
        return self.pictures[self.split.test]

    @cached_property
    def split(self) -> Split:
        """Training, validation and test rows by a hash of each name; near-duplicates are on one side.

        A line on stderr names a part that is too small to say much, except of a built-in set, which can be as large as
        one likes.
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
            pass  # not looked for yet, or damaged
        if len(self) > 20_000:
            say(f"Looking for near-duplicates among {len(self):,} pictures, once.")
        groups = near_duplicates(self.pictures)
        if kept:
            with contextlib.suppress(OSError):  # a read-only cache: look again next time
                write_private(kept, json.dumps([DUPLICATES_VERSION, len(self), groups]))
        return groups
