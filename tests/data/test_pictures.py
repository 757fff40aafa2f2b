"""Folders and built-in sets as picture sets, with everything that can be wrong about a folder."""

import builtins
import io
import os
import random
import zlib

import numpy as np
import pytest
from PIL import Image

from vae_helpers.data import batches, open_pictures, plan, read_picture, synthetic
from vae_helpers.data import pictures as picture_sets
from vae_helpers.errors import InputError


def save_noise(path, seed, size=(40, 30), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    small.convert(mode).save(path)


@pytest.fixture
def folder(tmp_path):
    for row in range(40):
        save_noise(tmp_path / "Some Pictures!" / ("red", "blue")[row % 2] / f"{row}.png", row)
    return tmp_path / "Some Pictures!"


def opened(source, tmp_path, **options):
    return open_pictures(source, **{"image_size": 16, "cache_dir": tmp_path / "cache", "progress": False, **options})


def test_a_folder_becomes_a_picture_set(folder, tmp_path):
    pictures = opened(folder, tmp_path)
    assert len(pictures) == 40 and pictures.name == "some_pictures" and pictures.source == str(folder)
    assert pictures.pictures.shape == (40, 16, 16, 3) and pictures.pictures.dtype == np.uint8
    assert not pictures.pictures.flags.writeable and pictures.factors is None and pictures.skipped == ()
    for row in (0, 17, 39):
        assert (pictures.pictures[row] == read_picture(folder / pictures.names[row], 16)).all()
        assert pictures.names[row].startswith(pictures.labels[row] + "/")
    assert sorted(np.concatenate(pictures.split)) == list(range(40))


def test_the_parts_of_a_set_are_copies_of_its_rows(folder, tmp_path):
    pictures = opened(folder, tmp_path)
    for part, rows in zip((pictures.training, pictures.validation, pictures.test), pictures.split):
        assert part.dtype == np.uint8 and (part == pictures.pictures[rows]).all() and len(part) == len(rows)
        part[:] = 0  # a copy: the cache stays as it is
    assert pictures.training.any() and "training" not in vars(pictures)  # made anew, not kept in memory


def test_the_cache_follows_the_folder_and_the_options(folder, tmp_path):
    first = opened(folder, tmp_path)
    assert opened(folder, tmp_path).cache == first.cache
    others = {
        opened(folder, tmp_path, **options).cache for options in ({"image_size": 8}, {"fit": "pad"}, {"limit": 10})
    }
    save_noise(folder / "red" / "0.png", 999)
    others.add(opened(folder, tmp_path).cache)
    assert len(others) == 4 and first.cache not in others


def test_the_number_of_threads_changes_nothing(folder, tmp_path):
    one = opened(folder, tmp_path, workers=1, cache_dir=tmp_path / "one")
    many = opened(folder, tmp_path, workers=7, cache_dir=tmp_path / "many")
    assert (one.pictures == many.pictures).all() and one.names == many.names


def test_a_limit_takes_a_stable_part_of_both_labels(folder, tmp_path):
    part = opened(folder, tmp_path, limit=10)
    assert len(part) == 10 and sorted(part.labels) == ["blue"] * 5 + ["red"] * 5
    whole = opened(folder, tmp_path)
    sides = {whole.names[row]: side for side, rows in enumerate(whole.split) for row in rows}
    assert len(opened(folder, tmp_path, limit=1000)) == 40
    kept = [row for side, rows in enumerate(part.split) for row in rows if sides[part.names[row]] == side]
    assert len(kept) >= 8  # all, but for the parts that ten pictures would leave empty


def test_copies_are_reported_and_kept_on_one_side(folder, tmp_path):
    for row in range(0, 40, 4):
        source = folder / "red" / f"{row}.png"
        Image.open(source).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"copy{row}.jpg", quality=90)
    pictures = opened(folder, tmp_path)
    groups = {frozenset(pictures.names[row] for row in group) for group in pictures.duplicates}
    assert groups == {frozenset({f"red/{row}.png", f"copy{row}.jpg"}) for row in range(0, 40, 4)}
    for group in pictures.duplicates:
        assert sum(bool(np.isin(group, rows).any()) for rows in pictures.split) == 1
    parts = "({} train, {} validation, {} test)".format(*map(len, pictures.split))
    assert pictures.in_words() == f"50 pictures {parts}, 0 skipped, 10 groups of near-duplicates"
    assert (pictures.cache / "duplicates.json").exists() and opened(folder, tmp_path).duplicates == pictures.duplicates


