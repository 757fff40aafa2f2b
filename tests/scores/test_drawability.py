"""Drawability on pictures whose answer is known: drawn ones are drawable, damaged ones are not."""

import numpy as np
import pytest

from vae_helpers.data import render, sample_factors
from vae_helpers.errors import InputError
from vae_helpers.scores import drawability, share_drawable


def test_what_the_renderer_drew_is_found():
    factors = sample_factors("butterflies", 4, seed=5)[1:4]
    found = drawability(render(factors, 64))
    assert np.median(found.psnr) > 35
    best = found.psnr.argmax()
    assert found.factors[best, -1] == factors[best, -1]  # the family of patterns
    assert np.abs(found.factors[best, 8] - factors[best, 8]) < 0.5  # degrees of rotation


def test_a_hue_is_not_caught_at_the_wrong_end_of_its_range():
    """Crimson and magenta are neighbours for the eye, and the two ends of the range of wing hues."""
    factors = sample_factors("butterflies", 64, seed=31)[46:47]
    assert drawability(render(factors, 64)).psnr[0] > 30


def test_a_broken_frame_is_not_drawable():
    pictures = render(sample_factors("butterflies", 2, seed=6), 64)
    torn = pictures.copy()
    torn[:, :, 32:] = pictures[::-1, :, 32:]  # two half butterflies
    noise = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    psnr = drawability(np.concatenate([torn, noise])).psnr
    assert psnr[:2].max() < 25 and psnr[2] < 12


def test_the_other_set_is_drawn_too():
    assert drawability(render(sample_factors("animals", 1, seed=3), 32, "animals"), "animals").psnr[0] > 20


def test_share_is_counted_from_the_reconstructions():
    assert share_drawable(np.array([30.0, 27.0, 26.9, 10.0]), np.array([29.0, 30.0, 31.0])) == 0.5


def test_odd_input():
    good = np.zeros((1, 32, 32, 3), np.uint8)
    for frames, set_name, said in (
        (good, "photos", "photos"),
        (good[0], "butterflies", "square"),
        (good.astype(float), "butterflies", "uint8"),
        (good[:, :8, :8], "butterflies", "too small"),
        (good[:0], "butterflies", "at least 1"),
    ):
        with pytest.raises(InputError, match=said):
            drawability(frames, set_name)
