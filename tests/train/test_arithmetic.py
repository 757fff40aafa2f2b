"""The arithmetic of a step: decided by timing, kept for the machine and with the run."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small import QUICK, SMALL, fit_small, same_run
from torch import nn

from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run, load_checkpoint, save_checkpoint
from vae_helpers.settings import TrainConfig
from vae_helpers.train import (
    Arithmetic,
    Processes,
    Trial,
    arithmetic,
    choose_arithmetic,
    fastest,
    loop,
    new_state,
    recall,
    remember,
    resumed_state,
    usual_arithmetic,
)

CPU = torch.device("cpu")
ALONE = Processes(CPU)
CONFIG = TrainConfig.quick(96, **QUICK)
MANY = 10**6
USUAL = Arithmetic(torch.bfloat16, True, 8)


@pytest.fixture
def machine(monkeypatch):
    """A machine with 8 threads and fast 16 bits; `machine(seconds)` gives a step's time, and the steps timed so far."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(fastest, "usual_arithmetic", lambda device: USUAL)

    def behave(seconds):
        timed = []

        def both(trial, one, other, rounds):
            timed.append(other.arithmetic)
            return [seconds(one.arithmetic)] * 2, [seconds(other.arithmetic)] * 2

        monkeypatch.setattr(fastest.Trial, "seconds", both)
        return timed

    return behave


def test_every_choice_is_timed_by_itself_and_the_fastest_is_taken(machine):
    timed = machine(lambda a: 4 - 2 * (a.threads == 4) - (a.half is None) - 0.5 * (not a.channels_last))
    found = choose_arithmetic(SMALL, CONFIG, MANY, ALONE)
    assert found == Arithmetic(None, False, 4)
    assert [(a.threads, a.half, a.channels_last) for a in timed] == [
        (4, torch.bfloat16, True),
        (2, torch.bfloat16, True),
        (4, None, True),
        (4, None, False),
    ]


def test_what_saves_less_than_two_measurements_differ_by_is_left(machine):
    machine(lambda a: 1.0 if a == USUAL else 0.91)
    assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE) == USUAL


@pytest.mark.parametrize(
    "usual, other, taken", [((9, 2, 2, 2), (1, 1, 1, 1), True), ((9, 2, 2, 2), (1, 1, 3, 1), False)]
)
def test_what_is_not_faster_each_time_is_left_whatever_one_time_was(monkeypatch, usual, other, taken):
    """As beside another process."""
    monkeypatch.setattr(fastest, "usual_arithmetic", lambda device: USUAL._replace(half=None, threads=1))
    monkeypatch.setattr(fastest, "_emulated_half", lambda device: None)
    monkeypatch.setattr(fastest.Trial, "seconds", lambda *given: (list(usual), list(other)))
    assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE).channels_last is not taken


def test_it_is_timed_once_for_a_machine_and_a_shape(machine, monkeypatch, capsys):
    timed = machine(lambda a: 1 + (a.half is not None))
    for _ in range(2):
        assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE).half is None
    assert len(timed) == 3 and capsys.readouterr().err.count("once for this machine") == 1
    assert choose_arithmetic(SMALL, CONFIG, 10, ALONE).half is None  # a short run takes what is known
    choose_arithmetic(SMALL, replace(CONFIG, num_samples=2), MANY, ALONE)
    assert len(timed) == 6
    monkeypatch.setattr(fastest, "machine_of", lambda device: "another")
    choose_arithmetic(SMALL, CONFIG, MANY, ALONE)
    assert len(timed) == 9


def test_a_short_run_and_several_processes_take_the_usual(machine):
    timed = machine(lambda a: 1 + (a.half is not None))
    assert choose_arithmetic(SMALL, CONFIG, fastest.TIMED_ABOVE["cpu"], ALONE) == USUAL
    assert choose_arithmetic(SMALL, CONFIG, MANY, Processes(CPU, size=2)) == USUAL._replace(
        threads=torch.get_num_threads()
    )
    assert not timed


def test_threads_that_somebody_has_set_are_neither_tried_nor_recalled(machine, monkeypatch):
    timed = machine(lambda a: a.threads)
    assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE).threads == 2  # kept for who has set none
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    timed.clear()
    assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE) == USUAL
    assert {a.threads for a in timed} == {8}


@pytest.mark.parametrize("knows", [True, False, None])
def test_16_bits_without_a_promise_are_tried_where_the_kernels_know_them(monkeypatch, knows):
    """PyTorch for Apple's processors comes without oneDNN, and then has nothing to ask."""
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: knows is not None)
    stand_in = SimpleNamespace() if knows is None else SimpleNamespace(_is_mkldnn_bf16_supported=lambda: knows)
    monkeypatch.setattr(torch.ops, "mkldnn", stand_in)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    tried = []

    def seconds(one, other, compiled):
        tried.append(other.half)
        return [1.0], [1.0]

    fastest._fastest(Arithmetic(None, True, 2), seconds, False, CPU)
    assert tried == [torch.bfloat16] * bool(knows) + [None]


