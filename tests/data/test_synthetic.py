"""The built-in picture sets: same rows everywhere, every factor visible and alone, nothing outside the frame."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vae_helpers.data import backdrop, synthetic
from vae_helpers.errors import InputError

SETS = sorted(synthetic.SETS)
BUTTERFLY_ROW = [192.61812895903395, 178.53834950629096, 0.8445073604063479]
ANIMAL_ROW = [287.7273312501343, 174.5153162292948, 114.7214695697984]
MEAN_COLOURS = {
    "butterflies": [179.2, 176.97, 180.78, 54.99],
    "animals": [192.38, 187.33, 186.93, 45.57],
}  # red, green, blue, spread


def _column(set_name, factor):
    return [f.name for f in synthetic.SETS[set_name]].index(factor)


def _middle(set_name):
    """One factor row in the middle of every range (the first choice of every category)."""
    return np.array([[0.0 if f.choices else (f.low + f.high) / 2 for f in synthetic.SETS[set_name]]])


def _combinations(set_name):
    """The columns of the categorical factors and all combinations of their values."""
    table = synthetic.SETS[set_name]
    columns = [j for j, f in enumerate(table) if f.choices]
    return columns, itertools.product(*[range(len(table[j].choices)) for j in columns])


def _backdrops(rows, set_name, size):
    hue, light = (rows[:, _column(set_name, name)] for name in ("background_hue", "background_light"))
    return (backdrop(hue, light, size) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)


def _frame(pictures):
    """The pixels on the border, (n, 4 * (size - 1), 3)."""
    edge = np.ones(pictures.shape[1:3], bool)
    edge[1:-1, 1:-1] = False
    return pictures[:, edge].astype(int)


def _solid(rows, set_name, size=128):
    """Where the subject hides the background entirely: pixels that do not react to the background's factors."""
    others = rows.copy()
    others[:, _column(set_name, "background_hue")] = 300.0
    rows = rows.copy()
    rows[:, _column(set_name, "background_hue")] = 60.0
    a, b = synthetic.render(rows, size, set_name).astype(int), synthetic.render(others, size, set_name).astype(int)
    return np.abs(a - b).max(axis=-1) <= 1


@pytest.mark.parametrize("set_name", SETS)
def test_factor_table_is_complete(set_name):
    table = synthetic.SETS[set_name]
    assert len({f.name for f in table}) == len(table)
    assert sum(not f.choices for f in table) >= 10 and 1 <= sum(bool(f.choices) for f in table) <= 2
    assert all(f.low < f.high and f.unit for f in table)
    assert all(f.high == len(f.choices) - 1 for f in table if f.choices)


@pytest.mark.parametrize("set_name", SETS)
def test_rows_depend_on_set_seed_and_index_alone(set_name):
    long = synthetic.sample_factors(set_name, 1000, seed=7)
    assert long.dtype == np.float64
    for n in (0, 1, 17):
        assert np.array_equal(synthetic.sample_factors(set_name, n, seed=7), long[:n])
    assert not np.array_equal(synthetic.sample_factors(set_name, 1000, seed=8), long)


def test_rows_are_these_numbers_on_every_machine():
    assert synthetic.sample_factors("butterflies", 1, seed=0)[0, :3] == pytest.approx(BUTTERFLY_ROW, rel=1e-12)
    assert synthetic.sample_factors("animals", 100, seed=5)[99, :3] == pytest.approx(ANIMAL_ROW, rel=1e-12)


@pytest.mark.parametrize("set_name", SETS)
def test_factors_fill_their_ranges_and_are_independent(set_name):
    rows, table = synthetic.sample_factors(set_name, 5000, seed=0), synthetic.SETS[set_name]
    for column, factor in zip(rows.T, table):
        assert factor.low <= column.min() and column.max() <= factor.high
        if factor.choices:
            assert np.bincount(column.astype(int)).min() > 0.9 * len(rows) / len(factor.choices)
        else:
            assert np.ptp(column) > 0.995 * (factor.high - factor.low)
    correlation = np.corrcoef(rows.T) - np.eye(len(table))
    assert np.abs(correlation).max() < 0.05


@pytest.mark.parametrize("set_name", SETS)
@pytest.mark.parametrize("size", [16, 33, 64, 200])
def test_any_size_and_no_pictures(set_name, size):
    rows = synthetic.sample_factors(set_name, 3, seed=1)
    pictures = synthetic.render(rows, size, set_name)
    assert pictures.shape == (3, size, size, 3) and pictures.dtype == np.uint8
    assert synthetic.render(rows[:0], size, set_name).shape == (0, size, size, 3)


@pytest.mark.parametrize("set_name", SETS)
def test_a_picture_is_a_function_of_its_row_alone(set_name):
    rows = synthetic.sample_factors(set_name, 23, seed=2)
    together = synthetic.render(rows, 48, set_name)
    assert np.array_equal(together, synthetic.render(rows, 48, set_name))
    alone = np.concatenate([synthetic.render(row[None], 48, set_name) for row in rows[::-1]])[::-1]
    assert np.array_equal(together, alone)


