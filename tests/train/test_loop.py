import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import SMALL, same_run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE, VAEConfig, pick_device
from vae_helpers.runs import Run, load_checkpoint, load_run, read_scalars
from vae_helpers.settings import TrainConfig, learning_rate
from vae_helpers.train import Stop, fit, interrupt, lock_run, scoring
from vae_helpers.train import loop as train

QUICK = dict(epochs=2, batch_size=16, pictures_every=5)


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 3 MB, where this user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk (the same failure is forced by a limit in test_checkpoint)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fit(pictures, run, config=None, **options):
    config = config if config or options.get("resume") else TrainConfig.quick(96, **QUICK)
    return fit(pictures, run, config, SMALL, device="cpu", progress=False, **options)


def _equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values()))


def test_training_learns_and_leaves_what_it_promises(trained):
    run, result = trained
    log = read_scalars(run.tensorboard)
    assert result.finished and not result.model.training
    for name in (
        "total/train",
        "total/held_out",
        "reconstruction/train",
        "reconstruction/held_out",
        "kl/train",
        "kl/held_out",
        "psnr/held_out",
        "active_units/held_out",
        "learning_rate",
        "gradient_norm/encoder",
        "gradient_norm/decoder",
        "images_per_second",
    ):
        assert log[name][0].tolist() == [1, 2, 3], name
    assert log["total/held_out"][1][-1] < log["total/held_out"][1][0]
    assert np.allclose(log["total/train"][1], log["reconstruction/train"][1] + log["kl/train"][1], rtol=1e-5)
    assert len(list((run.generated_images / "epoch_0003" / "generated").glob("*.png"))) == 100
    assert (run.generated_images / "epoch_0003" / "reconstructed.png").is_file()


def test_training_twice_gives_the_same_weights(small_set, tmp_path):
    one, other = (_fit(small_set, Run(name, tmp_path)).model for name in "ab")
    assert _equal(one, other)
    different = _fit(small_set, Run("c", tmp_path), TrainConfig.quick(96, **QUICK, seed=1)).model
    assert not _equal(one, different)


