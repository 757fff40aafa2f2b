import math

import numpy as np
import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.latent import encode_pictures
from vae_helpers.scores import bits_per_dimension, bounds_of, likelihood, log_importance_weights
from vae_helpers.scores import bounds as likelihood_scores


class Linear:
    """x = Wz + b + noise of standard deviation s, columns of W at right angles: log p(x) and p(z|x) in closed form."""

    def __init__(self, values=12, latents=3, s=0.5):
        g = torch.Generator().manual_seed(0)
        turn = torch.linalg.qr(torch.randn(values, latents, generator=g, dtype=torch.float64))[0]
        self.w, self.s = turn * torch.tensor([2.0, 1.0, 0.3], dtype=torch.float64), s
        self.b = torch.randn(values, generator=g).double()
        self.x = (
            torch.randn(6, latents, generator=g).double() @ self.w.T
            + self.b
            + s * torch.randn(6, values, generator=g).double()
        )
        self.variance = 1 / (1 + self.w.square().sum(dim=0) / s**2)  # of p(z|x), no covariances
        self.mean = (self.x - self.b) @ self.w / s**2 * self.variance
        self.evidence = MultivariateNormal(self.b, self.w @ self.w.T + s**2 * torch.eye(values)).log_prob(self.x)

    def log_likelihood(self, z):
        return Independent(Normal(z @ self.w.T + self.b, self.s), 1).log_prob(self.x)

    def bounds(self, mu, logvar, samples, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return bounds_of(log_importance_weights(mu, logvar, self.log_likelihood, samples, generator)[0])


def test_the_true_posterior_gives_the_evidence_exactly():
    """With q(z|x) = p(z|x) every weight is log p(x), whatever z is drawn."""
    known = Linear()
    logvar = known.variance.log().expand_as(known.mean)
    for samples in (1, 5):
        for bound in known.bounds(known.mean, logvar, samples):
            assert torch.allclose(bound, known.evidence, atol=1e-10)


def test_elbo_then_iwae_then_the_evidence():
    known = Linear()
    mu, logvar = known.mean + 0.6 * known.variance.sqrt(), (1.5 * known.variance).log().expand_as(known.mean)
    elbo = known.bounds(mu, logvar, 40_000)[0]
    gap = kl_divergence(
        Independent(Normal(mu, torch.exp(0.5 * logvar)), 1),
        Independent(Normal(known.mean, known.variance.sqrt().expand_as(mu)), 1),
    )
    assert torch.allclose(known.evidence - elbo, gap, atol=0.05)  # log p(x) - ELBO = KL(q ‖ p(z|x))
    weights, _ = log_importance_weights(mu, logvar, known.log_likelihood, 64_000, torch.Generator().manual_seed(0))
    bounds = [elbo.mean()] + [bounds_of(weights.view(k, -1, 6))[1].mean() for k in (4, 32, 3200)]
    assert all(a < b - 0.005 for a, b in zip(bounds, bounds[1:]))
    assert bounds[0] < known.evidence.mean() - 0.4
    assert bounds[-1] == pytest.approx(known.evidence.mean().item(), abs=0.02)


def test_one_sample_of_iwae_is_the_elbo():
    known = Linear()
    elbo, iwae = known.bounds(known.mean + 1, known.variance.log().expand_as(known.mean), 1)
    assert torch.equal(elbo, iwae)


def test_log_mean_exp_survives_where_exp_is_zero():
    elbo, iwae = bounds_of(torch.tensor([[-10_000.0], [-10_010.0]], dtype=torch.float64))
    assert elbo.item() == -10_005
    assert iwae.item() == pytest.approx(-10_000 - math.log(2) + math.log1p(math.exp(-10)), abs=1e-9)


def test_bits_by_hand():
    # Uniform over the 8-bit levels: density ½ over [-1, 1] per value is 255 steps of 2/255, log2 255 bits.
    assert bits_per_dimension(12 * math.log(0.5), 12) == pytest.approx(math.log2(255))
    assert bits_per_dimension(12 * math.log(0.5 * 4), 12) == pytest.approx(math.log2(255) - 2)  # four times as dense


def test_a_models_scores_are_what_its_parts_say(small_model, small_set):
    rows = np.arange(5)
    found = likelihood(small_model, small_set.pictures, rows, samples=6)
    mu, logvar = encode_pictures(small_model, small_set.pictures[:5])
    generator = torch.Generator().manual_seed(0)
    x = to_float(small_set.pictures[:5])
    logs = []
    for m, v, picture in zip(mu.double(), logvar.double(), x):
        z = m + (0.5 * v).exp() * torch.randn(6, 1, 8, generator=generator, dtype=torch.float64)[:, 0]
        with torch.no_grad():
            drawn = small_model.decode(z.float())
        p = Normal(drawn, math.sqrt(0.5)).log_prob(picture).double().sum(dim=(1, 2, 3))
        logs.append(p + Normal(0.0, 1.0).log_prob(z).sum(1) - Normal(m, (0.5 * v).exp()).log_prob(z).sum(1))
    logs = torch.stack(logs, dim=1)
    assert found.elbo == pytest.approx(logs.mean().item(), rel=1e-5)
    assert found.iwae == pytest.approx((logs.logsumexp(0) - math.log(6)).mean().item(), rel=1e-5)
    assert found.elbo_error == pytest.approx(logs.mean(0).std().item() / math.sqrt(5), rel=1e-3)
    assert found.elbo_spread == pytest.approx(logs.mean(1).std().item(), rel=1e-2)
    rate = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1).mean().item()
    assert found.rate == pytest.approx(rate, rel=1e-4)
    assert found.distortion + found.rate == pytest.approx(-found.elbo, rel=0.02)
    assert found.bits_per_dimension == pytest.approx(bits_per_dimension(found.iwae, 3 * 32 * 32))
    assert (found.samples, found.pictures, found.likelihood) == (6, 5, "gaussian")


