import math

import pytest
import torch
from torch.distributions import ContinuousBernoulli, Independent, Laplace, Normal

from vae_helpers.errors import InputError
from vae_helpers.model import (
    BetaVAE,
    VAEConfig,
    calibrated,
    distortion,
    grey_level,
    kl_per_dimension,
    langevin,
    log_continuous_constant,
    log_normaliser,
    negative_log_likelihood,
    normalised_nll,
    output_for,
    squared_error,
    wants_activation,
)
from vae_helpers.settings import LIKELIHOODS

D = 3 * 16 * 16


@pytest.fixture
def drawn():
    """Activations (2, 4, 3, 16, 16) of two samples of four pictures, and the pictures."""
    torch.manual_seed(0)
    return torch.randn(2, 4, 3, 16, 16), torch.rand(4, 3, 16, 16) * 2 - 1


def test_the_default_is_the_plain_squared_error_bit_for_bit(drawn):
    a, x = drawn
    assert torch.equal(negative_log_likelihood("gaussian", a, x), squared_error(torch.tanh(a), x))
    assert torch.allclose(negative_log_likelihood("gaussian", a, x, scale=0.5**0.5), squared_error(torch.tanh(a), x))


@pytest.mark.parametrize(
    "name, scale, density",
    [
        ("gaussian", None, lambda a: Normal(torch.tanh(a), 0.5**0.5)),
        ("gaussian", 0.1, lambda a: Normal(torch.tanh(a), 0.1)),
        ("laplace", None, lambda a: Laplace(torch.tanh(a), 0.5)),
        ("laplace", 0.2, lambda a: Laplace(torch.tanh(a), 0.2)),
    ],
)
def test_normalised_terms_are_torchs_log_densities(drawn, name, scale, density):
    a, x = drawn
    expected = -Independent(density(a.double()), 3).log_prob(x.double())
    assert torch.allclose(normalised_nll(name, a, x, scale).double(), expected, rtol=1e-5)


def test_continuous_bernoulli_is_torchs_and_a_density_on_both_scales(drawn):
    a, x = drawn
    targets = (x.double() + 1) / 2
    expected = -Independent(ContinuousBernoulli(logits=2 * a.double()), 3).log_prob(targets)
    assert torch.allclose(negative_log_likelihood("continuous-bernoulli", a, x).double(), expected, rtol=1e-4)
    # One value, by the trapezoid rule over x in [-1, 1]: the density integrates to 1.
    grid = torch.linspace(-1, 1, 20_001).double()
    whole = torch.zeros(len(grid), 1, 1, 1, dtype=torch.float64) + grid[:, None, None, None]
    cost = normalised_nll("continuous-bernoulli", torch.full((1, 1, 1), 0.7), whole)
    assert torch.trapezoid(torch.exp(-cost.double()), grid).item() == pytest.approx(1, abs=1e-4)


def test_the_continuous_constant_agrees_with_numerical_integration_and_is_smooth_at_one_half():
    a = torch.tensor(
        [-9.0, -1.0, -0.2001, -0.1999, -1e-3, 0.0, 1e-6, 0.1, 0.1999, 0.2001, 2.0, 20.0], requires_grad=True
    )
    t = torch.linspace(0, 1, 200_001).double()
    area = torch.stack(
        [torch.trapezoid(torch.exp(t * 2 * v - torch.nn.functional.softplus(2 * v)), t) for v in a.detach().double()]
    )
    value = log_continuous_constant(a)
    assert torch.allclose(value.double(), -area.log(), atol=2e-6)
    (gradient,) = torch.autograd.grad(value.sum(), a)
    exact = torch.where(a == 0, 0.0, 1 / a.double() - 2 / torch.sinh(2 * a.double()))
    assert torch.allclose(gradient.double(), exact.nan_to_num(), atol=5e-6)


def test_calibrated_is_the_best_of_all_variances(drawn):
    a, x = drawn
    errors = squared_error(torch.tanh(a), x)
    shared, each = (negative_log_likelihood(name, a, x) for name in ("calibrated", "calibrated-each"))
    mse = errors.mean() / D
    # The value of Rybkin 2021: D/2·log MSE, up to D/2
    assert shared.mean().item() == pytest.approx(D / 2 * (math.log(mse) + 1), rel=1e-5)
    assert torch.allclose(each, D / 2 * (torch.log(errors / D) + 1), rtol=1e-5)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert calibrated(errors, mse * factor, D).mean() > shared.mean()
    assert (each <= shared + 1e-3).all()
    normal = Independent(Normal(torch.tanh(a).double(), mse.double().sqrt()), 3)
    assert torch.allclose(normalised_nll("calibrated", a, x).double(), -normal.log_prob(x.double()), rtol=1e-5)


