"""The commands that score and compare: `evaluate`, `sweep`, `benchmark`; and `pack`, which ships a run's weights."""

from __future__ import annotations

import argparse

from vae_helpers.files import require_run_name
from vae_helpers.settings import BENCHMARK_PARTS, PARTS
from vae_helpers.shell.open_run import list_files, open_run, opening, target
from vae_helpers.shell.options import (
    BATCH,
    BETA,
    EPOCHS,
    LATENTS,
    LIMIT,
    RATE,
    SEED,
    OneOf,
    Whole,
    image_size,
    path,
    source,
)
from vae_helpers.shell.parser import Parser, add_force, add_opening, add_run, add_where_pictures_are


def add_evaluate(sub: Parser) -> None:
    """The options of `evaluate`."""
    sub.take(
        "--part",
        kind=OneOf(PARTS),
        default="validation",
        metavar="PART",
        help="validation (chose the run's best weights) or test (nothing has looked at it)",
    )
    sub.take("--json", kind=path, metavar="FILE", help="write the scores here; default: VAE/plots/RUN/scores.json")
    sub.take(
        "--samples",
        kind=Whole(1, 100_000),
        default=64,
        metavar="K",
        help="latent samples a picture, for the likelihood",
    )
    sub.add_argument("--quick", action="store_true", help="fewer pictures: a first look, not numbers to quote")
    sub.add_argument(
        "--fetch",
        action="store_true",
        help="fetch the networks of LPIPS (244 MB), FID and KID (91 MB) where they are not here yet",
    )
    add_run(sub)


def run_evaluate(options: argparse.Namespace) -> None:
    """`evaluate`: every score of a run."""
    from vae_helpers.runs import difference
    from vae_helpers.scores import QUICK, ScoreOptions, evaluate_run, log_scores, save_scores, score_table

    run, model, saved, pictures = open_run(options)
    settings, name = saved["train_config"], run.name
    if differing := difference(pictures, saved["data"]):
        run = run.on(pictures.name)
    how_much = QUICK if options.quick else ScoreOptions()
    how_much = how_much._replace(part=options.part, samples=options.samples, fetch=options.fetch)
    result = {"run": name} | evaluate_run(model, pictures, settings, how_much, run, progress=True)
    print(f"{name}: {score_table(result)}")
    if differing:
        result["other_pictures"] = f"{pictures.name}: {differing}"
    files = [save_scores(result, target(options, options.json, run.plots / "scores.json"))]
    if not options.quick and not differing and log_scores(run, result, settings, model):
        files.append(run.tensorboard)
    print("Written:")
    list_files(files)


def add_sweep(sub: Parser) -> None:
    """The options of `sweep`."""
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
    add_opening(sub)
    add_force(sub)


def run_sweep(options: argparse.Namespace) -> None:
    """`sweep`: objectives or βs with several seeds, side by side."""
    from vae_helpers.data import open_pictures
    from vae_helpers.experiments import OBJECTIVES, SweepSettings, betas, by_score, sweep, sweep_table
    from vae_helpers.runs import Run
    from vae_helpers.show import save, show_scores

    pictures = open_pictures(options.data, options.image_size, limit=options.limit, **opening(options))
    variants = betas(options.betas) if options.betas else OBJECTIVES
    settings = SweepSettings(options.epochs, options.latent_dim, out=options.out, device=options.device)
    rows = sweep(pictures, variants, options.seeds, settings)
    print(sweep_table(rows))
    place = target(options, None, Run(f"sweep_{pictures.name}", options.out).plots / "scores.png")
    list_files([save(show_scores(by_score(rows)), place)])


def add_benchmark(sub: Parser) -> None:
    """The options of `benchmark`."""
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
    add_opening(sub)
    add_force(sub)


def run_benchmark(options: argparse.Namespace) -> None:
    """`benchmark`: this package against the plain loop."""
    from vae_helpers.experiments import BenchmarkSettings, benchmark_table, measure
    from vae_helpers.scores import save_scores

    settings = BenchmarkSettings(**{field: getattr(options, field) for field in BenchmarkSettings._fields})
    result = measure(options.data, options.parts, settings, opening=opening(options))
    print(benchmark_table(result))
    if options.json:
        save_scores(result, options.json)


def add_pack(sub: Parser) -> None:
    """The options of `pack`."""
    sub.take("--run", kind=require_run_name, required=True, metavar="RUN", help="name of a trained run")
    sub.take("--save", kind=path, metavar="DIR", help="folder to write to; default: where the shipped weights lie")
    add_where_pictures_are(sub)
    add_opening(sub)
    add_force(sub)


def run_pack(options: argparse.Namespace) -> None:
    """`pack`: a run's weights as the project ships its own."""
    from vae_helpers.experiments import pack
    from vae_helpers.runs import Run

    list_files(
        pack(
            Run(options.run, options.out),
            options.save,
            data=options.data or "",
            replace=options.force,
            opening=opening(options),
        )
    )
