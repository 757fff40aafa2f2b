"""Whole runs: what they leave, that they repeat, resume and extend, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import QUICK, SMALL, equal_weights, fit_small, same_run, small_photos
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.model import VAEConfig, pick_device
from vae_helpers.runs import Run, load_checkpoint, read_scalars
from vae_helpers.settings import TrainConfig, learning_rate
from vae_helpers.train import fit


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


def test_a_run_says_what_it_learns_from(tmp_path, capfd):
    small_photos(tmp_path / "photos", 30)
    photos = open_pictures(tmp_path / "photos", 32, cache_dir=tmp_path, progress=False)
    config = TrainConfig.quick(24, epochs=1, batch_size=8)
    fit(photos, Run("a", tmp_path), config, SMALL, device="cpu")
    said = capfd.readouterr()
    assert f"photos: {photos.in_words()}\n{photos.expectation()}\n" in said.out + said.err


def test_training_twice_gives_the_same_weights(small_set, tmp_path):
    one, other = (fit_small(small_set, Run(name, tmp_path)).model for name in "ab")
    assert equal_weights(one, other)
    different = fit_small(small_set, Run("c", tmp_path), TrainConfig.quick(96, **QUICK, seed=1)).model
    assert not equal_weights(one, different)


def test_the_seed_of_the_session_is_left_alone(small_set, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit_small(small_set, Run("a", tmp_path))
    assert torch.equal(torch.rand(3), expected)


def test_an_existing_run_is_never_overwritten(small_set, tmp_path):
    run = Run("a", tmp_path)
    fit_small(small_set, run)
    before = run.last.read_bytes()
    with pytest.raises(InputError, match="go on with it by .*or choose another name"):
        fit_small(small_set, run)
    assert run.last.read_bytes() == before


def test_resuming_a_finished_run_only_loads_it(small_set, tmp_path):
    run = Run("a", tmp_path)
    first = fit_small(small_set, run)
    assert equal_weights(first.model, fit_small(small_set, run, resume=True).model)
    assert read_scalars(run.tensorboard)["kl/train"][0].tolist() == [1, 2]


@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.9, "beta_schedule": "cyclical", "num_samples": 2}, {"optimizer": "muon"}]
)
def test_ten_epochs_equal_five_and_a_resume_of_five(small_set, tmp_path, options):
    config = TrainConfig.quick(96, epochs=10, batch_size=16, pictures_every=4, **options)
    whole, halves = Run("whole", tmp_path), Run("halves", tmp_path)
    assert fit_small(small_set, whole, config).finished
    assert not fit_small(small_set, halves, config, stop_after=5).finished
    assert load_checkpoint(halves.last)[1]["epochs_closed"] == 5
    assert fit_small(small_set, halves, None, resume=True).finished
    assert same_run(whole, halves) > 100
    raw = EventAccumulator(str(halves.tensorboard)).Reload()  # as TensorBoard reads it
    assert [event.step for event in raw.Scalars("kl/train")] == list(range(1, 11))


def test_raising_epochs_extends_a_finished_run_along_the_longer_schedule(small_set, tmp_path):
    run, config = Run("a", tmp_path), TrainConfig.quick(96, **QUICK)
    fit_small(small_set, run, config)
    longer = replace(config, epochs=4)
    assert fit_small(small_set, run, longer, resume=True).finished
    epochs, rates = read_scalars(run.tensorboard)["learning_rate"]
    assert epochs.tolist() == [1, 2, 3, 4]
    assert np.allclose(rates[2:], [learning_rate(longer, p) for p in (2.5 / 4, 3.5 / 4)])
    assert load_checkpoint(run.last)[1]["train_config"]["epochs"] == 4
    fit_small(small_set, run, config, resume=True)  # fewer epochs than it has: nothing to do
    assert load_checkpoint(run.last)[1]["train_config"]["epochs"] == 4


@pytest.mark.parametrize("epochs", [-1, 0])
def test_an_end_before_the_first_epoch_is_refused(small_set, tmp_path, epochs):
    with pytest.raises(InputError, match="stop_after"):
        fit_small(small_set, Run("a", tmp_path), stop_after=epochs)
    assert not Run("a", tmp_path).models.exists()


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


def test_an_environment_that_says_no_number_is_refused_before_anything_is_written(small_set, tmp_path, monkeypatch):
    run = Run("a", tmp_path)
    monkeypatch.setenv("VAE_SAVE_EVERY", "abc")
    with pytest.raises(InputError, match="VAE_SAVE_EVERY is 'abc'"):
        fit_small(small_set, run)
    monkeypatch.delenv("VAE_SAVE_EVERY")
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(InputError, match="WORLD_SIZE cannot be used, because 'two' is no whole number"):
        fit_small(small_set, run)
    assert not run.models.exists()
