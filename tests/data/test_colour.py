"""Colours as a viewer shows them: profiles, depth, odd modes; each in every format that can hold it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from profiles import four_inks, light_grey, wide_rgb

from vae_helpers.data import Square, decode, open_pictures, read_picture
from vae_helpers.data.decoding import _decode


def colourful(seed=0, size=64):
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def as_shown(picture, profile):
    """The same by Pillow's own door, whole."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return np.asarray(ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"), int)


def noted(path, size=64):
    from threading import Event

    return _decode(path, Square(size), Event())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.tif", {}),
        ("a.webp", {"lossless": True}),
        ("a.jpg", {"quality": 98}),
        ("a.avif", {"quality": 100}),
    ],
)
def test_an_rgb_profile_is_applied(tmp_path, name, options):
    colourful().save(tmp_path / name, icc_profile=wide_rgb(), **options)
    square, note = noted(tmp_path / name)
    assert np.abs(square - as_shown(colourful(), wide_rgb())).mean() < 2 and "converted from trial to sRGB" in note


def test_profiles_of_inks_and_of_grey(tmp_path):
    ink = colourful().convert("CMYK")
    for name, options in (("ink.tif", {}), ("ink.jpg", {"quality": 98})):
        ink.save(tmp_path / name, icc_profile=four_inks(), **options)
        assert np.abs(noted(tmp_path / name)[0] - as_shown(ink, four_inks())).mean() < 3
    assert np.abs(as_shown(ink, four_inks()) - np.asarray(ink.convert("RGB"), int)).mean() > 10
    grey = colourful().convert("L")
    grey.save(tmp_path / "grey.png", icc_profile=light_grey())
    assert np.array_equal(noted(tmp_path / "grey.png")[0], as_shown(grey, light_grey()))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    deep.save(tmp_path / "deep.png", icc_profile=light_grey())
    assert np.array_equal(decode(tmp_path / "deep.png", 64), decode(tmp_path / "grey.png", 64))


def test_a_profile_with_a_palette_and_with_transparency(tmp_path):
    palette = colourful().quantize(64)
    palette.save(tmp_path / "p.png", icc_profile=wide_rgb())
    assert np.array_equal(noted(tmp_path / "p.png")[0], as_shown(palette.convert("RGB"), wide_rgb()))
    clear = colourful()
    clear.putalpha(colourful(1).convert("L"))
    clear.save(tmp_path / "clear.png", icc_profile=wide_rgb())
    share = np.asarray(clear.getchannel("A"), float)[..., None] / 255
    expected = as_shown(colourful(), wide_rgb()) * share + 255 * (1 - share)
    assert np.abs(noted(tmp_path / "clear.png")[0] - expected).max() <= 1


def test_srgb_stays_as_it_is_and_a_useless_profile_is_told(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile, note in (
        (srgb, None),
        (b"junk" * 50, "has a colour profile that cannot be used"),
        (four_inks(), "has a colour profile that cannot be used"),
    ):
        colourful().save(tmp_path / "a.png", icc_profile=profile)
        square, said = noted(tmp_path / "a.png")
        assert np.array_equal(square, np.asarray(colourful())) and said == note


def test_a_profile_in_jpeg_2000(tmp_path):
    memory = io.BytesIO()
    colourful().save(memory, "JPEG2000")
    data, icc = memory.getvalue(), b"\2\0\0" + wide_rgb()
    at = data.index(b"colr") - 4
    old, new = struct.unpack(">I", data[at : at + 4])[0], struct.pack(">I", 8 + len(icc)) + b"colr" + icc
    header = data.index(b"jp2h") - 4
    size = struct.unpack(">I", data[header : header + 4])[0] + len(new) - old
    data = data[:header] + struct.pack(">I", size) + data[header + 4 : at] + new + data[at + old :]
    (tmp_path / "a.jp2").write_bytes(data)
    assert np.abs(noted(tmp_path / "a.jp2")[0] - as_shown(colourful(), wide_rgb())).mean() < 2


def test_lab_is_converted_and_shrinks_too(tmp_path):
    lab = ImageCms.profileToProfile(
        colourful(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    lab.save(tmp_path / "lab.tif")
    assert np.abs(decode(tmp_path / "lab.tif", 64).astype(int) - np.asarray(colourful())).mean() < 3
    assert decode(tmp_path / "lab.tif", 16, "pad").shape == (16, 16, 3)


def tiff(values, bits, photometric=1):
    """Grey uint16 as an uncompressed little-endian TIFF of 12 or 16 bits a pixel."""
    if bits == 12:
        a, b = values[:, ::2].astype(int), values[:, 1::2].astype(int)
        data = np.stack([a >> 4, (a & 15) << 4 | b >> 8, b & 255], -1).astype(np.uint8).tobytes()
    else:
        data = values.astype("<u2").tobytes()
    height, width = values.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(data)}
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + table + bytes(4)


def test_the_depth_that_a_tiff_states_and_white_as_zero(tmp_path):
    grey = np.asarray(colourful().convert("L")).astype(np.uint16)
    for content in (tiff(grey * 16 + 8, 12), tiff(65535 - grey * 257, 16, photometric=0)):
        (tmp_path / "a.tif").write_bytes(content)
        square, note = noted(tmp_path / "a.tif")
        assert np.array_equal(square[..., 0], grey) and note is None


def png16(values):
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", *values.shape[1::-1], 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in values))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def test_twelve_bits_in_sixteen_are_told(tmp_path, capsys):
    grey = np.asarray(colourful().convert("L")).astype(np.uint16)
    folder = tmp_path / "deep"
    folder.mkdir()
    Image.fromarray(grey * 16).save(folder / "grey.png")
    (folder / "colour.png").write_bytes(png16(np.asarray(colourful()).astype(np.uint16) * 16))
    Image.fromarray(grey * 257).save(folder / "full.png")
    (folder / "full_colour.png").write_bytes(png16(np.asarray(colourful()).astype(np.uint16) * 257))
    first = open_pictures(folder, 32, cache_dir=tmp_path / "cache", progress=False)
    assert set(first.notes) == {"grey.png", "colour.png"}
    assert "2 × uses at most 12 of its 16 bits" in capsys.readouterr().err
    again = open_pictures(folder, 32, cache_dir=tmp_path / "cache", progress=False)
    assert (
        again.notes == first.notes
        and again.remarks()[0].startswith("2 × uses at most 12")
        and (not capsys.readouterr().err)
    )


def test_further_pages_are_told(tmp_path):
    colourful().save(tmp_path / "pages.tif", save_all=True, append_images=[colourful(1)])
    square, note = noted(tmp_path / "pages.tif")
    assert np.array_equal(square, np.asarray(colourful())) and note == "has several pages, of which the first is taken"
    assert np.array_equal(read_picture(tmp_path / "pages.tif", 64), square)
