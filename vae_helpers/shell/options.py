"""What the shell's options may be: kinds of values with their ranges. Nothing heavy is imported here.

A kind is called with the words on the command line; it gives the value, or raises InputError.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vae_helpers.errors import InputError, quoted
from vae_helpers.files import expand, require_run_name
from vae_helpers.settings import BETA_SCHEDULES, ENDINGS, LIKELIHOODS, MODEL, OBJECTIVES, OPTIMIZERS, PAIRS, SCHEDULES
from vae_helpers.settings import RECIPE as RANGES

_LONGEST_PART, _LONGEST_PATH = 255, 4096  # bytes, on every system this runs on


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`."""

    low: int
    high: int

    def __call__(self, text: str) -> int:
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not self.low <= int(text) <= self.high:
            raise InputError(f"{quoted(text)} is no whole number from {self.low:,} to {self.high:,}")
        return int(text)


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`; `above` and `below` leave out the end itself."""

    low: float
    high: float
    above: bool = False
    below: bool = False

    def __call__(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not self.low <= value <= self.high or self.above and value == self.low or self.below and value == self.high:
            raise InputError(
                f"{quoted(text)} is no number {'above' if self.above else 'from'} {self.low:g} "
                f"{'to below' if self.below else 'to'} {self.high:g}"
            )
        return value


@dataclass(frozen=True)
class OneOf:
    """One of these names."""

    names: tuple[str, ...]

    def __call__(self, text: str) -> str:
        if text not in self.names:
            raise InputError(f"{quoted(text)} is unknown; choose one of {', '.join(self.names)}")
        return text


def image_size(text: str) -> int:
    """A side that the model can halve down to 4."""
    size = Whole(8, 4096)(text)
    if size & (size - 1):
        raise InputError(f"{size} is no power of two from 8 to 4096, which the encoder needs, such as 64, 128 or 256")
    return size


def widths(text: str) -> list[int]:
    """Channels after each block of the encoder, as `32,64,128`; whether their number fits is said with the size."""
    allowed = MODEL["widths"]
    return [Whole(int(allowed.low), int(allowed.high))(part.strip()) for part in text.split(",")]


def path(text: str) -> Path:
    """A file or folder, there or not; `~` is expanded."""
    if not text.strip():
        raise InputError("it is empty: give a path (is a variable of your script not set?)")
    try:
        raw = os.fsencode(text)
    except UnicodeEncodeError:
        raise InputError(f"{quoted(text)} is no path, because no file name can be encoded like that") from None
    if b"\0" in raw:
        raise InputError(f"{quoted(text)} is no path, because it holds a zero byte")
    if len(raw) > _LONGEST_PATH or max(map(len, re.split(rb"[/\\]" if os.sep == "\\" else b"/", raw))) > _LONGEST_PART:
        raise InputError(
            f"{quoted(text)} is longer than file systems take ({_LONGEST_PART} bytes a name, {_LONGEST_PATH:,} in all)"
        )
    return expand(text)


def source(text: str) -> str:
    """A folder of pictures, a file of them, or the name of a set."""
    return str(path(text))


def picture(text: str) -> str:
    """A picture file, or the number of a held-out one."""
    return text if is_number(text) else str(path(text))


def name(text: str) -> str:
    """The name of an attribute."""
    if not text.strip() or len(text) > 200:
        raise InputError(f"{quoted(text)} is no name of an attribute: give 1 to 200 letters")
    return text


def is_number(text: str) -> bool:
    """Whether a picture is meant by its number: digits, as many as a number of pictures has."""
    return text.isascii() and text.isdigit() and len(text) < 10


def animation(text: str) -> Path:
    """A file to write frames to, by its ending."""
    file = path(text)
    if file.suffix.lower() not in ENDINGS:
        raise InputError(f"{quoted(text)} ends in no kind of file this can write: end it in {', '.join(ENDINGS)}")
    return file


def device(text: str) -> str:
    """A kind of device that can train, perhaps with its number."""
    if not re.fullmatch(r"cpu|mps|(cuda|xpu)(:[0-9]{1,3})?", text):
        raise InputError(f"{quoted(text)} is no device that can train: give cpu, cuda, cuda:1 or mps, or leave it out")
    return text


def knob(text: str) -> tuple[str, float]:
    """`NAME=VALUE` of an objective."""
    name, _, value = text.partition("=")
    try:
        return name, Number(-1e9, 1e9)(value)
    except InputError:
        raise InputError(f"{quoted(text)} is not NAME=VALUE with a number, such as gamma=10") from None


class Setting(NamedTuple):
    """How a field of `TrainConfig` is given on the command line."""

    kind: Any  # called with the text; None for a switch
    metavar: str | None
    help: str


def _as(name: str) -> Whole | Number:
    """The range that a field of `TrainConfig` has, for its words on the command line."""
    allowed = RANGES[name]
    return Whole(*allowed[:2]) if allowed.whole else Number(*allowed[:2], allowed.above, allowed.below)


SEED = Whole(0, 2**32 - 1)  # fewer than Python takes: what an environment may hold as well
EPOCHS, BATCH, RATE, BETA = _as("epochs"), _as("batch_size"), _as("lr"), _as("beta")
LIMIT = Whole(1, 1_000_000)
MINUTES = Number(0, 10_000, above=True)
LATENTS = Whole(1, 65_536)
RECIPE: dict[str, Setting] = {  # by the names of TrainConfig's fields
    "epochs": Setting(EPOCHS, "N", "passes over the training pictures (250; quick: enough to see 20,000, at most 40)"),
    "batch_size": Setting(BATCH, "B", "pictures a step (128, fewer for many samples; quick: 32)"),
    "lr": Setting(RATE, "LR", "learning rate (0.005; quick: 0.002)"),
    "objective": Setting(OneOf(OBJECTIVES), "NAME", f"{', '.join(OBJECTIVES[:-1])} or {OBJECTIVES[-1]} (beta)"),
    "knobs": Setting(
        knob, "NAME=VALUE", "a number of that objective's own, such as gamma=10; may be given several times"
    ),
    "pairs": Setting(
        OneOf(PAIRS), "KIND", "of objective ada: factors, labels or views (the first of these that the set has)"
    ),
    "likelihood": Setting(
        OneOf(LIKELIHOODS),
        "NAME",
        f"reconstruction term: {', '.join(LIKELIHOODS[:-1])} or {LIKELIHOODS[-1]} (gaussian)",
    ),
    "scale": Setting(
        Number(0, 1e6, above=True), "S", "of that likelihood (gaussian: 0.707, so that it is the plain squared error)"
    ),
    "beta": Setting(BETA, "B", "weight of the KL, or of what the objective has in its place (1)"),
    "num_samples": Setting(_as("num_samples"), "K", "latent samples a picture (1)"),
    "seed": Setting(SEED, "S", "decides weights, order and noise (0)"),
    "start_from": Setting(
        require_run_name, "RUN", "begin with the weights of this run, such as shipped_butterflies (the seed draws them)"
    ),
    "optimizer": Setting(OneOf(OPTIMIZERS), "NAME", "adam or muon (adam; quick: muon, from 200 pictures on)"),
    "schedule": Setting(
        OneOf(SCHEDULES), "KIND", "of the learning rate: thirds or one-cycle (thirds; quick: one-cycle)"
    ),
    "warmup": Setting(_as("warmup"), "SHARE", "of the run over which learning rate and β rise (0.04)"),
    "clip": Setting(_as("clip"), "NORM", "gradient norm of each half of the model, at most (1)"),
    "flip": Setting(
        None,
        None,
        "mirror every other training picture (on); off where left and right differ, as by the "
        "built-in butterflies' shadow",
    ),
    "pictures_every": Setting(_as("pictures_every"), "N", "epochs between sheets of samples and reconstructions (10)"),
    "evaluate_every": Setting(_as("evaluate_every"), "N", "epochs between scores on held-out pictures (1)"),
    "beta_schedule": Setting(
        OneOf(BETA_SCHEDULES), "KIND", f"{', '.join(BETA_SCHEDULES[:-1])} or {BETA_SCHEDULES[-1]} (linear)"
    ),
    "beta_warmup": Setting(
        _as("beta_warmup"), "SHARE", "of the run over which β rises, where it is not that of the learning rate"
    ),
    "beta_cycles": Setting(_as("beta_cycles"), "N", "of the cyclical schedule (4)"),
    "early_stop": Setting(_as("early_stop"), "N", "end after N scores without a lower loss (0: never; quick: 8)"),
    "ema": Setting(_as("ema"), "D", "keep an average of the weights with this decay, e.g. 0.999 (0: none)"),
    "compile": Setting(None, None, "torch.compile (where the run is long enough to earn it back)"),
    "exact": Setting(None, None, "a resumed run equals an uninterrupted one bit for bit (on the CPU)"),
}
