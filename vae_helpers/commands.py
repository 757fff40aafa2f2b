"""What each shell command does: it calls what the notebooks call. `__main__` reads the command line for it."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from vae_helpers.errors import InputError


def config_of(options: argparse.Namespace, quick: bool = False, train_pictures: int = 0):
    """The recipe, with what was said on the command line in its place."""
    from vae_helpers.recipe import TrainConfig

    given = _given(options)
    return TrainConfig.quick(train_pictures, **given) if quick else TrainConfig(**given)


def _given(options: argparse.Namespace) -> dict:
    """The recipe's knobs that were said on the command line."""
    names = ("epochs", "batch_size", "lr", "beta", "beta_schedule", "ema", "early_stop", "compile", "exact", "flip",
             "num_samples", "seed", "evaluate_every", "objective", "knobs", "likelihood", "scale")
    given = {name: getattr(options, name) for name in names if hasattr(options, name)}
    if "knobs" in given:
        given["knobs"] = dict(given["knobs"])
    return given


def _own_settings(run, options: argparse.Namespace):
    """The settings of a run that goes on, with --epochs in their place: refuse others that were said, it keeps its own."""
    from dataclasses import replace

    from vae_helpers.checkpoint import load_latest
    from vae_helpers.run_state import kept_config

    saved = load_latest(run)[1]
    config = kept_config(run, saved)
    own = vars(config) | {"preset": "quick" if config.schedule == "one-cycle" else "none"} | saved["config"]
    said = _given(options) | {name: getattr(options, name) for name in options.usual if hasattr(options, name)}
    if getattr(options, "preset", None):
        said["preset"] = options.preset
    for name, value in said.items():
        if name not in ("epochs", "compile") and own[name] != value:
            raise InputError(f"the run {run.name!r} was started with {name} {own[name]}, which it keeps, not {value}: leave "
                             f"--{name.replace('_', '-')} out to go on with it, or give another --name.")
    return replace(config, epochs=getattr(options, "epochs", config.epochs))


