"""Meters under frames: what they say, in colour and without."""

import re

import numpy as np
import pytest

from vae_helpers.latent import Soundness, Verdict
from vae_helpers.widgets import meters as meter_parts


@pytest.fixture
def soundness(model, pictures):
    found = Soundness(model, pictures)
    found.marks = (2.0, 3.0)
    return found


def test_each_level_has_its_colour_its_mark_and_its_word(soundness):
    verdict = Verdict(np.array([1.0, 2.5, 9.0]), np.array([0, 1, 2]))
    html = meter_parts.meters(300, soundness, verdict, [0.1, 1.25, 3.0])
    assert re.findall(r'vae-meter vae-(\w+)" title="(\w+)"', html) == [(w, w) for w in ("sound", "doubtful", "broken")]
    assert re.findall(r">([✓?✗])</b> ([\d.]+)", html) == [("✓", "1.0"), ("?", "2.5"), ("✗", "9.0")]
    assert re.findall(r"width:(\d+)%", html) == ["25", "62", "92"]
    assert re.findall(r'distance">([\d.]+)', html) == ["0.10", "1.25", "3.00"]
    assert [meter_parts.in_words(verdict, [0.1, 1.25, 3.0], k) for k in (0, 2)] == [
        "sound, distance 0.10",
        "broken, distance 3.00",
    ]


def test_a_distance_alone_is_a_number_without_a_verdict():
    html = meter_parts.meters(300, distances=[0.5, 4.0])
    assert "vae-meter " not in html and html.count("vae-distance") == 2
    assert meter_parts.in_words(None, [0.5, 4.0], 1) == "distance 4.00" and meter_parts.in_words(None, None, 0) == ""
    assert meter_parts.meters(300) == "" == meter_parts.meter_note(False, False)


@pytest.mark.parametrize("error", [0.0, 1e9, 2.0, 3.0])
def test_a_bar_stays_within_its_frame(soundness, error):
    verdict = Verdict(np.array([error]), np.array([0]))
    (share,) = re.findall(r"width:(\d+)%", meter_parts.meters(10, soundness, verdict))
    assert int(share) == {0.0: 0, 1e9: 100, 2.0: 50, 3.0: 75}[error]
