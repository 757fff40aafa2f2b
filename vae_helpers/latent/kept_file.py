"""Named things that are kept with a run in one JSON file, which several explorers may change at the same time."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from vae_helpers.errors import InputError
from vae_helpers.files import only_builder, write_aside

_LONGEST = 60  # letters of a name: it stands beside a control


class Named(Protocol):
    """What can be kept."""

    @property
    def name(self) -> str:
        """By which it is found again."""


Thing = TypeVar("Thing", bound=Named)


@dataclass(frozen=True)
class KeptFile(Generic[Thing]):
    """A file `name` of `things` in a run's folder; `again` says what helps where it is damaged.

    `plain` makes JSON of a thing, and `parse` a thing of that; it raises ValueError, KeyError or TypeError.
    """

    name: str
    things: str  # a plural in s
    again: str
    plain: Callable[[Thing], dict]
    parse: Callable[[dict], Thing]

    @property
    def _format(self) -> str:
        return f"vae_helpers-{self.things}-1"

    @property
    def thing(self) -> str:
        """One of the things."""
        return self.things[:-1]

    def read(self, folder: Path) -> list[Thing]:
        """All there are, oldest first, none where there is no file.

        InputError for a file that cannot be read, is damaged, or has two things of one name.
        """
        path = folder / self.name
        try:
            content = json.loads(path.read_text("utf-8"))
            if content["format"] != self._format:
                raise ValueError
            found = [self.parse(entry) for entry in content[self.things]]
            if len({thing.name for thing in found}) < len(found):
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

    def add(self, folder: Path, thing: Thing) -> None:
        """Keep one more, for good. InputError where its name cannot be one or is taken, or the disk won't."""
        self.checked_name(thing.name)
        with self._locked(folder):
            there = self.read(folder)
            if any(other.name == thing.name for other in there):
                raise InputError(
                    f"there is a {self.thing} {thing.name!r} already: remove it first, or take another name."
                )
            self._write(folder, [*there, thing])

    def remove(self, folder: Path, name: str) -> None:
        """Take one out. InputError, with the names there are, where there is none of that name."""
        with self._locked(folder):
            there = self.read(folder)
            left = [thing for thing in there if thing.name != name]
            if len(left) == len(there):
                known = ", ".join(thing.name for thing in there) or "none"
                raise InputError(f"there is no {self.thing} {name!r} in {folder / self.name}; there are {known}.")
            self._write(folder, left)

    def checked_name(self, name: str) -> str:
        """The name; InputError for one that is empty, too long or cannot be shown."""
        if not name.strip() or len(name) > _LONGEST or not name.isprintable():
            raise InputError(f"{name!r} cannot name a {self.thing}: give 1 to {_LONGEST} letters, such as 'smile'.")
        return name

    @contextlib.contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Nobody else changes the file meanwhile. InputError where that cannot be had."""
        with contextlib.ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(only_builder(folder / f".{self.name}.lock", progress=False))
            except OSError as problem:
                raise self._unwritable(folder, problem) from None
            yield

    def _write(self, folder: Path, things: Sequence[Thing]) -> None:
        """Replace what is in the file, all or nothing. InputError where the disk won't."""
        content = {"format": self._format, self.things: [self.plain(thing) for thing in things]}
        try:
            write_aside(folder / self.name, json.dumps(content, indent=1))
        except OSError as problem:
            raise self._unwritable(folder, problem) from None

    def _unwritable(self, folder: Path, problem: OSError) -> InputError:
        full = problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
        return InputError(
            f"the {self.thing} cannot be kept in {folder / self.name} "
            f"({'the disk is full' if full else problem.strerror}): free some space, or make it writable."
        )
