"""Where pictures come from: the project's folders, and the picture files in a folder of any depth."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vae_helpers.data.kinds import KINDS, advice_left_out, head_of, label_left_out, takes
from vae_helpers.errors import InputError, printable
from vae_helpers.files import expand

FOLDERS = {"butterfly": "butterfly_data", "animal": "Animals_data"}
# Sub-folders that programs make: thumbnails, waste, what macOS puts into archives. In small letters.
NOT_DATA = frozenset(
    ["@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "lost+found", "system volume information"]
)
RESULTS = ("models", "generated_images", "tensorboard", "plots")  # what a run writes, see checkpoint.Run
_THUMBNAILS = re.compile(r"[_@]*thumb(nail)?s?")
_MARKS = ("vae_helpers/__init__.py", "notebooks/01_data.py")


class Found(NamedTuple):
    """One picture file: path relative to the folder (posix), size in bytes, time of change in nanoseconds."""

    name: str
    size: int
    mtime_ns: int


def project_root() -> Path:
    """The nearest folder upward from the current one that holds this project, else the current one."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if all((folder / mark).is_file() for mark in _MARKS):  # folders of these names may be anyone's
            return folder
    return here


def find_folder(source: str | os.PathLike[str]) -> Path:
    """The folder that `source` means: `butterfly`, `animal`, or a path (from here, else from the project's root)."""
    if source in FOLDERS:
        return project_root() / "data" / FOLDERS[source]
    if not str(source).strip():
        raise InputError(
            "the folder of pictures has no name (an unset variable?): give its path, or `.` for the current folder."
        )
    path = expand(source)
    if not path.is_absolute() and not os.path.lexists(path):
        path = project_root() / path
    return path


class Listing(NamedTuple):
    """What is in a folder: its pictures sorted by name, and how many other files and folders by suffix or kind."""

    found: list[Found]
    left_out: Counter[str]


def find_pictures(folder: Path) -> list[Found]:
    """The pictures that `list_pictures` finds."""
    return list_pictures(folder).found


def list_pictures(folder: Path) -> Listing:
    """Every picture file under `folder`, and what is left out; links are followed, each folder is entered once.

    A file is a picture by its suffix or else by its first bytes. Files and folders whose name starts with a dot are
    left alone, as everywhere; so are folders that programs make, and what a run of ours wrote. Raises `InputError`
    with what to do when the folder is missing, is a file, cannot be read, or holds no pictures.
    """
    _require_folder(folder)
    found: list[Found] = []
    left_out: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    stack = [("", str(folder))]
    while stack:
        prefix, path = stack.pop()
        entries = _entries(path, seen)
        folders = {entry.name: entry for entry in entries if _is_folder(entry)}
        files = [entry for entry in entries if entry.name not in folders]
        for entry in files:
            item, label = _found(prefix + entry.name, entry)
            if item is not None:
                found.append(item)
            else:
                left_out[label] += 1
        for name, entry in folders.items():
            if (why := _why_not_data(path, name, folders, files)) is None:
                stack.append((prefix + name + "/", entry.path))
            else:
                left_out[why] += 1
    if not found:
        raise InputError(_nothing_found(folder, left_out))
    return Listing(sorted(found), left_out)


def _require_folder(folder: Path) -> None:
    if os.path.isfile(folder):
        raise InputError(f"{printable(str(folder))} is a file: give the folder that holds the pictures.")
    if os.path.isdir(folder):
        return
    if os.path.exists(folder):
        raise InputError(f"{printable(str(folder))} is a pipe or a device: give a folder of pictures.")
    raise InputError(f"there is no folder {printable(str(folder))}: {_advice(folder)}.")


