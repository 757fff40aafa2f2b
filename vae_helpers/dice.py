"""Dice of its own for whoever must draw the same numbers again, at no cost to the session's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_dice(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Inside, PyTorch's dice on the CPU (and on `device`) follow from `seed`; afterwards the session's are back.

    `torch.manual_seed` would also throw the dice of every GPU, which `fork_rng` without them does not put back.
    """
    kind = torch.device(device).type
    gpu = None if kind == "cpu" else torch.get_device_module(kind)
    before = None if gpu is None else gpu.get_rng_state()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        if gpu is not None:
            gpu.manual_seed(seed)
        try:
            yield
        finally:
            if gpu is not None:
                gpu.set_rng_state(before)