def test_calibrated_has_the_gradient_of_the_logarithm_and_a_floor(drawn):
    a, x = drawn
    a.requires_grad_()
    (gradient,) = torch.autograd.grad(distortion("calibrated", a, x).mean(), a)
    (expected,) = torch.autograd.grad(D / 2 * torch.log(squared_error(a, x).mean() / D), a)
    assert torch.allclose(gradient, expected, rtol=1e-4, atol=1e-9)
    perfect = distortion("calibrated", x, x)
    assert torch.isfinite(perfect).all() and perfect[0].item() == pytest.approx(
        D * math.log(2 / 255 / 12**0.5), rel=1e-5
    )


def test_the_picture_shown_under_the_continuous_bernoulli_is_its_mean():
    a = torch.tensor([-6.0, -2.0, -0.51, -0.49, -1e-4, 0.0, 0.3, 0.49, 0.51, 5.0], requires_grad=True)
    shown = langevin(a)
    expected = 2 * ContinuousBernoulli(logits=2 * a.detach().double(), lims=(0.4999, 0.5001)).mean - 1
    assert torch.allclose(shown.double(), expected, atol=1e-6)
    (slope,) = torch.autograd.grad(shown.sum(), a)
    assert torch.isfinite(slope).all() and slope[5] == pytest.approx(1 / 3) and slope.min() > 0
    torch.manual_seed(0)
    model, z = BetaVAE(VAEConfig(16, 4, output=output_for("continuous-bernoulli"))).eval(), torch.randn(3, 4)
    assert torch.equal(model.decode(z), langevin(model.decode(z, activation=True)))
    assert VAEConfig(**model.config.as_dict()) == model.config and "output" not in VAEConfig(16, 4).as_dict()


def test_two_processes_share_the_variance(drawn):
    a, x = drawn
    whole = distortion("calibrated", a, x)
    totals = torch.stack([squared_error(a, x).sum(), torch.tensor(8.0)])
    half = distortion("calibrated", a[:, :1], x[:1], total=lambda own: totals)
    assert torch.allclose(half, whole[:, :1])


def test_bernoulli_by_hand():
    x, a = torch.tensor([-1.0, 0.0, 1.0]).reshape(3, 1, 1), torch.full((3, 1, 1), 0.5)  # targets 0, ½, 1, logit 1
    expected = 3 * math.log(1 + math.e) - 1.5
    assert negative_log_likelihood("bernoulli", a, x).item() == pytest.approx(expected)
    far = negative_log_likelihood("bernoulli", torch.full((3, 1, 1), 60.0), torch.full((3, 1, 1), -1.0))
    assert far.item() == pytest.approx(360)  # from tanh(60) = 1 no logit would come back


def test_ssim_weighs_squared_error_and_likeness(drawn):
    a, x = drawn
    errors = squared_error(torch.tanh(a), x)
    parts = [negative_log_likelihood("ssim", a, x, scale) for scale in (0.25, 0.5, 1.0)]
    assert torch.allclose(parts[0] - 0.75 * errors, (parts[1] - 0.5 * errors) / 2, rtol=1e-4)
    assert (parts[2] > 0).all() and (parts[2] < 2 * D).all()
    same = torch.atanh(x.clamp(-0.999, 0.999))
    assert negative_log_likelihood("ssim", same, x).abs().max() < 0.1
    # Of two flat pictures, at 0.2 and 0.8 of the range, only the luminance term is left (Wang 2004, eq. 6).
    flat = torch.full((1, 3, 16, 16), -0.6)
    cost = negative_log_likelihood("ssim", torch.atanh(-flat), flat, 1.0).item()
    assert cost == pytest.approx(D * (1 - (2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4)), rel=1e-3)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_shapes_gradients_and_a_level_that_grey_stays_below(drawn, name):
    a, x = drawn[0].clone().requires_grad_(), drawn[1]
    cost = negative_log_likelihood(name, a, x)
    cost.sum().backward()
    assert cost.shape == (2, 4) and torch.isfinite(a.grad).all() and a.grad.abs().sum() > 0
    extremes = torch.cat([x, x.sign(), torch.ones_like(x[:1])])
    for scale in (None, 0.3) if name in ("gaussian", "laplace", "ssim") else (None,):
        grey = negative_log_likelihood(name, torch.zeros(9, 3, 16, 16), extremes, scale)
        assert 0 < grey_level(name, D, scale) and grey.max() <= grey_level(name, D, scale) + 1e-3


