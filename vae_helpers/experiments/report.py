"""All figures of a benchmark, what they were measured on, and both as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.experiments.memory import peak_memory
from vae_helpers.experiments.plain import PlainRecipe
from vae_helpers.experiments.speed import compare, matrix
from vae_helpers.experiments.whole_runs import end_to_end, learning, precision
from vae_helpers.model import VAEConfig, pick_device
from vae_helpers.train import hardware


class BenchmarkSettings(NamedTuple):
    """What a benchmark measures with; the plain loop's batch and learning rate are the specification's."""

    image_size: int = 128
    batch_size: int = 32
    pairs: int = 12  # interleaved, of each kind of step
    compile: bool = True  # time torch.compile too
    limit: int = 2560  # pictures to learn from, four fifths of them trained on
    epochs: int = 10
    seeds: int = 1
    plain_batch: int = 128
    plain_lr: float = 0.005
    device: str | None = None


def measure(
    source: str,
    parts: Sequence[str],
    settings: BenchmarkSettings = BenchmarkSettings(),
    progress: bool = True,
    opening: Mapping[str, Any] = {},
) -> dict:
    """Measure the named `parts`, one after the other, on pictures from `source` (`opening`: more for `open_pictures`).

    Returns plain types: `hardware` and `load` as it began, `batch_size`, `image_size`, and an entry per part.
    Raises InputError for too few pairs, pictures, epochs or seeds.
    """
    size, batch, device = settings.image_size, settings.batch_size, settings.device
    _require_enough(settings)
    result = {"hardware": hardware(pick_device(device))}
    pictures = open_pictures(source, size, limit=max(settings.limit, 2 * batch), progress=progress, **opening)
    result |= {"batch_size": batch, "image_size": size}
    plain = PlainRecipe(settings.epochs, settings.plain_batch, settings.plain_lr)
    seeds = settings.seeds
    works = {
        "steps": lambda: compare(pictures, batch, settings.pairs, settings.compile, device, progress),
        "memory": lambda: peak_memory(size, batch, device),
        "end-to-end": lambda: end_to_end(pictures, batch_size=batch, device=device, progress=progress),
        "learning": lambda: learning(pictures, plain, range(seeds), device, progress),
        "precision": lambda: precision(pictures, settings.epochs, range(max(2, seeds)), device, progress),
        "matrix": lambda: matrix(pictures, device=device, progress=progress),
    }
    return result | {part.replace("-", "_"): work() for part, work in works.items() if part in parts}


def _require_enough(settings: BenchmarkSettings) -> None:
    epochs, seeds, plain_batch, limit = settings.epochs, settings.seeds, settings.plain_batch, settings.limit
    if min(epochs, seeds, plain_batch, limit) < 1:
        raise InputError(
            f"epochs {epochs}, seeds {seeds}, plain-batch {plain_batch} and limit {limit} must be at least 1."
        )
    if settings.batch_size < 2:
        raise InputError(
            f"a batch of {settings.batch_size} picture is none that BatchNorm can take: benchmark with at least 2."
        )
    VAEConfig(image_size=settings.image_size)  # refuses a size that no model takes


def benchmark_table(result: dict) -> str:
    """The measurements as Markdown tables, those that were made, under a line about the machine."""
    machine = ", ".join(f"{key} {value}" for key, value in result["hardware"].items() if value is not None)
    lines = [f"{machine}; {result['image_size']} px, batch {result['batch_size']}"]
    for part, lines_of in _PARTS.items():
        if part in result:
            lines += ["", *lines_of(result[part])]
    return "\n".join(lines)


def _steps(rows: Sequence[dict]) -> list[str]:
    head = ("training step, decoded pictures in memory", "images/s", "times the plain loop", "10 % to 90 % of pairs")
    return _table(head, [(row["name"], f"{row['images_per_second']:,.1f}", *_ratio(row)) for row in rows])


def _memory(found: dict) -> list[str]:
    rows = (("plain loop", found["plain"]), ("this package", found["ours"]))
    return _table(("peak memory of a step", "MiB"), [(name, f"{mib:,.0f}") for name, mib in rows])


def _end_to_end(rows: Sequence[dict]) -> list[str]:
    head = ("whole epochs, from files", "plain loop, images/s", "this package, images/s", "times", "least to most")
    return _table(head, [(row["name"], f"{row['plain']:,.1f}", f"{row['ours']:,.1f}", *_ratio(row)) for row in rows])


def _learning(found: dict) -> list[str]:
    forms = {"epochs": "{:g}", "seconds": "{:,.0f}", "loss": "{:,.0f}", "psnr": "{:.2f}"}
    rows = [
        (row["name"], *("–" if row[key] is None else form.format(row[key]) for key, form in forms.items()))
        for row in found["medians"]
    ]
    return [
        f"{found['pictures']:,} pictures; plain loop with batch {found['plain_batch']} and learning rate "
        f"{found['plain_lr']:g}; medians over {len({row['seed'] for row in found['rows']})} seeds",
        "",
        *_table(("learning", "epochs", "seconds", "held-out loss, nats", "held-out PSNR, dB"), rows),
    ]


def _precision(rows: Sequence[dict]) -> list[str]:
    keys = ("reconstruction", "kl", "active_units")
    cells = [(row["name"], *(_seeds(row[key]) for key in keys)) for row in rows]
    return _table(("number format of the convolutions", "reconstruction", "KL", "active units"), cells)


def _matrix(rows: Sequence[dict]) -> list[str]:
    cells = [
        (str(row["batch_size"]), row["kernels"], row["layout"], row["way"], f"{row['images_per_second']:,.0f}")
        for row in rows
    ]
    return _table(("batch", "kernels", "layout", "way", "images/s"), cells)


_PARTS = {
    "steps": _steps,
    "memory": _memory,
    "end_to_end": _end_to_end,
    "learning": _learning,
    "precision": _precision,
    "matrix": _matrix,
}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table."""
    first, *others = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return [first, "|---" * len(head) + "|", *others]


def _ratio(row: dict) -> tuple[str, str]:
    return f"{row['ratio']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}"


def _seeds(values: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):,.1f} ({min(values):,.1f} to {max(values):,.1f})"
