"""Every command of the shell by its name, and the parser of them all; parsing loads neither torch nor numpy."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from vae_helpers.errors import InputError
from vae_helpers.files import require_place
from vae_helpers.settings import BUILT_IN, CHECKPOINTS, SHIPPED_RUNS, has_learnt, name_taken, no_such_run
from vae_helpers.shell import (
    attribute_commands,
    data_command,
    direction_command,
    look_commands,
    page_command,
    score_commands,
    train_commands,
)
from vae_helpers.shell.options import device, path
from vae_helpers.shell.parser import Parser


class Command(NamedTuple):
    """One command: what `--help` says of it, what adds its options to a parser, and what it does with their values."""

    help: str
    add_options: Callable[[Parser], None]
    run: Callable[[argparse.Namespace], None]


COMMANDS = {
    "data": Command(
        "fetch a public picture set, or look at a folder: what is usable, skipped, alike",
        data_command.add_data,
        data_command.run_data,
    ),
    "tour": Command(
        "the whole path in minutes: train, reconstruct, sample, interpolate, traverse",
        train_commands.add_tour,
        train_commands.run_tour,
    ),
    "train": Command("train a run, or go on with one", train_commands.add_train, train_commands.run_train),
    "reconstruct": Command(
        "held-out pictures beside their reconstructions, with scores",
        look_commands.add_reconstruct,
        look_commands.run_reconstruct,
    ),
    "interpolate": Command(
        "the path between two pictures", look_commands.add_interpolate, look_commands.run_interpolate
    ),
    "traverse": Command(
        "sweeps along the latents that carry most, or along attributes, from one picture",
        look_commands.add_traverse,
        look_commands.run_traverse,
    ),
    "attributes": Command(
        "what can be moved by name in a run's pictures, and how far that can be trusted",
        attribute_commands.add_attributes,
        attribute_commands.run_attributes,
    ),
    "directions": Command(
        "directions made of pictures marked as having something and not: list, make, remove",
        direction_command.add_directions,
        direction_command.run_directions,
    ),
    "page": Command(
        "the explorer as one HTML file with the decoder inside, to be sent to anybody",
        page_command.add_page,
        page_command.run_page,
    ),
    "evaluate": Command(
        "every score of a run on held-out pictures, as a table and a file",
        score_commands.add_evaluate,
        score_commands.run_evaluate,
    ),
    "sweep": Command(
        "every objective, or several values of β, with several seeds on one set whose factors are known: trained, "
        "scored, side by side",
        score_commands.add_sweep,
        score_commands.run_sweep,
    ),
    "benchmark": Command(
        "this package against a plain loop, as ratios measured in one run",
        score_commands.add_benchmark,
        score_commands.run_benchmark,
    ),
    "pack": Command(
        "a run's weights in half the bytes, with how they were made, as the project ships its own",
        score_commands.add_pack,
        score_commands.run_pack,
    ),
}


def build_parser() -> Parser:
    """The parser of the whole shell; its result has `command`, `run_command` and `words` besides the options."""
    parser = Parser(
        prog="python -m vae_helpers",
        description="Train a β-VAE on a folder of pictures and move through its latent space.",
        epilog="Start with: python -m vae_helpers tour",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(
            name,
            help=command.help,
            description=command.help[0].upper() + command.help[1:] + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        sub.take(
            "--out", kind=path, default="VAE", metavar="DIR", help="folder that holds models/, plots/ and the rest"
        )
        sub.take("--device", kind=device, metavar="NAME", help="cpu, cuda, cuda:1, mps; the fastest one unless said")
        command.add_options(sub)
        sub.set_defaults(run_command=command.run, words=_words(sub))
    return parser


def _words(sub: Parser) -> dict[str, str]:
    """What the command has in place of Python's arguments, for `errors.naming_options`."""
    words = {action.dest: action.option_strings[0] for action in sub._actions if action.option_strings}
    return words | {
        name: option for name, option in (("DATASET", "--data"), ("replace", "--force")) if option in words.values()
    }


def require_places(options: argparse.Namespace) -> None:
    """Refuse files that are not there and places that cannot be written, before torch is loaded."""
    if getattr(options, "data", None) and options.data not in BUILT_IN:
        from vae_helpers.data import find_folder, find_pictures

        folder = find_folder(options.data)
        if not os.path.lexists(folder):
            find_pictures(folder)  # has the sentence
    if options.command not in ("data", "benchmark"):
        from vae_helpers.data import project_root

        require_place(project_root() / options.out, "--out", folder=True)
        _require_runs(options, project_root() / options.out / "models")
    table = getattr(options, "attributes", None)
    if table is not None and not table.is_file():
        raise InputError(f"the attributes in {table} cannot be read, because there is no such file: give a CSV file.")
    for name in ("save", "json"):
        if getattr(options, name, None) is not None:
            require_place(getattr(options, name), f"--{name}", options.force, folder=options.command == "pack")


def _require_runs(options: argparse.Namespace, models: Path) -> None:
    """Refuse a run that is not there, and one's name for a new one; what cannot be told yet is let through."""
    run = getattr(options, "run", None)
    if run and run not in SHIPPED_RUNS and not any((models / run / file).is_file() for file in CHECKPOINTS):
        raise no_such_run(run, models)
    name = getattr(options, "name", None)
    if options.command == "train" and name and not options.resume and has_learnt(models / name):
        raise name_taken(name, models / name)
