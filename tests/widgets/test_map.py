"""The map that picks a pair, driven by its buttons."""

import re
import threading

import numpy as np
import pytest
from explorers import NAMES, find_buttons, is_error, some_model, some_pictures, some_summary

from vae_helpers.data import Attribute, Attributes
from vae_helpers.errors import InputError
from vae_helpers.latent import encode_pictures
from vae_helpers.widgets import ExplorerData, MapExplorer, PairExplorer, frame, map_drawing


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
    plane = chart._points["PCA"]  # the first axis goes right, the second up
    assert np.isclose(places[plane[:, 0].argmax(), 0], 912 - 30) and np.isclose(places[plane[:, 1].argmax(), 1], 30)
    points = 30 - len(chart.with_thumbnail)
    ends = len({0, 1} - set(chart.with_thumbnail))  # have a ring
    assert points > 0 and chart._dots.value.count("<circle") == points == chart._dots.value.count("<title>")
    assert chart._back.value.count("<circle") == 12 + ends  # the stops of the path
    assert f"{points} more in view as points" in chart.note.value


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


def test_zoom_brings_thumbnails_of_pictures_that_were_points(chart):
    before, places = set(chart.with_thumbnail), chart._places()
    chart.moves["+"].click()
    chart.moves["+"].click()
    middle = np.array([456, 260])
    assert np.allclose(chart._places() - middle, 1.5**2 * (places - middle)) and "Zoom 2.2" in chart.note.value
    assert set(chart.with_thumbnail) - before
    for i in chart.with_thumbnail:
        assert (chart._places()[i] >= 24).all() and (chart._places()[i] <= [912 - 24, 520 - 24]).all()
    chart.moves["→"].click()  # a quarter of the view
    assert np.allclose(chart._places() - middle, 2.25 * (places - middle) - [852 / 4, 0])
    chart.moves["Whole"].click()
    assert np.allclose(chart._places(), places) and set(chart.with_thumbnail) == before


def test_a_is_brought_into_the_middle_unless_the_border_is_in_the_way(chart):
    share = (chart._places() - 30) / [852, 460]
    inner = int(np.abs(share - 0.5).max(axis=1).argmin())
    chart.pair.a.value, chart.pair.b.value = inner, int(share[:, 0].argmax())
    for _ in range(5):
        chart.moves["+"].click()
    chart.moves["A"].click()
    assert np.allclose(chart._places()[inner], [456, 260])
    chart.moves["B"].click()
    assert np.isclose(chart._places()[chart.pair.b.value, 0], 912 - 30)


def test_points_and_thumbnails_have_the_colour_of_an_attribute(chart):
    kinds = Attribute("kind", kind="category", choices=("moth", "owl"))
    table = Attributes(np.arange(30.0)[:, None] % 2, (kinds,))
    coloured = MapExplorer(chart.pair, chart._codes, table)
    assert coloured.colour.options == ("nothing", "kind") and coloured.legend.value == ""
    coloured.colour.value = "kind"
    moth, owl = coloured._colours.colours[:2]
    thumbs = coloured.with_thumbnail
    assert coloured._drawn.value.count(f"outline:3px solid {moth}") == sum(i % 2 == 0 for i in thumbs)
    assert coloured._dots.value.count(f'fill="{owl}"') == sum(i % 2 for i in range(30) if i not in thumbs)
    assert "moth" in coloured.legend.value and owl in coloured.legend.value
    assert ", kind owl</title>" in coloured._dots.value
    coloured.colour.value = "nothing"
    assert coloured.legend.value == "" and "outline" not in coloured._drawn.value


def test_the_nearest_are_listed_and_a_click_picks_one(chart):
    chart.pair.a.value, chart.pair.b.value = 4, 21
    codes = chart._codes.numpy()

    def expected(i):
        return [j for j in np.argsort(np.linalg.norm(codes - codes[i], axis=1)) if j != i][:6]

    assert chart.nearest.rows.tolist() == expected(4)
    assert [int(thumb.description) for thumb in chart.nearest.buttons] == expected(4)
    assert f"{expected(4)[0]} " in chart.nearest.note.value and "Nearest to A, which is 4 " in chart.nearest.note.value
    chart.nearest.of.value = "B"
    assert chart.nearest.rows.tolist() == expected(21) and "Nearest to B" in chart.nearest.note.value
    chart.pair.target.value = "A"
    chart.nearest.buttons[2].click()
    assert chart.pair.a.value == expected(21)[2] and not is_error(chart.pair)


