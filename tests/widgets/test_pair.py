"""The pair explorer, driven from Python as the browser drives it: by the values of its controls."""

import io

import numpy as np
import pytest
import torch
from explorers import NAMES, count_draws, find_buttons, is_error, some_attributes
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.latent import Chart, Soundness, Support, encode_pictures, lerp, reconstruct, slerp
from vae_helpers.show import to_bytes
from vae_helpers.widgets import ExplorerData, PairExplorer


def test_pair_shows_a_path_at_once(pair):
    assert pair.frames.shape == (12, 32, 32, 3) and pair.frames.dtype == np.uint8
    assert (pair.a.value, pair.b.value, pair.frame.max) == (0, 1, 11)
    for image in (pair.view, pair.strip, *pair.originals, *pair.ends):
        assert Image.open(io.BytesIO(image.value)).format == "JPEG"
    assert "12 frames by lerp" in pair.status.value and not is_error(pair)


@pytest.mark.parametrize("a, b", [(0, 1), (29, 3), (7, 7)])
@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_pair_ends_are_the_reconstructions_bit_for_bit(pair, model, pictures, a, b, method):
    pair.a.value, pair.b.value, pair.method.value = a, b, method
    for end, index in ((0, a), (-1, b)):
        expected = reconstruct(model, pictures[[index]])[0]
        assert np.array_equal(pair.frames[end], expected)
        assert np.array_equal(pair.reconstructions[end], expected)


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_pair_frames_follow_the_named_path(pair, model, pictures, summary, method):
    with pair.hold():
        pair.a.value, pair.b.value, pair.steps.value, pair.method.value = 4, 9, 7, method
    mu, _ = encode_pictures(model, pictures[[4, 9]])
    codes = lerp(mu[0], mu[1], 7) if method == "lerp" else slerp(mu[0], mu[1], 7, summary.active)
    with torch.no_grad():
        middle = (model.decode(codes)[3].permute(1, 2, 0).numpy() + 1) * 127.5
    assert len(pair.frames) == 7
    assert np.abs(pair.frames[3] - middle).max() < 1


def test_every_frame_shows_its_own_picture(pair):
    for at in (11, 0, 6):
        before = pair.view.value
        pair.frame.value = at
        assert pair.view.value == to_bytes(pair.frames[at]) != before
    assert "Frame 6" in pair.view_caption.value and "55%" in pair.view_caption.value


def test_typed_numbers_and_sliders_follow_each_other(pair):
    pair.typed_frame.value = 2
    assert pair.frame.value == 2
    pair.typed_steps.value = 5
    assert pair.steps.value == 5 and len(pair.frames) == 5
    assert pair.frame.max == pair.typed_frame.max == 4


def test_a_click_on_the_strip_goes_to_that_frame(pair):
    pair.steps.value = 30
    box = pair.strip_box
    assert len(box._over.children) == 12 and box.picture is pair.strip
    for place, frame in ((0, 0), (11, 29), (5, 13)):
        box.buttons[place].click()
        assert pair.frame.value == frame and box.buttons[place].tooltip == f"go to frame {frame}"
        assert pair.view.value == to_bytes(pair.frames[frame])
    pair.steps.value = 4
    assert len(box._over.children) == 4
    box.buttons[2].click()
    assert pair.frame.value == 2


def test_fewer_steps_pull_the_frame_back_inside(pair):
    pair.frame.value = 11
    pair.steps.value = 3
    assert pair.frame.value == pair.typed_frame.value == 2
    assert not is_error(pair)


def test_swap_reverses_the_path(pair):
    pair.a.value, pair.b.value = 3, 8
    ends = pair.reconstructions
    drawn = count_draws(pair, "path")
    pair.swap.click()
    assert (pair.a.value, pair.b.value) == (8, 3) and drawn == ["path"]
    assert np.array_equal(pair.reconstructions, ends[::-1])


def test_random_pairs_come_back_with_their_seed(pair):
    seen = {}
    for _ in range(6):
        pair.random_pair.click()
        seen[pair.seed.value] = (pair.a.value, pair.b.value)
        assert pair.a.value != pair.b.value
    assert sorted(seen) == [1, 2, 3, 4, 5, 6] and len(set(seen.values())) > 3
    pair.seed.value = 2
    assert (pair.a.value, pair.b.value) == seen[2]


