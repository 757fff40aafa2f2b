import numpy as np
import pytest

from vae_helpers.data import PIXELS, measure_pixels
from vae_helpers.errors import InputError

AT = {pixel.name: i for i, pixel in enumerate(PIXELS)}


def _flat(*colour, size=64):
    return np.full((1, size, size, 3), colour, np.uint8)


def _measured(picture):
    return dict(zip(AT, measure_pixels(picture)[0]))


def test_flat_colours_by_hand():
    red = _measured(_flat(200, 40, 40))
    assert np.isclose(red["brightness"], 0.299 * 200 + 0.701 * 40, atol=1e-3)
    assert np.isclose(red["contrast"], 0, atol=1e-3)
    assert np.isclose(red["warmth"], 160) and np.isclose(red["green"], -80) and np.isclose(red["hue"], 0)
    assert np.isclose(red["colourfulness"], 0.3 * np.hypot(160, 80), atol=1e-3)
    for name in ("subject brightness", "subject warmth", "subject green", "subject x", "subject y", "detail"):
        assert np.isclose(red[name], 0, atol=1e-3)
    for colour, hue in (((0, 200, 0), 120), ((0, 0, 200), 240), ((200, 200, 0), 60), ((200, 0, 200), 300)):
        assert np.isclose(_measured(_flat(*colour))["hue"], hue)
    assert np.isnan(_measured(_flat(90, 90, 90))["hue"])


def test_contrast_colourfulness_and_detail_of_stripes():
    stripes = np.zeros((1, 64, 64, 3), np.uint8)
    stripes[:, :, 32:] = 200
    found = _measured(stripes)
    assert np.isclose(found["contrast"], 100, atol=1e-3) and np.isclose(found["colourfulness"], 0, atol=1e-3)
    assert np.isclose(found["detail"], 200 / 63 / 2, atol=1e-3)
    halves = _flat(200, 0, 0)
    halves[:, :, 32:] = (0, 200, 0)  # red - green is ±200, (red + green)/2 - blue is 100
    assert np.isclose(_measured(halves)["colourfulness"], 200 + 0.3 * 100, atol=1e-2)
    assert np.isclose(_measured(halves)["hue"], 60)


def test_a_patch_is_found_and_measured_against_the_border():
    picture = _flat(50, 50, 50)
    picture[0, 4:20, 36:52] = (250, 130, 10)  # upper right; centre at x = 44, y = 12 of 64
    found = _measured(picture)
    assert np.isclose(found["subject x"], 44 / 32 - 1, atol=0.02)
    assert np.isclose(found["subject y"], 1 - 12 / 32, atol=0.02)
    assert np.isclose(found["subject size"], np.sqrt(2 * (0.5**2 / 12)), atol=0.02)  # a square of side 0.5
    middle = _flat(50, 50, 50)
    middle[0, 16:48, 16:48] = (10, 130, 250)
    found = _measured(middle)
    luma = 0.299 * 10 + 0.587 * 130 + 0.114 * 250
    assert np.isclose(found["subject brightness"], luma - 50, atol=1e-2) and np.isclose(found["subject warmth"], -240)
    assert 200 < found["subject hue"] < 220 and np.isclose(found["subject x"], 0, atol=1e-3)


@pytest.mark.parametrize("size", [4, 20, 48, 128])
def test_any_size_gives_finite_numbers(size):
    pictures = np.random.default_rng(0).integers(0, 256, (5, size, size, 3), dtype=np.uint8)
    found = measure_pixels(pictures)
    assert found.shape == (5, 16) and found.dtype == np.float64
    assert np.isfinite(np.delete(found, [AT["hue"], AT["subject hue"]], axis=1)).all()
    assert np.allclose(found[2], measure_pixels(pictures[2:3])[0], atol=1e-3, equal_nan=True)
    assert all(p.low <= v <= p.high for p, v in zip(PIXELS, found[0]) if not np.isnan(v))


def test_bad_input_gets_a_sentence():
    assert measure_pixels(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 16)
    for wrong in (np.zeros((2, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((2, 3, 8, 8), np.uint8)):
        with pytest.raises(InputError, match="uint8 of shape"):
            measure_pixels(wrong)
