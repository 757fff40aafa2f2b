"""How fast this machine trains: which run fits into the minutes that somebody has, and how long one still takes.

Two times are measured on this machine: that of a picture's share of an optimiser step, and that of its evaluation (to
encode, decode and score it). Everything else that a run does is counted in evaluations.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError, ran_out_of_memory
from vae_helpers.files import say
from vae_helpers.model import OBJECTIVES, VAEConfig
from vae_helpers.runs import Run, load_latest
from vae_helpers.scores import evaluate
from vae_helpers.settings import QUICK_EPOCHS, QUICK_PICTURES, TrainConfig, quick_epochs
from vae_helpers.train.arithmetic import using_threads
from vae_helpers.train.batches import Batch
from vae_helpers.train.compiling import PAYS_ABOVE, can_compile, say_why_not_compiled
from vae_helpers.train.fastest import choose_arithmetic
from vae_helpers.train.processes import Processes
from vae_helpers.train.scoring import STANDARDISED_BY
from vae_helpers.train.state import new_state
from vae_helpers.train.step import train_step

MINUTES = 5.0  # of a tour, unless said
SMALLER = 64  # pixels: pictures of this size where the usual ones take too long
ENOUGH = QUICK_PICTURES // 2  # steps' pictures below which smaller pictures come out better
TOUR_EVALUATIONS = 2_500  # what the tour's stills and animations take, measured: 1,730 on a busy machine
_SHEET_EVALUATIONS, _LAST_EVALUATIONS = 200, 512  # drawing samples and reconstructions; the projector's codes
_EVALUATION = 0.4  # of a step, until evaluations have been timed
_PLANNED = 0.9  # of the minutes: the rest is a margin
_WORTH_COMPILING = 600.0  # seconds left from which on it is tried: the trial takes 25 to 106 of them, and as many again
_TRIAL_SECONDS, _TRIAL_STEPS = 3.0, 8  # at most, but two steps


class Speed(NamedTuple):
    """Seconds of a picture's share of a step and of its evaluation, and what the first step takes longer."""

    step: float
    evaluation: float
    start: float = 0.0


Trial = Callable[[VAEConfig, TrainConfig, Processes], Speed]


