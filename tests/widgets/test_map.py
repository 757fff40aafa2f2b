"""The map that picks a pair, driven by its buttons."""

import numpy as np
import pytest
from explorers import NAMES, find_buttons, is_error, some_model, some_pictures, some_summary

from vae_helpers.errors import InputError
from vae_helpers.latent import encode_pictures
from vae_helpers.widgets import ExplorerData, MapExplorer, PairExplorer


@pytest.fixture
def chart():
    model, pictures = some_model(), some_pictures()
    pair = PairExplorer(ExplorerData(model, pictures, NAMES, some_summary(model, pictures)))
    return MapExplorer(pair, encode_pictures(model, pictures)[0])


def test_two_clicks_pick_a_pair(chart):
    first, second = chart.with_thumbnail[2], chart.with_thumbnail[5]
    before = chart._back.value
    chart.buttons[first].click()
    chart.buttons[second].click()
    assert (chart.pair.a.value, chart.pair.b.value) == (first, second) and not is_error(chart.pair)
    assert chart._back.value != before
    for index in (first, second):
        assert f"-{index}{{box-shadow" in chart._marked.value


def test_the_path_begins_at_a_and_ends_at_b(chart):
    chart.pair.a.value, chart.pair.b.value = 4, 21
    line = chart._back.value.split('<polyline points="')[1].split('"')[0].split()
    ends = np.array([[float(n) for n in point.split(",")] for point in (line[0], line[-1])])
    assert len(line) == 12 and np.abs(ends - chart._places()[[4, 21]]).max() < 0.1


def test_every_picture_has_a_place_on_the_field(chart):
    places = chart._places()
    assert (places >= 0).all() and (places <= [912, 520]).all()
    assert chart._back.value.count("<circle") == 30 + 12  # the pictures, and the stops of the path


def test_thumbnails_stand_on_their_places_however_wide_the_field_is(chart):
    places = chart._places()
    for i in chart.with_thumbnail:
        rule = f"-{i}{{left:calc({places[i, 0]:.0f}*var(--vae-u));top:calc({places[i, 1]:.0f}*var(--vae-u));"
        assert rule in chart._drawn.value
    assert 'viewBox="0 0 912 520"' in chart._back.value


def test_others_come_up_until_all_were_shown(chart):
    seen = set()
    for _ in range(30):
        shown = set(chart.with_thumbnail)
        assert shown and not shown & seen
        seen |= shown
        chart.others.click()
        if len(seen) == 30:
            break
    assert seen == set(range(30)) and chart.with_thumbnail


def test_tsne_or_a_sentence(chart, monkeypatch):
    def lacking(*_):
        raise InputError("t-SNE needs the package scikit-learn.")

    with monkeypatch.context() as patch:
        patch.setattr("vae_helpers.widgets.map.tsne_map", lacking)
        chart.kind.value = "t-SNE"
    assert is_error(chart.pair) and chart.kind.value == "PCA"
    with monkeypatch.context() as patch:
        patch.setattr("vae_helpers.widgets.map.tsne_map", lambda codes, perplexity: codes[:, :2].numpy() ** 3)
        chart.kind.value = "t-SNE"
    assert not is_error(chart.pair) and chart.kind.value == "t-SNE" and "polyline" not in chart._back.value


def test_saves_the_path_that_is_drawn(chart, tmp_path):
    chart.pair.folder = tmp_path
    (gif,) = (b for b in find_buttons(chart) if b.tooltip == "save as .gif")
    gif.click()
    assert (tmp_path / "path_0_1_lerp.gif").is_file() and "path_0_1_lerp.gif" in chart.pair.status.value


def test_codes_of_other_pictures_are_refused(chart):
    with pytest.raises(InputError, match="30 pictures but 7 codes"):
        MapExplorer(chart.pair, chart._codes[:7])
