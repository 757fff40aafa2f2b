"""What is chosen for a machine of a given speed, on a clock that the test turns."""

import itertools
import re
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small import SMALL

from vae_helpers.__main__ import main
from vae_helpers.errors import InputError
from vae_helpers.model import VAEConfig
from vae_helpers.runs import Run, load_latest
from vae_helpers.settings import QUICK_PICTURES, TrainConfig
from vae_helpers.train import (
    Processes,
    Speed,
    TimeBudget,
    TimeLeft,
    evaluations_after,
    fit,
    measure,
    seconds_for,
    time_budget,
)

TRAIN, HELD_OUT = 3277, 410
PICTURES = SimpleNamespace(split=SimpleNamespace(train=range(TRAIN), validation=range(HELD_OUT)))


class Machine:
    """A clock, and trials that take the time they say; compiled steps take `compiled` of the others."""

    def __init__(self, step, compiled=0.7, start=60.0):
        self.now, self.step, self.compiled, self.start, self.tried = 0.0, step, compiled, start, []

    def trial(self, model_config, config, processes):
        self.tried.append((model_config.image_size, config.compile))
        step = self.step * (model_config.image_size / 128) ** 2 * (self.compiled if config.compile else 1)
        self.now += (2 * 32 + 32 * 0.4) * step + config.compile * self.start
        return Speed(step, 0.4 * step, config.compile * self.start)

    def pace(self, run, minutes=None, looks=time_budget.TOUR_EVALUATIONS):
        return TimeBudget(run, minutes, more_evaluations=looks, trial=self.trial, clock=lambda: self.now)


@pytest.fixture
def run(tmp_path):
    return Run("new", tmp_path)


def chosen(machine, run, minutes=None, opening=10.0, **settings):
    """`(pixels, recipe, seconds the whole takes)` on this machine."""
    chooser = machine.pace(run, minutes)
    model = chooser.choose_size(VAEConfig(), TrainConfig.quick(QUICK_PICTURES, **settings))
    machine.now += opening
    config = chooser.choose_length(PICTURES, model, **settings)
    step = machine.step * (model.image_size / 128) ** 2 * (machine.compiled if config.compile else 1)
    speed = Speed(step, 0.4 * step, machine.start * config.compile)
    return (
        model.image_size,
        config,
        machine.now + seconds_for(config, TRAIN, HELD_OUT, speed, time_budget.TOUR_EVALUATIONS),
    )


@pytest.mark.parametrize(
    "step, pixels, epochs", [(0.001, 128, 6), (0.006, 128, 6), (0.018, 128, 3), (0.03, 64, 6), (0.12, 64, 1)]
)
def test_a_tour_fits_the_machine(run, capsys, step, pixels, epochs):
    """From a fast machine, on which nothing changes, to one on which pictures are smaller, then epochs fewer."""
    size, config, seconds = chosen(Machine(step), run)
    assert (size, config.epochs, config.compile) == (pixels, epochs, False)
    assert seconds <= 300
    said = capsys.readouterr().err
    assert (
        f"chosen for 5 minutes: {epochs} epoch" in said
        and f"over 3,277 pictures of {pixels} pixels, not compiled" in said
    )
    assert ("taking 64 pixels instead" in said) == (pixels == 64)


@pytest.mark.parametrize("minutes", [2, 5, 15, 60])
@pytest.mark.parametrize("step", [0.0005, 0.002, 0.01, 0.02, 0.05])
def test_minutes_are_kept_and_used(run, minutes, step):
    size, config, seconds = chosen(Machine(step), run, minutes)
    room = 60 * minutes
    assert seconds <= room or config.epochs == 1
    one_more = TrainConfig.quick(TRAIN, epochs=config.epochs + 1)
    a_step = step * (size / 128) ** 2
    longer = seconds_for(one_more, TRAIN, HELD_OUT, Speed(a_step, 0.4 * a_step), time_budget.TOUR_EVALUATIONS)
    assert config.epochs == 250 or config.compile or longer > 0.6 * room


