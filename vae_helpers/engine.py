"""The machine: what it is, and whether to compile the network on it, decided by what that would save in this run."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.util import find_spec

import torch

from vae_helpers.recipe import TrainConfig, pick_half

# Measured on 2 cores: compiling takes 25 s and saves 2 ms a picture; on one busy core 106 s and 4.5 ms. So it pays from
# 12,000 to 24,000 pictures on; the margin is for slower machines. On a GPU a picture has far less to save (not measured).
PAYS_ABOVE = {"cpu": 30_000, "cuda": 400_000}


def can_compile(device: torch.device) -> bool:
    """Whether this machine has what `torch.compile` needs for `device`: a C++ compiler, or Triton."""
    if device.type == "cpu":
        return any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl"))
    return device.type == "cuda" and find_spec("triton") is not None


def decide_compile(config: TrainConfig, pictures_to_see: int, device: torch.device) -> bool:
    """The answer to `config.compile`, which if None means: if it can be done and pays."""
    if config.compile is None:
        return can_compile(device) and pictures_to_see > PAYS_ABOVE.get(device.type, float("inf"))
    return config.compile and can_compile(device)


def describe_engine(config: TrainConfig, pictures_to_see: int, device: torch.device, resident: bool) -> str:
    """One line for the screen: device, number format, whether compiled and why."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    half = pick_half(device)
    numbers = "float32" if half is None else f"{str(half).removeprefix('torch.')} in the convolutions"
    if config.compile:
        compiled = "compiled (the first step takes a minute or two)"
    elif not can_compile(device):
        compiled = "not compiled (no compiler for this device here)"
    else:
        compiled = f"not compiled ({pictures_to_see:,} pictures to see; it pays above {PAYS_ABOVE[device.type]:,})"
    place = "on the device" if resident else "read ahead from the cache"
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{name}{threads}: {numbers}, {compiled}, pictures {place}."


def hardware(device: torch.device) -> dict:
    """What the figures were measured on: processor, GPU, threads, versions, load."""
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), cpu)
    return {"cpu": cpu, "threads": torch.get_num_threads(), "torch": torch.__version__, "python": platform.python_version(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            "half": pick_half(device) and str(pick_half(device)).removeprefix("torch."),
            "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None}
