"""Pictures for a notebook on Colab: Drive, an upload, a public set; and a sentence everywhere else."""

import io
import sys
import types
import zipfile

import pytest
from PIL import Image

from vae_helpers.data import fetch, fetching, kinds, unpack
from vae_helpers.errors import InputError


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
    colab = types.SimpleNamespace(
        drive=types.SimpleNamespace(mount=state.mounted.append), files=types.SimpleNamespace(upload=lambda: state.files)
    )
    monkeypatch.setitem(sys.modules, "google", types.SimpleNamespace(colab=colab))
    monkeypatch.setitem(sys.modules, "google.colab", colab)
    return state


def test_drive_is_mounted(colab):
    assert fetch("drive").as_posix() == "/content/drive/MyDrive" and colab.mounted == ["/content/drive"]


def test_an_upload_is_unpacked_and_only_pictures_stay(colab, tmp_path):
    colab.files = {
        "a.jpg": b"one",
        "notes.txt": b"no",
        "set.zip": zipped(cat__1png=b"x") + b"",
        "photos.zip": zipped(**{"cat__1.png": b"two", "..__..__evil.png": b"three", "readme.md": b"no"}),
    }
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
        ("uploaded", b"one"),
        ("uploaded_2", b"two"),
    ]


@pytest.mark.parametrize("files, word", [({}, "no pictures"), ({"x.zip": b"PK broken"}, "cannot be unpacked")])
def test_bad_uploads(files, word):
    with pytest.raises(InputError, match=word):
        unpack(files)


def test_elsewhere_and_other_ways(monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", None)
    for way in ("drive", "upload"):
        with pytest.raises(InputError, match="on Colab only"):
            fetch(way)
    with pytest.raises(InputError, match="'pigeon': choose one of drive, upload, butterfly, animal"):
        fetch("pigeon")


def test_public_sets_are_downloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(fetching, "download", lambda name: tmp_path / name)
    assert fetch("animal") == tmp_path / "animal"


def bytes_of(kind):
    held = io.BytesIO()
    Image.new("RGB", (8, 8)).save(held, kind)
    return held.getvalue()


def test_what_an_upload_leaves_out_is_said(capsys, monkeypatch):
    monkeypatch.setattr(kinds, "suffixes", lambda: frozenset([".png", ".jp2"]))  # as without pillow-heif
    folder = unpack(
        {
            "a.zip": zipped(
                **{
                    "cat__1.png": b"one",
                    "x.HEIC": b"",
                    "y.heic": b"",
                    "note.txt": b"",
                    ".hidden.png": b"",
                    "__MACOSX__._1.png": b"",
                    "@eaDir__1.png": b"",
                    "no_suffix": bytes_of("AVIF"),
                }
            ),
            "b.zip": zipped(**{"cat__1.png": b"two"}),
            "loose.jp2": b"three",
            "more.rar": b"Rar!",
        }
    )
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert names == ["cat/1.png", "cat/1_2.png", "loose.jp2", "no_suffix"]
    said = capsys.readouterr().err
    for part in (
        "Unpacked 4 pictures",
        "2 × .heic",
        "1 × .txt",
        "1 × .rar",
        "1 × file in @eaDir",
        "pip install pillow-heif",
    ):
        assert part in said
    with pytest.raises(InputError, match=r"no pictures \(only 1 × \.rar\)"):
        unpack({"more.rar": b"Rar!"})


def test_an_upload_is_whole_or_not_there(tmp_path, monkeypatch):
    packed = bytearray(zipped(**{"1.png": b"one", "2.png": b"twotwotwo"}))
    packed[packed.index(b"twotwotwo")] ^= 1
    with pytest.raises(InputError, match="cannot be unpacked, because it is damaged"):
        unpack({"a.zip": bytes(packed)})
    monkeypatch.setattr(fetching, "MAX_UNPACKED", 1000)
    with zipfile.ZipFile(held := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("small.png", b"x")
        archive.writestr("large.png", bytes(1_000_000))
    with pytest.raises(InputError, match=r"a\.zip holds far more than its 0\.0 MB"):
        unpack({"a.zip": held.getvalue()})
    assert not list((tmp_path / "data").glob("*"))
    monkeypatch.setattr(fetching.Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(InputError, match=r"cannot be written to .* \(No space left\)"):
        unpack({"a.png": b"x"})
    assert not list((tmp_path / "data").glob("*"))


def test_odd_names_in_a_zip_stay_below_the_folder(tmp_path):
    folder = unpack(
        {
            "a.zip": zipped(
                **{
                    "/abs/1.png": b"1",
                    "..\\..\\2.png": b"2",
                    "C:\\3.png": b"3",
                    "x" * 300 + ".png": b"4",
                    "5.png": b"5",
                    "5.png/6.png": b"6",
                }
            )
        }
    )
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert sorted(path.read_bytes() for path in files) == [b"1", b"2", b"3", b"4", b"5"]
    assert all(path.suffix == ".png" for path in files)
