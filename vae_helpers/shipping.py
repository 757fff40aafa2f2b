"""Weights that come with the project: packed small, found where no run of one's own is, and how they were made."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sysconfig
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vae_helpers.checkpoint import Run, list_runs, load_run, newest_run, save_checkpoint, why_not_written
from vae_helpers.disk import as_utf8, require_place, writing
from vae_helpers.engine import hardware
from vae_helpers.errors import InputError
from vae_helpers.identity import describe, open_for_run
from vae_helpers.latent import reconstruct
from vae_helpers.metrics import evaluate, ssim_of
from vae_helpers.model import BetaVAE
from vae_helpers.objectives import held_out_loss
from vae_helpers.recipe import TrainConfig

SHIPPED = "shipped_butterflies"
PREFIX = "sweep_"  # of the names of a sweep's runs
PICTURES = 1024  # built-in ones that a packed run opens: enough to explore, drawn within seconds
SCORED = 2000  # pictures of a part, at most: PSNR is then known to a few hundredths of a decibel
_FILES = ("best.pt", "made.txt")
_DECIDED = ("compile", "pictures_every")  # what follows from the machine and the preset


def choose_run(name: str = "", out: Path | str = "VAE") -> Run:
    """The run of that name; without a name the newest of one's own, and where there is none the shipped one.

    That is said in one line. Runs of a sweep are small and many, so they are taken by name only. The shipped weights
    are looked for below `out`, beside the package and where pip puts data files, and brought to `out` if they are not
    there. Raises InputError where they were not installed either.
    """
    own = [run for run in list_runs(out) if run != SHIPPED and not run.startswith(PREFIX)]
    if not name and own:
        return Run(own[0], out)
    run = Run(name or SHIPPED, out)
    if run.name == SHIPPED and not run.exists():
        source = next((folder for folder in _places() if (folder / "best.pt").is_file()), None)
        if source is None:
            return Run(newest_run(out), out)  # says what to do
        for file in reversed(_FILES):  # the weights last: once they are there, everything is
            _copy(source / file, run.models / file)
    if not name:
        print(f"No run of your own in {run.models.parent} yet, so these are the weights that come with the project "
              f"(how they were made: {run.models / 'made.txt'}).")
    return run


def _copy(source: Path, target: Path) -> None:
    """Copy a file, all or nothing."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, aside)
        with open(aside, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(aside, target)
    except OSError as problem:
        reason, advice = why_not_written(problem)
        raise InputError(f"the weights that come with the project could not be copied to {target.parent}, because {reason}: "
                         f"{advice.replace('resume the run', 'run this again')}.") from None
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _places() -> list[Path]:
    package = Path(__file__).resolve().parent
    return [package.parent / "VAE" / "models" / SHIPPED, Path(sysconfig.get_path("data"), "share", "vae_helpers", SHIPPED)]


def pack(run: Run, folder: Path | None = None, progress: bool = True, data: str = "", replace: bool = False,
         opening: Mapping[str, Any] = {}) -> list[Path]:
    """Write a run's weights in half the bytes, and how they were made, to `folder` (default: the shipped run's place).

    Weights go to float16, BatchNorm's statistics stay. Scores in made.txt are those of the packed weights, on the run's
    validation part (which chose the weights) and on its test part (which nothing has looked at). Of a built-in set the
    packed run opens the first 1,024 pictures, whose parts are the same. `data` says where the run's pictures are, if they
    have moved; `opening`: more for `open_pictures`. Returns the files. Raises InputError where they are there already,
    unless they may be `replace`d.
    """
    folder = folder or run.models.with_name(SHIPPED)
    for file in _FILES:
        require_place(folder / file, "--save", replace)
    model, saved = load_run(run)
    pictures = open_for_run(run.name, saved, data, progress=progress, opening=opening)
    for parameter in model.parameters():
        parameter.data = parameter.half().float()  # scored as it will be loaded
    parts = {"validation": pictures.split.validation, "test": pictures.split.test}
    scores = {part: _score(model, pictures.pictures[rows[:SCORED]], held_out_loss(saved["train_config"]))
              for part, rows in parts.items() if len(rows)}
    for parameter in model.parameters():
        parameter.data = parameter.half()
    about = describe(pictures)
    if pictures.source == "built-in":
        count = min(PICTURES, len(pictures))
        about |= {"pictures": count, "request": about["request"] | {"limit": count}, "prints": about["prints"][:count].clone(),
                  "sides": about["sides"][:count].clone()}
    kept = {key: saved[key] for key in ("train_config", "step", "epochs_closed", "best", "best_epoch", "first_loss")}
    save_checkpoint(folder / _FILES[0], model, data=about, scores=scores.get("validation", {}), **kept)
    with writing(folder / _FILES[1]) as file:
        file.write(as_utf8(_made(run, model, saved, len(pictures.split.train), scores)))
    return [folder / file for file in _FILES]


def _score(model: BetaVAE, pictures: np.ndarray, loss: dict) -> dict[str, float]:
    scores = evaluate(model, pictures, np.arange(len(pictures)), **loss).as_dict()
    return scores | {"ssim": float(ssim_of(reconstruct(model, pictures), pictures).mean())}


def _made(run: Run, model: BetaVAE, saved: dict, train_pictures: int, scores: dict[str, dict[str, float]]) -> str:
    config, size = saved["train_config"], sum(p.numel() for p in model.parameters())
    machine = ", ".join(f"{key} {value}" for key, value in hardware(torch.device("cpu")).items() if value is not None)
    seen = saved["step"] * config["batch_size"]
    lines = [f"The weights of a β-VAE, {size / 1e6:.2f} M parameters in float16, made by", "",
             f"    {command_of(saved)} {_option('name', run.name)}",
             f"    python -m vae_helpers pack {_option('run', run.name)}", "",
             f"on {machine}; seed {config['seed']}, {seen:,} pictures seen, {train_pictures:,} different ones.",
             "The weights are those of the epoch that did best on the validation part; nothing was chosen on the test part."]
    for part, values in scores.items():
        lines += ["", f"{part} part, {values['pictures']:,} pictures:"]
        lines += [f"    {name:<16}{value:,.4g}" for name, value in values.items() if name != "pictures"]
    return "\n".join(lines) + "\n"


def command_of(saved: dict) -> str:
    """The shell's command that starts the run of a checkpoint's entries `saved`, from what the checkpoint says of it."""
    config, request, model = TrainConfig(**saved["train_config"]), saved["data"]["request"], saved["config"]
    options = {"data": request["source"], "limit": request["limit"], "image-size": request["image_size"],
               "latent-dim": model["latent_dim"], "decoder-norm": model["decoder_norm"]}
    base = TrainConfig()
    if config.schedule == "one-cycle":
        options["preset"] = "quick"
        base = TrainConfig.quick(1, epochs=config.epochs)
        options["epochs"] = config.epochs
    for field in fields(TrainConfig):
        value = getattr(config, field.name)
        if value != getattr(base, field.name) and field.name not in _DECIDED:
            name = field.name.replace("_", "-")
            options[f"no-{name}" if value is False else name] = value
    words = ["python -m vae_helpers train"]
    for name, value in options.items():
        if name == "knobs":
            words += [_option("knob", f"{knob}={number}") for knob, number in value.items()]
        elif value is not None:
            words.append(f"--{name}" if isinstance(value, bool) else _option(name, value))
    return " ".join(words)


def _option(name: str, value: object) -> str:
    """An option for a shell, whatever is in its value; one that begins with a dash would be taken for an option."""
    word = shlex.quote(str(value))
    return f"--{name}={word}" if str(value).startswith("-") else f"--{name} {word}"
