"""What other devices allow and what they are told, seen on a machine that has none: see `pretend`."""

import contextlib

import numpy as np
import pytest
import torch
from pretend import Pretend
from small import SMALL
from torch import nn

from vae_helpers.data import copy_to_device, to_float
from vae_helpers.errors import InputError
from vae_helpers.experiments import PlainRecipe, plain_fit, plain_step
from vae_helpers.latent import Support, decode_codes, encode_pictures, sample_fitted, summarise
from vae_helpers.model import OBJECTIVES, Factor, pick_device, seeded
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.scores import bounds as likelihood_scores
from vae_helpers.scores import distances, evaluate, lpips_of
from vae_helpers.settings import LIKELIHOODS, TrainConfig, recipe
from vae_helpers.train import Processes, epoch_batches, new_state, noise_for
from vae_helpers.train import loop as train
from vae_helpers.train import state as run_state
from vae_helpers.train.exact import exact_results

SLIM = {"factor": {"width": 16.0, "layers": 3.0}}


@pytest.fixture
def pretend(monkeypatch):
    """`pretend(kind)` to enter, and a processes on that device."""
    monkeypatch.setattr(run_state, "pick_half", lambda device: None)
    return lambda kind: (Pretend(kind, monkeypatch), Processes(torch.device(kind, 0)))


