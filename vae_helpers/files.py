"""Locks; files that are written whole or not at all; names and places that are refused before any work."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from vae_helpers.errors import InputError, is_full, printable, quoted, reason, worded

LONGEST_NAME = 200  # bytes of a run's name: file systems take 255, of which what is written aside needs some
_ASIDE, _GIVEN_UP = ".aside", 600  # seconds after which a file that nobody went on writing is a dead process's


@contextlib.contextmanager
def only_builder(path: Path, progress: bool, wait: bool = True) -> Iterator[bool | None]:
    """Hold the lock file `path`, waiting for it; give None where this file system has no locks.

    Without `wait` give False where another holds it. The operating system drops the lock when its process dies, so a
    crash leaves nothing to clean up.
    """
    with open(path, "a+b", opener=_private) as file:
        alone = _lock(file, wait=False)
        if alone is False and wait:
            if progress:
                say(f"Another process is preparing {path.stem}; waiting for it.")
            alone = _lock(file, wait=True)
        yield alone  # closing the file gives the lock back


@contextlib.contextmanager
def only_user(path: Path) -> Iterator[bool | None]:
    """Hold the lock file `path` and give True; give False, without waiting, where somebody else holds it.

    None: this file system has no locks. Its holder's death gives it back, as above.
    """
    with open(path, "a+b") as file:
        yield _lock(file, wait=False)


def _lock(file, wait: bool) -> bool | None:
    """True: locked. False: someone else holds it. None: no locks here."""
    if sys.platform == "win32":
        import msvcrt

        while True:
            try:
                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
                return True
            except OSError:
                if not wait:
                    return False
                time.sleep(0.5)
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def write_at(file: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset` of an open file descriptor."""
    os.lseek(file, offset, os.SEEK_SET)
    data = memoryview(data)
    while data:
        data = data[os.write(file, data) :]


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` when the block ends well: readers see the old or the new, whole.

    It is written aside in the same folder, which is made as needed, and flushed to disk. A block that raises leaves
    nothing behind; what a killed process left is swept up by a later write to that folder. Raises OSError.
    """
    path = Path(os.path.realpath(path))  # a link stays one: what it points to is replaced
    if path.exists() and not path.is_file():  # a rename would replace a device, too
        raise OSError(errno.EISDIR, "it is a folder" if path.is_dir() else "it is no file but a device", str(path))
    if path.exists() and not os.access(path, os.W_OK):
        raise OSError(errno.EACCES, "it is protected against writing", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{uuid.uuid4().hex}{_ASIDE}")
    try:
        with open(aside, "xb") as file:
            _sweep(path.parent, os.fstat(file.fileno()).st_mtime)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def _sweep(folder: Path, now: float) -> None:
    """Remove what was being written long before `now`, by the folder's own clock."""
    for aside in folder.glob(f".*{_ASIDE}"):
        with contextlib.suppress(OSError):
            if aside.stat().st_mtime < now - _GIVEN_UP:
                aside.unlink()


@contextlib.contextmanager
def writing(path: Path | str) -> Iterator[BinaryIO]:
    """`replacing`, for a file that somebody asked for: what keeps it from being written becomes one InputError."""
    try:
        with replacing(path) as file:
            yield file
    except (OSError, UnicodeError) as problem:
        raise InputError(
            f"{path} cannot be written, because {reason(problem)}: "
            f"{'free some space' if is_full(problem) else 'save it elsewhere'}."
        ) from None


def write_aside(path: Path, content: str | bytes) -> None:
    """Replace the content of `path` in one step; text becomes UTF-8. Raises OSError."""
    with replacing(path) as file:
        file.write(content if isinstance(content, bytes) else as_utf8(content))


def as_utf8(text: str) -> bytes:
    """Text in UTF-8; what a file name had that is none, as backslashes and digits."""
    return text.encode("utf-8", "backslashreplace")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def free_name(path: Path) -> Path:
    """`path`, or where that is taken `NAME_2`, `NAME_3` and so on."""
    numbered = (path.with_name(f"{path.stem}_{n}{path.suffix}") for n in itertools.count(2))
    return path if not os.path.lexists(path) else next(other for other in numbered if not os.path.lexists(other))


def require_place(path: Path, option: str, replace: bool = False, folder: bool = False) -> None:
    """Refuse, before any work, a place for a file (or a `folder`) that is taken or cannot be written; leaves nothing.

    `option` named it. What is there already is refused unless it may be `replace`d.
    """
    if not folder and path.is_dir():
        raise InputError(f"{path} is a folder: give {option} the name of a file.")
    if os.path.lexists(path) and not folder and not replace:
        raise InputError(f"{path} is there already: give another {option}, or allow it by `replace=True`.")
    there = path if folder else path.parent
    while not os.path.lexists(there):
        there = there.parent
    if not there.is_dir():
        raise InputError(f"{path} cannot be made, because {there} is no folder: give another {option}.")
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as problem:
        raise InputError(
            f"{path} cannot be written, because {there} takes no file ({problem.strerror}): give another {option}."
        ) from None


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    if sys.platform != "win32":  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def say(sentence: str) -> None:
    """One line for the person at the screen, also in a notebook, never mixed into a program's output."""
    with contextlib.suppress(OSError):  # a closed terminal must not end the work
        print(printable(worded(sentence)), file=sys.stderr, flush=True)


def expand(path: str | os.PathLike[str]) -> Path:
    """`path` with `~` or `~user` at its start as that home folder. Raises InputError where there is no such user."""
    found = os.path.expanduser(path)
    if str(found).startswith("~"):
        raise InputError(
            f"{quoted(str(path))} begins with the home folder of a user who is not on this machine: give the "
            "path in full."
        )
    return Path(found)


def require_run_name(name: str) -> str:
    """Refuse what cannot name a run's files on every system."""
    if not name.strip() or name in (".", "..") or not name.isprintable() or any(c in name for c in '/\\:*?"<>|'):
        raise InputError(
            f"{quoted(name)} cannot name a run, because files are called after it: use letters, digits, dots, "
            "dashes and underscores."
        )
    if len(name.encode()) > LONGEST_NAME:
        raise InputError(
            f"{quoted(name)} cannot name a run, because files are called after it: use at most "
            f"{LONGEST_NAME} bytes, not {len(name.encode()):,}."
        )
    return name