_DIGESTS = """
import hashlib
from vae_helpers.data import synthetic
for name in sorted(synthetic.SETS):
    pictures = synthetic.render(synthetic.sample_factors(name, 12, seed=3), 64, name)
    print(hashlib.sha256(pictures.tobytes()).hexdigest())
"""


def test_a_processor_without_vector_units_draws_the_same():
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__ as features
    except ImportError:  # numpy 1.26
        from numpy.core._multiarray_umath import __cpu_dispatch__ as features
    root = str(Path(synthetic.__file__).resolve().parents[3])
    seen = []
    for disabled in ("", " ".join(features)):
        env = {**os.environ, "PYTHONPATH": root, "NPY_DISABLE_CPU_FEATURES": disabled}
        done = subprocess.run([sys.executable, "-W", "ignore", "-c", _DIGESTS], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
        seen.append(done.stdout)
    assert len(seen[0].split()) == len(SETS) and seen[0] == seen[1]


@pytest.mark.parametrize("set_name", SETS)
def test_mean_colours_are_those_of_the_first_drawing(set_name):
    pictures = synthetic.render(synthetic.sample_factors(set_name, 64, seed=0), 64, set_name)
    got = [*pictures.mean(axis=(0, 1, 2)), pictures.std()]
    assert got == pytest.approx(MEAN_COLOURS[set_name], abs=0.05)


@pytest.mark.parametrize("set_name", SETS)
def test_small_pictures_look_like_large_ones(set_name):
    rows = synthetic.sample_factors(set_name, 16, seed=4)
    small, large = synthetic.render(rows, 64, set_name), synthetic.render(rows, 128, set_name)
    shrunk = large.reshape(16, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.abs(small - shrunk).mean(axis=(1, 2, 3)).max() < 3.5


@pytest.mark.parametrize("set_name", SETS)
def test_every_factor_changes_the_picture_in_every_category(set_name):
    table, (columns, combinations) = synthetic.SETS[set_name], _combinations(set_name)
    base = synthetic.sample_factors(set_name, 4, seed=77)
    for values in combinations:
        base[:, columns] = values
        for j, factor in enumerate(table):
            low, high = base.copy(), base.copy()
            low[:, j], high[:, j] = factor.low, factor.high
            if factor.choices:
                low[:, j], high[:, j] = base[:, j], (base[:, j] + 1) % len(factor.choices)
            change = synthetic.render(low, 64, set_name).astype(int) - synthetic.render(high, 64, set_name)
            changed = (np.abs(change).max(axis=-1) > 12).sum(axis=(1, 2))
            assert changed.min() >= 32, (factor.name, values)


@pytest.mark.parametrize("set_name", SETS)
def test_a_small_step_is_a_small_change(set_name):
    rows = synthetic.sample_factors(set_name, 8, seed=6)
    before = synthetic.render(rows, 64, set_name).astype(int)
    for j, factor in enumerate(synthetic.SETS[set_name]):
        if factor.choices:
            continue
        step = (factor.high - factor.low) * 1e-3
        moved = rows.copy()
        moved[:, j] += np.where(moved[:, j] + step <= factor.high, step, -step)
        change = np.abs(synthetic.render(moved, 64, set_name) - before)
        assert change.mean() < 0.25, factor.name


@pytest.mark.parametrize("set_name", SETS)
def test_everything_lies_inside_the_frame(set_name):
    table, (columns, combinations) = synthetic.SETS[set_name], _combinations(set_name)
    rng = np.random.default_rng(0)
    low, high = (np.array([getattr(f, end) for f in table]) for end in ("low", "high"))
    for values in combinations:
        rows = np.where(rng.random((40, len(table))) < 0.5, low, high)  # corners: the largest, furthest, most turned
        rows[:, columns] = values
        pictures = synthetic.render(rows, 128, set_name)
        assert np.abs(_frame(pictures) - _frame(_backdrops(rows, set_name, 128))).max() <= 1


@pytest.mark.parametrize("set_name", SETS)
def test_background_factors_change_corners_and_not_the_subject(set_name):
    solid = _solid(_middle(set_name), set_name)
    assert not solid[:, [0, 0, -1, -1], [0, -1, 0, -1]].any()
    assert 0.10 < solid.mean() < 0.6


@pytest.mark.parametrize("set_name", SETS)
def test_only_background_factors_change_the_corners(set_name):
    for j, factor in enumerate(synthetic.SETS[set_name]):
        rows = np.repeat(_middle(set_name), 2, axis=0)
        rows[:, j] = factor.low, factor.high
        low, high = _frame(synthetic.render(rows, 64, set_name))
        assert (np.abs(low - high).max() > 20) == factor.name.startswith("background"), factor.name


@pytest.mark.parametrize("pattern", range(4))
def test_an_upright_butterfly_is_its_own_mirror_image(pattern):
    rows = _middle("butterflies")
    rows[:, _column("butterflies", "pattern")] = pattern
    solid = _solid(rows, "butterflies")
    solid &= solid[:, :, ::-1]
    assert solid.mean() > 0.10
    picture = synthetic.render(rows, 128).astype(int)
    assert np.abs(picture - picture[:, :, ::-1])[solid].max() <= 1


def test_an_animal_that_looks_ahead_is_symmetric_but_for_the_light_in_its_eyes():
    rows = _middle("animals")
    picture = synthetic.render(rows, 128, "animals").astype(int)
    solid = _solid(rows, "animals")
    solid &= solid[:, :, ::-1]
    unequal = (np.abs(picture - picture[:, :, ::-1]).max(axis=-1) > 24) & solid
    assert 0 < unequal.sum() < 0.02 * solid.sum()


@pytest.mark.parametrize("set_name, factor", [("butterflies", "rotation"), ("animals", "tilt")])
def test_opposite_turns_are_mirror_images(set_name, factor):
    rows = np.repeat(_middle(set_name), 2, axis=0)
    rows[:, _column(set_name, factor)] = -18.0, 18.0
    both = _solid(rows, set_name)
    assert (both[0] != both[1][:, ::-1]).mean() < 0.01
    assert (both[0] != both[1]).mean() > 0.05


def test_x_and_y_move_the_butterfly_by_pixels():
    pixel = 2 / 128
    rows = np.repeat(_middle("butterflies"), 3, axis=0)
    rows[1, _column("butterflies", "x")] = 3 * pixel  # right
    rows[2, _column("butterflies", "y")] = 2 * pixel  # up
    start, right, up = _solid(rows, "butterflies")
    assert (right != np.roll(start, 3, axis=1)).mean() < 0.002
    assert (up != np.roll(start, -2, axis=0)).mean() < 0.002


def test_wing_hue_paints_the_wings():
    rows = np.repeat(_middle("butterflies"), 2, axis=0)
    rows[:, _column("butterflies", "wing_hue")] = 0.0, 300.0 * 6 / 9  # crimson, azure
    red, blue = synthetic.render(rows, 128).astype(int)
    wing = np.abs(red - blue).max(axis=-1) > 100
    assert wing.mean() > 0.03
    assert (red[wing] - blue[wing])[:, 0].mean() > 100 and (blue[wing] - red[wing])[:, 2].mean() > 100


@pytest.mark.parametrize("set_name", SETS)
def test_size_scales_the_area(set_name):
    rows = np.repeat(_middle(set_name), 2, axis=0)
    column = _column(set_name, "size")
    rows[:, column] = synthetic.SETS[set_name][column].low, synthetic.SETS[set_name][column].high
    small, large = _solid(rows, set_name, 256).sum(axis=(1, 2))
    assert large / small == pytest.approx((rows[1, column] / rows[0, column]) ** 2, rel=0.05)


def _spoiled(column, value):
    rows = synthetic.sample_factors("butterflies", 3, seed=0)
    rows[1, column] = value
    return rows


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: synthetic.sample_factors("birds", 3), "no built-in picture set 'birds': choose one of: .*butterflies"),
        (lambda: synthetic.render(np.zeros((1, 14)), 64, "birds"), "no built-in picture set 'birds'"),
        (lambda: synthetic.sample_factors("animals", -1), "n must be a whole number of at least 0, not -1"),
        (lambda: synthetic.sample_factors("animals", 2.5), "n must be a whole number"),
        (lambda: synthetic.sample_factors("animals", 2, seed=-4), "seed must be a whole number of at least 0, not -4"),
        (lambda: synthetic.render(np.zeros((2, 3))), r"must have shape \(n, 14\), not \(2, 3\)"),
        (lambda: synthetic.render(np.zeros(14)), r"must have shape \(n, 14\), not \(14,\)"),
        (lambda: synthetic.render([["red"] * 14]), "must be an array of numbers"),
        (lambda: synthetic.render(_spoiled(0, np.nan)), "factor 'wing_hue' of row 1 is nan but must be in 0 to 300"),
        (lambda: synthetic.render(_spoiled(0, 301.0)), "factor 'wing_hue' of row 1 is 301 but must be in 0 to 300"),
        (
            lambda: synthetic.render(_spoiled(13, 1.5)),
            "'pattern' of row 1 is 1.5 but must be a whole number from 0 to 3",
        ),
        (lambda: synthetic.render(_spoiled(13, 4.0)), "factor 'pattern' of row 1 is 4"),
        (lambda: synthetic.render(_spoiled(7, np.inf)), "factor 'size' of row 1 is inf"),
        (
            lambda: synthetic.render(_spoiled(0, 1.0), 15),
            "size must be a whole number of pixels of at least 16, not 15",
        ),
        (lambda: synthetic.render(_spoiled(0, 1.0), 64.0), "size must be a whole number of pixels"),
    ],
)
def test_bad_input_gets_one_sentence(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