def test_a_whole_run_keeps_to_what_mps_can_do(small_set, tmp_path, monkeypatch, pretend):
    place, processes = pretend("mps")
    monkeypatch.setattr("vae_helpers.train.processes.pick_device", lambda name: processes.device)
    config = TrainConfig.quick(96, epochs=2, batch_size=16, ema=0.9)
    with place:
        result = train.fit(small_set, Run("apple", tmp_path), config, SMALL, progress=False)
        assert result.finished and result.model.encoder.mu.weight.device == processes.device and place.copies
    assert load_checkpoint(Run("apple", tmp_path).last)[1]["step"] == 2 * (len(small_set.split.train) // 16)


def test_scores_and_known_ground_keep_to_what_mps_can_do(small_model, small_set, pretend):
    place, processes = pretend("mps")
    rows, some = np.arange(6), small_set.pictures[:6]
    expected = [
        likelihood_scores.likelihood(small_model, small_set.pictures, rows, name, samples=2)
        for name in ("gaussian", "calibrated")
    ]
    with place:
        small_model.to(processes.device)
        found = [
            likelihood_scores.likelihood(small_model, small_set.pictures, rows, name, samples=2)
            for name in ("gaussian", "calibrated")
        ]
        mu, logvar = encode_pictures(small_model, some)
        assert sample_fitted(small_model, mu.to(processes.device), logvar.to(processes.device), 3).shape == (
            3,
            32,
            32,
            3,
        )
        assert len(summarise(mu.to(processes.device), logvar.to(processes.device)).kl) == 8
        codes = mu[:4].to(processes.device)
        distance = Support(mu, logvar, mu + 1).distance(codes)
        assert distance.device == processes.device and distance.dtype == torch.float32
    assert [f.elbo for f in found] == [e.elbo for e in expected]


@pytest.mark.parametrize("objective, likelihood", list(zip(OBJECTIVES, (*LIKELIHOODS[::-1], "calibrated"))))
def test_no_step_on_a_gpu_waits_or_copies(small_set, pretend, objective, likelihood):
    """The epoch's rows and flips go there at its beginning, an objective's table of weights at the first step."""
    place, processes = pretend("cuda")
    config = TrainConfig.quick(96, batch_size=32, objective=objective, likelihood=likelihood, knobs=SLIM.get(objective))
    with place:
        state, held = new_state(config, SMALL, processes, 96), copy_to_device(small_set.pictures, processes.device)
        place.copies.clear(), place.waits.clear()
        for epoch in (0, 1):
            for batch in epoch_batches(held, small_set.split.train, config, epoch, 0, processes):
                train.train_step(state, batch, config, 0.5)
        assert state.step == 2 * (len(small_set.split.train) // 32)
        assert place.copies.total() <= 2 * 2 + objective.startswith("tc") and not place.waits


def test_rows_on_the_device_go_on_in_the_middle_of_an_epoch(small_set):
    config, rows, cpu = (
        TrainConfig.quick(96, batch_size=16),
        small_set.split.train,
        Processes(torch.device("cpu"), 1, 3),
    )
    held = copy_to_device(small_set.pictures, cpu.device)
    for start in (0, 3, 99):  # 99: nothing is left
        one, other = (
            list(epoch_batches(pictures, rows, config, 2, start, cpu)) for pictures in (held, small_set.pictures)
        )
        assert len(one) == len(other) == max(0, len(rows) // 16 - start)
        assert all(torch.equal(a.pictures, b.pictures) and a[1:] == b[1:] for a, b in zip(one, other))


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


def test_seeding_throws_no_gpus_dice(small_set, monkeypatch):
    def thrown(*_):
        raise AssertionError("the dice of all GPUs were thrown")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", thrown)
    monkeypatch.setattr(torch, "manual_seed", thrown)
    rng, before = np.random.default_rng(0), torch.get_rng_state()
    new_state(TrainConfig.quick(96), SMALL, Processes(torch.device("cpu")))
    Factor(4, SLIM["factor"])
    plain_step(SMALL, torch.device("cpu"))
    plain_fit(small_set, PlainRecipe(1, 96, 1e-3), torch.device("cpu"), progress=False)
    distances(*rng.integers(0, 256, (2, 4, 4, 4, 3), dtype=np.uint8), nn.Flatten())
    assert torch.equal(torch.get_rng_state(), before)


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
    assert pick_device("cpu").type == "cpu" and "CUBLAS_WORKSPACE_CONFIG" not in recipe.os.environ
    assert [str(pick_device(name)) for name in (None, "cuda", "cuda:1")] == ["cuda", "cuda", "cuda:1"]
    assert recipe.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    with pytest.raises(InputError, match="'cuda:2' is not available"):
        pick_device("cuda:2")


@pytest.mark.parametrize("name", ["meta", "gpu", "", "cuda:-1", "cuda:99", "cpu:x"])
def test_devices_that_hold_no_numbers_or_are_not_there_get_a_sentence(name):
    with pytest.raises(InputError, match="not available"):
        pick_device(name)


@pytest.mark.parametrize("exact", [None, False, True])
def test_a_gpu_looks_for_fast_kernels_unless_exact(monkeypatch, exact):
    made, ones = [], torch.ones
    monkeypatch.setattr(torch, "ones", lambda *a, device=None: made.append(device) or ones(*a))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    processes = Processes(torch.device("cuda", 0))
    with exact_results(TrainConfig(exact=exact), processes, torch.get_num_threads()):
        assert torch.backends.cudnn.benchmark is (exact is not True)
        assert torch.are_deterministic_algorithms_enabled() is (exact is True) and bool(made) is (exact is True)
    assert not torch.backends.cudnn.benchmark and not torch.are_deterministic_algorithms_enabled()


def test_exact_products_asked_for_too_late_get_a_sentence(monkeypatch):
    def refuses(*_, **__):
        raise RuntimeError("Deterministic behavior was enabled ... CUBLAS_WORKSPACE_CONFIG=:4096:8")

    monkeypatch.setattr(torch, "ones", refuses)
    with pytest.raises(InputError, match="restart the notebook"):
        with exact_results(TrainConfig(exact=True), Processes(torch.device("cuda", 0)), 1):
            pass
    assert not torch.are_deterministic_algorithms_enabled()


def test_lpips_on_a_gpu_gets_its_pictures_there(monkeypatch, pretend):
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, a, b):
            return ((a - b) * self.scale[None]).square().mean(dim=(1, 2, 3)).detach()

    place, processes = pretend("cuda")
    a, b = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32, 3), dtype=np.uint8)
    expected = lpips_of(a, b, Network())
    with place:
        assert np.array_equal(lpips_of(a, b, Network().to(processes.device)), expected)


def test_pictures_are_encoded_and_decoded_on_the_models_device(small_model, noise_pictures, pretend):
    place, processes = pretend("cuda")
    mu, logvar = encode_pictures(small_model, noise_pictures)
    drawn, scores = decode_codes(small_model, mu), evaluate(small_model, noise_pictures, np.arange(12))
    with place:
        small_model.to(processes.device)
        there = encode_pictures(small_model, noise_pictures)
        assert [part.device.type for part in there] == ["cpu", "cpu"] and torch.equal(there[0], mu)
        assert np.array_equal(decode_codes(small_model, mu), drawn)
        assert evaluate(small_model, noise_pictures, np.arange(12)).as_dict() == scores.as_dict()
