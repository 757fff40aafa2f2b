import numpy as np
import pytest
import torch

from vae_helpers.data import Factor
from vae_helpers.errors import InputError
from vae_helpers.scores import FactorSampler, GroupedCodes, beta_vae_score, factor_vae_score, uniform_factors

SIZE, TURN, KIND = Factor("size", 0, 1, ""), Factor("turn", -2, 2, ""), Factor("kind", 0, 2, "", ("cat", "fox", "bear"))
TABLE = (SIZE, TURN, KIND)


def _identity(factors):
    return torch.from_numpy(factors)[:, [2, 0, 1]]  # a sampler may give a tensor


def _noise(factors):
    return np.random.default_rng(int(factors[0, 0] * 1e9)).normal(size=(len(factors), 3))


def _spread(sampler):
    return np.asarray(sampler(uniform_factors(TABLE, 1000, np.random.default_rng(0)))).std(axis=0)


def test_batches_hold_one_factor_and_no_other():
    rng, held = np.random.default_rng(0), np.array([0, 2, 1, 0])
    source = FactorSampler(TABLE, lambda factors: factors)
    batches, pairs = source.codes(held, 300, rng), source.pairs(held, 300, rng)
    assert batches.shape == (4, 300, 3) and pairs.shape == (4, 300, 2, 3)
    for batch, pair, factor in zip(batches, pairs, held):
        others = np.arange(3) != factor
        assert np.ptp(batch[:, factor]) == 0 and batch[:, others].std(axis=0).min() > 0.2
        assert (pair[:, 0, factor] == pair[:, 1, factor]).all() and np.ptp(pair[:, 0, factor]) > 0  # a value per pair
        assert (pair[:, 0, others] != pair[:, 1, others]).mean(axis=0).min() > 0.5


def test_uniform_factors_fill_their_ranges():
    rows = uniform_factors(TABLE, 3000, np.random.default_rng(0))
    assert set(rows[:, 2]) == {0, 1, 2}
    for column, factor in zip(rows.T, TABLE):
        assert factor.low <= column.min() and column.max() <= factor.high
        assert np.ptp(column) > 0.98 * (factor.high - factor.low)


def test_an_identity_code_scores_one_and_noise_scores_chance():
    for sampler, low, high in ((_identity, 1, 1), (_noise, 0.2, 0.5)):
        source = FactorSampler(TABLE, sampler)
        assert low <= factor_vae_score(source, _spread(sampler), 200, 16).score <= high
        assert low <= beta_vae_score(source, 200, 16).score <= high


def test_the_vote_goes_to_the_least_variance_relative_to_the_whole():
    def sampler(factors):  # size over a wide range with a little noise, turn over a range narrower than that noise
        noise = np.random.default_rng(0).normal(size=len(factors))
        return np.stack([100 * factors[:, 0] + noise, factors[:, 1] / 100], axis=1)

    source = FactorSampler((SIZE, TURN), sampler)
    spread = np.array([100 / np.sqrt(12), 4 / np.sqrt(12) / 100])
    result = factor_vae_score(source, spread, 40, 16)
    assert result.score == 1 and result.votes.tolist() == [[20, 0], [0, 20]]
    # Without the division the second latent would win every vote: its variance is always below 1e-3.
    assert factor_vae_score(source, np.ones(2), 40, 16).votes.tolist() == [[0, 0], [20, 20]]


def test_a_majority_by_hand():
    class Fixed:
        """Two factors; when `size` is held latent 0 is still, when `turn` is, latent 1 is still in 3 batches of 4."""

        table = (SIZE, TURN)

        def codes(self, held, size, rng):
            codes = np.tile(np.linspace(-1, 1, size)[:, None], (len(held), 1, 2))
            still = held.copy()
            still[np.flatnonzero(held == 1)[::4]] = 0
            codes[np.arange(len(held)), :, still] = 0
            return codes

    result = factor_vae_score(Fixed(), np.ones(2), 80, 4)
    # 40 votes each: latent 0 gets 40 of `size` and 10 of `turn`, so it stands for `size`; the 5 of 20 held-out votes of
    # `turn` that go to it are wrong: 35 of 40 are right.
    assert result.votes.tolist() == [[40, 10], [0, 30]]
    assert result.score == 35 / 40 and result.held_out_votes == 40
    assert result.basis.n == 120 * 4 and str(result.basis) == "n = 480, mean codes, 2 latents, 2 factors"


