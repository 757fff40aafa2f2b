"""Named things that are kept with a run in one JSON file, which several explorers may change at the same time."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from vae_helpers.errors import InputError
from vae_helpers.files import only_builder, write_aside

Thing = TypeVar("Thing")
_LONGEST = 60  # letters of a name: it stands beside a control


class KeptFile(NamedTuple):
    """A file `name` of `things` in a run's folder; `again` says what helps where it is damaged."""

    name: str
    things: str  # a plural in s
    again: str

    @property
    def _format(self) -> str:
        return f"vae_helpers-{self.things}-1"

    @property
    def thing(self) -> str:
        """One of the things."""
        return self.things[:-1]

    def read(self, folder: Path, parse: Callable[[dict], Thing]) -> list[Thing]:
        """All there are, oldest first, none where there is no file; `parse` raises ValueError, KeyError or TypeError.

        InputError for a file that cannot be read, is damaged, or has two things of one name.
        """
        path = folder / self.name
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["format"] != self._format:
                raise ValueError
            entries = content[self.things]
            found = [parse(entry) for entry in entries]
            if len({entry["name"] for entry in entries}) < len(found):
                raise ValueError
        except FileNotFoundError:
            return []
        except OSError as problem:
            raise InputError(
                f"the {self.things} in {path} cannot be read ({problem.strerror}): make the file readable."
            ) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InputError(
                f"{path} does not hold {self.things}, or it is damaged: move it away, and {self.again}."
            ) from None
        return found

    @contextlib.contextmanager
    def locked(self, folder: Path) -> Iterator[None]:
        """Nobody else changes the file meanwhile. InputError where that cannot be had."""
        with contextlib.ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(only_builder(folder / f".{self.name}.lock", progress=False))
            except OSError as problem:
                raise self._unwritable(folder, problem) from None
            yield

    def write(self, folder: Path, entries: Sequence[dict]) -> None:
        """Replace what is in the file, all or nothing. InputError where the disk won't."""
        try:
            write_aside(folder / self.name, json.dumps({"format": self._format, self.things: entries}, indent=1))
        except OSError as problem:
            raise self._unwritable(folder, problem) from None

    def checked_name(self, name: str) -> str:
        """The name; InputError for one that is empty, too long or cannot be shown."""
        if not name.strip() or len(name) > _LONGEST or not name.isprintable():
            raise InputError(f"{name!r} cannot name a {self.thing}: give 1 to {_LONGEST} letters, such as 'smile'.")
        return name

    def _unwritable(self, folder: Path, problem: OSError) -> InputError:
        full = problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
        return InputError(
            f"the {self.thing} cannot be kept in {folder / self.name} "
            f"({'the disk is full' if full else problem.strerror}): free some space, or make it writable."
        )
