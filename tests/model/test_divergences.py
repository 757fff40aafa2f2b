import math

import pytest
import torch
from torch.distributions import Normal

from vae_helpers.model import (
    Discriminator,
    decompose,
    log_aggregate,
    log_density,
    minibatch_weights,
    permute_latents,
    stratified_weights,
)

RHO, S = 0.9, 0.5  # q(z|x) = N(ρx, s²) with x ~ N(0, 1), so that q(z) = N(0, ρ² + s²)
VARIANCE = RHO**2 + S**2


def _gaussian(batch, latents, shared, seed=0):
    """z (1, B, Z), mu, logvar (B, Z); `shared`: one x stands behind all latents, else one for each."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, 1 if shared else latents, generator=generator).expand(batch, latents)
    mu, logvar = RHO * x, torch.full((batch, latents), 2 * math.log(S))
    return (mu + S * torch.randn(batch, latents, generator=generator))[None], mu, logvar


def test_log_density_is_torchs():
    z, mu, logvar = torch.randn(3, 7, 5)
    assert torch.allclose(log_density(z, mu, logvar), Normal(mu, (0.5 * logvar).exp()).log_prob(z), atol=1e-5)


def test_stratified_weights_by_hand():
    # N = 10, B = 4, so M = 3: own 1/10, one other (10-3)/(10·3), the rest 1/3
    own, one, rest = 1 / 10, 7 / 30, 1 / 3
    expected = torch.tensor(
        [[own, one, rest, rest], [rest, own, one, rest], [rest, rest, own, one], [one, rest, rest, own]]
    )
    assert torch.allclose(stratified_weights(4, 10).exp(), expected)
    for batch, pictures in ((2, 2), (2, 50), (17, 17), (64, 100_000)):
        weights = stratified_weights(batch, pictures).double().exp()
        assert torch.allclose(weights.sum(1), torch.ones(batch).double(), atol=1e-5)
        assert torch.allclose(weights.diagonal(), torch.tensor(1 / pictures).double())


def test_minibatch_weights_are_the_published_constant():
    assert torch.allclose(minibatch_weights(4, 10).exp(), torch.full((4, 4), 1 / 40))


def test_a_weight_counts_once_in_the_joint_and_once_in_each_latent():
    z, mu, logvar = torch.randn(3, 3, 2)
    joint, each = log_aggregate(z, mu, logvar, stratified_weights(3, 9))
    weights, densities = stratified_weights(3, 9).exp(), log_density(z[:, None], mu, logvar).exp()
    assert torch.allclose(joint, (weights * densities.prod(-1)).sum(1).log(), atol=1e-5)
    assert torch.allclose(each, (weights[..., None] * densities).sum(1).log(), atol=1e-5)


@pytest.mark.parametrize("kind", ["stratified", "minibatch"])
def test_estimates_agree_with_the_closed_form_of_a_gaussian(kind):
    batch, pictures = 1500, 10**6
    z, mu, logvar = _gaussian(batch, 2, shared=False)
    weights = stratified_weights(batch, pictures) if kind == "stratified" else minibatch_weights(batch, pictures)
    low = 0 if kind == "stratified" else math.log(pictures)  # what the published weights leave out
    joint, each = log_aggregate(z[0], mu, logvar, weights)
    entropy = 0.5 * math.log(2 * math.pi * math.e * VARIANCE)
    assert joint.mean().item() + low == pytest.approx(-2 * entropy, abs=0.06)
    assert (each.mean(0) + low).tolist() == pytest.approx([-entropy] * 2, abs=0.05)
    exact = Normal(0.0, VARIANCE**0.5).log_prob(z[0])
    assert (each + low - exact).abs().mean() < 0.06


@pytest.mark.parametrize("shared, batch, tolerance", [(False, 1500, 0.05), (True, 1500, 0.05)])
def test_parts_agree_with_the_closed_form(shared, batch, tolerance):
    z, mu, logvar = _gaussian(batch, 2, shared)
    parts = decompose(z, mu, logvar, stratified_weights(batch, 10**6))
    correlation = RHO**2 / VARIANCE if shared else 0.0
    tc = -0.5 * math.log(1 - correlation**2)
    information = 2 * 0.5 * math.log(VARIANCE / S**2) - tc
    prior = VARIANCE - 1 - math.log(VARIANCE)
    assert [p.item() for p in parts] == pytest.approx([information, tc, prior], abs=tolerance)
    assert shared == (tc > 0.3)


def test_the_sum_of_the_parts_is_the_kl_whatever_the_weights():
    torch.manual_seed(0)
    mu, logvar, noise = torch.randn(40, 6), torch.randn(40, 6), torch.randn(5, 40, 6)
    z = mu + torch.exp(0.5 * logvar) * noise
    for weights in (stratified_weights(40, 99), minibatch_weights(40, 99), minibatch_weights(40, 1)):
        expected = (log_density(z, mu, logvar) - Normal(0.0, 1.0).log_prob(z)).sum(-1).mean()
        assert sum(decompose(z, mu, logvar, weights)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_mutual_information_lies_between_zero_and_ln_n():
    for spread in (0.0, 0.3, 3.0, 100.0):
        torch.manual_seed(0)
        mu = spread * torch.randn(64, 4)
        z = (mu + torch.randn(64, 4))[None]
        information = decompose(z, mu, torch.zeros(64, 4), stratified_weights(64, 64))[0].item()
        assert -1e-4 <= information <= math.log(64) + 1e-4
        if spread in (0.0, 100.0):  # nothing, and all
            assert information == pytest.approx(0 if spread == 0 else math.log(64), abs=1e-4)


def test_128_latents_do_not_underflow():
    torch.manual_seed(0)
    mu, logvar = 3 * torch.randn(8, 128), torch.full((8, 128), -4.0)
    mu.requires_grad_()
    z = mu + torch.exp(0.5 * logvar) * torch.randn(1, 8, 128)
    joint, _ = log_aggregate(z[0], mu, logvar, stratified_weights(8, 1000))
    assert (
        torch.exp(log_density(z[0, :, None], mu, logvar).sum(-1)).isinf().any()
        or (torch.exp(log_density(z[0][:, None], mu, logvar).sum(-1)) == 0).any()
    )  # what exp first would have met
    own = log_density(z[0], mu, logvar).sum(-1) - math.log(1000)  # the others are too far to matter
    assert torch.allclose(joint, own, rtol=1e-5)
    sum(decompose(z, mu, logvar, stratified_weights(8, 1000))).backward()
    assert torch.isfinite(mu.grad).all()


def test_permuting_keeps_each_latents_values_and_breaks_their_ties():
    z = torch.arange(300.0)[:, None].expand(300, 3)
    one, same, other = (permute_latents(z, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.sort(0).values, z) and torch.equal(one, same) and not torch.equal(one, other)
    assert torch.corrcoef(one.T).fill_diagonal_(0).abs().max() < 0.2


def test_the_discriminator_has_the_papers_shape():
    shapes = [tuple(layer.weight.shape) for layer in Discriminator(10).layers]
    assert shapes == [(1000, 10)] + [(1000, 1000)] * 4 + [(1, 1000)]
    assert Discriminator(10, 3, 8)(torch.zeros(2, 5, 10)).shape == (2, 5)
