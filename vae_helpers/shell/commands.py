"""What each shell command does: it calls what the notebooks call. `parser` reads the command line for it.

Whatever is heavy is imported by the command that needs it, after all that can be refused without it.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import fields
from pathlib import Path

from vae_helpers.errors import InputError, printable
from vae_helpers.files import free_name, require_place
from vae_helpers.settings import BUILT_IN, TrainConfig
from vae_helpers.shell.options import is_number, processes


def config_of(options: argparse.Namespace, quick: bool = False, train_pictures: int = 0):
    """The recipe, with what was said on the command line in its place."""
    given = _given(options)
    return TrainConfig.quick(train_pictures, **given) if quick else TrainConfig(**given)


def _given(options: argparse.Namespace) -> dict:
    """The recipe's knobs that were said on the command line."""
    given = {field.name: getattr(options, field.name) for field in fields(TrainConfig) if hasattr(options, field.name)}
    if "knobs" in given:
        given["knobs"] = dict(given["knobs"])
    return given


def _opening(options: argparse.Namespace) -> dict:
    """What was said about opening pictures, for `open_pictures`."""
    return {name: getattr(options, name) for name in ("allow_bad", "cache_dir") if hasattr(options, name)}


def require_places(options: argparse.Namespace) -> None:
    """Refuse pictures that are not there and places that cannot be written, before torch is loaded."""
    if getattr(options, "data", None) and options.data not in BUILT_IN:
        from vae_helpers.data import find_folder, find_pictures

        folder = find_folder(options.data)
        if not os.path.lexists(folder):
            find_pictures(folder)  # has the sentence
    if options.command not in ("data", "benchmark"):
        from vae_helpers.data import project_root

        require_place(project_root() / options.out, "--out", folder=True)
    for name in ("save", "json"):
        if getattr(options, name, None) is not None:
            require_place(getattr(options, name), f"--{name}", options.force, folder=options.command == "pack")


def _target(options: argparse.Namespace, named: Path | None, default: Path) -> Path:
    """The file to write: the one that was named, else `default`, or with a number where that is taken."""
    return named or (default if options.force else free_name(default))


def _own_settings(run, options: argparse.Namespace):
    """The settings of a run that goes on, with --epochs in their place: refuse others that were said, it keeps its own."""
    from dataclasses import replace

    from vae_helpers.runs import load_latest
    from vae_helpers.train import kept_config

    saved = load_latest(run)[1]
    config = kept_config(run, saved)
    own = vars(config) | {"preset": "quick" if config.schedule == "one-cycle" else "none"} | saved["config"]
    said = _given(options) | {name: getattr(options, name) for name in options.usual if hasattr(options, name)}
    if getattr(options, "preset", None):
        said["preset"] = options.preset
    for name, value in said.items():
        if name not in ("epochs", "compile") and own[name] != value:
            raise InputError(
                f"the run {run.name!r} was started with {name} {own[name]}, which it keeps, not {value}: leave "
                f"`{name}` out to go on with it, or give another --name."
            )
    return replace(config, epochs=getattr(options, "epochs", config.epochs))


