"""What is told about a folder's pictures, also when they come from the cache, and what is tried again."""

import numpy as np
import pytest
from PIL import Image
from profiles import wide_rgb

from vae_helpers.__main__ import main
from vae_helpers.data import decoding, folder_cache, open_pictures, read_notes, write_notes


@pytest.fixture
def folder(tmp_path):
    """Six pictures, two of them with a profile, and a photo of a kind that is not read."""
    (tmp_path / "pics").mkdir()
    for row in range(6):
        noise = Image.fromarray(np.random.default_rng(row).integers(0, 256, (20, 20, 3), np.uint8))
        noise.save(tmp_path / "pics" / f"{row}.png", **({"icc_profile": wide_rgb()} if row < 2 else {}))
    (tmp_path / "pics" / "raw.nef").write_bytes(b"II*\0" + bytes(40))
    return tmp_path / "pics"


def opened(folder, **options):
    return open_pictures(folder, 16, cache_dir=folder.parent / "cache", progress=False, **options)


def test_the_data_command_counts_what_was_done_and_left_out(folder, capsys):
    for _ in range(2):  # decoded, then from the cache
        assert main(["data", "--data", str(folder), "--image-size", "16"]) in (0, None)
        out, err = capsys.readouterr()
        assert "6 pictures" in out and "2 × was converted from trial to sRGB" in out
        assert "left out: 1 × .nef: save raw pictures as TIFF or JPEG" in out and "1 × .nef" in err


def test_notes_survive_an_interruption(folder, monkeypatch):
    real = folder_cache.decode_blocks

    def cut(*given):
        yield from real(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_cache, "decode_blocks", cut)
    with pytest.raises(KeyboardInterrupt):
        opened(folder)
    monkeypatch.setattr(folder_cache, "decode_blocks", real)
    assert set(opened(folder).notes) == {"0.png", "1.png"}


def test_torn_notes_are_none(tmp_path):
    for text in ("", "[1]", '{"a": 1}', "{"):
        (tmp_path / "notes.json").write_text(text)
        assert read_notes(tmp_path / "notes.json") == {}
    write_notes(tmp_path / "no folder" / "notes.json", {"a": "b"})


@pytest.mark.parametrize(
    "error", [PermissionError(13, "Permission denied"), MemoryError(), OSError(5, "Input/output error")]
)
def test_what_was_left_out_for_a_passing_reason_is_tried_again(folder, monkeypatch, error):
    tried, real = [], decoding.open_regular

    def closed(path):
        tried.append(path)
        if str(path).endswith("3.png"):
            raise error
        return real(path)

    monkeypatch.setattr(decoding, "open_regular", closed)
    for _ in range(2):
        assert [name for name, _ in opened(folder, allow_bad=0.5).skipped] == ["3.png"]
    assert len(tried) == 7  # the second time only the one in question
    monkeypatch.setattr(decoding, "open_regular", real)
    assert opened(folder).skipped == () and len(opened(folder)) == 6


def test_what_is_damaged_is_not_tried_again(folder, monkeypatch):
    (folder / "3.png").write_bytes(b"words")
    first = opened(folder, allow_bad=0.5)
    monkeypatch.setattr(folder_cache, "decode_blocks", lambda *_: pytest.fail("it was decoded again"))
    assert opened(folder, allow_bad=0.5).skipped == first.skipped == (("3.png", first.skipped[0][1]),)
