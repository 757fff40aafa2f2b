"""Finding pictures: any depth, links, case, odd names; what an unusable folder is told; the choice under a limit."""

import os
import sys

import numpy as np
import pytest
from PIL import Image

from vae_helpers.data import (
    choose,
    find_folder,
    find_pictures,
    fraction,
    label_of,
    list_pictures,
    project_root,
    safe_parts,
)
from vae_helpers.errors import InputError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def found(folder):
    return [item.name for item in find_pictures(folder)]


def test_every_depth_and_case_in_a_fixed_order(tmp_path):
    names = ["a.JPG", "b/c.Png", "b/d/e/f.webp", "ü b/ç d.tiff", "z'\"#%.gif", "deep/" * 30 + "x.bmp"]
    touch(tmp_path, *names, "notes.txt", ".hidden.jpg", ".git/x.jpg", "b/Thumbs.db")
    assert found(tmp_path) == sorted(names)


def test_a_picture_without_suffix_is_found_by_its_bytes(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "picture", "PNG")
    touch(tmp_path, "words")
    assert found(tmp_path) == ["picture"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_once_and_loops_end(tmp_path):
    touch(tmp_path, "a/one.jpg", "elsewhere/two.jpg")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "up").symlink_to(tmp_path / "a" / "..")
    (tmp_path / "a" / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "a" / "linked.jpg").symlink_to(tmp_path / "elsewhere" / "two.jpg")
    (tmp_path / "a" / "self.jpg").symlink_to(tmp_path / "a" / "self.jpg")
    names = found(tmp_path / "a")
    assert {"one.jpg", "linked.jpg", "self.jpg"} <= set(names)
    assert len(names) == len(set(names)) and sum(name.endswith("two.jpg") for name in names) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_pipes_and_devices_are_not_opened(tmp_path):
    for name in ("pipe.jpg", "pipe", "pipe.txt"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "device").symlink_to("/dev/zero")
    touch(tmp_path, "a.jpg")
    assert found(tmp_path) == ["a.jpg"] and list_pictures(tmp_path).left_out == {"pipe or device": 4}
    with pytest.raises(InputError, match="is a pipe or a device: give a folder"):
        find_pictures(tmp_path / "pipe")


def test_what_is_left_out_is_counted_by_kind(tmp_path):
    touch(tmp_path, "a.jpg", "b/x.NEF", "b/y.nef", "c.txt", "plain", ".hidden.txt")
    (tmp_path / "raw").write_bytes(b"\xff\x0a" + bytes(40))
    (tmp_path / "fake.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    assert list_pictures(tmp_path).left_out == {".nef": 2, ".txt": 1, "no suffix": 1, "JPEG XL": 1, ".jxl": 1}


def test_pictures_are_found_by_content(tmp_path):
    for name, kind in (("a.jpg_large", "JPEG"), ("b.bak", "PNG"), ("c", "AVIF"), ("d.x", "BMP"), ("e", "JPEG2000")):
        Image.new("RGB", (8, 8)).save(tmp_path / name, kind)
    touch(tmp_path, "f.JP2", "g.avif", "h.pgm")
    assert len(found(tmp_path)) == 8


def test_folders_that_programs_make_are_not_data(tmp_path):
    touch(
        tmp_path,
        "a.jpg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "b/@eaDir/x.jpg",
        "__MACOSX/._a.jpg",
        "#recycle/old.jpg",
        ".thumbnails/a.jpg",
        "thumbs/a.jpg",
        "b/thumbnails/own.jpg",
        "c/@eaDirect/d.jpg",
    )
    assert found(tmp_path) == ["a.jpg", "b/thumbnails/own.jpg", "c/@eaDirect/d.jpg"]
    left_out = list_pictures(tmp_path).left_out
    assert left_out == {"folder @eaDir": 2, "folder __MACOSX": 1, "folder #recycle": 1, "folder thumbs": 1}


@pytest.mark.parametrize("root", ["", "results/"])
@pytest.mark.parametrize("mark", ["models/run/last.pt", "tensorboard/run/events.out.tfevents.1"])
def test_our_own_results_are_not_data(tmp_path, root, mark):
    touch(tmp_path, "a.jpg", f"{root}generated_images/run/epoch.png", f"{root}plots/run/x.png", "plots_of_land/b.jpg")
    assert len(found(tmp_path)) == 4  # folders that happen to be called so
    touch(tmp_path, root + mark)
    assert found(tmp_path) == ["a.jpg", "plots_of_land/b.jpg"]
    assert found(tmp_path / root / "plots" / "run") == ["x.png"]  # named by hand


def test_control_characters_do_not_reach_the_screen(tmp_path):
    touch(tmp_path, "\x1b]0;x/a.\x1b[31m", "b.\u202etxt")
    with pytest.raises(InputError) as caught:
        find_pictures(tmp_path)
    assert str(caught.value).isprintable() and r".\x1b[31m" in str(caught.value)
    with pytest.raises(InputError) as caught:
        find_pictures(tmp_path / "\x1b[2J")
    assert str(caught.value).isprintable()


def test_what_goes_away_while_it_is_listed(tmp_path, monkeypatch):
    touch(tmp_path, "a.jpg", "sub/b.jpg", "tab/c.jpg")
    real = os.stat

    def stat(path, **options):
        if str(path).endswith("sub"):
            raise FileNotFoundError(2, "No such file or directory", path)
        if str(path).endswith("tab"):
            raise OSError(36, "File name too long", path)
        return real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    with pytest.raises(InputError, match=r"tab cannot be read \(File name too long\)"):
        find_pictures(tmp_path)
    monkeypatch.setattr(os, "stat", lambda path, **options: real(path, **options) if "tab" in str(path) else stat(path))
    assert found(tmp_path) == ["a.jpg", "tab/c.jpg"]


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 3000, "nul\0", "~nobody_of_this_name/x"])
def test_places_that_no_folder_can_have(tmp_path, name):
    with pytest.raises(InputError) as caught:
        find_pictures(find_folder(name))
    assert str(caught.value).isprintable()


