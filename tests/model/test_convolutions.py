"""Convolutions against the plain ones that they stand for: results, gradients, number formats."""

import pytest
import torch
import torch.nn.functional as F

from vae_helpers.experiments import PlainVAE
from vae_helpers.model import BetaVAE, DownConv, UpConv, VAEConfig
from vae_helpers.settings import DECODER_NORMS


def _plain(layer, x):
    """What the layer stands for, as it would be written without a thought for speed."""
    if isinstance(layer, UpConv):
        return F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    return F.conv2d(x, layer.weight, layer.bias, stride=2, padding=1)


def _gradients(out, target, x, layer):
    return torch.autograd.grad((out * target).sum(), (x, layer.weight, layer.bias))


# The deepest layers of a model, whose kernels' gradients are products of matrices, and others, where they are not.
@pytest.mark.parametrize(
    "kind, height, width",
    [(UpConv, 4, 4), (UpConv, 2, 3), (UpConv, 7, 6), (DownConv, 8, 8), (DownConv, 4, 2), (DownConv, 16, 16)],
)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_results_and_gradients_are_the_plain_ones_in_float64(kind, height, width, layout):
    torch.manual_seed(0)
    layer = kind(5, 4).double().to(memory_format=layout)
    x = torch.randn(3, 5, height, width, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    plain, ours = _plain(layer, x), layer(x)
    assert torch.allclose(plain, ours, rtol=0, atol=1e-13)  # borders included
    target = torch.randn_like(plain)
    for one, other in zip(_gradients(plain, target, x, layer), _gradients(ours, target, x, layer)):
        assert one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-12)


def _way(layer, x):
    """The name of what computes the layer's result."""
    return type(layer(x.requires_grad_()).grad_fn).__name__


@pytest.mark.parametrize("layer, few, many", [(UpConv(8, 4), 4, 8), (DownConv(8, 4), 8, 16)])
def test_only_the_deepest_layer_in_training_takes_its_kernels_gradient_by_products(layer, few, many):
    assert "ByProducts" in _way(layer, torch.zeros(2, 8, few, few))
    assert _way(layer, torch.zeros(2, 8, many, many)) == "ConvolutionBackward0"
    assert _way(layer.eval(), torch.zeros(2, 8, few, few)) == "ConvolutionBackward0"  # torch.func knows how to go on


@pytest.mark.parametrize("kind, size", [(UpConv, 4), (DownConv, 8)])
def test_only_the_gradients_that_are_asked_for_are_taken(kind, size):
    torch.manual_seed(0)
    layer, x = kind(5, 4), torch.randn(2, 5, size, size)
    layer.bias.requires_grad_(False)
    layer(x).sum().backward()
    assert layer.bias.grad is None and x.grad is None and layer.weight.grad.abs().sum() > 0
    layer.weight.grad = None
    layer.requires_grad_(False)(x.requires_grad_()).sum().backward()
    assert layer.weight.grad is None and x.grad.abs().sum() > 0


@pytest.mark.parametrize("kind, size", [(UpConv, 4), (DownConv, 8)])
def test_second_derivatives_are_those_of_small_steps(kind, size):
    torch.manual_seed(0)
    layer = kind(2, 2).double()
    x = torch.randn(1, 2, size, size, dtype=torch.float64, requires_grad=True)

    def result(x, weight):
        return torch.func.functional_call(layer, {"weight": weight}, (x,))

    assert torch.autograd.gradgradcheck(result, (x, layer.weight.detach().clone().requires_grad_()))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind, size", [(UpConv, 4), (DownConv, 8)])
def test_in_16_bits_gradients_are_as_exact_as_the_plain_ones(kind, size, half):
    torch.manual_seed(0)
    layer = kind(32, 16)
    x = torch.randn(16, 32, size, size, requires_grad=True)
    exact = _plain(layer, x)
    target = torch.randn_like(exact)
    expected = _gradients(exact, target, x, layer)

    def errors(train):
        with torch.autocast("cpu", dtype=half):
            out = layer.train(train)(x)
        assert out.dtype == half
        found = _gradients(out.float(), target, x, layer)
        assert {gradient.dtype for gradient in found} == {torch.float32}
        return [((one - other).norm() / other.norm()).item() for one, other in zip(found, expected)]

    for ours, plain in zip(errors(train=True), errors(train=False)):
        assert ours < 1.1 * plain < 0.02


def test_the_folded_kernel_is_summed_in_float32_under_autocast():
    torch.manual_seed(0)
    layer = UpConv(8, 8)
    exact = layer.folded_weight()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer.folded_weight(), exact) and layer(torch.zeros(1, 8, 4, 4)).dtype == torch.bfloat16


@pytest.mark.parametrize("norm", DECODER_NORMS)
def test_biases_before_norms_are_not_learnt_and_change_nothing(norm):
    torch.manual_seed(0)
    model = BetaVAE(VAEConfig(32, 4, (4, 8, 8), decoder_norm=norm))
    still = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    blocks = {"encoder": 3, "decoder": 2}
    assert still == {f"{half}.blocks.{i}.conv.bias" for half, count in blocks.items() for i in range(count)}
    x, noise = torch.rand(6, 3, 32, 32), torch.randn(1, 6, 4)
    before = model(x, noise)
    with torch.no_grad():
        for name in still:
            model.get_parameter(name).normal_()
    assert all(torch.allclose(one, other, atol=1e-4) for one, other in zip(before, model(x, noise)))


def test_the_plain_loop_learns_every_parameter_by_plain_convolutions():
    model = PlainVAE(VAEConfig(32, 4, (4, 8, 8)))
    x_hat, mu, _ = model(torch.rand(6, 3, 32, 32), torch.randn(1, 6, 4))
    ways, todo = set(), [x_hat.grad_fn]
    while todo:
        node = todo.pop()
        ways.add(type(node).__name__)
        todo += [before for before, _ in node.next_functions if before is not None]
    assert "ConvolutionBackward0" in ways and not any("ByProducts" in way for way in ways)
    (x_hat.square().sum() + mu.square().sum()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
