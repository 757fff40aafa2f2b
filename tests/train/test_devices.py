"""What other devices allow and what they are told, seen on a machine that has none: see `pretend`."""

import numpy as np
import pytest
import torch
from pretend import Pretend
from small import SMALL
from torch import nn

from vae_helpers.data import copy_to_device
from vae_helpers.experiments import PlainRecipe, plain_fit, plain_step
from vae_helpers.latent import Support, decode_codes, encode_pictures, sample_fitted, summarise
from vae_helpers.model import OBJECTIVES, Factor
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.scores import bounds as likelihood_scores
from vae_helpers.scores import distances, evaluate, lpips_of
from vae_helpers.settings import LIKELIHOODS, TrainConfig
from vae_helpers.train import Processes, arithmetic, epoch_batches, new_state
from vae_helpers.train import loop as train

SLIM = {"factor": {"width": 16.0, "layers": 3.0}}


@pytest.fixture
def pretend(monkeypatch):
    """`pretend(kind)` to enter, and a processes on that device."""
    monkeypatch.setattr(arithmetic, "pick_half", lambda device: None)
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
