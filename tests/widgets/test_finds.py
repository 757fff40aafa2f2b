"""Codes with a name: kept in one explorer, taken up in another, there again on another day."""

import json

import numpy as np
import pytest
import torch
from explorers import NAMES, is_error

from vae_helpers.latent import FINDS, Find, decode_codes, keep_find
from vae_helpers.widgets import ExplorerData, LatentExplorer, PairExplorer


@pytest.fixture
def both(model, pictures, summary, tmp_path):
    """A pair explorer and a latent explorer of one run."""
    data = ExplorerData(model, pictures, NAMES, summary, directions=tmp_path / "run")
    return PairExplorer(data, folder=tmp_path), LatentExplorer(data, folder=tmp_path)


def listed(explorer):
    return [name for _, name in explorer.finds.which.options]


def keep(explorer, name):
    explorer.finds.name.value = name
    explorer.finds.keep.click()


def test_a_frame_goes_to_the_latent_panel_and_back(both, model):
    pair, panel = both
    pair.frame.value = 4
    frame, code = pair.frames[4], pair.path.codes[4]
    keep(pair, "half way")
    assert listed(pair) == listed(panel) == ["half way"] and not is_error(pair) and "Kept" in pair.status.value
    panel.finds.show.click()
    assert panel.start.value == len(panel.pictures) and torch.equal(panel.code, code) and not is_error(panel)
    assert np.array_equal(panel.picture, frame) and "half way" in panel.status.value
    panel.sliders[panel.axis_names[0]].value += 20
    moved = panel.code
    keep(panel, "moved")
    assert listed(pair) == ["half way", "moved"] and pair.finds.which.value == "half way"
    pair.finds.which.value = "moved"
    pair.finds.show.click()
    pair.finds.show.click()  # A, then B: the same find is one picture
    assert pair.pair == (30, 30) and pair.total == 31 and torch.equal(pair.path.codes[0], moved)
    assert np.array_equal(pair.frames[0], decode_codes(model, moved[None])[0])


def test_finds_are_there_on_another_day_but_not_for_other_weights(both, model, pictures, summary, tmp_path):
    keep(both[0], "a")
    again = PairExplorer(both[0].data, folder=tmp_path)
    assert listed(again) == ["a"]
    keep_find(tmp_path / "run", Find("of others", torch.zeros(8), "other weights"))
    keep_find(tmp_path / "run", Find("of another size", torch.zeros(5)))
    with_others = PairExplorer(both[0].data, folder=tmp_path)
    assert listed(with_others) == ["a"]
    assert with_others.finds.children[-1].value == "Of other weights, so left out: of others, of another size."
    again.finds.remove.click()
    assert listed(again) == listed(both[0]) == listed(both[1]) == []
    kept = json.loads((tmp_path / "run" / FINDS).read_text())["finds"]
    assert [each["name"] for each in kept] == ["of others", "of another size"]


def test_without_a_folder_finds_live_as_long_as_the_data(model, pictures, summary, tmp_path):
    data = ExplorerData(model, pictures, NAMES, summary)
    pair, panel = PairExplorer(data, folder=tmp_path), LatentExplorer(data, folder=tmp_path)
    other = PairExplorer(ExplorerData(model, pictures, NAMES, summary), folder=tmp_path)
    keep(panel, "x")
    assert listed(pair) == ["x"] and listed(other) == [] and [find.name for find in data.finds] == ["x"]
    keep(pair, "x")
    assert is_error(pair) and "cannot name a find" in pair.status.value
    pair.finds.remove.click()
    assert data.finds == [] and listed(panel) == []


@pytest.mark.parametrize("name", ["", " ", "x" * 61, "\x07", "there"])
def test_a_name_that_cannot_be_is_refused(both, name):
    keep(both[0], "there")
    keep(both[0], name)
    assert is_error(both[0]) and listed(both[0]) == ["there"]


def test_what_was_removed_elsewhere_and_a_damaged_file_are_said(both, tmp_path):
    pair, panel = both
    keep(pair, "a")
    (tmp_path / "run" / FINDS).unlink()
    pair.finds.show.click()
    assert is_error(pair) and "not there any more" in pair.status.value and listed(panel) == []
    (tmp_path / "run" / FINDS).write_text("{")
    keep(pair, "b")
    assert is_error(pair) and "does not hold finds, or it is damaged" in pair.status.value
    assert "damaged" in PairExplorer(pair.data, folder=tmp_path).finds.trouble


def test_a_code_that_is_not_finite_is_refused(tmp_path):
    with pytest.raises(Exception, match="is not finite, so it cannot be kept"):
        keep_find(tmp_path, Find("x", torch.full((8,), torch.nan)))
