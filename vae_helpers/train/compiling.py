"""Whether to compile the network, decided by what that would save in this run; and what the machine is."""

from __future__ import annotations

import os
import platform
import re
import shutil
from importlib.util import find_spec

import torch

from vae_helpers.files import say
from vae_helpers.model import OBJECTIVES, BetaVAE, pick_half
from vae_helpers.settings import TrainConfig
from vae_helpers.train.arithmetic import Arithmetic, processor
from vae_helpers.train.processes import Processes
from vae_helpers.train.remembered import StepTimes, recall_times, remember
from vae_helpers.train.trial import Trial, Way

# Measured on 2 cores: compiling takes 25 s and saves 2 ms a picture; on one busy core 106 s and 4.5 ms. So it pays from
# 12,000 to 24,000 pictures on; the margin is for slower machines. On a GPU a picture has less to save (not measured).
PAYS_ABOVE = {"cpu": 30_000, "cuda": 400_000}
_ROUNDS = 5  # steps of each trial, the first of which compiles: beside another process two can both be off


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


def compile_network(
    model: BetaVAE, config: TrainConfig, pictures: int, processes: Processes, decided: bool = False
) -> bool:
    """Compile `model` in place for batches of a set of `pictures`, if that works and is faster here => whether it is.

    Another model of that shape is compiled first, taken forward and back in the shapes of a step, timed beside one that
    is not compiled, and dropped: no weight, statistic or random number of the run changes, and its kernels serve the
    model; not so among several processes, where the wrapped network is compiled at its first step. What fails there, or
    is slower, is said in a line; what was measured is remembered for this machine, so that nothing is compiled in vain
    twice. Where it is `decided`, because a run goes on whose steps were compiled, its time is not asked for. All
    processes must call this; all compile, or none does.
    """
    batch = min(config.batch_size, pictures)
    key = _shape_of_step(model, config, batch, processes)
    times, works = recall_times(key), True
    if times is None or times.compiling_pays or decided:  # the trial also compiles for the model
        try:
            measured = time_step(model, config, batch, processes)
            times = times or measured
            remember(key, times)
        except Exception as error:  # from a code generator, a compiler's process, a driver: anything
            works = False
            say_why_not_compiled(error)
    if works and times is not None and not times.compiling_pays and not decided:
        eager, compiled = (f"{1000 * seconds:.0f} ms" for seconds in times)
        say(f"A compiled step takes {compiled} here, and {eager} as it is, so the network runs uncompiled.")
        works = False
    if processes.any(not works)[0]:
        torch._dynamo.reset()
        return False
    model.compile()  # in place: parameters keep their names, and only calls of the whole model are compiled
    return True


def time_step(model: BetaVAE, config: TrainConfig, batch: int, processes: Processes) -> StepTimes:
    """Take two models of this shape forward and back, one of them compiled: the least of four times each, in turn."""
    group = OBJECTIVES[config.objective].group
    groups = processes.share(batch // group)
    trial = Trial(model.config, config, (groups.stop - groups.start) * group, processes.device)
    like = Arithmetic(*_session_of(model), torch.get_num_threads())
    return StepTimes(*map(min, trial.seconds(Way(like), Way(like, compiled=True), _ROUNDS)))


def _shape_of_step(model: BetaVAE, config: TrainConfig, batch: int, processes: Processes) -> str:
    """What the time of a step hangs on."""
    machine = hardware(processes.device)
    parts = [*(machine[name] for name in ("cpu", "gpu", "threads", "torch")), *_session_of(model)]
    shape = [
        *model.config.as_dict().values(),
        batch,
        processes.size,
        config.num_samples,
        config.likelihood,
        OBJECTIVES[config.objective].group,
    ]
    return " | ".join(map(str, [*parts, *shape]))


def _session_of(model: BetaVAE) -> tuple[torch.dtype | None, bool]:
    return model.encoder.half, model.encoder.layout == torch.channels_last


def say_why_not_compiled(error: Exception) -> None:
    """Tell in a line that compiling failed, and what the compiler says."""
    say(f"Compiling does not work here ({_cause(error)}), so the network runs uncompiled.")


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
    config: TrainConfig,
    pictures_to_see: int,
    device: torch.device,
    resident: bool,
    arithmetic: Arithmetic,
    compiled: bool | None = None,
) -> str:
    """One line for the screen: device, arithmetic, whether compiled and why; `compiled` is None if it was not tried.

    Where it was tried in vain, `compile_network` has said why.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()
    half = arithmetic.as_dict()["half"]
    numbers = "float32" if half is None else f"{half} in the convolutions"
    numbers += "" if arithmetic.channels_last else ", channel after channel"
    if compiled:
        how = "compiled"
    elif compiled is False:
        how = "not compiled"
    elif not can_compile(device):
        how = "not compiled (no compiler for this device here)"
    elif pictures_to_see > PAYS_ABOVE[device.type]:
        how = "not compiled (as the run's settings say)"
    else:
        how = f"not compiled ({pictures_to_see:,} pictures to see; it pays above {PAYS_ABOVE[device.type]:,})"
    place = "on the device" if resident else "read ahead from the cache"
    threads = f", {torch.get_num_threads()} threads" if device.type == "cpu" else ""
    return f"{name}{threads}: {numbers}, {how}, pictures {place}."


def hardware(device: torch.device) -> dict:
    """What the figures were measured on: processor, GPU, threads, versions, load."""
    return {
        "cpu": processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "half": pick_half(device) and str(pick_half(device)).removeprefix("torch."),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }
