"""The shell's commands and their options, each with its range; parsing loads neither torch nor numpy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from vae_helpers.errors import InputError, printable
from vae_helpers.files import require_run_name
from vae_helpers.settings import BENCHMARK_PARTS, DECODER_NORMS, METHODS, PARTS, TrainConfig
from vae_helpers.shell import commands
from vae_helpers.shell.options import (
    BATCH,
    BETA,
    EPOCHS,
    LATENTS,
    LIMIT,
    MINUTES,
    RATE,
    RECIPE,
    SEED,
    Number,
    OneOf,
    Whole,
    animation,
    device,
    image_size,
    path,
    picture,
    source,
)


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


def build_parser() -> Parser:
    """The parser of the whole shell; its result has `command`, `run_command` and `words` besides the options."""
    parser = Parser(
        prog="python -m vae_helpers",
        description="Train a β-VAE on a folder of pictures and move through its latent space.",
        epilog="Start with: python -m vae_helpers tour",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> Parser:
        sub = subparsers.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        sub.set_defaults(run_command=getattr(commands, f"run_{name}"))
        sub.take(
            "--out", kind=path, default="VAE", metavar="DIR", help="folder that holds models/, plots/ and the rest"
        )
        sub.take("--device", kind=device, metavar="NAME", help="cpu, cuda, cuda:1, mps; the fastest one unless said")
        return sub

    _data(command("data", "fetch a public picture set, or look at a folder: what is usable, skipped, alike"))
    # More pictures would be decoded but not seen in the tour's minutes, and the specified norm gets colours right late.
    _training(
        command("tour", "the whole path in minutes: train, reconstruct, sample, interpolate, traverse"),
        4096,
        "adaptive",
    )
    train = command("train", "train a run, or go on with one")
    _training(train)
    train.take("--preset", kind=OneOf(("quick",)), metavar="NAME", help="quick: the recipe for minutes on a CPU")
    train.add_argument("--resume", action="store_true", help="go on with the run of this name")
    train.take("--stop-after", kind=EPOCHS, metavar="N", help="end after epoch N as Ctrl-C would, to be resumed")
    _looking(command)
    _sweep(
        command(
            "sweep",
            "every objective, or several values of β, with several seeds on one set whose factors are known: "
            "trained, scored, side by side",
        )
    )
    _benchmark(command("benchmark", "this package against a plain loop, as ratios measured in one run"))
    pack = command("pack", "a run's weights in half the bytes, with how they were made, as the project ships its own")
    pack.take("--run", kind=require_run_name, required=True, metavar="RUN", help="name of a trained run")
    pack.take("--save", kind=path, metavar="DIR", help="folder to write to; default: where the shipped weights lie")
    _where_pictures_are(pack)
    _opening(pack)
    _force(pack)
    for sub in subparsers.choices.values():
        sub.set_defaults(words=_words(sub))
    return parser


def _words(sub: Parser) -> dict[str, str]:
    """What the command has in place of Python's arguments, for `errors.naming_options`."""
    words = {action.dest: action.option_strings[0] for action in sub._actions if action.option_strings}
    return words | {
        name: option for name, option in (("DATASET", "--data"), ("replace", "--force")) if option in words.values()
    }


def _opening(sub: Parser) -> None:
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


def _force(sub: Parser) -> None:
    sub.add_argument("--force", action="store_true", help="replace what is there under the name to write to")


def _other_pictures(sub: Parser) -> None:
    sub.add_argument("--other-pictures", action="store_true", help="insist on pictures that are not the run's own")


def _where_pictures_are(sub: Parser) -> None:
    sub.take(
        "--data",
        kind=source,
        metavar="DIR|NAME",
        help="where the run's pictures are; default: where they were, if that has been opened here before",
    )


def _data(sub: Parser) -> None:
    sub.take(
        "--download",
        kind=OneOf(("butterfly", "animal")),
        metavar="NAME",
        help="fetch this set from Kaggle: butterfly or animal (needs kagglehub)",
    )
    sub.take("--data", kind=source, metavar="DIR|NAME", help="the folder or set to decode and report on")
    sub.add_argument(
        "--clear",
        nargs="?",
        const="old",
        choices=("old", "all"),
        help="delete old caches of decoded pictures (or all) and list what they took",
    )
    sub.take("--image-size", kind=Whole(4, 4096), default=128, metavar="PX", help="side of the squares")
    _opening(sub)


def _training(sub: Parser, limit: int | None = None, decoder_norm: str = "instance") -> None:
    sub.take(
        "--data",
        kind=source,
        default="synthetic",
        metavar="DIR|NAME",
        help="a folder of pictures, or synthetic, animals, butterfly, animal",
    )
    sub.take("--limit", kind=LIMIT, metavar="N", default=limit, help="take at most N pictures")
    sub.take(
        "--image-size",
        kind=image_size,
        metavar="PX",
        help="side of the squares: 64, 128, 256 (128; what fits, where minutes count)",
    )
    sub.take(
        "--minutes",
        kind=MINUTES,
        metavar="M",
        help="how long the quick recipe may take: this machine is timed, and size, epochs and compiling are chosen by "
        "that (a tour: 5, and no more epochs than it needs)",
    )
    # What is not said is not there, so that neither a preset and the user fight, nor a run that goes on and what is usual.
    sub.set_defaults(usual={"latent_dim": 128, "decoder_norm": decoder_norm})
    sub.take("--latent-dim", kind=LATENTS, metavar="Z", default=argparse.SUPPRESS, help="latents (128)")
    sub.take(
        "--decoder-norm",
        kind=OneOf(DECODER_NORMS),
        metavar="KIND",
        default=argparse.SUPPRESS,
        help=f"instance, adaptive or batch ({decoder_norm})",
    )
    _other_pictures(sub)
    sub.take("--name", kind=require_run_name, metavar="RUN", help="name of the run; default: DATASET_ns_SAMPLES")
    _opening(sub)
    for field in fields(TrainConfig):
        setting = RECIPE[field.name]
        more = dict(dest=field.name, default=argparse.SUPPRESS, help=setting.help)
        name = "--" + field.name.replace("_", "-")
        if setting.kind is None:
            sub.add_argument(name, action=argparse.BooleanOptionalAction, **more)
        elif field.name == "knobs":
            sub.take("--knob", kind=setting.kind, metavar=setting.metavar, action="append", **more)
        else:
            sub.take(name, kind=setting.kind, metavar=setting.metavar, **more)


