"""Which device is picked, and random numbers from a seed."""

import contextlib
import os

import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.model import pick_device, seeded


def test_dice_on_a_gpu_come_back_too(monkeypatch):
    class Gpu:
        state = 7

        def get_rng_state(self):
            return Gpu.state

        def set_rng_state(self, state):
            Gpu.state = state

        def manual_seed(self, seed):
            Gpu.state = seed

    monkeypatch.setattr(torch, "get_device_module", lambda kind: Gpu())
    with contextlib.suppress(KeyError), seeded(3, "cuda"):
        assert Gpu.state == 3 and torch.initial_seed() == 3
        raise KeyError
    assert Gpu.state == 7


def test_picking_a_device_wakes_no_gpu_and_comes_in_time_for_exact_products(monkeypatch):
    def woken(*_, device=None, **__):
        assert torch.device(device).type == "cpu"
        return torch.zeros(1)

    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch, "empty", woken)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device("cpu").type == "cpu" and "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    assert [str(pick_device(name)) for name in (None, "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    with pytest.raises(InputError, match="'cuda:2' is not available"):
        pick_device("cuda:2")


@pytest.mark.parametrize("name", ["meta", "gpu", "", "cuda:-1", "cuda:99", "cpu:x"])
def test_devices_that_hold_no_numbers_or_are_not_there_get_a_sentence(name):
    with pytest.raises(InputError, match="not available"):
        pick_device(name)
