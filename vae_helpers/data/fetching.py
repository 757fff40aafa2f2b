"""Ways for pictures to reach a notebook: Google Drive, an upload, or a public set."""

from __future__ import annotations

import errno
import io
import itertools
import lzma
import os
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from vae_helpers.data.downloading import HANDLES, download
from vae_helpers.data.folders import NOT_DATA, left_out_in_words, project_root, safe_parts
from vae_helpers.data.kinds import HEAD, KINDS, label_left_out, takes
from vae_helpers.errors import InputError, printable
from vae_helpers.files import say

WAYS = ("drive", "upload", *HANDLES)
# Pictures hardly shrink in a zip: what unpacks to more than this many bytes and times its size was made to fill a disk.
MAX_UNPACKED, MAX_RATIO = 256 << 20, 20
Read = Callable[["int | None"], bytes]
DRIVE = Path("/content/drive")


def fetch(way: str) -> Path:
    """Bring pictures here by `way` and return the folder that `open_pictures` takes.

    `"drive"` mounts Google Drive and returns its root, below which a folder can be named; `"upload"` asks for pictures
    or a zip of them and unpacks it to `data/uploaded` (the next one to `data/uploaded_2`); `"butterfly"` and `"animal"`
    download from Kaggle (see `download`). The first two exist on Colab only. Raises InputError for another way,
    elsewhere than on Colab, for an empty or broken upload.
    """
    if way not in WAYS:
        raise InputError(f"pictures cannot be fetched by {way!r}: choose one of {', '.join(WAYS)}, or leave it empty.")
    if way in HANDLES:
        return download(way)
    try:
        from google.colab import drive, files
    except ImportError:
        raise InputError(
            f"{way!r} works on Colab only: here, set DATASET to the folder that holds the pictures."
        ) from None
    if way == "drive":
        drive.mount(str(DRIVE))
        return DRIVE / "MyDrive"
    return unpack(files.upload())


def unpack(uploaded: dict[str, bytes]) -> Path:
    """Write uploaded files, `{name: bytes}`, and what is in zips among them, to a new folder below `data`.

    Only pictures are kept; a line on stderr counts what is left out. Each upload has its own folder, so two sets are
    never mixed, and it appears once it is whole. Raises InputError for an upload without pictures, for a zip that is
    damaged or unpacks to far more than it weighs, and when the disk is full.
    """
    root = project_root() / "data"
    places = (root / (f"uploaded_{n}" if n > 1 else "uploaded") for n in itertools.count(1))
    folder = next(place for place in places if not place.exists())
    aside, left_out = root / f".{folder.name}.{os.getpid()}", Counter()
    try:
        kept = sum(
            _keep(aside, inner, read, left_out)
            for name, content in uploaded.items()
            for inner, read in _members(name, content)
        )
        if not kept:
            held = f" (only {left_out_in_words(left_out)})" if left_out else ""
            raise InputError(
                f"the upload of {len(uploaded)} files holds no pictures{held}: choose {KINDS} files, or a zip of them."
            )
        os.rename(aside, folder)
    except OSError as error:
        raise InputError(
            f"the upload cannot be written to {folder} ({error.strerror}): free some space, or upload less."
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    say(f"Unpacked {kept:,} pictures{', left out ' + left_out_in_words(left_out) if left_out else ''}.")
    return folder


def _keep(folder: Path, name: str, read: Read, left_out: Counter[str]) -> bool:
    """Write one file below `folder` if it is a picture of a set; else count it in `left_out`."""
    parts = safe_parts(name)
    if not parts or any(part.startswith(".") for part in parts):
        return False  # hidden, as in a folder
    if odd := [part for part in parts if part.lower() in NOT_DATA]:
        left_out[f"file in {odd[0]}"] += 1
        return False
    if not takes(parts[-1], None) and not takes(parts[-1], head := read(HEAD)):
        left_out[label_left_out(parts[-1], head)] += 1
        return False
    place = folder.joinpath(*parts)
    data = read(None)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for n in itertools.count(2):
            if not place.exists():
                break
            place = place.with_name(f"{Path(parts[-1]).stem}_{n}{place.suffix}")  # another zip's picture of that name
        place.write_bytes(data)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        left_out["name that cannot be used"] += 1
        return False
    return True


def _members(name: str, content: bytes) -> Iterator[tuple[str, Read]]:
    """Names of the files in an upload, each with how to read its first `n` bytes or, given `None`, everything."""
    if not name.lower().endswith(".zip"):
        yield name, lambda n: content[:n]
        return
    with _plain_zip_errors(name):
        archive = zipfile.ZipFile(io.BytesIO(content))
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    room = MAX_UNPACKED + MAX_RATIO * len(content)

    def read(entry: zipfile.ZipInfo, n: int | None) -> bytes:
        """Bytes of one file, as long as all of them together are no more than there is room for."""
        nonlocal room
        room -= entry.file_size if n is None else n  # zipfile gives no more than that
        if room < 0:
            raise InputError(
                f"{printable(name)} holds far more than its {len(content) / 1e6:,.1f} MB when it is unpacked, "
                "as no pictures do: zip only the pictures."
            )
        with _plain_zip_errors(name), archive.open(entry) as file:
            return file.read(n)

    for entry in entries:
        yield entry.filename, partial(read, entry)


@contextmanager
def _plain_zip_errors(name: str) -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise InputError(
            f"{printable(name)} cannot be unpacked, because it is damaged or locked with a password "
            f"({printable(str(error))[:100]}): zip the folder again."
        ) from None
