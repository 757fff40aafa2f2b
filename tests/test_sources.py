"""Finding pictures: any depth, links, case, odd names; what an unusable folder is told; the choice under a limit."""
import os
import sys

import numpy as np
import pytest
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.sources import choose, find_folder, find_pictures, fraction, label_of, project_root


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
def test_a_pipe_named_like_a_picture_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    touch(tmp_path, "a.jpg")
    assert found(tmp_path) == ["a.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows such names")
def test_a_name_that_is_not_text(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb"):
        pass
    (name,) = found(tmp_path)
    assert os.fsencode(name) == b"caf\xe9.jpg" and 0 <= fraction(name) < 1


@pytest.mark.parametrize(("make", "message"), [
    (lambda p: None, "There is no folder .*copy pictures into it, or use the built-in set .*DATASET=synthetic"),
    (lambda p: p.mkdir(), "is empty; copy pictures into it, or use the built-in set .*DATASET=synthetic"),
    (lambda p: touch(p, "a.txt", "b/c.txt", "d.csv"), r"holds no JPEG.* \(only 2 × .txt, 1 × .csv\)"),
    (lambda p: p.write_text("x"), "is a file; give the folder"),
], ids=["missing", "empty", "text", "file"])
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
    with pytest.raises(InputError, match="is empty; download them .*data --download butterfly"):
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
    with pytest.raises(InputError, match="no name|no home folder"):
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
