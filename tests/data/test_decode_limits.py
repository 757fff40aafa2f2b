"""Decoding what is hostile, huge or of a library that may not be there: limits, locks, pipes, reasons."""

import io
import os
import sys
import types
import zlib

import numpy as np
import pytest
from picture_files import RED, picture_bytes, quarters
from PIL import Image, ImageFile
from profiles import wide_rgb

from vae_helpers.data import (
    Square,
    Unreadable,
    decode,
    decode_blocks,
    decoding,
    is_candidate,
    is_temporary,
    jpeg_scans,
    kinds,
)


def with_chunk(kind, body):
    """A sound PNG with one chunk more."""
    chunk = len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
    data = picture_bytes("PNG")
    return data[:33] + chunk + data[33:]


@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 3_000_000)),
        (b"iCCP", b"p\0\0" + zlib.compress(b"x" * 3_000_000)),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * 3_000_000)),
    ],
    ids=["text", "profile", "XMP"],
)
def test_much_text_in_a_png_is_no_damage(tmp_path, chunk):
    (tmp_path / "a.png").write_bytes(with_chunk(*chunk))
    (tmp_path / "bare.png").write_bytes(picture_bytes("PNG"))
    assert decode(tmp_path / "a.png", 64).shape == (64, 64, 3)
    (tmp_path / "cut.png").write_bytes(with_chunk(*chunk)[:-3000])
    with pytest.raises(Unreadable, match="is damaged"):
        decode(tmp_path / "cut.png", 64)


def test_a_large_profile_behind_pillows_limit_is_applied(tmp_path):
    profile = wide_rgb()
    large = (len(profile) + 2_000_000).to_bytes(4, "big") + profile[4:] + bytes(2_000_000)
    body = b"p\0\0" + zlib.compress(large)
    data = io.BytesIO()
    quarters().save(data, "PNG")
    chunk = len(body).to_bytes(4, "big") + b"iCCP" + body + zlib.crc32(b"iCCP" + body).to_bytes(4, "big")
    (tmp_path / "large.png").write_bytes(data.getvalue()[:33] + chunk + data.getvalue()[33:])
    quarters().save(tmp_path / "small.png", icc_profile=profile)
    assert np.array_equal(decode(tmp_path / "large.png", 32), decode(tmp_path / "small.png", 32))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.tif", {}),
        ("a.webp", {}),
        ("a.avif", {}),
        ("a.jp2", {}),
        ("a.bmp", {}),
        ("a.jpg", {"progressive": True}),
    ],
)
def test_big_pictures_of_every_format_hold_the_lock(tmp_path, monkeypatch, name, options):
    monkeypatch.setattr(decoding, "BIG_PIXELS", 300 * 300)
    quarters(400, 400).save(tmp_path / name, **options)
    held, load = [], ImageFile.ImageFile.load

    def spy(self):
        held.append(decoding._one_big_one.locked())
        return load(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", spy)
    assert decode(tmp_path / name, 32).shape == (32, 32, 3)
    assert held and all(held) and not decoding._one_big_one.locked()


def test_scans_of_a_jpeg_are_bounded(tmp_path):
    data = io.BytesIO()
    quarters(64, 64).save(data, "JPEG", progressive=True)
    whole = data.getvalue()
    assert jpeg_scans(io.BytesIO(whole)) == 10 and jpeg_scans(io.BytesIO(picture_bytes())) == 1
    last = whole.rindex(b"\xff\xda")
    (tmp_path / "many.jpg").write_bytes(whole[:-2] + whole[last:-2] * 300 + whole[-2:])
    with pytest.raises(Unreadable, match="JPEG of 310 scans, more than the 100 allowed"):
        decode(tmp_path / "many.jpg", 32)
    film = whole + b"\xff\xda\0\2" * 500  # what a phone adds behind a picture
    assert jpeg_scans(io.BytesIO(film)) == 10
    assert jpeg_scans(io.BytesIO(b"\xff\xd8" + whole[2:40])) == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_pipes_devices_and_folders_are_not_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    for name, reason in (
        ("pipe.jpg", "is a pipe or a device"),
        ("device.jpg", "is a pipe or a device"),
        ("", "is a folder"),
    ):
        with pytest.raises(Unreadable, match=reason):
            decode(tmp_path / name, 16)
        assert not is_candidate("no suffix", tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_put_in_place_of_a_file_does_not_block(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(picture_bytes())
    os.mkfifo(tmp_path / "pipe.jpg")
    state = os.stat(tmp_path / "a.jpg")
    monkeypatch.setattr(os, "stat", lambda *_, **__: state)
    with pytest.raises(Unreadable, match="is a pipe"):
        decode(tmp_path / "pipe.jpg", 16)


def test_reasons_that_may_pass_are_told_from_damage(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(picture_bytes())
    for error, reason, passes in (
        (PermissionError(13, "Permission denied"), "may not be read", True),
        (MemoryError(), "does not fit", True),
        (OSError(5, "Input/output error"), "cannot be read now: Input/output error", True),
        (OSError("image file is \x1b[31mtruncated"), r"is damaged: image file is \\x1b\[31mtruncated", False),
    ):
        monkeypatch.setattr(decoding, "_open_square", lambda *_, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(Unreadable, match=reason) as caught:
            decode(tmp_path / "a.jpg", 16)
        assert is_temporary(str(caught.value)) is passes


def test_heic_is_taken_where_pillow_heif_is_installed(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (tmp_path / "really.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))

    def again():
        kinds.formats.cache_clear()
        kinds.suffixes.cache_clear()

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    again()
    assert not is_candidate("a.heic", tmp_path / "a.heic")
    with pytest.raises(Unreadable, match="is a HEIC picture: `pip install pillow-heif`"):
        decode(tmp_path / "really.jpg", 16)

    class Heif(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            self._mode, self._size = "RGB", (16, 16)
            self.tile = [("raw", (0, 0, 16, 16), 0, ("RGB", 0, 1))]

        def load(self):
            self.im = Image.new("RGB", (16, 16), RED).im

    def register():
        Image.register_open("HEIF", Heif, lambda head: head[4:12] == b"ftypheic")

    monkeypatch.setitem(sys.modules, "pillow_heif", types.SimpleNamespace(register_heif_opener=register))
    again()
    try:
        assert is_candidate("a.heic", tmp_path / "a.heic")
        assert (decode(tmp_path / "really.jpg", 16) == RED).all()
    finally:
        Image.OPEN.pop("HEIF", None)
        Image.ID.remove("HEIF")
        monkeypatch.undo()
        again()


def test_stopping_ends_after_the_pictures_in_hand(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(picture_bytes("PNG"))
    asked, real = [], decoding._Decoder.decode_part
    monkeypatch.setattr(decoding._Decoder, "decode_part", lambda *a: (asked.append(a), real(*a))[1])
    blocks = decode_blocks(tmp_path, ["a.png"] * 16, [np.arange(8), np.arange(8, 16)], Square(16), 1)
    next(blocks)
    blocks.close()  # as Ctrl-C does
    assert asked[-1][0].stop.is_set()
    assert all(is_temporary(reason) for reason in real(*asked[0]))  # what is begun after that is not decoded
