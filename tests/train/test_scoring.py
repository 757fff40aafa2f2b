"""Which epoch is the best, when a run ends early, and whose weights are scored."""

from dataclasses import replace

import numpy as np
import torch
from small import SMALL, fit_small, same_run

from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run, load_checkpoint, load_run, read_scalars
from vae_helpers.settings import TrainConfig
from vae_helpers.train import loop as train
from vae_helpers.train import scoring


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
        seen.append(state.model.decoder.linear.weight.detach().clone())

    monkeypatch.setattr(train, "train_step", watched)
    run = Run("a", tmp_path)
    result = fit_small(small_set, run, TrainConfig.quick(96, epochs=1, batch_size=16, pictures_every=9, ema=decay))
    torch.manual_seed(0)
    expected = BetaVAE(SMALL).decoder.linear.weight.detach()
    for n, weight in enumerate(seen, 1):
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * weight
    assert torch.allclose(result.model.decoder.linear.weight, expected, atol=1e-6)
    assert torch.equal(load_checkpoint(run.last)[0].decoder.linear.weight, seen[-1])
    run.best.unlink()  # without a best, the last's average is shown
    assert torch.equal(load_run(run)[0].decoder.linear.weight, result.model.decoder.linear.weight)
