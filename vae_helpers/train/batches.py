"""The batches of a run as one process sees them: its share of each global batch, read ahead by a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import gather, plan, read_ahead
from vae_helpers.settings import TrainConfig, as_seed
from vae_helpers.train.processes import World


class Batch(NamedTuple):
    """A process's share of a global batch: uint8 pictures (n, H, W, 3), the place of its first, and the global size."""

    pictures: Tensor
    first: int
    total: int


def resident(pictures: np.ndarray, device: torch.device) -> Tensor | None:
    """All pictures as bytes on a GPU with room to spare for them, else None: batches then cost no transfer at all."""
    if device.type != "cuda" or pictures.nbytes > 0.4 * torch.cuda.mem_get_info(device)[0]:
        return None
    return on_device(pictures, device)


def on_device(pictures: np.ndarray, device: torch.device) -> Tensor:
    """uint8 pictures (N, H, W, 3) copied to `device` a block at a time, so that a memory map is never in memory whole."""
    held = torch.empty(pictures.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pictures), 1024):
        held[start : start + 1024] = torch.from_numpy(np.array(pictures[start : start + 1024])).to(device)
    return held


def feed(
    pictures: np.ndarray | Tensor, indices: np.ndarray, config: TrainConfig, epoch: int, start: int, world: World
) -> Iterator[Batch]:
    """Yield this process's share of the epoch's batches from number `start` on.

    Which pictures make a batch, and which are mirrored, follows from (seed, epoch) alone, whatever the number of
    processes and whether the pictures lie on the device (a tensor) or in a memory map, which a thread reads ahead.
    """

    def read(turn: tuple[np.ndarray, np.ndarray]) -> Batch:
        part = world.share(len(turn[0]))
        rows, flips = (values[part] for values in turn)
        return Batch(gather(pictures, rows, flips, world.device.type == "cuda"), part.start, len(turn[0]))

    turns = plan(indices, config.batch_size, config.seed, epoch, start, config.flip)
    # From the device a batch is picked at once; a second thread would only fight over the GPU's queue.
    yield from _picked(pictures, list(turns), world) if isinstance(pictures, Tensor) else read_ahead(turns, read)


def noise_for(batch: Batch, samples: int, latent_dim: int, seed: int, step: int, device: torch.device) -> Tensor:
    """ε ~ N(0, 1) for this share, (samples, n, latent_dim): a function of (seed, step, place in the global batch).

    The whole batch's noise is drawn and cut, so a resumed run, on however many processes, draws what it would have.
    """
    generator = torch.Generator(device).manual_seed(as_seed(seed * 1_000_003 + step))
    noise = torch.randn(samples, batch.total, latent_dim, generator=generator, device=device)
    return noise[:, batch.first : batch.first + len(batch.pictures)]


def _picked(pictures: Tensor, turns: list[tuple[np.ndarray, np.ndarray]], world: World) -> Iterator[Batch]:
    """What `gather` does, for pictures on the device: rows and flips of the epoch go there at once, as copies wait."""
    if not turns:
        return
    parts = [world.share(len(rows)) for rows, _ in turns]
    sizes = [part.stop - part.start for part in parts]
    everything = (np.concatenate([values[part] for values, part in zip(kind, parts)]) for kind in zip(*turns))
    rows, flips = (torch.from_numpy(values).to(pictures.device).split(sizes) for values in everything)
    for turn, part, chosen, mirrored in zip(turns, parts, rows, flips):
        batch = pictures.index_select(0, chosen)
        yield Batch(torch.where(mirrored[:, None, None, None], batch.flip(2), batch), part.start, len(turn[0]))
