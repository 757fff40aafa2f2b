"""Pictures half-way between two, and batches of triples."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_helpers.data import SETS, Middles, render
from vae_helpers.errors import InputError
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Between, Processes, epoch_batches

CPU = torch.device("cpu")


def _near(one, other):
    """Equal but for what `render` of few pictures may round elsewise."""
    return (np.asarray(one).astype(int) - np.asarray(other).astype(int) != 0).mean() < 1e-3


def test_a_middle_has_the_mean_of_each_factor_and_the_lower_category(small_set):
    one, other = np.arange(0, 10), np.arange(10, 20)
    table = SETS["butterflies"]
    expected = (small_set.factors[one] + small_set.factors[other]) / 2
    pattern = [factor.name for factor in table].index("pattern")
    assert table[pattern].choices
    categories = small_set.factors[one, pattern], small_set.factors[other, pattern]
    assert (categories[0] != categories[1]).any()
    expected[:, pattern] = np.minimum(*categories)
    middles = Middles(small_set)
    assert _near(middles(one, other), render(expected, 32)) and _near(middles(other, one), middles(one, other))
    assert _near(middles(one, one), small_set.pictures[one])


def test_only_what_is_drawn_has_middles(small_set):
    for wrong in (replace(small_set, source="folder"), replace(small_set, factors=None)):
        with pytest.raises(InputError, match="objective 'middle' learns from: take a built-in set"):
            Middles(wrong)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_of_triples_are_shared_whole(small_set, size):
    config = TrainConfig.quick(96, batch_size=17, objective="middle", seed=3)
    source, train = Between(small_set.pictures, Middles(small_set)), small_set.split.train
    whole = next(epoch_batches(source, train, config, 1, 2, Processes(CPU)))
    assert whole.total == len(whole.pictures) == 15
    parts = [next(epoch_batches(source, train, config, 1, 2, Processes(CPU, r, size))) for r in range(size)]
    assert _near(np.concatenate([part.pictures for part in parts]), whole.pictures)
    assert [part.first for part in parts] == [3 * (r * 5 // size) for r in range(size)]


def test_the_third_lies_between_the_two_before_it_mirrored_alike(small_set):
    config, train = TrainConfig.quick(96, batch_size=30, objective="middle"), small_set.split.train
    source = Between(small_set.pictures, Middles(small_set))
    flipped, plain = (
        next(epoch_batches(source, train, each, 0, 0, Processes(CPU))) for each in (config, replace(config, flip=False))
    )
    row_of = {picture.tobytes(): row for row, picture in enumerate(small_set.pictures)}
    triples = plain.pictures.numpy().reshape(10, 3, 32, 32, 3)
    one, other = ([row_of[triple[k].tobytes()] for triple in triples] for k in (0, 1))
    assert set(one) | set(other) <= set(train.tolist()) and len({*one, *other}) == 20
    assert _near(triples[:, 2], Middles(small_set)(np.array(one), np.array(other)))
    turned = [not torch.equal(a, b) for a, b in zip(flipped.pictures, plain.pictures)]
    assert turned[::3] == turned[1::3] == turned[2::3] and 0 < sum(turned[::3]) < 10
