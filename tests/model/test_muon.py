"""Muon against its definition, torch's own, and Adam where it leaves weights to it."""

import copy

import pytest
import torch
from torch import nn

from vae_helpers.model import Muon, is_matrix, orthogonalised


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 12, 4), nn.BatchNorm2d(12), nn.Flatten(), nn.Linear(12 * 25, 20), nn.Linear(20, 4)
    )


def _with_gradients(net, seed):
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


@pytest.mark.parametrize("shape", [(30, 80), (80, 30), (40, 40)])
def test_singular_values_come_near_1_and_their_directions_stay(shape):
    torch.manual_seed(1)
    matrix = torch.randn(shape)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = u.T @ orthogonalised(matrix) @ v.T
    values = found.diagonal()
    assert values.min() > 0.6 and values.max() < 1.25
    assert (found - torch.diag(values)).abs().max() < 1e-3


def _rounds_on_the_whole_matrix(matrix):
    """Jordan's five rounds as he wrote them down, in float64."""
    x = (matrix / matrix.norm()).double()
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * (x @ x.T @ x) + 2.0315 * (x @ x.T @ x @ x.T @ x)
    return x


@pytest.mark.parametrize("decades", [0, 3, 9])
def test_rounds_on_the_small_square_are_those_on_the_matrix(decades):
    """Even where singular values are far below what float32 tells of their squares."""
    torch.manual_seed(2)
    u, v = torch.linalg.qr(torch.randn(64, 64))[0], torch.linalg.qr(torch.randn(300, 64))[0]
    matrix = u @ torch.logspace(0, -decades, 64).diag() @ v.T
    expected = _rounds_on_the_whole_matrix(matrix)
    assert (orthogonalised(matrix) - expected).norm() < 0.001 * expected.norm()
    assert (orthogonalised(matrix.T).T - expected).norm() < 0.001 * expected.norm()


def test_a_zero_gradient_moves_nothing():
    assert torch.equal(orthogonalised(torch.zeros(9, 12)), torch.zeros(9, 12))


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="torch before 2.9 has no Muon")
def test_matrices_step_as_by_torch_s_own(net):
    twin = copy.deepcopy(net)
    own = Muon(net.parameters(), lr=0.01)
    weight, before = twin[3].weight, twin[3].weight.detach().clone()
    theirs = torch.optim.Muon([weight], lr=0.01, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for seed in range(3):
        _with_gradients(net, seed)
        _with_gradients(twin, seed)
        own.step()
        theirs.step()
    moved, expected = (net[3].weight - before).detach(), (weight - before).detach()
    assert (moved - expected).norm() < 0.02 * expected.norm()  # theirs multiplies in bfloat16


def test_a_kernel_is_turned_as_a_matrix_and_the_rest_is_adam_s(net):
    twin = copy.deepcopy(net)
    own = Muon(net.parameters(), lr=0.01)
    adam = torch.optim.Adam(twin.parameters(), lr=0.01, betas=(0.9, 0.99))
    before = net[0].weight.detach().clone()
    for each, optimizer in ((net, own), (twin, adam)):
        _with_gradients(each, 5)
        optimizer.step()
    kernel = (net[0].weight - before).detach().flatten(1)
    gradient = net[0].weight.grad.flatten(1)  # the first step: momentum is a share of the gradient
    assert torch.allclose(kernel, -0.01 * 0.2 * 48**0.5 * orthogonalised(gradient), atol=1e-6)
    assert not is_matrix(net[4].weight.shape)  # four rows
    for name in ("0.bias", "1.weight", "1.bias", "3.bias", "4.weight", "4.bias"):
        assert torch.equal(dict(net.named_parameters())[name], dict(twin.named_parameters())[name]), name


def test_it_goes_on_where_it_was(net):
    straight = Muon(net.parameters(), lr=0.01)
    for seed in range(2):
        _with_gradients(net, seed)
        straight.step()
    twin = copy.deepcopy(net)
    resumed = Muon(twin.parameters(), lr=0.5)
    resumed.load_state_dict(copy.deepcopy(straight.state_dict()))
    for group in resumed.param_groups:
        group["lr"] = 0.01
    for each, optimizer in ((net, straight), (twin, resumed)):
        _with_gradients(each, 9)
        optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), twin.parameters()))


def test_gradients_that_overflowed_in_16_bits_are_left_out_and_scaled_ones_are_unscaled(net):
    """As on a GPU without bfloat16, where a step is scaled up and down again."""
    twin = copy.deepcopy(net)
    scaler, scaled, plain = (
        torch.amp.GradScaler("cpu", init_scale=64.0),
        Muon(net.parameters(), 0.01),
        Muon(twin.parameters(), 0.01),
    )
    before = [parameter.detach().clone() for parameter in net.parameters()]
    for seed in (0, 1):
        scaled.zero_grad()
        x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        scaler.scale(net(x).square().sum() * (float("inf") if seed == 0 else 1.0)).backward()
        scaler.unscale_(scaled)
        scaler.step(scaled)
        scaler.update()
        if seed == 0:
            assert all(torch.equal(old, new) for old, new in zip(before, net.parameters()))
            net[1].load_state_dict(twin[1].state_dict())  # statistics alone were moved by the first pictures
    twin(x).square().sum().backward()
    plain.step()
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(net.parameters(), twin.parameters()))
