"""Decoders whose geometry is known: there the shortest way can be written down."""

import numpy as np
import pytest
import torch
from torch import nn

from vae_helpers.latent import geodesic_curve, lerp


class Polar(nn.Module):
    """(r, θ, anything) => a picture of one pixel (r cos θ, r sin θ, 0): a flat plane in curved coordinates."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, z):
        r, theta = z[:, 0], z[:, 1]
        return torch.stack([r * torch.cos(theta), r * torch.sin(theta), 0 * r], dim=1)[..., None, None]


class Linear(Polar):
    """A picture that is a linear image of the code."""

    def forward(self, z):
        return (z @ torch.tensor([[1.0, 0, 2], [0, 3, 0], [1, 1, 1]]))[..., None, None]


T = torch.linspace(0, 1, 41)


def test_the_shortest_way_over_a_plane_is_straight_whatever_the_coordinates():
    a, b = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.0, np.pi / 2, 0.0])
    curve = geodesic_curve(Polar(), a, b, active=np.array([1, 0]), evaluations=60)
    points = Polar()(curve(T))[:, :2, 0, 0]
    assert torch.allclose(points.sum(dim=1), torch.ones(41), atol=0.01)  # the chord x + y = 1, not the arc
    assert abs(points.diff(dim=0).norm(dim=1).sum().item() - 2**0.5) < 0.005  # the arc is π/2 long
    steps = points.diff(dim=0).norm(dim=1)
    assert steps.max() < 1.15 * steps.mean()  # least energy also means even speed


def test_a_geodesic_ends_exactly_and_leaves_inactive_latents_straight():
    a, b = torch.tensor([1.0, 0.0, -4.0]), torch.tensor([2.0, 2.0, 7.0])
    curve = geodesic_curve(Polar(), a, b, active=np.array([0, 1]))
    codes = curve(T)
    assert torch.equal(codes[[0, -1]], torch.stack([a, b]))
    assert torch.equal(codes[:, 2], lerp(a, b, T)[:, 2]) and not torch.allclose(codes, lerp(a, b, T), atol=0.1)


@pytest.mark.parametrize("active", [None, np.array([], int), np.array([0, 2])])
def test_a_linear_decoder_has_straight_geodesics(active):
    a, b = torch.tensor([1.0, 0.0, -1.0]), torch.tensor([-2.0, 1.5, 3.0])
    assert torch.allclose(geodesic_curve(Linear(), a, b, active)(T), lerp(a, b, T), atol=1e-4)


def test_from_a_code_to_itself():
    a = torch.tensor([1.0, 2.0, 3.0])
    assert torch.allclose(geodesic_curve(Polar(), a, a)(T), a.expand(41, 3), atol=1e-6)


def test_a_geodesic_keeps_to_known_ground():
    """The chord comes as near to the middle as 0.71; told that all within 0.9 is remote, the path goes round it."""
    a, b = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.0, np.pi / 2, 0.0])
    remoteness = lambda z: 1 + 10 * (0.9 - z[:, 0]).clamp_min(0)  # noqa: E731
    radius = geodesic_curve(Polar(), a, b, remoteness=remoteness, evaluations=60)(T)[:, 0]
    assert 0.87 < radius.min() < 0.95
    unhindered = geodesic_curve(Polar(), a, b, remoteness=lambda z: z[:, 0] / 10, evaluations=60)(T)[:, 0]
    assert radius.min() > unhindered.min() + 0.1 and unhindered.min() < 0.73
