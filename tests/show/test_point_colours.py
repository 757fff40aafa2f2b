"""Points coloured by what is known of them."""

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex

from vae_helpers.data import Attribute
from vae_helpers.errors import InputError
from vae_helpers.show import Legend, colour_points, show_map, style

CHOICES = tuple(f"kind {i}" for i in range(12))


def test_numbers_go_from_the_lowest_to_the_highest_and_unknown_ones_are_grey():
    found = colour_points(Attribute("size", "px"), np.array([10.0, 30.0, np.nan, 20.0]))
    expected = [to_hex(colormaps["viridis"](share)) for share in (0.0, 1.0, 0.5)]
    assert found.colours == (expected[0], expected[1], style.QUIET, expected[2])
    assert found.words == ("10 px", "30 px", "unknown", "20 px") and (found.name, found.title) == ("size", "size, px")
    assert [entry.text for entry in found.legend] == ["10", "15", "20", "25", "30", "unknown"]
    assert found.legend[2].colour == expected[2] and found.legend[-1].colour == style.QUIET


def test_circular_ones_end_as_they_begin():
    angle = Attribute("turn", "degrees", "circular", 0.0, 360.0)
    found = colour_points(angle, np.array([0.0, 360.0, 180.0, 90.0, 450.0, -270.0]))
    assert found.colours[0] == found.colours[1] != found.colours[2]
    assert found.colours[3] == found.colours[4] == found.colours[5]
    assert [entry.text for entry in found.legend] == ["0", "90", "180", "270"]
    assert found.legend[1].colour == found.colours[3]


def test_the_ten_most_frequent_choices_have_a_colour_each():
    kind = Attribute("kind", kind="category", choices=CHOICES)
    values = np.array([*range(12), *range(2, 12), np.nan], float)  # 0 and 1 are once there, the others twice
    found = colour_points(kind, values)
    assert found.colours[2:12] == style.COLOURS and found.colours[:2] == (style.QUIET,) * 2
    assert found.legend[:-2] == tuple(map(Legend, CHOICES[2:], style.COLOURS))
    assert [entry.text for entry in found.legend[-2:]] == ["other", "unknown"] and found.words[0] == "kind 0"


def test_equal_unknown_and_no_values():
    one = colour_points(Attribute("size"), np.array([3.0, 3.0]))
    assert len(set(one.colours)) == 1 and [entry.text for entry in one.legend] == ["3"]
    assert colour_points(Attribute("size"), np.array([np.nan])).legend == (Legend("unknown", style.QUIET),)
    assert colour_points(Attribute("size"), np.empty(0)).legend == ()
    with pytest.raises(InputError, match=r"have shape \(2, 1\)"):
        colour_points(Attribute("size"), np.zeros((2, 1)))


def test_a_map_with_colours_has_them_on_points_and_frames_and_a_legend():
    points, pictures = np.random.default_rng(0).normal(size=(40, 2)), np.zeros((40, 16, 16, 3), np.uint8)
    colours = colour_points(Attribute("kind", kind="category", choices=("moth", "owl")), np.arange(40.0) % 2)
    axis = show_map(points, pictures, colours=colours).axes[0]
    assert [to_hex(each) for each in axis.collections[0].get_facecolors()] == list(colours.colours)
    frames = {to_hex(box.patch.get_edgecolor()) for box in axis.artists}
    assert frames == set(style.COLOURS[:2])
    legend = axis.get_legend()
    assert legend.get_title().get_text() == "kind" and [t.get_text() for t in legend.get_texts()] == ["moth", "owl"]
    with pytest.raises(InputError, match="40 points but 39 colours"):
        show_map(points, pictures, colours=colours._replace(colours=colours.colours[:39]))
