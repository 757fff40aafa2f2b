"""`InputError`, the one exception that a person is meant to read; other errors as one sentence; text fit to print."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping

_MOST_LETTERS = 80  # of a refused value; the rest is left out
# errno: why a file cannot be had, in words that follow "because" (None: the system's own), and what to do about it.
_FILES: dict[int, tuple[str | None, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space"),
    errno.EDQUOT: ("the disk is full", "free some of what you may store there"),
    errno.EFBIG: ("the file is larger than this system lets it be", "make it smaller, or raise that limit (ulimit -f)"),
    errno.EROFS: ("the disk is read-only", "give a place that you may write to"),
    errno.EPERM: ("that is not allowed", "give a place that you may read and write"),
    errno.ENAMETOOLONG: ("the name is too long", "give a shorter name"),
    errno.ENOENT: (None, "check the path"),
    errno.ELOOP: ("it is a link to itself", "give another path"),
    errno.ENOTDIR: ("a file stands where a folder should be", "give another path"),
    errno.EEXIST: ("a file stands where a folder should be", "give another path"),
    errno.EISDIR: (None, "name a file"),
    errno.EINVAL: (None, "give another path"),
    errno.EMFILE: (None, "close other programs, or raise the limit of open files (`ulimit -n`)"),
    errno.EIO: ("the disk does not work", "check that disk"),
}
# What PyTorch (CPU, CUDA, cuDNN, cuBLAS, MPS), C++ and Python say, in errors whose class means other things too.
_MEMORY = (
    "out of memory",
    "allocate memory",
    "not enough memory",
    "bad_alloc",
    "alloc_failed",
    "size calculation overflowed",
)
_THREADS = ("start new thread", "resource temporarily unavailable")
# `name` or `name=value`; or the same without marks, where an underscore tells it from an English word.
_NAMED = re.compile(
    r"`(?P<marked>\w+)(?:=(?P<its>[^`\s]+))?`"
    r"|(?<![\w/\\.'\"`=-])(?P<bare>[a-z]+(?:_[a-z]+)+)(?:=(?P<value>[\w.'-]*\w))?(?![\w/\\'\"`=])"
)
_options: Mapping[str, str] = {}  # what the reader has instead of Python's arguments


class InputError(ValueError):
    """Something the user gave cannot be used: one sentence that names it, says why, and what to do next.

    The shell prints the sentence and exits with status 2; a notebook shows it as the last line.
    """


def printable(text: str, keep: str = "") -> str:
    """`text` with what would steer a terminal or is no UTF-8 as backslash escapes, except the letters of `keep`."""
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in keep or unicodedata.category(c) == "Zs"
        else c.encode("ascii", "backslashreplace").decode()
        if ord(c) > 127
        else f"\\x{ord(c):02x}"
        for c in text
    )


def quoted(text: str) -> str:
    """A refused value as a sentence shows it: in quotes, escaped, its middle left out where it is long."""
    return repr(text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 20]}…{text[-19:]}")


@contextlib.contextmanager
def naming_options(options: Mapping[str, str]) -> Iterator[None]:
    """Inside the block `worded` calls Python's arguments by these names: `{"allow_bad": "--allow-bad"}`."""
    global _options
    before, _options = _options, options
    try:
        yield
    finally:
        _options = before


def worded(text: str) -> str:
    """A sentence in its reader's words: the shell has `--allow-bad 0.05` where Python has `allow_bad=0.05`."""

    def option_of(found: re.Match) -> str:
        """The option in place of the argument that was found, with its value."""
        option = _options.get(found["marked"] or found["bare"])
        if option is None:
            return found[0]
        value = found["its"] or found["value"]
        said = option if value in (None, "True") else f"{option} {value}"
        return f"`{said}`" if found["marked"] else said

    return _NAMED.sub(option_of, text) if _options else text


def ran_out_of_memory(problem: BaseException) -> bool:
    """Whether memory ran out, the machine's or the GPU's."""
    return (
        isinstance(problem, MemoryError) or getattr(problem, "errno", None) == errno.ENOMEM or _says(problem, _MEMORY)
    )


def ran_out_of_threads(problem: BaseException) -> bool:
    """Whether this machine starts no more threads."""
    return _says(problem, _THREADS)


def _says(problem: BaseException, words: tuple[str, ...]) -> bool:
    return isinstance(problem, (RuntimeError, OSError)) and any(each in str(problem).lower() for each in words)


@contextlib.contextmanager
def within_limits(work: str, advice: str) -> Iterator[None]:
    """Turn running out of memory, on any device, or of threads in this block into one sentence; other errors pass.

    `work` is what needed them, `advice` what to make smaller.
    """
    try:
        yield
    except (MemoryError, OSError, RuntimeError) as problem:
        if ran_out_of_memory(problem):
            raise InputError(f"{work} needs more memory than there is: {advice}.") from None
        if ran_out_of_threads(problem):
            raise InputError(
                f"{work} needs another thread, but this machine starts no more: end other programs, or "
                "raise the limit on threads (ulimit -u)."
            ) from None
        raise


def is_full(problem: BaseException) -> bool:
    """Whether it says that a disk is full, or all that one may use of it."""
    return getattr(problem, "errno", None) in (errno.ENOSPC, errno.EDQUOT)


def reason(problem: OSError | UnicodeError) -> str:
    """Why a file cannot be had, in a few words that follow a "because"."""
    if isinstance(problem, UnicodeError):
        return "its name has characters that this system cannot store"
    own_words, _ = _FILES.get(problem.errno, (None, ""))
    return own_words or problem.strerror or str(problem) or type(problem).__name__


def advice(problem: OSError) -> str:
    """What to do about a file that cannot be had."""
    return _FILES.get(problem.errno, ("", "give a place that you may read and write"))[1]


def explain(problem: BaseException, lower: str = "") -> str | None:
    """One sentence for what the machine refuses: files, names, memory, numbers. None for anything else, our own fault.

    `lower` names what may be lowered when memory runs out.
    """
    if ran_out_of_memory(problem) or ran_out_of_threads(problem):
        return f"there is not enough memory here: lower {lower or 'what makes this large'}, or close other programs."
    if isinstance(problem, OSError):
        names = [
            printable(os.fsdecode(name))
            for name in (problem.filename, problem.filename2)
            if isinstance(name, (str, bytes, os.PathLike))
        ]
        what = " and ".join(names) or "a file or stream"
        return f"{what} cannot be used, because {reason(problem)}: {advice(problem)}."
    if isinstance(problem, UnicodeError):
        text, encoding = getattr(problem, "object", ""), getattr(problem, "encoding", "")
        where = quoted(text) if isinstance(text, str) else "a file"
        return f"{where} holds bytes that are no {encoding} text: rename it, or save it as UTF-8."
    if isinstance(problem, ModuleNotFoundError) and not (problem.name or "").startswith("vae_helpers"):
        return (
            f"the package {problem.name} is not installed: `pip install -r requirements.txt`, or {problem.name} alone."
        )
    if isinstance(problem, OverflowError):
        return f"a number is too large for this machine ({problem}): give smaller numbers."
    return None
