"""Figures of pictures, losses and latents.

Each function returns a closed figure, so that a cell which ends in it shows it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from vae_helpers.errors import InputError
from vae_helpers.files import writing
from vae_helpers.latent import LatentSummary
from vae_helpers.show.export import tile
from vae_helpers.show.style import ACCENT, INK, QUIET, closed, plain, subplots


def show_grid(pictures: np.ndarray, columns: int = 8, title: str = "", captions: Sequence[str] = ()) -> Figure:
    """uint8 pictures (N, H, W, 3) in rows of `columns`, with a caption under each if given."""
    _require_pictures(pictures)
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    if not captions:
        return _sheet(tile(pictures, columns), columns, rows, title)
    figure, axes = subplots(rows, columns, figsize=(1.3 * columns, 1.55 * rows), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, picture, caption in zip(axes.flat, pictures, captions):
        axis.imshow(picture)
        axis.set_title(caption, fontsize=8, color=INK, y=-0.18)
    return closed(figure, title)


def show_rows(rows: Sequence[np.ndarray], labels: Sequence[str], title: str = "") -> Figure:
    """Labelled rows of uint8 pictures, each (n, H, W, 3): originals over reconstructions, or one row per latent."""
    if not len(rows):
        raise InputError(
            f"there is nothing to show: no rows of pictures{' for ' + repr(title) if title else ''} (a model "
            "whose latents are all inactive has none to sweep: train longer, or with a smaller beta)."
        )
    for row in rows:
        _require_pictures(row)
    height, width = len(rows), max(len(row) for row in rows)
    side = min(1.3, 11 / width)
    size = (side * width + 1.3, side * height + 0.3 * bool(title))
    figure, axes = subplots(height, 1, figsize=size, squeeze=False)
    for axis, row, label in zip(axes.flat, rows, labels):
        axis.imshow(tile(row, len(row)))
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9, color=INK)
    return closed(figure, title)


def show_reconstructions(
    originals: np.ndarray, reconstructions: np.ndarray, quality: Sequence[float] = (), title: str = ""
) -> Figure:
    """Originals over reconstructions over what was lost, uint8 (N, H, W, 3); `quality` in dB goes under the columns.

    The difference is |x - x̂|, doubled and drawn dark on white, so that white means "equal".
    """
    lost = 255 - np.minimum(255, 2 * np.abs(originals.astype(int) - reconstructions.astype(int))).astype(np.uint8)
    figure = show_rows([originals, reconstructions, lost], ["original", "reconstruction", "difference ×2"], title)
    if len(quality):
        size, last = originals.shape[2] + 2, figure.axes[-1]
        last.set_xticks(
            [size * i + size / 2 for i in range(len(quality))], [f"{q:.1f} dB" for q in quality], fontsize=8
        )
        last.tick_params(length=0, colors=INK)
    return figure


def show_paths(
    paths: dict[str, np.ndarray], ends: tuple[np.ndarray, np.ndarray] | None = None, title: str = ""
) -> Figure:
    """Paths between two pictures, one row of frames each; `ends` are the two originals, shown left and right."""
    rows = list(paths.values())
    if ends is not None:
        rows = [np.concatenate([ends[0][None], row, ends[1][None]]) for row in rows]
    figure = show_rows(rows, list(paths), title)
    if ends is not None:
        count, size = len(rows[0]), rows[0].shape[2] + 2
        top = figure.axes[0].secondary_xaxis("top")
        top.set_xticks([size / 2, size * count / 2, size * (count - 0.5)], ["A", "path", "B"], fontsize=9)
        top.tick_params(length=0, colors=INK)
        top.spines[:].set_visible(False)
    return figure


def show_traversals(
    rows: Sequence[np.ndarray], dimensions: Sequence[int], summary: LatentSummary, title: str = ""
) -> Figure:
    """One row per latent, swept from low to high; labelled with the latent's number and its KL in nats."""
    return show_rows(rows, [f"z{d}  {summary.kl[d]:.1f} nats" for d in dimensions], title)


def show_losses(log: dict[str, tuple[np.ndarray, np.ndarray]], title: str = "") -> Figure:
    """Total, reconstruction and KL over epochs, training and held-out, from a run's TensorBoard log."""
    figure, axes = subplots(1, 4, figsize=(13, 3))
    for axis, term, unit in zip(axes, ("total", "reconstruction", "kl", "psnr"), ("nats / picture",) * 3 + ("dB",)):
        for part, colour in (("train", QUIET), ("held_out", ACCENT)):
            if f"{term}/{part}" in log:
                epochs, values = log[f"{term}/{part}"]
                axis.plot(
                    epochs,
                    values,
                    color=colour,
                    label=part.replace("_", "-"),
                    marker="o" if len(epochs) < 25 else "",
                    markersize=3,
                )
        axis.set_title({"kl": "KL", "psnr": "PSNR"}.get(term, term), fontsize=10, color=INK)
        axis.set_xlabel("epoch")
        axis.set_ylabel(unit)
        axis.xaxis.get_major_locator().set_params(integer=True)
        plain(axis)
    axes[0].legend(frameon=False)
    return closed(figure, title)


