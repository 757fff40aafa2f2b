"""A run's weights in half the bytes, with how they were made: as the project ships its own."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from vae_helpers.data import PictureSet, project_root
from vae_helpers.errors import InputError
from vae_helpers.files import as_utf8, require_place, writing
from vae_helpers.latent import reconstruct
from vae_helpers.model import BetaVAE, VAEConfig, held_out_loss
from vae_helpers.runs import FILES, Run, describe, load_run, open_for_run, read_about, save_checkpoint
from vae_helpers.scores import evaluate, ssim_of
from vae_helpers.settings import SHIPPED, TrainConfig
from vae_helpers.train import arithmetic_from

PICTURES = 1024  # built-in ones that a packed run opens: enough to explore, drawn within seconds
SCORED = 2000  # pictures of a part, at most: PSNR is then known to a few hundredths of a decibel
_LONGEST_LINE = 20  # runs that start from one another
_DECIDED = ("compile", "pictures_every")  # what follows from the machine and the preset


def pack(
    run: Run,
    folder: Path | None = None,
    progress: bool = True,
    data: str = "",
    replace: bool = False,
    opening: Mapping[str, Any] = {},
) -> list[Path]:
    """Write a run's weights in half the bytes, and how they were made, to `folder` (default: the shipped run's place).

    Weights go to float16, BatchNorm's statistics stay. Scores in made.txt are those of the packed weights, on the run's
    validation part (which chose the weights) and on its test part (which nothing has looked at). Of a built-in set the
    packed run opens the first 1,024 pictures, whose parts are the same. `data` says where the run's pictures are, if
    they have moved; `opening`: more for `open_pictures`. Returns the files. Raises InputError where they are there
    already, unless they may be `replace`d.
    """
    folder = folder or run.models.with_name(SHIPPED)
    for file in FILES:
        require_place(folder / file, "--save", replace)
    model, saved = load_run(run)
    line = _lineage(run, saved)  # before a run in it is replaced
    pictures = open_for_run(run.name, saved, data, progress=progress, opening=opening)
    for parameter in model.parameters():
        parameter.data = parameter.half().float()  # scored as it will be loaded
    parts = {"validation": pictures.split.validation, "test": pictures.split.test}
    scores = {
        part: _score(model, pictures.pictures[rows[:SCORED]], held_out_loss(saved["train_config"]))
        for part, rows in parts.items()
        if len(rows)
    }
    for parameter in model.parameters():
        parameter.data = parameter.half()
    kept = {key: saved[key] for key in ("train_config", "step", "epochs_closed", "best", "best_epoch", "first_loss")}
    kept |= {"data": _fewer(pictures), "scores": scores.get("validation", {}), "seen": sum(_seen(s) for _, s in line)}
    save_checkpoint(folder / FILES[0], model, **kept)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    made = _made(line, folder, parameters, len(pictures.split.train), scores)
    with writing(folder / FILES[1]) as notes:
        notes.write(as_utf8(made))
    return [folder / file for file in FILES]


def _require_openable(run: Run, saved: dict) -> None:
    if saved["data"].get("request") is None:
        raise InputError(
            f"the run {run.name!r} was trained on pictures that no command opens, so {FILES[1]} could not say how "
            "it was made: train on a folder or a built-in set to pack the weights."
        )


def _fewer(pictures: PictureSet) -> dict:
    """What a checkpoint says of the pictures; of a built-in set only the first ones, whose parts are the same."""
    about = describe(pictures)
    if pictures.source != "built-in":
        return about
    count = min(PICTURES, len(pictures))
    first = {name: about[name][:count].clone() for name in ("prints", "sides")}
    return about | {"pictures": count, "request": about["request"] | {"limit": count}} | first


def _score(model: BetaVAE, pictures: np.ndarray, loss: dict) -> dict[str, float]:
    scores = evaluate(model, pictures, np.arange(len(pictures)), **loss).as_dict()
    return scores | {"ssim": float(ssim_of(reconstruct(model, pictures), pictures).mean())}


def _elsewhere(folder: Path) -> str:
    """What to say to `pack` so that it writes to this folder, which is not that of the shipped weights."""
    if folder.name == SHIPPED:
        return ""
    root = project_root()
    return " " + _option("save", (folder.relative_to(root) if folder.is_relative_to(root) else folder).as_posix())


def _made(
    line: list[tuple[Run, dict]],
    folder: Path,
    parameters: int,
    train_pictures: int,
    scores: dict[str, dict[str, float]],
) -> str:
    (run, saved), before = line[-1], sum(_seen(each) for _, each in line[:-1])
    more = f" after {before:,} in the runs before it" if before else ""
    lines = [
        f"The weights of a β-VAE, {parameters / 1e6:.2f} M parameters in float16, made by",
        "",
        *(f"    {command}" for command in _commands(line, folder)),
        "",
        f"{_where(run)}; seed {saved['train_config']['seed']}, {_seen(saved):,} pictures seen{more}, "
        f"{train_pictures:,} different ones.",
        "The weights are those of the epoch that did best on the validation part; nothing was chosen on the test part.",
        *filter(None, [_beginning(*line[0])]),
    ]
    for part, values in scores.items():
        lines += ["", f"{part} part, {values['pictures']:,} pictures:"]
        lines += [f"    {name:<16}{value:,.4g}" for name, value in values.items() if name != "pictures"]
    return "\n".join(lines) + "\n"


def _where(run: Run) -> str:
    """The machine that the run was last trained on, as its last.pt has it; a packed run has none."""
    kept = [path for path in (run.last, run.previous) if path.is_file()]
    found = read_about(*kept).get("arithmetic") if kept else None
    computed = arithmetic_from(found)
    if computed is None or not isinstance(found.get("machine"), str):
        return "on a machine that is not known here"
    numbers = computed.as_dict()["half"] or "float32"
    return f"on {found['machine']}, {computed.threads} threads, {numbers} in the convolutions"


def _lineage(run: Run, saved: dict) -> list[tuple[Run, dict]]:
    """The run and its entries, after those of the run that it begins with, as far back as they can be told here.

    That is not of a run that is gone, and not before a packed one, which stands for all that was before it.
    """
    _require_openable(run, saved)
    line = [(run, saved)]
    while len(line) < _LONGEST_LINE and not _is_packed(line[0][0]):
        start = line[0][1]["train_config"].get("start_from")
        earlier = start and Run(start, run.root)
        if not earlier or not earlier.exists():
            break
        about = read_about(earlier.best, earlier.last, earlier.previous)
        if about["data"].get("request") is None:
            break  # trained on pictures that no command opens
        line.insert(0, (earlier, about))
    return line


def _is_packed(run: Run) -> bool:
    return (run.models / FILES[1]).is_file()


def _beginning(first: Run, saved: dict) -> str:
    """What else to say of the first run of a line, where the commands do not tell how its weights came about."""
    if _is_packed(first):
        return "" if _packed_by(first) else f"How the first weights were made says the {FILES[1]} beside them."
    start = saved["train_config"].get("start_from")
    if not start:
        return ""
    return f"The first begins with the weights of the run {start!r}, and how these were made is not known here."


def _commands(line: list[tuple[Run, dict]], folder: Path) -> list[str]:
    """What makes the last of these runs, and packs it in `folder`."""
    packed = _packed_by(line[0][0])
    own = line[1:] if _is_packed(line[0][0]) else line
    trained = [f"{command_of(saved)} {_option('name', run.name)}" for run, saved in own]
    return [*packed, *trained, f"python -m vae_helpers pack {_option('run', line[-1][0].name)}{_elsewhere(folder)}"]


def _packed_by(run: Run) -> list[str]:
    """The commands that made a packed run, from its made.txt: its own entries ask for fewer pictures than it saw."""
    if not _is_packed(run):
        return []
    lines = (run.models / FILES[1]).read_text("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.startswith("    python -m vae_helpers ")]


def _seen(saved: dict) -> int:
    """How many pictures a run has seen, counted each time; a packed one also those before it."""
    return saved.get("seen", saved["step"] * saved["train_config"]["batch_size"])


def command_of(saved: dict) -> str:
    """The shell's command that starts the run of a checkpoint's entries `saved`, from what these say of it."""
    config, request, model = TrainConfig(**saved["train_config"]), saved["data"]["request"], saved["config"]
    usual = VAEConfig(request["image_size"]).as_dict()["widths"]
    options = {
        "data": request["source"],
        "limit": request["limit"],
        "image-size": request["image_size"],
        "latent-dim": model["latent_dim"],
        "widths": ",".join(map(str, model["widths"])) if model["widths"] != usual else None,
        "decoder-norm": model["decoder_norm"],
    }
    base = TrainConfig()
    if config.schedule == "one-cycle":
        options["preset"] = "quick"
        base = TrainConfig.quick(1, epochs=config.epochs)
        options |= {"epochs": config.epochs, "optimizer": config.optimizer}  # else both hang on the number of pictures
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
