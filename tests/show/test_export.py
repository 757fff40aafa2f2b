"""Pictures that went to disk or to bytes are opened again and compared."""

import io
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.show import enlarged, save_frames, save_png, scrubber_html, tile, to_bytes, video_encoder

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


def opened_file(path):
    return np.asarray(Image.open(path).convert("RGB"))


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


def test_frames_are_enlarged_smoothly_and_by_whole_numbers():
    frames = np.stack([RAMP, RAMP[::-1]])
    large = enlarged(frames, 3)
    assert large.shape == (2, 3 * RAMP.shape[0], 3 * RAMP.shape[1], 3) and enlarged(frames, 1) is frames
    assert np.abs(large[:, 1::3, 1::3].astype(int) - frames).mean() < 4
    with pytest.raises(InputError, match="cannot be made 0 times as large"):
        enlarged(frames, 0)


def test_a_strip_has_its_captions_under_its_frames(tmp_path):
    frames = np.full((3, 64, 64, 3), 128, np.uint8)
    plain = opened_file(save_frames(frames, tmp_path / "plain.png"))
    captions = ["β = 1", "", "several words that do not fit beside each other"]
    labelled = opened_file(save_frames(frames, tmp_path / "labelled.png", captions=captions))
    assert np.array_equal(labelled[:64], plain) and len(labelled) > 64 + 2 * 9
    ink = [(labelled[64:, k * 66 : k * 66 + 64] < 128).mean() for k in range(3)]
    assert ink[1] == 0 and ink[2] > ink[0] > 0.005


def test_save_frames_png_is_one_strip(tmp_path):
    path = save_frames(FRAMES, tmp_path / "strip.PNG")
    assert np.array_equal(np.asarray(Image.open(path)), tile(FRAMES, 5))


@pytest.mark.parametrize("ending", [".gif", ".webp"])
@pytest.mark.parametrize(
    "ping_pong, levels", [(False, [0, 60, 120, 180, 240]), (True, [0, 60, 120, 180, 240, 180, 120, 60])]
)
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
    with pytest.raises(InputError, match="path.mov cannot be written.*.png, .gif, .webp, .mp4, .html"):
        save_frames(FRAMES, tmp_path / "path.mov")
    assert not list(tmp_path.iterdir())


def test_gif_palette_serves_all_frames(tmp_path):
    """Frames of different colours and smooth shades come back close, also after the palette is shared."""
    shades = np.stack([np.roll(RAMP, shift, axis=0) // (1, 2, 4) for shift in range(0, 32, 4)]).astype(np.uint8)
    shades = np.concatenate([shades, shades[..., ::-1]])
    with Image.open(save_frames(shades, tmp_path / "shades.gif", ping_pong=False)) as animation:
        for i, frame in enumerate(shades):
            animation.seek(i)
            difference = np.asarray(animation.convert("RGB")).astype(float) - frame
            assert np.abs(difference).mean() < 8 and np.abs(difference.mean(axis=(0, 1))).max() < 3


def test_save_frames_html_is_the_scrubber(tmp_path):
    captions = [f"step {i}" for i in range(5)]
    path = save_frames(FRAMES, tmp_path / "new" / "walk.html", 10, False, "A walk", captions)
    assert path.read_text(encoding="utf-8") == scrubber_html(FRAMES, "A walk", captions, fps=10, ping_pong=False)
    assert "<title>walk</title>" in save_frames(FRAMES, path).read_text(encoding="utf-8")


def no_encoder(monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    monkeypatch.setenv("PATH", "")


def test_no_encoder_gets_a_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    no_encoder(monkeypatch)
    with pytest.raises(InputError, match="needs a video encoder.*pip install imageio-ffmpeg"):
        save_frames(FRAMES, tmp_path / "new" / "path.mp4")
    assert not list(tmp_path.iterdir())


def test_the_package_comes_before_the_path(monkeypatch):
    package = types.SimpleNamespace(get_ffmpeg_exe=lambda: "/opt/its/ffmpeg")
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", package)
    assert video_encoder() == "/opt/its/ffmpeg"


def fake_encoder(tmp_path, monkeypatch, script):
    """An executable called ffmpeg, alone on the PATH, that runs this Python."""
    no_encoder(monkeypatch)
    fake = tmp_path / "bin" / "ffmpeg"
    fake.parent.mkdir()
    fake.write_text(f"#!{sys.executable}\nimport sys\n{script}\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(fake.parent))


@pytest.mark.skipif(sys.platform == "win32", reason="the fake encoder is a script with a shebang")
def test_a_film_pipes_raw_frames_of_even_sides_there_and_back(tmp_path, monkeypatch):
    fake_encoder(
        tmp_path,
        monkeypatch,
        "open(sys.argv[-1], 'wb').write(' '.join(sys.argv[1:]).encode() + b'|' + sys.stdin.buffer.read())",
    )
    path = save_frames(FRAMES[:, :15, :13], tmp_path / "films" / "odd.mp4", fps=10)
    arguments, raw = path.read_bytes().split(b"|", 1)
    assert b"-s 14x16" in arguments and b"-r 10" in arguments
    levels = np.frombuffer(raw, np.uint8).reshape(8, 16, 14, 3)
    for end in (levels.max, levels.min):
        assert end(axis=(1, 2, 3)).tolist() == [0, 60, 120, 180, 240, 180, 120, 60]
    assert [p.name for p in path.parent.iterdir()] == ["odd.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="the fake encoder is a script with a shebang")
def test_an_encoder_that_fails_is_quoted_and_the_old_film_stays(tmp_path, monkeypatch):
    fake_encoder(tmp_path, monkeypatch, "sys.stdin.buffer.read(); sys.exit('Unknown encoder libx264')")
    (tmp_path / "film.mp4").write_text("the old one")
    with pytest.raises(InputError, match="film.mp4 could not be encoded.*Unknown encoder libx264.*save as"):
        save_frames(FRAMES, tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_text() == "the old one"


def test_a_real_encoder_writes_a_film_that_decodes_to_the_frames(tmp_path):
    try:
        encoder = video_encoder()
    except InputError:
        pytest.skip("no video encoder here")
    colours = np.zeros((6, 32, 32, 3), np.uint8)
    colours[:2], colours[2:4], colours[4:] = (200, 40, 40), (40, 180, 60), (30, 60, 220)
    path = save_frames(colours, tmp_path / "film.mp4", ping_pong=False)
    raw = subprocess.run(
        [encoder, "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
    ).stdout
    film = np.frombuffer(raw, np.uint8).reshape(-1, 32, 32, 3)
    assert film.shape == colours.shape and np.abs(film.astype(int) - colours).max() <= 6


@pytest.mark.parametrize("ending", [".png", ".gif", ".webp", ".html"])
@pytest.mark.parametrize(
    "wrong, word",
    [({"frames": FRAMES[:0]}, "N at least 1"), ({"frames": FRAMES / 255}, "uint8"), ({"fps": 0}, "above 0")],
)
def test_save_frames_refuses_what_cannot_be_written(tmp_path, ending, wrong, word):
    with pytest.raises(InputError, match=word):
        save_frames(**{"frames": FRAMES, "path": tmp_path / f"path{ending}"} | wrong)
    assert not list(tmp_path.iterdir())