def test_a_held_out_part_of_few_pictures_is_said(folder, tmp_path, capsys):
    assert len(opened(folder, tmp_path).split.validation) < 32
    assert "a small part, whose scores say little: of 40 pictures validation has" in capsys.readouterr().err


def test_what_to_expect_of_few_photos_is_said_and_of_many_or_drawn_ones_nothing(folder, tmp_path, monkeypatch):
    photos, drawn = opened(folder, tmp_path), opened("butterflies", tmp_path, limit=40)
    assert photos.expectation().startswith(f"{len(photos.split.train)} training pictures are few")
    assert drawn.expectation() == "" and drawn.in_words().startswith("40 pictures (") and drawn.in_words()[-1] == ")"
    monkeypatch.setattr(picture_sets, "FEW_TO_LEARN", len(photos.split.train))
    assert photos.expectation() == ""


def test_no_file_is_opened_during_training(folder, tmp_path, monkeypatch):
    pictures = opened(folder, tmp_path)
    train = pictures.split.train

    def refuse(*args, **kwargs):
        raise AssertionError(f"opened {args}")

    for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (Image, "open")):
        monkeypatch.setattr(module, name, refuse)
    assert sum(len(batch) for epoch in range(3) for batch in batches(pictures.pictures, plan(train, 8, 0, epoch))) == 96


@pytest.mark.parametrize(("source", "name"), [("synthetic", "butterflies"), ("animals", "animals")])
def test_the_built_in_sets_come_with_their_factors(source, name, tmp_path):
    pictures = opened(source, tmp_path, limit=40, seed=3)
    assert pictures.name == name and pictures.names[7] == f"{name}/seed3/000007" and len(pictures) == 40
    assert (pictures.factors == synthetic.sample_factors(name, 40, 3)).all()
    assert pictures.factor_table == synthetic.SETS[name] and pictures.duplicates == ()
    rows = [0, 39]
    assert (pictures.pictures[rows] == synthetic.render(pictures.factors[rows], 16, name)).all()
    assert opened(source, tmp_path, limit=40, seed=4).cache != pictures.cache


def test_a_change_of_the_drawing_code_draws_anew(tmp_path, monkeypatch):
    before = opened("butterflies", tmp_path, limit=4).cache
    monkeypatch.setattr(synthetic, "DRAWING_VERSION", synthetic.DRAWING_VERSION + 1)
    assert opened("butterflies", tmp_path, limit=4).cache != before


def test_one_picture_can_be_looked_at_but_not_split(tmp_path):
    save_noise(tmp_path / "one" / "a.png", 0)
    pictures = opened(tmp_path / "one", tmp_path)
    assert len(pictures) == 1
    with pytest.raises(InputError, match="at least two pictures"):
        _ = pictures.split


def test_bad_files_are_skipped_listed_and_counted(folder, tmp_path, capsys):
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "words.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"2 of 42 pictures \(4.8%\).*skipped.txt.*allow_bad=0.05"):
        opened(folder, tmp_path)
    pictures = opened(folder, tmp_path, allow_bad=0.05)
    assert dict(pictures.skipped) == {
        "zero.jpg": "is empty (0 bytes)",
        "words.png": "is not a JPEG, PNG, WebP, AVIF, JPEG 2000, BMP, GIF or TIFF",
    }
    assert len(pictures) == 40 and "Skipped 2 of 42" in capsys.readouterr().err
    assert ", 2 skipped, 0 groups of near-duplicates" in pictures.in_words()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size"),
        ({"image_size": 64.0}, "image_size"),
        ({"limit": 0}, "limit"),
        ({"limit": "all"}, "limit"),
        ({"fit": "stretch"}, "fit"),
        ({"allow_bad": 5}, "allow_bad"),
    ],
)
def test_wrong_options_are_one_sentence(folder, tmp_path, options, message):
    with pytest.raises(InputError, match=f"`{message}` is "):
        opened(folder, tmp_path, **options)