def show_curves(curves: dict[str, tuple[np.ndarray, np.ndarray]], xlabel: str, ylabel: str, title: str = "") -> Figure:
    """Plain lines, `{label: (x, y)}`, in one axis."""
    figure, axis = subplots(figsize=(6, 2.8))
    for label, (x, y) in curves.items():
        axis.plot(x, y, label=label)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    if len(curves) > 1:
        axis.legend(frameon=False)
    plain(axis)
    return closed(figure, title)


def show_latent_use(summary: LatentSummary, title: str = "") -> Figure:
    """KL of every latent in nats, highest first: coloured where active, grey where the decoder gets nothing from it."""
    by_kl = np.argsort(-summary.kl, kind="stable")
    active = np.isin(by_kl, summary.active)
    figure, axis = subplots(figsize=(9, 2.6))
    axis.bar(np.arange(len(by_kl)), summary.kl[by_kl], color=np.where(active, ACCENT, QUIET), width=0.85)
    axis.set(xlabel="latents, by KL", ylabel="nats")
    axis.set_title(
        f"{active.sum()} of {len(by_kl)} latents are active and carry "
        f"{summary.kl[by_kl[active]].sum():.0f} of {summary.kl.sum():.0f} nats",
        fontsize=10,
        color=INK,
    )
    plain(axis)
    return closed(figure, title)


def show_gaussians(mu: float, sigma: float, title: str = "") -> Figure:
    """A posterior q = N(μ, σ²) against the prior p = N(0, 1), with the KL between them shaded by its integrand."""
    z = np.linspace(-4, 4, 400)
    log_q = -0.5 * ((z - mu) / sigma) ** 2 - np.log(sigma)
    log_p = -0.5 * z**2
    q, p = (np.exp(v) / np.sqrt(2 * np.pi) for v in (log_q, log_p))
    kl = 0.5 * (mu**2 + sigma**2 - 2 * np.log(sigma) - 1)
    figure, axis = subplots(figsize=(6, 2.6))
    axis.plot(z, p, color=QUIET, label="prior p(z)")
    axis.plot(z, q, color=ACCENT, label="posterior q(z|x)")
    axis.fill_between(z, q * (log_q - log_p), color=ACCENT, alpha=0.2, label=f"q · log(q/p): area = KL = {kl:.2f} nats")
    axis.legend(frameon=False, fontsize=8)
    axis.set(xlabel="z", yticks=[])
    plain(axis)
    return closed(figure, title)


def show_histogram(values: np.ndarray, xlabel: str, title: str = "", bins: int = 40) -> Figure:
    """How often each value occurs."""
    figure, axis = subplots(figsize=(6, 2.6))
    axis.hist(np.asarray(values).ravel(), bins=bins, color=ACCENT, alpha=0.85)
    axis.set(xlabel=xlabel, yticks=[])
    plain(axis)
    return closed(figure, title)


def save(figure: Figure, path: Path) -> Path:
    """Write a figure as the kind of file `path` ends in; folders are made as needed. InputError where that can't be."""
    kinds = figure.canvas.get_supported_filetypes()
    kind = Path(path).suffix[1:].lower()
    if kind not in kinds:
        raise InputError(
            f"{Path(path).name} cannot be written, because {kind or 'no ending'!r} is not a kind of figure: "
            f"end the name in .{', .'.join(sorted(kinds))}."
        )
    with writing(path) as file:
        figure.savefig(file, format=kind, dpi=110, bbox_inches="tight")
    return path


def _sheet(picture: np.ndarray, columns: int, rows: int, title: str) -> Figure:
    figure, axis = subplots(figsize=(1.2 * columns, 1.2 * rows + 0.3 * bool(title)))
    axis.imshow(picture)
    axis.axis("off")
    return closed(figure, title)


def _require_pictures(pictures: np.ndarray) -> None:
    if not len(pictures) or np.ndim(pictures) != 4:
        raise InputError(f"there is nothing to show: expected pictures (N, H, W, 3), got shape {np.shape(pictures)}.")
