"""Whole runs against the plain loop: how much is learnt, and epochs that begin with picture files."""

from __future__ import annotations

import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from vae_helpers.data import PictureSet, copy_to_gpu_if_it_fits, open_pictures, to_float
from vae_helpers.errors import InputError
from vae_helpers.experiments.plain import PlainRecipe, PlainVAE, file_batches, plain_fit, plain_step
from vae_helpers.model import BetaVAE, VAEConfig, beta_vae_loss, pick_device, pick_half, psnr
from vae_helpers.scores import evaluate
from vae_helpers.settings import TrainConfig
from vae_helpers.show import save_png
from vae_helpers.train import Processes, compile_network, decide_compile, epoch_batches, new_state, train_step

_WORKERS = 2  # processes that decode for the plain loop


def our_fit(
    pictures: PictureSet, config: TrainConfig, device: torch.device, progress: bool = True, float32: bool = False
) -> tuple[BetaVAE, float]:
    """Train this package's model by `config`, without logs and checkpoints; returns it in eval mode, and the seconds.

    Compiled where `fit` would compile it, which then counts among the seconds. `float32` keeps to that throughout.
    """
    began = time.perf_counter()
    rows, held = pictures.split.train, copy_to_gpu_if_it_fits(pictures.pictures, device)
    config = replace(config, compile=decide_compile(config, config.epochs * len(rows), device))
    state = new_state(config, VAEConfig(image_size=pictures.pictures.shape[1]), Processes(device))
    if float32:
        state.model.set_half(None)
    if config.compile:
        compile_network(state.model, config, len(rows), state.processes)
    total = config.epochs * max(1, len(rows) // config.batch_size)
    with tqdm(total=total, unit="step", desc="this package", disable=not progress) as bar:
        for epoch in range(config.epochs):
            for batch in epoch_batches(
                pictures.pictures if held is None else held, rows, config, epoch, 0, state.processes
            ):
                train_step(state, batch, config, state.step / total)
                state.update_average(config.ema)
                bar.update()
    state.sums.tolist()  # waits for a GPU
    return state.eval_model.eval(), time.perf_counter() - began


@torch.no_grad()
def held_out(model: BetaVAE | PlainVAE, pictures: PictureSet) -> tuple[float, float]:
    """Reconstruction + KL in nats per validation picture (one sample, its noise fixed), and PSNR of μ in dB."""
    device, generator = next(model.parameters()).device, torch.Generator().manual_seed(0)
    losses, quality = [], []
    for rows in np.array_split(pictures.split.validation, -(-len(pictures.split.validation) // 64)):
        x = to_float(np.ascontiguousarray(pictures.pictures[rows]), device)
        mu, logvar = model.encode(x)
        noise = torch.randn(mu.shape, generator=generator).to(device)
        sampled = model.decode(BetaVAE.reparameterize(mu, logvar, noise))
        losses.append(beta_vae_loss(sampled[None], x, mu, logvar).total.item() * len(rows))
        quality.append(psnr(model.decode(mu), x).sum().item())
    count = len(pictures.split.validation)
    return sum(losses) / count, sum(quality) / count


def learning(
    pictures: PictureSet,
    plain: PlainRecipe,
    seeds: Sequence[int] = (0, 1, 2),
    device: str | None = None,
    progress: bool = True,
) -> dict:
    """What equal pictures teach, and how soon this package is where the plain loop ends.

    The plain loop is trained by `plain`, with each of the seeds; ours by the quick recipe with the same epochs and the
    same InstanceNorm decoder. For each seed: both after all epochs, and the seconds of the shortest of our runs of 1,
    2, 3 … epochs (each a whole run with its own schedule) that reaches the plain loop's held-out loss. Scoring is timed
    for neither. `rows` holds a dict per seed and kind, `medians` those over the seeds. A run that diverged has None as
    its loss and PSNR; it counts in no median, there is nothing to reach then, and both are said.
    """
    device, rows, epochs = pick_device(device), [], plain.epochs
    for seed in seeds:
        model, seconds = plain_fit(pictures, plain._replace(seed=seed), device, progress)
        rows.append(_row("plain loop", seed, epochs, seconds, *held_out(model, pictures)))
        target = rows[-1]["loss"]
        rows.append(_ours(pictures, epochs, seed, device, progress, "this package"))
        if target is None:
            continue
        for shorter in range(1, epochs + 1):
            # The long run serves as its own last resort.
            row = rows[-1] if shorter == epochs else _ours(pictures, shorter, seed, device, progress, "")
            reached = row["loss"] is not None and row["loss"] <= target
            if reached or shorter == epochs:
                rows.append(row | {"name": "this package, to the plain loop's loss", "reached": reached})
                break
    return {
        "pictures": len(pictures.split.train),
        "plain_batch": plain.batch_size,
        "plain_lr": plain.lr,
        "rows": rows,
        "medians": [_median(rows, name) for name in dict.fromkeys(row["name"] for row in rows)],
    }


def _median(rows: Sequence[dict], name: str) -> dict:
    own = [row for row in rows if row["name"] == name]
    sound = [row for row in own if row["loss"] is not None]
    reached = [row["reached"] for row in own if "reached" in row]
    said = [f"reached with {sum(reached)} of {len(reached)} seeds"] * bool(reached)
    said += [f"diverged with {len(own) - len(sound)} of {len(own)} seeds"] * (len(sound) < len(own))
    return {"name": name + (f" ({', '.join(said)})" if said else "")} | {
        key: statistics.median(row[key] for row in sound) if sound else None
        for key in ("epochs", "seconds", "loss", "psnr")
    }


def _ours(pictures: PictureSet, epochs: int, seed: int, device: torch.device, progress: bool, name: str) -> dict:
    config = TrainConfig.quick(len(pictures.split.train), epochs=epochs, seed=seed, early_stop=0)
    model, seconds = our_fit(pictures, config, device, progress)
    return _row(name, seed, epochs, seconds, *held_out(model, pictures))


def _row(name: str, seed: int, epochs: int, seconds: float, loss: float, quality: float) -> dict:
    sound = math.isfinite(loss) and math.isfinite(quality)  # what diverged has no score, and JSON no nan
    return {
        "name": name,
        "seed": seed,
        "epochs": epochs,
        "seconds": seconds,
        "loss": loss if sound else None,
        "psnr": quality if sound else None,
    }


def precision(
    pictures: PictureSet,
    epochs: int = 10,
    seeds: Sequence[int] = range(5),
    device: str | None = None,
    progress: bool = True,
) -> list[dict]:
    """Does it matter that the convolutions run in 16 bits? The quick recipe in both number formats, a row per format.

    Each row holds `reconstruction`, `kl` (nats a picture) and `active_units` on held-out pictures, one value per seed.
    """
    device, rows = pick_device(device), []
    half = pick_half(device)
    if half is None:
        raise InputError(
            f"{device.type.upper()} multiplies no 16-bit numbers fast here, so training is in float32 anyway: "
            "leave the part 'precision' out."
        )
    for name in ("float32", str(half).removeprefix("torch.")):
        scores = []
        for seed in seeds:
            config = TrainConfig.quick(len(pictures.split.train), epochs=epochs, seed=seed, early_stop=0)
            model, _ = our_fit(pictures, config, device, progress, float32=name == "float32")
            scores.append(evaluate(model.set_half(None), pictures.pictures, pictures.split.validation))
        rows.append(
            {"name": name}
            | {key: [getattr(score, key) for score in scores] for key in ("reconstruction", "kl", "active_units")}
        )
    return rows


def end_to_end(
    pictures: PictureSet,
    count: int = 512,
    batch_size: int = 32,
    rounds: int = 2,
    device: str | None = None,
    progress: bool = True,
) -> list[dict]:
    """Images/s over whole epochs that begin with picture files: the first (cold) and the next (warm), A B B A.

    The plain loop decodes every file in every epoch, in two worker processes; ours decodes once, which is part of its
    first epoch. Built-in pictures are written to files beforehand. Nothing is scored or saved by either.
    """
    device, size = pick_device(device), pictures.pictures.shape[1]
    with tempfile.TemporaryDirectory() as scratch:
        files = _as_files(pictures, pictures.split.train[:count], Path(scratch, "files"))
        if len(files) < batch_size:
            raise InputError(f"{len(files)} pictures make no batch of {batch_size}: benchmark with more pictures.")
        taken: dict[str, list[list[float]]] = {"plain": [], "ours": []}
        order = ["plain", "ours", "ours", "plain"] * rounds
        for turn, kind in enumerate(tqdm(order, unit="run", desc="end to end", disable=not progress)):
            if kind == "plain":
                epochs = _plain_epochs(files, size, batch_size, device)
            else:
                epochs = _our_epochs(files[0].parent, Path(scratch, f"cache{turn}"), size, batch_size, device)
            taken[kind].append(_seconds_of_two(epochs))
    seen = len(files) // batch_size * batch_size
    return [
        _compared(name, seen, *([seconds[i] for seconds in taken[kind]] for kind in ("plain", "ours")))
        for i, name in enumerate(("first epoch, from files", "next epoch"))
    ]


def _as_files(pictures: PictureSet, rows: np.ndarray, folder: Path) -> list[Path]:
    """These pictures as files in a new folder: copies of a user's own, PNGs of built-in ones."""
    folder.mkdir()
    for i, row in enumerate(rows):
        if pictures.factors is None:
            own = Path(pictures.source, pictures.names[row])
            shutil.copyfile(own, folder / f"{i:06d}{own.suffix}")
        else:
            save_png(pictures.pictures[row], folder / f"{i:06d}.png")
    return sorted(folder.iterdir())


def _our_epochs(folder: Path, cache: Path, size: int, batch_size: int, device: torch.device) -> Iterator[None]:
    """Train this package's model for an epoch each time it is asked; the pictures are opened anew, as by a script."""
    state = None
    while True:
        opened = open_pictures(folder, size, cache_dir=cache, progress=False)
        # All of them are to be trained on, as in the plain loop's epoch.
        config = TrainConfig.quick(len(opened), epochs=1, batch_size=batch_size, compile=False)
        state = state or new_state(config, VAEConfig(image_size=size), Processes(device))
        for batch in epoch_batches(opened.pictures, np.arange(len(opened)), config, 0, 0, state.processes):
            train_step(state, batch, config, 0.5)
        state.sums.tolist()  # waits for a GPU
        yield


def _plain_epochs(files: Sequence[Path], size: int, batch_size: int, device: torch.device) -> Iterator[None]:
    """Train the plain model for an epoch each time it is asked."""
    step = plain_step(VAEConfig(image_size=size), device)
    while True:
        for x in file_batches(files, size, batch_size, _WORKERS):
            loss = step(x.to(device))
        loss.item()
        yield


def _seconds_of_two(epochs: Iterator[None]) -> list[float]:
    """What the first two epochs take, the setting up within the first."""
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        next(epochs)
        seconds.append(time.perf_counter() - began)
    return seconds


def _compared(name: str, pictures: int, plain: Sequence[float], ours: Sequence[float]) -> dict:
    """Images/s of two kinds whose runs took so many seconds, and the ratios of runs side by side."""
    ratios = [p / o for p, o in zip(plain, ours)]
    return {
        "name": name,
        "plain": pictures / statistics.median(plain),
        "ours": pictures / statistics.median(ours),
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
    }
