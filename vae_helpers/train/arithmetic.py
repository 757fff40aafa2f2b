"""How a session computes its steps: number format, memory layout and threads; and the machine it does so on."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from vae_helpers.model import BetaVAE, pick_half

_HALVES = {None: None, "bfloat16": torch.bfloat16, "float16": torch.float16}
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # Linux: "200000 100000" are two processors' time, "max 100000" is all


class Arithmetic(NamedTuple):
    """How a session computes its steps: the convolutions' 16-bit type, or None; the layout; threads of the CPU."""

    half: torch.dtype | None
    channels_last: bool
    threads: int

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for a file."""
        half = None if self.half is None else str(self.half).removeprefix("torch.")
        return {**self._asdict(), "half": half}

    def apply_to(self, model: BetaVAE) -> BetaVAE:
        """Let the model compute so; the threads are the session's, see `using_threads`."""
        return model.set_half(self.half).set_layout(self.channels_last)


def arithmetic_from(found: Any, most: int = 1024) -> Arithmetic | None:
    """What `as_dict` made of it; None for anything else."""
    if not isinstance(found, Mapping) or not set(Arithmetic._fields) <= set(found):
        return None
    half, channels_last, threads = (found[name] for name in Arithmetic._fields)
    plain = half is None or isinstance(half, str)
    if not plain or half not in _HALVES or type(channels_last) is not bool or type(threads) is not int:
        return None
    return Arithmetic(_HALVES[half], channels_last, threads) if 1 <= threads <= most else None


def usual_arithmetic(device: torch.device) -> Arithmetic:
    """What is presumed fastest: 16 bits where the device has them, channels-last, and the threads that it may run."""
    return Arithmetic(pick_half(device), True, min(torch.get_num_threads(), _allowed_threads()))


@contextmanager
def using_threads(threads: int) -> Iterator[None]:
    """A block in which the CPU's sums are shared by so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine_of(device: torch.device) -> str:
    """The processor or GPU, and torch's version: what a step's time and its last bits hang on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return f"{device.type} {name}, torch {torch.__version__}"


def processor() -> str:
    """The CPU by its name, or by its kind where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _allowed_threads() -> int:
    """How many threads a container's share of the processors is good for: PyTorch counts those of the whole machine."""
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return 1024
