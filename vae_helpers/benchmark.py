"""How fast is it, as a ratio: the plain loop that a tutorial would write against this package, in one run, interleaved.

It measures and does not judge. Ratios of neighbouring runs survive a noisy machine, seconds don't; so every figure
here comes with its spread, and an A-A control shows what the same work against itself looks like.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from vae_helpers.data import PictureSet, to_float
from vae_helpers.distributed import World
from vae_helpers.engine import can_compile
from vae_helpers.errors import InputError
from vae_helpers.feed import Batch
from vae_helpers.losses import beta_vae_loss
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.recipe import TrainConfig, pick_device, pick_half
from vae_helpers.run_state import fresh
from vae_helpers.train import _step as train_step

Step = Callable[[Tensor], Tensor]  # float pictures (N, 3, S, S) in [-1, 1] => the loss, after one optimiser step


class Row(NamedTuple):
    """One way to train against the plain loop: median images/s, and the ratio to plain with its 10 % to 90 % range."""

    name: str
    images_per_second: float
    ratio: float
    low: float
    high: float


class PlainVAE(nn.Module):
    """The specified model as a reader of a tutorial would write it: real upsampling, library norms, float32, NCHW.

    Its parameters have the names and shapes of `BetaVAE`, so that both can start from the same weights.
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        shaped = BetaVAE(config)
        self.encoder, self.decoder = shaped.encoder, shaped.decoder
        self.to(memory_format=torch.contiguous_format)
        self.norms = nn.ModuleList(nn.InstanceNorm2d(w) for w in config.widths[-2::-1])

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (N, 3, S, S), noise (1, N, latent_dim) => `(x_hat, mu, logvar)`, as `BetaVAE` with one sample."""
        for block in self.encoder.blocks:
            x = F.leaky_relu(block.norm(block.conv(x)))
        mu, logvar = self.encoder.mu(x.flatten(1)), self.encoder.logvar(x.flatten(1))
        logvar = 10 * torch.tanh(logvar / 10)
        z = mu + torch.exp(0.5 * logvar) * noise[0]
        x = self.decoder.linear(z).view(len(z), -1, 4, 4)
        for block, norm in zip(self.decoder.blocks, self.norms):
            x = F.leaky_relu(norm(_plain_conv(F.interpolate(x, scale_factor=2), block.conv)))
        return torch.tanh(_plain_conv(F.interpolate(x, scale_factor=2), self.decoder.out))[None], mu, logvar


def _plain_conv(x: Tensor, layer: nn.Conv2d) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, padding=1)


def plain_step(config: VAEConfig, device: torch.device, free_switches: bool = False) -> Step:
    """The plain loop's step; `free_switches` adds what costs one line each: channels-last and autocast."""
    torch.manual_seed(0)
    model = PlainVAE(config).to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    half = pick_half(device) if free_switches else None
    if free_switches:
        model.to(memory_format=torch.channels_last)

    def step(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last if free_switches else torch.contiguous_format)
        noise = torch.randn(1, len(x), config.latent_dim, device=device)
        with torch.autocast(device.type, dtype=half or torch.bfloat16, enabled=half is not None):
            x_hat, mu, logvar = model(x, noise)
        loss = beta_vae_loss(x_hat, x, mu, logvar).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def our_step(config: VAEConfig, device: torch.device, batch_size: int, compiled: bool) -> Callable[[Tensor], Tensor]:
    """This package's step, the very function that `fit` calls, on uint8 pictures (N, S, S, 3) in memory."""
    recipe = TrainConfig.quick(batch_size * 100, batch_size=batch_size)
    state = fresh(recipe, config, World(device))
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


def compare(pictures: PictureSet, batch_size: int = 32, pairs: int = 12, compiled: bool = True,
            device: str | None = None, progress: bool = True) -> dict:
    """Steps per second of the plain loop, of the plain loop with the free switches, and of this package.

    All see the same pictures. Returns plain types: `hardware`, `batch_size`, and `steps`, a list of rows.
    """
    if pairs < 2 or batch_size < 2:
        raise InputError(f"{pairs} pairs of batch {batch_size} give no spread: time at least 2 pairs of at least 2 pictures.")
    device, config = pick_device(device), VAEConfig(image_size=pictures.pictures.shape[1])
    rows = pictures.split.train[:batch_size]
    batch = torch.from_numpy(np.ascontiguousarray(pictures.pictures[rows]))
    x = to_float(batch, device).contiguous()  # the plain loop gets its floats for nothing
    plain, free = plain_step(config, device), plain_step(config, device, free_switches=True)
    eager = our_step(config, device, batch_size, compiled=False)
    works = {"plain loop, float32": lambda: plain(x), "plain loop + channels-last + 16 bits": lambda: free(x),
             "this package": lambda: eager(batch)}
    if compiled and can_compile(device):
        fast = our_step(config, device, batch_size, compiled=True)
        works["this package, compiled"] = lambda: fast(batch)
    timed = time_steps(works, pairs, progress)
    steps = [row._replace(images_per_second=row.images_per_second * len(rows))._asdict() for row in timed]
    steps[0]["name"] += " (A-A control)"
    return {"hardware": hardware(device), "batch_size": len(rows), "image_size": config.image_size, "steps": steps}


def hardware(device: torch.device) -> dict:
    """What the figures were measured on: processor, GPU, threads, versions, load."""
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), cpu)
    return {"cpu": cpu, "threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            "half": str(pick_half(device)).removeprefix("torch."),
            "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None}


def table(result: dict) -> str:
    """The measurements as a Markdown table under a line about the machine."""
    machine = ", ".join(f"{key} {value}" for key, value in result["hardware"].items() if value is not None)
    lines = [f"{machine}; batch {result['batch_size']}, {result['image_size']} px", "",
             "| | images/s | times the plain loop | 10 % to 90 % of pairs |", "|---|---|---|---|"]
    lines += [f"| {row['name']} | {row['images_per_second']:,.1f} | {row['ratio']:.2f} | {row['low']:.2f} to {row['high']:.2f} |"
              for row in result["steps"]]
    return "\n".join(lines)


def _seconds(work: Callable[[], Tensor]) -> float:
    began = time.perf_counter()
    work().item()  # reading the number waits for a GPU to be done
    return time.perf_counter() - began