def test_names_stand_at_the_ends_and_at_what_is_near(chart):
    chart.pair.a.value, chart.pair.b.value = 4, 21
    for label, i in (("A", 4), ("B", 21)):
        assert f">{label} {NAMES[i].rsplit('/')[-1]}</text>" in chart._back.value
    assert chart._back.value.count('class="vae-near"') == 6 - (21 in chart.nearest.rows)


def test_names_at_the_border_are_moved_inside(chart):
    places = chart._places()
    for corner in (places[:, 0].argmin(), places[:, 0].argmax()):
        chart.pair.a.value = int(corner)
        x = float(re.search(r'<text class="vae-a" x="([\d.]+)"', chart._back.value)[1])
        half = 4.5 * len(f"A {NAMES[corner].rsplit('/')[-1]}")
        assert half <= x <= 912 - half
        chart.pair.target.value = "A"
    for x, text, expected in ((50, "a", 50), (3, "abcd", 18), (909, "ab", 901)):
        assert map_drawing.inside_border(x, text, 910) == expected


def test_other_pictures_are_faint_points_on_the_pca_map_only(chart, monkeypatch):
    more = MapExplorer(chart.pair, chart._codes, others=chart._codes[:9] * 0.5)
    faint = more._dots.value.split("vae-others")[1].split("</g>")[0]
    assert faint.count("<circle") == 9 and "9 other pictures" in more.note.value
    monkeypatch.setattr("vae_helpers.widgets.map.tsne_map", lambda codes, perplexity: codes[:, :2].numpy() ** 3)
    more.kind.value = "t-SNE"
    assert "vae-others" not in more._dots.value and "other pictures" not in more.note.value


def test_what_is_not_of_these_pictures_is_refused(chart):
    with pytest.raises(InputError, match="30 pictures but 7 codes"):
        MapExplorer(chart.pair, chart._codes[:7])
    table = Attributes(np.zeros((7, 1)), (Attribute("size"),))
    with pytest.raises(InputError, match="30 pictures but 7 rows of attributes"):
        MapExplorer(chart.pair, chart._codes, table)
    with pytest.raises(InputError, match="other pictures have shape"):
        MapExplorer(chart.pair, chart._codes, others=chart._codes[:, :2])


def test_ones_own_photo_as_a_has_no_place_but_neighbours(chart):
    own = chart.pair.pictures[7].copy()
    chart.pair._take_photo("mine.jpg", own)
    assert chart.pair.pair == (30, 1) and not is_error(chart.pair)
    assert chart.nearest.rows[0] == 7 and "Nearest to A, which is 30 mine.jpg" in chart.nearest.note.value
    assert f"{chart._key}-1{{box-shadow" in chart._marked.value and "-30{" not in chart._marked.value
    chart.moves["A"].click()
    assert "no place on this map" in chart.pair.status.value


def test_pairs_are_picked_while_a_map_is_laid_out(chart, monkeypatch):
    """The field stays the PCA's until the other is there, and nothing waits for it."""
    monkeypatch.setattr(frame, "control_was_moved", lambda: True)
    through = threading.Event()

    def slow(codes, perplexity):
        assert through.wait(10)
        return codes[:, :2].numpy() ** 3

    monkeypatch.setattr("vae_helpers.widgets.map.tsne_map", slow)
    chart.kind.value = "t-SNE"
    chart.buttons[chart.with_thumbnail[2]].click()
    assert chart._laid_out == "PCA" and not is_error(chart.pair)
    through.set()
    chart.pair.settle()
    assert chart._laid_out == "t-SNE" and "polyline" not in chart._back.value
    assert np.allclose(chart._points["t-SNE"], chart._codes[:, :2].numpy() ** 3)
