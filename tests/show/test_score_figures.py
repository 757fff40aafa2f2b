import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.show import figures, show_factor_map, show_rate_distortion, show_scores

CURVES = {"one": {4.0: [(10, 50), (12, 58), (11, 70)], 1.0: [(40, 20)]}, "other": {1.0: [(30, 30), (50, 10)]}}
SCORES = {"MIG": {"a": [0.1, 0.4, 0.2], "b": [0.3]}, "PSNR, dB": {"a": [20.0, 22.0], "c": [19.0]}}


def _texts(axis):
    return [text.get_text() for text in axis.texts]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: show_factor_map(np.eye(3), "abc", range(3), title="map"),
        lambda: show_rate_distortion(CURVES, "curve"),
        lambda: show_scores(SCORES, "dots"),
    ],
)
def test_every_figure_draws_something_and_stays_closed(draw, tmp_path):
    picture = np.asarray(Image.open(figures.save(draw(), tmp_path / "figure.png")).convert("RGB"))
    assert picture.std() > 5 and plt.get_fignums() == []


def test_a_map_shows_the_matrix_with_its_names_and_frames_the_best():
    matrix = np.array([[0.9, 0.0, 0.01], [0.2, 0.05, 0.02]])
    axis, bar = show_factor_map(matrix, ("wing_hue", "size", "x"), (7, 3), "nats").axes
    assert np.array_equal(axis.images[0].get_array(), matrix)
    assert [label.get_text() for label in axis.get_xticklabels()] == ["wing hue", "size", "x"]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["z7", "z3"]
    assert _texts(axis) == [".90", ".20"] and bar.get_ylabel() == "nats"
    (frame,) = axis.patches  # the others are not worth one
    assert frame.get_xy() == pytest.approx((-0.47, -0.46))


def test_a_map_of_many_latents_says_what_it_leaves_out():
    axis = show_factor_map(np.random.default_rng(0).random((30, 2)), "ab", range(30)).axes[0]
    assert axis.images[0].get_array().shape == (24, 2) and "6 more left out" in axis.get_ylabel()


def test_a_map_of_nothing_has_no_frames():
    assert not show_factor_map(np.zeros((2, 2)), "ab", (0, 1)).axes[0].patches


def test_rate_and_distortion_are_medians_in_the_order_of_beta():
    (axis,) = show_rate_distortion(CURVES).axes
    line = axis.containers[0].lines[0]
    assert line.get_xydata().tolist() == [[40, 20], [11, 58]]  # β = 1, then the median of three seeds at 4
    assert _texts(axis) == ["β 1", "β 4", "β 1"]
    across, up = axis.containers[0].lines[2]  # bars from the lowest seed to the highest
    assert across.get_segments()[1].tolist() == [[10, 58], [12, 58]]
    assert up.get_segments()[1].tolist() == [[11, 50], [11, 70]]
    assert len(axis.collections[2].get_offsets()) == 4  # every seed is a dot


def test_scores_have_a_panel_each_with_medians_and_all_seeds():
    mig, psnr = [axis for axis in show_scores(SCORES).axes if axis.get_visible()]
    assert [label.get_text() for label in mig.get_yticklabels()] == ["a", "b", "c"]
    assert [line.get_xdata()[0] for line in mig.lines] == [0.2, 0.3]
    assert [line.get_xdata()[0] for line in psnr.lines] == [21, 19]
    assert [len(dots.get_offsets()) for dots in mig.collections] == [3, 1, 0]
    assert mig.get_xlim()[0] == pytest.approx(0, abs=0.02) and psnr.get_xlim()[0] > 15
    assert psnr.get_title() == "PSNR, dB" and mig.get_ylim()[0] > mig.get_ylim()[1]  # the first objective on top


@pytest.mark.parametrize(
    "draw, word",
    [
        (lambda: show_factor_map(np.eye(3), "ab", range(3)), "needs a matrix of that shape"),
        (lambda: show_factor_map(np.zeros((0, 2)), "ab", ()), "needs a matrix"),
        (lambda: show_rate_distortion({}), "no rate and distortion"),
        (lambda: show_rate_distortion({"a": {1.0: []}}), "no rate and distortion"),
        (lambda: show_scores({}), "no scores"),
        (lambda: show_scores({"MIG": {"a": []}}), "no scores"),
    ],
)
def test_bad_input_gets_a_sentence(draw, word):
    with pytest.raises(InputError, match=word):
        draw()
