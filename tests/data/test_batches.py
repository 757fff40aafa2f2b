"""Batches: an order that is a function of its arguments, mirroring, going on mid-epoch, and exact conversion."""

import threading

import numpy as np
import pytest
import torch

from vae_helpers.data import batches, order, plan, to_float, to_uint8
from vae_helpers.errors import InputError

PICTURES = np.arange(50, dtype=np.uint8)[:, None, None, None] + np.arange(4, dtype=np.uint8)[:, None] * 50
PICTURES = np.ascontiguousarray(np.broadcast_to(PICTURES, (50, 4, 4, 3)))


def test_order_is_a_fixed_permutation():
    assert order(10, 0, 0).tolist() == order(10, 0, 0).tolist()
    # Must never change: checkpoints go on in this order.
    assert order(10, 0, 0).tolist() == [2, 0, 3, 9, 4, 7, 5, 1, 8, 6]
    assert sorted(order(1000, 3, 7)) == list(range(1000)) and order(1000, 3, 7).dtype == np.int64
    assert len(order(0, 0, 0)) == 0


def test_orders_of_seeds_and_epochs_are_unrelated():
    orders = [order(2000, seed, epoch) for seed in (0, 1, -1, 2**40) for epoch in (0, 1, 2)]
    for i, first in enumerate(orders):
        for second in orders[:i]:
            assert abs(np.corrcoef(first, second)[0, 1]) < 0.12
    assert not (order(2000, 1, 0) == order(2000, 0, 1)).all()


def test_an_epoch_shows_every_picture_once_without_the_last_part():
    indices = np.arange(3, 50)
    seen = torch.cat(list(batches(PICTURES, plan(indices, 10, 0, 0, flip=False))))
    assert seen.dtype == torch.uint8 and seen.shape == (40, 4, 4, 3)
    values = seen[:, 0, 0, 0].tolist()
    assert len(set(values)) == 40 and set(values) <= set(range(3, 50))
    assert values == indices[order(47, 0, 0)][:40].tolist()


def test_a_set_smaller_than_a_batch_gives_one_short_batch():
    (only,) = batches(PICTURES, plan(np.arange(7), 10, 0, 0))
    assert sorted(only[:, 0, 1, 0].tolist()) and len(only) == 7


def test_start_goes_on_in_the_middle_without_reading_what_was_before():
    whole = list(batches(PICTURES, plan(np.arange(50), 8, 1, 2)))

    class Counted(np.ndarray):
        read = 0

        def __getitem__(self, key):
            Counted.read += 1
            return super().__getitem__(key)

    rest = list(batches(PICTURES.view(Counted), plan(np.arange(50), 8, 1, 2, start=4)))
    assert len(whole) == 6 and len(rest) == 2 and Counted.read == 16
    assert all(torch.equal(a, b) for a, b in zip(whole[4:], rest))
    assert not list(batches(PICTURES, plan(np.arange(50), 8, 1, 2, start=6)))


def test_mirroring_is_fair_and_follows_the_plan():
    rows, flips = map(np.concatenate, zip(*plan(np.arange(50), 10, 0, 5)))
    shown = torch.cat(list(batches(PICTURES, plan(np.arange(50), 10, 0, 5)))).numpy()
    expected = np.where(flips[:, None, None, None], PICTURES[rows][:, :, ::-1], PICTURES[rows])
    assert (shown == expected).all() and 10 < flips.sum() < 40
    many = np.concatenate([flips for epoch in range(20) for _, flips in plan(np.arange(1000), 1000, 0, epoch)])
    assert abs(many.mean() - 0.5) < 0.02
    # Whether a picture is mirrored does not hang on its neighbours.
    alone = dict(zip(*map(np.ndarray.tolist, next(plan(np.arange(20, 30), 10, 0, 5)))))
    assert all(alone[row] == flip for row, flip in zip(rows.tolist(), flips.tolist()) if row in alone)


def test_stopping_early_leaves_no_thread():
    before = threading.active_count()
    stream = batches(PICTURES, plan(np.arange(50), 5, 0, 0))
    next(stream)
    stream.close()
    assert threading.active_count() == before


def test_values_survive_the_way_to_the_model_and_back():
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    x = to_float(every)
    assert x.dtype == torch.float32 and x.shape == (1, 3, 16, 16) and x.min() == -1 and x.max() == 1
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert (to_uint8(x) == every).all() and to_uint8(x).dtype == np.uint8
    assert torch.equal(to_float(torch.from_numpy(every)), x)
    half = to_uint8(torch.tensor([-9.0, 0.0, 0.5, 9.0]).reshape(4, 1, 1, 1).expand(4, 3, 2, 2))
    assert half[:, 0, 0, 0].tolist() == [0, 128, 191, 255]


def test_read_only_and_sliced_pictures_are_fine():
    frozen = PICTURES.copy()
    frozen.flags.writeable = False
    assert torch.equal(to_float(frozen[::2]), to_float(PICTURES[::2].copy()))


@pytest.mark.parametrize(
    "call",
    [
        lambda: to_float(np.zeros((2, 4, 4, 3), np.float32)),
        lambda: to_float(np.zeros((4, 4, 3), np.uint8)),
        lambda: to_float(np.zeros((2, 3, 4, 4), np.uint8)),
        lambda: to_uint8(torch.zeros(2, 1, 4, 4)),
        lambda: next(batches(PICTURES, plan(np.arange(50), 0, 0, 0))),
        lambda: next(batches(PICTURES, plan(np.arange(0), 4, 0, 0))),
    ],
)
def test_wrong_input_is_one_sentence(call):
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")
