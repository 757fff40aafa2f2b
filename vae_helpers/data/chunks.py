"""Scans, colour profiles and texts of JPEG, JPEG 2000 and PNG files, found without decoding them."""

from __future__ import annotations

import io
import re
import zlib
from typing import BinaryIO

MAX_PROFILE = 16 << 20  # bytes of a colour profile in a PNG; large ones for printers have 2 MB
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_TEXT = (b"tEXt", b"zTXt", b"iTXt")


def jpeg_scans(file: BinaryIO) -> int:
    """How many scans the first picture of a JPEG file has. One with more than one is held whole while decoded.

    Of a file with one scan only the head is read; 0 if the file ends before its first scan.
    """
    file.seek(2)
    components, progressive = 0, False
    while len(head := file.read(2)) == 2:
        if head[0] != 0xFF or head[1] in (0x00, 0xFF):
            file.seek(-1, io.SEEK_CUR)  # bytes between segments: look on
            continue
        length = int.from_bytes(file.read(2), "big")
        if head[1] in _FRAMES:
            progressive, components = head[1] in _PROGRESSIVE, file.read(6)[-1:]
            length -= 6
        if head[1] == 0xDA:
            in_scan = file.read(1)
            return 1 if in_scan >= components and not progressive else 1 + _further_scans(file.read())
        file.seek(max(0, length - 2), io.SEEK_CUR)
    return 0


def _further_scans(data: bytes) -> int:
    """Starts of scans up to the end of the picture; what a phone puts behind that, such as a film, is not looked at."""
    scans, found = 0, _NEXT_MARKER.search(data)
    while found and data[found.start() + 1] != 0xD9:
        scans += data[found.start() + 1] == 0xDA
        at = found.end()
        found = _NEXT_MARKER.search(data, at + int.from_bytes(data[at : at + 2], "big"))
    return scans


def jp2_profile(file: BinaryIO) -> bytes:
    """The ICC profile in a JPEG 2000 file, which Pillow does not look for; empty if there is none."""
    end = file.seek(0, io.SEEK_END)
    header = _box(file, 0, end, b"jp2h")
    colours = header and _box(file, *header, b"colr")
    if not colours or colours[1] - colours[0] > MAX_PROFILE:
        return b""
    file.seek(colours[0])
    body = file.read(colours[1] - colours[0])
    return body[3:] if body[:1] in (b"\2", b"\3") else b""


def _box(file: BinaryIO, at: int, end: int, kind: bytes) -> tuple[int, int] | None:
    """Where the contents of the first box of a kind lie between two places (ISO/IEC 15444-1, annex I)."""
    while at + 8 <= end:
        file.seek(at)
        length, found, first = int.from_bytes(file.read(4), "big"), file.read(4), at + 8
        if length == 1:
            length, first = int.from_bytes(file.read(8), "big"), at + 16
        if found == kind:
            return first, min(end, at + length) if length else end
        if length < first - at:
            return None  # the last box, or damaged
        at += length
    return None


def without_text(file: BinaryIO) -> tuple[io.BytesIO, bytes] | None:
    """A PNG without its texts and colour profile, and that profile; `None` for another file or where there are none.

    Pillow refuses a PNG whose texts or profile are over 1 MB, which is its own limit and no damage.
    """
    file.seek(0)
    if file.read(8) != b"\x89PNG\r\n\x1a\n":
        return None
    bare, profile, left_out = io.BytesIO(), b"", False
    bare.write(b"\x89PNG\r\n\x1a\n")
    while len(head := file.read(8)) == 8:
        body = file.read(int.from_bytes(head[:4], "big") + 4)  # with its checksum
        if head[4:] in (*_TEXT, b"iCCP"):
            left_out = True
            if head[4:] == b"iCCP":
                profile = _inflated(body[:-4])
        else:
            bare.write(head + body)
    bare.seek(0)
    return (bare, profile) if left_out else None


def _inflated(chunk: bytes) -> bytes:
    """The profile in an iCCP chunk; empty if it is damaged or too large."""
    try:
        unpacking = zlib.decompressobj()
        profile = unpacking.decompress(chunk[chunk.index(b"\0") + 2 :], MAX_PROFILE)
        return profile if unpacking.eof else b""
    except (ValueError, zlib.error):
        return b""
