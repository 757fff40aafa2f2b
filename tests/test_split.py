"""The split: fair, stable when pictures come and go, and never through a group of near-duplicates."""
import numpy as np
import pytest

from vae_helpers.errors import InputError
from vae_helpers.split import split_by_name

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


@pytest.mark.parametrize("count", [2, 3, 4, 5, 10])
def test_tiny_sets_fill_training_and_validation(count):
    for start in range(0, 200, count):
        split = split_by_name(NAMES[start:start + count])
        assert len(split.train) and len(split.validation) and sum(map(len, split)) == count
        assert count == 2 or len(split.test)


def test_a_set_of_copies_is_still_split():
    split = split_by_name(NAMES[:20], [tuple(range(20))])
    assert len(split.train) and len(split.validation)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pictures_is_one_sentence(count):
    with pytest.raises(InputError, match=f"at least two pictures, and this set has {count}"):
        split_by_name(NAMES[:count])
