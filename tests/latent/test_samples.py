import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import (
    decode_codes,
    encode_pictures,
    reconstruct,
    sample_chart,
    sample_fitted,
    sample_mixture,
    sample_posterior,
    sample_prior,
    samples,
    samples_by_kind,
)


def test_looking_twice_shows_the_same(small_model, noise_pictures):
    for look in (
        lambda: reconstruct(small_model, noise_pictures),
        lambda: sample_prior(small_model, 5, seed=3),
        lambda: sample_posterior(small_model, noise_pictures, seed=3),
    ):
        assert np.array_equal(look(), look())
    assert not np.array_equal(sample_prior(small_model, 5, seed=3), sample_prior(small_model, 5, seed=4))


def test_fitted_samples_lie_where_the_codes_lie(small_model, monkeypatch):
    drawn = []
    monkeypatch.setattr(samples, "decode_codes", lambda model, codes: drawn.append(codes))
    mu = torch.randn(5000, 1) * torch.tensor([[2.0, -2.0, 0.0]]) + torch.tensor([5.0, 0.0, 1.0])  # one line in three
    noise = 2.0  # as large as the scatter of the means: a sample without it would be seen
    sample_fitted(small_model, mu, torch.full_like(mu, np.log(noise)), n=20_000, seed=1)
    codes = drawn[0].double()
    expected = np.array([[4 + noise, -4, 0], [-4, 4 + noise, 0], [0, 0, noise]])
    assert np.allclose(codes.mean(0), [5, 0, 1], atol=0.1)
    assert np.allclose(np.cov(codes.numpy().T), expected, atol=0.2)


def test_a_mixture_follows_a_ring_whose_hollow_one_gaussian_fills(small_model, monkeypatch):
    drawn = []
    monkeypatch.setattr(samples, "decode_codes", lambda model, codes: drawn.append(codes))
    turn = torch.rand(2000, 1, generator=torch.Generator().manual_seed(0)) * 2 * torch.pi
    mu = torch.cat([5 * turn.cos() + 3, 5 * turn.sin(), torch.full_like(turn, 7.0)], dim=1)  # the last never moves
    logvar = torch.full_like(mu, np.log(0.1**2))
    for draw in (sample_mixture, sample_fitted):
        draw(small_model, mu, logvar, 500, seed=2)
    mixture, fitted = ((codes[:, :2] - torch.tensor([3.0, 0.0])).norm(dim=1) for codes in drawn)
    assert ((mixture > 4) & (mixture < 6)).float().mean() > 0.95 > 2 * ((fitted > 4) & (fitted < 6)).float().mean()
    assert torch.allclose(drawn[0][:, 2].mean(), torch.tensor(7.0), atol=0.02)
    assert np.isclose(drawn[0][:, 2].std(), 0.1, rtol=0.1)  # the encoder's own spread
    sides = drawn[0][:250, 0] > 3, drawn[0][250:, 0] > 3
    assert abs(sides[0].float().mean() - sides[1].float().mean()) < 0.12  # not one Gaussian after the other
    with pytest.raises(InputError, match="99 codes are too few for a mixture"):
        sample_mixture(small_model, mu[:99], logvar[:99], 1)


class _Chart:
    """Has one code to give, moved by the seed."""

    def sample(self, n, seed=0):
        return torch.full((n, 8), float(seed))


def test_each_kind_of_sample_is_the_one_it_is_called(small_model, noise_pictures):
    mu, logvar = encode_pictures(small_model, noise_pictures)
    assert np.array_equal(
        sample_chart(small_model, _Chart(), 2, seed=3), decode_codes(small_model, torch.full((2, 8), 3.0))
    )
    drawn = samples_by_kind(small_model, mu, logvar, _Chart(), n=3, seed=5)
    assert list(drawn) == ["prior", "fitted", "chart"]
    assert np.array_equal(drawn["prior"], sample_prior(small_model, 3, 5))
    assert np.array_equal(drawn["fitted"], sample_fitted(small_model, mu, logvar, 3, 5))
    assert np.array_equal(drawn["chart"], sample_chart(small_model, _Chart(), 3, 5))
    assert list(samples_by_kind(small_model, mu, logvar, n=3)) == ["prior", "fitted"]
    many = mu.repeat(60, 1)[:100], logvar.repeat(60, 1)[:100]
    drawn = samples_by_kind(small_model, *many, n=3, seed=5)
    assert list(drawn) == ["prior", "fitted", "mixture"]
    assert np.array_equal(drawn["mixture"], sample_mixture(small_model, *many, 3, 5))
