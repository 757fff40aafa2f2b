"""Which epoch is the best, when a run ends early, and whose weights are scored."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import SMALL, equal_weights, fit_small, same_run

from vae_helpers.latent import encode_pictures
from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run, load_checkpoint, load_run, read_scalars
from vae_helpers.scores import evaluate
from vae_helpers.settings import TrainConfig
from vae_helpers.train import loop as train
from vae_helpers.train import scoring


def test_what_is_kept_has_latents_on_the_scale_of_their_prior_and_what_goes_on_has_not(small_set, trained):
    kept, going_on = load_run(trained[0])[0], load_checkpoint(trained[0].last)[0]
    rows = small_set.split.train
    off = []
    for model in (kept, going_on):
        mu, logvar = encode_pictures(model, small_set.pictures[rows])
        variance = mu.var(dim=0, correction=0) + logvar.exp().mean(dim=0)
        off.append(float(torch.cat([mu.mean(dim=0), variance - 1]).abs().max()))
    assert off[0] < 0.05 and off[1] > 0.1
    assert load_checkpoint(trained[0].best)[1]["epochs_closed"] == load_checkpoint(trained[0].last)[1]["epochs_closed"]
    one, other = (evaluate(model, small_set.pictures, rows) for model in (kept, going_on))
    assert one.psnr == pytest.approx(other.psnr, abs=0.01) and one.kl < other.kl


def test_objectives_that_want_another_scale_keep_it(small_set, tmp_path):
    for name, standardised in (("dip-1", False), ("capacity", False), ("dip-2", True), ("tc", True)):
        config = TrainConfig.quick(
            96, epochs=1, batch_size=32, pictures_every=9, objective=name, beta_schedule="constant"
        )
        config = replace(config, knobs={"rise": 0.0} if name == "capacity" else None)
        run = Run(name, tmp_path)
        fit_small(small_set, run, config)
        same = equal_weights(load_run(run)[0], load_checkpoint(run.last)[0])
        assert same is not standardised, name


def test_early_stopping_ends_the_run_once_the_held_out_loss_stays_up(small_set, tmp_path, monkeypatch, capsys):
    totals = iter([9.0, 8.0, 5.0, 6.0, 7.0] + [1.0] * 99)  # as if: the third is the best, then two in vain
    score = scoring.evaluate
    monkeypatch.setattr(scoring, "evaluate", lambda *a, **how: replace(score(*a, **how), total=next(totals)))
    config = TrainConfig.quick(96, epochs=12, batch_size=32, pictures_every=99, evaluate_every=1, early_stop=2)
    run = Run("a", tmp_path)
    assert fit_small(small_set, run, config).finished
    assert "Stopped early, after epoch 5 of 12: 2 scores in a row" in capsys.readouterr().out
    saved = load_checkpoint(run.last)[1]
    assert (saved["epochs_closed"], saved["best_epoch"], saved["best"]) == (5, 3, 5.0)
    assert load_checkpoint(run.best)[1]["epochs_closed"] == 3
    assert fit_small(small_set, run, config, resume=True).finished  # and it stays ended
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 5 and "--early-stop 0" in capsys.readouterr().out
    assert read_scalars(run.tensorboard)["total/held_out"][0].tolist() == [1, 2, 3, 4, 5]
    assert fit_small(small_set, run, replace(config, early_stop=0), resume=True).finished  # until it may go on
    saved = load_checkpoint(run.last)[1]
    assert (saved["epochs_closed"], saved["train_config"]["early_stop"], saved["best"]) == (12, 0, 1.0)
    assert read_scalars(run.tensorboard)["total/held_out"][0].tolist() == list(range(1, 13))


def test_a_run_interrupted_on_the_way_stops_early_at_the_same_epoch(small_set, tmp_path, monkeypatch):
    score, config = scoring.evaluate, TrainConfig.quick(96, epochs=12, batch_size=32, pictures_every=99, early_stop=2)
    anything = 1.0  # the scores of what a session kept are not compared
    for name, totals, ends in (
        ("whole", [9.0, 8.0, 5.0, 6.0, 7.0, anything], [None]),
        ("parts", [9.0, 8.0, anything, 5.0, 6.0, anything, 7.0, anything], [2, 4, None]),
    ):
        given = iter(totals)
        monkeypatch.setattr(
            scoring, "evaluate", lambda *a, given=given, **how: replace(score(*a, **how), total=next(given))
        )
        run = Run(name, tmp_path)
        finished = [fit_small(small_set, run, config, resume=run.exists(), stop_after=end).finished for end in ends]
        assert finished == [end is None for end in ends]
    assert same_run(Run("whole", tmp_path), Run("parts", tmp_path)) > 100
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 5


def test_best_waits_until_beta_has_settled_and_scores_use_the_runs_own_beta(small_set, tmp_path, monkeypatch):
    betas, score = [], scoring.evaluate

    def rising(model, pictures, rows, beta, **how):
        betas.append(beta)
        return replace(score(model, pictures, rows, beta, **how), total=float(len(betas)))

    monkeypatch.setattr(scoring, "evaluate", rising)
    config = TrainConfig.quick(96, epochs=4, batch_size=32, pictures_every=99, beta=3.0, beta_warmup=0.6)
    run = Run("a", tmp_path)
    fit_small(small_set, run, config)
    assert set(betas) == {3.0}
    assert load_checkpoint(run.last)[1]["best_epoch"] == 3  # lower losses at a lower β came before
    log = read_scalars(run.tensorboard)["beta"][1]
    assert np.allclose(log, [3 * p / 0.6 if p < 0.6 else 3 for p in (0.125, 0.375, 0.625, 0.875)])


def test_the_average_of_the_weights_is_what_is_kept_and_looked_at(small_set, tmp_path, monkeypatch):
    seen, step, decay = [], train.train_step, 0.8

    def watched(state, *arguments):
        step(state, *arguments)
        seen.append(state.model.decoder.out.weight.detach().clone())

    monkeypatch.setattr(train, "train_step", watched)
    run = Run("a", tmp_path)
    result = fit_small(small_set, run, TrainConfig.quick(96, epochs=1, batch_size=16, pictures_every=9, ema=decay))
    torch.manual_seed(0)
    # Of the last layer, which the scale of latents does not touch.
    expected = BetaVAE(SMALL).decoder.out.weight.detach()
    for n, weight in enumerate(seen, 1):
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * weight
    assert torch.allclose(result.model.decoder.out.weight, expected, atol=1e-6)
    assert torch.equal(load_checkpoint(run.last)[0].decoder.out.weight, seen[-1])
    run.best.unlink()  # without a best, the last's average is shown
    assert torch.equal(load_run(run)[0].decoder.out.weight, result.model.decoder.out.weight)
