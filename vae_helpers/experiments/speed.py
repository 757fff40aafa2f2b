"""How fast is it, as a ratio: the plain loop that a tutorial would write against this package, in one run, interleaved.

It measures and does not judge. Ratios of neighbouring runs survive a noisy machine, seconds don't; so every figure
here comes with its spread, and an A-A control shows what the same work against itself looks like.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from vae_helpers.data import PictureSet, to_float
from vae_helpers.errors import InputError
from vae_helpers.experiments.plain import PlainVAE, plain_step
from vae_helpers.model import BetaVAE, VAEConfig, beta_vae_loss, pick_device, pick_half, seeded
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Batch, Processes, can_compile, choose_arithmetic, new_state, train_step

_LONG_RUN = 10**6  # pictures


class Row(NamedTuple):
    """One way to train against the plain loop: median images/s, and the ratio to plain with its 10 % to 90 % range."""

    name: str
    images_per_second: float
    ratio: float
    low: float
    high: float


def our_step(
    config: VAEConfig, device: torch.device, batch_size: int, compiled: bool, optimizer: str = "adam"
) -> Callable[[Tensor], Tensor]:
    """This package's step, the very function that `fit` calls, on uint8 pictures (N, S, S, 3) in memory.

    Its arithmetic is that of a long run on this machine; the threads stay those that the plain loop has.
    """
    recipe = TrainConfig.quick(batch_size * 100, batch_size=batch_size, optimizer=optimizer, compile=compiled)
    alone = Processes(device)
    state = new_state(recipe, config, alone, arithmetic=choose_arithmetic(config, recipe, _LONG_RUN, alone))
    if compiled:
        state.model.compile()

    def step(pictures: Tensor) -> Tensor:
        state.sums = None
        train_step(state, Batch(pictures, 0, len(pictures)), recipe, progress=0.5)
        return state.sums[0]

    return step


def time_steps(works: dict[str, Callable[[], Tensor]], pairs: int = 12, progress: bool = True) -> list[Row]:
    """Time each of `works` against the first, A B B A, `pairs` times; the first is also timed against itself.

    One untimed call comes before. Ratios above 1 mean faster than the first.
    """
    names = list(works)
    for work in works.values():
        work().item()
    rows, plain = [], names[0]
    bar = tqdm(total=pairs * len(names), unit="pair", disable=not progress, desc="timing")
    for name in names:
        ratios, seconds = [], []
        for _ in range(pairs):
            first, second, third, fourth = (_seconds(works[n]) for n in (plain, name, name, plain))
            ratios.append((first + fourth) / (second + third))
            seconds.append((second + third) / 2)
            bar.update()
        low, *_, high = statistics.quantiles(ratios, n=10)
        rows.append(Row(name, 1 / statistics.median(seconds), statistics.median(ratios), low, high))
    bar.close()
    return rows


def compare(
    pictures: PictureSet,
    batch_size: int = 32,
    pairs: int = 12,
    compiled: bool = True,
    device: str | None = None,
    progress: bool = True,
) -> list[dict]:
    """Rows (see `Row`, as dicts) of the plain loop, of the plain loop with the free switches, and of this package.

    All see the same pictures. Raises InputError for too few pairs or pictures to tell a spread.
    """
    if pairs < 2 or batch_size < 2:
        raise InputError(
            f"{pairs} pairs of batch {batch_size} give no spread: time at least 2 pairs of at least 2 pictures."
        )
    device, config = pick_device(device), VAEConfig(image_size=pictures.pictures.shape[1])
    rows = pictures.split.train[:batch_size]
    batch = torch.from_numpy(np.ascontiguousarray(pictures.pictures[rows]))
    x = to_float(batch, device).contiguous()  # the plain loop gets its floats for nothing
    plain, free = plain_step(config, device), plain_step(config, device, free_switches=True)
    eager = our_step(config, device, batch_size, compiled=False)
    works = {
        "plain loop, float32": lambda: plain(x),
        "plain loop + channels-last + 16 bits": lambda: free(x),
        "this package": lambda: eager(batch),
    }
    if compiled and can_compile(device):
        fast = our_step(config, device, batch_size, compiled=True)
        works["this package, compiled"] = lambda: fast(batch)
    best = our_step(config, device, batch_size, "this package, compiled" in works, "muon")
    works["the same with Muon, which learns more from a step"] = lambda: best(batch)
    timed = time_steps(works, pairs, progress)
    steps = [row._replace(images_per_second=row.images_per_second * len(rows))._asdict() for row in timed]
    steps[0]["name"] += " (A-A control)"
    return steps


def matrix(
    pictures: PictureSet,
    batch_sizes: Sequence[int] = (64, 256, 1024),
    pairs: int = 5,
    device: str | None = None,
    progress: bool = True,
) -> list[dict]:
    """Images/s of a step for {as written, folded} × {NCHW, channels-last} × {eager, compiled, graphs} × batch size.

    Forward and backward in the device's 16 bits, fused Adam. "graphs" is `mode="reduce-overhead"`, CUDA only. Each is
    timed by itself, after two calls to warm up: medians of `pairs` calls, so read differences below 10 % as none.
    """
    device, size = pick_device(device), pictures.pictures.shape[1]
    ways = ["eager"] + ["compiled"] * can_compile(device) + ["graphs"] * (device.type == "cuda" and can_compile(device))
    cells = [
        (batch, kind, layout, way)
        for batch in batch_sizes
        for kind in ("as written", "folded")
        for layout in ("NCHW", "channels-last")
        for way in ways
    ]
    rows = []
    for batch, kind, layout, way in tqdm(cells, unit="cell", desc="matrix", disable=not progress):
        chosen = np.resize(pictures.split.train, batch)
        x = to_float(np.ascontiguousarray(pictures.pictures[np.sort(chosen)]), device)
        step = _cell(VAEConfig(image_size=size), device, kind, layout, way)
        try:
            for _ in range(2):
                step(x).item()
            seconds = statistics.median(_seconds(partial(step, x)) for _ in range(pairs))
        except torch.cuda.OutOfMemoryError:
            seconds = float("inf")
        rows.append(
            {"batch_size": batch, "kernels": kind, "layout": layout, "way": way, "images_per_second": batch / seconds}
        )
        torch._dynamo.reset()
    return rows


def _cell(config: VAEConfig, device: torch.device, kind: str, layout: str, way: str) -> Callable[[Tensor], Tensor]:
    with seeded(0):
        model, half = PlainVAE(config) if kind == "as written" else BetaVAE(config), pick_half(device)
    model.to(device).train()
    memory = torch.channels_last if layout == "channels-last" else torch.contiguous_format
    model.to(memory_format=memory)
    if kind == "folded":  # knows by itself which parts may be in 16 bits, and what layout it computes in
        model.set_half(half).set_layout(layout == "channels-last")
        half = None
    if way != "eager":
        model.compile(mode="reduce-overhead" if way == "graphs" else None)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=device.type in ("cpu", "cuda"))

    def step(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=memory)
        noise = torch.randn(1, len(x), config.latent_dim, device=device)
        with torch.autocast(device.type, dtype=half) if half else nullcontext():
            outputs = model(x, noise)
        loss = beta_vae_loss(outputs[0], x, *outputs[1:]).total / x[0].numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _seconds(work: Callable[[], Tensor]) -> float:
    began = time.perf_counter()
    work().item()  # reading the number waits for a GPU to be done
    return time.perf_counter() - began
