import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vae_helpers.errors import InputError
from vae_helpers.experiments import (
    OBJECTIVES,
    SWEEP_OPTIONS,
    SweepSettings,
    betas,
    by_score,
    medians,
    rate_distortion,
    sweep,
    sweep_table,
    sweeps,
)
from vae_helpers.settings import TrainConfig

FEW = SWEEP_OPTIONS._replace(pictures=12, likelihood=4, codes=60)
SMALL = SweepSettings(epochs=1, latent_dim=4, widths=(4, 4, 8), scores=FEW, device="cpu")


@pytest.fixture
def swept(small_set):
    """Two values of β with two seeds each."""
    return sweep(small_set, betas([1, 30]), [0, 1], SMALL, progress=False)


def test_a_sweep_has_a_row_for_every_variant_and_seed(swept):
    assert [(row["variant"], row["seed"], row["beta"]) for row in swept] == [
        ("β = 1", 0, 1.0),
        ("β = 1", 1, 1.0),
        ("β = 30", 0, 30.0),
        ("β = 30", 1, 30.0),
    ]
    assert len({row["run"] for row in swept}) == 4 and all(np.isfinite(row["psnr"]) for row in swept)
    assert list(rate_distortion(swept)) == [1.0, 30.0] and len(rate_distortion(swept)[1.0]) == 2
    assert set(by_score(swept)["PSNR, dB"]) == {"β = 1", "β = 30"}


def test_a_sweep_that_is_done_is_read_back(swept, small_set, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(sweeps, "fit", refuse)
    assert sweep(small_set, betas([1, 30]), [0, 1], SMALL, progress=False) == swept
    with pytest.raises(InputError, match="other settings"):
        sweep(small_set, betas([1, 30]), [0, 1], replace(SMALL, epochs=2), progress=False)


def test_a_sweep_that_was_stopped_refuses_other_settings(small_set, monkeypatch):
    def stop(*_, **__):
        raise InputError("stopped")

    monkeypatch.setattr(sweeps, "fit", stop)
    with pytest.raises(InputError, match="stopped"):
        sweep(small_set, betas([1]), [0], SMALL, progress=False)
    with pytest.raises(InputError, match="other settings"):
        sweep(small_set, betas([1]), [0], replace(SMALL, latent_dim=5), progress=False)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "7"])
def test_a_damaged_file_of_a_sweep_gets_a_sentence(small_set, text):
    sweep_file = Path("VAE/plots/sweep_butterflies_beta-1_0/sweep.json")
    sweep_file.parent.mkdir(parents=True)
    sweep_file.write_text(text)
    with pytest.raises(InputError, match="sweep.json cannot be read"):
        sweep(small_set, betas([1]), [0], SMALL, progress=False)


def test_medians_and_table_by_hand():
    rows = [{"variant": "a", "seed": s, "mig": m, "kl": 10.0 * m} for s, m in enumerate((0.1, 0.2, 0.6))]
    rows += [{"variant": "b", "seed": 0, "mig": 0.5}]
    assert medians(rows) == {"a": {"mig": 0.2, "kl": 2.0}, "b": {"mig": 0.5}}
    lines = sweep_table(rows).splitlines()
    assert lines[2].startswith("| a | 0.200 (0.100 to 0.600) |") and "2.0 (1.0 to 6.0)" in lines[2]
    assert lines[3].startswith("| b | 0.500 | –")


def test_every_objective_of_the_table_is_a_recipe_and_has_a_file_name_of_its_own():
    for changes in OBJECTIVES.values():
        assert replace(TrainConfig.quick(100), **changes).objective == changes.get("objective", "beta")
    names = {sweeps._slug(name) for name in OBJECTIVES}
    assert len(names) == len(OBJECTIVES) and all(json.dumps(name).isascii() for name in names)


def test_pictures_without_factors_cannot_be_compared(small_set):
    with pytest.raises(InputError, match="does not know its factors"):
        sweep(replace(small_set, factors=None), betas([1]), [0], SMALL, progress=False)
