import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from vae_helpers.errors import InputError
from vae_helpers.model import (
    CONVENTIONS,
    BetaVAE,
    VAEConfig,
    beta_vae_loss,
    kl_per_dimension,
    squared_error,
    translate_beta,
)


def test_kl_agrees_with_torch_distributions():
    mu, logvar = torch.randn(50, 6) * 2, torch.randn(50, 6) * 3
    expected = kl_divergence(Normal(mu.double(), (0.5 * logvar).double().exp()), Normal(0.0, 1.0))
    assert torch.allclose(kl_per_dimension(mu, logvar).double(), expected, rtol=1e-5)


def test_kl_near_collapse_keeps_its_digits():
    mu, logvar = torch.full((1,), 1e-4), torch.full((1,), 1e-4)
    expected = 0.5 * (1e-8 + (torch.expm1(logvar.double()) - logvar.double()))
    assert torch.allclose(kl_per_dimension(mu, logvar).double(), expected, rtol=1e-3)
    assert kl_per_dimension(torch.zeros(3), torch.zeros(3)).sum() == 0


def test_squared_error_is_the_gaussian_log_density_up_to_a_constant():
    x, x_hat = torch.rand(2, 4, 3, 8, 8) * 2 - 1
    log_p = Independent(Normal(x_hat.double(), 0.5**0.5), 3).log_prob(x.double())
    constant = 3 * 8 * 8 / 2 * torch.log(torch.tensor(torch.pi).double())
    assert torch.allclose(squared_error(x_hat, x).double(), -log_p - constant, rtol=1e-5)


def test_loss_by_hand():
    x, x_hat = torch.zeros(2, 3, 4, 4), torch.stack([torch.full((2, 3, 4, 4), 0.5), torch.full((2, 3, 4, 4), -0.5)])
    mu, logvar = torch.tensor([[2.0], [0.0]]), torch.zeros(2, 1)
    loss = beta_vae_loss(x_hat, x, mu, logvar, beta=3.0)
    # 48 pixels of error ¼ each; KL is 2²/2 for one picture and 0 for the other.
    assert (loss.reconstruction, loss.kl, loss.total) == (12.0, 1.0, 15.0)


def test_samples_are_penalised_one_by_one_and_not_on_average():
    x = torch.zeros(1, 3, 4, 4)
    opposite = torch.stack([x + 0.5, x - 0.5])  # their mean is perfect, neither is
    assert beta_vae_loss(opposite, x, torch.zeros(1, 1), torch.zeros(1, 1)).reconstruction == 12.0


def test_one_batch_overfits():
    torch.manual_seed(0)
    model = BetaVAE(VAEConfig(32, 8, (16, 32, 32), decoder_norm="batch"))
    x = torch.rand(4, 3, 1, 1).expand(4, 3, 32, 32) * 2 - 1 + 0.2 * torch.randn(4, 3, 32, 32).cumsum(3).tanh()
    optimizer, errors = torch.optim.Adam(model.parameters(), 3e-3), []
    for _ in range(150):
        x_hat, mu, logvar = model(x, torch.randn(1, 4, 8))
        loss = beta_vae_loss(x_hat, x, mu, logvar, beta=0.01)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        errors.append(loss.reconstruction.item())
    assert errors[-1] < 0.1 * errors[0]


@pytest.mark.parametrize(
    "source, size, canonical",
    [
        ("ours", 128, 1 / 8),
        ("pythae", 128, 1),
        ("disentanglement_lib", 64, 1 / 2),
        ("antixk", 64, 1.536),
        ("yannDubs", 64, 1 / 510),
        ("mean", 128, 192),
    ],
)
def test_a_beta_means_what_the_table_says(source, size, canonical):
    assert translate_beta(2.0, source, image_size=size) == pytest.approx(2 * canonical)
    for target in CONVENTIONS:
        there = translate_beta(2.0, source, target, size, 10)
        assert translate_beta(there, target, source, size, 10) == pytest.approx(2.0)


def test_translated_losses_are_multiples_of_one_another():
    """Each loss as its code base writes it, on the same pictures: only a factor may lie between them."""
    torch.manual_seed(0)
    d, kl, latents = torch.rand(3, 32, 32).double(), 7.0, 6  # the difference on [0, 1] pixels
    written = {
        "canonical": lambda d, beta: d.square().sum() / 2 + beta * kl,
        "ours": lambda d, beta: (2 * d).square().sum() + beta * kl,
        "pythae": lambda d, beta: d.square().sum() / 2 + beta * kl,
        "disentanglement_lib": lambda d, beta: d.square().sum() + beta * kl,
        "antixk": lambda d, beta: d.square().mean() + 2.5e-4 * beta * kl,
        "yannDubs": lambda d, beta: (255 * d).square().sum() / 255 + beta * kl,
        "mean": lambda d, beta: d.square().mean() + beta * kl / latents,
    }
    assert set(written) == set(CONVENTIONS)
    for name, loss in written.items():
        beta = translate_beta(3.0, "ours", name, 32, latents)
        ratios = [(loss(each, beta) / written["ours"](each, 3.0)).item() for each in (d, d / 7)]
        assert ratios[0] == pytest.approx(ratios[1], rel=1e-9), name


@pytest.mark.parametrize(
    "arguments, word",
    [
        ((1.0, "their"), "convention 'their' is unknown; choose one of canonical, ours"),
        ((1.0, "ours", "mine"), "'mine'"),
        ((-1.0, "ours"), "beta is -1"),
        ((float("nan"), "ours"), "beta is nan"),
        ((1.0, "ours", "mean", 0), "image_size 0"),
        ((1.0, "ours", "mean", 64, 0), "latents 0"),
    ],
)
def test_what_cannot_be_translated_gets_a_sentence(arguments, word):
    with pytest.raises(InputError, match=word):
        translate_beta(*arguments)
