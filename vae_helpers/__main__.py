"""The shell's door: `python -m vae_helpers COMMAND`. What each command does is in `commands`."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from pathlib import Path

from vae_helpers.commands import (run_benchmark, run_data, run_evaluate, run_interpolate, run_pack, run_reconstruct,
                                  run_sweep, run_tour, run_train, run_traverse)
from vae_helpers.errors import InputError

BENCHMARK_PARTS = ("steps", "memory", "end-to-end", "learning", "precision", "matrix")  # the last two only if asked for


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, or 2 after one sentence on standard error."""
    options = _parser().parse_args(arguments)
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started; it alone prints results
    try:
        with contextlib.nullcontext() if first else contextlib.redirect_stdout(io.StringIO()):
            options.run_command(options)
    except InputError as problem:
        print(f"vae_helpers {options.command}: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"vae_helpers {options.command}: stopped before it was done.", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m vae_helpers", description="Train a β-VAE on a folder of pictures and move "
                     "through its latent space.", epilog="Start with: python -m vae_helpers tour")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run_command, text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".",
                                  formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        sub.set_defaults(run_command=run_command)
        sub.add_argument("--out", default="VAE", metavar="DIR", help="folder that holds models/, plots/ and the rest")
        sub.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps; the fastest one unless said")
        return sub

    data = command("data", run_data, "fetch a public picture set, or look at a folder: what is usable, skipped, alike")
    data.add_argument("--download", choices=("butterfly", "animal"), help="fetch this set from Kaggle (needs kagglehub)")
    data.add_argument("--data", metavar="DIR|NAME", help="the folder or set to decode and report on")
    data.add_argument("--image-size", type=int, default=128, metavar="PX", help="side of the squares")
    tour = command("tour", run_tour, "the whole path in minutes: train, reconstruct, sample, interpolate, traverse")
    train = command("train", run_train, "train a run, or go on with one")
    # More pictures would be decoded but not seen in the tour's minutes, and the specified norm gets colours right late.
    _training_options(tour, limit=4096, decoder_norm="adaptive")
    _training_options(train)
    train.add_argument("--preset", choices=("quick",), help="quick: the recipe for minutes on a CPU")
    train.add_argument("--resume", action="store_true", help="go on with the run of this name")
    train.add_argument("--stop-after", type=int, metavar="N", help="end after epoch N as Ctrl-C would, to be resumed")

    reconstruct = command("reconstruct", run_reconstruct, "held-out pictures beside their reconstructions, with scores")
    interpolate = command("interpolate", run_interpolate, "the path between two pictures")
    interpolate.add_argument("pictures", nargs=2, metavar="PICTURE",
                             help="a picture file, or the number of a held-out picture of the run's own set")
    interpolate.add_argument("--steps", type=int, default=12, help="frames on the path, both ends included")
    interpolate.add_argument("--method", choices=("lerp", "slerp", "geodesic"), default="lerp",
                             help="straight line, arc, or the shortest way in pictures")
    interpolate.add_argument("--even", action="store_true", help="the picture changes by the same amount at each step")
    traverse = command("traverse", run_traverse, "sweeps along the latents that carry most, from one picture")
    traverse.add_argument("--image", default="0", metavar="PICTURE",
                          help="a picture file, or the number of a held-out picture of the run's own set")
    traverse.add_argument("--rows", type=int, default=8, help="how many latents, highest KL first")
    sweep = command("sweep", run_sweep, "every objective, or several values of β, with several seeds on one set whose factors "
                    "are known: trained, scored, side by side")
    sweep.add_argument("--data", default="synthetic", metavar="NAME|FILE", help="synthetic, animals, a dSprites or Shapes3D file")
    sweep.add_argument("--betas", nargs="+", type=float, metavar="B", help="compare these instead of the objectives")
    sweep.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="S", help="one run of each kind for each")
    sweep.add_argument("--epochs", type=int, default=12, metavar="N", help="of each run")
    sweep.add_argument("--limit", type=int, default=4096, metavar="N", help="take at most N pictures")
    sweep.add_argument("--image-size", type=int, default=64, metavar="PX", help="side of the squares")
    sweep.add_argument("--latent-dim", type=int, default=10, metavar="Z", help="latents")
    benchmark = command("benchmark", run_benchmark, "this package against a plain loop, as ratios measured in one run")
    benchmark.add_argument("--data", default="synthetic", metavar="DIR|NAME", help="pictures to train on")
    benchmark.add_argument("--parts", nargs="+", choices=BENCHMARK_PARTS, default=BENCHMARK_PARTS[:-2], metavar="PART",
                           help=f"what to measure, of {', '.join(BENCHMARK_PARTS)}")
    benchmark.add_argument("--image-size", type=int, default=128, metavar="PX", help="side of the squares")
    benchmark.add_argument("--batch-size", type=int, default=32, metavar="B", help="pictures a step")
    benchmark.add_argument("--pairs", type=int, default=12, metavar="N", help="interleaved pairs of each kind, at least 2")
    benchmark.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="time torch.compile too")
    benchmark.add_argument("--limit", type=int, default=2560, metavar="N", help="learning: pictures, four fifths to train on")
    benchmark.add_argument("--epochs", type=int, default=10, metavar="N", help="learning: epochs of the plain loop")
    benchmark.add_argument("--seeds", type=int, default=1, metavar="N", help="learning: runs of each kind")
    benchmark.add_argument("--plain-batch", type=int, default=128, metavar="B", help="learning: the plain loop's batch")
    benchmark.add_argument("--plain-lr", type=float, default=0.005, metavar="LR", help="learning: its learning rate")
    benchmark.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    evaluate = command("evaluate", run_evaluate, "every score of a run on held-out pictures, as a table and a file")
    evaluate.add_argument("--part", choices=("validation", "test"), default="validation",
                          help="held-out pictures; validation chose the run's best weights, nothing has looked at test")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the scores here; default: VAE/plots/RUN/scores.json")
    evaluate.add_argument("--samples", type=int, default=64, metavar="K", help="latent samples a picture, for the likelihood")
    evaluate.add_argument("--quick", action="store_true", help="fewer pictures: a first look, not numbers to quote")
    pack = command("pack", run_pack, "a run's weights in half the bytes, with how they were made, as the project ships its own")
    pack.add_argument("--run", required=True, metavar="RUN", help="name of a trained run")
    pack.add_argument("--save", type=Path, metavar="DIR", help="folder to write to; default: where the shipped weights lie")
    for sub in (reconstruct, interpolate, traverse, evaluate):
        sub.add_argument("--run", default="", metavar="RUN", help="name of a trained run; default: the newest of your own, "
                         "or else the weights that come with the project")
    for sub in (interpolate, traverse):
        sub.add_argument("--save", type=Path, metavar="FILE", help="where to, by its ending: .png (stills), .gif, .webp, .mp4 "
                         "or .html (a page with a slider); default: VAE/plots/RUN")
    return parser


