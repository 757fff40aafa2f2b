"""What a resumed run takes from its checkpoint, and what it refuses."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small import QUICK, SMALL, fit_small

from vae_helpers.errors import InputError
from vae_helpers.runs import Run, load_checkpoint, read_scalars
from vae_helpers.settings import TrainConfig
from vae_helpers.train import fit
from vae_helpers.train import state as run_state


def test_a_run_of_another_version_gets_a_sentence(small_set, small_model, tmp_path):
    run = Run("a", tmp_path)
    fit_small(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    content = torch.load(run.last, weights_only=True)
    content["train_config"]["a_knob_of_tomorrow"] = 3
    torch.save(content, run.last)
    with pytest.raises(InputError, match="another version"):
        fit_small(small_set, run, None, resume=True)


def test_a_run_of_which_only_the_best_is_left_goes_on_from_there(small_set, tmp_path, capsys):
    run = Run("a", tmp_path)
    fit_small(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    run.last.unlink()
    run.previous.unlink()
    best = run.best.read_bytes()
    with pytest.raises(InputError, match="go on with it by .*or choose another name"):
        fit_small(small_set, run)
    assert run.best.read_bytes() == best
    assert fit_small(small_set, run, resume=True).finished
    assert "best.pt alone is left" in capsys.readouterr().err
    assert load_checkpoint(run.last)[1]["step"] == 2 * (len(small_set.split.train) // 16)
    assert read_scalars(run.tensorboard)["kl/train"][0].tolist() == [1, 2]


def test_settings_other_than_the_runs_own_are_refused_not_ignored(small_set, tmp_path):
    run, config = Run("a", tmp_path), TrainConfig.quick(96, **QUICK)
    fit_small(small_set, run, config, stop_after=1)
    with pytest.raises(
        InputError,
        match=r"started with beta 1.0, objective beta, which it keeps, not|"
        r"started with objective beta, .*beta 1.0, which it keeps, not objective tc",
    ):
        fit_small(small_set, run, replace(config, beta=4.0, objective="tc"), resume=True)
    with pytest.raises(
        InputError, match="started with latent_dim 8, decoder_norm instance.*latent_dim 4, decoder_norm batch"
    ):
        fit(small_set, run, None, replace(SMALL, latent_dim=4, decoder_norm="batch"), device="cpu", resume=True)
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 1
    assert fit_small(
        small_set, run, replace(config, epochs=3, pictures_every=1, evaluate_every=2), resume=True
    ).finished


@pytest.mark.parametrize(
    "every, best, closed, stops",
    [
        (1, 3, 4, False),
        (1, 3, 5, True),
        (1, 0, 99, False),  # none is the best yet, as while β rises
        (4, 8, 15, False),  # one score since, that of epoch 12
        (4, 8, 16, True),
        (4, 8, 17, True),
    ],
)
def test_patience_counts_scores_not_epochs(every, best, closed, stops):
    state = SimpleNamespace(best_epoch=best, epochs_closed=closed)
    config = TrainConfig(early_stop=2, evaluate_every=every)
    assert run_state.State.stopped_early(state, config) is stops
    assert run_state.State.stopped_early(state, replace(config, early_stop=0)) is False


def test_a_run_goes_on_only_with_its_own_pictures(small_set, tmp_path, capsys):
    run, others = Run("a", tmp_path), replace(small_set, prints=small_set.prints + 1)
    fit_small(small_set, run, stop_after=1)
    with pytest.raises(InputError, match="of its 120 pictures 120 are not here, and 120 here are new"):
        fit_small(others, run, resume=True)
    moved = replace(small_set, name="moved", request=small_set.request | {"source": "elsewhere", "allow_bad": 0.2})
    fit_small(moved, run, resume=True, stop_after=2)
    assert fit_small(others, run, None, resume=True, other_pictures=True).finished
    assert "was trained on other pictures" in capsys.readouterr().err