def test_what_cannot_be_kept_is_not_used(machine, monkeypatch):
    """Two equal runs on a machine must take equal steps."""
    machine(lambda a: 1 + (a.half is not None))
    monkeypatch.setattr(fastest, "remember", lambda key, found: False)
    assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE) == USUAL


def test_memory_that_runs_out_in_the_trial_leaves_the_usual_and_other_faults_are_told(machine):
    def seconds(arithmetic):
        if not arithmetic.channels_last:
            raise problem
        return 1.0

    machine(seconds)
    problem = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE) == USUAL
    problem = RuntimeError("a fault")
    with pytest.raises(RuntimeError, match="a fault"):
        choose_arithmetic(SMALL, CONFIG, MANY, ALONE)


@pytest.mark.parametrize(
    "kept", [3, [], {}, {"half": "int8"}, {"half": []}, {"channels_last": 1}, {"threads": 0}, {"threads": 9}]
)
def test_what_was_kept_and_cannot_be_is_timed_again(machine, kept):
    machine(lambda a: 1.0)
    known = USUAL.as_dict() | kept if isinstance(kept, dict) and kept else kept
    key = fastest._key(SMALL, CONFIG, USUAL, CPU, False)
    remember(key, known)
    assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE) == USUAL and recall(key) == USUAL.as_dict()


def test_a_long_compiled_run_compares_layouts_compiled(monkeypatch, capsys):
    """What is fastest as written need not be fastest compiled, and the other way round."""
    monkeypatch.setattr(fastest, "usual_arithmetic", lambda device: USUAL)

    def seconds(trial, *ways):
        return [[1.0 + (way.arithmetic.channels_last is way.compiled)] for way in ways[:2]]

    monkeypatch.setattr(fastest.Trial, "seconds", seconds)
    compiled = replace(CONFIG, compile=True)
    assert choose_arithmetic(SMALL, compiled, fastest.COMPILED_ABOVE, ALONE) == USUAL
    assert "compiled in both" not in capsys.readouterr().err
    for _ in range(2):
        assert choose_arithmetic(SMALL, compiled, MANY, ALONE) == USUAL._replace(channels_last=False)
        assert choose_arithmetic(SMALL, CONFIG, MANY, ALONE) == USUAL  # kept by itself
    assert capsys.readouterr().err.count("compiled in both layouts") == 1


