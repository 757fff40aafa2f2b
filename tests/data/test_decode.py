"""One file to one square: modes, orientation, sizes, and what cannot be read."""

import zlib

import numpy as np
import pytest
from picture_files import BLUE, GREEN, RED, picture_bytes, quarters
from PIL import Image, ImageOps

from vae_helpers.data import Unreadable, decode, is_candidate, resize_square


def corners(square):
    last = len(square) - 2
    return [tuple(int(v) for v in square[y, x]) for y, x in ((1, 1), (1, last), (last, 1), (last, last))]


def near(a, b, tolerance=3):
    return np.abs(np.asarray(a, int) - np.asarray(b, int)).max() <= tolerance


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "gif", "tif", "jpg", "JPEG"])
def test_every_format_gives_the_same_picture(tmp_path, suffix):
    path = tmp_path / f"picture.{suffix}"
    quarters().save(path, **({"lossless": True} if suffix == "webp" else {}))
    square = decode(path, 32)
    assert square.shape == (32, 32, 3) and square.dtype == np.uint8
    assert near(corners(square), [RED, GREEN, BLUE, (255, 255, 255)], 6)


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [(1, "rgbw"), (2, "grwb"), (3, "wbgr"), (4, "bwrg"), (5, "rbgw"), (6, "brwg"), (7, "wgbr"), (8, "gwrb")],
)
def test_exif_orientation_is_applied(tmp_path, orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters(96, 96).save(tmp_path / "turned.png", exif=exif)
    colours = {"r": RED, "g": GREEN, "b": BLUE, "w": (255, 255, 255)}
    assert corners(decode(tmp_path / "turned.png", 32)) == [colours[letter] for letter in expected]


def test_orientation_agrees_with_turning_a_wide_picture_first(tmp_path):
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (61, 98, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    picture.transpose(Image.Transpose.ROTATE_270).save(tmp_path / "first.png")
    for fit in ("crop", "pad"):
        assert near(decode(tmp_path / "turned.png", 32, fit), decode(tmp_path / "first.png", 32, fit), 1)


def test_crop_takes_the_centre_and_pad_keeps_everything(tmp_path):
    picture = Image.new("RGB", (96, 32), RED)
    picture.paste(GREEN, (32, 0, 64, 32))
    picture.save(tmp_path / "wide.png")
    assert (decode(tmp_path / "wide.png", 32) == GREEN).all()
    padded = decode(tmp_path / "wide.png", 96, "pad")
    assert (padded[:32] == 128).all() and (padded[64:] == 128).all()
    assert (padded[32:64] == np.asarray(picture)).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    values = np.array([[0, 257, 32896, 65535]], np.uint16).repeat(4, 0)
    for suffix in ("png", "tif"):
        Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
        assert decode(tmp_path / f"deep.{suffix}", 4)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_floats_and_wide_integers(tmp_path):
    def grey(values, name):
        Image.fromarray(values).save(tmp_path / name)
        return tmp_path / name

    ramp = np.array([[0, 0.2, 0.6, 1]], np.float32).repeat(4, 0)
    assert decode(grey(ramp, "unit.tif"), 4)[0, :, 0].tolist() == [0, 51, 153, 255]
    assert decode(grey(ramp * 255, "bytes.tif"), 4)[0, :, 0].tolist() == [0, 51, 153, 255]
    for values, name in ((ramp * 1e6, "wild.tif"), (ramp * np.nan, "nan.tif"), (np.int32(ramp * 1e9), "wide.tif")):
        with pytest.raises(Unreadable, match="values"):
            decode(grey(values, name), 4)


def test_transparency_lies_on_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (*RED, 0))
    clear.paste((*BLUE, 255), (0, 0, 8, 4))
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([*RED, *BLUE])
    palette.paste(1, (0, 0, 8, 4))
    palette.save(tmp_path / "P.png", transparency=0)
    clear.save(tmp_path / "RGBA.png")
    for name in ("P.png", "RGBA.png"):
        square = decode(tmp_path / name, 8)
        assert (square[:4] == BLUE).all() and (square[4:] == 255).all()
    Image.new("LA", (8, 8), (0, 51)).save(tmp_path / "LA.png")
    assert (decode(tmp_path / "LA.png", 8) == 204).all()


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(tmp_path, mode):
    path = tmp_path / ("picture.tif" if mode in ("CMYK", "1") else "picture.jpg")
    quarters().convert(mode).save(path)
    expected = np.asarray(quarters().convert(mode).convert("RGB"))
    assert near(decode(path, 64)[::9, ::9], expected[::9, ::9], 8)


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (32, 32), (0, 255, 255, 0)).save(tmp_path / "ink.jpg")
    assert near(decode(tmp_path / "ink.jpg", 8), np.full((8, 8, 3), (255, 0, 0)), 4)


