"""The training loop: from a set of pictures to a trained model, and a run that ends cleanly whatever happens."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import torch

from vae_helpers.data import Middles, Partners, PictureSet, copy_to_gpu_if_it_fits
from vae_helpers.errors import InputError, within_limits
from vae_helpers.files import say
from vae_helpers.model import OBJECTIVES, VAEConfig
from vae_helpers.runs import Logbook, Run
from vae_helpers.settings import TrainConfig, default_knobs, recommendation, save_every
from vae_helpers.train.batches import Between, Paired, epoch_batches
from vae_helpers.train.begin import begun_state
from vae_helpers.train.compiling import compile_network, describe_setup
from vae_helpers.train.exact import exact_results, tell_if_not_exact
from vae_helpers.train.interrupt import ProgressBar, Stop
from vae_helpers.train.loss_monitor import LossMonitor
from vae_helpers.train.processes import Processes, handle_lost_process, open_processes, require_equal, require_on_first
from vae_helpers.train.saving import lock_run, save_alone, save_last
from vae_helpers.train.scoring import FitResult, close_epoch, score_result
from vae_helpers.train.state import State, Training, require_same, resumed_state
from vae_helpers.train.step import train_step
from vae_helpers.train.time_budget import TimeLeft

# tqdm's own time left knows of steps only; ours, at the end of the line, of scores and sheets too.
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"
Source: TypeAlias = np.ndarray | torch.Tensor | Paired | Between
_CHECK_EVERY = 20  # steps: reading a number back makes a GPU wait, so only now and then


def fit(
    pictures: PictureSet,
    run: Run,
    config: TrainConfig | None = None,
    model_config: VAEConfig | None = None,
    *,
    device: str | torch.device | None = None,
    resume: bool = False,
    progress: bool = True,
    stop_after: int | None = None,
    other_pictures: bool = False,
) -> FitResult:
    """Train a β-VAE on `pictures`, leaving checkpoints, a TensorBoard log and picture sheets under the run's name.

    A run whose name exists is continued with `resume`, under its own settings and with its own pictures, wherever they
    lie (`other_pictures` insists on others), and otherwise refused: nothing is overwritten. `config.epochs` may raise
    its length: the schedules are then spread over the new one, so the learning rate rises again.
    Ctrl-C, SIGTERM and SIGHUP end it after the step in hand, with a checkpoint; `stop_after` ends it after that epoch.
    In `exact` mode such a run, resumed, equals an uninterrupted one bit for bit. Under `torchrun` every process calls
    this. Raises InputError for a name or run in use, a set that does not fit, a loss that runs away, a full disk.
    """
    if stop_after is not None and stop_after < 1:
        raise InputError(f"stop_after is {stop_after}, but must be 1 or above: one epoch is the least.")
    seconds, processes = save_every(os.environ), open_processes(device)
    with (
        Stop(ignore_second=processes.size > 1).handling_signals() as stop,
        ExitStack() as held,
        handle_lost_process(processes, run),
    ):
        require_on_first(run, processes, resume)
        resume = processes.on_first(lambda: held.enter_context(lock_run(run, resume)) or resume)
        require_equal(processes, pictures)
        if resume:
            state, kept, pictures = resumed_state(run, config, pictures, processes, other_pictures)
            require_same(run, kept, state.model.config, config, model_config)
        else:
            state, kept, pictures = begun_state(run, config, model_config, pictures, processes)
        book = Logbook(run.tensorboard, first_epoch=state.epochs_closed + 1)
        bar = progress and processes.rank == 0
        return _train(Training(run, kept, pictures, state, book, stop, bar, stop_after, seconds), resume)


def _train(training: Training, resumed: bool) -> FitResult:
    """Train from where the state stands, save, and score what the run kept."""
    run, config, pictures, state = training.run, training.config, training.pictures, training.state
    processes, book = state.processes, training.book
    _require_fitting(state, pictures, config)
    tell_if_not_exact(config, processes)
    source = _source(pictures, config, processes)
    limits = within_limits(
        f"training with {config.num_samples} × {config.batch_size} pictures a step",
        "start a run with a smaller batch_size (--batch-size), num_samples or image size",
    )
    lost_process = handle_lost_process(processes, run, lambda: save_alone(run, state, training.config, pictures))
    with lost_process, book, exact_results(config, processes, state.arithmetic.threads), limits:
        if not resumed:  # a run that cannot be saved ends here, and one that is killed can be resumed from here on
            save_last(run, state, config, pictures, book)
        found = state.step, state.epochs_closed
        _Epochs(training, source).run()
        trained = (state.step, state.epochs_closed) != found
        if trained:
            with training.stop.saving():
                save_last(run, state, training.config, pictures, book)
        result = processes.on_first(lambda: score_result(training, trained))
    return result._replace(model=result.model.to(processes.device))


class _Epochs:
    """The epochs of a session: from wherever the state stands to the last one, or to the step of a stop."""

    def __init__(self, training: Training, source: Source):
        self.training, self.state = training, training.state
        self.compiled = _compile(training)
        if self.compiled is False:  # kept with the run: a resumed one takes the same steps, whatever it would find
            training.config = replace(training.config, compile=False)
        self.config = training.config
        pictures, processes = training.pictures, self.state.processes
        self.total_steps = training.steps_per_epoch * self.config.epochs
        self.monitor = LossMonitor(training.run, self.config, self.state.model.config.image_size)
        # Processes must agree on the step they stop at. Agreeing is cheap beside a CPU's step, not beside a GPU's.
        self.agree_every = 1 if processes.size == 1 or processes.device.type == "cpu" else _CHECK_EVERY
        self.source, self.on_gpu = source, isinstance(source, torch.Tensor)
        self.saved = time.monotonic()
        self.left = TimeLeft(self.config, training.steps_per_epoch, len(pictures.split.validation))

    def run(self) -> None:
        state, config, progress = self.state, self.config, self.training.progress
        with ProgressBar(
            total=self.total_steps,
            initial=state.step,
            unit="step",
            disable=not progress,
            mininterval=0.5,
            bar_format=_BAR,
        ) as self.bar:
            if progress and state.step < self.total_steps:
                to_see, device = config.epochs * len(self.training.pictures.split.train), state.processes.device
                pictures = self.training.pictures
                self.bar.write(f"{pictures.name}: {pictures.in_words()}")
                pairs = f"Pairs of pictures by {self.source.partners.kind}." if isinstance(self.source, Paired) else ""
                start = f"Begun with the weights of the run {config.start_from!r}." if config.start_from else ""
                for sentence in filter(None, (start, pairs, pictures.expectation(), recommendation(config))):
                    self.bar.write(sentence)
                self.bar.write(describe_setup(config, to_see, device, self.on_gpu, state.arithmetic, self.compiled))
            while not self._at_end():
                began, first_step = time.monotonic(), state.step
                if not self._take_steps():
                    return
                self._check_loss()
                speed = (state.step - first_step) * config.batch_size / (time.monotonic() - began)
                close_epoch(self.training, self.monitor, speed)
                self.left.closed(state.epochs_closed)
            self._say_if_early()

    def _at_end(self) -> bool:
        last = self.training.stop_after
        return self.state.finished(self.config) or last is not None and self.state.epochs_closed >= last

    def _say_if_early(self) -> None:
        """Why a run ended before its planned end, and how to go on."""
        state, config = self.state, self.config
        if state.processes.rank == 0 and state.epochs_closed < config.epochs and state.stopped_early(config):
            self.bar.write(
                f"Stopped early, after epoch {state.epochs_closed} of {config.epochs}: {config.early_stop} scores in a "
                f"row were no lower than that of epoch {state.best_epoch}, which is kept (early_stop=0, --early-stop 0 "
                "goes on)."
            )

    def _take_steps(self) -> bool:
        """Take the steps that are left of the epoch; whether it was taken to its end, and not stopped."""
        state, config, training = self.state, self.config, self.training
        epoch, done = state.epochs_closed, self._steps_into_epoch()
        rows = training.pictures.split.train
        for batch in epoch_batches(self.source, rows, config, epoch, done, state.processes):
            train_step(state, batch, config, state.step / self.total_steps)
            state.update_average(config.ema)
            self.bar.update()
            self.left.stepped()
            stop, save = self._stop_or_save()
            if state.step == 1 or state.step % _CHECK_EVERY == 0 or stop or save:
                self._check_loss()
            if stop:
                if state.processes.rank == 0:
                    self.bar.write(
                        f"Stopped after step {state.step:,} of {self.total_steps:,}; "
                        f"resume the run {training.run.name!r} to go on."
                    )
                return False
            if save:
                with training.stop.saving():
                    save_last(training.run, state, config, training.pictures, training.book)
                self.saved = time.monotonic()
        return True

    def _stop_or_save(self) -> tuple[bool, bool]:
        """Whether any process was asked to stop, and whether a checkpoint is due: the same answer in all of them."""
        if self.state.step % self.agree_every:
            return False, False
        due = time.monotonic() - self.saved > self.training.save_every
        stop, save = self.state.processes.any(self.training.stop.asked, due)
        return stop, save

    def _check_loss(self) -> None:
        """Put the epoch's mean loss on the bar, and stop a run whose loss is no longer worth following."""
        state, epoch, steps = self.state, self.state.epochs_closed, self._steps_into_epoch()
        sums = state.totals().tolist()
        loss = self.monitor.check(state, state.step / self.total_steps, steps, sums)
        self.monitor.check_weights(state.step, state.model)
        if state.first_loss is None:  # an epoch of one step is looked at twice, the second time with β's warm-up seen
            state.first_loss = loss
        self.bar.set_description(f"epoch {epoch + 1}/{self.config.epochs}")
        means = f"reconstruction {sums[0] / steps:,.0f}, KL {sums[1] / steps:,.0f} nats"
        self.bar.set_postfix_str(f"{means}, {self.left.words(state.step, epoch)}")

    def _steps_into_epoch(self) -> int:
        return self.state.step - self.state.epochs_closed * self.training.steps_per_epoch