def test_the_decoder_hands_out_what_it_puts_into_tanh():
    torch.manual_seed(0)
    model, z = BetaVAE(VAEConfig(16, 4)).eval(), torch.randn(2, 3, 4)
    a = model.decode(z, activation=True)
    assert torch.equal(torch.tanh(a), model.decode(z)) and a.abs().max() > 1
    x = torch.rand(3, 3, 16, 16) * 2 - 1
    assert torch.equal(torch.tanh(model(x, torch.zeros(1, 3, 4), True)[0]), model(x, torch.zeros(1, 3, 4))[0])
    assert wants_activation("bernoulli") and not wants_activation("gaussian")


@pytest.mark.parametrize(
    "name, scale, words",
    [
        ("gauss", None, "likelihood 'gauss' is unknown; choose one of gaussian, calibrated"),
        ("calibrated", 0.1, "takes no scale.*gaussian, laplace, ssim"),
        ("gaussian", 0.0, "scale is 0.0, .* from 1e-06"),
        ("laplace", math.nan, "is nan"),
        ("gaussian", math.inf, "to 1e[+]06"),
        ("ssim", 1.5, "to 1[.]"),
    ],
)
def test_unknown_names_and_scales_get_a_sentence(drawn, name, scale, words):
    with pytest.raises(InputError, match=words):
        negative_log_likelihood(name, *drawn, scale)


def test_what_is_no_density_has_no_constant_and_small_pictures_no_ssim():
    for name in ("bernoulli", "ssim"):
        with pytest.raises(InputError, match="no probability density"):
            log_normaliser(name, D)
    with pytest.raises(InputError, match="11-pixel window"):
        negative_log_likelihood("ssim", torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _probabilistic_pca(flat, latents, s):
    """W·Wᵀ and mean negative log-likelihood of the best model of centred data (N, D) with noise s."""
    values, vectors = (part.flip(-1) for part in torch.linalg.eigh(flat.T @ flat / len(flat)))
    gain = (values[:latents] - s**2).clamp_min(0)
    assert (gain > 0).sum() == 2  # the third latent has nothing to tell, and collapses
    best = vectors[:, :latents] @ torch.diag(gain) @ vectors[:, :latents].T
    width = flat.shape[1]
    model = torch.distributions.MultivariateNormal(torch.zeros(width), best + s**2 * torch.eye(width))
    return best, -model.log_prob(flat).mean().item()


def test_the_optimum_of_a_linear_vae_is_probabilistic_pca(float64):
    """Lucas 2019: no other optimum, and the bound is tight there (Tipping & Bishop 1999, eq. 7 and 15 for given s²)."""
    torch.manual_seed(0)
    n, latents, s = 400, 3, 0.4
    spread = torch.diag(torch.tensor([1.5, 1.0, *[0.2] * 10]))
    data = torch.randn(n, 12) @ spread @ torch.linalg.qr(torch.randn(12, 12))[0]
    x = (data - data.mean(0)).reshape(n, 3, 2, 2)
    flat = x.reshape(n, 12)
    weights, encoder = torch.randn(12, latents) * 0.3, torch.randn(latents, 12) * 0.3
    parameters = [weights, encoder, logvar := torch.zeros(latents)]
    for tensor in parameters:
        tensor.requires_grad_()
    # 2·Z samples at ±√Z·σ along each axis have a Gaussian's mean and covariance: exact for a squared error.
    points = latents**0.5 * torch.cat([torch.eye(latents), -torch.eye(latents)])
    tight = {"tolerance_grad": 1e-9, "tolerance_change": 1e-13, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS(parameters, max_iter=400, **tight)

    def bound():
        optimizer.zero_grad()
        mu = flat @ encoder.T
        z = BetaVAE.reparameterize(mu, logvar, points[:, None].expand(-1, n, -1))
        x_hat = (z @ weights.T).reshape(-1, *x.shape)
        # In float64 here: the package's own terms take float32.
        cost = (x_hat - x).square().sum((-3, -2, -1)) / (2 * s**2)
        kl = 0.5 * (mu.square() + torch.expm1(logvar) - logvar)
        assert torch.allclose(distortion("gaussian", x_hat, x, s).double(), cost, rtol=1e-4)
        assert torch.allclose(kl_per_dimension(mu, logvar.expand_as(mu)).double(), kl, rtol=1e-3, atol=1e-5)
        loss = cost.mean() + kl.sum(-1).mean()
        loss.backward()
        return loss

    optimizer.step(bound)
    best, expected = _probabilistic_pca(flat, latents, s)
    assert torch.allclose(weights @ weights.T, best, atol=5e-3)
    assert bound().item() + log_normaliser("gaussian", 12, s) == pytest.approx(expected, abs=1e-4)
