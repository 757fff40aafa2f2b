import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE, DecoderBlock, EncoderBlock, InstanceNorm, VAEConfig, beta_vae_loss
from vae_helpers.settings import DECODER_NORMS


def test_specified_model_has_the_specified_shape():
    model = BetaVAE().eval()
    assert sum(p.numel() for p in model.parameters()) == 7_512_035
    assert [tuple(b.conv.weight.shape[:2]) for b in model.encoder.blocks] == [
        (32, 3),
        (64, 32),
        (128, 64),
        (256, 128),
        (512, 256),
    ]
    assert [tuple(b.conv.weight.shape) for b in model.decoder.blocks] == [
        (256, 512, 3, 3),
        (128, 256, 3, 3),
        (64, 128, 3, 3),
        (32, 64, 3, 3),
    ]
    assert tuple(model.decoder.out.weight.shape) == (3, 32, 3, 3)
    x = torch.rand(2, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        x_hat, mu, logvar = model(x, torch.randn(4, 2, 128))
    assert x_hat.shape == (4, 2, 3, 128, 128) and mu.shape == logvar.shape == (2, 128)
    assert x_hat.abs().max() < 1


@pytest.mark.parametrize("size, blocks", [(32, 3), (64, 4), (256, 6)])
@pytest.mark.parametrize("norm", DECODER_NORMS)
def test_other_sizes_and_norms_train(size, blocks, norm):
    model = BetaVAE(VAEConfig(image_size=size, latent_dim=7, decoder_norm=norm))
    assert len(model.encoder.blocks) == blocks
    x_hat, mu, _ = model(torch.zeros(2, 3, size, size), torch.zeros(1, 2, 7))
    assert x_hat.shape == (1, 2, 3, size, size) and mu.shape == (2, 7)
    x_hat.square().sum().backward()
    assert all(p.grad is not None for p in model.decoder.parameters() if p.requires_grad)


def test_state_dict_is_that_of_the_plain_architecture():
    names = set(BetaVAE().state_dict())
    assert {
        "encoder.blocks.0.conv.weight",
        "encoder.blocks.0.norm.running_mean",
        "encoder.mu.weight",
        "encoder.logvar.bias",
        "decoder.linear.weight",
        "decoder.blocks.3.conv.weight",
        "decoder.out.bias",
    } <= names
    assert not any("fold" in name or "half" in name for name in names)


def test_instance_norm_equals_pytorchs():
    x = torch.randn(3, 5, 8, 8) * 3 + 2
    assert torch.allclose(InstanceNorm(5)(x, torch.zeros(3, 2)), nn.InstanceNorm2d(5)(x), atol=1e-5)


def test_adaptive_norm_takes_scale_and_shift_from_the_code():
    norm = InstanceNorm(2, latent_dim=1)
    with torch.no_grad():
        norm.style.weight.zero_()
        norm.style.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 5.0]))  # gains 1+1 and 1+0, shifts 0 and 5
    out = norm(torch.randn(4, 2, 16, 16), torch.zeros(4, 1))
    assert torch.allclose(out.mean((2, 3)), torch.tensor([0.0, 5.0]).expand(4, 2), atol=1e-4)
    assert torch.allclose(out.std((2, 3), correction=0), torch.tensor([2.0, 1.0]).expand(4, 2), atol=1e-3)


def test_reparameterize_is_mu_plus_sigma_noise():
    mu, logvar = torch.tensor([[1.0, -2.0]]), torch.log(torch.tensor([[4.0, 9.0]]))
    assert torch.allclose(
        BetaVAE.reparameterize(mu, logvar, torch.tensor([[[1.0, -1.0]]])), torch.tensor([[[3.0, -5.0]]])
    )


def test_logvar_is_bounded_and_keeps_a_gradient():
    model = BetaVAE(VAEConfig(32, 4, (4, 8, 8))).eval()
    with torch.no_grad():
        model.encoder.logvar.weight.mul_(1e4)
    _, logvar = model.encode(torch.rand(4, 3, 32, 32))
    assert logvar.abs().max() <= 10