def test_the_next_random_pair_is_another_than_the_one_shown(pair):
    drawn = {}
    for seed in range(2000):  # until one comes twice running
        drawn[seed] = tuple(np.random.default_rng(seed).permutation(len(pair.pictures))[:2])
        if seed and drawn[seed] == drawn[seed - 1]:
            break
    pair.seed.value = seed - 1
    shown = pair.a.value, pair.b.value
    assert shown == drawn[seed] == drawn[seed - 1]
    pair.random_pair.click()
    assert (pair.a.value, pair.b.value) != shown and pair.seed.value > seed


def test_thumbnails_set_a_and_b_in_turn(pair):
    pair.gallery.buttons[5].click()
    assert (pair.a.value, pair.b.value, pair.target.value) == (5, 1, "B")
    pair.gallery.buttons[8].click()
    assert (pair.a.value, pair.b.value, pair.target.value) == (5, 8, "A")
    pair.target.value = "B"
    pair.gallery.buttons[2].click()
    assert (pair.a.value, pair.b.value) == (5, 2)


def test_gallery_pages_through_all_pictures(pair):
    gallery, first_page = pair.gallery, pair.gallery._drawn.value
    assert gallery.pages == 3 and len(gallery.buttons) == 12
    gallery.next.click()
    assert gallery.page.value == 2 and gallery.buttons[0].description == "12" and gallery._drawn.value != first_page
    gallery.next.click()
    assert [b.description for b in gallery._grid.children] == ["24", "25", "26", "27", "28", "29"]
    assert gallery.buttons[5].tooltip == "set/000029"
    gallery._grid.children[5].click()
    assert pair.a.value == 29
    gallery.next.click()
    assert gallery.page.value == 1 and gallery._drawn.value == first_page
    gallery.previous.click()
    assert gallery.page.value == 3


def test_a_and_b_are_framed_only_on_their_page(pair):
    marks = pair.gallery._marked
    assert marks.value.count("content:'A'") == marks.value.count("content:'B'") == 1
    pair.gallery.page.value = 2
    assert "content" not in marks.value
    pair.a.value = pair.b.value = 13
    assert "content:'A=B'" in marks.value


def test_setting_several_controls_draws_once(pair):
    paths, frames = count_draws(pair, "path"), count_draws(pair, "frame")
    with pair.hold():
        pair.a.value, pair.b.value, pair.steps.value, pair.method.value, pair.frame.value = 2, 9, 20, "slerp", 1
        assert not paths
    assert paths == ["path"] and frames == ["frame"]
    assert len(pair.frames) == 20


def test_it_begins_with_the_pair_given(model, pictures, summary):
    explorer = PairExplorer(ExplorerData(model, pictures, NAMES, summary), page_size=12, pair=np.array([25, 3]))
    assert explorer.pair == (25, 3) and explorer.gallery.page.value == 3
    ends = reconstruct(model, pictures[[25, 3]])
    assert np.array_equal(explorer.frames[0], ends[0]) and np.array_equal(explorer.frames[-1], ends[1])
    with pytest.raises(InputError, match="the pair 0, 30 is not among these pictures: give two numbers from 0 to 29"):
        PairExplorer(ExplorerData(model, pictures, NAMES, summary), pair=(0, 30))


def test_a_single_picture_and_no_summary_will_do(model, pictures):
    explorer = PairExplorer(ExplorerData(model, pictures[:1], NAMES[:1]))
    explorer.random_pair.click()
    explorer.method.value = "slerp"
    assert not is_error(explorer) and explorer.gallery.pages == 1
    assert np.array_equal(explorer.frames[0], explorer.frames[-1])


@pytest.fixture
def measured(model, pictures, summary, tmp_path):
    """With the first pictures of the set standing in for the training pictures."""
    mu, logvar = encode_pictures(model, pictures)
    support = Support(mu[:10], logvar[:10], mu[10:], summary.active)
    data = ExplorerData(model, pictures, NAMES, summary, support, training_pictures=pictures)
    return PairExplorer(data, folder=tmp_path / "plots")


def test_geodesic_is_no_longer_in_pictures_than_the_straight_line(pair):
    pair.a.value, pair.b.value = 4, 11
    straight = pair.report.picture_length
    pair.method.value = "geodesic"
    assert pair.report.picture_length <= straight and "geodesic" in pair.status.value and not is_error(pair)


def test_equal_steps_even_out_the_change(pair):
    with pair.hold():
        pair.a.value, pair.b.value, pair.steps.value = 2, 17, 20
    ends = pair.reconstructions
    pair.even.value = True
    assert pair.report.unevenness < 1.1 and np.array_equal(pair.reconstructions, ends)
    assert repr(pair).endswith("lerp, equal steps")


