"""All figures of a benchmark, what they were measured on, and both as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.experiments.speed import compare, matrix
from vae_helpers.experiments.whole_runs import end_to_end, learning, peak_memory, precision
from vae_helpers.model import VAEConfig, pick_device
from vae_helpers.train import hardware


def measure(
    source: str,
    parts: Sequence[str],
    image_size: int = 128,
    batch_size: int = 32,
    pairs: int = 12,
    compiled: bool = True,
    limit: int = 2560,
    epochs: int = 10,
    seeds: int = 1,
    plain_batch: int = 128,
    plain_lr: float = 0.005,
    device: str | None = None,
    progress: bool = True,
    opening: Mapping[str, Any] = {},
) -> dict:
    """Measure the named `parts`, one after the other, on pictures from `source` (`opening`: more for `open_pictures`).

    Returns plain types: `hardware` and `load` as it began, `batch_size`, `image_size`, and an entry per part.
    Raises InputError for too few pairs, pictures, epochs or seeds.
    """
    if min(epochs, seeds, plain_batch, limit) < 1:
        raise InputError(
            f"epochs {epochs}, seeds {seeds}, plain-batch {plain_batch} and limit {limit} must be at least 1."
        )
    if batch_size < 2:
        raise InputError(f"a batch of {batch_size} picture is none that BatchNorm can take: benchmark with at least 2.")
    VAEConfig(image_size=image_size)  # refuses a size that no model takes
    result = {"hardware": hardware(pick_device(device))}
    pictures = open_pictures(source, image_size, limit=max(limit, 2 * batch_size), progress=progress, **opening)
    result |= {"batch_size": batch_size, "image_size": image_size}
    if "steps" in parts:
        result["steps"] = compare(pictures, batch_size, pairs, compiled, device, progress)
    if "memory" in parts:
        result["memory"] = peak_memory(image_size, batch_size, device)
    if "end-to-end" in parts:
        result["end_to_end"] = end_to_end(pictures, batch_size=batch_size, device=device, progress=progress)
    if "learning" in parts:
        result["learning"] = learning(pictures, epochs, range(seeds), plain_batch, plain_lr, device, progress)
    if "precision" in parts:
        result["precision"] = precision(pictures, epochs, range(max(2, seeds)), device, progress)
    if "matrix" in parts:
        result["matrix"] = matrix(pictures, device=device, progress=progress)
    return result


def table(result: dict) -> str:
    """The measurements as Markdown tables, those that were made, under a line about the machine."""
    machine = ", ".join(f"{key} {value}" for key, value in result["hardware"].items() if value is not None)
    lines = [f"{machine}; {result['image_size']} px, batch {result['batch_size']}"]
    if "steps" in result:
        lines += [
            "",
            "| training step, decoded pictures in memory | images/s | times the plain loop | 10 % to 90 % of pairs |",
            "|---|---|---|---|",
        ]
        lines += [f"| {row['name']} | {row['images_per_second']:,.1f} | {_spread(row)} |" for row in result["steps"]]
    if "memory" in result:
        lines += [
            "",
            "| peak memory of a step | MiB |",
            "|---|---|",
            f"| plain loop | {result['memory']['plain']:,.0f} |",
            f"| this package | {result['memory']['ours']:,.0f} |",
        ]
    if "end_to_end" in result:
        lines += [
            "",
            "| whole epochs, from files | plain loop, images/s | this package, images/s | times | least to most |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {row['name']} | {row['plain']:,.1f} | {row['ours']:,.1f} | {_spread(row)} |"
            for row in result["end_to_end"]
        ]
    if "learning" in result:
        learnt = result["learning"]
        lines += [
            "",
            f"{learnt['pictures']:,} pictures; plain loop with batch {learnt['plain_batch']} and learning rate "
            f"{learnt['plain_lr']:g}; medians over {len({row['seed'] for row in learnt['rows']})} seeds",
            "",
            "| learning | epochs | seconds | held-out loss, nats | held-out PSNR, dB |",
            "|---|---|---|---|---|",
        ]
        forms = {"epochs": "{:g}", "seconds": "{:,.0f}", "loss": "{:,.0f}", "psnr": "{:.2f}"}
        lines += [
            f"| {row['name']} | "
            + " | ".join("–" if row[key] is None else form.format(row[key]) for key, form in forms.items())
            + " |"
            for row in learnt["medians"]
        ]
    if "precision" in result:
        lines += ["", "| number format of the convolutions | reconstruction | KL | active units |", "|---|---|---|---|"]
        lines += [
            f"| {row['name']} | "
            + " | ".join(_seeds(row[key]) for key in ("reconstruction", "kl", "active_units"))
            + " |"
            for row in result["precision"]
        ]
    if "matrix" in result:
        lines += ["", "| batch | kernels | layout | way | images/s |", "|---|---|---|---|---|"]
        lines += [
            f"| {row['batch_size']} | {row['kernels']} | {row['layout']} | {row['way']} | "
            f"{row['images_per_second']:,.0f} |"
            for row in result["matrix"]
        ]
    return "\n".join(lines)


def _spread(row: dict) -> str:
    return f"{row['ratio']:.2f} | {row['low']:.2f} to {row['high']:.2f}"


def _seeds(values: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} to {max(values):,.1f})"
