"""Checkpoints that are torn, foreign or cannot be written, and names in use."""

import math
import subprocess

import pytest
import torch
from small import QUICK, fit_small, same_run

from vae_helpers.errors import InputError
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.settings import TrainConfig
from vae_helpers.train import lock_run, scoring
from vae_helpers.train import loop as train


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 3 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk (the same failure is forced by a limit in test_checkpoint)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_torn_last_checkpoint_costs_the_steps_since_the_previous_one(small_set, tmp_path, monkeypatch, capsys):
    whole, run = Run("whole", tmp_path), Run("torn", tmp_path)
    fit_small(small_set, whole)
    monkeypatch.setenv("VAE_SAVE_EVERY", "0")
    fit_small(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    run.last.write_bytes(run.last.read_bytes()[:5000])
    assert fit_small(small_set, run, None, resume=True).finished
    assert "last.pt" in (said := capsys.readouterr().err) and "previous.pt is used" in said and said.count("\n") == 1
    same_run(whole, run)


def test_a_disk_that_fills_up_costs_nothing_but_time(small_set, tiny_disk, tmp_path, capsys):
    whole, run, config = Run("whole", tmp_path), Run("full", tiny_disk), TrainConfig.quick(96, **QUICK)
    fit_small(small_set, whole, config)
    fit_small(small_set, run, config, stop_after=1)
    filler = tiny_disk / "filler"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(InputError, match=r"(best|last).pt could not be saved, because the disk is full") as problem:
        fit_small(small_set, run, None, resume=True)
    assert str(problem.value).count("\n") == 0
    said = capsys.readouterr().err
    assert said.count("will have gaps; training goes on") == 1 and "Traceback" not in said
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 1 and not list(run.models.glob(".*.tmp"))
    filler.unlink()
    assert fit_small(small_set, run, None, resume=True).finished
    same_run(whole, run)


def test_a_foreign_last_checkpoint_is_refused_and_left_alone(small_set, tmp_path):
    run = Run("a", tmp_path)
    fit_small(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    torch.save({"somebody": "else"}, run.last)
    before = run.last.read_bytes()
    with pytest.raises(InputError, match="last.pt is not a checkpoint of this project"):
        fit_small(small_set, run, None, resume=True)
    assert run.last.read_bytes() == before


def test_a_first_save_that_fails_after_the_best_was_scored_can_be_resumed(small_set, tmp_path, monkeypatch):
    """As after a kill or a full disk within the first minutes."""
    whole, run, save_best = Run("whole", tmp_path), Run("cut", tmp_path), scoring.save_best
    fit_small(small_set, whole)

    def full(*_):
        save_best(*_)
        raise InputError("the disk is full")

    monkeypatch.setattr(scoring, "save_best", full)
    with pytest.raises(InputError, match="full"):
        fit_small(small_set, run)
    monkeypatch.setattr(scoring, "save_best", save_best)
    assert fit_small(small_set, run, resume=True).finished
    same_run(whole, run)


def test_a_run_that_learnt_nothing_may_be_begun_anew(small_set, tmp_path, monkeypatch):
    run, step = Run("a", tmp_path), train.train_step
    monkeypatch.setattr(train, "train_step", lambda state, *rest: (step(state, *rest), state.sums.fill_(math.nan)))
    with pytest.raises(InputError, match="became nan by step 1"):
        fit_small(small_set, run)
    monkeypatch.setattr(train, "train_step", step)
    other = TrainConfig.quick(96, **QUICK, seed=1)
    assert fit_small(small_set, run, other).finished and load_checkpoint(run.last)[1]["train_config"]["seed"] == 1


def test_one_process_at_a_time_trains_a_run(small_set, tmp_path):
    run = Run("a", tmp_path)
    with (
        lock_run(run, resume=False),
        pytest.raises(InputError, match="another process is training the run 'a'.*choose"),
    ):
        fit_small(small_set, run)
    assert not run.exists()
    assert fit_small(small_set, run).finished  # the lock was given back


def test_a_place_that_cannot_be_written_is_found_before_the_first_step(small_set, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(train, "train_step", None)  # calling it would be a TypeError
    with pytest.raises(InputError, match="--out") as problem:
        fit_small(small_set, Run("a", tmp_path / "file"))
    assert "free some space" not in str(problem.value)
    run = Run("b", tmp_path)
    run.last.mkdir(parents=True)  # the lock can be had, but not the checkpoint
    with pytest.raises(InputError, match="last.pt could not be saved"):
        fit_small(small_set, run)
