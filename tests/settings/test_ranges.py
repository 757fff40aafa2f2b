"""Numbers that decide a run: every field of both configs has its range, and junk in any of them gets one sentence."""

import math
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from malformed import some_set

from vae_helpers.errors import InputError
from vae_helpers.model import VAEConfig
from vae_helpers.settings import KNOBS, MODEL, RECIPE, Range, TrainConfig, as_seed, short
from vae_helpers.train import Processes, epoch_batches, new_state, train_step

JUNK = (
    "x",
    "",
    b"1",
    [],
    [1],
    {},
    (),
    math.nan,
    math.inf,
    -math.inf,
    1e300,
    -1,
    -1e12,
    10**400,
    -(10**400),
    10**5000,
    1j,
    object(),
    torch.ones(2),
    torch.tensor(math.nan),
    np.ones(2),
    "a\x1b[31m\n" * 1000,
)


def _settles(make):
    """Whether the value was taken; refusing it must take one short sentence without control characters."""
    try:
        make()
    except InputError as problem:
        assert str(problem).isprintable() and len(str(problem)) < 400, str(problem)
        return False
    return True


@pytest.mark.parametrize(
    "kind, name", [(kind, field.name) for kind in (TrainConfig, VAEConfig) for field in fields(kind)]
)
def test_junk_in_any_field_is_taken_or_refused_in_a_sentence(kind, name):
    taken = [value for value in JUNK if _settles(lambda value=value: kind(**{name: value}))]
    assert len(taken) <= 3, taken  # {} for knobs, [] for widths, -1 for a seed, inf for a clip


@pytest.mark.parametrize("knob", [(name, knob) for name, knobs in KNOBS.items() for knob in knobs])
def test_junk_in_any_knob_is_refused_in_a_sentence(knob):
    taken = [
        value for value in JUNK if _settles(lambda value=value: TrainConfig(objective=knob[0], knobs={knob[1]: value}))
    ]
    assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in taken)


def test_every_number_has_a_range_whose_ends_are_taken_and_nothing_beyond():
    for kind, table in ((TrainConfig, RECIPE), (VAEConfig, MODEL)):
        numbers = {field.name for field in fields(kind) if field.type.split(" ")[0] in ("int", "float")}
        assert numbers - {"scale"} <= set(table)  # whose range hangs on the likelihood
    for name, allowed in RECIPE.items():
        step = 1 if allowed.whole else 1e-3 * max(1, abs(allowed.high))
        for value, fits in (
            (allowed.low, not allowed.above),
            (allowed.high, not allowed.below),
            (allowed.low - step, False),
            (allowed.high + step, allowed.high == math.inf),
        ):
            assert _settles(lambda name=name, value=value: TrainConfig(**{name: value})) == fits, (name, value)


def test_numpy_numbers_become_plain_ones():
    config = TrainConfig(epochs=np.int64(3), beta=np.float32(0.5), seed=np.uint8(7))
    assert [type(value) for value in (config.epochs, config.beta, config.seed)] == [int, float, int]
    assert type(VAEConfig(latent_dim=np.int32(4)).latent_dim) is int


def test_any_64_bit_seed_makes_a_generator_and_small_ones_are_what_they_were():
    for seed in (0, 7, -7, 20_000_000_000_000, 2**63, 2**64 - 1, -(2**63)):
        for number in (seed, 2**40 + seed, seed * 1_000_003 + 9):
            torch.Generator().manual_seed(as_seed(number))
    assert [as_seed(n) for n in (-(2**63), -1, 0, 2**64 - 1)] == [-(2**63), -1, 0, 2**64 - 1] and as_seed(
        2**64 + 5
    ) == 5


@pytest.mark.parametrize("seed", [20_000_000_000_000, 2**63, 2**64 - 1, -(2**63)])
def test_any_64_bit_seed_trains(seed):
    config = TrainConfig(batch_size=8, seed=seed, objective="factor", knobs={"layers": 2.0, "width": 3.0})
    state = new_state(config, VAEConfig(image_size=8, latent_dim=2, widths=(4,)), Processes(torch.device("cpu")), 12)
    (batch,) = epoch_batches(some_set().pictures, np.arange(8), config, 0, 0, state.processes)
    train_step(state, batch, config, 0.5)
    assert state.sums.isfinite().all()


def test_a_range_says_itself():
    assert str(Range(1, 1000, whole=True)) == "a whole number from 1 to 1,000"
    assert str(Range(0, 10, above=True)) == "a number above 0 to 10"
    assert (
        str(Range(0, 1, below=True)) == "a number from 0 to below 1" and str(Range(0, math.inf)) == "a number from 0 on"
    )
    assert len(short(["x" * 999] * 999)) < 400 and "20,000 bits" in short(2**19_999)


def test_ranges_do_not_need_torch():
    code = "import sys, vae_helpers.settings; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
