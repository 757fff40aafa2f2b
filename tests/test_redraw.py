"""The tool that draws the figures anew knows the notebooks as they are; it takes too long to run here."""

import importlib.util

import nbformat
import pytest
from browser import ROOT

SPEC = importlib.util.spec_from_file_location("redraw_figures", ROOT / "tools" / "redraw_figures.py")
redraw = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(redraw)


@pytest.mark.parametrize("name", redraw.CELLS)
def test_each_figure_is_drawn_by_one_cell(name):
    notebook, words, settings = redraw.CELLS[name]
    cells = nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4).cells
    assert sum(cell.cell_type == "code" and words in cell.source for cell in cells) == 1
    parameters = next(cell.source for cell in cells if "parameters" in cell.metadata.get("tags", ()))
    assert all(f"{key} = " in parameters for key in settings)
    assert (redraw.FIGURES / f"{name}.webp").is_file()


def test_the_explorers_stand_in_this_order():
    source = (ROOT / "notebooks" / "04_traverse.py").read_text("utf-8")
    places = [source.index(f"{kind}(") for kind in ("PairExplorer", "LatentExplorer", "BetaDial", "MapExplorer")]
    assert places == sorted(places) and redraw.EXPLORERS == ("pair", "panel", "dial", "map")
    assert all((redraw.FIGURES / f"{name}.webp").is_file() for name in redraw.EXPLORERS)