def _require_memory(config: TrainConfig, model) -> None:
    """Refuse a run whose step cannot fit this machine: a system that promises more memory than it has would kill it."""
    if not hasattr(os, "sysconf"):
        return  # Windows, which refuses by itself
    share = -(-config.batch_size // processes(os.environ)[1])
    drawn = share * config.num_samples * 3 * model.image_size**2
    heads = 3 * model.latent_dim * 16 * model.widths[-1]  # of all weights those that may grow without end
    need = 4 * (2 * drawn + 4 * heads)  # at least: pictures and gradients; weights, gradients, Adam's two moments
    have = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if need > have:
        raise InputError(
            f"a training step would need more than {need / 2**30:,.0f} GB of memory, and this machine has "
            f"{have / 2**30:,.0f}: lower --batch-size, --num-samples, --image-size or --latent-dim."
        )


def _fit(options: argparse.Namespace, quick: bool, tag: str, resume):
    """Open the pictures and train: what `train` and `tour` share; `resume` says of a run whether to go on with it."""
    from vae_helpers.data import open_pictures
    from vae_helpers.model import VAEConfig, pick_device
    from vae_helpers.runs import Run, run_name
    from vae_helpers.train import fit, open_world

    # Whatever can be refused is refused before pictures are decoded.
    config, device = config_of(options, quick), pick_device(options.device)
    shape = {name: getattr(options, name, usual) for name, usual in options.usual.items()}
    model_config = VAEConfig(options.image_size or 128, **shape)
    pace = _pace(options, quick, tag, config.num_samples)
    if pace and options.image_size is None:
        model_config = pace.choose_size(model_config, config_of(options, True, 1))
    if device.type == "cpu":
        _require_memory(config, model_config)
    pictures = open_pictures(options.data, model_config.image_size, limit=options.limit, **_opening(options))
    if pace:
        config = pace.choose_length(pictures, model_config, **_given(options))
    elif quick:
        config = config_of(options, True, len(pictures.split.train))
    run = Run(options.name or run_name(pictures.name, config.num_samples, tag), options.out)
    # One process looks at the disk for all: each machine may have its own.
    own = open_world(device).first(lambda: _own_settings(run, options) if resume(run) else None)
    if own is not None:
        config = own
    result = fit(
        pictures,
        run,
        config,
        model_config if own is None else None,
        device=device,
        resume=own is not None,
        stop_after=getattr(options, "stop_after", None),
        other_pictures=options.other_pictures,
    )
    return pictures, run, result


def _pace(options: argparse.Namespace, quick: bool, tag: str, samples: int):
    """What chooses a quick run by this machine's speed: for a tour, and for others if minutes are given."""
    from vae_helpers.data import name_of
    from vae_helpers.runs import Run, run_name
    from vae_helpers.train import TOUR_LOOKS, Pace, open_world

    if options.minutes is not None and (hasattr(options, "epochs") or not quick):
        raise InputError(
            "--minutes chooses the epochs of the quick recipe: give it with --preset quick and without --epochs."
        )
    if hasattr(options, "epochs") or options.minutes is None and tag != "tour":
        return None
    run = Run(options.name or run_name(name_of(options.data), samples, tag), options.out)
    return Pace(run, options.minutes, open_world(options.device), TOUR_LOOKS if tag == "tour" else 0)


def _report(run, result, pictures) -> None:
    s = result.scores
    print(
        f"{run.name}: held-out PSNR {s.psnr:.2f} dB over {s.pictures:,} pictures, reconstruction {s.reconstruction:,.0f} "
        f"and KL {s.kl:,.0f} nats a picture, {s.active_units} of {result.model.config.latent_dim} latents active"
    )


def _list_files(files) -> None:
    here = Path.cwd()
    for file in files:
        print(f"  {printable(str(file.relative_to(here) if file.is_relative_to(here) else file))}")


def run_data(options: argparse.Namespace) -> None:
    """`data`: fetch a public set, or report on a folder."""
    source = options.data or options.download
    if not source and not options.clear:
        raise InputError(
            "say which pictures: --data DIR to look at a folder, or --download butterfly|animal; or --clear."
        )
    from vae_helpers.data import download, open_pictures

    if options.clear:
        _clear(options.clear == "all")
        return
    if options.download:
        print(f"Downloaded to {download(options.download)}")
    pictures = open_pictures(source, options.image_size, **_opening(options))
    parts = ", ".join(f"{len(rows):,} {part}" for part, rows in zip(pictures.split._fields, pictures.split))
    print(
        f"{pictures.name}: {len(pictures):,} pictures ({parts}), {len(pictures.skipped):,} files skipped, "
        f"{len(pictures.duplicates):,} groups of near-duplicates\nCache: {pictures.cache}",
        *pictures.remarks(),
        sep="\n",
    )


def _clear(everything: bool) -> None:
    """Delete old caches, or all, and list what went and what stays."""
    from vae_helpers.data import cache_folder, clear_caches, list_caches

    where = cache_folder()
    cleared, left = clear_caches(where, everything), list_caches(where)
    for word, caches in (("cleared", cleared), ("kept   ", left)):
        for cache in caches:
            why = cache.old and f" ({cache.old})"
            print(f"  {word} {cache.size / 1e6:8,.1f} MB  {cache.folder.name}  {cache.source}{why}")
    print(
        f"{len(cleared):,} caches of decoded pictures cleared ({sum(kept.size for kept in cleared) / 1e6:,.1f} MB), "
        f"{len(left):,} kept ({sum(kept.size for kept in left) / 1e6:,.1f} MB) in {where}"
        f"{'; `--clear all` clears these too, and opening pictures makes them again' if left else ''}."
    )


def run_train(options: argparse.Namespace) -> None:
    """`train`: start a run, or go on with one."""
    pictures, run, result = _fit(options, options.preset == "quick", "", lambda run: options.resume and run.exists())
    _report(run, result, pictures)
    print("Written:")
    _list_files(sorted(run.models.glob("*.pt")) + [run.tensorboard, run.generated_images])


def run_tour(options: argparse.Namespace) -> None:
    """`tour`: train, then write every still and animation."""
    from vae_helpers.tour import save_all
    from vae_helpers.train import begun

    began = time.monotonic()
    pictures, run, result = _fit(options, True, "tour", begun)
    if not result.finished or processes(os.environ)[0]:
        return
    files = save_all(result.model, pictures, run, result.scores)
    _report(run, result, pictures)
    print(f"The tour took {(time.monotonic() - began) / 60:.1f} minutes. Look at:")
    _list_files(files + [run.generated_images])
    print(f"Loss curves:   tensorboard --logdir {run.tensorboard.parent}")
    print("Go on by hand: jupyter lab notebooks/04_traverse.ipynb")


def _load(options: argparse.Namespace):
    from vae_helpers.model import pick_device
    from vae_helpers.runs import choose_run, load_run

    run = choose_run(options.run or "", options.out)
    return run, *load_run(run, pick_device(options.device))


def _pictures_of(options: argparse.Namespace, run, saved: dict):
    """The run's own pictures, from --data if that is said."""
    from vae_helpers.runs import open_for_run

    return open_for_run(run.name, saved, options.data or "", options.other_pictures, opening=_opening(options))


def _open_run(options: argparse.Namespace):
    run, model, saved = _load(options)
    return run, model, saved, _pictures_of(options, run, saved)


def _is_number(text: str) -> bool:
    return is_number(text) and not Path(text).exists()


def _picture(text: str, model, pictures):
    """A picture file, or the number of a held-out picture."""
    from vae_helpers.data import read_picture

    if _is_number(text):
        rows = pictures.split.validation
        if int(text) >= len(rows):
            raise InputError(f"there is no held-out picture {text}: this set has numbers 0 to {len(rows) - 1}.")
        return pictures.pictures[rows[int(text)]]
    return read_picture(text, model.config.image_size)


def run_reconstruct(options: argparse.Namespace) -> None:
    """`reconstruct`: scores, and originals over reconstructions."""
    from vae_helpers.model import held_out_loss
    from vae_helpers.runs import difference
    from vae_helpers.scores import evaluate
    from vae_helpers.tour import save_reconstructions
    from vae_helpers.train import Fit

    run, model, saved, pictures = _open_run(options)
    held_out = pictures.split.validation
    if difference(pictures, saved["data"]):
        run = run.on(pictures.name)
    scores = evaluate(model, pictures.pictures, held_out, **held_out_loss(saved["train_config"]))
    _report(run, Fit(model, scores, True), pictures)
    path = _target(options, None, run.plots / "reconstructions.png")
    _list_files([save_reconstructions(model, pictures.pictures[held_out], run, path=path)])


def run_pack(options: argparse.Namespace) -> None:
    """`pack`: a run's weights as the project ships its own."""
    from vae_helpers.experiments import pack
    from vae_helpers.runs import Run

    _list_files(
        pack(
            Run(options.run, options.out),
            options.save,
            data=options.data or "",
            replace=options.force,
            opening=_opening(options),
        )
    )


def _summary(model, pictures):
    from vae_helpers.latent import encode_pictures, summarise

    return summarise(*encode_pictures(model, pictures.pictures[pictures.split.validation]))


def run_interpolate(options: argparse.Namespace) -> None:
    """`interpolate`: the path between two pictures."""
    import numpy as np

    from vae_helpers.latent import PathContext, encode_pictures, walk
    from vae_helpers.show import save_frames

    run, model, saved = _load(options)
    pictures, active = None, None
    if options.method != "lerp" or any(map(_is_number, options.pictures)):  # a straight line needs its two ends only
        pictures, active = _pictures_and_active(options, run, model, saved)
    ends = [_picture(text, model, pictures) for text in options.pictures]
    (a, b), _ = encode_pictures(model, np.stack(ends))
    path = walk(model, a, b, options.steps, options.method, PathContext(active), options.even)
    _list_files([save_frames(path.frames, _target(options, options.save, run.plots / f"{options.method}.png"))])


def _pictures_and_active(options: argparse.Namespace, run, model, saved: dict):
    """The run's pictures and active latents; None twice (all latents) where they are not to be had and not needed."""
    from vae_helpers.files import say

    try:
        pictures = _pictures_of(options, run, saved)
    except InputError as problem:
        if options.data or any(map(_is_number, options.pictures)):
            raise
        say(f"Active latents are known from the run's pictures only, and {problem} The path counts all latents.")
        return None, None
    return pictures, _summary(model, pictures).active


def run_benchmark(options: argparse.Namespace) -> None:
    """`benchmark`: this package against the plain loop."""
    from vae_helpers.experiments import measure, table
    from vae_helpers.scores import save_scores

    result = measure(
        options.data,
        options.parts,
        options.image_size,
        options.batch_size,
        options.pairs,
        options.compile,
        options.limit,
        options.epochs,
        options.seeds,
        options.plain_batch,
        options.plain_lr,
        options.device,
        opening=_opening(options),
    )
    print(table(result))
    if options.json:
        save_scores(result, options.json)


def run_traverse(options: argparse.Namespace) -> None:
    """`traverse`: one latent swept after the other."""
    from vae_helpers.tour import save_traversals

    run, model, _, pictures = _open_run(options)
    picture = _picture(options.image, model, pictures)
    path = _target(options, options.save, run.plots / "traversals.png")
    _list_files([save_traversals(model, picture, run, _summary(model, pictures), path, options.rows)])


def run_evaluate(options: argparse.Namespace) -> None:
    """`evaluate`: every score of a run."""
    from vae_helpers.runs import difference
    from vae_helpers.scores import QUICK, Effort, evaluate_run, log_scores, save_scores, score_table

    run, model, saved, pictures = _open_run(options)
    settings = saved["train_config"]
    result = {"run": run.name} | evaluate_run(
        model,
        pictures,
        settings,
        options.part,
        options.samples,
        QUICK if options.quick else Effort(),
        progress=True,
        fetch=options.fetch,
    )
    print(f"{run.name}: {score_table(result)}")
    if differing := difference(pictures, saved["data"]):
        result["other_pictures"] = f"{pictures.name}: {differing}"
        run = run.on(pictures.name)
    files = [save_scores(result, _target(options, options.json, run.plots / "scores.json"))]
    if not options.quick and not differing and log_scores(run, result, settings, model):
        files.append(run.tensorboard)
    print("Written:")
    _list_files(files)


def run_sweep(options: argparse.Namespace) -> None:
    """`sweep`: objectives or βs with several seeds, side by side."""
    from vae_helpers.data import open_pictures
    from vae_helpers.experiments import OBJECTIVES, betas, by_score, sweep, table
    from vae_helpers.runs import Run
    from vae_helpers.show import save, show_scores

    pictures = open_pictures(options.data, options.image_size, limit=options.limit, **_opening(options))
    variants = betas(options.betas) if options.betas else OBJECTIVES
    rows = sweep(
        pictures, variants, options.seeds, options.epochs, options.latent_dim, out=options.out, device=options.device
    )
    print(table(rows))
    path = _target(options, None, Run(f"sweep_{pictures.name}", options.out).plots / "scores.png")
    _list_files([save(show_scores(by_score(rows)), path)])
