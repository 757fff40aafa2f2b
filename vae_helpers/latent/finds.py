"""Codes that somebody found and gave a name, kept with the run in `finds.json`: a frame of a walk, a moved picture."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.kept_file import KeptFile

FINDS = "finds.json"


class Find(NamedTuple):
    """A code (latent_dim,) with a name; `weights` is what made it (`weights_stamp`): to others it means nothing."""

    name: str
    code: Tensor
    weights: str = ""


def list_finds(folder: Path) -> list[Find]:
    """The finds kept in a run's folder, oldest first. InputError for a file that is damaged."""
    return _FILE.read(folder)


def keep_find(folder: Path, find: Find) -> None:
    """Add a find to a run's folder. InputError for a name that is taken, a code that is not finite, a full disk."""
    if not torch.isfinite(find.code).all():
        raise InputError(f"the code of {find.name!r} is not finite, so it cannot be kept: start from another picture.")
    _FILE.add(folder, find)


def remove_find(folder: Path, name: str) -> None:
    """Take a find out of a run's folder. InputError where there is none of that name."""
    _FILE.remove(folder, name)


def _plain(find: Find) -> dict:
    return find._asdict() | {"code": find.code.tolist()}


def _from_plain(entry: dict) -> Find:
    code = torch.tensor(entry["code"], dtype=torch.float32)
    if code.dim() != 1 or not len(code) or not isinstance(entry["name"], str) or not torch.isfinite(code).all():
        raise ValueError
    return Find(entry["name"], code, str(entry.get("weights", "")))


_FILE = KeptFile(FINDS, "finds", "keep what you find again", _plain, _from_plain)
