"""Ways for pictures to reach a notebook: Google Drive, an upload, or a public set."""
from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path, PurePosixPath

from vae_helpers.kinds import takes
from vae_helpers.download import HANDLES, download
from vae_helpers.errors import InputError
from vae_helpers.sources import project_root

WAYS = ("drive", "upload", *HANDLES)
DRIVE = Path("/content/drive")


def fetch(way: str) -> Path:
    """Bring pictures here by `way` and return the folder that `open_pictures` takes.

    `"drive"` mounts Google Drive and returns its root, below which a folder can be named; `"upload"` asks for pictures or a
    zip of them and unpacks it to `data/uploaded` (the next one to `data/uploaded_2`); `"butterfly"` and `"animal"`
    download from Kaggle (see `download`). The first two exist on Colab only. Raises InputError for another way, elsewhere
    than on Colab, for an empty or broken upload.
    """
    if way not in WAYS:
        raise InputError(f"pictures cannot be fetched by {way!r}; choose one of {', '.join(WAYS)}, or leave it empty.")
    if way in HANDLES:
        return download(way)
    try:
        from google.colab import drive, files
    except ImportError:
        raise InputError(f"{way!r} works on Colab only: here, set DATASET to the folder that holds the pictures.") from None
    if way == "drive":
        drive.mount(str(DRIVE))
        return DRIVE / "MyDrive"
    return unpack(files.upload())


def unpack(uploaded: dict[str, bytes]) -> Path:
    """Write uploaded files, `{name: bytes}`, and what is in zips among them, to a new folder below `data`.

    Only pictures are kept. Each upload has its own folder, so two sets are never mixed.
    """
    root = project_root() / "data"
    places = (root / (f"uploaded_{n}" if n > 1 else "uploaded") for n in itertools.count(1))
    folder, kept = next(place for place in places if not place.exists()), 0
    for name, content in uploaded.items():
        for inner, data in _members(name, content):
            parts = [part for part in PurePosixPath(inner.replace("\\", "/")).parts if part not in ("/", "..", ".")]
            if parts and PurePosixPath(parts[-1]).suffix.lower() in SUFFIXES:
                place = folder.joinpath(*parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
                kept += 1
    if not kept:
        raise InputError(f"the upload of {len(uploaded)} files holds no pictures: choose JPEG, PNG or WebP files, or a zip of "
                         "them.")
    return folder


def _members(name: str, content: bytes):
    if not name.lower().endswith(".zip"):
        yield name, content
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, archive.read(entry)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, OSError, EOFError):
        raise InputError(f"{name} cannot be unpacked, because it is damaged or locked with a password: zip the folder "
                         "again.") from None
