"""The device and its number format, and random numbers that follow from a seed of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch

from vae_helpers.errors import InputError


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The named device, or the fastest one here: CUDA, then Apple's MPS, then the CPU.

    It initialises no GPU: each of several processes is to initialise its own only. InputError for a device that is not
    here.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type != "cuda":
            torch.empty(1, device=device).cpu()  # "meta" holds no numbers that could be read back
        elif not 0 <= (device.index or 0) < torch.cuda.device_count():  # 999 comes out as -25
            raise RuntimeError
    except (RuntimeError, AssertionError):
        raise InputError(
            f"device {str(name)!r} is not available on this machine: use 'cpu', or leave it out."
        ) from None
    if device.type == "cuda":  # read at a session's first product of matrices: later is too late for `exact`
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return device


def pick_half(device: torch.device) -> torch.dtype | None:
    """The 16-bit type that this device multiplies fast, or None for float32 throughout."""
    if device.type == "cuda":
        # Older cards claim bfloat16 but emulate it, several times slower than float16.
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type == "cpu":
        flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        return torch.bfloat16 if "avx512_bf16" in flags or "amx_bf16" in flags else None
    return None


@contextmanager
def seeded(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Seed PyTorch's random numbers on the CPU (and on `device`) inside the block, and restore their state after it.

    `torch.manual_seed` would also seed every GPU, whose state `fork_rng` without them does not restore.
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


def in_float32(device: torch.device) -> AbstractContextManager:
    """A block without autocast. Does nothing where none is on: older torch refuses the device type of MPS."""
    kind = device.type
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()
