"""What a saved notebook keeps of an explorer for readers without its kernel."""

import base64
import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from explorers import NAMES, everything
from PIL import Image

from vae_helpers.latent import encode_pictures
from vae_helpers.widgets import BetaDial, DialRun, ExplorerData, LatentExplorer, MapExplorer, PairExplorer, cells, saved


class Outputs:
    """The outputs of notebook cells: what was published, in order, as (data, display id, whether it replaces)."""

    def __init__(self, monkeypatch):
        self.published, self.request = [], {}
        monkeypatch.setattr(cells, "get_ipython", lambda: SimpleNamespace(get_parent=lambda: self.request))
        monkeypatch.setattr(saved, "publish_display_data", self._keep)

    def _keep(self, data, transient, update):
        self.published.append((data, transient["display_id"], update))

    def show(self, explorer):
        """Run a cell that ends in the explorer; cells without an id are nobody's, as on Colab."""
        self.request = {"header": {"msg_type": "execute_request", "msg_id": "1"}, "metadata": {}}
        getattr(explorer, "_repr_mimebundle_", getattr(explorer, "_ipython_display_", None))()
        self.request = {"header": {"msg_type": "comm_msg"}}


@pytest.fixture
def outputs(monkeypatch):
    return Outputs(monkeypatch)


@pytest.fixture
def make(model, pictures, summary):
    """An explorer of a kind, on the small pictures."""

    def make(kind):
        if kind is BetaDial:
            return BetaDial([DialRun(name, 1.0, model, 1.0, 2.0, 20.0) for name in "ab"], pictures, NAMES)
        data = ExplorerData(model, pictures, NAMES, summary)
        if kind is MapExplorer:
            return MapExplorer(PairExplorer(data), encode_pictures(model, pictures)[0])
        return kind(data)

    return make


EVERY = [PairExplorer, LatentExplorer, BetaDial, MapExplorer]


@pytest.mark.parametrize("kind", EVERY)
def test_a_cell_keeps_a_page_and_a_still_which_the_living_explorer_hides(outputs, make, kind):
    explorer = make(kind)
    outputs.show(explorer)
    ((data, key, update),) = outputs.published
    assert not update and f'class="{key}"' in data["text/html"] and "run the cells above" in data["text/html"]
    assert Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))).format == "JPEG"
    sheets = [each.value for each in everything(explorer) if "<style>" in str(getattr(each, "value", ""))]
    assert sum(f".{key}{{display:none}}" in sheet for sheet in sheets) == 1
    assert len(data["text/html"]) < 1_000_000


@pytest.mark.parametrize("kind", EVERY)
def test_outside_of_notebooks_nothing_is_kept(monkeypatch, make, kind):
    published = []
    monkeypatch.setattr(saved, "publish_display_data", lambda *_, **__: published.append(1))
    explorer = make(kind)
    getattr(explorer, "_repr_mimebundle_", getattr(explorer, "_ipython_display_", None))()
    explorer.update_saved_view()
    assert not published


def test_two_explorers_do_not_hide_each_others(outputs, make):
    first, second = make(PairExplorer), make(PairExplorer)
    outputs.show(first)
    outputs.show(second)
    keys = [key for _, key, _ in outputs.published]
    assert keys == [first.saved_key, second.saved_key] and keys[0] != keys[1]


def test_another_pair_replaces_the_film_that_is_kept(outputs, make):
    pair = make(PairExplorer)
    outputs.show(pair)
    pair.b.value = 9
    pair.settle()
    (before, key, _), (after, same, update) = outputs.published
    assert update and same == key and after["text/html"] != before["text/html"]
    assert pair.film.value in after["text/html"] and base64.b64decode(after["image/jpeg"]) == pair.strip.value
    pair.frame.value = 3
    assert len(outputs.published) == 2  # leafing through frames changes nothing that is kept


def test_an_explorer_that_no_cell_shows_publishes_nothing(outputs, make):
    pair = make(PairExplorer)
    pair.b.value = 9
    pair.settle()
    assert not outputs.published


def test_a_latent_explorer_keeps_what_each_slider_does(outputs, make):
    latents = make(LatentExplorer)
    outputs.show(latents)
    latents.start.value = 7
    data, _, update = outputs.published[-1]
    assert update and re.findall(r'alt="([^"]*)"', data["text/html"]) == ["Live", *latents.axis_names]
    assert base64.b64decode(data["image/jpeg"]) == latents.live.value


def test_a_dials_film_holds_all_runs_beside_each_other(make):
    dial = make(BetaDial)
    page = dial.saved_view().page
    frame = re.search(r"const frames = \[&quot;([^&]+)&quot;", page)[1]
    assert Image.open(io.BytesIO(base64.b64decode(frame))).size == (64, 32)


def test_a_map_is_kept_with_its_pictures_in_place():
    red, blue = np.full((2, 8, 8, 3), (250, 0, 0), np.uint8), np.full((8, 8, 3), (0, 0, 250), np.uint8)
    still = saved.map_still([red[0], blue], np.array([[20.0, 30.0], [80.0, 10.0]]), (100, 60), 16)
    sheet = np.asarray(Image.open(io.BytesIO(still))).astype(int)
    assert sheet.shape == (60, 100, 3)
    for (x, y), colour in (((20, 30), (250, 0, 0)), ((80, 10), (0, 0, 250)), ((50, 45), (255, 255, 255))):
        assert np.abs(sheet[y - 2 : y + 3, x - 2 : x + 3] - colour).max() < 25, (x, y)


def test_text_in_a_figure_is_text():
    assert "<b>" not in saved.figure(b"", '<b> & "', 10) and "&lt;b&gt; &amp; &quot;" in saved.figure(
        b"", '<b> & "', 10
    )
