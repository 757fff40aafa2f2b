"""In which number format, memory layout and threads a step is fastest on this machine: found by timing a few steps."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TypeAlias

import torch

from vae_helpers.errors import ran_out_of_memory
from vae_helpers.files import say
from vae_helpers.model import OBJECTIVES, VAEConfig
from vae_helpers.settings import TrainConfig
from vae_helpers.train.arithmetic import Arithmetic, arithmetic_from, machine_of, usual_arithmetic
from vae_helpers.train.processes import Processes
from vae_helpers.train.remembered import recall, remember
from vae_helpers.train.trial import Trial, Way

Timing: TypeAlias = Callable[[Arithmetic, Arithmetic, bool], tuple[list[float], list[float]]]

# Pictures that a run must see to be timed for: the trial takes 20 to 40 steps of `_TRIAL_PICTURES`, about 5 %.
TIMED_ABOVE = {"cpu": 20_000, "mps": 20_000, "cuda": 200_000}
# Compiled, another layout may be the faster one: float32 on 2 cores by 15 % on one day, by less than 10 % on another.
# That takes two compilations, of which the run uses one: 105 s on 2 cores for both, where 12,000 pictures take that.
COMPILED_ABOVE = 200_000
_TRIAL_PICTURES = 32  # of a step on a CPU; a GPU is timed with the run's own batch
_ROUNDS = 5  # steps of each side of a comparison, in turn; the first warms up
# Of the time, and less each time: what two measurements differ by is no reason to leave what is usual. Beside another
# process a single one is off by any factor: 16 bits were once given up for good because of that.
_WORTH = 0.9


def choose_arithmetic(
    model_config: VAEConfig, config: TrainConfig, pictures_to_see: int, processes: Processes
) -> Arithmetic:
    """What was found fastest for such steps on this machine; found now if this run is long enough, else the usual.

    Compared are the usual and, one after the other, half as many threads (and half of those, while it pays), no 16 bits
    or, on a CPU that can emulate them, 16 bits, and the other layout, compiled in a run that is and that sees more than
    200,000 pictures. What saves less than 10 % is left. Nothing of the run changes: the steps are another model's. What
    was found is kept for this machine; where it cannot be kept it is not used, since two equal runs might then differ.
    Several processes take the usual, with torchrun's threads.
    """
    usual = usual_arithmetic(processes.device)
    if processes.size > 1:
        return usual._replace(threads=torch.get_num_threads())
    compiled = bool(config.compile) and pictures_to_see > COMPILED_ABOVE
    key = _key(model_config, config, usual, processes.device, compiled)
    found = arithmetic_from(recall(key), most=usual.threads)
    if found is None and pictures_to_see > TIMED_ABOVE.get(processes.device.type, math.inf):
        twice = ", compiled in both layouts, which takes a minute or two" if compiled else ""
        say(f"Timing a few steps in other number formats, layouts and threads{twice}, once for this machine …")
        try:
            found = _fastest(usual, _timings(model_config, config, processes.device), compiled, processes.device)
        except Exception as problem:
            if not ran_out_of_memory(problem):
                raise
            return usual  # where that does not fit either, training says so in its own words
        if not remember(key, found.as_dict()):
            return usual
    return found or usual


def _timings(model_config: VAEConfig, config: TrainConfig, device: torch.device) -> Timing:
    """What times two arithmetics against each other, compiled if asked and if that works."""
    group = OBJECTIVES[config.objective].group
    most = config.batch_size if device.type == "cuda" else min(config.batch_size, _TRIAL_PICTURES)
    trial = Trial(model_config, config, max(group, most // group * group), device)

    def seconds(one: Arithmetic, other: Arithmetic, compiled: bool) -> tuple[list[float], list[float]]:
        try:
            return trial.seconds(Way(one, compiled), Way(other, compiled), _ROUNDS)
        except Exception as problem:  # from a code generator, a compiler's process, a driver: anything
            if not compiled or ran_out_of_memory(problem):
                raise
            return trial.seconds(Way(one), Way(other), _ROUNDS)  # the run will be so too, and says why

    return seconds


def _fastest(usual: Arithmetic, seconds: Timing, compiled: bool, device: torch.device) -> Arithmetic:
    best = usual
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:  # else somebody has decided
        while best.threads >= 4 and _pays(best, best._replace(threads=best.threads // 2), seconds):
            best = best._replace(threads=best.threads // 2)
    other = None if usual.half is not None else _emulated_half(device)
    if (usual.half is not None or other is not None) and _pays(best, best._replace(half=other), seconds):
        best = best._replace(half=other)
    other_layout = best._replace(channels_last=not best.channels_last)
    return other_layout if _pays(best, other_layout, seconds, compiled) else best


def _pays(best: Arithmetic, other: Arithmetic, seconds: Timing, compiled: bool = False) -> bool:
    usual_times, other_times = seconds(best, other, compiled)
    always = all(its < usual for usual, its in zip(usual_times, other_times))
    return always and min(other_times) < _WORTH * min(usual_times)


def _emulated_half(device: torch.device) -> torch.dtype | None:
    """bfloat16 on a CPU whose kernels know it without the processor's promise to be fast at it."""
    known = device.type == "cpu" and torch.backends.mkldnn.is_available()  # Apple's PyTorch has no oneDNN
    return torch.bfloat16 if known and torch.ops.mkldnn._is_mkldnn_bf16_supported() else None


def _key(model_config: VAEConfig, config: TrainConfig, usual: Arithmetic, device: torch.device, compiled: bool) -> str:
    """What the fastest arithmetic hangs on."""
    step = [config.batch_size, config.num_samples, config.likelihood, OBJECTIVES[config.objective].group]
    fixed = "OMP_NUM_THREADS" in os.environ  # then no threads are tried
    parts = [
        "arithmetic",
        machine_of(device),
        fixed,
        compiled,
        *usual.as_dict().values(),
        *model_config.as_dict().values(),
        *step,
    ]
    return " | ".join(map(str, parts))