def _fit(options: argparse.Namespace, quick: bool, tag: str, resume):
    """Open the pictures and train: what `train` and `tour` share; `resume` says of a run whether to go on with it."""
    from vae_helpers.checkpoint import Run, run_name
    from vae_helpers.data import open_pictures
    from vae_helpers.distributed import open_world
    from vae_helpers.model import VAEConfig
    from vae_helpers.train import fit, pick_device

    # Whatever can be refused is refused before pictures are decoded.
    config, device = config_of(options), pick_device(options.device)
    shape = {name: getattr(options, name, usual) for name, usual in options.usual.items()}
    model_config = VAEConfig(options.image_size, **shape)
    pictures = open_pictures(options.data, options.image_size, limit=options.limit)
    if quick:
        config = config_of(options, True, len(pictures.split.train))
    run = Run(options.name or run_name(pictures.name, config.num_samples, tag), options.out)
    # One process looks at the disk for all: each machine may have its own.
    own = open_world(device).first(lambda: _own_settings(run, options) if resume(run) else None)
    if own is not None:
        config = own
    result = fit(pictures, run, config, model_config if own is None else None, device=device, resume=own is not None,
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


def run_data(options: argparse.Namespace) -> None:
    """`data`: fetch a public set, or report on a folder."""
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


def run_train(options: argparse.Namespace) -> None:
    """`train`: start a run, or go on with one."""
    pictures, run, result = _fit(options, options.preset == "quick", "", lambda run: options.resume and run.exists())
    _report(run, result, pictures)
    print("Written:")
    _list_files(sorted(run.models.glob("*.pt")) + [run.tensorboard, run.generated_images])


def run_tour(options: argparse.Namespace) -> None:
    """`tour`: train, then write every still and animation."""
    from vae_helpers.run_state import begun
    from vae_helpers.tour import save_all

    began = time.monotonic()
    pictures, run, result = _fit(options, True, "tour", begun)
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


def run_reconstruct(options: argparse.Namespace) -> None:
    """`reconstruct`: scores, and originals over reconstructions."""
    from vae_helpers.metrics import evaluate
    from vae_helpers.objectives import held_out_loss
    from vae_helpers.tour import save_reconstructions
    from vae_helpers.train import Fit

    run, model, saved, pictures = _open_run(options)
    held_out = pictures.split.validation
    scores = evaluate(model, pictures.pictures, held_out, **held_out_loss(saved["train_config"]))
    _report(run, Fit(model, scores, True), pictures)
    _list_files([save_reconstructions(model, pictures.pictures[held_out], run)])


def run_pack(options: argparse.Namespace) -> None:
    """`pack`: a run's weights as the project ships its own."""
    from vae_helpers.checkpoint import Run
    from vae_helpers.shipping import pack

    _list_files(pack(Run(options.run, options.out), options.save))


def _summary(model, pictures):
    from vae_helpers.latent import encode_pictures, summarise

    return summarise(*encode_pictures(model, pictures.pictures[pictures.split.validation]))


def run_interpolate(options: argparse.Namespace) -> None:
    """`interpolate`: the path between two pictures."""
    from vae_helpers.export import save_frames
    from vae_helpers.latent import encode_pictures
    from vae_helpers.paths import walk

    run, model, _, pictures = _open_run(options)
    ends = [_picture(text, model, pictures) for text in options.pictures]
    (a, b), _ = encode_pictures(model, np.stack(ends))
    path = walk(model, a, b, options.steps, options.method, _summary(model, pictures).active, options.even)
    _list_files([save_frames(path.frames, options.save or run.plots / f"{options.method}.png")])


def run_benchmark(options: argparse.Namespace) -> None:
    """`benchmark`: this package against the plain loop."""
    from vae_helpers.benchmark_report import measure, table
    from vae_helpers.evaluation import save_scores

    result = measure(options.data, options.parts, options.image_size, options.batch_size, options.pairs, options.compile,
                     options.limit, options.epochs, options.seeds, options.plain_batch, options.plain_lr, options.device)
    print(table(result))
    if options.json:
        save_scores(result, options.json)


def run_traverse(options: argparse.Namespace) -> None:
    """`traverse`: one latent swept after the other."""
    from vae_helpers.tour import save_traversals

    run, model, _, pictures = _open_run(options)
    picture = _picture(options.image, model, pictures)
    _list_files([save_traversals(model, picture, run, _summary(model, pictures), options.save, options.rows)])


def run_evaluate(options: argparse.Namespace) -> None:
    """`evaluate`: every score of a run."""
    from vae_helpers.evaluation import QUICK, Effort, evaluate_run, log_scores, save_scores
    from vae_helpers.score_table import score_table

    run, model, saved, pictures = _open_run(options)
    settings = saved["train_config"]
    result = {"run": run.name} | evaluate_run(model, pictures, settings, options.part, options.samples,
                                              QUICK if options.quick else Effort(), progress=True)
    print(f"{run.name}: {score_table(result)}")
    files = [save_scores(result, options.json or run.plots / "scores.json")]
    if not options.quick and log_scores(run, result, settings, model):
        files.append(run.tensorboard)
    print("Written:")
    _list_files(files)


def run_sweep(options: argparse.Namespace) -> None:
    """`sweep`: objectives or βs with several seeds, side by side."""
    from vae_helpers.checkpoint import Run
    from vae_helpers.data import open_pictures
    from vae_helpers.factor_figures import show_scores
    from vae_helpers.figures import save
    from vae_helpers.sweep import OBJECTIVES, betas, by_score, sweep, table

    pictures = open_pictures(options.data, options.image_size, limit=options.limit)
    variants = betas(options.betas) if options.betas else OBJECTIVES
    rows = sweep(pictures, variants, options.seeds, options.epochs, options.latent_dim, out=options.out, device=options.device)
    print(table(rows))
    _list_files([save(show_scores(by_score(rows)), Run(f"sweep_{pictures.name}", options.out).plots / "scores.png")])
