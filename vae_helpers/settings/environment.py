"""What the environment says about a training run: torchrun's variables, and how often to save. Nothing needs torch."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vae_helpers.errors import InputError, quoted

_SAVE_EVERY = 120.0  # seconds between checkpoints, unless said: what a power cut may cost


def rank_and_size(environment: Mapping[str, str]) -> tuple[int, int]:
    """This process's number among those that torchrun started, and how many they are: `(0, 1)` without torchrun.

    Raises InputError for an environment that torchrun would not leave, such as WORLD_SIZE without RANK.
    """
    size = _whole(environment, "WORLD_SIZE", 1, 65_536, missing=1)
    rank = _whole(environment, "RANK", 0, size - 1)
    if size == 1:
        return rank, size
    missing = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not environment.get(name)]
    if missing:
        raise InputError(
            f"the environment says WORLD_SIZE={size}, but has no {' and no '.join(missing)}, which torchrun sets "
            "for several processes: start with torchrun, or unset WORLD_SIZE."
        )
    _whole(environment, "MASTER_PORT", 1, 65_535)
    local_rank(environment)
    return rank, size


def local_rank(environment: Mapping[str, str]) -> int:
    """This process's number among those on its machine, 0 without torchrun; InputError as for `rank_and_size`."""
    size = _whole(environment, "WORLD_SIZE", 1, 65_536, missing=1)
    return _whole(environment, "LOCAL_RANK", 0, size - 1)


def save_every(environment: Mapping[str, str]) -> float:
    """Seconds between a run's checkpoints, VAE_SAVE_EVERY or 120; InputError for anything but a number from 0 on."""
    text = environment.get("VAE_SAVE_EVERY", str(_SAVE_EVERY))
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:  # NaN is not
        raise InputError(
            f"the environment's VAE_SAVE_EVERY is {quoted(text)}, but must be a number of seconds from 0 on: "
            "set it to one, or unset it."
        )
    return seconds


def _whole(environment: Mapping[str, str], name: str, low: int, high: int, missing: int = 0) -> int:
    text = environment.get(name, str(max(low, missing)))
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text) or not low <= int(text) <= high:
        raise InputError(
            f"the environment's {name} cannot be used, because {quoted(text)} is no whole number from {low:,} to "
            f"{high:,}: start with torchrun, or unset {name}."
        )
    return int(text)