def test_the_rule_is_learnt_from_training_votes_alone():
    class Swapped:
        """Latent 0 is still for `size` in the training votes, and for `turn` in the held-out ones."""

        table, calls = (SIZE, TURN), 0

        def codes(self, held, size, rng):
            codes = np.tile(np.linspace(-1, 1, size)[:, None], (len(held), 1, 2))
            codes[np.arange(len(held)), :, held if self.calls == 0 else 1 - held] = 0
            self.calls += 1
            return codes

    assert factor_vae_score(Swapped(), np.ones(2), 40, 4).score == 0


def test_a_latent_that_never_varies_never_votes():
    source = FactorSampler(TABLE, lambda factors: np.concatenate([factors, np.zeros((len(factors), 1))], axis=1))
    result = factor_vae_score(source, np.array([1, 1, 1, 0.0]), 60, 8)
    assert result.score == 1 and not result.votes[3].any()
    with pytest.raises(InputError, match="collapsed"):
        factor_vae_score(source, np.zeros(4), 60, 8)


def test_a_file_is_grouped_by_the_values_of_each_factor():
    grid = np.stack(
        [axis.ravel() for axis in np.meshgrid(np.arange(5), np.linspace(-2, 2, 6), np.arange(3), indexing="ij")], axis=1
    ).astype(float)
    order = np.random.default_rng(0).permutation(len(grid))
    rows = grid[order]
    source, rng = GroupedCodes(rows, rows, TABLE, fewest=8), np.random.default_rng(1)
    for factor in range(3):
        held = np.full(20, factor)
        batches, pairs = source.codes(held, 12, rng), source.pairs(held, 12, rng)
        assert np.ptp(batches[..., factor], axis=1).max() == 0
        assert len(np.unique(batches[..., factor])) == len(np.unique(rows[:, factor]))
        assert all(len(np.unique(batch, axis=0)) == 12 for batch in batches)  # no picture twice while there are enough
        assert (pairs[:, :, 0, factor] == pairs[:, :, 1, factor]).all()
        assert (pairs[:, :, 0] != pairs[:, :, 1]).any(axis=2).all()  # never a picture with itself
    assert factor_vae_score(source, rows.std(axis=0), 60, 8).score == 1
    assert beta_vae_score(source, 60, 8).score == 1


@pytest.mark.parametrize(
    "call, word",
    [
        (
            lambda: GroupedCodes(np.zeros((40, 3)), uniform_factors(TABLE, 40, np.random.default_rng(0)), TABLE),
            "share a value of 'size'",
        ),
        (lambda: factor_vae_score(FactorSampler(TABLE, _identity), np.ones(3), 11, 8), "too few"),
        (lambda: factor_vae_score(FactorSampler(TABLE, _identity), np.ones(3), 60, 1), "too few"),
        (lambda: beta_vae_score(FactorSampler(TABLE, _identity), 3, 8), "too few"),
        (lambda: beta_vae_score(FactorSampler(TABLE[:1], _identity), 60, 8), "1 known factor"),
    ],
)
def test_bad_input_gets_a_sentence(call, word):
    with pytest.raises(InputError, match=word):
        call()


def test_the_same_seed_gives_the_same_score():
    source, spread = FactorSampler(TABLE, _noise), np.ones(3)
    one, again, other = (factor_vae_score(source, spread, 60, 8, seed).votes for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert beta_vae_score(source, 60, 8).score == beta_vae_score(source, 60, 8).score