def _types(model, half):
    """The number format that each layer's product came out in, by its name; its whole output is float32."""
    types = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, name=name: types.update({name: out.dtype}))
        for name, layer in model.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    outputs = model.set_half(half)(torch.rand(2, 3, 32, 32), torch.zeros(1, 2, 4))
    for hook in hooks:
        hook.remove()
    assert {output.dtype for output in outputs} == {torch.float32}
    return types


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_convolutions_and_nothing_else_run_in_half_precision(half):
    model = BetaVAE(VAEConfig(32, 4, (4, 8, 8), decoder_norm="adaptive"))
    assert set(_types(model, None).values()) == {torch.float32}
    types = _types(model, half)
    in_half = {name for name, kind in types.items() if kind == half}
    assert in_half == {name for name in types if name.endswith((".conv", ".out"))} and len(in_half) == 6
    assert {types[name] for name in types.keys() - in_half} == {torch.float32}
    assert {"encoder.mu", "encoder.logvar", "decoder.linear", "decoder.blocks.0.norm.style"} <= types.keys() - in_half


def test_norms_survive_numbers_whose_squares_float16_cannot_hold():
    x = (torch.randn(4, 6, 8, 8) * 2000 + 9000).half()  # float16 ends at 65,504
    found = InstanceNorm(6)(x.float(), torch.zeros(4, 2)), InstanceNorm(6)(x, torch.zeros(4, 2)).float()
    assert torch.isfinite(found[1]).all() and torch.allclose(*found, atol=0.02)


def test_a_step_in_float16_keeps_a_loss_that_float16_cannot_hold():
    torch.manual_seed(0)
    model = BetaVAE(VAEConfig(128, 4, (4, 4, 4, 4, 4))).set_half(torch.float16)
    x = torch.ones(2, 3, 128, 128)
    x_hat, mu, logvar = model(x, torch.randn(1, 2, 4))
    loss = beta_vae_loss(-3 * torch.ones_like(x_hat) + 0 * x_hat, x, 300 * mu, logvar)
    assert 65_504 < loss.reconstruction < 1e6 and torch.isfinite(loss.total)


def test_activations_are_leaky_with_a_slope_of_a_hundredth():
    """Both blocks against modules whose slope is written out; norms keep the sign, so a tenth would be seen."""
    torch.manual_seed(0)
    config = VAEConfig(32, 4, (4, 8, 8))
    encoder, decoder = EncoderBlock(3, 4), DecoderBlock(8, 4, config)
    x, deep = torch.randn(6, 3, 8, 8), torch.randn(6, 8, 4, 4)
    expected = nn.LeakyReLU(0.01)(nn.BatchNorm2d(4)(F.conv2d(x, encoder.conv.weight, encoder.conv.bias, 2, 1)))
    assert torch.allclose(encoder(x), expected, atol=1e-5)
    drawn = F.conv2d(F.interpolate(deep, scale_factor=2), decoder.conv.weight, decoder.conv.bias, padding=1)
    assert torch.allclose(decoder(deep, torch.zeros(6, 4)), nn.LeakyReLU(0.01)(nn.InstanceNorm2d(4)(drawn)), atol=1e-4)


@pytest.mark.parametrize("norm", DECODER_NORMS)
def test_a_model_starts_with_means_of_about_one_a_small_sigma_and_a_grey_picture(norm):
    torch.manual_seed(0)
    model = BetaVAE(VAEConfig(32, 16, (16, 32, 64), decoder_norm=norm))
    x_hat, mu, logvar = model(torch.randn(64, 3, 32, 32).clamp(-1, 1), torch.zeros(1, 64, 16))
    assert torch.allclose(logvar, 10 * torch.tanh(torch.tensor(-0.4)), atol=0.15)  # σ = 0.15, for every picture
    assert 0.3 < mu.var() < 3
    assert (x_hat.abs().mean().item() < 0.2) is (norm != "instance")


@pytest.mark.parametrize(
    "wrong, word",
    [
        ({"image_size": 100}, "power of two"),
        ({"image_size": 4}, "power of two"),
        ({"image_size": 64.0}, "power of two"),
        ({"image_size": 64, "widths": (8, 8)}, "4 widths"),
        ({"latent_dim": 0}, "latent_dim is 0, .* from 1 to 16,384"),
        ({"decoder_norm": "layer"}, "instance, adaptive, batch"),
        ({"output": "relu"}, "tanh, langevin"),
    ],
)
def test_impossible_configs_are_refused_in_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        VAEConfig(**wrong)


def test_pictures_and_codes_that_do_not_fit_are_refused(small_model):
    with pytest.raises(InputError, match="image_size=32"):
        small_model.encode(torch.zeros(1, 3, 64, 64))
    with pytest.raises(InputError, match="8 latents"):
        small_model.decode(torch.zeros(1, 9))
