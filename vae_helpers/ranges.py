"""The ranges of numbers that decide a run, for the shell, a notebook and a file alike; without torch, so quick to ask."""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from vae_helpers.errors import InputError


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
    "epochs": Range(1, 1_000_000, whole=True), "batch_size": Range(2, 65_536, whole=True),  # BatchNorm needs 2
    "lr": Range(0, 10, above=True), "beta": Range(0, 1e12), "num_samples": Range(1, 1000, whole=True),
    "seed": Range(-2**63, 2**64 - 1, whole=True), "warmup": Range(0, 1, below=True),
    "clip": Range(0, math.inf, above=True),
    "pictures_every": Range(1, 1_000_000, whole=True), "evaluate_every": Range(1, 1_000_000, whole=True),
    "beta_warmup": Range(0, 1, below=True), "beta_cycles": Range(1, 1_000_000, whole=True),
    "early_stop": Range(0, 1_000_000, whole=True), "ema": Range(0, 1, below=True)}
MODEL = {"image_size": Range(8, 4096, whole=True), "latent_dim": Range(1, 16_384, whole=True),
         "widths": Range(1, 8192, whole=True)}


def one_of(name: str, value: Any, known: Sequence[str]) -> None:
    """Raise InputError, which calls it `name`, for a value that is none of the `known` words."""
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} {short(value)} is unknown; choose one of {', '.join(known)}.")


def as_seed(number: int) -> int:
    """A whole number of any size as one that torch's generators take: itself, or what is left of it in 64 bits."""
    return number if -2**63 <= number < 2**64 else number % 2**64


def short(value: Any) -> str:
    """A value as a sentence can hold it: its repr, cut, without control characters."""
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length():,} bits"  # Python refuses to print one of 4,300 digits
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
