"""Pictures for a notebook on Colab: Drive, an upload, a public set; and a sentence everywhere else."""
import io
import sys
import types
import zipfile

import pytest

from vae_helpers import fetch as fetching
from vae_helpers.errors import InputError
from vae_helpers.fetch import fetch, unpack


def zipped(**files):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return held.getvalue()


@pytest.fixture
def colab(monkeypatch):
    """A stand-in for google.colab: what was mounted, and what an upload gives."""
    state = types.SimpleNamespace(mounted=[], files={})
    colab = types.SimpleNamespace(drive=types.SimpleNamespace(mount=state.mounted.append),
                                  files=types.SimpleNamespace(upload=lambda: state.files))
    monkeypatch.setitem(sys.modules, "google", types.SimpleNamespace(colab=colab))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    return state


def test_drive_is_mounted(colab):
    assert fetch("drive").as_posix() == "/content/drive/MyDrive" and colab.mounted == ["/content/drive"]


def test_an_upload_is_unpacked_and_only_pictures_stay(colab, tmp_path):
    colab.files = {"a.jpg": b"one", "notes.txt": b"no", "set.zip": zipped(cat__1png=b"x") + b"",
                   "photos.zip": zipped(**{"cat__1.png": b"two", "..__..__evil.png": b"three", "readme.md": b"no"})}
    folder = fetch("upload")
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {"a.jpg": b"one", "cat/1.png": b"two", "evil.png": b"three"}
    assert not (tmp_path.parent / "evil.png").exists()


def test_a_second_upload_leaves_the_first_alone(colab):
    colab.files = {"a.jpg": b"one"}
    first = fetch("upload")
    colab.files = {"a.jpg": b"two"}
    second = fetch("upload")
    assert [(folder.name, (folder / "a.jpg").read_bytes()) for folder in (first, second)] == [
        ("uploaded", b"one"), ("uploaded_2", b"two")]


@pytest.mark.parametrize("files, word", [({}, "no pictures"), ({"x.zip": b"PK broken"}, "cannot be unpacked")])
def test_bad_uploads(files, word):
    with pytest.raises(InputError, match=word):
        unpack(files)


def test_elsewhere_and_other_ways(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)
    for way in ("drive", "upload"):
        with pytest.raises(InputError, match="on Colab only"):
            fetch(way)
    with pytest.raises(InputError, match="'pigeon'; choose one of drive, upload, butterfly, animal"):
        fetch("pigeon")


def test_public_sets_are_downloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "download", lambda name: tmp_path / name)
    assert fetch("animal") == tmp_path / "animal"
