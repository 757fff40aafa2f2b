"""The pairs agree, nothing is stored in them, and they keep the house's rhythm. nbval runs them (see notebooks/conftest.py)."""

import statistics
from pathlib import Path

import jupytext
import pytest
from jupytext.compare import compare_notebooks

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("[0-9]*.py"))


def test_all_five_are_there():
    assert [n.stem for n in NOTEBOOKS] == ["01_data", "02_train", "03_reconstruct", "04_traverse", "05_disentangle"]


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda p: p.stem)
def test_pair_agrees_and_is_stripped(source):
    derived = jupytext.read(source.with_suffix(".ipynb"))
    compare_notebooks(derived, jupytext.read(source), fmt="py:percent")
    assert [c.metadata.get("tags") for c in derived.cells] == [c.metadata.get("tags") for c in jupytext.read(source).cells]
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
    assert kinds[0] == kinds[-1] == "markdown" and "code code" not in " ".join(kinds)  # every cell is announced and read back


@pytest.mark.parametrize("source", NOTEBOOKS, ids=lambda p: p.stem)
def test_set_up_is_the_same_everywhere(source):
    first = next(c for c in jupytext.read(source).cells if c.cell_type == "code")
    reference = next(c for c in jupytext.read(NOTEBOOKS[0]).cells if c.cell_type == "code")
    assert first.source == reference.source
    assert sum("parameters" in c.metadata.get("tags", []) for c in jupytext.read(source).cells) == 1
