"""Figures of trust and of kinds of path, on tables whose answer is known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex

from vae_helpers.errors import InputError
from vae_helpers.latent import Trust
from vae_helpers.show import show_kinds, show_readout, show_trust, show_what_moves, style

TRUSTS = [
    Trust("pattern_hue", 0.1, float("nan"), 0.0, "pixels"),
    Trust("size", 0.99, 0.95, 0.02, "factors"),
    Trust("warmth", 0.9, 0.4, 0.3, "pixels"),
]
CORRELATION = np.array([[1, 0.0, -0.7], [0.0, 1, 0.05], [-0.7, 0.05, 1]])


def _texts(axis):
    return [text.get_text() for text in axis.texts]


def test_trust_is_ordered_and_an_untrusted_slider_is_grey():
    figure = show_trust(TRUSTS, title="Trust")
    assert plt.get_fignums() == [] and len(figure.axes) == 3
    readout, slope, leak = figure.axes
    assert [t.get_text() for t in readout.get_yticklabels()] == ["size", "warmth", "pattern hue"]
    assert [bar.get_width() for bar in readout.patches] == [0.99, 0.9, 0.1]
    assert _texts(slope) == ["0.95", "0.40", "?"] and _texts(leak) == ["0.02", "0.30", "0.00"]
    assert [to_hex(bar.get_facecolor()) for bar in leak.patches] == [style.GOOD, style.QUIET, style.QUIET]
    assert [axis.lines[0].get_xdata()[0] for axis in figure.axes] == [1, 1, 0]  # the best values


def test_correlation_is_in_the_same_order():
    axis = show_trust(TRUSTS, CORRELATION).axes[3]
    order = [1, 2, 0]
    assert np.array_equal(axis.images[0].get_array(), CORRELATION[np.ix_(order, order)])
    assert _texts(axis) == ["-.7", "-.7"]  # those under 0.1 carry no number


def test_the_share_of_sound_middles_by_hand():
    values = {"reconstructions": [28.0, 30.0, 32.0], "lerp": [26.9, 27.0, 20.0, 31.0], "chart": [29.0, 30.0]}
    shares, dots = show_kinds(values).axes
    assert _texts(shares) == ["100% of 3", "50% of 4", "100% of 2"]  # the mark is 27
    assert [t.get_text() for t in shares.get_yticklabels()] == list(values)
    assert _texts(dots) == ["30.0 dB", "26.9 dB", "29.5 dB"]
    assert [to_hex(c) for c in dots.collections[1].get_facecolors()] == [style.BAD, style.GOOD, style.BAD, style.GOOD]
    assert dots.lines[-1].get_xdata()[0] == 27


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda: show_trust([]), "at least one attribute"),
        (lambda: show_trust(TRUSTS, np.eye(2)), r"shape \(3, 3\)"),
        (lambda: show_kinds({"lerp": [1.0]}), "reconstructions"),
        (lambda: show_kinds({"reconstructions": [1.0], "lerp": []}), "at least one middle"),
    ],
)
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        wrong()


def test_what_moves_is_drawn_a_panel_each():
    matrix = np.array([[1.0, 0.2], [np.nan, 0.5], [0.0, 3.0]])
    figure = show_what_moves({"latents": (matrix, ["z1", "z2", "z3"]), "chart": (np.eye(2), ["a", "b"])}, ["a", "b_c"])
    left, right = figure.axes[:2]
    assert np.array_equal(left.images[0].get_array().filled(np.nan), matrix, equal_nan=True)
    assert [t.get_text() for t in left.get_xticklabels()] == ["a", "b c"] and right.get_title() == "chart"


def test_what_is_kept_and_what_is_dropped():
    axis = show_readout(TRUSTS).axes[0]
    assert [t.get_text() for t in axis.get_yticklabels()] == ["size", "warmth", "pattern hue"]
    assert _texts(axis) == ["0.99", "0.90", "0.10   dropped"]
    assert [to_hex(bar.get_facecolor()) for bar in axis.patches] == [style.GOOD, style.GOOD, style.BAD]


@pytest.mark.parametrize(
    "panels", [{}, {"a": (np.eye(2), ["x"])}, {"a": (np.empty((0, 2)), [])}, {"a": (np.eye(3), list("xyz"))}]
)
def test_panels_of_other_shapes_are_refused(panels):
    with pytest.raises(InputError, match="a matrix of sliders and attributes each"):
        show_what_moves(panels, ["a", "b"])
    with pytest.raises(InputError, match="at least one attribute"):
        show_readout([])