@pytest.mark.parametrize("train, epochs", [(97, 40), (499, 40), (600, 250)])
def test_minutes_show_few_pictures_no_more_often_than_does_them_good(run, train, epochs):
    few = SimpleNamespace(split=SimpleNamespace(train=range(train), validation=range(train // 8)))
    config = Machine(0.0005).pace(run, 60).choose_length(few, VAEConfig())
    assert config.epochs == epochs and config.early_stop == 8


def test_what_cannot_fit_is_said(run, capsys):
    size, config, seconds = chosen(Machine(0.5), run)
    assert (size, config.epochs) == (64, 1) and seconds > 300
    assert "Even 1 epoch over 3,277 pictures of 64 pixels" in capsys.readouterr().err


def test_time_spent_on_opening_is_missing_afterwards(run):
    assert chosen(Machine(0.006), run, opening=10)[1].epochs > chosen(Machine(0.006), run, opening=180)[1].epochs


@pytest.mark.parametrize("compiled, start, answer", [(0.5, 60.0, True), (1.1, 60.0, False), (0.95, 1200.0, False)])
def test_compiling_is_timed_where_a_run_is_long_enough(run, monkeypatch, compiled, start, answer):
    monkeypatch.setattr(time_budget, "can_compile", lambda device: True)
    machine = Machine(0.01, compiled, start)
    config = chosen(machine, run, 60)[1]
    assert machine.tried == [(128, False), (128, True)] and config.compile is answer
    short = Machine(0.01, compiled, start)
    assert chosen(short, run)[1].compile is False and short.tried == [(128, False)]
    unable = Machine(0.01, compiled, start)
    monkeypatch.setattr(time_budget, "can_compile", lambda device: False)
    assert chosen(unable, run, 60)[1].compile is False and unable.tried == [(128, False)]


def test_where_compiling_fails_the_run_is_not_compiled_and_says_why(run, monkeypatch, capsys):
    monkeypatch.setattr(time_budget, "can_compile", lambda device: True)
    machine = Machine(0.01)
    trial = machine.trial

    def breaks(model_config, config, processes):
        if config.compile:
            raise RuntimeError("no such instruction")
        return trial(model_config, config, processes)

    machine.trial = breaks
    assert chosen(machine, run, 60)[1].compile is False
    assert "Compiling does not work here (RuntimeError: no such instruction)" in capsys.readouterr().err


@pytest.mark.parametrize("compiled", [True, False])
def test_compiled_steps_are_timed_compiled(monkeypatch, compiled):
    made = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda model: made.append(model))
    measure(SMALL, TrainConfig.quick(10, batch_size=4, compile=compiled), Processes(torch.device("cpu")))
    assert len(made) is int(compiled)


def test_optimizers_are_timed_apart(run):
    machine = Machine(0.0005)
    chooser = machine.pace(run)
    for optimizer in ("adam", "adam", "muon"):
        chooser.choose_size(VAEConfig(), TrainConfig.quick(QUICK_PICTURES, optimizer=optimizer))
    assert len(machine.tried) == 2


def test_what_was_said_is_not_chosen(run):
    config = chosen(Machine(0.002), run, compile=False, batch_size=16, lr=0.5)[1]
    assert (config.compile, config.batch_size, config.lr) == (False, 16, 0.5)


def test_a_run_that_exists_keeps_what_was_chosen(trained, small_set, capsys):
    machine = Machine(0.0001)
    chooser = machine.pace(trained[0], 60)
    model = chooser.choose_size(VAEConfig(), TrainConfig.quick(QUICK_PICTURES))
    assert model == SMALL
    config = chooser.choose_length(small_set, model)
    assert config == TrainConfig(**load_latest(trained[0])[1]["train_config"]) and config.epochs == 3
    assert not machine.tried and "keeps the size and length" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_no_time_is_refused(run, minutes):
    with pytest.raises(InputError, match="no time to train in"):
        TimeBudget(run, minutes)


def test_several_processes_are_told_by_the_first(run):
    asked = []

    class Others(Processes):
        def on_first(self, action):
            asked.append(action)
            return "told"

    chooser = TimeBudget(run, 5, Others(torch.device("cpu"), 1, 2), trial=None)
    assert chooser.choose_size(VAEConfig(), TrainConfig.quick(QUICK_PICTURES)) == "told"
    assert chooser.choose_length(PICTURES, VAEConfig()) == "told" and len(asked) == 2


def test_a_trial_times_steps_and_looks_and_changes_nothing(monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))  # every look at the clock takes a second
    before = torch.get_rng_state()
    speed = measure(SMALL, TrainConfig.quick(10, batch_size=4, compile=False), Processes(torch.device("cpu")))
    assert speed == Speed(1 / 4, 1 / 4, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_share_is_timed_for_several_processes(monkeypatch):
    seconds = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    speed = measure(SMALL, TrainConfig.quick(10, batch_size=8, compile=False), Processes(torch.device("cpu"), 0, 2))
    assert speed == Speed(1 / 8, 1 / 4, 0)  # two processes take four pictures each in the same second


def test_time_left_counts_scores_and_sheets():
    clock = [0.0]
    config = replace(TrainConfig.quick(40), epochs=4, batch_size=10, evaluate_every=2, pictures_every=4)
    left = TimeLeft(config, 4, 50, lambda: clock[0])
    looks = [evaluations_after(config, epoch, 40, 50) for epoch in (1, 2, 3, 4)]
    assert looks == [0, 50 + 20, 0, 50 + 20 + 200 + 50 + 512]
    assert evaluations_after(config, 2, 10_000, 50) == 50 + 256  # 512 pictures are encoded
    for seconds in (100.0, 2.0, 2.0, 2.0):  # the first step compiles
        clock[0] += seconds
        left.stepped()
    assert left.seconds(4, 0) == 12 * 2 + sum(looks) * 0.4 * 2 / 10  # looks have not been timed yet
    left.closed(1)
    for _ in range(4):
        clock[0] += 2
        left.stepped()
    clock[0] += 25
    left.closed(2)
    assert left.seconds(8, 2) == 8 * 2 + looks[3] * 25 / looks[1]
    assert left.words(8, 2) == "5:13 left"
    clock[0] += 40_000
    left.stepped()
    assert left.words(9, 2).count(":") == 2


def test_the_bar_says_what_is_left(small_set, tmp_path, capfd):
    fit(small_set, Run("bar", tmp_path), TrainConfig.quick(96, epochs=1, batch_size=32), SMALL, device="cpu")
    assert re.search(r"nats, \d+:\d\d left", capfd.readouterr().err)


def test_a_resumed_tour_keeps_its_length(capsys, monkeypatch):
    speeds = [0.5, 1e-5]
    monkeypatch.setattr(time_budget, "measure", lambda *_: Speed(speeds[0], speeds[0] / 2))
    small = "--image-size 32 --latent-dim 8 --limit 60 --batch-size 16 --out VAE --device cpu".split()
    assert main(["tour", "--minutes", "3", *small]) == 0
    length = load_latest(Run("butterflies_ns_1_tour"))[1]["train_config"]["epochs"]
    assert length == 1
    del speeds[0]
    assert main(["tour", *small]) == 0
    assert load_latest(Run("butterflies_ns_1_tour"))[1]["train_config"]["epochs"] == length
    assert "exists and keeps the size and length" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        "train --minutes 3",
        "train --preset quick --minutes 3 --epochs 2",
        "tour --minutes 0",
        "tour --minutes nan",
        "tour --minutes 3 --epochs 2",
    ],
)
def test_minutes_that_choose_nothing_are_refused(capsys, arguments):
    try:
        status = main([*arguments.split(), "--out", "VAE"])
    except SystemExit as refused:  # by the parser
        status = refused.code
    assert status == 2 and capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("objective, batch", [("ada", 7), ("middle", 8), ("middle", 2)])
def test_pairs_and_triples_are_timed_whole(objective, batch):
    config = TrainConfig.quick(10, batch_size=batch, objective=objective, compile=False)
    assert measure(SMALL, config, Processes(torch.device("cpu"))).step > 0
