"""Latents on the scale of their prior: the same pictures, the least KL, and nothing else changed."""

import copy

import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import encode_pictures
from vae_helpers.model import BetaVAE, VAEConfig, kl_per_dimension, standardise_latents


@pytest.fixture(params=["instance", "adaptive", "batch"])
def off_scale(request):
    """A model whose latents are shifted, and from nearly silent to far too large; and pictures for it."""
    torch.manual_seed(1)
    model = BetaVAE(VAEConfig(32, 6, (8, 16, 32), decoder_norm=request.param)).eval()
    with torch.no_grad():
        model.encoder.mu.weight.mul_(torch.tensor([0.01, 0.1, 0.5, 1.0, 3.0, 1.0])[:, None])
        model.encoder.mu.bias.copy_(torch.tensor([0.0, 2.0, -1.0, 0.3, 5.0, 0.0]))
        model.encoder.logvar.weight.normal_(std=0.05)
        model.encoder.logvar.bias.copy_(torch.tensor([0.0, -1.0, -4.0, -6.0, -2.0, 0.5]))
        for block in model.decoder.blocks:
            if request.param == "adaptive":
                block.norm.style.weight.normal_(std=0.3)
    pictures = np.random.default_rng(0).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
    pictures[:, :16] //= np.arange(1, 65, dtype=np.uint8)[:, None, None, None] // 8 + 1  # they differ in light
    return model, pictures


def _kl(mu, logvar):
    return kl_per_dimension(mu, logvar).mean(dim=0)


def test_codes_get_the_mean_and_variance_of_the_prior_and_pictures_stay(off_scale):
    model, pictures = off_scale
    mu, logvar = encode_pictures(model, pictures)
    whole = copy.deepcopy(model)
    assert standardise_latents(model, mu, logvar) is model
    new_mu, new_logvar = encode_pictures(model, pictures)
    spread = (mu.var(dim=0, correction=0) + logvar.exp().mean(dim=0)).sqrt()
    torch.testing.assert_close(new_mu, (mu - mu.mean(dim=0)) / spread, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(new_logvar, logvar - 2 * spread.log(), atol=0.05, rtol=0)
    torch.testing.assert_close(
        new_mu.var(dim=0, correction=0) + new_logvar.exp().mean(dim=0), torch.ones(6), atol=0.03, rtol=0
    )
    with torch.no_grad():
        torch.testing.assert_close(model.decode(new_mu), whole.decode(mu), atol=2e-3, rtol=0)
        z = torch.randn(8, 6)
        assert (model.decode(z) - whole.decode(z)).abs().max() > 0.05  # another place: the prior's samples have moved


def test_no_other_shift_or_scale_has_a_smaller_kl(off_scale):
    model, pictures = off_scale
    before = encode_pictures(model, pictures)
    standardise_latents(model, *before)
    mu, logvar = encode_pictures(model, pictures)
    least = _kl(mu, logvar)
    assert (least <= _kl(*before) + 2e-3).all() and least.sum() < 0.9 * _kl(*before).sum()
    for shift, scale in ((0.2, 1.0), (-0.2, 1.0), (0.0, 1.2), (0.0, 0.8)):
        other = _kl(scale * mu + shift, logvar + 2 * np.log(scale))
        assert (other > least).all(), (shift, scale)


def test_latents_that_are_so_already_stay(off_scale):
    model, pictures = off_scale
    standardise_latents(model, *encode_pictures(model, pictures))
    standardise_latents(model, *encode_pictures(model, pictures))
    once = copy.deepcopy(model)
    standardise_latents(model, *encode_pictures(model, pictures))
    for one, other in zip(once.parameters(), model.parameters()):
        torch.testing.assert_close(one, other, atol=2e-2, rtol=2e-2)


def test_one_picture_has_no_variance(small_model):
    with pytest.raises(InputError, match="at least 2 pictures"):
        standardise_latents(small_model, torch.zeros(1, 8), torch.zeros(1, 8))