def test_layouts_are_compared_uncompiled_where_compiling_fails(monkeypatch):
    faults, compiling = [None], nn.Module.compile

    def backend(graph, inputs):
        if faults[-1]:
            raise faults[-1]
        return graph

    monkeypatch.setattr(nn.Module, "compile", lambda module: compiling(module, backend=backend))
    seconds, one = fastest._timings(SMALL, CONFIG, CPU), usual_arithmetic(CPU)
    seen, step = [], Trial._forward_and_back

    def looked_at(trial, model):
        seen.append(model._compiled_call_impl is not None)
        return step(trial, model)

    monkeypatch.setattr(Trial, "_forward_and_back", looked_at)
    for fault, compiled in ((None, {True}), (OSError("g++ was killed"), {True, False})):
        torch._dynamo.reset()
        seen.clear()
        faults.append(fault)
        assert min(map(min, seconds(one, one._replace(channels_last=False), True))) > 0 and set(seen) == compiled
    torch._dynamo.reset()
    faults.append(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"))
    with pytest.raises(RuntimeError, match="allocate"):
        seconds(one, one, True)
    torch._dynamo.reset()


@pytest.mark.parametrize(
    "quota, threads", [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("?", 8)]
)
def test_a_container_gets_the_threads_of_its_share(tmp_path, monkeypatch, quota, threads):
    monkeypatch.setattr(arithmetic, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert usual_arithmetic(CPU).threads == 8
    (tmp_path / "cpu.max").write_text(quota)
    assert usual_arithmetic(CPU).threads == threads


@pytest.mark.parametrize("objective, pictures", [("beta", 32), ("ada", 32), ("middle", 30)])
def test_a_trial_is_a_step_of_the_runs_objective(objective, pictures, monkeypatch):
    made = []
    monkeypatch.setattr(fastest, "Trial", lambda *given: made.append(Trial(*given)) or made[0])
    seconds = fastest._timings(SMALL, replace(CONFIG, objective=objective, batch_size=64), CPU)
    assert len(made[0]._x) == pictures
    assert all(min(times) > 0 for times in seconds(usual_arithmetic(CPU), usual_arithmetic(CPU), False))


def test_both_layouts_compute_the_same():
    model, x = BetaVAE(SMALL).eval(), torch.rand(4, 3, 32, 32)
    noise = torch.zeros(1, 4, 8)
    last, first = model(x, noise), model.set_layout(channels_last=False)(x, noise)
    assert model.encoder.blocks[1].conv.weight.is_contiguous()
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(last, first))


def taken(monkeypatch, half=None, channels_last=True, machine="here"):
    """Whatever is asked, this is the fastest, and the machine has this name."""
    one = Arithmetic(half, channels_last, torch.get_num_threads())
    for place in ("begin", "state"):
        monkeypatch.setattr(f"vae_helpers.train.{place}.choose_arithmetic", lambda *given: one)
    for place in ("saving", "state"):
        monkeypatch.setattr(f"vae_helpers.train.{place}.machine_of", lambda device: machine)


def arithmetic_of(run, pictures):
    state, *_ = resumed_state(run, None, pictures, ALONE)
    return state.arithmetic, state.model.encoder.half, state.model.decoder.layout


@pytest.mark.usefixtures("no_sheets")
def test_a_run_goes_on_as_it_began_on_its_machine_and_as_is_fastest_on_another(small_set, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    taken(monkeypatch, torch.bfloat16, False)
    whole, run = Run("whole", tmp_path), Run("a", tmp_path)
    fit_small(small_set, whole)
    fit_small(small_set, run, stop_after=1)
    taken(monkeypatch)
    began = Arithmetic(torch.bfloat16, False, threads)
    assert arithmetic_of(run, small_set) == (began, torch.bfloat16, torch.contiguous_format)
    taken(monkeypatch, machine="elsewhere")
    assert arithmetic_of(run, small_set) == (Arithmetic(None, True, threads), None, torch.channels_last)
    taken(monkeypatch)
    fit_small(small_set, run, None, resume=True)
    same_run(whole, run)


@pytest.mark.usefixtures("no_sheets")
@pytest.mark.parametrize("machine", ["here", "elsewhere"])
@pytest.mark.parametrize("exact, threads", [(None, 3), (True, 3), (False, torch.get_num_threads())])
def test_only_an_exact_run_keeps_its_threads(small_set, tmp_path, monkeypatch, exact, threads, machine):
    taken(monkeypatch)
    run = Run("a", tmp_path)
    fit_small(small_set, run, replace(CONFIG, exact=exact), stop_after=1)
    model, content = load_checkpoint(run.last)
    content = {name: value for name, value in content.items() if name not in ("model", "config")}
    content["arithmetic"]["threads"] = 3
    save_checkpoint(run.last, model, **content | {"threads": 3})
    taken(monkeypatch, machine=machine)
    assert arithmetic_of(run, small_set)[0].threads == threads


@pytest.mark.usefixtures("no_sheets")
@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_moments_follow_their_weights_into_another_layout(small_set, tmp_path, monkeypatch, optimizer):
    """Fused Adam pairs numbers in the order of memory: moments laid out otherwise would be those of other weights."""
    taken(monkeypatch)
    config = replace(CONFIG, optimizer=optimizer)
    same, moved = Run("same", tmp_path), Run("moved", tmp_path)
    for run in (same, moved):
        fit_small(small_set, run, config, stop_after=1)
    fit_small(small_set, same, None, resume=True)
    taken(monkeypatch, channels_last=False, machine="elsewhere")
    fit_small(small_set, moved, None, resume=True)
    one, other = (load_checkpoint(run.last)[0].state_dict() for run in (same, moved))
    assert all(torch.allclose(one[name], other[name], atol=2e-3) for name in one)


def test_a_state_computes_in_the_arithmetic_it_is_given():
    state = new_state(CONFIG, SMALL, ALONE, 96, Arithmetic(None, False, 1))
    assert state.model.encoder.half is None and state.model.decoder.layout == torch.contiguous_format


@pytest.mark.usefixtures("no_sheets")
@pytest.mark.parametrize("exact", [None, False])
def test_steps_run_in_the_threads_that_were_found_fastest(small_set, tmp_path, monkeypatch, exact):
    before, seen, step = torch.get_num_threads(), [], loop.train_step
    one = Arithmetic(None, True, before + 1)
    monkeypatch.setattr("vae_helpers.train.begin.choose_arithmetic", lambda *given: one)
    monkeypatch.setattr(loop, "train_step", lambda *given: (seen.append(torch.get_num_threads()), step(*given)))
    fit_small(small_set, Run("a", tmp_path), replace(CONFIG, exact=exact), stop_after=1)
    assert set(seen) == {before + 1} and torch.get_num_threads() == before
