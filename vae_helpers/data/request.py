"""What is asked of `open_pictures`, checked, as plain types that a checkpoint can hold."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from vae_helpers.errors import InputError
from vae_helpers.settings import Range, short

_RANGES = {
    "image_size": Range(4, 4096, whole=True),
    "limit": Range(1, math.inf, whole=True),
    "allow_bad": Range(0, 1),
    "seed": Range(0, 2**64 - 1, whole=True),
}


@dataclass(frozen=True)
class Request:
    """Which pictures and how they are cut; see `open_pictures`. InputError for what cannot be."""

    source: str | os.PathLike[str]
    image_size: int = 128
    fit: str = "crop"
    limit: int | None = None
    allow_bad: float = 0.01
    seed: int = 0

    def __post_init__(self):
        for name, allowed in _RANGES.items():
            if name != "limit" or self.limit is not None:
                object.__setattr__(self, name, allowed.take(f"`{name}`", getattr(self, name)))
        if self.fit not in ("crop", "pad"):
            raise InputError(
                f"`fit` is {short(self.fit)}, but must be 'crop' (the centre square) or 'pad' (everything, on grey)."
            )


@dataclass(frozen=True)
class CacheOptions:
    """The folder of caches, how many threads decode, and whether a bar shows it."""

    folder: Path
    workers: int
    progress: bool
