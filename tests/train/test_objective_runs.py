"""Runs with other objectives than the default: a few tiny steps of each, whole and resumed."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small import SMALL, same_run

from vae_helpers.errors import InputError
from vae_helpers.model import OBJECTIVES, TERMS, logged_terms
from vae_helpers.runs import Run, load_checkpoint, read_scalars
from vae_helpers.settings import LIKELIHOODS, TrainConfig
from vae_helpers.train import LossMonitor, fit

SLIM = {"width": 16.0, "layers": 3.0}
PAIRS = list(zip(OBJECTIVES, (*LIKELIHOODS[::-1], "calibrated")))  # every name at least once


def _fit(pictures, run, config, **options):
    return fit(pictures, run, config, SMALL, device="cpu", progress=False, **options)


def _config(objective="beta", likelihood="gaussian", epochs=1, **options):
    knobs = SLIM if objective == "factor" else None
    return TrainConfig.quick(
        96,
        epochs=epochs,
        batch_size=32,
        pictures_every=99,
        objective=objective,
        likelihood=likelihood,
        knobs=knobs,
        **options,
    )


@pytest.mark.parametrize("objective, likelihood", PAIRS)
def test_each_trains_and_logs_its_terms(small_set, tmp_path, objective, likelihood):
    assert {name for name, _ in PAIRS} == set(OBJECTIVES) and {name for _, name in PAIRS} == set(LIKELIHOODS)
    run = Run("a", tmp_path)
    result = _fit(small_set, run, _config(objective, likelihood, num_samples=2))
    saved, log = load_checkpoint(run.last)[1], read_scalars(run.tensorboard)
    assert saved["step"] == 3 and math.isfinite(result.scores.total)
    names = [f"{name}/train" for name in logged_terms(objective)]
    assert set(names) <= set(log) and all(np.isfinite(log[name][1]).all() for name in (*names, "total/train"))
    if names:
        total = log["reconstruction/train"][1] + log["penalty/train"][1]
        assert np.allclose(log["total/train"][1], total, rtol=1e-5)
    assert bool(saved["objective"]) == (objective == "factor")
    assert result.model.config.output == ("langevin" if likelihood == "continuous-bernoulli" else "tanh")


def test_one_picture_is_too_few_for_an_objective_of_batches(small_set, tmp_path):
    rows = [small_set.split.train[0], *small_set.split.validation]
    alone = replace(
        small_set,
        pictures=small_set.pictures[rows],
        names=tuple(small_set.names[r] for r in rows),
        labels=("",) * len(rows),
        factors=None,
        prints=None,
    )
    assert len(alone.split.train) == 1
    for objective in ("tc-stratified", "info"):  # both divide by the number of the batch's other pictures
        with pytest.raises(InputError, match="looks at a batch as a whole, but there is 1 picture"):
            _fit(alone, Run(objective, tmp_path), _config(objective))
    assert math.isfinite(_fit(alone, Run("beta", tmp_path), _config()).scores.total)


def test_a_run_with_a_discriminator_resumes_bit_for_bit(small_set, tmp_path):
    config, whole, halves = _config("factor", epochs=4), Run("whole", tmp_path), Run("halves", tmp_path)
    assert _fit(small_set, whole, config).finished
    assert not _fit(small_set, halves, config, stop_after=2).finished
    middle = load_checkpoint(halves.last)[1]["objective"]["discriminator"]["layers.0.weight"]
    assert _fit(small_set, halves, None, resume=True).finished
    same_run(whole, halves)
    end = load_checkpoint(halves.last)[1]["objective"]
    assert not torch.equal(end["discriminator"]["layers.0.weight"], middle)
    assert end["optimizer"]["state"][0]["step"] == 12


def test_a_run_from_before_there_was_a_choice_goes_on(small_set, tmp_path):
    run, config = Run("old", tmp_path), _config(epochs=2)
    _fit(small_set, run, config, stop_after=1)
    content = torch.load(run.last, weights_only=True)
    for name in ("objective", "knobs", "likelihood", "scale"):
        del content["train_config"][name]
    del content["objective"]
    torch.save(content, run.last)
    assert _fit(small_set, run, None, resume=True).finished


def test_best_waits_until_the_capacity_has_settled(small_set, tmp_path):
    run = Run("a", tmp_path)
    config = _config("capacity", epochs=4, beta_schedule="constant", beta=0.01)
    _fit(small_set, run, TrainConfig(**{**config.__dict__, "knobs": {"rise": 0.6, "capacity": 2.0}}))
    log, saved = read_scalars(run.tensorboard), load_checkpoint(run.last)[1]
    assert saved["best_epoch"] >= 3
    assert np.allclose(
        log["capacity/train"][1], [2 * min(1, p / 0.6) for p in (1 / 12, 1 / 3, 7 / 12, 10 / 12)], atol=0.15
    )
    held_out = log["reconstruction/held_out"][1] + 10 * np.abs(log["kl/held_out"][1] - 2)
    assert np.allclose(log["total/held_out"][1], held_out, rtol=1e-4)


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
