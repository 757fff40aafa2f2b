"""Directions made by hand in the latent explorer: marked in the gallery, kept with the run, found again as sliders."""

import pytest
import torch
from explorers import NAMES, is_error

from vae_helpers.latent import encode_pictures, list_directions
from vae_helpers.widgets import ExplorerData, LatentExplorer


@pytest.fixture
def explorer(model, pictures, summary, tmp_path):
    data = ExplorerData(model, pictures, NAMES, summary, directions=tmp_path / "run", stamp="abc")
    made = LatentExplorer(data)
    made.kind.value = "By hand"
    return made


def mark(explorer, has=(0, 1, 2), has_not=(3, 4, 5)):
    for meaning, indices in (("has it", has), ("has it not", has_not)):
        explorer.maker.click.value = meaning
        for index in indices:
            explorer.gallery.buttons[index].click()


def test_marking_shows_what_the_marks_give(explorer):
    assert explorer.maker.layout.display == "" and "0 have it" in explorer.maker.found.value
    mark(explorer, (0, 1), (3,))
    assert explorer.maker.strip.layout.display == "none" and explorer.start.value == 0
    mark(explorer, (), (4,))
    assert explorer.maker.strip.layout.display == "" and explorer.maker.strip.value
    assert "p = " in explorer.maker.found.value and "mark 3 of each" in explorer.maker.found.value
    assert explorer.gallery._marked.value.count("content:'+'") == 1  # the other one is the start as well
    assert "content:'Start=+'" in explorer.gallery._marked.value
    assert explorer.gallery._marked.value.count("content:'−'") == 2


def test_a_mark_moves_to_the_other_group_or_goes(explorer):
    mark(explorer, (0, 1), (1,))
    assert explorer.maker.marks == {"+": [0], "−": [1]}
    explorer.gallery.buttons[1].click()
    assert explorer.maker.marks == {"+": [0], "−": []}
    explorer.maker.unmark.click()
    assert explorer.maker.marks == {"+": [], "−": []} and "content:'+'" not in explorer.gallery._marked.value


def test_a_kept_direction_is_a_slider_now_and_later(explorer, model, pictures):
    mark(explorer)
    explorer.maker.name.value = "smile"
    explorer.maker.keep.click()
    assert not is_error(explorer) and explorer.axis_names == ["smile"] and explorer.maker.marks["+"] == []
    codes = encode_pictures(model, pictures)[0]
    vector = codes[:3].mean(dim=0) - codes[3:6].mean(dim=0)
    start = explorer.code
    explorer.values["smile"].value = explorer.values["smile"].value + 0.5
    assert torch.allclose(explorer.code - start, 0.5 * vector, atol=1e-3)
    (kept,) = list_directions(explorer.data.directions)
    assert kept.has == tuple(NAMES[:3]) and kept.weights == "abc"
    later = LatentExplorer(explorer.data)
    later.state.value = explorer.state.value
    assert later.kind.value == "By hand" and torch.equal(later.code, explorer.code)


def test_a_removed_direction_takes_its_slider_along(explorer):
    mark(explorer)
    explorer.maker.name.value = "smile"
    explorer.maker.keep.click()
    start = explorer.code
    explorer.values["smile"].value += 0.5
    slider = explorer.sliders["smile"]
    explorer.maker.remove.click()
    assert explorer.axis_names == [] and torch.equal(explorer.code, start)
    assert not list_directions(explorer.data.directions) and slider.comm is None
    explorer.undo.click()
    assert not is_error(explorer) and torch.equal(explorer.code, start)
    explorer.maker.remove.click()
    assert is_error(explorer) and "no direction to remove" in explorer.status.value


@pytest.mark.parametrize(
    "name, has, problem",
    [("", (0, 1), "cannot name a direction"), ("smile", (0,), "groups of"), ("a" * 99, (0, 1), "1 to")],
)
def test_what_cannot_be_kept_is_a_sentence(explorer, name, has, problem):
    mark(explorer, has, (4, 5))
    explorer.maker.name.value = name
    explorer.maker.keep.click()
    assert is_error(explorer) and problem in explorer.status.value and explorer.maker.marks["+"] == list(has)


@pytest.mark.parametrize("folder", [True, False])
def test_a_name_is_taken_once(explorer, model, pictures, summary, folder):
    if not folder:
        explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, summary))
        explorer.kind.value = "By hand"
    for _ in range(2):
        mark(explorer)
        explorer.maker.name.value = "smile"
        explorer.maker.keep.click()
    assert is_error(explorer) and "already" in explorer.status.value and explorer.axis_names == ["smile"]
    explorer.maker.remove.click()
    assert explorer.axis_names == []


def test_directions_of_other_weights_are_left_out_and_named(explorer):
    mark(explorer)
    explorer.maker.name.value = "smile"
    explorer.maker.keep.click()
    later = LatentExplorer(ExplorerData(**(vars(explorer.data) | {"stamp": "other"})))
    assert later.axes["By hand"] == [] and "other weights, so left out: smile" in later.status.value


def test_a_damaged_file_does_not_keep_the_explorer_from_opening(explorer):
    explorer.data.directions.mkdir(exist_ok=True)
    (explorer.data.directions / "directions.json").write_text("{")
    later = LatentExplorer(explorer.data)
    assert later.picture is not None and "does not hold directions" in later.status.value


def test_clicks_choose_the_start_again_elsewhere(explorer):
    mark(explorer, (7,), ())
    explorer.kind.value = "Latents"
    assert explorer.maker.layout.display == "none"
    explorer.gallery.buttons[6].click()
    assert explorer.start.value == 6 and "content:'+'" not in explorer.gallery._marked.value