def test_scores_do_not_depend_on_chunks_and_repeat(small_model, small_set, monkeypatch):
    one = likelihood(small_model, small_set.pictures, np.arange(3), samples=7)
    assert one == likelihood(small_model, small_set.pictures, np.arange(3), samples=7)
    assert one.iwae != likelihood(small_model, small_set.pictures, np.arange(3), samples=7, seed=1).iwae
    monkeypatch.setattr(likelihood_scores, "_VALUES_AT_ONCE", 2 * 3 * 32 * 32)
    for a, b in zip(one, likelihood(small_model, small_set.pictures, np.arange(3), samples=7)):
        assert a == pytest.approx(b, rel=1e-5) if isinstance(a, float) else a == b
    first = likelihood(small_model, small_set.pictures, np.arange(1), samples=1)
    assert math.isnan(first.elbo_error) and math.isnan(first.elbo_spread) and first.iwae == first.elbo


@pytest.mark.parametrize("name", ["calibrated", "calibrated-each"])
def test_a_calibrated_scale_is_the_error_of_these_pictures(small_model, small_set, name):
    rows = np.arange(20)
    found = likelihood(small_model, small_set.pictures, rows, name, samples=4)
    assert found.likelihood == "gaussian"
    by_hand = {
        s: likelihood(small_model, small_set.pictures, rows, "gaussian", s, samples=4)
        for s in (0.9 * found.scale, found.scale, 1.1 * found.scale)
    }
    assert by_hand[found.scale] == found
    assert found.elbo == max(other.elbo for other in by_hand.values())  # no other s does better


@pytest.mark.parametrize("name", ["laplace", "continuous-bernoulli"])
def test_other_densities_are_scored_whole(small_model, small_set, name):
    found = likelihood(small_model, small_set.pictures, np.arange(3), name, samples=3)
    assert math.isfinite(found.iwae) and found.iwae >= found.elbo and found.likelihood == name


@pytest.mark.parametrize(
    "settings, word",
    [
        ({"name": "ssim"}, "no probability density"),
        ({"name": "bernoulli"}, "no probability density"),
        ({"name": "dice"}, "unknown"),
        ({"samples": 0}, "bound nothing"),
        ({"indices": np.arange(0)}, "bound nothing"),
    ],
)
def test_bad_input_gets_a_sentence(small_model, small_set, settings, word):
    with pytest.raises(InputError, match=word):
        likelihood(**{"model": small_model, "pictures": small_set.pictures, "indices": np.arange(2)} | settings)
