"""The parser of one command, and the options that several commands have."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from vae_helpers.errors import InputError, printable
from vae_helpers.files import require_run_name
from vae_helpers.shell.options import Number, path, source


class Parser(argparse.ArgumentParser):
    """Refuses in one line, and takes no abbreviations: a later option could change what they mean."""

    def __init__(self, *given, **more):
        super().__init__(*given, allow_abbrev=False, **more)

    def error(self, message: str):
        self.exit(2, printable(f"{self.prog}: {message} (see {self.prog} --help)") + "\n")

    def take(self, *names: str, kind: Callable[[str], Any], **more) -> None:
        """Add an option whose value is checked by `kind`, see `options`."""

        def checked(text: str) -> Any:
            try:
                return kind(text)
            except InputError as problem:
                raise argparse.ArgumentTypeError(str(problem).rstrip(".")) from None

        self.add_argument(*names, type=checked, **more)


def add_opening(sub: Parser) -> None:
    """How pictures are opened: for every command that opens some."""
    sub.take(
        "--allow-bad",
        kind=Number(0, 1),
        metavar="SHARE",
        default=argparse.SUPPRESS,
        help="share of unreadable files to put up with, such as 0.05 (0.01)",
    )
    sub.take(
        "--cache-dir",
        kind=path,
        metavar="DIR",
        default=argparse.SUPPRESS,
        help="where decoded pictures are kept (data/cache of the project)",
    )


def add_force(sub: Parser) -> None:
    """Whether a file may be replaced."""
    sub.add_argument("--force", action="store_true", help="replace what is there under the name to write to")


def add_other_pictures(sub: Parser) -> None:
    """Whether a run may meet pictures that it was not trained on."""
    sub.add_argument("--other-pictures", action="store_true", help="insist on pictures that are not the run's own")


def add_where_pictures_are(sub: Parser) -> None:
    """Where a trained run's pictures are."""
    sub.take(
        "--data",
        kind=source,
        metavar="DIR|NAME",
        help="where the run's pictures are; default: where they were, if that has been opened here before",
    )


def add_run(sub: Parser) -> None:
    """A trained run and its pictures: for every command that looks at one."""
    sub.take(
        "--run",
        kind=require_run_name,
        metavar="RUN",
        help="name of a trained run; default: the newest of your own, or else the weights that come with the project",
    )
    add_where_pictures_are(sub)
    add_other_pictures(sub)
    add_opening(sub)
    add_force(sub)
