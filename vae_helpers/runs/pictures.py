"""Whether pictures are those that a run was trained on, and which pictures a checkpoint may open.

A run keeps the fingerprint of each of its pictures and the part it was in. So a folder may move and files may be
renamed: the pictures are known again, and none changes sides between training and held-out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vae_helpers.data import (
    FOLDERS,
    UNDECIDED,
    UNKNOWN,
    PictureSet,
    Split,
    built_in_names,
    cache_folder,
    digest,
    find_folder,
    name_prints,
    open_pictures,
    project_root,
    sources_in,
    split_by_lowest_hash,
    split_by_name,
)
from vae_helpers.errors import InputError
from vae_helpers.files import say
from vae_helpers.settings import BUILT_IN

_MOST_DRAWN = 200_000  # pictures of a built-in set that are named anew: takes a second
ALIKE = 0.9  # of the smaller of two sets, that the larger holds too: then they count as one


class NoPictures(InputError):
    """The pictures of a run are not there, or nobody has said that they may be opened."""


def describe(pictures: PictureSet) -> dict:
    """What tells one picture set from another, in plain types and two tensors `(N,)`: fingerprints and parts."""
    return {
        "name": pictures.name,
        "pictures": len(pictures),
        "request": pictures.request,
        "prints": torch.from_numpy(prints_of(pictures).copy()),
        "sides": torch.from_numpy(_sides(pictures.split)),
    }


def in_short(pictures: PictureSet) -> dict:
    """The same in a line, for a JSON file: name, number and one fingerprint of all pictures."""
    return {"name": pictures.name, "pictures": len(pictures), "print": digest(sorted(prints_of(pictures).tolist()))}


def prints_of(pictures: PictureSet) -> np.ndarray:
    """The fingerprint of each picture, int64 `(N,)`; of pictures that were opened otherwise, that of their names."""
    return name_prints(pictures.names) if pictures.prints is None else pictures.prints


def as_in_run(pictures: PictureSet, name: str, data: Mapping[str, Any], other_pictures: bool = False) -> PictureSet:
    """The same pictures, each in the part that the run `name` had it in; `data` is what its checkpoint says of them.

    Raises InputError for pictures that are not the run's own, unless `other_pictures`: then those that the run knows
    keep their part, and the others are split as ever.
    """
    differing = difference(pictures, data)
    if differing and not other_pictures:
        raise InputError(
            f"these are not the pictures that the run {name!r} was trained on ({differing}): give its own "
            "with --data (DATASET in a notebook), or insist with `other_pictures=True`."
        )
    if differing:
        say(f"The run {name!r} was trained on other pictures ({differing}).")
    if (kept := _kept(data)) is not None:
        return replace(pictures, parts=_known_parts(prints_of(pictures), *kept))
    if pictures.factors is None:
        say(f"The run {name!r} is from a time before fingerprints: its pictures are compared by name and number only.")
    if differing:
        return pictures
    return replace(pictures, parts=_sides(split_by_lowest_hash(pictures.names, pictures.duplicates)))


def difference(pictures: PictureSet, data: Mapping[str, Any]) -> str:
    """In a few words, how pictures differ from those of a checkpoint's entry `data`; empty if they are the same."""
    kept = _kept(data)
    if kept is None:
        was, now = (data.get("name"), data.get("pictures")), (pictures.name, len(pictures))
        return "" if was == now else f"those were {was[1]} of {was[0]}, these are {now[1]} of {now[0]}"
    before, after = Counter(kept[0].tolist()), Counter(prints_of(pictures).tolist())
    gone, new = (before - after).total(), (after - before).total()
    if gone or new:
        return f"of its {before.total():,} pictures {gone:,} are not here, and {new:,} here are new or have changed"
    fits = _fits_differ(data, {"request": pictures.request})
    return f"those were opened with fit={fits[0]!r}, these with fit={fits[1]!r}" if fits else ""


def _fits_differ(data: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str] | None:
    """How two sets were cut to squares, where that differs."""
    first, second = ((each.get("request") or {}).get("fit", "crop") for each in (data, other))
    return None if first == second else (first, second)


