"""Runs that begin with the weights of another run."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from small import QUICK, SMALL, equal_weights, fit_small, same_run

from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.runs import Run, load_checkpoint, load_run, read_scalars
from vae_helpers.settings import TrainConfig
from vae_helpers.train import fit, loop

START = TrainConfig.quick(96, **QUICK, start_from="small")


@pytest.fixture
def beside(trained, tmp_path):
    """A run of the given name in the folder of a copy of the trained one, where it finds its start."""
    shutil.copytree(trained[0].models, tmp_path / "VAE" / "models" / "small")
    return lambda name: Run(name, tmp_path / "VAE")


def test_a_run_begins_with_the_kept_weights_of_the_other_and_nothing_else_of_it(
    small_set, trained, beside, no_sheets, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(loop._Epochs, "run", lambda self: None)  # what is saved before the first step
        fit_small(small_set, beside("before"), replace(START, ema=0.9))
    model, saved = load_checkpoint(beside("before").last)
    assert equal_weights(model, load_run(trained[0])[0])
    model.load_state_dict(saved["ema"])
    assert equal_weights(model, load_run(trained[0])[0])
    assert (saved["step"], saved["epochs_closed"], saved["best_epoch"]) == (0, 0, 0)
    assert not saved["optimizer"]["state"]


@pytest.mark.parametrize(
    "settings, why",
    [
        ({"beta_cycles": 3}, "'linear' has no cycles"),
        ({"beta_cycles": 3, "beta_schedule": "constant"}, "'constant' has no cycles"),
        ({"beta_warmup": 0.3, "beta_schedule": "constant"}, "'constant' has no warm-up"),
        ({"beta_warmup": 0.3, "beta_schedule": "cyclical"}, "'cyclical' has no warm-up"),
    ],
)
def test_what_a_schedule_would_ignore_is_refused(small_set, tmp_path, settings, why):
    with pytest.raises(InputError, match=why):
        fit_small(small_set, Run("b", tmp_path), TrainConfig.quick(96, **QUICK, **settings))
    assert not Run("b", tmp_path).exists()


def test_it_knows_from_the_start_what_the_other_has_learnt(small_set, trained, beside, no_sheets):
    first = {}
    for name, start in (("warm", "small"), ("cold", None)):
        config = replace(START, start_from=start, lr=1e-5, epochs=1)
        fit_small(small_set, beside(name), config)
        first[name] = read_scalars(beside(name).tensorboard)["reconstruction/held_out"][1][0]
    own = load_run(trained[0])[1]["scores"]["reconstruction"]
    assert first["warm"] == pytest.approx(own, rel=0.02) and first["cold"] > 1.2 * first["warm"]


def test_a_resumed_one_equals_one_without_a_stop(small_set, beside, no_sheets):
    fit_small(small_set, beside("whole"), START)
    fit_small(small_set, beside("stopped"), START, stop_after=1)
    fit_small(small_set, beside("stopped"), START, resume=True)
    assert same_run(beside("whole"), beside("stopped")) > 50


def test_what_the_other_was_trained_on_is_never_held_out(small_set, trained, beside, no_sheets, tmp_path):
    more = open_pictures("butterflies", 32, limit=150, cache_dir=tmp_path, progress=False)
    sides = np.full(len(more), 1, np.uint8)  # all but three would be held out
    sides[-3:] = 0
    fit_small(replace(more, parts=sides), beside("more"), replace(START, epochs=1))
    kept = load_checkpoint(beside("more").last)[1]["data"]["sides"].numpy()
    assert (kept[small_set.split.train] == 0).all()
    assert (kept[small_set.split.validation] == 1).all()


@pytest.mark.parametrize(
    "wrong, model, words",
    [
        ({}, replace(SMALL, latent_dim=4), "has latent_dim 8, not latent_dim 4"),
        ({"likelihood": "continuous-bernoulli"}, SMALL, "has output tanh, not output langevin"),
        ({"start_from": "nobody"}, SMALL, "there is no run 'nobody'"),
    ],
)
def test_what_cannot_be_started_from_gets_a_sentence(small_set, beside, wrong, model, words):
    run = beside("wrong")
    with pytest.raises(InputError, match=words):
        fit(small_set, run, replace(START, **wrong), model, device="cpu", progress=False)
    assert not run.exists()


@pytest.mark.parametrize("name", ["a/b", "", "..", 3])
def test_a_name_that_no_run_can_have_is_refused(name):
    with pytest.raises(InputError):
        TrainConfig(start_from=name)


def test_without_a_shape_the_others_is_taken(small_set, trained, beside, no_sheets):
    result = fit(small_set, beside("shape"), replace(START, epochs=1), device="cpu", progress=False)
    assert result.model.config == load_run(trained[0])[0].config