def _compile(training: Training) -> bool | None:
    """Whether the run's steps are compiled from now on; None where that was not to be tried."""
    config, state = training.config, training.state
    if not config.compile or state.finished(config):
        return None
    if training.progress:
        say("Compiling the network takes a minute or two …")
    decided = state.step > 0  # and the steps until now were compiled
    return compile_network(state.model, config, len(training.pictures.split.train), state.processes, decided)


def _source(pictures: PictureSet, config: TrainConfig, processes: Processes) -> Source:
    """Where batches come from: what the objective learns from besides, else a GPU that holds all, else a map."""
    if config.objective == "ada":
        k = (config.knobs or {}).get("k", default_knobs("ada")["k"])
        return Paired(pictures.pictures, Partners(pictures, config.pairs, k, config.seed))
    if config.objective == "middle":
        return Between(pictures.pictures, Middles(pictures))
    on_gpu = copy_to_gpu_if_it_fits(pictures.pictures, processes.device)
    return pictures.pictures if on_gpu is None else on_gpu


def _require_fitting(state: State, pictures: PictureSet, config: TrainConfig) -> None:
    """Refuse pictures of another size than the model's, and batches too small for processes or objective."""
    size, shape = state.model.config.image_size, pictures.pictures.shape[1:]
    if shape != (size, size, 3):
        raise InputError(
            f"pictures of {shape[:2]} pixels do not fit a model for {size}×{size}: open them with image_size={size}."
        )
    smallest = min(config.batch_size, len(pictures.split.train))
    if smallest < state.processes.size:
        raise InputError(
            f"a batch of {smallest} pictures cannot be shared by {state.processes.size} processes: "
            "start fewer, or use a larger batch."
        )
    group = OBJECTIVES[config.objective].group
    if smallest < group * state.processes.size:
        raise InputError(
            f"a batch of {smallest} is too small: objective {config.objective!r} needs {group} pictures for each "
            "process, so use a larger batch (--batch-size), or more pictures."
        )
    if smallest < 2 and OBJECTIVES[config.objective].mixes:
        raise InputError(
            f"objective {config.objective!r} looks at a batch as a whole, but there is {smallest} picture to "
            "train on: give it at least 2, or take the objective 'beta'."
        )
