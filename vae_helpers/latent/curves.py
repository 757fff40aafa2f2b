"""Curves between two codes: the straight line and the arc."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError


def lerp(a: Tensor, b: Tensor, steps: int | Tensor) -> Tensor:
    """The straight line from code a to code b, (latent_dim,) each => (steps, latent_dim), ends included.

    Instead of a number of even steps, the fractions of the way may be given, (steps,) in [0, 1].
    """
    t = _fractions(steps)
    return (1 - t) * a + t * b  # exact at both ends


def slerp(a: Tensor, b: Tensor, steps: int | Tensor, active: np.ndarray | None = None) -> Tensor:
    """The arc from a to b: the direction turns at constant speed while the norm goes linearly (White 2016).

    The angle is taken over the `active` latents only, (default: all); the others carry noise that would bend the
    arc, and go straight. Nearly parallel or opposite codes, whose arc is not defined, go straight too.
    """
    path = lerp(a, b, steps)
    dims = torch.arange(len(a)) if active is None else torch.as_tensor(np.ascontiguousarray(active))
    u, v = a[dims].double(), b[dims].double()
    norm_u, norm_v = u.norm(), v.norm()
    cosine = (u @ v / (norm_u * norm_v)).clamp(-1, 1)
    if len(dims) < 2 or not torch.isfinite(cosine) or abs(cosine) > 1 - 1e-7:
        return path
    angle, t = torch.arccos(cosine), _fractions(steps).double()
    direction = (torch.sin((1 - t) * angle) * u / norm_u + torch.sin(t * angle) * v / norm_v) / torch.sin(angle)
    arc = (((1 - t) * norm_u + t * norm_v) * direction).float()
    path[:, dims] = torch.where((t > 0) & (t < 1), arc, path[:, dims])  # exact at both ends
    return path


def _fractions(steps: int | Tensor) -> Tensor:
    if isinstance(steps, Tensor):
        return steps.float()[:, None]
    if steps < 2:
        raise InputError(f"a path of {steps} step has no two ends: ask for at least 2.")
    return torch.linspace(0, 1, steps)[:, None]
