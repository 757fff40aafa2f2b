import numpy as np
import pytest
import torch

from vae_helpers.data import Factor
from vae_helpers.errors import InputError
from vae_helpers.scores import concentration, dci, discretise, mig, modularity, sap

SIZE, TURN, KIND = Factor("size", 0, 1, ""), Factor("turn", -2, 2, ""), Factor("kind", 0, 1, "", ("cat", "fox"))
TABLE = (SIZE, TURN, KIND)
# Two factors of two values, all four pairs equally often; the first latent is a, the second is (a and b).
GRID = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (20, 1)).astype(float)
TWO = (SIZE, Factor("other", 0, 1, ""))
A_AND_B = np.stack([GRID[:, 0], GRID[:, 0] * GRID[:, 1]], axis=1)


def _factors(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(size=n), rng.uniform(-2, 2, n), rng.integers(0, 2, n)], axis=1)


def _noise(n=2000, latents=3, seed=1):
    return np.random.default_rng(seed).normal(size=(n, latents))


def _rotated(factors):
    """Mirrored so that two latents hold each factor alike: weights 1/3, 2/3 and 2/3, squared 1/9, 4/9 and 4/9."""
    return (factors - factors.mean(0)) / factors.std(0) @ (np.eye(3) - 2 / 3)


def test_a_table_worked_out_by_hand():
    # Entropy of a fair coin is ln 2; of (a and b), true in 1 of 4: h = ¼ ln 4 + ¾ ln 4/3. Given a it is a coin half of
    # the time and known for the rest: I(a and b; a) = h - ½ ln 2 = 0.2158, and the same for b. I(a; b) = 0.
    shared = 0.25 * np.log(4) + 0.75 * np.log(4 / 3) - 0.5 * np.log(2)
    gap = mig(A_AND_B, GRID, TWO)
    assert np.allclose(gap.information, [[np.log(2), 0], [shared, shared]])
    assert np.allclose(gap.entropy, np.log(2))
    # Factor a: best ln 2, next 0.2158. Factor b: best 0.2158, next 0. Over ln 2: 0.6887 and 0.3113.
    assert np.allclose(gap.per_factor, [1 - shared / np.log(2), shared / np.log(2)])
    assert gap.score == pytest.approx(0.5)
    # The first latent tells of one factor: 1. The second of both alike: 1 - s²/(s²·(2 - 1)) = 0.
    assert np.allclose(modularity(A_AND_B, GRID, TWO).per_latent, [1, 0])
    # Cov(a and b, a) = ¼ - ¼·½ = 1/8, variances 3/16 and ¼: R² = (1/64) / (3/64) = 1/3. Gaps 1 - 1/3 and 1/3 - 0.
    lead = sap(A_AND_B, GRID, TWO)
    assert np.allclose(lead.predictability, [[1, 0], [1 / 3, 1 / 3]])
    assert np.allclose(lead.per_factor, [2 / 3, 1 / 3]) and lead.score == pytest.approx(0.5)


def test_concentration_by_hand():
    # Two latents share the second factor: entropy ln 2 in base 3. Each latent serves one factor.
    disentangled, complete = concentration(np.array([[1, 0], [0, 0.5], [0, 0.5]]))
    assert disentangled == pytest.approx(1) and complete == pytest.approx((1 + 1 - np.log(2) / np.log(3)) / 2)
    # One latent serves both factors (0, weight 1); the other none, and has no weight.
    assert concentration(np.array([[1.0, 1.0], [0, 0]])) == pytest.approx((0, 1))
    # Rows weigh by their sums: the first, (1, ½), has entropy h(1/3) in base 2 and weight 3/4; the others none. The
    # second column, (½, ¼, ¼), has entropy 1.5 ln 2 in base 3.
    h = (np.log(3) / 3 + 2 / 3 * np.log(1.5)) / np.log(2)
    assert concentration(np.array([[1, 0.5], [0, 0.25], [0, 0.25]])) == pytest.approx(
        (0.75 * (1 - h) + 0.25, (1 + 1 - 1.5 * np.log(2) / np.log(3)) / 2)
    )


def test_bins_have_equal_width():
    assert discretise(np.array([0.0, 0.49, 0.5, 0.99, 1.0, 2.0]), 4).tolist() == [0, 0, 1, 1, 2, 3]
    values = np.random.default_rng(0).normal(size=500)  # what disentanglement_lib does, which counts from 1
    assert (discretise(values, 20) + 1 == np.digitize(values, np.histogram(values, 20)[1][:-1])).all()


def test_an_identity_code_scores_one():
    factors = _factors()
    codes = 3 * factors[:, [2, 0, 1]] - 1  # any order, any scale
    assert mig(codes, factors, TABLE).score > 0.95  # less the bias of the bins, which goes with n
    assert modularity(codes, factors, TABLE).score > 0.99
    lead = sap(codes, factors, TABLE)
    assert lead.per_factor[:2].min() > 0.98
    assert 0.4 < lead.per_factor[2] < 0.55  # a category: 1 - chance
    result = dci(codes, factors, TABLE)
    assert min(result.disentanglement, result.completeness, result.informativeness) > 0.99
    assert np.allclose(result.importance, np.eye(3)[[2, 0, 1]], atol=0.01)


