"""The pairs agree, nothing is stored in them, cells are short. nbval runs them (see notebooks/conftest.py)."""

import re
import statistics
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.compare import compare_notebooks
from nbclient import NotebookClient
from PIL import Image

from vae_helpers.settings import SHIPPED

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("[0-9]*.py"))


def test_all_five_are_there():
    assert [n.stem for n in NOTEBOOKS] == ["01_data", "02_train", "03_reconstruct", "04_traverse", "05_disentangle"]


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda p: p.stem)
def test_pair_agrees_and_is_stripped(source):
    derived = jupytext.read(source.with_suffix(".ipynb"))
    compare_notebooks(derived, jupytext.read(source), fmt="py:percent")
    assert [c.metadata.get("tags") for c in derived.cells] == [
        c.metadata.get("tags") for c in jupytext.read(source).cells
    ]
    assert "widgets" not in derived.metadata  # GitHub refuses to show such a notebook
    for cell in derived.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda p: p.stem)
def test_rhythm(source):
    cells = jupytext.read(source).cells
    lengths = [sum(bool(line.strip()) for line in c.source.splitlines()) for c in cells if c.cell_type == "code"]
    assert statistics.median(lengths) <= 6 and max(lengths) <= 20
    kinds = [c.cell_type for c in cells]
    assert kinds[0] == kinds[-1] == "markdown" and "code code" not in " ".join(
        kinds
    )  # every cell is announced and read back


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda p: p.stem)
def test_set_up_is_the_same_everywhere(source):
    first = next(c for c in jupytext.read(source).cells if c.cell_type == "code")
    reference = next(c for c in jupytext.read(NOTEBOOKS[0]).cells if c.cell_type == "code")
    assert first.source == reference.source
    assert sum("parameters" in c.metadata.get("tags", []) for c in jupytext.read(source).cells) == 1


@pytest.mark.parametrize("page", [*NOTEBOOKS, NOTEBOOKS[0].parents[1] / "README.md"], ids=lambda p: p.stem)
def test_every_picture_in_the_prose_is_there_and_small(page):
    pictures = [
        page.parent / name for name in re.findall(r"!\[[^\]]*\]\(((?!https?:)[^)]+)\)", page.read_text("utf-8"))
    ]
    assert len(pictures) >= 2
    for picture in pictures:
        assert picture.is_file() and picture.stat().st_size <= 2**20, picture
        with Image.open(picture) as opened:
            assert min(opened.size) >= 100


@pytest.mark.parametrize("name", ["03_reconstruct", "04_traverse"])
def test_notebooks_open_with_the_shipped_weights_at_full_size(name, tmp_path, monkeypatch):
    for variable in ("VAE_SMOKE", "RUN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("VAE_OUT", str(tmp_path))
    notebook = nbformat.read(NOTEBOOKS[0].with_name(f"{name}.ipynb"), 4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOKS[0].parent)}}).execute()
    said = "".join(
        output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    )
    assert said.count("No run of your own") == 1 and "128×128 pictures" in said
    assert (tmp_path / "plots" / SHIPPED).is_dir()
