"""One training step and what surrounds it: clipping, noise, number formats, compiling, and the ends of bad runs."""

import math
from dataclasses import replace

import pytest
import torch
from small import SMALL
from torch import nn

from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.settings import TrainConfig, learning_rate
from vae_helpers.train import Processes, compile_network, epoch_batches, fit, new_state, noise_for, scoring
from vae_helpers.train import compiling as engine
from vae_helpers.train import loop as train
from vae_helpers.train import state as run_state
from vae_helpers.train import step as step_module

CPU = Processes(torch.device("cpu"))


def _fit(pictures, run, config=None, **options):
    return fit(pictures, run, config, SMALL, device="cpu", progress=False, **options)


def _state(monkeypatch, config, half=None):
    monkeypatch.setattr(run_state, "pick_half", lambda device: half)
    return new_state(config, SMALL, CPU)


def _batch(pictures, config):
    return next(epoch_batches(pictures.pictures, pictures.split.train, config, 0, 0, CPU))


def _norm(module):
    return torch.stack([p.grad.norm() for p in module.parameters()]).norm().item()


def _gradient(model):
    return torch.cat([p.grad.flatten() for p in model.parameters()])


def test_each_half_of_the_model_is_clipped_by_itself(small_set, monkeypatch):
    config = TrainConfig.quick(96, batch_size=16, clip=1e-3)
    state = _state(monkeypatch, config)
    train.train_step(state, _batch(small_set, config), config, 0.5)
    assert [_norm(half) for half in (state.model.encoder, state.model.decoder)] == pytest.approx([1e-3, 1e-3], rel=1e-3)
    logged = state.sums[2:4].tolist()  # as they were before
    assert min(logged) > 0.01
    unclipped = _state(monkeypatch, config)
    train.train_step(unclipped, _batch(small_set, config), replace(config, clip=1e9), 0.5)
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
        train.train_step(state, batch, config, progress)
        rates.append(state.optimizer.param_groups[0]["lr"])
    assert rates == [learning_rate(config, progress) for progress in (0.1, 0.2, 0.9)] and state.step == 3
    for step, noise in enumerate(seen):
        assert torch.equal(noise, noise_for(batch, 2, 8, 3, step, CPU.device))
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])
    assert not torch.equal(before, state.model.decoder.linear.weight)
    assert state.optimizer.param_groups[0]["betas"] == (0.9, 0.99)


def test_each_sample_pays_for_itself_and_the_average_takes_the_statistics_as_they_are(small_set, monkeypatch):
    config, seen = TrainConfig.quick(96, batch_size=16, num_samples=3, ema=0.9), []
    state = _state(monkeypatch, config)
    batch, network = _batch(small_set, config), state.network
    state.network = lambda *inputs: seen.append((inputs[0], network(*inputs)[0])) or network(*inputs)
    train.train_step(state, batch, config, 0.5)
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
        train.train_step(state, _batch(small_set, config), config, 0.5)
        gradients.append(_gradient(state.model)), sums.append(state.sums)
    assert nn.functional.cosine_similarity(*gradients, dim=0) > close
    assert torch.allclose(*sums, rtol=0.1) and torch.isfinite(sums[1]).all()


def test_a_gradient_beyond_float16_costs_one_step_and_halves_the_scale(small_set, monkeypatch):
    config = TrainConfig.quick(96, batch_size=16)
    state = _state(monkeypatch, config, torch.float16)
    batch, weight = _batch(small_set, config), state.model.decoder.out.weight
    train.train_step(state, batch, config, 0.5)
    before, scale = weight.detach().clone(), state.scaler.get_scale()
    hook = weight.register_hook(lambda gradient: gradient * math.inf)
    train.train_step(state, batch, config, 0.5)
    hook.remove()
    assert torch.equal(weight, before) and state.scaler.get_scale() == scale / 2
    train.train_step(state, batch, config, 0.5)
    assert not torch.equal(weight, before) and torch.isfinite(weight).all()


@pytest.mark.parametrize("first, then", [(None, torch.float16), (torch.float16, None), (torch.float16, torch.float16)])
def test_a_run_changes_between_machines_with_and_without_a_scaler(small_set, tmp_path, monkeypatch, first, then):
    run = Run("a", tmp_path)
    monkeypatch.setattr(run_state, "pick_half", lambda device: first)
    _fit(small_set, run, TrainConfig.quick(96, epochs=2, batch_size=32), stop_after=1)
    saved = load_checkpoint(run.last)[1]["scaler"]
    assert bool(saved) is (first is not None)
    monkeypatch.setattr(run_state, "pick_half", lambda device: then)
    assert _fit(small_set, run, resume=True).finished
    assert bool(load_checkpoint(run.last)[1]["scaler"]) is (then is not None)


class Backend:
    """Compiles to what it is given, and counts what it compiled and how often that ran; or fails, forward or back."""

    def __init__(self, fails=""):
        self.fails, self.graphs, self.runs = fails, 0, 0

    def __call__(self, graph, inputs):
        if self.fails == "forward":
            raise RuntimeError("the whole command\ng++: fatal error: omp.h: No such file or directory\nand more")
        self.graphs += 1

        def run(*arguments):
            self.runs += 1
            outputs = graph(*arguments)
            return [_Fails.apply(output) for output in outputs] if self.fails == "backward" else outputs

        return run


