"""What the commands share: opening runs and pictures, and naming the files that they write."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from vae_helpers.errors import InputError, printable
from vae_helpers.files import free_name
from vae_helpers.shell.options import is_number


def opening(options: argparse.Namespace) -> dict:
    """What was said about opening pictures, for `open_pictures`."""
    return {name: getattr(options, name) for name in ("allow_bad", "cache_dir") if hasattr(options, name)}


def target(options: argparse.Namespace, named: Path | None, default: Path) -> Path:
    """The file to write: the one that was named, else `default`, or with a number where that is taken."""
    return named or (default if options.force else free_name(default))


def list_files(files) -> None:
    """Print the files that were written, as seen from here."""
    here = Path.cwd()
    for file in files:
        print(f"  {printable(str(file.relative_to(here) if file.is_relative_to(here) else file))}")


def report(run, result) -> None:
    """Print the held-out scores of a `FitResult`. Raises InputError where they are no numbers."""
    s = result.scores
    if not math.isfinite(s.psnr + s.reconstruction + s.kl):
        raise InputError(
            f"the scores of the run {run.name!r} are no finite numbers, because its weights are absurd: use another "
            "checkpoint, or train the run again."
        )
    print(
        f"{run.name}: held-out PSNR {s.psnr:.2f} dB over {s.pictures:,} pictures, reconstruction "
        f"{s.reconstruction:,.0f} and KL {s.kl:,.0f} nats a picture, {s.active_units} of "
        f"{result.model.config.latent_dim} latents active"
    )


def load(options: argparse.Namespace):
    """The run of --run: `(run, model, what its checkpoint holds)`."""
    from vae_helpers.model import pick_device
    from vae_helpers.runs import choose_run, load_run

    run = choose_run(options.run or "", options.out)
    return run, *load_run(run, pick_device(options.device))


def pictures_of(options: argparse.Namespace, run, saved: dict):
    """The run's own pictures, from --data if that is said."""
    from vae_helpers.runs import open_for_run

    return open_for_run(run.name, saved, options.data or "", options.other_pictures, opening=opening(options))


def open_run(options: argparse.Namespace):
    """The run of --run with its pictures: `(run, model, what its checkpoint holds, pictures)`."""
    run, model, saved = load(options)
    return run, model, saved, pictures_of(options, run, saved)


def names_number(text: str) -> bool:
    """Whether a picture is meant by its number: a file of that name comes first."""
    return is_number(text) and not Path(text).exists()


def picture_name(text: str, pictures) -> str:
    """What `picture` finds, as the set calls it, or the file as it was given."""
    return pictures.names[pictures.split.validation[int(text)]] if names_number(text) else text


def picture(text: str, model, pictures):
    """A picture file, or the number of a held-out picture: uint8 (H, W, 3)."""
    from vae_helpers.data import read_picture

    if names_number(text):
        rows = pictures.split.validation
        if int(text) >= len(rows):
            raise InputError(f"there is no held-out picture {text}: this set has numbers 0 to {len(rows) - 1}.")
        return pictures.pictures[rows[int(text)]]
    return read_picture(text, model.config.image_size)
