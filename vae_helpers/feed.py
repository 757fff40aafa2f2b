"""The batches of a run as one process sees them: its share of each global batch, read ahead by a thread."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.batching import plan
from vae_helpers.distributed import World
from vae_helpers.recipe import TrainConfig


class Batch(NamedTuple):
    """A process's share of a global batch: uint8 pictures (n, H, W, 3), the place of its first, and the global size."""

    pictures: Tensor
    first: int
    total: int


def feed(pictures: np.ndarray, indices: np.ndarray, config: TrainConfig, epoch: int, start: int,
         world: World) -> Iterator[Batch]:
    """Yield this process's share of the epoch's batches from number `start` on.

    Which pictures make a batch, and which are mirrored, follows from (seed, epoch) alone, for any number of processes.
    """
    def read(rows: np.ndarray, flips: np.ndarray) -> Batch:
        part = world.share(len(rows))
        return Batch(_gather(pictures, rows[part], flips[part], pin=world.device.type == "cuda"), part.start, len(rows))

    with ThreadPoolExecutor(1, thread_name_prefix="feed") as reader:
        ahead = None
        try:
            for rows, flips in plan(indices, config.batch_size, config.seed, epoch, start, config.flip):
                following = reader.submit(read, rows, flips)
                if ahead is not None:
                    yield ahead.result()
                ahead = following
            if ahead is not None:
                yield ahead.result()
        finally:
            reader.shutdown(wait=True, cancel_futures=True)


def noise_for(batch: Batch, samples: int, latent_dim: int, seed: int, step: int, device: torch.device) -> Tensor:
    """ε ~ N(0, 1) for this share, (samples, n, latent_dim): a function of (seed, step, place in the global batch).

    The whole batch's noise is drawn and cut, so a resumed run, on however many processes, draws what it would have.
    """
    generator = torch.Generator(device).manual_seed(seed * 1_000_003 + step)
    noise = torch.randn(samples, batch.total, latent_dim, generator=generator, device=device)
    return noise[:, batch.first:batch.first + len(batch.pictures)]


def _gather(pictures: np.ndarray, rows: np.ndarray, flips: np.ndarray, pin: bool) -> Tensor:
    """Read rows in the order they lie on the disk, hand them back in the asked order, some mirrored."""
    out = np.empty((len(rows), *pictures.shape[1:]), np.uint8)
    for place in np.argsort(rows, kind="stable").tolist():
        picture = pictures[rows[place]]
        out[place] = picture[:, ::-1] if flips[place] else picture
    batch = torch.from_numpy(out)
    return batch.pin_memory() if pin else batch
