"""Which files are pictures: by their name, and by their first bytes where the name does not say."""

from __future__ import annotations

import importlib
import os
import re
import stat
import warnings
from functools import cache
from os import PathLike
from pathlib import Path
from typing import BinaryIO

from PIL import Image, features

from vae_helpers.errors import printable

KINDS = "JPEG, PNG, WebP, AVIF, JPEG 2000, BMP, GIF or TIFF"
HEIF_ADVICE = "`pip install pillow-heif` and start Python anew to read HEIC, or save it as JPEG"
_SUFFIXES = {  # MPO (many phones) opens as JPEG
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",
    "PNG": ".png .apng",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "DIB": ".dib",
    "GIF": ".gif",
    "TIFF": ".tif .tiff",
    "AVIF": ".avif .avifs",
    "JPEG2000": ".jp2 .j2k .j2c .jpc .jpf .jpx",
    "HEIF": ".heic .heif .hif .heics",
    "PPM": ".ppm .pgm .pbm .pnm",
    "TGA": ".tga",
    "PCX": ".pcx",
    "SGI": ".sgi",
    "QOI": ".qoi",
    "PSD": ".psd",
}
_FEATURES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}  # what Pillow may have been built without
# Raw files of cameras begin like TIFF, and what Pillow finds in them is a thumbnail.
_RAW = frozenset(
    ".dng .nef .nrw .cr2 .cr3 .crw .arw .sr2 .srf .orf .rw2 .pef .raf .raw .rwl .3fr .iiq .kdc .dcr .mos "
    ".mef .erf .srw .x3f .gpr".split()
)
_UNREAD = frozenset([*_SUFFIXES["HEIF"].split(), *_SUFFIXES["AVIF"].split(), ".jxl", ".svg", ".eps", ".zip", *_RAW])
_MAGIC = [
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\xff\xd8\xff", "JPEG"),
        (rb"\x89PNG\r\n\x1a\n", "PNG"),
        (rb"RIFF....WEBP", "WEBP"),
        (rb"GIF8[79]a", "GIF"),
        (rb"BM.{4}\0{4}.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
        (rb"II[*+]\0|MM\0[*+]", "TIFF"),
        (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51\0", "JPEG2000"),
        (rb"....ftypavi[fs]", "AVIF"),
        (rb"....ftypm[is]f1.{4,12}avi[fs]", "AVIF"),
        (rb"....ftyp(?:he[ivm][cxms]|m[is]f1)", "HEIF"),
        (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
        (rb"8BPS\0\x01", "PSD"),
        (rb"qoif", "QOI"),
    )
]
HEAD = 32


class Unreadable(Exception):
    """This file gives no picture; the message is the reason, in a few words."""


@cache
def formats() -> tuple[str, ...]:
    """Pillow's names of the formats taken here; HEIF among them where pillow-heif is installed."""
    Image.init()
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        pass  # HEIC is then left out, and said to be
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an older Pillow does not know the name of a newer feature
        return tuple(
            kind
            for kind in _SUFFIXES
            if kind in Image.OPEN and (kind not in _FEATURES or features.check(_FEATURES[kind]))
        )


@cache
def suffixes() -> frozenset[str]:
    """The suffixes of the formats taken here."""
    return frozenset(suffix for kind in formats() for suffix in _SUFFIXES[kind].split())


def suffix_of(name: str) -> str:
    """The suffix in small letters."""
    return Path(name).suffix.lower()


def kind_of(head: bytes) -> str | None:
    """The kind of picture that begins with these 32 bytes."""
    return next((kind for magic, kind in _MAGIC if magic.match(head)), None)


def takes(name: str, head: bytes | None) -> bool:
    """Whether a file should be tried: it has a picture's suffix in any case, or else a picture's first bytes."""
    suffix = suffix_of(name)
    return suffix in suffixes() or (suffix not in _RAW and kind_of(head or b"") in formats())


def is_candidate(name: str, path: str | PathLike[str]) -> bool:
    """`takes` for a file on disk, which is opened only if its name does not decide and it is a regular file."""
    return takes(name, None) or takes(name, head_of(path))


def open_regular(path: str | PathLike[str]) -> BinaryIO:
    """Open a file for reading, unless it is a pipe or device, which could block for ever, or empty: `Unreadable`."""
    _require_regular(os.stat(path))  # a device may do something when it is opened
    # It may have been replaced since: opening must not block, and what was opened counts.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _require_regular(os.fstat(number))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def _require_regular(state: os.stat_result) -> None:
    if stat.S_ISDIR(state.st_mode):
        raise Unreadable("is a folder")
    if not stat.S_ISREG(state.st_mode):
        raise Unreadable("is a pipe or a device")
    if not state.st_size:
        raise Unreadable("is empty (0 bytes)")


def head_of(path: str | PathLike[str]) -> bytes | None:
    """The first 32 bytes, or `None` where they cannot be had."""
    try:
        with open_regular(path) as file:
            return file.read(HEAD)
    except (OSError, Unreadable):
        return None


def label_left_out(name: str, head: bytes | None = None) -> str:
    """What a file that is not taken is counted as: its suffix, else what its bytes say."""
    suffix = suffix_of(name)
    if not suffix or len(suffix) > 16:
        return kind_of(head or b"") or "no suffix"
    return printable(suffix)


def advice_left_out(labels) -> str:
    """What to do about pictures among what was left out; empty if there are none."""
    labels = set(labels)
    heif, raw = labels & {"HEIF", *_SUFFIXES["HEIF"].split()}, labels & _RAW
    parts = [HEIF_ADVICE] if heif else []
    parts += ["save raw pictures as TIFF or JPEG"] if raw else []
    parts += ["unpack .zip"] if ".zip" in labels else []
    rest = labels & (_UNREAD | {"AVIF", "JPEG2000", "JPEG XL"}) - heif - raw - {".zip"}
    parts += [f"save {', '.join(sorted(rest))} as PNG"] if rest else []
    return ", ".join(parts)
