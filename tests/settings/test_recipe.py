import math

import numpy as np
import pytest

from vae_helpers.errors import InputError
from vae_helpers.model import pick_device
from vae_helpers.settings import TrainConfig, beta_at, beta_is_final, learning_rate, quick_epochs, recommendation


def test_defaults_are_the_specified_numbers():
    config = TrainConfig()
    assert (config.objective, config.knobs, config.likelihood, config.scale) == ("beta", None, "gaussian", None)
    assert (config.epochs, config.batch_size, config.lr, config.beta) == (250, 128, 0.005, 1.0)
    assert [TrainConfig(num_samples=k).batch_size for k in (10, 11, 15, 16)] == [128, 96, 96, 64]


def test_learning_rate_halves_at_each_third_after_the_warm_up():
    config = TrainConfig()
    assert [learning_rate(config, p) for p in (0.1, 0.34, 0.67, 0.99)] == [0.005, 0.0025, 0.00125, 0.00125]
    assert 0 < learning_rate(config, 0.0) < 0.001


def test_quick_sees_twenty_thousand_pictures_but_none_more_than_forty_times():
    for pictures, epochs in ((2500, 8), (20_000, 1), (100_000, 1), (800, 25), (200, 40), (10, 40)):
        assert TrainConfig.quick(pictures).epochs == quick_epochs(pictures) == epochs
    assert TrainConfig.quick(2500, epochs=3).epochs == 3
    with pytest.raises(InputError, match="epochs is 0"):
        TrainConfig.quick(2500, epochs=0)


def test_quick_runs_take_muon_where_there_are_pictures_enough_for_it():
    assert [TrainConfig.quick(n).optimizer for n in (1, 199, 200, 5000)] == ["adam", "adam", "muon", "muon"]
    assert TrainConfig.quick(97, optimizer="muon").optimizer == "muon"
    assert TrainConfig().optimizer == "adam"


def test_only_quick_runs_end_early_unless_told_otherwise():
    quick = TrainConfig.quick(97)
    assert (TrainConfig().early_stop, quick.early_stop, quick.evaluate_every) == (0, 8, 1)
    assert TrainConfig.quick(97, early_stop=0).early_stop == 0


def test_one_cycle_rises_and_falls():
    config = TrainConfig.quick(2500, lr=1.0)
    rates = [learning_rate(config, p / 100) for p in range(100)]
    assert max(rates) == rates[20] == 1.0 and rates[0] < 0.05 and rates[-1] < 0.01
    assert rates[:21] == sorted(rates[:21]) and rates[20:] == sorted(rates[20:], reverse=True)


def test_no_warm_up_means_the_full_rate_from_the_start():
    assert learning_rate(TrainConfig(warmup=0.0), 0.0) == 0.005


@pytest.mark.parametrize(
    "options, at, expected",
    [
        ({"beta_schedule": "constant"}, (0.0, 0.5), (4.0, 4.0)),
        ({"beta_schedule": "linear", "beta_warmup": 0.5}, (0.0, 0.25, 0.5, 0.9), (0.0, 2.0, 4.0, 4.0)),
        ({"beta_schedule": "linear"}, (0.02, 0.04, 0.5), (2.0, 4.0, 4.0)),  # over the learning rate's own warm-up
        ({"beta_schedule": "cosine", "beta_warmup": 0.5}, (0.0, 0.125, 0.25, 0.5), (0.0, 2 - math.sqrt(2), 2.0, 4.0)),
        # Fu 2019, figure 1: four cycles, each rising over its first half
        ({"beta_schedule": "cyclical"}, (0.0, 0.0625, 0.125, 0.2, 0.25, 0.3125, 0.99), (0, 2, 4, 4, 0, 2, 4)),
        ({"beta_schedule": "linear", "beta_warmup": 0.0}, (0.0, 0.5), (4.0, 4.0)),
    ],
)
def test_beta_follows_its_schedule_at_every_step(options, at, expected):
    config = TrainConfig(beta=4.0, **options)
    assert np.allclose([beta_at(config, p) for p in at], expected)


def test_beta_has_settled_once_it_stays_at_its_final_value():
    for options, first in (
        ({"beta_schedule": "constant"}, 0.0),
        ({"beta_warmup": 0.3}, 0.3),
        ({"beta_schedule": "cosine", "beta_warmup": 0.3}, 0.3),
        ({"beta_schedule": "cyclical", "beta_cycles": 2}, 0.75),
    ):
        config = TrainConfig(beta=2.0, **options)
        settled = [beta_is_final(config, p / 1000) for p in range(1000)]
        assert settled == sorted(settled) and settled.index(True) == round(1000 * first)
        assert all(beta_at(config, p / 1000) == 2.0 for p in range(1000) if settled[p])


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"epochs": 0}, "epochs"),
        ({"lr": -1.0}, "lr"),
        ({"lr": math.nan}, "lr"),
        ({"beta": -1.0}, "beta"),
        ({"beta": math.inf}, "beta"),
        ({"num_samples": 0}, "num_samples"),
        ({"batch_size": 1}, "from 2 to 65,536"),
        ({"schedule": "saw"}, "one-cycle"),
        ({"beta_schedule": "saw"}, "cyclical"),
        ({"ema": 1.0}, "ema"),
        ({"early_stop": -1}, "early_stop"),
        ({"beta_cycles": 0}, "beta_cycles"),
        ({"warmup": 1.5}, "warmup"),
        ({"objective": "vae"}, "objective 'vae' is unknown.*tc-stratified"),
        ({"knobs": {"gamma": 1.0}}, "leave knobs out"),
        ({"objective": "factor", "knobs": {"layers": 2.9}}, "layers of .* is 2.9, but must be a whole number from 1"),
        ({"objective": "factor", "knobs": {"width": 8.5}}, "must be a whole number"),
        ({"objective": "info", "knobs": {"imq": 0.5}}, "must be a whole number from 0 to 1"),
        ({"objective": "ada", "knobs": {"k": 1.5}}, "must be a whole number"),
        ({"objective": "tc", "knobs": {"delta": 1.0}}, "alpha, gamma"),
        ({"likelihood": "poisson"}, "continuous-bernoulli"),
        ({"scale": -1.0}, "scale is -1"),
        ({"likelihood": "bernoulli", "scale": 1.0}, "takes no scale"),
    ],
)
def test_impossible_settings_get_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        TrainConfig(**wrong)


def test_a_long_run_is_told_of_a_better_use_of_its_time():
    assert "--early-stop 20" in recommendation(TrainConfig())
    for config in (TrainConfig.quick(3000), TrainConfig(early_stop=20), TrainConfig(epochs=50)):
        assert recommendation(config) == ""


def test_a_device_that_holds_no_numbers_is_refused():
    with pytest.raises(InputError, match="'meta' is not available"):
        pick_device("meta")
