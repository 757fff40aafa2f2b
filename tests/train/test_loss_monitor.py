"""Runs that end because a loss, weight or score is no number, or the loss runs away."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small import fit_small

from vae_helpers.errors import InputError
from vae_helpers.model import TERMS, logged_terms
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.settings import TrainConfig
from vae_helpers.train import LossMonitor, scoring
from vae_helpers.train import loop as train
from vae_helpers.train import step as step_module

pytestmark = pytest.mark.usefixtures("no_sheets")


def _config(objective="beta", likelihood="gaussian", **options):
    return TrainConfig.quick(96, epochs=1, batch_size=32, objective=objective, likelihood=likelihood, **options)


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
        fit_small(small_set, run)
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
        fit_small(small_set, run)
    assert load_checkpoint(run.last)[1]["step"] == 6


def test_the_rate_that_the_specification_warns_of_is_caught(small_set, tmp_path):
    """Without warm-up and clipping a high rate makes the KL explode, for real."""
    config = TrainConfig(epochs=40, batch_size=16, lr=1.0, warmup=0.0, clip=1e9, pictures_every=99)
    with pytest.raises(InputError, match="ran away|became"):
        fit_small(small_set, Run("wild", tmp_path), config)


def test_an_epoch_of_one_step_is_no_runaway(small_set, tmp_path):
    """The capacity objective begins high, and β's warm-up hides it from the first step's own loss."""
    config = TrainConfig.quick(
        96, epochs=25, batch_size=len(small_set.split.train), objective="capacity", evaluate_every=25
    )
    run = Run("a", tmp_path)
    assert fit_small(small_set, run, config).finished
    assert load_checkpoint(run.last)[1]["first_loss"] > 10_000


def test_weights_that_run_away_in_the_last_step_get_a_sentence(small_set, tmp_path, monkeypatch):
    monkeypatch.setattr(step_module, "learning_rate", lambda *_: 1e8)  # more than a recipe may have
    config = TrainConfig.quick(96, epochs=2, batch_size=len(small_set.split.train), clip=1e9)
    with pytest.raises(InputError, match="became .* by step|held-out pictures became (nan|inf) in epoch 1"):
        fit_small(small_set, Run("a", tmp_path), config)
    assert not Run("a", tmp_path).best.exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_held_out_scores_that_are_no_numbers_get_a_sentence(small_set, tmp_path, monkeypatch, value):
    score, run = scoring.evaluate, Run("a", tmp_path)
    monkeypatch.setattr(scoring, "evaluate", lambda *a, **how: replace(score(*a, **how), kl=value))
    with pytest.raises(
        InputError, match=f"the kl of held-out pictures became {value} in epoch 1, so .*learning rate below"
    ):
        fit_small(small_set, run, TrainConfig.quick(96, epochs=1, batch_size=32))
    assert not run.best.exists() and load_checkpoint(run.last)[1]["step"] == 0  # as it was before the first step


@pytest.mark.parametrize("poison", ["decoder.out.weight", "encoder.blocks.0.norm.running_var"])
def test_no_checkpoint_holds_weights_that_are_no_numbers(small_set, tmp_path, monkeypatch, poison):
    step, run = train.train_step, Run("a", tmp_path)

    def poisoned(state, *arguments):
        step(state, *arguments)
        if state.step == 2:  # the losses of this step are sound
            state.model.state_dict()[poison].fill_(math.nan)

    monkeypatch.setattr(train, "train_step", poisoned)
    monkeypatch.setenv("VAE_SAVE_EVERY", "0")
    with pytest.raises(InputError, match="the weights became nan by step 2.*last good checkpoint"):
        fit_small(small_set, run, TrainConfig.quick(96, epochs=1, batch_size=32))
    model, saved = load_checkpoint(run.last)
    assert saved["step"] == 1 and all(torch.isfinite(value).all() for value in model.state_dict().values())


def _check(config, *steps):
    """What the monitor makes of the means of one step after another, at the end of a run."""
    monitor = LossMonitor(Run("g"), config, 32)
    state = SimpleNamespace(step=0, first_loss=None, scaler=torch.amp.GradScaler("cpu", enabled=False))
    for means in steps:
        state.step += 1
        loss = monitor.check(state, 0.9, 1, list(means))
        state.first_loss = loss if state.first_loss is None else state.first_loss
    return loss


def test_a_negative_loss_is_no_runaway_but_a_runaway_still_is():
    config = _config(likelihood="calibrated")
    assert _check(config, (-100.0, 5.0, 1, 1), (-5000.0, 300.0, 1, 1)) == -4700
    with pytest.raises(InputError, match="ran away to 45,000 nats .*most of it the KL term"):
        _check(config, (-100.0, 5.0, 1, 1), (-5000.0, 50_000.0, 1, 1))


def test_a_sharp_likelihood_and_a_heavy_weight_may_begin_high():
    assert _check(_config(scale=0.01), (1e6, 5.0, 1, 1)) > 1e6  # a factor of 5,000 above the plain one
    heavy = _config("capacity")
    first = (1000.0, 300.0, 1, 1, 275_000.0, 25.0, 275.0)
    assert len(first) == len(TERMS) + len(logged_terms("capacity")) and _check(heavy, first) == 276_000
    hidden = (1000.0, 300.0, 1, 1, 0.0, 0.0, 300.0)  # β's warm-up begins at 0
    assert _check(heavy, hidden, (1000.0, 310.0, 1, 1, 285_000.0, 25.0, 285.0)) == 286_000
    with pytest.raises(InputError, match="most of it the penalty term"):
        _check(heavy, first, (1000.0, 3000.0, 1, 1, 2_900_000.0, 25.0, 2975.0))


@pytest.mark.parametrize(
    "place, words", [(4, "the penalty term became nan"), (6, "the total_correlation term became nan")]
)
def test_a_term_that_is_no_number_is_named(place, words):
    means = [1000.0, 5.0, 1.0, 1.0, 5.0, 2.0, 2.0, 1.0]
    means[place] = math.nan
    with pytest.raises(InputError, match=words):
        _check(_config("tc"), means)
