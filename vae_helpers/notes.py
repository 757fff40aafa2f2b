"""What is worth telling about a folder's pictures: what was done to them, and what was left out."""
from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from vae_helpers.cache import write_private
from vae_helpers.sources import tell_left_out


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
