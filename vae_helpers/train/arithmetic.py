"""In which number format, memory layout and threads a step is fastest on this machine: found by timing a few steps."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from vae_helpers.data import to_float
from vae_helpers.errors import ran_out_of_memory
from vae_helpers.files import say
from vae_helpers.model import OBJECTIVES, BetaVAE, VAEConfig, output_for, pick_half, seeded, wants_activation
from vae_helpers.settings import TrainConfig
from vae_helpers.train.processes import Processes
from vae_helpers.train.remembered import recall, remember

# Pictures that a run must see to be timed for: the trial takes 20 to 40 steps of `_TRIAL_PICTURES`, about 5 %.
TIMED_ABOVE = {"cpu": 20_000, "mps": 20_000, "cuda": 200_000}
# Compiled, another layout may be the faster one: float32 on 2 cores by 15 %, where uncompiled steps tell no difference.
# That takes two compilations, of which the run uses one; the other costs what 5,000 to 20,000 pictures do.
COMPILED_ABOVE = 100_000
_TRIAL_PICTURES = 32  # of a step on a CPU; a GPU is timed with the run's own batch
_ROUNDS = 5  # steps of each side of a comparison, in turn; the first warms up
_PLAIN = 2.0  # times as long: needs no further look
_WORTH = 0.9  # of the time: what two measurements differ by is no reason to leave what is usual
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


def choose_arithmetic(
    model_config: VAEConfig, config: TrainConfig, pictures_to_see: int, processes: Processes
) -> Arithmetic:
    """What was found fastest for such steps on this machine; found now if this run is long enough, else the usual.

    Compared are the usual and, one after the other, half as many threads (and half of those, while it pays), no 16 bits
    or, on a CPU that can emulate them, 16 bits, and the other layout, compiled in a run that is and that sees more than
    100,000 pictures. What saves less than 10 % is left. Nothing of the run changes: the steps are another model's. What
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
        trial = _Trial(model_config, config, processes.device)
        try:
            found = _fastest(
                usual, trial.seconds, trial.compiled_seconds if compiled else trial.seconds, processes.device
            )
        except Exception as problem:
            if not ran_out_of_memory(problem):
                raise
            return usual  # where that does not fit either, training says so in its own words
        if not remember(key, found.as_dict()):
            return usual
    return found or usual


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


def forward_and_back(model: BetaVAE, x: Tensor, noise: Tensor, config: TrainConfig) -> float:
    """Take a model forward and back as a step of such a run does; the seconds that this took."""
    began = time.perf_counter()
    outputs = model(x, noise, wants_activation(config.likelihood), OBJECTIVES[config.objective].infer)
    total = sum(output.sum() for output in outputs)
    total.backward()
    total.item()  # waits for a GPU
    return time.perf_counter() - began


Timing: TypeAlias = Callable[[Arithmetic, Arithmetic], tuple[float, float]]


class _Trial:
    """Steps of a model of a run's shape, timed."""

    def __init__(self, model_config: VAEConfig, config: TrainConfig, device: torch.device):
        group = OBJECTIVES[config.objective].group
        most = config.batch_size if device.type == "cuda" else min(config.batch_size, _TRIAL_PICTURES)
        size, count = model_config.image_size, max(group, most // group * group)
        self._config, self._device = config, device
        self._shape = VAEConfig(**{**model_config.as_dict(), "output": output_for(config.likelihood)})
        self._x = to_float(torch.zeros(count, size, size, 3, dtype=torch.uint8), device)
        self._noise = torch.zeros(config.num_samples, count, model_config.latent_dim, device=device)

    def compiled_seconds(self, one: Arithmetic, other: Arithmetic) -> tuple[float, float]:
        """As `seconds`, compiled; where that fails, uncompiled, since the run will be so too, and says why."""
        try:
            return self.seconds(one, other, compiled=True)
        except Exception as problem:  # from a code generator, a compiler's process, a driver: anything
            if ran_out_of_memory(problem):
                raise
            return self.seconds(one, other)

    def seconds(self, one: Arithmetic, other: Arithmetic, compiled: bool = False) -> tuple[float, float]:
        """The least time of a step in each, taken in turn; a plain difference ends it."""
        with seeded(0):
            models = [each.apply_to(BetaVAE(self._shape).to(self._device).train()) for each in (one, other)]
        for model in models if compiled else ():
            model.compile()
        taken: tuple[list[float], list[float]] = ([], [])
        for _ in range(_ROUNDS):
            for model, arithmetic, seconds in zip(models, (one, other), taken):
                with using_threads(arithmetic.threads):
                    seconds.append(forward_and_back(model, self._x, self._noise, self._config))
            times = [seconds[-1] for seconds in taken]
            if len(taken[0]) > 1 and max(times) > _PLAIN * min(times):
                break
        return min(taken[0][1:]), min(taken[1][1:])


def _fastest(usual: Arithmetic, seconds: Timing, of_layouts: Timing, device: torch.device) -> Arithmetic:
    best = usual
    if device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:  # else somebody has decided
        while best.threads >= 4 and _pays(best, best._replace(threads=best.threads // 2), seconds):
            best = best._replace(threads=best.threads // 2)
    other = None if usual.half is not None else _emulated_half(device)
    if (usual.half is not None or other is not None) and _pays(best, best._replace(half=other), seconds):
        best = best._replace(half=other)
    other_layout = best._replace(channels_last=not best.channels_last)
    return other_layout if _pays(best, other_layout, of_layouts) else best


def _pays(best: Arithmetic, other: Arithmetic, seconds: Timing) -> bool:
    usual_time, other_time = seconds(best, other)
    return other_time < _WORTH * usual_time


def _emulated_half(device: torch.device) -> torch.dtype | None:
    """bfloat16 on a CPU whose kernels know it without the processor's promise to be fast at it."""
    known = device.type == "cpu" and torch.backends.mkldnn.is_available()  # Apple's PyTorch has no oneDNN
    return torch.bfloat16 if known and torch.ops.mkldnn._is_mkldnn_bf16_supported() else None


def _allowed_threads() -> int:
    """How many threads a container's share of the processors is good for: PyTorch counts those of the whole machine."""
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return 1024


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
