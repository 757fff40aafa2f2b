import numpy as np
import pytest
import torch

from vae_helpers.data import Factor
from vae_helpers.errors import InputError
from vae_helpers.latent import FactorReader

TABLE = (
    Factor("size", 0.0, 1.0, ""),
    Factor("turn", -2.0, 2.0, ""),
    Factor("kind", 0.0, 2.0, "", ("cat", "fox", "bear")),
    Factor("luck", 0.0, 1.0, ""),
)


def _known(n, seed):
    """Codes that hold size in a straight line, turn round a bend, kind in a corner; luck nowhere."""
    rng = np.random.default_rng(seed)
    size, luck, kind = rng.uniform(size=n), rng.uniform(size=n), rng.integers(0, 3, n)
    turn = rng.uniform(-2, 2, n)
    codes = np.stack([2 * size - 1, np.sin(turn), np.cos(turn), 1.0 * (kind == 1), 1.0 * (kind == 2)], axis=1)
    codes += 0.01 * rng.normal(size=codes.shape)
    return torch.from_numpy(codes).float(), np.stack([size, turn, kind, luck], axis=1)


@pytest.fixture(scope="module")
def reader():
    """A reader of 400 such pictures, scored on 150 others."""
    return FactorReader(*_known(400, 0), TABLE, *_known(150, 1))


def test_reads_what_is_there_and_owns_up_to_what_is_not(reader):
    size, turn, kind, luck = reader.score
    assert size > 0.98 and turn > 0.98 and kind == 1
    assert -0.2 < luck < 0.1
    assert 0.2 < reader.chance[2] < 0.5 and reader.chance[0] == 0


def test_the_score_is_r_squared_of_what_it_reads(reader):
    codes, factors = _known(150, 1)
    read = reader.read(codes)
    for i in (0, 1, 3):
        assert np.isclose(reader.score[i], 1 - np.mean((read[:, i] - factors[:, i]) ** 2) / factors[:, i].var())
    assert reader.score[2] == (read[:, 2] == factors[:, 2]).mean()


def test_reads_stay_within_the_ranges(reader):
    read = reader.read(50 * torch.randn(40, 5, generator=torch.Generator().manual_seed(0)))
    for column, factor in zip(read.T, TABLE):
        assert column.min() >= factor.low and column.max() <= factor.high
    assert set(read[:, 2]) <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize(
    "change, word",
    [
        ({"factors": None}, "not known"),
        ({"table": None}, "not known"),
        ({"factors": np.zeros((3, 4))}, "training factors"),
        ({"held_out_factors": np.zeros((20, 3))}, "held-out factors"),
        ({"mu": torch.zeros(5, 5), "factors": np.zeros((5, 4))}, "too few"),
    ],
)
def test_bad_input_gets_a_sentence(change, word):
    mu, factors = _known(20, 0)
    given = {"mu": mu, "factors": factors, "table": TABLE, "held_out_mu": mu, "held_out_factors": factors} | change
    with pytest.raises(InputError, match=word):
        FactorReader(**given)