def _looking(command: Callable[[str, str], Parser]) -> None:
    """The commands that look at a trained run."""
    one = "a picture file, or the number of a held-out picture of the run's own set"
    reconstruct = command("reconstruct", "held-out pictures beside their reconstructions, with scores")
    interpolate = command("interpolate", "the path between two pictures")
    interpolate.take("pictures", kind=picture, nargs=2, metavar="PICTURE", help=one)
    interpolate.take(
        "--steps", kind=Whole(2, 1000), default=12, metavar="N", help="frames on the path, both ends included"
    )
    interpolate.take(
        "--method",
        kind=OneOf(METHODS),
        default="lerp",
        metavar="NAME",
        help="lerp (straight line), slerp (arc), or geodesic (the shortest way in pictures)",
    )
    interpolate.add_argument("--even", action="store_true", help="the picture changes by the same amount at each step")
    traverse = command("traverse", "sweeps along the latents that carry most, from one picture")
    traverse.take("--image", kind=picture, default="0", metavar="PICTURE", help=one)
    traverse.take("--rows", kind=LATENTS, default=8, metavar="N", help="how many latents, highest KL first")
    evaluate = command("evaluate", "every score of a run on held-out pictures, as a table and a file")
    evaluate.take(
        "--part",
        kind=OneOf(PARTS),
        default="validation",
        metavar="PART",
        help="validation (chose the run's best weights) or test (nothing has looked at it)",
    )
    evaluate.take("--json", kind=path, metavar="FILE", help="write the scores here; default: VAE/plots/RUN/scores.json")
    evaluate.take(
        "--samples",
        kind=Whole(1, 100_000),
        default=64,
        metavar="K",
        help="latent samples a picture, for the likelihood",
    )
    evaluate.add_argument("--quick", action="store_true", help="fewer pictures: a first look, not numbers to quote")
    evaluate.add_argument(
        "--fetch",
        action="store_true",
        help="fetch the networks of LPIPS (244 MB), FID and KID (91 MB) where they are not here yet",
    )
    for sub in (reconstruct, interpolate, traverse, evaluate):
        sub.take(
            "--run",
            kind=require_run_name,
            metavar="RUN",
            help="name of a trained run; default: the newest of your own, "
            "or else the weights that come with the project",
        )
        _where_pictures_are(sub)
        _other_pictures(sub)
        _opening(sub)
        _force(sub)
    for sub in (interpolate, traverse):
        sub.take(
            "--save",
            kind=animation,
            metavar="FILE",
            help="where to, by its ending: .png (stills), .gif, .webp, .mp4 "
            "or .html (a page with a slider); default: VAE/plots/RUN",
        )


def _sweep(sub: Parser) -> None:
    sub.take(
        "--data",
        kind=source,
        default="synthetic",
        metavar="NAME|FILE",
        help="synthetic, animals, a dSprites or Shapes3D file",
    )
    sub.take("--betas", kind=BETA, nargs="+", metavar="B", help="compare these instead of the objectives")
    sub.take("--seeds", kind=SEED, nargs="+", default=[0, 1, 2], metavar="S", help="one run of each kind for each")
    sub.take("--epochs", kind=EPOCHS, default=12, metavar="N", help="of each run")
    sub.take("--limit", kind=LIMIT, default=4096, metavar="N", help="take at most N pictures")
    sub.take("--image-size", kind=image_size, default=64, metavar="PX", help="side of the squares")
    sub.take("--latent-dim", kind=LATENTS, default=10, metavar="Z", help="latents")
    _opening(sub)
    _force(sub)


def _benchmark(sub: Parser) -> None:
    sub.take("--data", kind=source, default="synthetic", metavar="DIR|NAME", help="pictures to train on")
    sub.take(
        "--parts",
        kind=OneOf(BENCHMARK_PARTS),
        nargs="+",
        default=BENCHMARK_PARTS[:-2],
        metavar="PART",
        help=f"what to measure, of {', '.join(BENCHMARK_PARTS)}",
    )
    sub.take("--image-size", kind=image_size, default=128, metavar="PX", help="side of the squares")
    sub.take("--batch-size", kind=BATCH, default=32, metavar="B", help="pictures a step")
    sub.take("--pairs", kind=Whole(2, 10_000), default=12, metavar="N", help="interleaved pairs of each kind")
    sub.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="time torch.compile too")
    sub.take("--limit", kind=LIMIT, default=2560, metavar="N", help="learning: pictures, four fifths to train on")
    sub.take("--epochs", kind=EPOCHS, default=10, metavar="N", help="learning: epochs of the plain loop")
    sub.take("--seeds", kind=Whole(1, 1000), default=1, metavar="N", help="learning: runs of each kind")
    sub.take("--plain-batch", kind=BATCH, default=128, metavar="B", help="learning: the plain loop's batch")
    sub.take("--plain-lr", kind=RATE, default=0.005, metavar="LR", help="learning: its learning rate")
    sub.take("--json", kind=path, metavar="FILE", help="write the figures here as well")
    _opening(sub)
    _force(sub)
