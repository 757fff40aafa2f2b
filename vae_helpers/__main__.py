"""The shell's door: `python -m vae_helpers COMMAND`. Each command calls what the notebooks call."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from pathlib import Path

import numpy as np

from vae_helpers.errors import InputError

BENCHMARK_PARTS = ("steps", "memory", "end-to-end", "learning", "matrix")  # "matrix", for GPUs, only when it is asked for


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

    data = command("data", _data, "fetch a public picture set, or look at a folder: what is usable, skipped, alike")
    data.add_argument("--download", choices=("butterfly", "animal"), help="fetch this set from Kaggle (needs kagglehub)")
    data.add_argument("--data", metavar="DIR|NAME", help="the folder or set to decode and report on")
    data.add_argument("--image-size", type=int, default=128, metavar="PX", help="side of the squares")
    tour = command("tour", _tour, "the whole path in minutes: train, reconstruct, sample, interpolate, traverse")
    train = command("train", _train, "train a run, or go on with one")
    # More pictures would be decoded but not seen in the tour's minutes, and the specified norm gets colours right late.
    _training_options(tour, limit=4096, decoder_norm="adaptive")
    _training_options(train)
    train.add_argument("--preset", choices=("quick",), help="quick: the recipe for minutes on a CPU")
    train.add_argument("--resume", action="store_true", help="go on with the run of this name")
    train.add_argument("--stop-after", type=int, metavar="N", help="end after epoch N as Ctrl-C would, to be resumed")

    reconstruct = command("reconstruct", _reconstruct, "held-out pictures beside their reconstructions, with scores")
    interpolate = command("interpolate", _interpolate, "the path between two pictures")
    interpolate.add_argument("pictures", nargs=2, metavar="PICTURE",
                             help="a picture file, or the number of a held-out picture of the run's own set")
    interpolate.add_argument("--steps", type=int, default=12, help="frames on the path, both ends included")
    interpolate.add_argument("--method", choices=("lerp", "slerp", "geodesic"), default="lerp",
                             help="straight line, arc, or the shortest way in pictures")
    interpolate.add_argument("--even", action="store_true", help="the picture changes by the same amount at each step")
    traverse = command("traverse", _traverse, "sweeps along the latents that carry most, from one picture")
    traverse.add_argument("--image", default="0", metavar="PICTURE",
                          help="a picture file, or the number of a held-out picture of the run's own set")
    traverse.add_argument("--rows", type=int, default=8, help="how many latents, highest KL first")
    benchmark = command("benchmark", _benchmark, "this package against a plain loop, as ratios measured in one run")
    benchmark.add_argument("--data", default="synthetic", metavar="DIR|NAME", help="pictures to train on")
    benchmark.add_argument("--parts", nargs="+", choices=BENCHMARK_PARTS, default=BENCHMARK_PARTS[:-1], metavar="PART",
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
    pack = command("pack", _pack, "a run's weights in half the bytes, with how they were made, as the project ships its own")
    pack.add_argument("--run", required=True, metavar="RUN", help="name of a trained run")
    pack.add_argument("--save", type=Path, metavar="DIR", help="folder to write to; default: where the shipped weights lie")
    for sub in (reconstruct, interpolate, traverse):
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
    sub.add_argument("--image-size", type=int, default=128, metavar="PX", help="side of the squares: 64, 128, 256")
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


def _config(options: argparse.Namespace, quick: bool = False, train_pictures: int = 0):
    """The recipe, with what was said on the command line in its place."""
    from vae_helpers.recipe import TrainConfig

    names = ("epochs", "batch_size", "lr", "beta", "beta_schedule", "ema", "early_stop", "compile", "exact", "flip",
             "num_samples", "seed", "objective", "knobs", "likelihood", "scale")
    given = {name: getattr(options, name) for name in names if hasattr(options, name)}
    if "knobs" in given:
        given["knobs"] = dict(given["knobs"])
    return TrainConfig.quick(train_pictures, **given) if quick else TrainConfig(**given)


def _fit(options: argparse.Namespace, quick: bool, tag: str, resume: bool):
    """Open the pictures and train: what `train` and `tour` share."""
    from vae_helpers.checkpoint import Run, run_name
    from vae_helpers.data import open_pictures
    from vae_helpers.model import VAEConfig
    from vae_helpers.train import fit, pick_device

    # Whatever can be refused is refused before pictures are decoded.
    config, device = _config(options), pick_device(options.device)
    model_config = VAEConfig(options.image_size, options.latent_dim, decoder_norm=options.decoder_norm)
    pictures = open_pictures(options.data, options.image_size, limit=options.limit)
    if quick:
        config = _config(options, True, len(pictures.split.train))
    run = Run(options.name or run_name(pictures.name, config.num_samples, tag), options.out)
    resume = resume and run.exists()
    if resume and not quick and not hasattr(options, "epochs"):
        config = None  # a run that goes on keeps its own length
    result = fit(pictures, run, config, model_config, device=device, resume=resume,
                 stop_after=getattr(options, "stop_after", None))
    return pictures, run, result


def _report(run, result, pictures) -> None:
    s = result.scores
    print(f"{run.name}: held-out PSNR {s.psnr:.2f} dB over {s.pictures:,} pictures, reconstruction {s.reconstruction:,.0f} "
          f"and KL {s.kl:,.0f} nats a picture, {s.active_units} of {result.model.config.latent_dim} latents active")


def _list_files(files) -> None:
    here = Path.cwd()
    for file in files:
        print(f"  {file.relative_to(here) if file.is_relative_to(here) else file}")


def _data(options: argparse.Namespace) -> None:
    from vae_helpers.data import open_pictures
    from vae_helpers.download import download

    if options.download:
        print(f"Downloaded to {download(options.download)}")
    source = options.data or options.download
    if not source:
        raise InputError("say which pictures: --data DIR to look at a folder, or --download butterfly|animal.")
    pictures = open_pictures(source, options.image_size)
    parts = ", ".join(f"{len(rows):,} {part}" for part, rows in zip(pictures.split._fields, pictures.split))
    print(f"{pictures.name}: {len(pictures):,} pictures ({parts}), {len(pictures.skipped):,} files skipped, "
          f"{len(pictures.duplicates):,} groups of near-duplicates\nCache: {pictures.cache}")


def _train(options: argparse.Namespace) -> None:
    pictures, run, result = _fit(options, options.preset == "quick", "", options.resume)
    _report(run, result, pictures)
    print("Written:")
    _list_files(sorted(run.models.glob("*.pt")) + [run.tensorboard, run.generated_images])


def _tour(options: argparse.Namespace) -> None:
    from vae_helpers.tour import save_all

    began = time.monotonic()
    pictures, run, result = _fit(options, True, "tour", True)
    if not result.finished or os.environ.get("RANK", "0") != "0":
        return
    files = save_all(result.model, pictures, run, result.scores)
    _report(run, result, pictures)
    print(f"The tour took {(time.monotonic() - began) / 60:.1f} minutes. Look at:")
    _list_files(files + [run.generated_images])
    print(f"Loss curves:   tensorboard --logdir {run.tensorboard.parent}")
    print("Go on by hand: jupyter lab notebooks/04_traverse.ipynb")


def _open_run(options: argparse.Namespace):
    from vae_helpers.checkpoint import load_run
    from vae_helpers.data import open_pictures
    from vae_helpers.shipping import choose_run
    from vae_helpers.train import pick_device

    run = choose_run(options.run, options.out)
    model, saved = load_run(run, pick_device(options.device))
    return run, model, saved, open_pictures(**saved["data"]["request"])


def _picture(text: str, model, pictures):
    """A picture file, or the number of a held-out picture."""
    from vae_helpers.data import read_picture

    if text.isdigit() and not Path(text).exists():
        rows = pictures.split.validation
        if int(text) >= len(rows):
            raise InputError(f"there is no held-out picture {text}: this set has numbers 0 to {len(rows) - 1}.")
        return pictures.pictures[rows[int(text)]]
    return read_picture(text, model.config.image_size)


def _reconstruct(options: argparse.Namespace) -> None:
    from vae_helpers.metrics import evaluate
    from vae_helpers.objectives import held_out_loss
    from vae_helpers.tour import save_reconstructions
    from vae_helpers.train import Fit

    run, model, saved, pictures = _open_run(options)
    held_out = pictures.split.validation
    scores = evaluate(model, pictures.pictures, held_out, **held_out_loss(saved["train_config"]))
    _report(run, Fit(model, scores, True), pictures)
    _list_files([save_reconstructions(model, pictures.pictures[held_out], run)])


def _pack(options: argparse.Namespace) -> None:
    from vae_helpers.checkpoint import Run
    from vae_helpers.shipping import pack

    _list_files(pack(Run(options.run, options.out), options.save))


def _summary(model, pictures):
    from vae_helpers.latent import encode_pictures, summarise

    return summarise(*encode_pictures(model, pictures.pictures[pictures.split.validation]))


def _interpolate(options: argparse.Namespace) -> None:
    from vae_helpers.export import save_frames
    from vae_helpers.latent import encode_pictures
    from vae_helpers.paths import walk

    run, model, _, pictures = _open_run(options)
    ends = [_picture(text, model, pictures) for text in options.pictures]
    (a, b), _ = encode_pictures(model, np.stack(ends))
    path = walk(model, a, b, options.steps, options.method, _summary(model, pictures).active, options.even)
    _list_files([save_frames(path.frames, options.save or run.plots / f"{options.method}.png")])


def _benchmark(options: argparse.Namespace) -> None:
    import json

    from vae_helpers.benchmark_report import measure, table

    result = measure(options.data, options.parts, options.image_size, options.batch_size, options.pairs, options.compile,
                     options.limit, options.epochs, options.seeds, options.plain_batch, options.plain_lr, options.device)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def _traverse(options: argparse.Namespace) -> None:
    from vae_helpers.tour import save_traversals

    run, model, _, pictures = _open_run(options)
    picture = _picture(options.image, model, pictures)
    _list_files([save_traversals(model, picture, run, _summary(model, pictures), options.save, options.rows)])


if __name__ == "__main__":
    sys.exit(main())
