"""The commands that train: `train` and `tour`.

Whatever is heavy is imported by the function that needs it, after all that can be refused without it.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import fields
from typing import Any

from vae_helpers.errors import InputError
from vae_helpers.files import require_run_name
from vae_helpers.settings import BUILT_IN, DECODER_NORMS, QUICK_PICTURES, TrainConfig, rank_and_size, save_every
from vae_helpers.shell.open_run import list_files, opening, report
from vae_helpers.shell.options import EPOCHS, LATENTS, LIMIT, MINUTES, RECIPE, OneOf, image_size, source, widths
from vae_helpers.shell.parser import Parser, add_opening, add_other_pictures


def add_train(sub: Parser) -> None:
    """The options of `train`."""
    _add_run(sub, None, "instance")
    sub.take("--preset", kind=OneOf(("quick",)), metavar="NAME", help="quick: the recipe for minutes on a CPU")
    sub.add_argument("--resume", action="store_true", help="go on with the run of this name")
    sub.take("--stop-after", kind=EPOCHS, metavar="N", help="end after epoch N as Ctrl-C would, to be resumed")


def add_tour(sub: Parser) -> None:
    """The options of `tour`: more than 4,096 pictures would be decoded but not seen in its minutes."""
    _add_run(sub, 4096, "adaptive")  # the specified norm gets colours right late


def _add_run(sub: Parser, limit: int | None, decoder_norm: str) -> None:
    """What `train` and `tour` share: pictures, the model's shape, the recipe."""
    sub.take(
        "--data",
        kind=source,
        default="synthetic",
        metavar="DIR|NAME",
        help="a folder of pictures, or synthetic, animals, butterfly, animal",
    )
    sub.take("--limit", kind=LIMIT, metavar="N", default=limit, help="take at most N pictures")
    sub.take("--name", kind=require_run_name, metavar="RUN", help="name of the run; default: DATASET_ns_SAMPLES")
    add_opening(sub)
    add_other_pictures(sub)
    _add_shape(sub, decoder_norm)
    _add_recipe(sub)


def _add_shape(sub: Parser, decoder_norm: str) -> None:
    sub.take(
        "--image-size",
        kind=image_size,
        metavar="PX",
        help="side of the squares: 64, 128, 256 (128; what fits, where minutes count)",
    )
    # What is not said is not there: neither a preset and the user may fight, nor a run that goes on and what is usual.
    sub.set_defaults(usual={"latent_dim": 128, "widths": None, "decoder_norm": decoder_norm})
    sub.take("--latent-dim", kind=LATENTS, metavar="Z", default=argparse.SUPPRESS, help="latents (128)")
    sub.take(
        "--widths",
        kind=widths,
        metavar="N,N,…",
        default=argparse.SUPPRESS,
        help="channels after each halving of the picture (32,64,128,256,512 at 128 px)",
    )
    sub.take(
        "--decoder-norm",
        kind=OneOf(DECODER_NORMS),
        metavar="KIND",
        default=argparse.SUPPRESS,
        help=f"instance, adaptive or batch ({decoder_norm})",
    )


def _add_recipe(sub: Parser) -> None:
    sub.take(
        "--minutes",
        kind=MINUTES,
        metavar="M",
        help="how long the quick recipe may take: this machine is timed, and size, epochs and compiling are chosen by "
        "that (a tour: 5, and no more epochs than it needs)",
    )
    for field in fields(TrainConfig):
        setting = RECIPE[field.name]
        more: dict[str, Any] = {"dest": field.name, "default": argparse.SUPPRESS, "help": setting.help}
        name = "--" + field.name.replace("_", "-")
        if setting.kind is None:
            sub.add_argument(name, action=argparse.BooleanOptionalAction, **more)
        elif field.name == "knobs":
            sub.take("--knob", kind=setting.kind, metavar=setting.metavar, action="append", **more)
        else:
            sub.take(name, kind=setting.kind, metavar=setting.metavar, **more)


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


def _own_settings(run, options: argparse.Namespace):
    """The settings of a run that goes on, with --epochs and --early-stop in their place. InputError for others."""
    from dataclasses import replace

    from vae_helpers.runs import load_latest
    from vae_helpers.train import saved_config

    saved = load_latest(run)[1]
    config = saved_config(run, saved)
    own = vars(config) | {"preset": "quick" if config.schedule == "one-cycle" else "none"} | saved["config"]
    said = _given(options) | {name: getattr(options, name) for name in options.usual if hasattr(options, name)}
    if getattr(options, "preset", None):
        said["preset"] = options.preset
    if said.get("epochs", config.epochs) < config.epochs:
        raise InputError(
            f"the run {run.name!r} is planned for {config.epochs} epochs, and --resume can only add to them: leave "
            f"--epochs {said['epochs']} out, and stop the run when it has learnt enough (Ctrl-C)."
        )
    for name, value in said.items():
        if name not in ("epochs", "early_stop") and own[name] != value:
            raise InputError(
                f"the run {run.name!r} was started with {name} {own[name]}, which it keeps, not {value}: leave "
                f"`{name}` out to go on with it, or give another --name."
            )
    return replace(config, **{name: said[name] for name in ("epochs", "early_stop") if name in said})


