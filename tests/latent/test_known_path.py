"""Paths through training codes: on a ring, where the straight line cuts through the empty middle."""

import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import known_curve


def ring(count=120, latents=6):
    """Codes (count, latents) on a circle of radius 3 in the first two latents."""
    angle = torch.linspace(0, 2 * torch.pi, count + 1)[:-1]
    codes = torch.zeros(count, latents)
    codes[:, 0], codes[:, 1] = 3 * angle.cos(), 3 * angle.sin()
    return codes


def test_the_way_keeps_to_the_ring():
    codes = ring()
    path = known_curve(codes, codes[0], codes[50])(torch.linspace(0, 1, 25))
    radius = path[:, :2].norm(dim=1)
    assert radius.min() > 2.9 and radius.max() < 3.05
    straight = torch.lerp(codes[0], codes[50], 0.5)
    assert straight.norm() < 1  # what it avoids
    angle = torch.atan2(path[:, 1], path[:, 0])
    assert (angle.diff() > 0).all()  # the short way round, never back
    steps = path.diff(dim=0).norm(dim=1)
    assert steps.max() / steps.mean() < 1.1  # timed by length


def test_ends_are_exact():
    codes = ring() + torch.randn(120, 6, generator=torch.Generator().manual_seed(0)) * 0.1
    a, b = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    path = known_curve(codes, a, b)(torch.linspace(0, 1, 7))
    assert torch.equal(path[0], a) and torch.equal(path[-1], b)


def test_only_active_latents_make_neighbours():
    codes = ring()
    codes[:, 5] = torch.randn(120, generator=torch.Generator().manual_seed(2)) * 100
    path = known_curve(codes, codes[0], codes[50], active=np.array([0, 1]))(torch.linspace(0, 1, 25))
    assert path[:, :2].norm(dim=1).min() > 2.9


def test_two_islands_are_joined_by_the_straight_line():
    islands = torch.cat([torch.randn(30, 4), torch.randn(30, 4) + 1000])
    path = known_curve(islands, islands[0], islands[40])(torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(path[1], (islands[0] + islands[40]) / 2)


def test_equal_ends_and_odd_codes():
    codes = ring()
    assert torch.allclose(known_curve(codes, codes[3], codes[3])(torch.tensor([0.5])), codes[3])
    with pytest.raises(InputError, match="at least 2"):
        known_curve(codes[:1], codes[0], codes[1])
    with pytest.raises(InputError, match=r"\(N, 5\)"):
        known_curve(codes, codes[0, :5], codes[1, :5])
