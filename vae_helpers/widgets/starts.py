"""Codes to start from that belong to no picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vae_helpers.widgets.explorer_data import ExplorerData


def mean_code(data: ExplorerData) -> Tensor:
    """The mean code of the set, (latent_dim,): a plain picture, where the prior's mean 0 may be none at all."""
    return torch.from_numpy(np.asarray(data.summary.mean)).float()


def random_code(data: ExplorerData, seed: int, temperature: float) -> Tensor:
    """A random code (latent_dim,): of the chart where there is one, else of a Gaussian fitted to the codes.

    The Gaussian has the training codes' covariance, or without them the summary's spreads; `temperature` scales the
    distance from its mean, or in a chart what the attributes do not explain.
    """
    if data.chart is not None:
        return data.chart.sample(1, seed, temperature)[0]
    rng = np.random.default_rng(seed)
    if data.training_codes is None or len(data.training_codes) < 2:
        return (
            mean_code(data)
            + torch.from_numpy(temperature * rng.standard_normal(len(data.summary.mean)) * data.summary.spread).float()
        )
    codes = np.asarray(data.training_codes.detach().cpu(), np.float64)
    centred = codes - codes.mean(axis=0)
    # A random mixture of the centred codes has their covariance.
    away = rng.standard_normal(len(codes)) @ centred / np.sqrt(len(codes))
    return torch.from_numpy(codes.mean(axis=0) + temperature * away).float()
