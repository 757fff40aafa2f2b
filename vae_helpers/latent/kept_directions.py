"""Directions made by hand, kept with the run in `directions.json`: what was marked, and the way it gave."""

from __future__ import annotations

import contextlib
import errno
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.files import only_builder, write_aside
from vae_helpers.latent.directions import direction_between

DIRECTIONS = "directions.json"
_FORMAT = "vae_helpers-directions-1"
_LONGEST = 60  # letters of a name: it stands beside a slider


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
        _checked_name(name),
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
    path = folder / DIRECTIONS
    try:
        content = json.loads(path.read_text("utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError
        found = [_from_plain(entry) for entry in content["directions"]]
        if len({kept.name for kept in found}) < len(found):
            raise ValueError
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise InputError(
            f"the directions in {path} cannot be read ({problem.strerror}): make the file readable."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path} does not hold directions, or it is damaged: move it away, and mark the pictures again."
        ) from None
    wrong = [kept for kept in found if latents is not None and len(kept.vector) != latents]
    if wrong:
        raise InputError(
            f"the direction {wrong[0].name!r} in {path} has {len(wrong[0].vector)} latents, but this "
            f"model has {latents}: it was made with another model; move the file away."
        )
    return found


def keep_direction(folder: Path, kept: KeptDirection) -> None:
    """Add a direction to a run's folder, for good. InputError where its name is taken or the disk won't."""
    _checked_name(kept.name)
    if not torch.isfinite(torch.stack([kept.vector, kept.origin])).all():
        raise InputError(f"the direction {kept.name!r} is not finite, so it cannot be kept: check the model's codes.")
    with _locked(folder):
        there = list_directions(folder)
        if any(other.name == kept.name for other in there):
            raise InputError(f"there is a direction {kept.name!r} already: remove it first, or take another name.")
        _write(folder, [*there, kept])


def remove_direction(folder: Path, name: str) -> None:
    """Take a direction out of a run's folder. InputError, with the names there are, where there is none."""
    with _locked(folder):
        there = list_directions(folder)
        left = [kept for kept in there if kept.name != name]
        if len(left) == len(there):
            known = ", ".join(kept.name for kept in there) or "none"
            raise InputError(f"there is no direction {name!r} in {folder / DIRECTIONS}; there are {known}.")
        _write(folder, left)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two explorers may keep directions at the same time; neither may lose the other's."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(only_builder(folder / f".{DIRECTIONS}.lock", progress=False))
        except OSError as problem:
            raise _unwritable(folder, problem) from None
        yield


def _write(folder: Path, kept: Sequence[KeptDirection]) -> None:
    entries = [each._asdict() | {"vector": each.vector.tolist(), "origin": each.origin.tolist()} for each in kept]
    try:
        write_aside(folder / DIRECTIONS, json.dumps({"format": _FORMAT, "directions": entries}, indent=1))
    except OSError as problem:
        raise _unwritable(folder, problem) from None


def _unwritable(folder: Path, problem: OSError) -> InputError:
    full = problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
    return InputError(
        f"the direction cannot be kept in {folder / DIRECTIONS} "
        f"({'the disk is full' if full else problem.strerror}): free some space, or make it writable."
    )


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


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise InputError(f"{name!r} cannot name a direction: give 1 to {_LONGEST} letters, such as 'smile'.")
    return name