def measure(model_config: VAEConfig, config: TrainConfig, processes: Processes) -> Speed:
    """Time some steps of such a run, compiled if it says so, and the evaluation of a batch, on noise."""
    size, group = model_config.image_size, OBJECTIVES[config.objective].group
    count = max(2, group, config.batch_size // processes.size // group * group)
    noise = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    alone = Processes(processes.device)  # the others wait for the answer
    arithmetic = choose_arithmetic(model_config, config, 0, alone)
    state = new_state(config, model_config, alone, count, arithmetic)
    if config.compile:
        state.model.compile()
    batch, seconds, began = Batch(torch.from_numpy(noise), 0, count), [], time.perf_counter()
    with using_threads(arithmetic.threads):
        while len(seconds) < 2 or len(seconds) < _TRIAL_STEPS and time.perf_counter() - began < _TRIAL_SECONDS:
            start = time.perf_counter()
            train_step(state, batch, config, 0.5)
            state.totals().tolist()  # waits for a GPU
            seconds.append(time.perf_counter() - start)
        step = statistics.median(seconds[1:])
        start = time.perf_counter()
        evaluate(state.eval_model.eval(), noise, np.arange(count))
    evaluation = (time.perf_counter() - start) / count
    return Speed(step / (count * processes.size), evaluation, seconds[0] - step)


def evaluations_after(config: TrainConfig, epoch: int, train: int, held_out: int) -> int:
    """Evaluations to close this epoch, counted from 1: scores if they are due, sheets, and what ends a run.

    What is scored or drawn has its latents brought to scale by some of the `train` pictures: to encode is half of it.
    """
    last = epoch == config.epochs
    scored, drawn = (last or epoch % every == 0 for every in (config.evaluate_every, config.pictures_every))
    evaluations = held_out * scored + _SHEET_EVALUATIONS * drawn + min(train, STANDARDISED_BY) // 2 * (scored or drawn)
    return evaluations + (held_out + _LAST_EVALUATIONS if last else 0)


def seconds_for(config: TrainConfig, train: int, held_out: int, speed: Speed, more_evaluations: int = 0) -> float:
    """Seconds of a run over `train` pictures with scores on `held_out` others, and of `more_evaluations` after it."""
    evaluations = (
        sum(evaluations_after(config, epoch, train, held_out) for epoch in range(1, config.epochs + 1))
        + more_evaluations
    )
    return speed.start + config.epochs * train * speed.step + evaluations * speed.evaluation


class TimeBudget:
    """Chooses size of picture, epochs and whether to compile, so that a quick run ends within `minutes` from now.

    A run that exists keeps what was chosen for it. Without `minutes` they are `MINUTES`, and no more is done in them
    than the quick recipe would. Under torchrun the first process decides. Raises InputError for minutes not above 0.
    """

    def __init__(
        self,
        run: Run,
        minutes: float | None = None,
        processes: Processes | None = None,
        more_evaluations: int = 0,
        trial: Trial | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        if minutes is not None and not 0 < minutes <= 1e6:
            raise InputError(f"{minutes} minutes are no time to train in: give a number above 0.")
        self._minutes, self._fill = minutes or MINUTES, minutes is not None
        self._run, self._processes, self._more = run, processes or Processes(torch.device("cpu")), more_evaluations
        self._trial, self._clock, self._until = trial or measure, clock, clock() + 60 * (minutes or MINUTES)
        self._speeds: dict[tuple[int, str], Speed] = {}  # by size of picture and optimizer

    @property
    def left(self) -> float:
        """Seconds that are left to plan with."""
        return self._until - self._clock() - (1 - _PLANNED) * 60 * self._minutes

    def choose_size(self, model_config: VAEConfig, config: TrainConfig) -> VAEConfig:
        """The same model for the largest pictures of which enough can be seen, the given ones or of 64 pixels."""
        return self._processes.on_first(lambda: self._choose_size(model_config, config))

    def choose_length(self, pictures: PictureSet, model_config: VAEConfig, **settings) -> TrainConfig:
        """The quick recipe with as many epochs as fit; `settings` are those of `TrainConfig.quick`."""
        train, held_out = len(pictures.split.train), len(pictures.split.validation)
        return self._processes.on_first(lambda: self._choose_length(train, held_out, model_config, settings))

    def _choose_size(self, model_config: VAEConfig, config: TrainConfig) -> VAEConfig:
        size = model_config.image_size
        if self._run.exists():
            return load_latest(self._run)[0].config
        speed = self._speed(model_config, config)
        if self._seconds_of_enough(speed) <= self.left or size <= SMALLER:
            return model_config
        smaller = VAEConfig(SMALLER, model_config.latent_dim, decoder_norm=model_config.decoder_norm)
        say(
            f"A picture of {size} pixels takes {1000 * speed.step:,.0f} ms to learn from here, too long for "
            f"{self._minutes:g} minutes: taking {SMALLER} pixels instead "
            f"({1000 * self._speed(smaller, config).step:,.0f} ms)."
        )
        return smaller

    def _choose_length(self, train: int, held_out: int, model_config: VAEConfig, settings: dict) -> TrainConfig:
        usual = TrainConfig.quick(train, **settings)
        if self._run.exists():
            say(
                f"The run {self._run.name!r} exists and keeps the size and length that were chosen for it; for others "
                "take another name."
            )
            return self._own_config(usual)
        speed = self._speed(model_config, usual)
        chosen = self._longest(speed, train, held_out, settings)
        if chosen.compile is None:
            chosen, device = replace(chosen, compile=False), self._processes.device
            many = chosen.epochs * train > PAYS_ABOVE.get(device.type, float("inf"))
            if many and self.left > _WORTH_COMPILING and can_compile(device):
                compiled = self._speed_compiled(model_config, chosen)
                speeds = [each for each in (speed, compiled) if each]
                both = [(self._longest(each, train, held_out, settings), each) for each in speeds]
                # More epochs, or as many in less time. Compiling once more takes as long as in the trial.
                chosen, speed = max(both, key=lambda it: (it[0].epochs, -seconds_for(it[0], train, held_out, it[1])))
                chosen = replace(chosen, compile=speed is compiled)
        self._tell(chosen, seconds_for(chosen, train, held_out, speed, self._more), train, model_config.image_size)
        return chosen

    def _longest(self, speed: Speed, train: int, held_out: int, settings: dict) -> TrainConfig:
        """With the most epochs that fit, but at least one, and no more than usual unless minutes were given."""
        left, best = self.left, TrainConfig.quick(train, **settings | {"epochs": 1})
        usual = quick_epochs(train)
        most = 250 if self._fill and usual < QUICK_EPOCHS else usual  # more of few pictures does harm
        for epochs in range(2, most + 1):
            longer = TrainConfig.quick(train, **settings | {"epochs": epochs})
            if seconds_for(longer, train, held_out, speed, self._more) > left:
                break
            best = longer
        return best

    def _own_config(self, usual: TrainConfig) -> TrainConfig:
        try:
            return TrainConfig(**load_latest(self._run)[1]["train_config"])
        except (TypeError, KeyError):
            return replace(usual, epochs=1)  # of another version, which resuming refuses in its own words

    def _speed(self, model_config: VAEConfig, config: TrainConfig) -> Speed:
        size = model_config.image_size
        key = (size, config.optimizer)
        if key not in self._speeds:
            speed = self._trial(model_config, replace(config, compile=False), self._processes)
            self._speeds[key] = speed._replace(start=0.0)  # that warmed up for good
        return self._speeds[key]

    def _speed_compiled(self, model_config: VAEConfig, config: TrainConfig) -> Speed | None:
        try:
            return self._trial(model_config, replace(config, compile=True), self._processes)
        except Exception as problem:  # from a code generator, a compiler's process, a driver: anything
            if ran_out_of_memory(problem):
                raise
            say_why_not_compiled(problem)
            return None

    def _seconds_of_enough(self, speed: Speed) -> float:
        return (
            ENOUGH * speed.step + (ENOUGH // 8 + _SHEET_EVALUATIONS + _LAST_EVALUATIONS + self._more) * speed.evaluation
        )

    def _tell(self, config: TrainConfig, seconds: float, train: int, size: int) -> None:
        engine = "compiled" if config.compile else "not compiled"
        run = f"{config.epochs} epoch{'s' * (config.epochs > 1)} over {train:,} pictures of {size} pixels, {engine}"
        if seconds <= self._until - self._clock():
            say(
                f"Timed on this machine and chosen for {self._minutes:g} minutes: {run}, about {seconds / 60:.1f} "
                "minutes."
            )
        else:
            say(
                f"Even {run}, takes about {seconds / 60:.1f} minutes on this machine, not {self._minutes:g}: stop it "
                "and take fewer pictures if that is too long."
            )


class TimeLeft:
    """How long a run still takes, scores and sheets included, from what its steps and evaluations have taken so far."""

    def __init__(self, config: TrainConfig, per_epoch: int, held_out: int, clock: Callable[[], float] = time.monotonic):
        self._config, self._per_epoch = config, per_epoch
        self._sets = per_epoch * config.batch_size, held_out
        self._clock, self._last = clock, clock()
        self._steps = self._evaluations = 0
        self._in_steps = self._in_evaluations = 0.0

    def stepped(self) -> None:
        """A step ended now."""
        self._steps += 1
        took = self._passed()
        self._in_steps = took if self._steps == 2 else self._in_steps + took  # the first one warms up, or compiles

    def closed(self, epoch: int) -> None:
        """This epoch, counted from 1, was closed now."""
        self._evaluations += evaluations_after(self._config, epoch, *self._sets)
        self._in_evaluations += self._passed()

    def _passed(self) -> float:
        before, self._last = self._last, self._clock()
        return self._last - before

    def seconds(self, step: int, epochs_closed: int) -> float:
        """From this step of the run, with so many epochs closed, to its end."""
        per_step = self._in_steps / max(1, self._steps - 1)
        per_evaluation = (
            self._in_evaluations / self._evaluations
            if self._evaluations
            else _EVALUATION * per_step / self._config.batch_size
        )
        evaluations = sum(
            evaluations_after(self._config, epoch, *self._sets)
            for epoch in range(epochs_closed + 1, self._config.epochs + 1)
        )
        return (self._config.epochs * self._per_epoch - step) * per_step + evaluations * per_evaluation

    def words(self, step: int, epochs_closed: int) -> str:
        """The same as "4:05 left", for a progress bar."""
        minutes, seconds = divmod(round(self.seconds(step, epochs_closed)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{f'{hours}:{minutes:02}' if hours else minutes}:{seconds:02} left"
