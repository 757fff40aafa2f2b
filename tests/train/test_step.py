"""One training step: clipping, noise, rates, number formats."""

import math
from dataclasses import replace

import pytest
import torch
from small import SMALL, fit_small
from torch import nn

from vae_helpers.model import Muon
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.settings import TrainConfig, learning_rate
from vae_helpers.train import Processes, arithmetic, epoch_batches, new_state, noise_for, train_step

CPU = Processes(torch.device("cpu"))
pytestmark = pytest.mark.usefixtures("no_sheets")


def _state(monkeypatch, config, half=None):
    monkeypatch.setattr(arithmetic, "pick_half", lambda device: half)
    return new_state(config, SMALL, CPU)


def _batch(pictures, config):
    return next(epoch_batches(pictures.pictures, pictures.split.train, config, 0, 0, CPU))


def _norm(module):
    return torch.stack([p.grad.norm() for p in module.parameters() if p.requires_grad]).norm().item()


def _gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])


def test_each_half_of_the_model_is_clipped_by_itself(small_set, monkeypatch):
    config = TrainConfig.quick(96, batch_size=16, clip=1e-3)
    state = _state(monkeypatch, config)
    train_step(state, _batch(small_set, config), config, 0.5)
    assert [_norm(half) for half in (state.model.encoder, state.model.decoder)] == pytest.approx([1e-3, 1e-3], rel=1e-3)
    logged = state.sums[2:4].tolist()  # as they were before
    assert min(logged) > 0.01
    unclipped = _state(monkeypatch, config)
    train_step(unclipped, _batch(small_set, config), replace(config, clip=1e9), 0.5)
    assert [_norm(half) for half in (unclipped.model.encoder, unclipped.model.decoder)] == pytest.approx(
        logged, rel=1e-4
    )


def test_every_step_has_noise_rate_and_weights_of_its_own(small_set, monkeypatch):
    config, seen = TrainConfig.quick(96, batch_size=16, num_samples=2, seed=3), []
    state = _state(monkeypatch, config)
    batch, network = _batch(small_set, config), state.network
    state.network = lambda x, noise, *rest: (seen.append(noise.clone()), network(x, noise, *rest))[1]
    before, rates = state.model.decoder.linear.weight.detach().clone(), []
    for progress in (0.1, 0.2, 0.9):
        train_step(state, batch, config, progress)
        rates.append(state.optimizer.param_groups[0]["lr"])
    assert rates == [learning_rate(config, progress) for progress in (0.1, 0.2, 0.9)] and state.step == 3
    for step, noise in enumerate(seen):
        assert torch.equal(noise, noise_for(batch, 2, 8, 3, step, CPU.device))
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])
    assert not torch.equal(before, state.model.decoder.linear.weight)


def test_what_the_objective_learns_comes_before_the_weights_move(small_set, monkeypatch):
    """It waits for the other processes: one that is lost there must not leave weights of a step that is not counted."""
    config = TrainConfig.quick(96, batch_size=16, objective="factor", knobs={"layers": 1.0, "width": 8.0})
    state, order = _state(monkeypatch, config), []
    learn, step = state.objective.learn, state.optimizer.step
    monkeypatch.setattr(state.objective, "learn", lambda *given: order.append("learns") or learn(*given))
    monkeypatch.setattr(state.optimizer, "step", lambda *given: order.append("moves") or step(*given))
    train_step(state, _batch(small_set, config), config, 0.5)
    assert order == ["learns", "moves"]


def test_adam_has_the_moments_that_were_measured_and_muon_leaves_it_what_is_no_matrix(monkeypatch):
    usual = _state(monkeypatch, TrainConfig(epochs=1, batch_size=16)).optimizer
    quick = _state(monkeypatch, TrainConfig.quick(500, epochs=1, batch_size=16)).optimizer
    assert isinstance(usual, torch.optim.Adam) and usual.param_groups[0]["betas"] == (0.9, 0.99)
    assert isinstance(quick, Muon) and quick.state_dict()["adam"]["param_groups"][0]["betas"] == (0.9, 0.99)


def test_each_sample_pays_for_itself_and_the_average_takes_the_statistics_as_they_are(small_set, monkeypatch):
    config, seen = TrainConfig.quick(96, batch_size=16, num_samples=3, ema=0.9), []
    state = _state(monkeypatch, config)
    batch, network = _batch(small_set, config), state.network
    state.network = lambda *inputs: seen.append((inputs[0], network(*inputs)[0])) or network(*inputs)
    train_step(state, batch, config, 0.5)
    state.update_average(config.ema)
    ((x, drawn),) = seen
    errors = (drawn - x).square().sum(dim=(-3, -2, -1))
    assert errors.shape == (3, 16) and state.sums[0].item() == pytest.approx(errors.mean().item(), rel=1e-4)
    for (name, kept), own in zip(state.average.named_buffers(), state.model.buffers()):
        assert torch.equal(kept, own), name
    assert state.average.encoder.blocks[0].norm.num_batches_tracked == 2  # the network was asked twice


@pytest.mark.parametrize("half, close", [(torch.float16, 0.995), (torch.bfloat16, 0.98)])
def test_gradients_in_16_bits_are_those_of_float32(small_set, monkeypatch, half, close):
    """float16 with its scaler: what is clipped, logged and stepped with is unscaled first."""
    config, gradients, sums = TrainConfig.quick(96, batch_size=16), [], []
    for kind in (None, half):
        state = _state(monkeypatch, config, kind)
        assert state.scaler.is_enabled() is (kind == torch.float16)
        train_step(state, _batch(small_set, config), config, 0.5)
        gradients.append(_gradient(state.model)), sums.append(state.sums)
    assert nn.functional.cosine_similarity(*gradients, dim=0) > close
    assert torch.allclose(*sums, rtol=0.1) and torch.isfinite(sums[1]).all()


def test_a_gradient_beyond_float16_costs_one_step_and_halves_the_scale(small_set, monkeypatch):
    config = TrainConfig.quick(96, batch_size=16)
    state = _state(monkeypatch, config, torch.float16)
    batch, weight = _batch(small_set, config), state.model.decoder.out.weight
    train_step(state, batch, config, 0.5)
    before, scale = weight.detach().clone(), state.scaler.get_scale()
    hook = weight.register_hook(lambda gradient: gradient * math.inf)
    train_step(state, batch, config, 0.5)
    hook.remove()
    assert torch.equal(weight, before) and state.scaler.get_scale() == scale / 2
    train_step(state, batch, config, 0.5)
    assert not torch.equal(weight, before) and torch.isfinite(weight).all()


@pytest.mark.parametrize("first, then", [(None, torch.float16), (torch.float16, None), (torch.float16, torch.float16)])
def test_a_run_changes_between_machines_with_and_without_a_scaler(small_set, tmp_path, monkeypatch, first, then):
    run = Run("a", tmp_path)
    monkeypatch.setattr(arithmetic, "pick_half", lambda device: first)
    fit_small(small_set, run, TrainConfig.quick(96, epochs=2, batch_size=32), stop_after=1)
    saved = load_checkpoint(run.last)[1]["scaler"]
    assert bool(saved) is (first is not None)
    monkeypatch.setattr(arithmetic, "pick_half", lambda device: then)
    monkeypatch.setattr("vae_helpers.train.state.machine_of", lambda device: "another")
    assert fit_small(small_set, run, resume=True).finished
    assert bool(load_checkpoint(run.last)[1]["scaler"]) is (then is not None)
