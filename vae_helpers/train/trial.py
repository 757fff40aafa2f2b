"""Steps of a model of a run's shape, timed: what decides in which arithmetic a run computes, and whether compiled."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch

from vae_helpers.data import to_float
from vae_helpers.model import OBJECTIVES, BetaVAE, VAEConfig, output_for, seeded, wants_activation
from vae_helpers.settings import TrainConfig
from vae_helpers.train.arithmetic import Arithmetic, using_threads

_PLAIN = 2.0  # times as long, twice: needs no further look


class Way(NamedTuple):
    """A way to take a step."""

    arithmetic: Arithmetic
    compiled: bool = False


class Trial:
    """Steps of `pictures` pictures forward and back, as a run takes them, of models that are dropped afterwards."""

    def __init__(self, model_config: VAEConfig, config: TrainConfig, pictures: int, device: torch.device):
        size = model_config.image_size
        self._config, self._device = config, device
        self._shape = VAEConfig(**{**model_config.as_dict(), "output": output_for(config.likelihood)})
        random = torch.Generator().manual_seed(0)  # zeros may be faster
        self._x = to_float(torch.randint(256, (pictures, size, size, 3), dtype=torch.uint8, generator=random), device)
        self._noise = torch.randn(config.num_samples, pictures, model_config.latent_dim, generator=random).to(device)

    def seconds(self, one: Way, other: Way, rounds: int) -> tuple[list[float], list[float]]:
        """Times of a step in each way, taken in turn, without the first, which warms up; plain differences end it.

        No weight, statistic or random number of a run changes. What fails in compiling is raised as it is.
        """
        models, taken = (self._model(one), self._model(other)), ([], [])
        for _ in range(rounds):
            for model, way, seconds in zip(models, (one, other), taken):
                with using_threads(way.arithmetic.threads):
                    seconds.append(self._forward_and_back(model))
            ratios = [a / b for a, b in zip(*taken)][1:][-2:]
            if len(ratios) == 2 and (min(ratios) > _PLAIN or max(ratios) < 1 / _PLAIN):
                break
        return taken[0][1:], taken[1][1:]

    def _model(self, way: Way) -> BetaVAE:
        with seeded(0):
            model = way.arithmetic.apply_to(BetaVAE(self._shape).to(self._device).train())
        if way.compiled:
            model.compile()
        return model

    def _forward_and_back(self, model: BetaVAE) -> float:
        began = time.perf_counter()
        infer, activation = OBJECTIVES[self._config.objective].infer, wants_activation(self._config.likelihood)
        total = sum(output.sum() for output in model(self._x, self._noise, activation, infer))
        total.backward()
        total.item()  # waits for a GPU
        return time.perf_counter() - began
