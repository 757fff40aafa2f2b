"""What makes pairs of pictures: by factors, by labels, by views."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_helpers.data import Partners, render
from vae_helpers.errors import InputError
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Paired, Processes, epoch_batches

CPU = torch.device("cpu")
ROWS = np.array([5, 3, 90, 3])


def factors_of(partner, own, pictures):
    """How many factors were changed to make the partner of a row, found by drawing all changes of one factor."""
    train = pictures.split.train
    for factor in range(pictures.factors.shape[1]):
        tried = np.repeat(pictures.factors[own][None], len(train), axis=0)
        tried[:, factor] = pictures.factors[train, factor]
        if (render(tried, pictures.pictures.shape[1], "butterflies") == partner).all(axis=(1, 2, 3)).any():
            return factor
    return None


def test_a_partner_by_factors_differs_in_one_of_them(small_set):
    partners = Partners(small_set, k=1)
    found = [factors_of(*each, small_set) for each in zip(partners(ROWS, 0), ROWS)]
    assert partners.kind == "factors" and None not in found
    many = Partners(small_set, k=small_set.factors.shape[1] - 1)
    assert factors_of(many(ROWS, 0)[0], ROWS[0], small_set) is None


@pytest.mark.parametrize("kind", ["factors", "labels", "views"])
def test_partners_follow_from_seed_epoch_and_row(small_set, kind):
    pictures = replace(small_set, labels=tuple("ab"[k % 2] for k in range(len(small_set))))
    partners = Partners(pictures, kind, seed=4)
    first = partners(ROWS, 2)
    assert first.dtype == np.uint8 and first.shape == (4, *pictures.pictures.shape[1:])
    assert np.array_equal(first[1], first[3]) and np.array_equal(
        Partners(pictures, kind, seed=4)(ROWS[:1], 2)[0], first[0]
    )
    others = [partners(ROWS, 3), Partners(pictures, kind, seed=5)(ROWS, 2)]
    assert all(not np.array_equal(first, other) for other in others)
    Partners(pictures, kind, seed=-1)(ROWS, 0)


def test_a_partner_by_label_is_another_training_picture_of_the_class(small_set):
    labels = tuple("abc"[k % 3] if k != 5 else "alone" for k in range(len(small_set)))
    pictures = replace(small_set, labels=labels, factors=None, factor_table=None, prints=None, source="folder")
    assert Partners(pictures).kind == "labels"
    train = [int(row) for row in pictures.split.train]
    for row in train[:12]:
        (partner,) = Partners(pictures, "labels")([row], 0)
        (found,) = (r for r in train if np.array_equal(pictures.pictures[r], partner))
        assert labels[found] == labels[row] and (found != row or labels[row] == "alone")


def test_a_view_keeps_what_the_picture_shows(small_set):
    own, seen = small_set.pictures[ROWS].astype(float), Partners(small_set, "views")(ROWS, 0).astype(float)
    small = [np.corrcoef(a.mean(-1).ravel(), b.mean(-1).ravel())[0, 1] for a, b in zip(own, seen)]
    assert min(small) > 0.3 and np.abs(own - seen).mean() > 3


def test_partners_in_a_file_of_factors_are_its_rows_and_rare_ones_are_refused(small_set):
    grid = np.stack(np.meshgrid(np.arange(6), np.arange(4), np.arange(5), indexing="ij"), -1).reshape(-1, 3)
    count = len(small_set)
    own = replace(small_set, factors=np.resize(grid, (count, 3)).astype(float), source="file.npz")
    partners = Partners(own, k=1)
    train = [int(row) for row in own.split.train]
    differ = []
    for row in train[:20]:
        (found,) = partners([row], 0)
        at = next(r for r in train if np.array_equal(own.pictures[r], found))
        differ.append(int((own.factors[at] != own.factors[row]).sum()))
    assert set(differ) <= {0, 1} and differ.count(1) > 15
    with pytest.raises(InputError, match="have a partner in the set that differs in so few factors"):
        Partners(replace(own, factors=np.random.default_rng(0).uniform(size=(count, 3))), k=1)


def test_what_a_set_cannot_give_is_refused(small_set):
    plain = replace(small_set, factors=None, factor_table=None, labels=("",) * len(small_set), prints=None)
    assert Partners(plain).kind == "views"
    with pytest.raises(InputError, match="does not know its factors: pair its pictures by labels or views"):
        Partners(plain, "factors")
    with pytest.raises(InputError, match="has 1 class to train on, and pairs by labels need two or more"):
        Partners(plain, "labels")
    with pytest.raises(InputError, match="factors cannot differ"):
        Partners(small_set, k=small_set.factors.shape[1])
    with pytest.raises(InputError, match="pairs 'twins' is unknown"):
        Partners(small_set, "twins")
    for kind, k in (("views", 1), (None, 1.5)):
        with pytest.raises(InputError, match="must be a whole number of factors, and 0 for pairs by labels or views"):
            Partners(small_set, kind, k)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_batches_of_pairs_are_shared_whole(small_set, size):
    config = TrainConfig.quick(96, batch_size=15, objective="ada", seed=3)
    source, train = Paired(small_set.pictures, Partners(small_set, k=1, seed=3)), small_set.split.train
    whole = next(epoch_batches(source, train, config, 1, 2, Processes(CPU)))
    assert whole.total == len(whole.pictures) == 14
    parts = [next(epoch_batches(source, train, config, 1, 2, Processes(CPU, r, size))) for r in range(size)]
    away = np.concatenate([part.pictures for part in parts]).astype(int) - whole.pictures.numpy()
    assert (away != 0).mean() < 1e-3  # `render` of few pictures may round a sine elsewise
    assert [part.first for part in parts] == [2 * (r * 7 // size) for r in range(size)]
    rows = {picture.numpy().tobytes() for picture in whole.pictures[::2]}
    known = {each.tobytes() for picture in small_set.pictures[train] for each in (picture, picture[:, ::-1])}
    assert rows <= known and whole.pictures[1].numpy().tobytes() not in known


def test_a_partner_is_mirrored_with_its_picture(small_set):
    config, train = TrainConfig.quick(96, batch_size=32, objective="ada"), small_set.split.train
    source = Paired(small_set.pictures, Partners(small_set, k=1))
    flipped, plain = (
        next(epoch_batches(source, train, each, 0, 0, Processes(CPU))) for each in (config, replace(config, flip=False))
    )
    turned = [not torch.equal(a, b) for a, b in zip(flipped.pictures, plain.pictures)]
    assert turned[::2] == turned[1::2] and 3 < sum(turned[::2]) < 13
    for a, b, each in zip(flipped.pictures, plain.pictures, turned):
        assert torch.equal(a, b.flip(1) if each else b)