def test_names_that_somebody_else_wrote():
    for path, parts in (
        ("../../a.jpg", ["a.jpg"]),
        ("/etc/x", ["etc", "x"]),
        ("C:\\x\\y.png", ["C_", "x", "y.png"]),
        ("..", []),
        (" .. /...", []),
        ("a\x1bb\n", ["a_b_"]),
        ("né.jpg", ["né.jpg"]),
    ):
        assert safe_parts(path) == parts
    (long,) = safe_parts("é" * 200 + ".jpg")
    assert len(long) < 60 and long.endswith(".jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows such names")
def test_a_name_that_is_not_text(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb"):
        pass
    (name,) = found(tmp_path)
    assert os.fsencode(name) == b"caf\xe9.jpg" and 0 <= fraction(name) < 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: None, "there is no folder .*copy pictures into it, or use the built-in set .*DATASET=synthetic"),
        (lambda p: p.mkdir(), "is empty: copy pictures into it, or use the built-in set .*DATASET=synthetic"),
        (lambda p: touch(p, "a.txt", "b/c.txt", "d.csv"), r"holds no JPEG.* \(only 2 × .txt, 1 × .csv\)"),
        (lambda p: p.write_text("x"), "is a file: give the folder"),
    ],
    ids=["missing", "empty", "text", "file"],
)
def test_an_unusable_folder_is_one_sentence(tmp_path, make, message):
    make(tmp_path / "pictures")
    with pytest.raises(InputError, match=message) as caught:
        find_pictures(tmp_path / "pictures")
    assert "\n" not in str(caught.value)


def test_the_projects_own_folder_also_says_how_to_download(tmp_path, monkeypatch):
    touch(tmp_path, "notebooks/01_data.py", "vae_helpers/__init__.py")
    (tmp_path / "data" / "butterfly_data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "notebooks")
    assert project_root() == tmp_path and find_folder("animal") == tmp_path / "data" / "Animals_data"
    with pytest.raises(InputError, match="is empty: download them .*data --download butterfly"):
        find_pictures(find_folder("butterfly"))
    (tmp_path / "data" / "mine").mkdir()
    assert find_folder("data/mine") == tmp_path / "data" / "mine"  # from notebooks/ too


def test_outside_a_project_the_current_folder_is_the_root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert project_root() == tmp_path


def test_folders_of_the_projects_names_are_no_project(tmp_path, monkeypatch):
    for name in ("notebooks", "vae_helpers", "mine"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "mine")
    assert project_root() == tmp_path / "mine"


@pytest.mark.parametrize("source", ["", " ", "~nosuchuser/pictures"])
def test_a_source_that_names_nothing_is_one_sentence(source):
    with pytest.raises(InputError, match="no name|home folder of a user"):
        find_folder(source)


def test_fraction_is_fixed_and_fair():
    assert fraction("cat/cat.1.jpg") == fraction("cat/cat.1.jpg") != fraction("cat/cat.2.jpg")
    assert fraction("caf\u00e9.jpg") == fraction("cafe\u0301.jpg")  # the two ways to write é
    values = np.array([fraction(f"{i}.jpg") for i in range(4000)])
    assert values.min() >= 0 and values.max() < 1
    assert np.allclose(np.histogram(values, 10, (0, 1))[0], 400, atol=80)
    assert fraction("cat.jpg", "split") == pytest.approx(0.1291522, abs=1e-6)


def test_a_limit_is_spread_over_the_labels_and_stable():
    names = [f"cat/{i}.jpg" for i in range(600)] + [f"dog/{i}.jpg" for i in range(200)]
    chosen = {names[row] for row in choose(names, 80)}
    assert len(chosen) == 80
    assert abs(sum(label_of(name) == "cat" for name in chosen) - 60) <= 1
    shuffled = names[::-1]
    assert {shuffled[row] for row in choose(shuffled, 80)} == chosen
    more = names + ["cat/new1.jpg", "dog/new2.jpg", "top.jpg"]
    assert len(chosen - {more[row] for row in choose(more, 80)}) <= 3
    assert sorted(choose(names, None)) == sorted(choose(names, 5000)) == list(range(800))


def test_labels_are_the_nearest_folders():
    assert [label_of(name) for name in ("a.jpg", "cat/a.jpg", "train/dog/a.jpg")] == ["", "cat", "dog"]