def _require_memory(config: TrainConfig, model) -> None:
    """Refuse a run whose step cannot fit this machine: a system that promises more memory than it has would kill it."""
    if not hasattr(os, "sysconf"):
        return  # Windows, which refuses by itself
    share = -(-config.batch_size // rank_and_size(os.environ)[1])
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
    from vae_helpers.data import name_of
    from vae_helpers.model import pick_device
    from vae_helpers.runs import Run, run_name
    from vae_helpers.train import fit, open_processes, require_on_first

    save_every(os.environ)  # refuses what it cannot use
    device, config = pick_device(options.device), config_of(options, quick)
    run = Run(options.name or run_name(name_of(options.data), config.num_samples, tag), options.out)
    processes = open_processes(device)
    require_on_first(run, processes, getattr(options, "resume", False))
    # One process looks at the disk for all: each machine may have its own.
    own = processes.on_first(lambda: _own_settings(run, options) if resume(run) else None)
    _take_shape(options, processes.on_first(lambda: _shape_of(run if own else None, config.start_from, options.out)))
    pictures, model_config, config = _open_pictures(options, run, quick, tag, device)
    result = fit(
        pictures,
        run,
        config if own is None else own,
        model_config if own is None else None,
        device=device,
        resume=own is not None,
        stop_after=getattr(options, "stop_after", None),
        other_pictures=options.other_pictures,
    )
    return pictures, run, result


def _open_pictures(options: argparse.Namespace, run, quick: bool, tag: str, device):
    """`(pictures, VAEConfig, TrainConfig)`; whatever can be refused is refused before pictures are decoded."""
    from vae_helpers.data import open_pictures
    from vae_helpers.model import VAEConfig

    config = config_of(options, quick)
    _require_groups(config, options.data)
    shape = {name: getattr(options, name, usual) for name, usual in options.usual.items()}
    model_config = VAEConfig(options.image_size or 128, **shape)
    pace = _pace(options, run, quick, tag)
    if pace and options.image_size is None and hasattr(options, "widths"):
        raise InputError("--widths fit one size of pictures, and --minutes would choose it: give --image-size too.")
    if pace and options.image_size is None:
        model_config = pace.choose_size(model_config, config_of(options, True, QUICK_PICTURES))
    if device.type == "cpu":
        _require_memory(config, model_config)
    pictures = open_pictures(options.data, model_config.image_size, limit=options.limit, **opening(options))
    if pace:
        config = pace.choose_length(pictures, model_config, **_given(options))
    elif quick:
        config = config_of(options, True, len(pictures.split.train))
    return pictures, model_config, config


def _require_groups(config: TrainConfig, data: str) -> None:
    """Refuse middles and pairs that these pictures cannot give, as far as that is seen without decoding them."""
    from vae_helpers.data import find_folder, find_pictures, label_of, no_factors, not_drawn, too_few_classes

    if data in BUILT_IN:
        return
    if config.objective == "middle":
        raise not_drawn(data)
    folder = find_folder(data)
    if config.pairs == "factors" and folder.is_dir():
        raise no_factors(data)
    if config.pairs == "labels" and folder.is_dir():
        classes = {label_of(found.name) for found in find_pictures(folder)}
        if len(classes) < 2:
            raise too_few_classes(data, len(classes))


def _shape_of(resumed, start_from: str | None, out) -> dict | None:
    """The model's shape of the run that goes on, or that this one starts from; None without either."""
    from vae_helpers.runs import choose_run, read_about
    from vae_helpers.settings import no_such_run

    if resumed is None and not start_from:
        return None
    run = resumed or choose_run(start_from, out)
    if not run.exists():
        raise no_such_run(run.name, run.models.parent)
    return read_about(run.last, run.previous, run.best)["config"]


def _take_shape(options: argparse.Namespace, shape: dict | None) -> None:
    """Let what was not said of the model's shape be as in this one."""
    if shape:
        options.image_size = options.image_size or shape["image_size"]
        options.usual = {name: shape[name] for name in options.usual}


def _pace(options: argparse.Namespace, run, quick: bool, tag: str):
    """What chooses a quick run by this machine's speed: for a tour, and for others if minutes are given."""
    from vae_helpers.train import TOUR_EVALUATIONS, TimeBudget, open_processes

    if options.minutes is not None and (hasattr(options, "epochs") or not quick):
        raise InputError(
            "--minutes chooses the epochs of the quick recipe: give it with --preset quick and without --epochs."
        )
    if hasattr(options, "epochs") or options.minutes is None and tag != "tour":
        return None
    return TimeBudget(run, options.minutes, open_processes(options.device), TOUR_EVALUATIONS if tag == "tour" else 0)


def run_train(options: argparse.Namespace) -> None:
    """`train`: start a run, or go on with one."""
    _, run, result = _fit(options, options.preset == "quick", "", lambda run: options.resume)
    report(run, result)
    print("Written:")
    list_files(sorted(run.models.glob("*.pt")) + [run.tensorboard, run.generated_images])


def run_tour(options: argparse.Namespace) -> None:
    """`tour`: train, then write every still and animation."""
    from vae_helpers.runs import how_to_see
    from vae_helpers.tour import save_all
    from vae_helpers.train import has_steps

    began = time.monotonic()
    pictures, run, result = _fit(options, True, "tour", has_steps)
    if not result.finished or rank_and_size(os.environ)[0]:
        return
    files = save_all(result.model, pictures, run, result.scores)
    report(run, result)
    print(f"The tour took {(time.monotonic() - began) / 60:.1f} minutes. Look at:")
    list_files(files + [run.generated_images])
    print(f"Loss curves:   tensorboard --logdir {run.tensorboard.parent}")
    print(f"Go on by hand: jupyter lab notebooks/03_reconstruct.ipynb, or 04_traverse.ipynb. {how_to_see(run)}")
