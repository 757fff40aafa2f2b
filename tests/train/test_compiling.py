"""Compiling: when it pays, that it is tried first, and that it changes nothing."""

from dataclasses import replace

import pytest
import torch
from small import SMALL, fit_small
from torch import nn

from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Processes, compile_network, decide_compile, describe_setup, trial, usual_arithmetic
from vae_helpers.train import compiling as engine

CPU = torch.device("cpu")
ALONE = Processes(CPU)
CONFIG = TrainConfig.quick(96, epochs=1, batch_size=32, compile=True)
pytestmark = pytest.mark.usefixtures("no_sheets")


def test_the_network_compiles_to_one_graph():
    report = torch._dynamo.explain(BetaVAE(SMALL))(torch.zeros(2, 3, 32, 32), torch.zeros(1, 2, 8))
    assert report.graph_count == 1 and report.graph_break_count == 0


def test_compiling_is_decided_by_what_it_saves(monkeypatch):
    monkeypatch.setattr(engine.shutil, "which", lambda name: "/usr/bin/" + name)
    assert not decide_compile(TrainConfig(), 20_000, CPU) and decide_compile(TrainConfig(), 1_000_000, CPU)
    assert decide_compile(TrainConfig(compile=True), 10, CPU) and not decide_compile(
        TrainConfig(compile=False), 10**7, CPU
    )
    assert not decide_compile(TrainConfig(), 10**9, torch.device("mps"))
    assert "pays above" in describe_setup(TrainConfig(compile=False), 20_000, CPU, False, usual_arithmetic(CPU))
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    assert not decide_compile(TrainConfig(compile=True), 10**7, CPU)
    assert "no compiler" in describe_setup(TrainConfig(compile=False), 10**7, CPU, False, usual_arithmetic(CPU))


@pytest.mark.parametrize("lacks", [None, "cc", "triton", "capability"])
def test_a_gpu_is_compiled_for_only_with_triton_a_compiler_and_a_card_that_triton_knows(monkeypatch, lacks):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(engine.shutil, "which", lambda name: None if lacks == "cc" else "/usr/bin/" + name)
    monkeypatch.setattr(engine, "find_spec", lambda name: None if lacks == "triton" else name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (6, 1) if lacks == "capability" else (7, 0))
    assert engine.can_compile(torch.device("cuda")) is (lacks is None)


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
def fast(monkeypatch):
    """Compiled steps take half the time."""
    monkeypatch.setattr(engine.StepTimes, "compiling_pays", property(lambda times: True))


@pytest.fixture
def backend(monkeypatch, fast):
    """`backend(fails)` is what compiles from then on, and pays."""
    compiling = nn.Module.compile
    monkeypatch.setattr(engine, "can_compile", lambda device: True)

    def install(fails=""):
        torch._dynamo.reset()
        made = Backend(fails)
        monkeypatch.setattr(nn.Module, "compile", lambda module: compiling(module, backend=made))
        return made

    yield install
    torch._dynamo.reset()


def test_a_compiled_run_takes_every_step_compiled_and_comes_to_the_same_weights(small_set, tmp_path, backend):
    eager = fit_small(small_set, Run("eager", tmp_path), replace(CONFIG, compile=False))
    made, dice = backend(), torch.get_rng_state()
    compiled = fit_small(small_set, Run("compiled", tmp_path), CONFIG)
    tried = made.runs - len(small_set.split.train) // 32  # steps of the stand-in, whose graph served the run
    assert made.graphs == 1 and 3 <= tried <= 5  # plain differences end a trial
    assert torch.equal(torch.get_rng_state(), dice)
    for (name, one), other in zip(eager.model.state_dict().items(), compiled.model.state_dict().values(), strict=True):
        assert torch.allclose(one, other, atol=1e-6), name
    again = backend()
    fit_small(small_set, Run("compiled", tmp_path), resume=True)  # it has no step left
    assert again.graphs == again.runs == 0


@pytest.mark.parametrize("fails", ["forward", "backward"])
def test_a_compiler_that_does_not_work_costs_one_line(small_set, tmp_path, backend, capsys, fails):
    eager = fit_small(small_set, Run("eager", tmp_path), replace(CONFIG, compile=False))
    capsys.readouterr()
    backend(fails)
    result = fit_small(small_set, Run("a", tmp_path), CONFIG)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "Compiling does not work here" in said and "uncompiled" in said
    assert ("omp.h" if fails == "forward" else "killed") in said
    assert all(torch.equal(a, b) for a, b in zip(eager.model.state_dict().values(), result.model.state_dict().values()))


