"""The one exception that a person is meant to read, and the machine's limits told by it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

# What PyTorch (CPU, CUDA, cuDNN, cuBLAS, MPS), C++ and Python say, in errors whose class means other things too.
_NO_MEMORY = ("out of memory", "allocate memory", "not enough memory", "bad_alloc", "alloc_failed")
_NO_THREAD = ("start new thread", "resource temporarily unavailable")


class InputError(ValueError):
    """Something the user gave cannot be used: one sentence that names it, says why, and what to do next.

    The shell prints the sentence and exits with status 2; a notebook shows it as the last line.
    """


@contextmanager
def within_limits(work: str, advice: str) -> Iterator[None]:
    """Turn running out of memory, on any device, or of threads in this block into one sentence; other errors pass.

    `work` is what needed them, `advice` what to make smaller.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as problem:
        said = str(problem).lower()
        if (isinstance(problem, MemoryError) or getattr(problem, "errno", None) == errno.ENOMEM
                or any(words in said for words in _NO_MEMORY)):
            raise InputError(f"{work} needs more memory than there is: {advice}.") from None
        if any(words in said for words in _NO_THREAD):
            raise InputError(f"{work} needs another thread, but this machine starts no more: end other programs, or "
                             "raise the limit on threads (ulimit -u).") from None
        raise