def same_set(data: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether runs may be compared, of whose pictures checkpoints say `data` and `other`: by contents, not by request.

    Nine tenths of the smaller set must be in the larger one (of a built-in set a run may have seen more, or larger
    ones), cut alike, and none may be trained on in one run and held out in the other.
    """
    kept = [_kept(each) or _drawn(each) for each in (data, other)]
    if None in kept:
        return not _fits_differ(data, other) and all(data.get(key) == other.get(key) for key in ("name", "pictures"))
    (prints, sides), (others, other_sides) = (_each_once(*each) for each in kept)
    common, at, there = np.intersect1d(prints, others, assume_unique=True, return_indices=True)
    enough = 0 < ALIKE * min(len(prints), len(others)) <= len(common)
    return enough and not _fits_differ(data, other) and bool(((sides[at] == 0) == (other_sides[there] == 0)).all())


def open_for_run(
    name: str,
    saved: Mapping[str, Any],
    data: str = "",
    other_pictures: bool = False,
    progress: bool = True,
    opening: Mapping[str, Any] = {},
) -> PictureSet:
    """The pictures of a run whose checkpoint holds `saved`, each in its part; from `data` where that is said.

    A checkpoint may come from anyone. So on its word alone only a built-in set, the project's own `data/` and folders
    that were opened here before are opened, and nothing but which pictures and how to cut them is taken from it.
    `opening` is what somebody here says to `open_pictures` besides.
    Raises NoPictures where `data` must be said, InputError for pictures that are not the run's.
    """
    request = saved["data"]["request"] or {}
    source = data or request.get("source")
    if not data:
        _require_in_use(name, source)
    options = {key: request[key] for key in ("fit", "allow_bad", "limit", "seed") if key in request} | {**opening}
    pictures = open_pictures(source, saved["config"]["image_size"], progress=progress, **options)
    return as_in_run(pictures, name, saved["data"], other_pictures)


def _require_in_use(name: str, source: Any) -> None:
    """Refuse a path that nobody here has named, and one that is gone."""
    ask = "say where its pictures are with --data (DATASET in a notebook)"
    if not isinstance(source, str) or not source:
        raise NoPictures(f"the run {name!r} doesn't say which pictures it was trained on: {ask}.")
    if source in BUILT_IN or source in FOLDERS:
        return
    path = find_folder(source).resolve()
    if str(path) not in sources_in(cache_folder()) and not path.is_relative_to((project_root() / "data").resolve()):
        raise NoPictures(
            f"the run {name!r} was trained on pictures in {source}, which was never opened here, and a "
            f"checkpoint may not choose what is opened: {ask}."
        )
    if not path.exists():
        raise NoPictures(f"the pictures of the run {name!r} are no longer in {source}: {ask}.")


def _sides(split: Split) -> np.ndarray:
    """The part of each row as uint8 `(N,)`: 0 training, 1 validation, 2 test."""
    sides = np.empty(sum(map(len, split)), np.uint8)
    for side, rows in enumerate(split):
        sides[rows] = side
    return sides


def _kept(data: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Fingerprints and parts as a checkpoint has them; None in one from before there were any."""
    prints, sides = data.get("prints"), data.get("sides")
    if prints is None:
        return None
    kinds = [(tensor.dtype, tuple(tensor.shape)) for tensor in (prints, sides) if isinstance(tensor, torch.Tensor)]
    if (
        kinds != [(torch.int64, (data.get("pictures"),)), (torch.uint8, (data.get("pictures"),))]
        or not len(sides)
        or int(sides.max()) > 2
    ):
        raise InputError("what the checkpoint says of its pictures is damaged: use another checkpoint of the run.")
    return prints.numpy(), sides.numpy()


def _drawn(data: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """The same of a built-in set from before fingerprints: its names follow from the request. None of another set."""
    request, count = data.get("request") or {}, data.get("pictures")
    if request.get("source") not in BUILT_IN or not 2 <= count <= _MOST_DRAWN:
        return None
    names = built_in_names(BUILT_IN[request["source"]], count, request.get("seed", 0))
    return name_prints(names), _sides(split_by_name(names))


def _known_parts(prints: np.ndarray, known: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """The part of each print as the run has it; of two equal files in two parts both count as trained on."""
    if np.array_equal(prints, known):
        return sides
    known, sides = _each_once(known, sides)
    if not len(known):
        return np.full(len(prints), UNDECIDED, np.uint8)
    place = np.searchsorted(known, prints).clip(max=len(known) - 1)
    found = (known[place] == prints) & (prints != UNKNOWN)
    return np.where(found, sides[place], UNDECIDED).astype(np.uint8)


def _each_once(prints: np.ndarray, sides: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The known prints, sorted, each with the lowest of its parts: a copy that was trained on decides."""
    prints, sides = prints[prints != UNKNOWN], sides[prints != UNKNOWN]
    order = np.lexsort((sides, prints))
    once, first = np.unique(prints[order], return_index=True)
    return once, sides[order][first]