def _training_options(sub: argparse.ArgumentParser, limit: int | None = None, decoder_norm: str = "instance") -> None:
    sub.add_argument("--data", default="synthetic", metavar="DIR|NAME",
                     help="a folder of pictures, or synthetic, animals, butterfly, animal")
    sub.add_argument("--limit", type=int, metavar="N", default=limit, help="take at most N pictures")
    sub.add_argument("--image-size", type=int, metavar="PX", help="side of the squares: 64, 128, 256 (128; what fits, "
                     "where minutes count)")
    sub.add_argument("--minutes", type=float, metavar="M", help="how long the quick recipe may take: this machine is "
                     "timed, and size, epochs and compiling are chosen by that (a tour: 5, and no more epochs than it needs)")
    sub.add_argument("--latent-dim", type=int, default=128, metavar="Z", help="latents")
    sub.add_argument("--decoder-norm", default=decoder_norm, metavar="KIND", help="instance, adaptive or batch")
    sub.add_argument("--name", metavar="RUN", help="name of the run; default: DATASET_ns_SAMPLES")
    # The recipe's own values stand where None is left here, so that a preset and the user do not fight.
    recipe = dict(default=argparse.SUPPRESS)
    sub.add_argument("--epochs", type=int, metavar="N", help="passes over the training pictures (250; quick: enough to "
                     "see 20,000)", **recipe)
    sub.add_argument("--batch-size", type=int, metavar="B", help="pictures a step (128, fewer for many samples; quick: 32)",
                     **recipe)
    sub.add_argument("--lr", type=float, metavar="LR", help="learning rate (0.005; quick: 0.002)", **recipe)
    sub.add_argument("--objective", metavar="NAME", help="beta, capacity, tc, tc-stratified, factor, dip-1, dip-2 or info "
                     "(beta)", **recipe)
    sub.add_argument("--knob", dest="knobs", type=_knob, action="append", metavar="NAME=VALUE", help="a number of that "
                     "objective's own, such as gamma=10; may be given several times", **recipe)
    sub.add_argument("--likelihood", metavar="NAME", help="reconstruction term: gaussian, calibrated, calibrated-each, "
                     "laplace, bernoulli, continuous-bernoulli or ssim (gaussian)", **recipe)
    sub.add_argument("--scale", type=float, metavar="S", help="of that likelihood (gaussian: 0.707, so that it is the plain "
                     "squared error)", **recipe)
    sub.add_argument("--beta", type=float, metavar="B", help="weight of the KL, or of what the objective has in its place "
                     "(1)", **recipe)
    sub.add_argument("--beta-schedule", metavar="KIND", help="linear, constant, cyclical or cosine (linear)", **recipe)
    sub.add_argument("--ema", type=float, metavar="D", help="keep an average of the weights with this decay, e.g. 0.999",
                     **recipe)
    sub.add_argument("--early-stop", type=int, metavar="N", help="end after N epochs without a lower held-out loss (never)",
                     **recipe)
    sub.add_argument("--evaluate-every", type=int, metavar="N", help="epochs between scores on held-out pictures (1)", **recipe)
    sub.add_argument("--compile", action=argparse.BooleanOptionalAction, help="torch.compile (where the run is long "
                     "enough to earn it back)", **recipe)
    sub.add_argument("--exact", action=argparse.BooleanOptionalAction, help="a resumed run equals an uninterrupted one "
                     "bit for bit (on the CPU)", **recipe)
    sub.add_argument("--flip", action=argparse.BooleanOptionalAction, help="mirror every other training picture (on); off "
                     "where left and right differ, as by the built-in butterflies' shadow", **recipe)
    sub.add_argument("--num-samples", type=int, metavar="K", help="latent samples a picture (1)", **recipe)
    sub.add_argument("--seed", type=int, metavar="S", help="decides weights, order and noise (0)", **recipe)


def _knob(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE with a number, such as gamma=10") from None


if __name__ == "__main__":
    sys.exit(main())