def test_the_seed_of_the_session_is_left_alone(small_set, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _fit(small_set, Run("a", tmp_path))
    assert torch.equal(torch.rand(3), expected)


def test_an_existing_run_is_never_overwritten(small_set, tmp_path):
    run = Run("a", tmp_path)
    _fit(small_set, run)
    before = run.last.read_bytes()
    with pytest.raises(InputError, match="go on with it by .*or choose another name"):
        _fit(small_set, run)
    assert run.last.read_bytes() == before


def test_resuming_a_finished_run_only_loads_it(small_set, tmp_path):
    run = Run("a", tmp_path)
    first = _fit(small_set, run)
    assert _equal(first.model, _fit(small_set, run, resume=True).model)
    assert read_scalars(run.tensorboard)["kl/train"][0].tolist() == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_stop_ends_with_a_checkpoint_and_resuming_equals_never_stopping(small_set, tmp_path, monkeypatch, number):
    whole = _fit(small_set, Run("whole", tmp_path))
    step, steps = train.train_step, []

    def stop_at_fourth(*arguments):
        step(*arguments)
        steps.append(1)
        if len(steps) == 4:  # in the middle of the first epoch
            os.kill(os.getpid(), number)

    run = Run("stopped", tmp_path)
    monkeypatch.setattr(train, "train_step", stop_at_fourth)
    assert not _fit(small_set, run).finished and len(steps) == 4
    assert load_checkpoint(run.last)[1]["step"] == 4
    resumed = _fit(small_set, run, resume=True)
    assert resumed.finished
    assert _equal(load_checkpoint(run.last)[0], load_checkpoint(Run("whole", tmp_path).last)[0])
    assert resumed.scores.as_dict() == whole.scores.as_dict()
    one, other = read_scalars(run.tensorboard), read_scalars(Run("whole", tmp_path).tensorboard)
    assert all(np.array_equal(one[k][1], other[k][1]) for k in other if k != "images_per_second")


@pytest.mark.parametrize("options", [{}, dict(ema=0.9, beta_schedule="cyclical", num_samples=2)])
def test_ten_epochs_equal_five_and_a_resume_of_five(small_set, tmp_path, options):
    config = TrainConfig.quick(96, epochs=10, batch_size=16, pictures_every=4, **options)
    whole, halves = Run("whole", tmp_path), Run("halves", tmp_path)
    assert _fit(small_set, whole, config).finished
    assert not _fit(small_set, halves, config, stop_after=5).finished
    assert load_checkpoint(halves.last)[1]["epochs_closed"] == 5
    assert _fit(small_set, halves, None, resume=True).finished
    assert same_run(whole, halves) > 100
    raw = EventAccumulator(str(halves.tensorboard)).Reload()  # as TensorBoard reads it
    assert [event.step for event in raw.Scalars("kl/train")] == list(range(1, 11))


def test_raising_epochs_extends_a_finished_run_along_the_longer_schedule(small_set, tmp_path):
    run, config = Run("a", tmp_path), TrainConfig.quick(96, **QUICK)
    _fit(small_set, run, config)
    longer = replace(config, epochs=4)
    assert _fit(small_set, run, longer, resume=True).finished
    epochs, rates = read_scalars(run.tensorboard)["learning_rate"]
    assert epochs.tolist() == [1, 2, 3, 4]
    assert np.allclose(rates[2:], [learning_rate(longer, p) for p in (2.5 / 4, 3.5 / 4)])
    assert load_checkpoint(run.last)[1]["train_config"]["epochs"] == 4
    _fit(small_set, run, config, resume=True)  # fewer epochs than it has: nothing to do
    assert load_checkpoint(run.last)[1]["train_config"]["epochs"] == 4


def test_a_stop_at_the_very_end_of_an_epoch_still_closes_it(small_set, tmp_path, monkeypatch):
    whole, run, step = Run("whole", tmp_path), Run("stopped", tmp_path), train.train_step
    _fit(small_set, whole)
    last = len(small_set.split.train) // 16

    def stop_at_the_last(state, *arguments):
        step(state, *arguments)
        if state.step == last:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(train, "train_step", stop_at_the_last)
    assert not _fit(small_set, run).finished
    monkeypatch.setattr(train, "train_step", step)
    assert _fit(small_set, run, None, resume=True).finished
    same_run(whole, run)


def test_other_threads_than_before_are_put_back_to_resume_exactly(small_set, tmp_path, monkeypatch):
    run, seen, step, before = Run("a", tmp_path), [], train.train_step, torch.get_num_threads()
    _fit(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    monkeypatch.setattr(
        train, "train_step", lambda *arguments: (seen.append(torch.get_num_threads()), step(*arguments))
    )
    torch.set_num_threads(before + 1)
    try:
        _fit(small_set, run, None, resume=True)
        assert set(seen) == {before} and torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_early_stopping_ends_the_run_once_the_held_out_loss_stays_up(small_set, tmp_path, monkeypatch):
    totals = iter([9.0, 8.0, 5.0, 6.0, 7.0] + [1.0] * 99)  # as if: the third is the best, then two in vain
    score = scoring.evaluate
    monkeypatch.setattr(scoring, "evaluate", lambda *a, **how: replace(score(*a, **how), total=next(totals)))
    config = TrainConfig.quick(96, epochs=12, batch_size=32, pictures_every=99, evaluate_every=1, early_stop=2)
    run = Run("a", tmp_path)
    assert _fit(small_set, run, config).finished
    saved = load_checkpoint(run.last)[1]
    assert (saved["epochs_closed"], saved["best_epoch"], saved["best"]) == (5, 3, 5.0)
    assert load_checkpoint(run.best)[1]["epochs_closed"] == 3
    assert _fit(small_set, run, config, resume=True).finished  # and it stays ended
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 5


def test_best_waits_until_beta_has_settled_and_scores_use_the_runs_own_beta(small_set, tmp_path, monkeypatch):
    betas, score = [], scoring.evaluate

    def rising(model, pictures, rows, beta, **how):
        betas.append(beta)
        return replace(score(model, pictures, rows, beta, **how), total=float(len(betas)))

    monkeypatch.setattr(scoring, "evaluate", rising)
    config = TrainConfig.quick(96, epochs=4, batch_size=32, pictures_every=99, beta=3.0, beta_warmup=0.6)
    run = Run("a", tmp_path)
    _fit(small_set, run, config)
    assert set(betas) == {3.0}
    assert load_checkpoint(run.last)[1]["best_epoch"] == 3  # lower losses at a lower β came before
    log = read_scalars(run.tensorboard)["beta"][1]
    assert np.allclose(log, [3 * p / 0.6 if p < 0.6 else 3 for p in (0.125, 0.375, 0.625, 0.875)])


def test_the_average_of_the_weights_is_what_is_kept_and_looked_at(small_set, tmp_path, monkeypatch):
    seen, step, decay = [], train.train_step, 0.8

    def watched(state, *arguments):
        step(state, *arguments)
        seen.append(state.model.decoder.linear.weight.detach().clone())

    monkeypatch.setattr(train, "train_step", watched)
    run = Run("a", tmp_path)
    result = _fit(small_set, run, TrainConfig.quick(96, epochs=1, batch_size=16, pictures_every=9, ema=decay))
    torch.manual_seed(0)
    expected = BetaVAE(SMALL).decoder.linear.weight.detach()
    for n, weight in enumerate(seen, 1):
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * weight
    assert torch.allclose(result.model.decoder.linear.weight, expected, atol=1e-6)
    assert torch.equal(load_checkpoint(run.last)[0].decoder.linear.weight, seen[-1])
    run.best.unlink()  # without a best, the last's average is shown
    assert torch.equal(load_run(run)[0].decoder.linear.weight, result.model.decoder.linear.weight)


def test_a_torn_last_checkpoint_costs_the_steps_since_the_previous_one(small_set, tmp_path, monkeypatch, capsys):
    whole, run = Run("whole", tmp_path), Run("torn", tmp_path)
    _fit(small_set, whole)
    monkeypatch.setenv("VAE_SAVE_EVERY", "0")
    _fit(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    run.last.write_bytes(run.last.read_bytes()[:5000])
    assert _fit(small_set, run, None, resume=True).finished
    assert "last.pt" in (said := capsys.readouterr().err) and "previous.pt is used" in said and said.count("\n") == 1
    same_run(whole, run)


def test_a_disk_that_fills_up_costs_nothing_but_time(small_set, tiny_disk, tmp_path, capsys):
    whole, run, config = Run("whole", tmp_path), Run("full", tiny_disk), TrainConfig.quick(96, **QUICK)
    _fit(small_set, whole, config)
    _fit(small_set, run, config, stop_after=1)
    filler = tiny_disk / "filler"
    with pytest.raises(OSError), open(filler, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(InputError, match=r"(best|last).pt could not be saved, because the disk is full") as problem:
        _fit(small_set, run, None, resume=True)
    assert str(problem.value).count("\n") == 0
    said = capsys.readouterr().err
    assert said.count("will have gaps; training goes on") == 1 and "Traceback" not in said
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 1 and not list(run.models.glob(".*.tmp"))
    filler.unlink()
    assert _fit(small_set, run, None, resume=True).finished
    same_run(whole, run)


def test_a_foreign_last_checkpoint_is_refused_and_left_alone(small_set, tmp_path):
    run = Run("a", tmp_path)
    _fit(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    torch.save({"somebody": "else"}, run.last)
    before = run.last.read_bytes()
    with pytest.raises(InputError, match="last.pt is not a checkpoint of this project"):
        _fit(small_set, run, None, resume=True)
    assert run.last.read_bytes() == before


def test_a_run_of_another_version_gets_a_sentence(small_set, small_model, tmp_path):
    run = Run("a", tmp_path)
    _fit(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    content = torch.load(run.last, weights_only=True)
    content["train_config"]["a_knob_of_tomorrow"] = 3
    torch.save(content, run.last)
    with pytest.raises(InputError, match="another version"):
        _fit(small_set, run, None, resume=True)


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
        _fit(small_set, run)
    assert load_checkpoint(run.last)[1]["step"] == 4 and not list(run.models.glob(".*.tmp"))


def test_a_signal_that_was_ignored_stays_ignored():
    """nohup ignores SIGHUP, and a shell may ignore SIGINT for what it starts with &."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Stop().listening() as stop:
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
    with Stop().listening() as stop:
        interrupt.stop_when(lambda: True)
        assert ended.wait(60) and stop.asked


def test_a_first_save_that_fails_after_the_best_was_scored_can_be_resumed(small_set, tmp_path, monkeypatch):
    """As after a kill or a full disk within the first minutes."""
    whole, run, save_best = Run("whole", tmp_path), Run("cut", tmp_path), scoring.save_best
    _fit(small_set, whole)

    def full(*_):
        save_best(*_)
        raise InputError("the disk is full")

    monkeypatch.setattr(scoring, "save_best", full)
    with pytest.raises(InputError, match="full"):
        _fit(small_set, run)
    monkeypatch.setattr(scoring, "save_best", save_best)
    assert _fit(small_set, run, resume=True).finished
    same_run(whole, run)


def test_a_run_of_which_only_the_best_is_left_goes_on_from_there(small_set, tmp_path, capsys):
    run = Run("a", tmp_path)
    _fit(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    run.last.unlink()
    run.previous.unlink()
    best = run.best.read_bytes()
    with pytest.raises(InputError, match="go on with it by .*or choose another name"):
        _fit(small_set, run)
    assert run.best.read_bytes() == best
    assert _fit(small_set, run, resume=True).finished
    assert "best.pt alone is left" in capsys.readouterr().err
    assert load_checkpoint(run.last)[1]["step"] == 2 * (len(small_set.split.train) // 16)
    assert read_scalars(run.tensorboard)["kl/train"][0].tolist() == [1, 2]


def test_a_run_that_learnt_nothing_may_be_begun_anew(small_set, tmp_path, monkeypatch):
    run, step = Run("a", tmp_path), train.train_step
    monkeypatch.setattr(train, "train_step", lambda state, *rest: (step(state, *rest), state.sums.fill_(math.nan)))
    with pytest.raises(InputError, match="became nan by step 1"):
        _fit(small_set, run)
    monkeypatch.setattr(train, "train_step", step)
    other = TrainConfig.quick(96, **QUICK, seed=1)
    assert _fit(small_set, run, other).finished and load_checkpoint(run.last)[1]["train_config"]["seed"] == 1


def test_one_process_at_a_time_trains_a_run(small_set, tmp_path):
    run = Run("a", tmp_path)
    with (
        lock_run(run, resume=False),
        pytest.raises(InputError, match="another process is training the run 'a'.*choose"),
    ):
        _fit(small_set, run)
    assert not run.exists()
    assert _fit(small_set, run).finished  # the lock was given back


def test_a_place_that_cannot_be_written_is_found_before_the_first_step(small_set, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(train, "train_step", None)  # calling it would be a TypeError
    with pytest.raises(InputError, match="--out") as problem:
        _fit(small_set, Run("a", tmp_path / "file"))
    assert "free some space" not in str(problem.value)
    run = Run("b", tmp_path)
    run.last.mkdir(parents=True)  # the lock can be had, but not the checkpoint
    with pytest.raises(InputError, match="last.pt could not be saved"):
        _fit(small_set, run)


def test_settings_other_than_the_runs_own_are_refused_not_ignored(small_set, tmp_path):
    run, config = Run("a", tmp_path), TrainConfig.quick(96, **QUICK)
    _fit(small_set, run, config, stop_after=1)
    with pytest.raises(
        InputError,
        match=r"started with beta 1.0, objective beta, which it keeps, not|"
        r"started with objective beta, .*beta 1.0, which it keeps, not objective tc",
    ):
        _fit(small_set, run, replace(config, beta=4.0, objective="tc"), resume=True)
    with pytest.raises(
        InputError, match="started with latent_dim 8, decoder_norm instance.*latent_dim 4, decoder_norm batch"
    ):
        fit(small_set, run, None, replace(SMALL, latent_dim=4, decoder_norm="batch"), device="cpu", resume=True)
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 1
    assert _fit(small_set, run, replace(config, epochs=3, pictures_every=1, evaluate_every=2), resume=True).finished


@pytest.mark.parametrize("epochs", [-1, 0])
def test_an_end_before_the_first_epoch_is_refused(small_set, tmp_path, epochs):
    with pytest.raises(InputError, match="stop_after"):
        _fit(small_set, Run("a", tmp_path), stop_after=epochs)
    assert not Run("a", tmp_path).models.exists()


def test_handlers_are_put_back_and_other_threads_may_train(small_set, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    results = []
    thread = threading.Thread(target=lambda: results.append(_fit(small_set, Run("t", tmp_path))))
    thread.start()
    thread.join()
    assert results[0].finished and signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("term, place", [("reconstruction", 0), ("KL", 1), ("gradient norm of the decoder", 3)])
def test_a_loss_that_is_no_number_stops_with_term_step_and_checkpoint(small_set, tmp_path, monkeypatch, term, place):
    step, run = train.train_step, Run("n", tmp_path)

    def poisoned(state, *arguments):
        step(state, *arguments)
        if state.step == 9:
            state.sums[place] = math.nan

    monkeypatch.setattr(train, "train_step", poisoned)
    monkeypatch.setenv("VAE_SAVE_EVERY", "0")
    with pytest.raises(InputError, match=f"the {term} (term )?became nan by step 9.*{re.escape(str(run.last))}"):
        _fit(small_set, run)
    kept = load_checkpoint(run.last)[1]
    assert kept["step"] == 8 and torch.isfinite(kept["sums"]).all()


def test_a_loss_that_runs_away_stops_before_it_reaches_a_checkpoint(small_set, tmp_path, monkeypatch):
    step, run = train.train_step, Run("r", tmp_path)

    def blown_up(state, *arguments):
        step(state, *arguments)
        if state.step == 7:
            state.sums[1] += 1e6

    monkeypatch.setattr(train, "train_step", blown_up)
    monkeypatch.setenv("VAE_SAVE_EVERY", "0")
    with pytest.raises(InputError, match="ran away to .* by step 7, most of it the KL .*last.pt.*below 0.002"):
        _fit(small_set, run)
    assert load_checkpoint(run.last)[1]["step"] == 6


def test_the_rate_that_the_specification_warns_of_is_caught(small_set, tmp_path):
    """Without warm-up and clipping a high rate makes the KL explode, for real."""
    config = TrainConfig(epochs=40, batch_size=16, lr=1.0, warmup=0.0, clip=1e9, pictures_every=99)
    with pytest.raises(InputError, match="ran away|became"):
        _fit(small_set, Run("wild", tmp_path), config)


def test_a_run_goes_on_only_with_its_own_pictures(small_set, tmp_path, capsys):
    run, others = Run("a", tmp_path), replace(small_set, prints=small_set.prints + 1)
    _fit(small_set, run, stop_after=1)
    with pytest.raises(InputError, match="of its 120 pictures 120 are not here, and 120 here are new"):
        _fit(others, run, resume=True)
    moved = replace(small_set, name="moved", request=small_set.request | {"source": "elsewhere", "allow_bad": 0.2})
    _fit(moved, run, resume=True, stop_after=2)
    assert _fit(others, run, None, resume=True, other_pictures=True).finished
    assert "was trained on other pictures" in capsys.readouterr().err


def test_pictures_of_another_size_and_unknown_devices_get_a_sentence(small_set, tmp_path):
    with pytest.raises(InputError, match="image_size=64"):
        fit(
            small_set,
            Run("a", tmp_path),
            TrainConfig.quick(96, **QUICK),
            VAEConfig(64, 8),
            device="cpu",
            progress=False,
        )
    with pytest.raises(InputError, match="not available"):
        pick_device("cuda:99")