def test_one_picture_of_the_users_own(tmp_path):
    save_noise(tmp_path / "mine.webp", 0)
    assert read_picture(tmp_path / "mine.webp", 24, "pad").shape == (24, 24, 3)
    (tmp_path / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match="torn.jpg cannot be used, because it is a JPEG file that Pillow cannot read"):
        read_picture(tmp_path / "torn.jpg")
    with pytest.raises(InputError, match="no picture .*none.jpg"):
        read_picture(tmp_path / "none.jpg")


def mutated(rng, sound):
    """A picture file with something wrong, or nothing wrong but its name."""
    content = bytearray(rng.choice(sound))
    kind = rng.choice(["flip"] * 3 + ["cut", "swap", "zero", "insert", "head", "empty", "words", "join", "bomb"])
    if kind == "flip":
        for _ in range(rng.choice([1, 3, 30, 300])):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del content[rng.randrange(len(content)) :]
    elif kind == "zero":
        start = rng.randrange(len(content))
        content[start : start + 50] = bytes(len(content[start : start + 50]))
    elif kind == "insert":
        place = rng.randrange(len(content))
        content[place:place] = rng.randbytes(rng.randrange(1, 40))
    elif kind == "head":
        for place in range(12, min(40, len(content))):  # where sizes and modes stand
            if rng.random() < 0.3:
                content[place] = rng.randrange(256)
    elif kind == "empty":
        content.clear()
    elif kind == "words":
        content[:] = b"these are words, not a picture\n" * rng.randrange(1, 50)
    elif kind == "bomb":  # a sound PNG start that claims up to 65,535 × 65,535 pixels
        sides = b"".join(rng.randrange(1, 2**16).to_bytes(4, "big") for _ in range(2))
        head = b"IHDR" + sides + bytes([8, 2, 0, 0, 0])
        content[:] = (
            b"\x89PNG\r\n\x1a\n\0\0\0\r"
            + head
            + zlib.crc32(head).to_bytes(4, "big")
            + b"\0\0\0\x0cIDAT"
            + zlib.compress(b"\0" * 50)
        )
    elif kind == "join":
        content[:] = content[: len(content) // 2] + rng.choice(sound)
    return bytes(content)


def originals():
    """One sound file of every format and mode, some with EXIF."""
    image = Image.effect_noise((40, 30), 60).convert("RGB")
    deep = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    contents = []
    for kind, modes in {
        "JPEG": ("RGB", "L", "CMYK"),
        "PNG": ("RGB", "RGBA", "P", "1", "I;16", "LA"),
        "BMP": ("RGB", "P"),
        "WEBP": ("RGB", "RGBA"),
        "GIF": ("P", "L"),
        "TIFF": ("RGB", "F", "I;16", "CMYK", "1"),
    }.items():
        for mode in modes:
            memory = io.BytesIO()
            options = {"exif": exif} if mode == "RGB" and kind != "BMP" else {}
            (deep if mode == "I;16" else image.convert(mode)).save(memory, kind, **options)
            contents.append(memory.getvalue())
    return contents


def test_a_thousand_mutated_pictures_are_each_accounted_for(tmp_path, capfd):
    rng, sound = random.Random(0), originals()
    folder = tmp_path / "fuzz"
    folder.mkdir()
    for row in range(1000):
        suffix = rng.choice(["jpg", "png", "webp", "bmp", "gif", "tif"])
        (folder / f"{row:03d}.{suffix}").write_bytes(mutated(rng, sound))
    pictures = opened(folder, tmp_path, allow_bad=1.0)
    skipped = [name for name, _ in pictures.skipped]
    assert sorted([*pictures.names, *skipped]) == sorted(os.listdir(folder))
    assert 200 < len(pictures) < 900 and all(reason and "\n" not in reason for _, reason in pictures.skipped)
    listed = (pictures.cache.parent / f"{pictures.cache.name}.skipped.txt").read_text("utf-8").splitlines()
    assert len(listed) == len(skipped)
    assert len(pictures.split.train) and "Traceback" not in capfd.readouterr().err
