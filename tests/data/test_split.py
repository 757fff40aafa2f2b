"""The split: fair, stable when pictures come and go, and never through a group of near-duplicates."""

import numpy as np
import pytest

from vae_helpers.data import small_parts, split_by_name
from vae_helpers.errors import InputError

NAMES = [f"folder/{i}.jpg" for i in range(3000)]


def sides(names, groups=()):
    return {names[row]: side for side, rows in enumerate(split_by_name(names, groups)) for row in rows}


def test_every_row_once_sorted_in_the_right_shares():
    split = split_by_name(NAMES)
    assert sorted(np.concatenate(split)) == list(range(3000))
    assert all(rows.dtype == np.int64 and (np.diff(rows) > 0).all() for rows in split)
    assert np.allclose([len(rows) / 3000 for rows in split], [0.8, 0.1, 0.1], atol=0.02)


def test_adding_and_removing_pictures_moves_no_other():
    before = sides(NAMES)
    after = sides(NAMES[500:] + [f"new/{i}.jpg" for i in range(700)])
    assert all(after[name] == before[name] for name in NAMES[500:])


def test_near_duplicates_stay_together_and_never_leave_training():
    before = sides(NAMES)
    groups = [tuple(range(i, i + 3)) for i in range(0, 600, 3)]
    after = sides(NAMES, groups)
    for group in groups:
        assert len({after[NAMES[row]] for row in group}) == 1
    assert all(after[name] == 0 for name, side in before.items() if side == 0)
    assert all(after[name] == before[name] for name in NAMES[600:])


@pytest.mark.parametrize(
    "sizes",
    [[2] * 1500, [415, 276, 240, 65, 64, 60, 31] + [7] * 100, [30] * 100, [1200, 700] + [2] * 200],
    ids=["pairs", "sprites", "bursts", "two scenes"],
)
def test_groups_leave_each_part_its_share(sizes):
    ends = np.cumsum(sizes)
    groups = [tuple(range(end - size, end)) for size, end in zip(sizes, ends)]
    after = split_by_name(NAMES, groups)
    assert all(len(rows) >= 0.06 * 3000 for rows in after) and len(after.train) <= 0.85 * 3000
    for rows in groups:
        assert sum(bool(np.isin(rows, part).any()) for part in after) == 1
    alone = np.arange(ends[-1], 3000)  # groups move groups, never a picture that is in none
    for ours, plain in zip(after, split_by_name(NAMES)):
        assert np.array_equal(np.intersect1d(alone, ours), np.intersect1d(alone, plain))


def test_a_group_beyond_every_part_stays_whole_and_the_small_parts_are_named():
    split = split_by_name(NAMES, [tuple(range(2900))])
    assert set(range(2900)) <= set(split.train)
    assert small_parts(split).startswith("of 3,000 pictures validation has ")
    assert small_parts(split_by_name(NAMES)) == "" and "train has 30, validation has 4" in small_parts(
        split_by_name(NAMES[:40])
    )


def test_parts_that_are_given_stay_and_copies_follow_them():
    before = split_by_name(NAMES[:100])
    parts = np.full(200, 255, np.uint8)
    parts[before.train], parts[before.validation], parts[before.test] = 0, 1, 2
    names = [f"renamed {i}" for i in range(100)] + [f"copy {i}" for i in range(100)]
    after = split_by_name(names, [(i, 100 + i) for i in range(100)], parts)
    for was, now in zip(before, after):
        assert now.tolist() == [*was, *(was + 100)]
    with pytest.raises(InputError, match="nothing to hold out"):
        split_by_name(NAMES[:9], parts=np.zeros(9, np.uint8))


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10])
def test_tiny_sets_fill_training_and_validation(count):
    for start in range(0, 200, count):
        split = split_by_name(NAMES[start : start + count])
        assert len(split.train) and len(split.validation) and sum(map(len, split)) == count
        assert count == 2 or len(split.test)


def test_a_set_of_copies_is_still_split():
    split = split_by_name(NAMES[:20], [tuple(range(20))])
    assert len(split.train) and len(split.validation)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pictures_is_one_sentence(count):
    with pytest.raises(InputError, match=f"at least two pictures, and this set has {count}"):
        split_by_name(NAMES[:count])