def test_trying_to_compile_changes_nothing_of_the_model(backend):
    backend("backward")
    torch.manual_seed(0)
    model = BetaVAE(SMALL).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert not compile_network(model, CONFIG, 96, ALONE)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and model._compiled_call_impl is None
    usual = usual_arithmetic(CPU)
    assert "(as the run's settings say)" in describe_setup(CONFIG, 10**7, CPU, False, usual)
    assert ", compiled," in describe_setup(CONFIG, 99, CPU, False, usual, compiled=True)
    assert ", not compiled," in describe_setup(CONFIG, 99, CPU, False, usual, compiled=False)


def test_no_process_compiles_where_another_cannot(backend, monkeypatch):
    made, model = backend(), BetaVAE(SMALL).train()
    monkeypatch.setattr(Processes, "any", lambda processes, *flags: [True])
    assert not compile_network(model, CONFIG, 96, ALONE) and made.graphs == 1 and model._compiled_call_impl is None


def test_what_is_slower_compiled_is_not_compiled_and_not_tried_again(monkeypatch, capsys):
    tried = []

    def timed(*given):
        tried.append(given)
        return engine.StepTimes(eager=0.1, compiled=0.15)

    monkeypatch.setattr(engine, "time_step", timed)
    model = BetaVAE(SMALL).train()
    for _ in range(2):
        assert not compile_network(model, CONFIG, 96, ALONE) and model._compiled_call_impl is None
        said = capsys.readouterr().err
        assert "A compiled step takes 150 ms here, and 100 ms as it is" in said and said.count("\n") == 1
    assert len(tried) == 1
    assert not compile_network(model, replace(CONFIG, num_samples=2), 96, ALONE) and len(tried) == 2  # another step


def test_what_was_decided_stays_with_the_run(small_set, tmp_path, backend, monkeypatch):
    """The times are another machine's business: a resumed run takes the same kind of steps as before."""
    pays = iter([False, True])
    monkeypatch.setattr(engine, "recall_times", lambda key: None)
    monkeypatch.setattr(engine.StepTimes, "compiling_pays", property(lambda times: next(pays)))
    backend()
    two = replace(CONFIG, epochs=2)
    fit_small(small_set, Run("eager", tmp_path), two, stop_after=1)
    assert next(pays), "it was asked more than once"
    made = backend()
    fit_small(small_set, Run("eager", tmp_path), resume=True)
    assert made.graphs == 0
    monkeypatch.setattr(engine.StepTimes, "compiling_pays", property(lambda times: True))
    fit_small(small_set, Run("compiled", tmp_path), two, stop_after=1)
    monkeypatch.setattr(engine.StepTimes, "compiling_pays", property(lambda times: False))
    made = backend()
    fit_small(small_set, Run("compiled", tmp_path), resume=True)
    assert made.runs > 5  # the trial's


def test_steps_of_both_kinds_are_timed_in_turn_without_the_first(monkeypatch, backend):
    backend()
    clock = iter([0, 9, 10, 90, 100, 103, 200, 202, 300, 304, 400, 402, 500, 507, 600, 609, 700, 703, 800, 809])
    monkeypatch.setattr(trial.time, "perf_counter", lambda: next(clock))
    assert engine.time_step(BetaVAE(SMALL).train(), CONFIG, 8, ALONE) == (3, 2)


@pytest.mark.parametrize("objective, batch", [("ada", 7), ("middle", 8)])
def test_a_batch_that_holds_no_whole_number_of_groups_is_timed_by_whole_ones(backend, objective, batch):
    backend()
    times = engine.time_step(BetaVAE(SMALL).train(), replace(CONFIG, objective=objective), batch, ALONE)
    assert min(times) > 0


def test_a_compiled_step_pays_only_if_it_is_clearly_faster():
    assert engine.StepTimes(1.0, 0.9).compiling_pays
    assert not engine.StepTimes(1.0, 0.99).compiling_pays and not engine.StepTimes(1.0, 1.5).compiling_pays
