"""A cell that is run again closes what it showed before, and nothing that another cell still shows."""

import gc
import sys
import weakref
from types import SimpleNamespace

import ipywidgets as widgets
import pytest
from explorers import NAMES, everything, is_error

from vae_helpers.errors import InputError
from vae_helpers.latent import encode_pictures
from vae_helpers.widgets import (
    BetaDial,
    CellRun,
    DialRun,
    ExplorerData,
    LatentExplorer,
    MapExplorer,
    PairExplorer,
    cells,
    close_replaced,
    current_run,
)


def registry():
    """All widgets that ipywidgets keeps, in 8 and in 7."""
    return getattr(widgets.widget, "_instances", None) or widgets.Widget.widgets


class Notebook:
    """Runs cells as a kernel does."""

    def __init__(self, monkeypatch):
        self.now, self.runs = None, 0
        events = SimpleNamespace(register=lambda name, heard: setattr(self, "heard", heard))
        self.shell = SimpleNamespaceShell(events)
        monkeypatch.setattr(cells, "get_ipython", lambda: self.shell)
        monkeypatch.setattr(cells, "current_run", lambda: self.now)

    def run(self, cell, code):
        self.runs += 1
        self.now = CellRun(cell, str(self.runs))
        try:
            return code()
        finally:
            close_replaced()
            self.now = None


class SimpleNamespaceShell:
    """A shell that can be kept in a weak set."""

    def __init__(self, events):
        self.events = events


@pytest.fixture
def notebook(monkeypatch):
    return Notebook(monkeypatch)


def show(explorer):
    """What IPython does with a cell's last line."""
    getattr(explorer, "_repr_mimebundle_", getattr(explorer, "_ipython_display_", None))()


def closed(explorer):
    return explorer.comm is None


@pytest.fixture
def make(model, pictures, summary):
    def make(kind):
        if kind is BetaDial:
            return BetaDial([DialRun(name, 1.0, model, 1.0, 2.0, 20.0) for name in "ab"], pictures, NAMES)
        return kind(ExplorerData(model, pictures, NAMES, summary))

    return make


@pytest.mark.parametrize("kind", [PairExplorer, LatentExplorer, BetaDial])
def test_a_cell_run_again_keeps_one_explorer(notebook, make, kind):
    sizes, old = [], []
    for _ in range(3):
        explorer = notebook.run("a", lambda: make(kind))
        old.append(weakref.ref(explorer._model))
        sizes.append(len(registry()))
    assert sizes[0] == sizes[1] == sizes[2] and not closed(explorer)
    gc.collect()
    assert [model() is None for model in old] == [True, True, False]
    assert len(explorer.frames if kind is not LatentExplorer else explorer.code)
    assert not is_error(explorer)


def test_hidden_widgets_are_closed_too(make):
    before = len(registry())
    latents = make(LatentExplorer)
    latents.count.value = 6
    latents.count.value = 2  # four rows are hidden now
    pair = make(PairExplorer)
    for explorer in (latents, pair):
        explorer.close()
        explorer.close()
    assert len(registry()) == before and all(closed(w) for w in everything(pair))
    pair.a.value = 3  # what a cell still does to it is no error
    assert pair.frames is not None


def test_one_that_was_refused_is_collected_in_peace(make, model, pictures, monkeypatch):
    heard = []
    monkeypatch.setattr(sys, "unraisablehook", heard.append)
    for refused in (
        lambda: BetaDial([], pictures, NAMES),
        lambda: PairExplorer(ExplorerData(model, pictures[:0], [])),
        lambda: MapExplorer(make(PairExplorer), encode_pictures(model, pictures)[0][:3]),
    ):
        with pytest.raises(InputError) as problem:
            refused()
        problem = None  # noqa: F841 (its traceback holds the explorer)
        gc.collect()
    assert not heard


def test_explorers_of_other_cells_and_of_the_same_run_stay(notebook, make):
    one = notebook.run("a", lambda: make(PairExplorer))
    two, three = notebook.run("b", lambda: (make(PairExplorer), make(LatentExplorer)))
    assert not any(map(closed, (one, two, three)))
    notebook.run("c", lambda: None)
    notebook.run("a", lambda: None)  # the cell was edited
    assert closed(one) and not closed(two) and not closed(three)
    two.swap.click()
    assert not is_error(two)


def test_what_another_cell_shows_stays_until_that_runs_again(notebook, make):
    explorer = notebook.run("made", lambda: make(PairExplorer))
    notebook.run("shown", lambda: show(explorer))
    notebook.run("shown", lambda: show(explorer))
    newer = notebook.run("made", lambda: make(PairExplorer))
    assert not closed(explorer)
    notebook.run("shown", lambda: show(newer))
    assert closed(explorer) and not closed(newer)
    notebook.run("shown", lambda: show(newer))
    notebook.run("made", lambda: show(newer))  # such as one that is made only the first time
    assert not closed(newer)


def test_a_map_keeps_its_pair_and_a_pair_outlives_its_map(notebook, make, model, pictures):
    pair = notebook.run("pair", lambda: make(PairExplorer))
    codes = encode_pictures(model, pictures)[0]
    first = notebook.run("map", lambda: MapExplorer(pair, codes))
    size = len(registry())
    second = notebook.run("map", lambda: MapExplorer(pair, codes))
    assert closed(first) and not closed(second) and len(registry()) == size
    assert not any(closed(w) for w in everything(pair))
    assert len(pair._listeners) == 1
    notebook.run("pair", lambda: make(PairExplorer))
    assert not any(closed(w) for w in everything(second))  # the map's page has the old pair's controls
    notebook.run("map", lambda: None)
    assert closed(pair) and closed(second)


@pytest.mark.parametrize(
    "parent, run",
    [
        ({}, None),
        ({"header": {"msg_type": "comm_msg", "msg_id": "1"}, "metadata": {"cellId": "a"}}, None),
        ({"header": {"msg_type": "execute_request", "msg_id": "1"}, "metadata": {}}, None),
        ({"header": {"msg_type": "execute_request", "msg_id": "1"}, "metadata": {"cellId": "a"}}, CellRun("a", "1")),
    ],
)
def test_the_page_says_which_cell_runs(monkeypatch, parent, run):
    monkeypatch.setattr(cells, "get_ipython", lambda: SimpleNamespace(get_parent=lambda: parent))
    assert current_run() == run
    monkeypatch.setattr(cells, "get_ipython", lambda: None)
    assert current_run() is None
