"""The ranges of numbers that decide a run, for the shell, a notebook and a file alike. Nothing here needs torch."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from vae_helpers.errors import InputError
from vae_helpers.settings.choices import LIKELIHOODS, OBJECTIVES


class Range(NamedTuple):
    """From `low` to `high`, ends included; `whole` numbers only; without `low` (`above`) or `high` (`below`) itself."""

    low: float
    high: float
    whole: bool = False
    above: bool = False
    below: bool = False

    def __str__(self) -> str:
        low, high = (f"{end:,}" if isinstance(end, int) else f"{end:g}" for end in (self.low, self.high))
        kind = "a whole number" if self.whole else "a number"
        start = f"above {low}" if self.above else f"from {low}"
        if self.high == math.inf:
            return f"{kind} {start} on"
        return f"{kind} {start} to {'below ' * self.below}{high}"

    def take(self, name: str, value: Any) -> int | float:
        """`value` as a plain int or float; raises InputError, which names it, for another type or one outside."""
        kind = numbers.Integral if self.whole else numbers.Real
        fits = isinstance(value, kind) and not isinstance(value, bool) and self.low <= value <= self.high  # NaN is not
        fits = fits and not (isinstance(value, int) and value.bit_length() > 1000)  # too large for a float
        if not fits or (self.above and value == self.low) or (self.below and value == self.high):
            raise InputError(f"{name} is {short(value)}, but must be {self}.")
        return int(value) if isinstance(value, numbers.Integral) else float(value)


RECIPE = {
    "epochs": Range(1, 100_000, whole=True),
    "batch_size": Range(2, 65_536, whole=True),  # BatchNorm needs 2
    "lr": Range(0, 10, above=True),
    "beta": Range(0, 1e12),
    "num_samples": Range(1, 1000, whole=True),
    "seed": Range(-(2**63), 2**64 - 1, whole=True),
    "warmup": Range(0, 1, below=True),
    "clip": Range(0, 1e9, above=True),
    "pictures_every": Range(1, 1_000_000, whole=True),
    "evaluate_every": Range(1, 1_000_000, whole=True),
    "beta_warmup": Range(0, 1, below=True),
    "beta_cycles": Range(1, 1_000_000, whole=True),
    "early_stop": Range(0, 1_000_000, whole=True),
    "ema": Range(0, 1, below=True),
}
MODEL = {
    "image_size": Range(8, 4096, whole=True),
    "latent_dim": Range(1, 16_384, whole=True),
    "widths": Range(1, 8192, whole=True),
}
_WEIGHT = Range(0.0, 1e12)
# An objective's own numbers, each with its default and range; what they do is told by the classes in `objectives`.
KNOBS: dict[str, dict[str, tuple[float, Range]]] = {
    "beta": {},
    "capacity": {"gamma": (1000.0, _WEIGHT), "capacity": (25.0, _WEIGHT), "rise": (1 / 3, Range(0, 1))},
    "tc": {"alpha": (1.0, _WEIGHT), "gamma": (1.0, _WEIGHT)},
    "tc-stratified": {"alpha": (1.0, _WEIGHT), "gamma": (1.0, _WEIGHT)},
    "factor": {
        "gamma": (6.4, _WEIGHT),
        "learning_rate": (1e-4, _WEIGHT),
        "layers": (6.0, Range(1, 32)),
        "width": (1000.0, Range(1, 4096)),
    },  # 2.1 GB at most
    "dip-1": {"off_diagonal": (10.0, _WEIGHT), "diagonal": (100.0, _WEIGHT)},
    "dip-2": {"off_diagonal": (10.0, _WEIGHT), "diagonal": (10.0, _WEIGHT)},
    "info": {
        "alpha": (0.0, Range(-1e12, 1)),
        "lambda": (1000.0, _WEIGHT),
        "imq": (0.0, Range(0, 1)),
        "bandwidth": (1.0, Range(1e-3, 1e3)),
    },
    "ada": {"k": (0.0, Range(0, 64))},
    "middle": {},
}
_WHOLE_KNOBS = ("layers", "width", "imq", "k")  # kept as floats, like all knobs
# s² = ½ makes the Gaussian the plain Σ(x-x̂)²; b = ½ gives the Laplace that same variance, 2b². For ssim the scale is
# its weight: at a usual 16 dB, mean squared error 0.1 and 1-SSIM 0.6 a value, both parts then weigh about the same.
SCALES = {"gaussian": 0.5**0.5, "laplace": 0.5, "ssim": 0.1}  # of the likelihoods that have one, unless said


def default_knobs(name: str) -> dict[str, float]:
    """The knobs of an objective with their defaults."""
    return {knob: default for knob, (default, _) in KNOBS[name].items()}


def require_objective(name: str, knobs: Mapping[str, float] | None = None) -> None:
    """Refuse an unknown objective, an unknown knob, and a value that a knob cannot have."""
    one_of("objective", name, OBJECTIVES)
    if knobs is not None and not isinstance(knobs, Mapping):
        raise InputError(f"knobs are {short(knobs)}, but must be numbers by name, such as {{'gamma': 10.0}}.")
    for knob, value in (knobs or {}).items():
        if knob not in KNOBS[name]:
            known = f"choose one of {', '.join(KNOBS[name])}" if KNOBS[name] else "leave knobs out, for it has none"
            raise InputError(f"objective {name!r} has no knob {short(knob)}: {known}.")
        said, allowed = f"knob {knob} of objective {name!r}", KNOBS[name][knob][1]
        taken = allowed.take(said, value)
        if knob in _WHOLE_KNOBS and taken != int(taken):
            raise InputError(f"{said} is {short(value)}, but must be {allowed._replace(whole=True)}.")


def require_likelihood(name: str, scale: float | None = None) -> None:
    """Refuse an unknown name, and a scale that is impossible or that this likelihood does not have."""
    one_of("likelihood", name, LIKELIHOODS)
    if scale is None:
        return
    if name not in SCALES:
        raise InputError(
            f"likelihood {name!r} takes no scale, but {short(scale)} was given: leave it out, or choose one of "
            f"{', '.join(SCALES)}."
        )
    Range(1e-6, 1.0 if name == "ssim" else 1e6).take("scale", scale)


def one_of(name: str, value: Any, known: Sequence[str]) -> None:
    """Raise InputError, which calls it `name`, for a value that is none of the `known` words."""
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} {short(value)} is unknown; choose one of {', '.join(known)}.")


def as_seed(number: int) -> int:
    """A whole number of any size as one that torch's generators take: itself, or what is left of it in 64 bits."""
    return number if -(2**63) <= number < 2**64 else number % 2**64


def short(value: Any) -> str:
    """A value as a sentence can hold it: its repr, cut, without control characters."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length():,} bits"  # Python refuses to print one of 4,300 digits
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
