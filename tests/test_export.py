"""Pictures that went to disk or to bytes are opened again and compared."""

import io

import numpy as np
import pytest
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.export import save_frames, save_png, tile, to_bytes

RAMP = np.broadcast_to(np.arange(0, 256, 8, dtype=np.uint8)[:, None, None], (32, 32, 3)).copy()
FRAMES = np.stack([np.full((16, 16, 3), level, np.uint8) for level in (0, 60, 120, 180, 240)])


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_tile_lays_out_row_by_row_on_white():
    sheet = tile(FRAMES, columns=3, gap=2)
    assert sheet.shape == (2 * 16 + 2, 3 * 16 + 2 * 2, 3)
    assert (sheet[:16, :16] == 0).all() and (sheet[:16, 18:34] == 60).all() and (sheet[18:, :16] == 180).all()
    assert (sheet[16:18] == 255).all() and (sheet[18:, 36:] == 255).all()  # the gap and the empty place


def test_tile_without_gap_is_a_concatenation():
    assert np.array_equal(tile(FRAMES, columns=5, gap=0), np.concatenate(list(FRAMES), axis=1))


def test_save_png_is_lossless_and_makes_folders(tmp_path):
    path = save_png(RAMP, tmp_path / "new" / "folder" / "ramp.png")
    assert np.array_equal(np.asarray(Image.open(path)), RAMP)


@pytest.mark.parametrize("kind, error", [("png", 0), ("jpeg", 4), ("webp", 8)])
def test_to_bytes_gives_a_picture_of_that_kind(kind, error):
    data = to_bytes(RAMP, kind)
    assert Image.open(io.BytesIO(data)).format == kind.upper()
    assert np.abs(opened(data).astype(int) - RAMP).max() <= error
    assert to_bytes(RAMP, kind) == data


def test_to_bytes_keeps_coloured_edges_sharp():
    """With chroma subsampling the two colours would bleed into each other."""
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:, :15], picture[:, 15:] = (200, 40, 40), (40, 40, 200)
    assert np.abs(opened(to_bytes(picture)).astype(int) - picture).mean() < 3


@pytest.mark.parametrize("scale, side", [(0.5, 16), (2, 64), (0.001, 1)])
def test_to_bytes_scales(scale, side):
    assert opened(to_bytes(RAMP, "png", scale)).shape == (side, side, 3)


def test_to_bytes_refuses_other_kinds_and_scales():
    with pytest.raises(InputError, match="'bmp' is not a kind.*jpeg, webp, png"):
        to_bytes(RAMP, "bmp")
    with pytest.raises(InputError, match="above 0"):
        to_bytes(RAMP, "png", 0)


def test_save_frames_png_is_one_strip(tmp_path):
    path = save_frames(FRAMES, tmp_path / "strip.PNG")
    assert np.array_equal(np.asarray(Image.open(path)), tile(FRAMES, 5))


@pytest.mark.parametrize("ending", [".gif", ".webp"])
@pytest.mark.parametrize("ping_pong, levels", [(False, [0, 60, 120, 180, 240]),
                                               (True, [0, 60, 120, 180, 240, 180, 120, 60])])
def test_save_frames_animates_there_and_back(tmp_path, ending, ping_pong, levels):
    path = save_frames(FRAMES, tmp_path / "new" / f"path{ending}", fps=10, ping_pong=ping_pong)
    with Image.open(path) as animation:
        assert animation.n_frames == len(levels)
        assert animation.info["loop"] == 0
        for i, level in enumerate(levels):
            animation.seek(i)
            animation.load()
            assert animation.info["duration"] == 100
            assert np.abs(np.asarray(animation.convert("RGB")).astype(int) - level).max() <= 3


def test_gif_frames_share_one_palette(tmp_path):
    path = save_frames(FRAMES, tmp_path / "path.gif")
    with Image.open(path) as animation:
        first = animation.getpalette()
        animation.seek(3)
        assert (animation.getpalette() or first) == first


def test_save_frames_refuses_other_endings(tmp_path):
    with pytest.raises(InputError, match="path.mov cannot be written.*.png, .gif, .webp"):
        save_frames(FRAMES, tmp_path / "path.mov")
    assert not list(tmp_path.iterdir())