def test_noise_scores_nothing():
    factors, codes = _factors(), _noise()
    assert mig(codes, factors, TABLE).score < 0.02 and sap(codes, factors, TABLE).score < 0.03
    result = dci(codes, factors, TABLE)
    assert result.disentanglement < 0.05 and result.completeness < 0.05
    assert result.read[:2].max() < 0.05 and abs(result.read[2] - result.chance[2]) < 0.1
    assert 0.4 < result.chance[2] < 0.6 and not result.chance[:2].any()


def test_a_rotated_code_is_read_but_not_disentangled():
    factors = _factors()
    codes = _rotated(factors)
    lead = sap(codes, factors, TABLE)
    assert np.allclose(lead.predictability[:, :2].T, [[1 / 9, 4 / 9, 4 / 9], [4 / 9, 1 / 9, 4 / 9]], atol=0.05)
    assert mig(codes, factors, TABLE).score < 0.06 and lead.score < 0.06
    result = dci(codes, factors, TABLE)
    assert result.disentanglement < 0.6 and result.completeness < 0.6 and result.informativeness > 0.8


def test_one_latent_for_two_factors_and_two_latents_for_one():
    rng = np.random.default_rng(0)
    grid = np.stack([rng.integers(0, 4, 2000), rng.integers(0, 4, 2000)], axis=1).astype(float)
    both = np.stack([grid[:, 0] + 4 * grid[:, 1], rng.normal(size=2000)], axis=1)  # one latent knows both exactly
    result, gap = dci(both, grid, TWO), mig(both, grid, TWO)
    assert result.disentanglement < 0.2 and result.completeness > 0.9 and result.informativeness > 0.95
    assert gap.score > 0.9  # MIG doesn't mind; modularity does
    assert modularity(both, grid, TWO).per_latent[0] < 0.01
    twice = np.stack([grid[:, 0], grid[:, 1], grid[:, 0], grid[:, 1]], axis=1) + 0.1 * rng.normal(size=(2000, 4))
    result, gap = dci(twice, grid, TWO), mig(twice, grid, TWO)
    assert result.disentanglement > 0.95 and 0.4 < result.completeness < 0.6  # half: ln 2 in base 4
    assert gap.score < 0.05 and sap(twice, grid, TWO).score < 0.05 and modularity(twice, grid, TWO).score > 0.99


def test_latents_that_are_constant_take_nothing_away():
    factors = _factors()
    codes = np.concatenate([factors, np.zeros((2000, 2))], axis=1)
    assert np.array_equal(mig(codes, factors, TABLE).per_factor, mig(factors, factors, TABLE).per_factor)
    assert modularity(codes, factors, TABLE).per_latent[3:].tolist() == [0, 0]
    assert not sap(codes, factors, TABLE).predictability[3:, :2].any()
    assert dci(codes, factors, TABLE).completeness > 0.99


def test_the_basis_goes_with_the_number():
    factors = _factors(500)
    basis = mig(torch.from_numpy(factors), factors, TABLE, bins=7, code="sample").basis
    assert str(basis) == "n = 500, sample codes, 3 latents, 3 factors, 7 bins"
    assert sap(factors, factors, TABLE).basis.bins is None and basis.factors == ("size", "turn", "kind")
    assert len(np.unique(discretise(factors[:, 0], 7))) == 7
    assert mig(factors, factors, TABLE, bins=7).entropy[0] == pytest.approx(np.log(7), abs=0.05)


def test_the_same_codes_get_the_same_score_twice():
    factors, codes = _factors(300), _noise(300)
    one, other = dci(codes, factors, TABLE), dci(codes, factors, TABLE)
    assert np.array_equal(one.importance, other.importance) and np.array_equal(one.read, other.read)


@pytest.mark.parametrize("score", [mig, modularity, sap, dci])
@pytest.mark.parametrize(
    "change, word",
    [
        ({"factors": None}, "not known"),
        ({"table": ()}, "not known"),
        ({"codes": np.zeros((60, 3, 1))}, "one row per code"),
        ({"factors": np.zeros((60, 2))}, "one row per code"),
        ({"codes": np.zeros((60, 1))}, "too few"),
        ({"codes": np.zeros((9, 3)), "factors": np.zeros((9, 3))}, "too few"),
        ({"factors": np.zeros((60, 3))}, "'size' has the same value"),
        ({"codes": np.full((60, 3), np.nan)}, "not finite"),
    ],
)
def test_bad_input_gets_a_sentence(score, change, word):
    given = {"codes": _noise(60), "factors": _factors(60), "table": TABLE} | change
    with pytest.raises(InputError, match=word):
        score(**given)


def test_bins_and_lone_factors_are_refused():
    with pytest.raises(InputError, match="1 bins keep nothing"):
        mig(_noise(60), _factors(60), TABLE, bins=1)
    with pytest.raises(InputError, match="1 factor"):
        modularity(_noise(60), _factors(60)[:, :1], TABLE[:1])