def _entries(path: str, seen: set[tuple[int, int]]) -> list[os.DirEntry]:
    """What is in a folder, sorted, without hidden things; nothing if it is in `seen` or has vanished."""
    try:
        state = os.stat(path)
        if (state.st_dev, state.st_ino) in seen and state.st_ino:
            return []
        seen.add((state.st_dev, state.st_ino))
        with os.scandir(path) as listing:
            entries = [entry for entry in listing if not entry.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []  # it was taken away while we looked around
    except OSError as error:
        raise InputError(
            f"the folder {printable(path)} cannot be read ({error.strerror}): mend that or move it away."
        ) from None
    return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _found(name: str, entry: os.DirEntry) -> tuple[Found | None, str]:
    """The picture file, or `None` and what the file is counted as. Pipes and devices are not opened."""
    try:
        state = entry.stat()
    except OSError:
        # A link to nothing or to itself: decoding will say so.
        return (Found(name, 0, 0), "") if takes(entry.name, None) else (None, label_left_out(entry.name))
    if not stat.S_ISREG(state.st_mode):
        return None, "pipe or device"
    if takes(entry.name, None) or takes(entry.name, head := head_of(entry.path)):
        return Found(name, state.st_size, state.st_mtime_ns), ""
    return None, label_left_out(entry.name, head)


def _why_not_data(path: str, name: str, folders, files: Sequence[os.DirEntry]) -> str | None:
    """Why the sub-folder `name` of `path` holds no pictures of the set; `None` if it may."""
    if name.lower() in NOT_DATA:
        return f"folder {printable(name)}"
    if name in RESULTS and _has_runs(Path(path), folders):
        return "folder of results"
    # Many sets are called thumbnails: those of the pictures beside them have the same names.
    if _THUMBNAILS.fullmatch(name.lower()):
        beside = {Path(entry.name).stem for entry in files}
        if any(Path(entry.name).stem in beside for entry in _entries(folders[name].path, set())):
            return f"folder {printable(name)}"
    return None


def _has_runs(folder: Path, names) -> bool:
    """Whether this is a folder that runs write to (`--out`): checkpoints or logs lie in its sub-folders."""
    marks = {"models": "models/*/*.pt", "tensorboard": "tensorboard/*/events.out.tfevents*"}
    try:
        return any(name in names and next(folder.glob(mark), None) is not None for name, mark in marks.items())
    except OSError:
        return False


def _nothing_found(folder: Path, left_out: Counter[str]) -> str:
    if not left_out:
        return f"the folder {printable(str(folder))} is empty: {_advice(folder)}."
    held = f"holds no {KINDS} picture (only {left_out_in_words(left_out)})"
    return f"the folder {printable(str(folder))} {held}: {_advice(folder)}."


def left_out_in_words(left_out: Counter[str]) -> str:
    """What was left out, the most first, and what to do about pictures among it."""
    kinds = [f"{count:,} × {label}" for label, count in left_out.most_common(5)]
    kinds += [f"{left_out.total() - sum(left_out[label] for label, _ in left_out.most_common(5)):,} others"] * (
        len(left_out) > 5
    )
    advice = advice_left_out(left_out)
    return ", ".join(kinds) + (f": {advice}" if advice else "")


def _advice(folder: Path) -> str:
    known = next((name for name, place in FOLDERS.items() if folder == project_root() / "data" / place), None)
    download = f"download them (`python -m vae_helpers data --download {known}`), " if known else ""
    return f"{download}copy pictures into it, or use the built-in set (`DATASET=synthetic`)"


def safe_parts(path: str) -> list[str]:
    """The folders and name of a path that somebody else wrote, such that they lie below wherever they are joined to.

    `..`, drives and what no file system or screen takes are replaced or dropped; a name over 200 bytes becomes a hash.
    """
    parts = []
    for part in path.replace("\\", "/").split("/"):
        part = "".join(c if c.isprintable() and c not in ':*?"<>|' else "_" for c in part).strip(" ").rstrip(". ")
        if len(part.encode()) > 200:
            part = hashlib.blake2b(part.encode(), digest_size=16).hexdigest() + Path(part).suffix[:16]
        parts += [part] * bool(part)
    return parts


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

    The choice depends on the names alone, and adding a few names changes it by a few. The order mixes the labels, so
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
