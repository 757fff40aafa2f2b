import math
import os
import signal
import threading

import numpy as np
import pytest
import torch

from conftest import SMALL
from vae_helpers import train
from vae_helpers.checkpoint import Run, load_checkpoint
from vae_helpers.errors import InputError
from vae_helpers.logbook import read_scalars
from vae_helpers.model import VAEConfig
from vae_helpers.train import TrainConfig, fit, learning_rate, pick_device

QUICK = dict(epochs=2, batch_size=16, pictures_every=5)


def _fit(pictures, run, config=None, **options):
    return fit(pictures, run, config or TrainConfig.quick(96, **QUICK), SMALL, device="cpu", progress=False, **options)


def _equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values()))


def test_defaults_are_the_specified_numbers():
    config = TrainConfig()
    assert (config.epochs, config.batch_size, config.lr, config.beta) == (250, 128, 0.005, 1.0)
    assert [TrainConfig(num_samples=k).batch_size for k in (10, 11, 15, 16)] == [128, 96, 96, 64]


def test_learning_rate_halves_at_each_third_after_the_warm_up():
    config = TrainConfig()
    assert [learning_rate(config, p) for p in (0.1, 0.34, 0.67, 0.99)] == [0.005, 0.0025, 0.00125, 0.00125]
    assert 0 < learning_rate(config, 0.0) < 0.001


def test_quick_sees_twenty_thousand_pictures_whatever_the_set():
    for pictures, epochs in ((2500, 8), (20_000, 1), (100_000, 1), (200, 100), (10, 250)):
        assert TrainConfig.quick(pictures).epochs == epochs
    assert TrainConfig.quick(2500, epochs=3).epochs == 3


def test_one_cycle_rises_and_falls():
    config = TrainConfig.quick(2500, lr=1.0)
    rates = [learning_rate(config, p / 100) for p in range(100)]
    assert max(rates) == rates[20] == 1.0 and rates[0] < 0.05 and rates[-1] < 0.01
    assert rates[:21] == sorted(rates[:21]) and rates[20:] == sorted(rates[20:], reverse=True)


def test_training_learns_and_leaves_what_it_promises(trained):
    run, result = trained
    log = read_scalars(run.tensorboard)
    assert result.finished and not result.model.training
    for name in ("total/train", "total/held_out", "reconstruction/train", "reconstruction/held_out", "kl/train",
                 "kl/held_out", "psnr/held_out", "active_units/held_out", "learning_rate", "gradient_norm/encoder",
                 "gradient_norm/decoder", "images_per_second"):
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
    with pytest.raises(InputError, match="resume it, or choose another name"):
        _fit(small_set, run)
    assert run.last.read_bytes() == before


def test_resuming_a_finished_run_only_loads_it(small_set, tmp_path):
    run = Run("a", tmp_path)
    first = _fit(small_set, run)
    assert _equal(first.model, _fit(small_set, run, resume=True).model)
    assert read_scalars(run.tensorboard)["kl/train"][0].tolist() == [1, 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_with_a_checkpoint_and_resuming_equals_never_stopping(small_set, tmp_path, monkeypatch, number):
    whole = _fit(small_set, Run("whole", tmp_path))
    step, steps = train._step, []

    def stop_at_fourth(*arguments):
        step(*arguments)
        steps.append(1)
        if len(steps) == 4:  # in the middle of the first epoch
            os.kill(os.getpid(), number)

    run = Run("stopped", tmp_path)
    monkeypatch.setattr(train, "_step", stop_at_fourth)
    assert not _fit(small_set, run).finished and len(steps) == 4
    assert load_checkpoint(run.last)[1]["step"] == 4
    resumed = _fit(small_set, run, resume=True)
    assert resumed.finished
    assert _equal(load_checkpoint(run.last)[0], load_checkpoint(Run("whole", tmp_path).last)[0])
    assert resumed.scores.as_dict() == whole.scores.as_dict()
    one, other = read_scalars(run.tensorboard), read_scalars(Run("whole", tmp_path).tensorboard)
    assert all(np.array_equal(one[k][1], other[k][1]) for k in other if k != "images_per_second")


def test_handlers_are_put_back_and_other_threads_may_train(small_set, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    results = []
    thread = threading.Thread(target=lambda: results.append(_fit(small_set, Run("t", tmp_path))))
    thread.start()
    thread.join()
    assert results[0].finished and signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("term, place", [("reconstruction", 0), ("KL", 1)])
def test_a_loss_that_is_no_number_stops_with_term_step_and_checkpoint(small_set, tmp_path, monkeypatch, term, place):
    step = train._step

    def poisoned(state, *arguments):
        step(state, *arguments)
        if state.step == 9:
            state.sums[place] = math.nan

    monkeypatch.setattr(train, "_step", poisoned)
    with pytest.raises(InputError, match=f"the {term} term became nan by step"):
        _fit(small_set, Run("n", tmp_path))


def test_a_run_goes_on_only_with_its_own_pictures(small_set, noise_pictures, tmp_path):
    from dataclasses import replace
    run = Run("a", tmp_path)
    _fit(small_set, run)
    with pytest.raises(InputError, match="same data"):
        _fit(replace(small_set, name="others"), run, resume=True)


@pytest.mark.parametrize("wrong, word", [
    (dict(epochs=0), "epochs"), (dict(lr=-1.0), "lr"), (dict(lr=math.nan), "lr"), (dict(beta=-1.0), "beta"),
    (dict(beta=math.inf), "beta"), (dict(num_samples=0), "num_samples"), (dict(batch_size=1), "BatchNorm"),
    (dict(schedule="saw"), "one-cycle")])
def test_impossible_settings_get_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        TrainConfig(**wrong)


def test_pictures_of_another_size_and_unknown_devices_get_a_sentence(small_set, tmp_path):
    with pytest.raises(InputError, match="image_size=64"):
        fit(small_set, Run("a", tmp_path), TrainConfig.quick(96, **QUICK), VAEConfig(64, 8), device="cpu", progress=False)
    with pytest.raises(InputError, match="not available"):
        pick_device("cuda:99")
