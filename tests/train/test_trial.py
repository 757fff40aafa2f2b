"""Steps that are timed: in turn, and without leaving a trace."""

import pytest
import torch
from small import QUICK, SMALL

from vae_helpers.model import BetaVAE
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Arithmetic, Trial, Way, trial

CPU = torch.device("cpu")


@pytest.fixture
def clock(monkeypatch):
    """`clock(times)` is what the clock says from then on."""
    return lambda *times: monkeypatch.setattr(trial.time, "perf_counter", lambda said=iter(times): next(said))


@pytest.fixture
def small_trial():
    return Trial(SMALL, TrainConfig.quick(96, **QUICK), 8, CPU)


def test_a_trial_times_steps_in_turn_and_changes_nothing(monkeypatch, clock, small_trial):
    clock(0, 9, 9, 90, *(100, 105, 200, 204, 300, 304, 400, 403, 500, 506, 600, 605, 700, 709, 800, 809))
    dice, threads, seen = torch.get_rng_state(), torch.get_num_threads(), []
    forward = BetaVAE.forward

    def looked_at(model, *given):
        seen.append((torch.get_num_threads(), model.encoder.half, model.decoder.layout))
        return forward(model, *given)

    monkeypatch.setattr(BetaVAE, "forward", looked_at)
    one, other = Arithmetic(None, True, 1), Arithmetic(torch.bfloat16, False, 2)
    assert small_trial.seconds(Way(one), Way(other), rounds=5) == ([5, 4, 6, 9], [4, 3, 5, 9])
    assert seen == 5 * [(1, None, torch.channels_last), (2, torch.bfloat16, torch.contiguous_format)]
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), dice)


def test_steps_are_timed_on_varied_pictures_and_noise(monkeypatch, small_trial):
    seen, forward = [], BetaVAE.forward
    monkeypatch.setattr(BetaVAE, "forward", lambda model, *given: seen.append(given[:2]) or forward(model, *given))
    way = Way(Arithmetic(None, True, 1))
    small_trial.seconds(way, way, rounds=1)
    x, noise = seen[0]
    assert 0.4 < x.std() < 0.7 and -1 <= x.min() < -0.9 and 0.9 < x.max() <= 1 and 0.7 < noise.std() < 1.3


def test_a_plain_difference_ends_a_trial_if_it_is_there_twice(clock, small_trial):
    clock(0, 9, 9, 90, 100, 105, 200, 201, 300, 301, 400, 405, 500, 505, 600, 602, 700, 705, 800, 801)
    one = Way(Arithmetic(None, True, torch.get_num_threads()))
    assert small_trial.seconds(one, one, rounds=9) == ([5, 1, 5, 5], [1, 5, 2, 1])
