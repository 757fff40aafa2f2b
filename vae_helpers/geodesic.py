"""The shortest way between two codes, as the decoder's pictures measure it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vae_helpers.latent import lerp
from vae_helpers.losses import squared_error
from vae_helpers.minimise import minimise
from vae_helpers.model import Decoder

# A path bends as a sum of sine waves, which vanish at both ends. Wave k is divided by k, because the energy of a bend
# grows with k²: in this scale all waves are equally stiff, and a few steps of L-BFGS do what hundreds would else.
_WAVES, _POINTS = 5, 7


def geodesic_curve(decoder: Decoder, a: Tensor, b: Tensor, active: np.ndarray | None = None,
                   evaluations: int = 30) -> Callable[[Tensor], Tensor]:
    """The geodesic from code a to code b under the decoder's pull-back metric (Shao 2018; Arvanitidis 2018).

    Minimises `Σ ‖g(z_{i+1}) - g(z_i)‖²` with the ends fixed, from the straight line on, over the `active` latents
    (default: all). Returns a curve: fractions of the way (n,) in [0, 1] => codes (n, latent_dim), exact at 0 and 1.
    `decoder` is a `frozen_decoder`; `evaluations` bounds the passes through it, forth and back, of five codes each.
    """
    dims = torch.arange(len(a)) if active is None else torch.as_tensor(np.ascontiguousarray(active))
    bend = torch.zeros(_WAVES, len(a))
    if len(dims) and not torch.equal(a, b):
        bend[:, dims] = _least_energy(decoder, a, b, dims, evaluations)
    return lambda t: lerp(a, b, t) + _waves(t) @ bend


def _waves(t: Tensor) -> Tensor:
    """(n,) => (n, waves); exactly 0 at both ends, where sin(kπ) is not quite."""
    k = torch.arange(1, _WAVES + 1)
    inside = ((t > 0) & (t < 1))[:, None]
    return torch.sin(math.pi * k * t[:, None]) / k * inside


def _least_energy(decoder: Decoder, a: Tensor, b: Tensor, dims: Tensor, evaluations: int) -> Tensor:
    """Amplitudes (waves, len(dims)) of the bend with the least energy found."""
    device = next(decoder.parameters()).device
    with torch.inference_mode(False):  # tensors made in inference mode are not for learning
        a, b, dims = a.clone().to(device), b.clone().to(device), dims.to(device)
        t = torch.linspace(0, 1, _POINTS)
        straight, waves = lerp(a, b, t.to(device)), _waves(t)[1:-1].to(device)
        with torch.no_grad():
            ends = decoder(straight[[0, -1]])
        # In these units a typical latent's stiffness is about 1, so that the first step has a sensible length.
        unit = max(squared_error(ends[1], ends[0]).item() / (b - a).square().sum().item(), 1e-12)

        def energy(bend: Tensor) -> Tensor:
            offset = torch.zeros(len(waves), len(a), device=device).index_copy(1, dims, waves @ bend)
            frames = torch.cat([ends[:1], decoder(straight[1:-1] + offset), ends[1:]])
            return squared_error(frames[1:], frames[:-1]).sum() * (_POINTS - 1) / unit

        return minimise(energy, torch.zeros(_WAVES, len(dims), device=device), evaluations).cpu()
