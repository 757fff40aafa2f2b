"""Where pictures come from: the project's folders, and the picture files in a folder of any depth."""
from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_helpers.decode import KINDS, is_candidate
from vae_helpers.errors import InputError

FOLDERS = {"butterfly": "butterfly_data", "animal": "Animals_data"}


class Found(NamedTuple):
    """One picture file: path relative to the folder (posix), size in bytes, time of change in nanoseconds."""

    name: str
    size: int
    mtime_ns: int


def project_root() -> Path:
    """The nearest folder upward from the current one that holds both `notebooks/` and `vae_helpers/`, else this one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "notebooks").is_dir() and (folder / "vae_helpers").is_dir():
            return folder
    return here


def find_folder(source: str | os.PathLike[str]) -> Path:
    """The folder that `source` means: `butterfly`, `animal`, or a path (from here, else from the project's root)."""
    if source in FOLDERS:
        return project_root() / "data" / FOLDERS[source]
    path = Path(os.path.expanduser(source))  # leaves ~nobody as it is, for a sentence to name
    if not path.is_absolute() and not path.exists():
        path = project_root() / path
    return path


def find_pictures(folder: Path) -> list[Found]:
    """Every picture file under `folder`, sorted by name; links are followed, each folder is entered once.

    Files and folders whose name starts with a dot are left alone, as everywhere. Raises `InputError` with what to
    do when the folder is missing, is a file, cannot be read, or holds no pictures.
    """
    if folder.is_file():
        raise InputError(f"{folder} is a file; give the folder that holds the pictures.")
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}; {_advice(folder)}.")
    found: list[Found] = []
    others: Counter[str] = Counter()
    closed: list[str] = []
    seen: set[tuple[int, int]] = set()
    stack = [("", str(folder))]
    while stack:
        prefix, path = stack.pop()
        state = os.stat(path)
        if (state.st_dev, state.st_ino) in seen and state.st_ino:
            continue
        seen.add((state.st_dev, state.st_ino))
        try:
            with os.scandir(path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            closed.append(path)
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = prefix + entry.name
            if _is_folder(entry):
                stack.append((name + "/", entry.path))
            elif is_candidate(entry.name, entry.path) and (item := _found(name, entry)) is not None:
                found.append(item)
            else:
                others[Path(entry.name).suffix.lower() or "no suffix"] += 1
    if closed:
        raise InputError(f"The folder {closed[0]} cannot be read (no permission?); mend that or move it away.")
    if not found:
        raise InputError(_nothing_found(folder, others))
    return sorted(found)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _found(name: str, entry: os.DirEntry) -> Found | None:
    try:
        state = entry.stat()
    except OSError:
        return Found(name, 0, 0)  # a link to nothing or to itself: decoding will say so
    # A pipe or a device would block for ever.
    return Found(name, state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def _nothing_found(folder: Path, others: Counter[str]) -> str:
    if not others:
        return f"The folder {folder} is empty; {_advice(folder)}."
    kinds = ", ".join(f"{count:,} × {suffix}" for suffix, count in others.most_common(3))
    return (f"The folder {folder} holds no {KINDS} picture (only {kinds}); {_advice(folder)}.")


def _advice(folder: Path) -> str:
    known = next((name for name, place in FOLDERS.items() if folder == project_root() / "data" / place), None)
    download = f"download them (`python -m vae_helpers data --download {known}`), " if known else ""
    return f"{download}copy pictures into it, or use the built-in set (`DATASET=synthetic`)"


def label_of(name: str) -> str:
    """The name of the folder right around a picture, as its label for display; empty at the top."""
    return name.rpartition("/")[0].rpartition("/")[2]


def fraction(name: str, salt: str = "") -> float:
    """A number in [0, 1) that depends on the name alone: the same for every machine, set and time."""
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)  # macOS stores é as two characters
    data = f"{salt}\0{name}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big") / 2**64


def choose(names: Sequence[str], limit: int | None) -> np.ndarray:
    """Rows of at most `limit` names, spread over their labels in proportion, in the order of their hashes.

    The choice hangs on the names alone, and adding a few names changes it by a few. The order mixes the labels, so
    that any stretch of a cache is a fair sample.
    """
    hashes = np.array([fraction(name, "limit") for name in names])
    rows = np.argsort(hashes, kind="stable")
    if limit is None or limit >= len(names):
        return rows
    labels = [label_of(name) for name in names]
    totals, rank = Counter(labels), Counter()
    place = np.empty(len(names))
    for row in rows.tolist():
        place[row] = (rank[labels[row]] + fraction(labels[row], "label")) / totals[labels[row]]
        rank[labels[row]] += 1
    kept = np.lexsort((hashes, place))[:limit]
    return kept[np.argsort(hashes[kept], kind="stable")]
