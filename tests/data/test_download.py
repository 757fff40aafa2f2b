"""Downloading: through kagglehub when it is there, and a sentence when it, the network or the account is not."""

import sys
import types

import pytest

from vae_helpers.data import download
from vae_helpers.errors import InputError


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("notebooks", "vae_helpers"):
        (tmp_path / "project" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def pretend_kagglehub(monkeypatch, fetch):
    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=fetch))


def test_pictures_land_in_the_project_by_species(project, tmp_path, monkeypatch):
    fetched = tmp_path / "fetched"
    for name in ("train/1.jpg", "train/2.jpg", "test/1.jpg", "notes.txt"):
        (fetched / name).parent.mkdir(parents=True, exist_ok=True)
        (fetched / name).write_text(name)
    (fetched / "Training_set.csv").write_text("filename,label\n1.jpg,MONARCH\n")
    asked = []
    pretend_kagglehub(monkeypatch, lambda handle: asked.append(handle) or str(fetched))
    (project / "data" / "butterfly_data" / "test").mkdir(parents=True)
    (project / "data" / "butterfly_data" / "test" / "1.jpg").write_text("mine")
    folder = download("butterfly")
    assert asked == ["phucthaiv02/butterfly-image-classification"] and folder == project / "data" / "butterfly_data"
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.jpg")}
    assert files == {"train/MONARCH/1.jpg": "train/1.jpg", "train/2.jpg": "train/2.jpg", "test/1.jpg": "mine"}


def test_a_label_leads_nowhere_else_and_a_torn_copy_stays_nowhere(project, tmp_path, monkeypatch):
    fetched = tmp_path / "fetched"
    (fetched / "train").mkdir(parents=True)
    for name in "123":
        (fetched / "train" / f"{name}.jpg").write_text(name)
    (fetched / "Training_set.csv").write_bytes(b"filename,label\n1.jpg,..\n2.jpg,a/../b\x1b\n3.jpg,caf\xe9\n4.jpg\n")
    pretend_kagglehub(monkeypatch, lambda handle: str(fetched))
    folder = download("butterfly")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    assert names == ["train/a_.._b_/2.jpg", "train/caf\ufffd/3.jpg", "train/unlabelled/1.jpg"]

    def torn(source, target):
        target.write_text("half")
        raise OSError(28, "No space left on device")

    (fetched / "train" / "5.jpg").write_text("5")
    monkeypatch.setattr("shutil.copyfile", torn)
    with pytest.raises(OSError):
        download("butterfly")
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 3


def test_without_the_package(project, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(InputError, match="`pip install kagglehub`.*or download https://www.kaggle.com.*animal-faces"):
        download("animal")


def test_without_network_or_account(project, monkeypatch):
    def fail(handle):
        raise ConnectionError("Failed to resolve\nhost")

    pretend_kagglehub(monkeypatch, fail)
    with pytest.raises(InputError, match="Kaggle did not give .*Failed to resolve host.*check the network and the acc"):
        download("butterfly")


def test_nothing_in_it(project, tmp_path, monkeypatch):
    (tmp_path / "void").mkdir()
    pretend_kagglehub(monkeypatch, lambda handle: str(tmp_path / "void"))
    with pytest.raises(InputError, match="holds no pictures"):
        download("animal")


def test_another_name(project):
    with pytest.raises(InputError, match="'fish': choose butterfly or animal"):
        download("fish")
