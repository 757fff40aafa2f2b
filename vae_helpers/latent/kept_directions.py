"""Directions made by hand, kept with the run in `directions.json`: what was marked, and the way it gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.directions import direction_between
from vae_helpers.latent.kept_file import KeptFile

DIRECTIONS = "directions.json"


class KeptDirection(NamedTuple):
    """A direction with a name, and the pictures that were marked for it."""

    name: str
    vector: Tensor  # (latent_dim,): from those without it to those with it
    origin: Tensor  # (latent_dim,): the mean code of those without it
    p_value: float
    cosine: float  # expected, to the true direction
    has: tuple[str, ...]  # names of the pictures marked as having it
    has_not: tuple[str, ...]
    weights: str = ""  # what the codes were made by, as `chart_file.weights_stamp` says; to others it means nothing


def direction_by_hand(
    name: str, codes: Tensor, names: Sequence[str], has: Sequence[int], has_not: Sequence[int], weights: str = ""
) -> KeptDirection:
    """The direction between two marked groups of rows of codes (N, latent_dim) whose pictures are `names` (N,).

    InputError for a picture in both groups, fewer than 2 in one, or a name that is empty or too long.
    """
    both = sorted(set(has) & set(has_not))
    if both:
        raise InputError(f"{names[both[0]]!r} is marked both as having {name!r} and as not: unmark it in one group.")
    made = direction_between(codes[list(has_not)], codes[list(has)])
    return KeptDirection(
        _FILE.checked_name(name),
        made.vector,
        codes[list(has_not)].float().mean(dim=0),
        made.p_value,
        made.cosine,
        tuple(names[i] for i in has),
        tuple(names[i] for i in has_not),
        weights,
    )


def list_directions(folder: Path, latents: int | None = None) -> list[KeptDirection]:
    """The directions kept in a run's folder, oldest first; none where there is no file.

    InputError for a file that is damaged or, with `latents`, made with another model's codes.
    """
    found = _FILE.read(folder)
    wrong = [kept for kept in found if latents is not None and len(kept.vector) != latents]
    if wrong:
        raise InputError(
            f"the direction {wrong[0].name!r} in {folder / DIRECTIONS} has {len(wrong[0].vector)} latents, but this "
            f"model has {latents}: it was made with another model; move the file away."
        )
    return found


def keep_direction(folder: Path, kept: KeptDirection) -> None:
    """Add a direction to a run's folder, for good. InputError where its name is taken or the disk won't."""
    if not torch.isfinite(torch.stack([kept.vector, kept.origin])).all():
        raise InputError(f"the direction {kept.name!r} is not finite, so it cannot be kept: check the model's codes.")
    _FILE.add(folder, kept)


def remove_direction(folder: Path, name: str) -> None:
    """Take a direction out of a run's folder. InputError, with the names there are, where there is none."""
    _FILE.remove(folder, name)


def _plain(kept: KeptDirection) -> dict:
    return kept._asdict() | {"vector": kept.vector.tolist(), "origin": kept.origin.tolist()}


def _from_plain(entry: dict) -> KeptDirection:
    vector, origin = (torch.tensor(entry[key], dtype=torch.float32) for key in ("vector", "origin"))
    p_value, cosine = float(entry["p_value"]), float(entry["cosine"])
    has, has_not = (tuple(str(name) for name in entry[key]) for key in ("has", "has_not"))
    if (
        vector.dim() != 1
        or vector.shape != origin.shape
        or not len(vector)
        or not isinstance(entry["name"], str)
        or not torch.isfinite(torch.stack([vector, origin])).all()
        or not 0 <= p_value <= 1
        or not 0 <= cosine <= 1
        or not math.isfinite(float(vector.norm()))
    ):
        raise ValueError
    return KeptDirection(entry["name"], vector, origin, p_value, cosine, has, has_not, str(entry.get("weights", "")))


_FILE = KeptFile(DIRECTIONS, "directions", "mark the pictures again", _plain, _from_plain)