def test_animations_give_their_first_frame(tmp_path):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN)]
    for suffix in ("gif", "webp", "png"):
        frames[0].save(tmp_path / f"film.{suffix}", save_all=True, append_images=frames[1:], lossless=True)
        assert near(decode(tmp_path / f"film.{suffix}", 8), np.full((8, 8, 3), RED), 2)


def test_jpeg_decoded_small_looks_like_jpeg_decoded_whole(tmp_path):
    ramp = np.linspace(0, 255, 1200)
    waves = 127 + 100 * np.sin(np.arange(1200) / 40)
    values = np.stack([ramp[None].repeat(1200, 0), waves[:, None].repeat(1200, 1), ramp[:, None].repeat(1200, 1)], 2)
    picture = Image.fromarray(values.astype(np.uint8))
    picture.save(tmp_path / "large.jpg", quality=95)
    picture.save(tmp_path / "large.png")
    assert near(decode(tmp_path / "large.jpg", 64), decode(tmp_path / "large.png", 64), 6)


def bomb(width, height):
    """A small valid PNG header that claims width × height pixels."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"only some words", "is not a JPEG"),
        (picture_bytes()[:700], "damaged: .*truncated"),
        (b"\xff\xd8\xff nothing more", "JPEG file that Pillow cannot read"),
        (bomb(40_000, 40_000), "more pixels"),
        (bomb(10_001, 10_000), "more than the 100 million"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not a JPEG"),
    ],
    ids=["empty", "words", "truncated", "only the start", "bomb", "too large", "PostScript"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_cannot_be_read_has_a_reason(tmp_path, content, reason):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        decode(tmp_path / "bad.jpg", 16)
    with pytest.raises(Unreadable, match="link to nothing"):
        decode(tmp_path / "missing.jpg", 16)


def test_candidates_go_by_suffix_or_by_first_bytes(tmp_path):
    for name, content, expected in (
        ("a.JPG", b"", True),
        ("b.tiff", b"", True),
        ("c.txt", picture_bytes(), True),
        ("d", picture_bytes(), True),
        ("e", picture_bytes("WEBP"), True),
        ("f", b"words", False),
        ("g.jpg.txt", b"", False),
        ("h.nef", b"II*\0" + bytes(40), False),
        ("i.dat", b"BM and other words, as many as it takes", False),
        ("j.AVIF", b"", True),
        ("k", picture_bytes("JPEG2000"), True),
    ):
        (tmp_path / name).write_bytes(content)
        assert is_candidate(name, tmp_path / name) is expected, name


def test_a_wrong_suffix_does_not_matter(tmp_path):
    (tmp_path / "really_a.jpg").write_bytes(picture_bytes("PNG"))
    assert decode(tmp_path / "really_a.jpg", 16).shape == (16, 16, 3)


def test_resize_square_takes_grey_and_colour():
    grey = np.full((6, 6), 7, np.uint8)
    assert (resize_square(grey, 4) == 7).all() and resize_square(grey[..., None], 4).shape == (4, 4, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["tif", "avif", "webp", "jpg"])
def test_every_format_is_turned_once(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{suffix}"
    quarters(96, 96).save(path, exif=exif, **({"compression": "tiff_lzw"} if suffix == "tif" else {"quality": 95}))
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB").resize((32, 32))
    assert near(corners(decode(path, 32)), corners(np.asarray(expected)), 12)


def test_crops_of_a_jpeg_decoded_small_are_not_shifted(tmp_path):
    for width, height in ((1201, 803), (1207, 901), (803, 1201)):  # halves and quarters of these are not whole
        ramp = np.linspace(0, 255, max(width, height))[:, None].repeat(min(width, height), 1)
        picture = Image.fromarray((ramp if height > width else ramp.T).astype(np.uint8))
        picture.save(tmp_path / "a.jpg", quality=100)
        picture.save(tmp_path / "a.png")
        small, whole = (decode(tmp_path / name, 32).astype(float) for name in ("a.jpg", "a.png"))
        assert abs((small - whole).mean()) < 0.2
