import numpy as np
import pytest
import torch

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.latent import encode_pictures
from vae_helpers.model import kl_per_dimension, losses, psnr, psnr_of
from vae_helpers.scores import evaluate, ssim_of


def test_psnr_by_hand():
    black, grey = np.zeros((2, 8, 8, 3), np.uint8), np.full((2, 8, 8, 3), 51, np.uint8)  # 51/255 = 0.2, MSE 0.04
    assert np.allclose(psnr_of(grey, black), -10 * np.log10(0.04), atol=1e-4)
    assert psnr(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)) == 100


def test_ssim_of_equal_shifted_and_unrelated_pictures():
    rng = np.random.default_rng(0)
    noise, other = rng.integers(0, 256, (2, 70, 32, 32, 3), dtype=np.uint8)
    assert np.allclose(ssim_of(noise, noise), 1, atol=1e-5)
    assert np.abs(ssim_of(noise, other)).max() < 0.15
    # Of two flat pictures only the luminance term is left: (2ab + c) / (a² + b² + c) with c = 0.01² (Wang 2004, eq. 6).
    dark, light = np.full((1, 32, 32, 3), 51, np.uint8), np.full((1, 32, 32, 3), 204, np.uint8)
    assert ssim_of(dark, light)[0] == pytest.approx((2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4), abs=1e-3)


def test_ssim_refuses_what_it_cannot_compare():
    small = np.zeros((1, 8, 8, 3), np.uint8)
    with pytest.raises(InputError, match="at least 16"):
        ssim_of(small, small)


def test_evaluate_averages_over_all_pictures_whatever_the_batch(small_model, small_set):
    rows = np.arange(37)
    one, other = (evaluate(small_model, small_set.pictures, rows, beta=2.0, batch_size=b) for b in (37, 8))
    assert one.as_dict() == pytest.approx(other.as_dict(), rel=1e-4)
    assert one.total == pytest.approx(one.reconstruction + 2 * one.kl)
    mu, logvar = encode_pictures(small_model, small_set.pictures[:37])
    assert one.kl == pytest.approx(kl_per_dimension(mu, logvar).sum(1).mean().item(), rel=1e-4)


def test_psnr_is_that_of_the_mean_and_not_of_a_sample(small_model, small_set):
    with torch.no_grad():
        small_model.encoder.logvar.bias.fill_(1.0)
    rows = np.arange(20)
    mu, logvar = small_model.encode(x := to_float(small_set.pictures[rows]))
    for likelihood in ("gaussian", "bernoulli"):
        found = evaluate(small_model, small_set.pictures, rows, likelihood=likelihood)
        assert found.psnr == pytest.approx(psnr(small_model.decode(mu), x).mean().item(), abs=1e-4)
        noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(0))
        sampled = small_model.decode(small_model.reparameterize(mu, logvar, noise))
        assert abs(found.psnr - psnr(sampled, x).mean().item()) > 0.01


def test_pictures_are_compared_in_chunks(monkeypatch):
    sizes, convert = [], losses.to_float
    monkeypatch.setattr(losses, "to_float", lambda part: sizes.append(len(part)) or convert(part))
    a, b = np.random.default_rng(0).integers(0, 256, (2, 150, 4, 4, 3), dtype=np.uint8)
    by_hand = -10 * np.log10(((a / 255.0 - b / 255.0) ** 2).mean(axis=(1, 2, 3)))
    assert np.allclose(psnr_of(a, b), by_hand, atol=1e-3) and max(sizes) <= 64
    with pytest.raises(InputError, match="equal shapes"):
        psnr_of(a, b[:9])


def test_scoring_twice_gives_the_same(small_model, small_set):
    rows = small_set.split.validation
    assert (
        evaluate(small_model, small_set.pictures, rows).as_dict()
        == evaluate(small_model, small_set.pictures, rows).as_dict()
    )


def test_a_model_in_training_is_not_scored(small_model, small_set):
    with pytest.raises(InputError, match="eval"):
        evaluate(small_model.train(), small_set.pictures, np.arange(4))


def test_evaluate_scores_by_the_runs_own_loss(small_model, small_set):
    rows = np.arange(37)

    def score(**how):
        return evaluate(small_model, small_set.pictures, rows, **how)

    plain, values = score(), 3 * 32 * 32
    assert score(likelihood="gaussian", scale=0.1).reconstruction == pytest.approx(plain.reconstruction * 50, rel=1e-5)
    gap = score(beta=10.0, capacity=3.0)
    assert gap.total == pytest.approx(plain.reconstruction + 10 * abs(plain.kl - 3), rel=1e-6)
    best = values / 2 * (np.log(plain.reconstruction / values) + 1)  # one variance for all, whatever the batch
    for batch_size in (8, 37):
        scores = score(likelihood="calibrated", beta=2.0, batch_size=batch_size)
        assert scores.reconstruction == pytest.approx(best, rel=1e-4)
        assert scores.total == pytest.approx(best + 2 * plain.kl, rel=1e-4)
    for likelihood in ("bernoulli", "continuous-bernoulli", "laplace", "ssim", "calibrated-each"):
        other = score(likelihood=likelihood)
        assert other.psnr == pytest.approx(plain.psnr, rel=1e-5) and other.kl == pytest.approx(plain.kl, rel=1e-6)
        assert np.isfinite(other.total) and other.total == pytest.approx(other.reconstruction + other.kl, rel=1e-5)
    with pytest.raises(InputError, match="unknown"):
        score(likelihood="poisson")
