"""From cached uint8 pictures to batches on the device: order, reading ahead, pinning, transfer, the model's range."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from vae_helpers.errors import InputError

if TYPE_CHECKING:  # a folder that is not there is refused before torch is loaded
    import torch

Item = TypeVar("Item")
Result = TypeVar("Result")
_FLIP = 0x666C6970  # keeps the coin flips apart from the order


def order(n: int, seed: int, epoch: int) -> np.ndarray:
    """A permutation of 0 … n-1, int64: a function of its arguments alone, the same on every machine and version."""
    return np.argsort(_random_bits(np.arange(n), seed, epoch), kind="stable").astype(np.int64)


def plan(
    indices: np.ndarray, batch_size: int, seed: int, epoch: int, start: int = 0, flip: bool = True
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield `(rows, flips)` per batch of an epoch: int64 rows of the set, and which of them to mirror (bool).

    `batches` follows this plan; a trainer that keeps the pictures on its device follows it with the same result.
    `start` leaves out the first batches, to go on in the middle of an epoch.
    Whether a picture is mirrored depends on (seed, epoch, row) alone. The last batch is dropped when it is not full,
    except when it is the only one.
    """
    indices = np.asarray(indices, np.int64)
    if batch_size < 1:
        raise InputError(f"`batch_size` is {batch_size}, but must be at least 1.")
    if not len(indices):
        raise InputError("there are no pictures to make batches of: this part of the set is empty.")
    rows = indices[order(len(indices), seed, epoch)]
    for batch in range(start, max(1, len(rows) // batch_size)):
        part = rows[batch * batch_size : (batch + 1) * batch_size]
        coins = (_random_bits(part, seed ^ _FLIP, epoch) >> np.uint64(63)).astype(bool)
        yield part, coins if flip else np.zeros(len(part), bool)


def batches(
    pictures: np.ndarray, turns: Iterable[tuple[np.ndarray, np.ndarray]], pin: bool = False
) -> Iterator[torch.Tensor]:
    """Yield an epoch's batches as torch.uint8 `(B, H, W, 3)`, shuffled and mirrored as `turns`, a `plan`, says.

    A thread reads the next batch while this one is used; `pin` puts it in page-locked memory for a GPU. No file is
    opened: `pictures` is the memory map.

    A cache larger than memory: within a batch rows are read in the order they lie on the disk, so one batch is one
    forward sweep of B reads of H·W·3 bytes (49 KB at 128 pixels). A solid-state disk serves that at its random-read
    rate, about 20,000 pictures/s per GB/s, which no CPU can train on and only large GPUs outrun; whatever part fits
    stays in the page cache by itself. For a spinning or network disk copy the cache to a local solid-state disk
    (`cache_dir`). Rows lie in the order of a hash of their names, so any stretch of the file is already a fair
    sample: should random reads ever be the limit, shuffle stretches of 64 rows instead of rows.
    """
    yield from read_ahead(turns, lambda turn: gather(pictures, turn[0], turn[1], pin))


def read_ahead(items: Iterable[Item], read: Callable[[Item], Result]) -> Iterator[Result]:
    """Yield `read(item)` of each item in turn, a thread always being one ahead."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as reader:
        ahead = None
        try:
            for item in items:
                following = reader.submit(read, item)
                if ahead is not None:
                    yield ahead.result()
                ahead = following
            if ahead is not None:
                yield ahead.result()
        finally:
            reader.shutdown(wait=True, cancel_futures=True)


def gather(pictures: np.ndarray, rows: np.ndarray, flips: np.ndarray, pin: bool = False) -> torch.Tensor:
    """Rows of `pictures`, mirrored where `flips` says so, as torch.uint8 (n, H, W, 3); `pin`: in page-locked memory.

    They are read in the order they lie on the disk, and handed back in the asked order.
    """
    import torch

    forward = np.argsort(rows, kind="stable")
    out = np.empty((len(rows), *pictures.shape[1:]), np.uint8)
    for place in forward.tolist():
        out[place] = pictures[rows[place]]
    batch = torch.from_numpy(out)
    mirrored = torch.from_numpy(np.flatnonzero(flips))
    if len(mirrored):
        batch[mirrored] = batch[mirrored].flip(2)
    return batch.pin_memory() if pin else batch


def copy_to_gpu_if_it_fits(pictures: np.ndarray, device: torch.device) -> torch.Tensor | None:
    """All pictures as bytes on a GPU with room to spare for them, else None: batches then cost no transfer at all."""
    import torch

    if device.type != "cuda" or pictures.nbytes > 0.4 * torch.cuda.mem_get_info(device)[0]:
        return None
    return copy_to_device(pictures, device)


def copy_to_device(pictures: np.ndarray, device: torch.device) -> torch.Tensor:
    """uint8 pictures (N, H, W, 3) on `device`, copied in blocks so that a memory map is never in memory whole."""
    import torch

    held = torch.empty(pictures.shape, dtype=torch.uint8, device=device)
    for start in range(0, len(pictures), 1024):
        held[start : start + 1024] = torch.from_numpy(np.array(pictures[start : start + 1024])).to(device)
    return held


def to_float(pictures: np.ndarray | torch.Tensor, device: str | torch.device = "cpu") -> torch.Tensor:
    """uint8 `(N, H, W, 3)` to float32 `(N, 3, H, W)` in [-1, 1] on `device`, in channels_last memory format.

    Bytes travel to the device, a quarter of the floats. `to_uint8` undoes it exactly.
    """
    import torch

    if isinstance(pictures, np.ndarray):
        if not pictures.flags.writeable or not pictures.flags.c_contiguous:
            pictures = np.array(pictures)  # torch wants memory that it may write to
        pictures = torch.from_numpy(pictures)
    if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[-1] != 3:
        raise InputError(
            "pictures must be uint8 of shape (N, height, width, 3), not "
            f"{str(pictures.dtype).removeprefix('torch.')} of shape {tuple(pictures.shape)}."
        )
    # Only pinned memory may be left to a copy that nobody waits for: any other may be gone before it is read.
    moved = pictures.to(device, non_blocking=pictures.is_pinned()).permute(0, 3, 1, 2)
    return moved.to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1.0)


def to_uint8(x: torch.Tensor) -> np.ndarray:
    """Float `(N, 3, H, W)` in [-1, 1] to uint8 `(N, H, W, 3)` in numpy: clamped, then rounded to the nearest."""
    import torch

    if x.ndim != 4 or x.shape[1] != 3:
        raise InputError(f"expected pictures of shape (N, 3, height, width), not {tuple(x.shape)}.")
    levels = x.detach().float().add(1.0).mul(127.5).round().clamp(0, 255)
    return np.ascontiguousarray(levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())


def _random_bits(values: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """64 random-looking bits per value: three rounds of SplitMix64's mixing (Steele, Lea and Flood, 2014)."""
    bits = values.astype(np.uint64)
    for key in (seed, epoch, 0):
        bits = bits + np.array([key % 2**64], np.uint64) * np.uint64(0xD1342543DE82EF95) + np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        bits = bits ^ (bits >> np.uint64(31))
    return bits
