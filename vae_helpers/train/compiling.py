"""Whether to compile the network, decided by what that would save in this run; and what the machine is."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.util import find_spec

import torch

from vae_helpers.data import to_float
from vae_helpers.files import say
from vae_helpers.model import BetaVAE, pick_half, seeded, wants_activation
from vae_helpers.settings import TrainConfig
from vae_helpers.train.processes import Processes

# Measured on 2 cores: compiling takes 25 s and saves 2 ms a picture; on one busy core 106 s and 4.5 ms. So it pays from
# 12,000 to 24,000 pictures on; the margin is for slower machines. On a GPU a picture has less to save (not measured).
PAYS_ABOVE = {"cpu": 30_000, "cuda": 400_000}


def can_compile(device: torch.device) -> bool:
    """Whether this machine has what `torch.compile` needs for `device`; whether that works is another question.

    On the CPU that is a C++ compiler; on a GPU Triton, which builds its launchers with a C compiler and knows no card
    below capability 7.0.
    """
    if device.type == "cpu":
        return _has_compiler("CXX", "c++", "g++", "clang++", "cl")
    return (
        device.type == "cuda"
        and _has_compiler("CC", "cc", "gcc", "clang", "cl")
        and find_spec("triton") is not None
        and torch.cuda.get_device_capability(device) >= (7, 0)
    )


def _has_compiler(variable: str, *names: str) -> bool:
    return any(shutil.which(name) for name in (os.environ.get(variable, ""), *names) if name)


def compile_network(model: BetaVAE, config: TrainConfig, pictures: int, processes: Processes) -> bool:
    """Compile `model` in place for batches of a set of `pictures`, once that is shown to work here => whether it is.

    Another model of that shape is compiled first, taken forward and back in the shapes of a step, and dropped: no
    weight, statistic or random number of the run changes, and its kernels serve the model. What fails there is said in
    a line. All processes must call this; all compile, or none does.
    """
    problem = None
    try:
        _try_step(model, config, min(config.batch_size, pictures), processes)
    except Exception as error:  # from a code generator, a compiler's process, a driver: anything
        problem = error
        say(f"Compiling does not work here ({_cause(error)}), so the network runs uncompiled.")
    if processes.any(problem is not None)[0]:
        torch._dynamo.reset()
        return False
    model.compile()  # in place: parameters keep their names, and only calls of the whole model are compiled
    return True


def _try_step(model: BetaVAE, config: TrainConfig, batch: int, processes: Processes) -> None:
    part, size = processes.share(batch), model.config.image_size
    with seeded(0):
        trial = BetaVAE(model.config).to(processes.device).train().set_half(model.encoder.half)
    trial.compile()
    x = to_float(torch.zeros(part.stop - part.start, size, size, 3, dtype=torch.uint8), processes.device)
    noise = torch.zeros(config.num_samples, len(x), model.config.latent_dim, device=processes.device)
    outputs = trial(x, noise, wants_activation(config.likelihood))
    sum(output.sum() for output in outputs).backward()


def _cause(error: Exception) -> str:
    """The line of a long message that names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    cause = next((line for line in lines if re.search(r"\berror:", line)), lines[0])  # as compilers write it
    return f"{type(error).__name__}: {cause[:150]}"


def decide_compile(config: TrainConfig, pictures_to_see: int, device: torch.device) -> bool:
    """The answer to `config.compile`, which if None means: if it can be done and pays."""
    if config.compile is None:
        return can_compile(device) and pictures_to_see > PAYS_ABOVE.get(device.type, float("inf"))
    return config.compile and can_compile(device)


def describe_setup(
    config: TrainConfig, pictures_to_see: int, device: torch.device, resident: bool, compiled: bool = False
) -> str:
    """One line for the screen: device, number format, whether compiled and why."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    half = pick_half(device)
    numbers = "float32" if half is None else f"{str(half).removeprefix('torch.')} in the convolutions"
    if compiled:
        how = "compiled"
    elif config.compile:
        how = "not compiled (it was tried)"
    elif not can_compile(device):
        how = "not compiled (no compiler for this device here)"
    else:
        how = f"not compiled ({pictures_to_see:,} pictures to see; it pays above {PAYS_ABOVE[device.type]:,})"
    place = "on the device" if resident else "read ahead from the cache"
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{name}{threads}: {numbers}, {how}, pictures {place}."


def hardware(device: torch.device) -> dict:
    """What the figures were measured on: processor, GPU, threads, versions, load."""
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            cpu = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), cpu)
    return {
        "cpu": cpu,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "half": pick_half(device) and str(pick_half(device)).removeprefix("torch."),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }
