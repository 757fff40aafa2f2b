"""The batches of a run as one process sees them: its share of each global batch, and that share's noise.

Reading ahead, pinning and the way to the device are in `data/batches.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import Middles, Partners, gather, plan, read_ahead
from vae_helpers.settings import TrainConfig, as_seed
from vae_helpers.train.processes import Processes


class Batch(NamedTuple):
    """A process's share of a global batch: uint8 pictures (n, H, W, 3), the place of its first, and the global size."""

    pictures: Tensor
    first: int
    total: int


class Paired(NamedTuple):
    """Pictures as a memory map, uint8 (N, H, W, 3), and what finds their partners."""

    pictures: np.ndarray
    partners: Partners


class Between(NamedTuple):
    """Pictures as a memory map, uint8 (N, H, W, 3), and what draws a picture half-way between two."""

    pictures: np.ndarray
    middles: Middles


def epoch_batches(
    pictures: np.ndarray | Tensor | Paired | Between,
    indices: np.ndarray,
    config: TrainConfig,
    epoch: int,
    start: int,
    processes: Processes,
) -> Iterator[Batch]:
    """Yield this process's share of the epoch's batches from number `start` on.

    Which pictures make a batch, and which are mirrored, follows from (seed, epoch) alone, whatever the number of
    processes and whether the pictures lie on the device (a tensor) or in a memory map, which a thread reads ahead.
    Where they are `Paired` every other picture of a batch makes way for the partner of the one before it, mirrored
    alike, and each process gets whole pairs. Where they are to have one `Between` them, every third makes way for what
    lies between the two before it.
    """
    planned = plan(indices, config.batch_size, config.seed, epoch, start, config.flip)
    if isinstance(pictures, Tensor):
        # From the device a batch is picked at once; a second thread would only fight over the GPU's queue.
        yield from _pick_on_device(pictures, list(planned), processes)
        return

    def read(batch: tuple[np.ndarray, np.ndarray]) -> Batch:
        rows, flips = batch
        if isinstance(pictures, Paired):
            whole = slice(0, len(rows) // 2 * 2, 2)
            return _pairs(pictures, rows[whole], flips[whole], epoch, processes)
        if isinstance(pictures, Between):
            groups = len(rows) // 3 * 3
            return _triples(pictures, rows[:groups].reshape(-1, 3), flips[:groups:3], processes)
        share = processes.share(len(rows))
        part = gather(pictures, rows[share], flips[share], pin=processes.device.type == "cuda")
        return Batch(part, share.start, len(rows))

    yield from read_ahead(planned, read)


def _pairs(source: Paired, rows: np.ndarray, flips: np.ndarray, epoch: int, processes: Processes) -> Batch:
    """This process's share of the pairs that `rows` begin: picture, partner, picture, partner."""
    share = processes.share(len(rows))
    rows = rows[share]
    return _grouped([source.pictures[rows], source.partners(rows, epoch)], flips, share, processes)


def _triples(source: Between, rows: np.ndarray, flips: np.ndarray, processes: Processes) -> Batch:
    """This process's share of the triples that the first two of `rows` (n, 3) begin: two pictures and their middle."""
    share = processes.share(len(rows))
    one, other = rows[share, 0], rows[share, 1]
    both = [source.pictures[one], source.pictures[other]]
    return _grouped([*both, source.middles(one, other)], flips, share, processes)


def _grouped(members: list[np.ndarray], flips: np.ndarray, share: slice, processes: Processes) -> Batch:
    """Rows of each of `members` (n, H, W, 3) one after the other, mirrored alike: a process's `share` of the groups."""
    groups = np.stack(members, axis=1)
    mirrored = flips[share]
    groups[mirrored] = groups[mirrored][..., ::-1, :]
    part = torch.from_numpy(groups.reshape(-1, *groups.shape[2:]))
    pinned = part.pin_memory() if processes.device.type == "cuda" else part
    return Batch(pinned, len(members) * share.start, len(members) * len(flips))


def noise_for(batch: Batch, samples: int, latent_dim: int, seed: int, step: int, device: torch.device) -> Tensor:
    """ε ~ N(0, 1) for this share, (samples, n, latent_dim): a function of (seed, step, place in the global batch).

    The whole batch's noise is drawn and cut, so a resumed run, on however many processes, draws what it would have.
    """
    generator = torch.Generator(device).manual_seed(as_seed(seed * 1_000_003 + step))
    noise = torch.randn(samples, batch.total, latent_dim, generator=generator, device=device)
    return noise[:, batch.first : batch.first + len(batch.pictures)]


def _pick_on_device(
    pictures: Tensor, planned: list[tuple[np.ndarray, np.ndarray]], processes: Processes
) -> Iterator[Batch]:
    """What `gather` does, for pictures on the device: rows and flips of the epoch go there at once, as copies wait."""
    if not planned:
        return
    shares = [processes.share(len(rows)) for rows, _ in planned]
    sizes = [share.stop - share.start for share in shares]
    all_rows = np.concatenate([rows[share] for (rows, _), share in zip(planned, shares)])
    all_flips = np.concatenate([flips[share] for (_, flips), share in zip(planned, shares)])
    rows_of = torch.from_numpy(all_rows).to(pictures.device).split(sizes)
    flips_of = torch.from_numpy(all_flips).to(pictures.device).split(sizes)
    for (global_rows, _), share, rows, flips in zip(planned, shares, rows_of, flips_of):
        batch = pictures.index_select(0, rows)
        batch = torch.where(flips[:, None, None, None], batch.flip(2), batch)
        yield Batch(batch, share.start, len(global_rows))
