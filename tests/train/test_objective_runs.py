"""Runs with other objectives than the default: a few tiny steps of each, whole and resumed."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SMALL, fit_small, same_run

from vae_helpers.errors import InputError
from vae_helpers.model import OBJECTIVES, logged_terms
from vae_helpers.runs import Run, load_checkpoint, read_scalars
from vae_helpers.settings import LIKELIHOODS, TrainConfig
from vae_helpers.train import fit

SLIM = {"width": 16.0, "layers": 3.0}
PAIRS = list(zip(OBJECTIVES, (*LIKELIHOODS[::-1], "calibrated", "gaussian", "gaussian")))  # every name at least once


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


def _with_one_to_train_on(pictures):
    rows = [pictures.split.train[0], *pictures.split.validation]
    return replace(
        pictures,
        pictures=pictures.pictures[rows],
        names=tuple(pictures.names[r] for r in rows),
        labels=("",) * len(rows),
        factors=None,
        prints=None,
    )


@pytest.mark.parametrize("objective, likelihood", PAIRS)
def test_each_trains_and_logs_its_terms(small_set, tmp_path, objective, likelihood):
    assert {name for name, _ in PAIRS} == set(OBJECTIVES) and {name for _, name in PAIRS} == set(LIKELIHOODS)
    run = Run("a", tmp_path)
    result = fit_small(small_set, run, _config(objective, likelihood, num_samples=2))
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
    alone = _with_one_to_train_on(small_set)
    assert len(alone.split.train) == 1
    for objective in ("tc-stratified", "info"):  # both divide by the number of the batch's other pictures
        with pytest.raises(InputError, match="looks at a batch as a whole, but there is 1 picture"):
            fit_small(alone, Run(objective, tmp_path), _config(objective))
    assert math.isfinite(fit_small(alone, Run("beta", tmp_path), _config()).scores.total)


@pytest.mark.parametrize("pairs", ["factors", "labels", "views"])
def test_a_run_on_pairs_resumes_bit_for_bit_and_sees_as_many_pictures(small_set, tmp_path, pairs):
    classes = tuple("ab"[k % 2] for k in range(len(small_set)))
    pictures = replace(small_set, labels=classes)
    config = _config("ada", epochs=2, pairs=pairs)
    assert fit_small(pictures, Run("whole", tmp_path), config).finished
    assert load_checkpoint(Run("whole", tmp_path).last)[1]["step"] == 2 * (len(small_set.split.train) // 32)
    fit_small(pictures, Run("halves", tmp_path), config, stop_after=1)
    fit_small(pictures, Run("halves", tmp_path), config, resume=True)
    same_run(Run("whole", tmp_path), Run("halves", tmp_path))


def test_pairs_are_of_one_objective_and_need_two_pictures(small_set, tmp_path):
    with pytest.raises(InputError, match="'beta' takes no pairs: leave them out, or choose 'ada'"):
        TrainConfig(pairs="views")
    with pytest.raises(InputError, match="pairs 'twins' is unknown; choose one of factors, labels, views"):
        TrainConfig(objective="ada", pairs="twins")
    alone = _with_one_to_train_on(small_set)
    with pytest.raises(InputError, match="objective 'ada' needs 2 pictures for each"):
        fit_small(alone, Run("a", tmp_path), _config("ada"))


def test_middles_need_three_pictures_a_batch_and_a_set_that_is_drawn(small_set, tmp_path):
    with pytest.raises(InputError, match="objective 'middle' needs 3 pictures for each"):
        fit_small(small_set, Run("a", tmp_path), replace(_config("middle"), batch_size=2))
    with pytest.raises(InputError, match="nothing draws what lies between two pictures of photos"):
        fit_small(replace(small_set, name="photos", source="folder"), Run("a", tmp_path), _config("middle"))
    assert not Run("a", tmp_path).last.exists()
    assert fit_small(small_set, Run("whole", tmp_path), _config("middle", epochs=2)).finished
    fit_small(small_set, Run("halves", tmp_path), _config("middle", epochs=2), stop_after=1)
    fit_small(small_set, Run("halves", tmp_path), _config("middle", epochs=2), resume=True)
    same_run(Run("whole", tmp_path), Run("halves", tmp_path))


def test_pairs_that_a_set_cannot_give_leave_no_run(small_set, tmp_path, capfd):
    with pytest.raises(InputError, match="factors cannot differ"):
        fit_small(small_set, Run("a", tmp_path), replace(_config("ada"), knobs={"k": 60.0}))
    assert not Run("a", tmp_path).last.exists()
    fit(small_set, Run("a", tmp_path), _config("ada"), SMALL, device="cpu")
    assert "Pairs of pictures by factors." in capfd.readouterr().out


def test_a_run_with_a_discriminator_resumes_bit_for_bit(small_set, tmp_path):
    config, whole, halves = _config("factor", epochs=4), Run("whole", tmp_path), Run("halves", tmp_path)
    assert fit_small(small_set, whole, config).finished
    assert not fit_small(small_set, halves, config, stop_after=2).finished
    middle = load_checkpoint(halves.last)[1]["objective"]["discriminator"]["layers.0.weight"]
    assert fit_small(small_set, halves, None, resume=True).finished
    same_run(whole, halves)
    end = load_checkpoint(halves.last)[1]["objective"]
    assert not torch.equal(end["discriminator"]["layers.0.weight"], middle)
    assert end["optimizer"]["state"][0]["step"] == 12


def test_a_run_from_before_there_was_a_choice_goes_on(small_set, tmp_path):
    run, config = Run("old", tmp_path), _config(epochs=2)
    fit_small(small_set, run, config, stop_after=1)
    content = torch.load(run.last, weights_only=True)
    for name in ("objective", "knobs", "likelihood", "scale"):
        del content["train_config"][name]
    del content["objective"]
    torch.save(content, run.last)
    assert fit_small(small_set, run, None, resume=True).finished


def test_best_waits_until_the_capacity_has_settled(small_set, tmp_path):
    run = Run("a", tmp_path)
    config = _config("capacity", epochs=4, beta_schedule="constant", beta=0.01)
    fit_small(small_set, run, TrainConfig(**{**config.__dict__, "knobs": {"rise": 0.6, "capacity": 2.0}}))
    log, saved = read_scalars(run.tensorboard), load_checkpoint(run.last)[1]
    assert saved["best_epoch"] >= 3
    assert np.allclose(
        log["capacity/train"][1], [2 * min(1, p / 0.6) for p in (1 / 12, 1 / 3, 7 / 12, 10 / 12)], atol=0.15
    )
    held_out = log["reconstruction/held_out"][1] + 10 * np.abs(log["kl/held_out"][1] - 2)
    assert np.allclose(log["total/held_out"][1], held_out, rtol=1e-4)
