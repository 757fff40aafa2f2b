"""Fetch a public picture set from Kaggle into the project's data folder, through the package kagglehub."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

from vae_helpers.data.folders import find_folder
from vae_helpers.data.kinds import is_candidate
from vae_helpers.errors import InputError

HANDLES = {"butterfly": "phucthaiv02/butterfly-image-classification", "animal": "andrewmvd/animal-faces"}


def download(name: str) -> Path:
    """Download the `butterfly` or `animal` set into `data/butterfly_data` or `data/Animals_data`; return that folder.

    Pictures that are there already stay as they are. Raises `InputError` for another name, or when kagglehub, the
    network or a Kaggle account is missing.
    """
    if name not in HANDLES:
        raise InputError(f"there is nothing to download called {name!r}: choose {' or '.join(HANDLES)}.")
    folder = find_folder(name)
    page = f"https://www.kaggle.com/datasets/{HANDLES[name]}"
    by_hand = f"or download {page} in a browser and unpack it into {folder}"
    try:
        import kagglehub
    except ImportError:
        raise InputError(
            f"downloading needs the package kagglehub: `pip install kagglehub` and run this again, {by_hand}."
        ) from None
    try:
        fetched = Path(kagglehub.dataset_download(HANDLES[name]))
    except Exception as error:  # kagglehub passes on what requests, urllib3 or Kaggle raise
        raise InputError(
            f"Kaggle did not give {HANDLES[name]} ({type(error).__name__}: {_short(error)}): check the "
            f"network and the account (https://www.kaggle.com/settings → API), {by_hand}."
        ) from None
    if not _copy_pictures(fetched, folder):
        raise InputError(f"the download of {HANDLES[name]} holds no pictures: {by_hand.removeprefix('or ')}.")
    return folder


def _copy_pictures(fetched: Path, folder: Path) -> int:
    """Copy the pictures below `fetched` that `folder` has not, by species where a table says it; how many there are."""
    found, labels = 0, _labels(fetched)
    for file in sorted(fetched.rglob("*")):
        if file.is_file() and is_candidate(file.name, file):
            place = file.relative_to(fetched)
            if place.parts[0] == "train" and file.name in labels:
                place = Path("train", labels[file.name], file.name)
            found += 1
            if not (folder / place).exists():
                _copy(file, folder / place)
    return found


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{os.getpid()}.part")  # a copy that was cut short is no picture
    try:
        shutil.copyfile(file, aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _labels(fetched: Path) -> dict[str, str]:
    """Species by file name: the butterfly set lists them in a table instead of using sub-folders."""
    table = fetched / "Training_set.csv"
    if not table.is_file():
        return {}
    with open(table, newline="", encoding="utf-8", errors="replace") as file:
        return {row.get("filename"): _folder_name(row.get("label") or "") for row in csv.DictReader(file)}


def _folder_name(label: str) -> str:
    """A species as the name of one folder here: what a table says must not lead elsewhere."""
    kept = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in label)[:60]
    return kept.strip(" .") or "unlabelled"


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:100] or "no details"
