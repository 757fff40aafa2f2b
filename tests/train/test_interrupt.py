"""Runs that are stopped: by Ctrl-C and signals, with their screen, with what started them."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from small import QUICK, SMALL, equal_weights, fit_small, same_run

from vae_helpers.runs import Run, load_checkpoint, read_scalars
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Stop, fit, interrupt
from vae_helpers.train import loop as train


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_stop_ends_with_a_checkpoint_and_resuming_equals_never_stopping(small_set, tmp_path, monkeypatch, number):
    monkeypatch.setattr(signal, "getsignal", lambda number: signal.SIG_DFL)  # pytest itself may run under nohup
    whole = fit_small(small_set, Run("whole", tmp_path))
    step, steps = train.train_step, []

    def stop_at_fourth(*arguments):
        step(*arguments)
        steps.append(1)
        if len(steps) == 4:  # in the middle of the first epoch
            os.kill(os.getpid(), number)

    run = Run("stopped", tmp_path)
    monkeypatch.setattr(train, "train_step", stop_at_fourth)
    assert not fit_small(small_set, run).finished and len(steps) == 4
    assert load_checkpoint(run.last)[1]["step"] == 4
    resumed = fit_small(small_set, run, resume=True)
    assert resumed.finished
    assert equal_weights(load_checkpoint(run.last)[0], load_checkpoint(Run("whole", tmp_path).last)[0])
    assert resumed.scores.as_dict() == whole.scores.as_dict()
    one, other = read_scalars(run.tensorboard), read_scalars(Run("whole", tmp_path).tensorboard)
    assert all(np.array_equal(one[k][1], other[k][1]) for k in other if k != "images_per_second")


def test_a_stop_at_the_very_end_of_an_epoch_still_closes_it(small_set, tmp_path, monkeypatch):
    whole, run, step = Run("whole", tmp_path), Run("stopped", tmp_path), train.train_step
    fit_small(small_set, whole)
    last = len(small_set.split.train) // 16

    def stop_at_the_last(state, *arguments):
        step(state, *arguments)
        if state.step == last:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train, "train_step", stop_at_the_last)
    assert not fit_small(small_set, run).finished
    monkeypatch.setattr(train, "train_step", step)
    assert fit_small(small_set, run, None, resume=True).finished
    same_run(whole, run)


def test_sigterm_from_outside_ends_the_command_with_status_0_and_a_checkpoint(tmp_path):
    project = Path(__file__).resolve().parents[2]
    command = [
        sys.executable,
        "-m",
        "vae_helpers",
        "train",
        "--image-size",
        "32",
        "--latent-dim",
        "8",
        "--limit",
        "60",
        "--epochs",
        "100000",
        "--batch-size",
        "16",
        "--device",
        "cpu",
        "--out",
        str(tmp_path),
        "--name",
        "r",
        "--no-compile",  # so many epochs would earn it back, and it takes half a minute
    ]
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(project), "VAE_SAVE_EVERY": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        last = Run("r", tmp_path).last
        while not last.is_file() and child.poll() is None:  # training has begun once this is there
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        out, error = child.communicate(timeout=100)
    assert child.returncode == 0, error
    assert "Stopped after step" in out and "Traceback" not in error
    assert load_checkpoint(last)[1]["step"] > 0


def test_a_second_ctrl_c_while_saving_waits_for_the_save(small_set, tmp_path, monkeypatch):
    run, step, save = Run("a", tmp_path), train.train_step, torch.save
    stopping = []

    def stop_at_fourth(state, *rest):
        step(state, *rest)
        if state.step == 4:
            os.kill(os.getpid(), signal.SIGINT)
            stopping.append(True)

    def again(content, file):
        if stopping:
            os.kill(os.getpid(), signal.SIGINT)
        save(content, file)

    monkeypatch.setattr(train, "train_step", stop_at_fourth)
    monkeypatch.setattr(torch, "save", again)
    with pytest.raises(KeyboardInterrupt):
        fit_small(small_set, run)
    assert load_checkpoint(run.last)[1]["step"] == 4 and not list(run.models.glob(".*.tmp"))


def test_a_signal_that_was_ignored_stays_ignored():
    """nohup ignores SIGHUP, and a shell may ignore SIGINT for what it starts with &."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stop().handling_signals() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0)  # a handler would run here
        assert not stop.asked and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


class _Screen:
    """A screen whose other end may be closed."""

    encoding, gone = "utf-8", False

    def write(self, text=""):
        if self.gone:
            raise BrokenPipeError(32, "Broken pipe")

    flush = write


def test_a_screen_that_goes_costs_no_checkpoint(small_set, tmp_path, monkeypatch):
    run, step, screen = Run("a", tmp_path), train.train_step, _Screen()

    def stop_at_fourth(state, *rest):
        step(state, *rest)
        if state.step == 4:
            screen.gone = True
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train_step", stop_at_fourth)
        for name in ("stdout", "stderr"):
            patch.setattr(sys, name, screen)
        result = fit(small_set, run, TrainConfig.quick(96, **QUICK), SMALL, device="cpu")
    assert not result.finished and load_checkpoint(run.last)[1]["step"] == 4


def test_who_outlives_what_started_it_is_stopped_and_then_ended(monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(interrupt, "_GRACE", 0)
    monkeypatch.setattr(interrupt.os, "_exit", lambda status: ended.set())
    with Stop().handling_signals() as stop:
        interrupt.stop_when(lambda: True)
        assert ended.wait(60) and stop.asked


def test_handlers_are_put_back_and_other_threads_may_train(small_set, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    results = []
    thread = threading.Thread(target=lambda: results.append(fit_small(small_set, Run("t", tmp_path))))
    thread.start()
    thread.join()
    assert results[0].finished and signal.getsignal(signal.SIGINT) is before
