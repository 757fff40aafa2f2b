"""Locks, writes that survive a cut, and one sentence for what disks do wrong."""
from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from vae_helpers.errors import InputError


@contextlib.contextmanager
def only_builder(path: Path, progress: bool) -> Iterator[bool]:
    """Hold the lock file `path`, waiting for it; give False where this file system has no locks.

    The operating system drops the lock when its process dies, so a crash leaves nothing to clean up.
    """
    with open(path, "a+b") as file:
        alone = _lock(file, wait=False)
        if alone is False:
            if progress:
                say(f"Another process is preparing {path.stem}; waiting for it.")
            alone = _lock(file, wait=True)
        yield bool(alone)
        # Closing the file gives the lock back.


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


@contextlib.contextmanager
def plain_disk_errors(folder: Path, need_bytes: int) -> Iterator[None]:
    """Turn a full or unwritable disk under `folder` into one sentence; other errors pass."""
    try:
        yield
    except OSError as error:
        need = f"{max(1, round(need_bytes / 1e6)):,} MB"
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1)):
            raise InputError(f"The disk that holds {folder} is full: the decoded pictures need {need}; free some space "
                             "and run again (it goes on where it stopped), or pass another `cache_dir`.") from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise InputError(f"The cache folder {folder} cannot be written ({error.strerror}); pass another "
                             "`cache_dir`.") from None
        raise


def write_at(file: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset` of an open file descriptor."""
    os.lseek(file, offset, os.SEEK_SET)
    data = memoryview(data)
    while data:
        data = data[os.write(file, data):]


def write_aside(path: Path, content: str | bytes) -> None:
    """Replace `path` by `content` in one step: readers see the old file or the new one, whole."""
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    with open(aside, "wb") as file:
        file.write(content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


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
    print(sentence.encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)
