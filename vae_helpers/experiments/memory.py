"""Peak memory of training steps, ours and the plain loop's, each measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import to_float
from vae_helpers.experiments.plain import plain_step
from vae_helpers.experiments.speed import our_step
from vae_helpers.model import VAEConfig, pick_device


def peak_memory(image_size: int = 128, batch_size: int = 32, device: str | None = None) -> dict[str, float]:
    """Most memory of three training steps in MiB, beyond what the imports take, each kind in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "vae_helpers.experiments.memory",
        str(image_size),
        str(batch_size),
        str(pick_device(device)),
    ]
    package = str(Path(__file__).resolve().parents[2])  # importable from whichever folder this is called in
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return {
        kind: float(
            subprocess.run(
                [*command, kind], check=True, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": paths}
            ).stdout
        )
        for kind in ("plain", "ours")
    }


def _measure_memory(image_size: int, batch_size: int, device: torch.device, kind: str) -> float:
    config, before = VAEConfig(image_size=image_size), _peak(device)
    pictures = np.random.default_rng(0).integers(0, 256, (batch_size, image_size, image_size, 3), np.uint8)
    step: Callable[[Tensor], Tensor] = (
        plain_step(config, device) if kind == "plain" else our_step(config, device, batch_size, compiled=False)
    )
    for _ in range(3):
        step(to_float(pictures, device).contiguous() if kind == "plain" else torch.from_numpy(pictures)).item()
    return _peak(device) - before


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the process that started this one
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    print(_measure_memory(int(sys.argv[1]), int(sys.argv[2]), torch.device(sys.argv[3]), sys.argv[4]))
