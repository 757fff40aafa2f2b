import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vae_helpers.errors import InputError
from vae_helpers.latent import Support
from vae_helpers.latent import support as module

CORNERS = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
NEAR = torch.tensor([[0.0, 1.0], [10.0, 2.0], [0.0, 7.0]])  # 1, 2 and 3 from the nearest corner: typical is 2


def test_distance_in_units_of_the_typical_one_and_the_nearest_row():
    support = Support(CORNERS, torch.zeros(3, 2), NEAR, rows=np.array([40, 50, 60]))
    assert support.typical == 2
    measured = support.measure(torch.tensor([[4.0, 0.0], [10.0, 0.0], [0.0, 30.0]]))
    assert measured.distance.tolist() == [2, 0, 10] and measured.nearest.tolist() == [40, 50, 60]
    assert support.held_out.distance.tolist() == [0.5, 1, 1.5]


@pytest.mark.parametrize("at_once", [1, 50, 1 << 21])
def test_log_density_is_that_of_the_mixture(monkeypatch, at_once):
    monkeypatch.setattr(module, "_AT_ONCE", at_once)  # however the work is divided
    torch.manual_seed(0)
    mu, logvar, codes = torch.randn(20, 5), torch.randn(20, 5), 2 * torch.randn(7, 5)
    mixture = MixtureSameFamily(
        Categorical(torch.ones(20)), Independent(Normal(mu.double(), (0.5 * logvar.double()).exp()), 1)
    )
    measured = Support(mu, logvar, torch.randn(4, 5)).measure(codes)
    assert np.allclose(measured.log_density, mixture.log_prob(codes.double()).numpy())
    assert np.array_equal(measured.nearest, torch.cdist(codes, mu).argmin(dim=1).numpy())


def test_density_does_not_underflow_far_away():
    support = Support(torch.zeros(2, 128), torch.full((2, 128), -8.0), torch.ones(2, 128))
    assert np.isfinite(support.measure(torch.full((1, 128), 50.0)).log_density).all()


def test_only_active_latents_count():
    active = np.array([1])
    support = Support(CORNERS, torch.zeros(3, 2), NEAR, active)
    assert support.measure(torch.tensor([[1e6, 10.0]])).distance.tolist() == [0]


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda: Support(CORNERS, torch.zeros(3, 3), NEAR), "held-out mu"),
        (lambda: Support(CORNERS, torch.zeros(3, 2), NEAR[:, :1]), "held-out mu"),
        (lambda: Support(CORNERS, torch.zeros(3, 2), NEAR[:0]), "0 held-out codes"),
        (lambda: Support(CORNERS, torch.zeros(3, 2), CORNERS), "not trained on"),
        (lambda: Support(CORNERS, torch.zeros(3, 2), NEAR, rows=np.arange(2)), "one per code"),
        (lambda: Support(CORNERS, torch.zeros(3, 2), NEAR).measure(CORNERS[0]), r"shape \(n, 2\)"),
        (lambda: Support(CORNERS, torch.zeros(3, 2), NEAR).measure(torch.zeros(1, 3)), r"\(1, 3\)"),
        (lambda: Support(CORNERS, torch.zeros(3, 2), NEAR).measure(CORNERS[:0]), "at least 1"),
    ],
)
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        wrong()


def test_distance_alone_is_the_same_and_has_a_gradient():
    torch.manual_seed(0)
    support = Support(torch.randn(30, 4), torch.zeros(30, 4), torch.randn(9, 4), np.array([2, 0]))
    codes = torch.randn(5, 4, requires_grad=True)
    distance = support.distance(codes)
    assert np.allclose(distance.detach().numpy(), support.measure(codes).distance)
    (gradient,) = torch.autograd.grad(distance.sum(), codes)
    assert torch.allclose(gradient[:, [0, 2]].norm(dim=1), torch.full((5,), 1 / support.typical), atol=1e-5)
    assert (gradient[:, [1, 3]] == 0).all()
