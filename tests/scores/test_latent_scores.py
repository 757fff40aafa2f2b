import math

import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.scores import bounds as latent_scores
from vae_helpers.scores import latent_parts


def _gaussian(n, covariance, noise=1.0, seed=100):  # not the seed that z is drawn with
    """Means and log-variances whose aggregate is N(0, covariance), nearly: μ ~ N(0, covariance - noise²)."""
    covariance = torch.as_tensor(covariance, dtype=torch.float64)
    root = torch.linalg.cholesky(covariance - noise**2 * torch.eye(len(covariance)))
    mu = torch.randn(n, len(covariance), generator=torch.Generator().manual_seed(seed), dtype=torch.float64) @ root.T
    return mu, torch.full_like(mu, 2 * math.log(noise))


def test_a_gaussian_aggregate_gives_the_closed_form():
    covariance = torch.tensor([[3.0, 1.5], [1.5, 2.5]])
    found = latent_parts(*_gaussian(3000, covariance), most=3000)
    half_log = 0.5 * torch.logdet(covariance).item()
    # I = H(z) - H(z|x), TC = Σ H(z_j) - H(z), and of each latent KL(N(0, s²) ‖ N(0, 1)) = ½ (s² - ln s² - 1).
    assert found.mutual_information == pytest.approx(half_log, abs=0.05)
    assert found.total_correlation == pytest.approx(0.5 * math.log(3.0 * 2.5) - half_log, abs=0.05)
    assert found.dimension_wise_kl == pytest.approx(0.5 * (3 - math.log(3) - 1 + 2.5 - math.log(2.5) - 1), abs=0.1)
    assert sum(found[:3]) == pytest.approx(found.kl, abs=0.05) and not found.saturated and found.pictures == 3000


def test_independent_latents_have_no_total_correlation():
    found = latent_parts(*_gaussian(2000, torch.diag(torch.tensor([2.0, 3.0, 1.5]))))
    assert abs(found.total_correlation) < 0.05


def test_a_collapsed_code_has_no_parts_at_all():
    found = latent_parts(torch.zeros(50, 4), torch.zeros(50, 4))
    assert found[:4] == pytest.approx((0, 0, 0, 0), abs=1e-6)


def test_mutual_information_ends_at_ln_n():
    """Posteriors that never overlap, in 128 latents where every density of another picture underflows."""
    mu = 100 * torch.randn(40, 128, generator=torch.Generator().manual_seed(0))
    found = latent_parts(mu, torch.full((40, 128), -8.0))
    assert found.mutual_information == pytest.approx(math.log(40), abs=1e-6) and found.saturated
    # Every latent by itself tells them apart as well: Σ_j log q(z_j) = log q(z|x) - 128 ln n, against one ln n.
    assert found.total_correlation == pytest.approx(127 * math.log(40), rel=0.02)


def test_chunks_change_nothing_and_twice_is_the_same(monkeypatch):
    mu, logvar = _gaussian(60, torch.diag(torch.tensor([2.0, 3.0])))
    one = latent_parts(mu, logvar)
    assert one == latent_parts(mu, logvar) and one != latent_parts(mu, logvar, seed=1)
    monkeypatch.setattr(latent_scores, "_AT_ONCE", 7 * 60 * 2)
    assert latent_parts(mu, logvar) == pytest.approx(one, abs=1e-12)
    assert latent_parts(mu, logvar, most=20).pictures == 20


@pytest.mark.parametrize(
    "mu, logvar",
    [(torch.zeros(1, 3), torch.zeros(1, 3)), (torch.zeros(5, 3), torch.zeros(5, 2)), (torch.zeros(5), torch.zeros(5))],
)
def test_bad_input_gets_a_sentence(mu, logvar):
    with pytest.raises(InputError, match="N at least 2"):
        latent_parts(mu, logvar)