def test_the_film_holds_every_frame(pair):
    before = pair.film.value
    pair.steps.value = 7
    assert pair.film.value.startswith("<iframe srcdoc=") and "max=&quot;6&quot;" in pair.film.value != before


def test_meters_stand_under_the_frames_of_the_strip(measured):
    assert measured.meter.value.count('vae-distance"') == 12
    assert measured.report.support.distance[0] == 0  # A is a training picture here
    assert ">0.00</span>" in measured.meter.value
    measured.steps.value = 30
    assert measured.meter.value.count('vae-distance"') == 12
    measured.steps.value = 3
    assert measured.meter.value.count('vae-distance"') == 3


def test_the_nearest_training_picture_is_shown_on_demand(measured, pictures):
    assert measured.nearest.layout.display == "none"
    drawn = count_draws(measured, "path")
    measured.show_nearest.value = True
    sheet = np.asarray(Image.open(io.BytesIO(measured.nearest.value)))
    assert measured.nearest.layout.display == "" and not drawn
    assert np.abs(sheet[:, :32].astype(int) - pictures[0]).mean() < 5  # of frame A that is A itself


def test_saves_every_kind_of_file_and_says_where(measured, monkeypatch):
    def lacking():
        raise InputError("no encoder here.")

    monkeypatch.setattr("vae_helpers.show.export.video_encoder", lacking)
    measured.steps.value = 4
    buttons = {b.tooltip: b for b in find_buttons(measured)}
    for ending in (".png", ".gif", ".webp", ".html"):
        buttons[f"save as {ending}"].click()
        file = measured.folder / f"path_0_1_lerp{ending}"
        assert file.is_file() and file.name in measured.status.value and not is_error(measured)
    assert Image.open(measured.folder / "path_0_1_lerp.png").size[1] > 32  # captions under 4 frames
    with pytest.raises(InputError, match="no encoder here"):
        measured.save(".mp4")


def test_nearest_pictures_need_a_support(model, pictures):
    with pytest.raises(InputError, match="without a Support"):
        PairExplorer(ExplorerData(model, pictures, NAMES, training_pictures=pictures))


def test_a_random_pair_turns_the_gallery_to_a(pair):
    for seed in range(1, 8):
        pair.seed.value = seed
        assert pair.a.value in pair.gallery.on_page, seed


def test_the_same_picture_twice_gets_a_sentence(pair):
    pair.a.value = pair.b.value = 5
    assert "A and B are the same picture" in pair.status.value and not is_error(pair)
    assert (pair.frames == pair.frames[0]).all()
    pair.b.value = 6
    assert "same picture" not in pair.status.value


def test_kinds_are_those_that_the_data_allows_the_soundest_first_chosen(model, pictures, summary):
    plain = PairExplorer(ExplorerData(model, pictures, NAMES, summary))
    assert plain.method.options == ("lerp", "slerp", "geodesic") and plain.method.value == "lerp"
    codes = encode_pictures(model, pictures)[0]
    known = PairExplorer(ExplorerData(model, pictures, NAMES, summary, training_codes=codes))
    assert known.method.options == ("lerp", "slerp", "geodesic", "known") and known.method.value == "known"
    assert not is_error(known) and "by known" in known.status.value
    chart = Chart.fit(codes, some_attributes(codes))
    charted = PairExplorer(ExplorerData(model, pictures, NAMES, summary, training_codes=codes, chart=chart))
    assert charted.method.options[-1] == "chart" == charted.method.value and not is_error(charted)
    assert np.array_equal(charted.frames[[0, -1]], reconstruct(model, pictures[:2]))
    assert torch.equal(charted.path.codes, chart.path(*codes[:2], 12))


def test_frames_are_judged_by_their_re_encode_error(model, pictures, summary):
    soundness = Soundness(model, pictures)
    soundness.marks = (1.0, 1.2)
    pair = PairExplorer(ExplorerData(model, pictures, NAMES, summary, soundness=soundness))
    expected = Soundness.judge(soundness, pair.frames)
    assert np.allclose(pair.verdict.error, expected.error) and np.array_equal(pair.verdict.level, expected.level)
    words = [("sound", "doubtful", "broken")[level] for level in expected.level]
    for word in set(words):
        assert pair.meter.value.count(f'class="vae-meter vae-{word}"') == words.count(word)
    for at in (0, 6):
        pair.frame.value = at
        assert words[at] in pair.view_caption.value
    assert f"{words[6]}" in pair.film.value and "distance" not in pair.film.value
    pair.b.value = 9
    assert np.allclose(pair.verdict.error, soundness.judge(pair.frames).error)