class _Fails(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise OSError("error: the compiler was killed")


@pytest.fixture
def backend(monkeypatch):
    """`backend(fails)` is what compiles from then on."""
    compiling = nn.Module.compile
    monkeypatch.setattr(engine, "can_compile", lambda device: True)

    def install(fails=""):
        torch._dynamo.reset()
        made = Backend(fails)
        monkeypatch.setattr(nn.Module, "compile", lambda module: compiling(module, backend=made))
        return made

    yield install
    torch._dynamo.reset()


CONFIG = TrainConfig.quick(96, epochs=1, batch_size=32, compile=True)


@pytest.fixture(autouse=True)
def nothing_to_look_at(monkeypatch):
    """Sheets and thumbnails take longer than these runs."""
    monkeypatch.setattr(scoring, "draw", lambda *_: None)
    monkeypatch.setattr(scoring, "write_projector", lambda *_: None)


def test_a_compiled_run_takes_every_step_compiled_and_comes_to_the_same_weights(small_set, tmp_path, backend):
    eager = _fit(small_set, Run("eager", tmp_path), replace(CONFIG, compile=False))
    made, dice = backend(), torch.get_rng_state()
    compiled = _fit(small_set, Run("compiled", tmp_path), CONFIG)
    assert made.graphs == 1 and made.runs == 1 + len(small_set.split.train) // 32  # the stand-in's graph served the run
    assert torch.equal(torch.get_rng_state(), dice)
    for (name, one), other in zip(eager.model.state_dict().items(), compiled.model.state_dict().values(), strict=True):
        assert torch.allclose(one, other, atol=1e-6), name
    again = backend()
    _fit(small_set, Run("compiled", tmp_path), resume=True)  # it has no step left
    assert again.graphs == again.runs == 0


@pytest.mark.parametrize("fails", ["forward", "backward"])
def test_a_compiler_that_does_not_work_costs_one_line(small_set, tmp_path, backend, capsys, fails):
    eager = _fit(small_set, Run("eager", tmp_path), replace(CONFIG, compile=False))
    capsys.readouterr()
    backend(fails)
    result = _fit(small_set, Run("a", tmp_path), CONFIG)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Compiling does not work here" in said and "uncompiled" in said
    assert ("omp.h" if fails == "forward" else "killed") in said
    assert all(torch.equal(a, b) for a, b in zip(eager.model.state_dict().values(), result.model.state_dict().values()))


def test_trying_to_compile_changes_nothing_of_the_model(backend):
    backend("backward")
    torch.manual_seed(0)
    model = BetaVAE(SMALL).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert not compile_network(model, CONFIG, 96, CPU)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and model._compiled_call_impl is None
    assert "it was tried" in engine.describe_engine(CONFIG, 99, CPU.device, False)
    assert ", compiled," in engine.describe_engine(CONFIG, 99, CPU.device, False, compiled=True)


def test_no_process_compiles_where_another_cannot(backend, monkeypatch):
    made, model = backend(), BetaVAE(SMALL).train()
    monkeypatch.setattr(Processes, "any", lambda processes, *flags: [True])
    assert not compile_network(model, CONFIG, 96, CPU) and made.graphs == 1 and model._compiled_call_impl is None


def test_an_epoch_of_one_step_is_no_runaway(small_set, tmp_path):
    """The capacity objective begins high, and β's warm-up hides it from the first step's own loss."""
    config = TrainConfig.quick(
        96, epochs=25, batch_size=len(small_set.split.train), objective="capacity", evaluate_every=25
    )
    run = Run("a", tmp_path)
    assert _fit(small_set, run, config).finished
    assert load_checkpoint(run.last)[1]["first_loss"] > 10_000


def test_weights_that_run_away_in_the_last_step_get_a_sentence(small_set, tmp_path, monkeypatch):
    monkeypatch.setattr(step_module, "learning_rate", lambda *_: 1e8)  # more than a recipe may have
    config = TrainConfig.quick(96, epochs=2, batch_size=len(small_set.split.train), clip=1e9)
    with pytest.raises(InputError, match="became .* by step|held-out pictures became (nan|inf) in epoch 1"):
        _fit(small_set, Run("a", tmp_path), config)
    assert not Run("a", tmp_path).best.exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_held_out_scores_that_are_no_numbers_get_a_sentence(small_set, tmp_path, monkeypatch, value):
    score, run = scoring.evaluate, Run("a", tmp_path)
    monkeypatch.setattr(scoring, "evaluate", lambda *a, **how: replace(score(*a, **how), kl=value))
    with pytest.raises(
        InputError, match=f"the kl of held-out pictures became {value} in epoch 1, so .*learning rate below"
    ):
        _fit(small_set, run, TrainConfig.quick(96, epochs=1, batch_size=32))
    assert not run.best.exists() and load_checkpoint(run.last)[1]["step"] == 0  # as it was before the first step


@pytest.mark.parametrize("poison", ["decoder.out.weight", "encoder.blocks.0.norm.running_var"])
def test_no_checkpoint_holds_weights_that_are_no_numbers(small_set, tmp_path, monkeypatch, poison):
    step, run = train.train_step, Run("a", tmp_path)

    def poisoned(state, *arguments):
        step(state, *arguments)
        if state.step == 2:  # the losses of this step are sound
            state.model.state_dict()[poison].fill_(math.nan)

    monkeypatch.setattr(train, "train_step", poisoned)
    monkeypatch.setenv("VAE_SAVE_EVERY", "0")
    with pytest.raises(InputError, match="the weights became nan by step 2.*last good checkpoint"):
        _fit(small_set, run, TrainConfig.quick(96, epochs=1, batch_size=32))
    model, saved = load_checkpoint(run.last)
    assert saved["step"] == 1 and all(torch.isfinite(value).all() for value in model.state_dict().values())
