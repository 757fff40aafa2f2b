"""Batches: the same wherever the pictures lie and however many processes share them."""

import sys

import numpy as np
import torch

from vae_helpers.data import copy_to_device, plan, to_float
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Processes, epoch_batches, noise_for

CPU = torch.device("cpu")
CONFIG = TrainConfig.quick(96, epochs=4, batch_size=17)


def test_no_file_is_opened_while_batches_are_read(small_set):
    config, opened = TrainConfig.quick(96, batch_size=16), []
    rows = small_set.split.train
    next(epoch_batches(small_set.pictures, rows, config, 0, 0, Processes(CPU)))  # what is imported late is imported now

    def watch(event, arguments):
        if event == "open" and watching:
            opened.append(arguments)

    watching = []
    sys.addaudithook(watch)
    watching.append(True)
    count = sum(
        1 for epoch in range(2) for _ in epoch_batches(small_set.pictures, rows, config, epoch, 0, Processes(CPU))
    )
    watching.clear()
    assert count == 2 * (len(rows) // 16) and opened == []


def test_pictures_on_the_device_make_the_same_batches(small_set):
    config, rows = TrainConfig.quick(96, batch_size=16), small_set.split.train
    held = copy_to_device(small_set.pictures, CPU)
    for one, other in zip(
        epoch_batches(small_set.pictures, rows, config, 3, 1, Processes(CPU)),
        epoch_batches(held, rows, config, 3, 1, Processes(CPU)),
        strict=True,
    ):
        assert torch.equal(one.pictures, other.pictures) and one[1:] == other[1:]


def test_shares_tile_the_batch_and_do_not_change_its_content(small_set):
    rows = small_set.split.train
    (whole, flips), parts = next(plan(rows, 17, 0, 0)), []
    for rank in range(3):
        processes = Processes(torch.device("cpu"), rank, 3)
        batch = next(epoch_batches(small_set.pictures, rows, CONFIG, 0, 0, processes))
        parts.append((batch.pictures, noise_for(batch, 2, 8, 0, 5, processes.device)))
    expected = [
        small_set.pictures[row][:, ::-1] if flip else small_set.pictures[row] for row, flip in zip(whole, flips)
    ]
    assert np.array_equal(torch.cat([p for p, _ in parts]).numpy(), np.stack(expected))
    alone = next(epoch_batches(small_set.pictures, rows, CONFIG, 0, 0, Processes(torch.device("cpu"))))
    assert torch.equal(torch.cat([n for _, n in parts], dim=1), noise_for(alone, 2, 8, 0, 5, torch.device("cpu")))
    assert {len(p) for p, _ in parts} == {5, 6}


def test_only_pinned_memory_is_copied_without_waiting(monkeypatch):
    asked, to = [], torch.Tensor.to
    monkeypatch.setattr(
        torch.Tensor, "to", lambda self, *a, **k: (asked.append(k.get("non_blocking")), to(self, *a, **k))[1]
    )
    pictures = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    to_float(pictures)
    monkeypatch.setattr(torch.Tensor, "is_pinned", lambda self: True)
    to_float(pictures)
    assert [wait for wait in asked if wait is not None] == [False, True]


def test_the_noise_follows_from_seed_and_step_for_any_number_of_processes(small_set):
    config, shares = TrainConfig.quick(96, batch_size=16), []
    for rank in range(3):
        processes = Processes(torch.device("cpu"), rank, 3)
        batch = next(epoch_batches(small_set.pictures, small_set.split.train, config, 0, 0, processes))
        shares.append(noise_for(batch, 2, 8, 0, 5, processes.device))
    alone = next(epoch_batches(small_set.pictures, small_set.split.train, config, 0, 0, Processes(torch.device("cpu"))))
    assert torch.equal(torch.cat(shares, dim=1), noise_for(alone, 2, 8, 0, 5, torch.device("cpu")))
    others = [noise_for(alone, 2, 8, *at, torch.device("cpu")) for at in ((0, 5), (0, 6), (1, 5))]
    assert len({noise.sum().item() for noise in others}) == 3
