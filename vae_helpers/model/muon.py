"""Muon: momentum whose update of each matrix is brought to singular values near 1; Adam for everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

_NARROWEST = 8  # rows or columns above which a weight counts as a matrix: of a few channels there is little to turn
_MOMENTUM = 0.95
_ROUNDS, _SERIES = 5, (3.4445, -4.7750, 2.0315)  # of Newton and Schulz's iteration, Jordan 2024
_ADAM_SIZE = 0.2  # root mean square of an update, in learning rates, as Adam's usually is (Liu 2025, sec. 2.2)


class Muon(torch.optim.Optimizer):
    """`parameters` (P,) of a model, stepped by Muon where they are matrices and by Adam where they are not.

    A kernel (out, in, h, w) counts as a matrix (out, in·h·w), as Jordan 2024 has it ("Muon: an optimizer for hidden
    layers"). Updates have the size that Adam's have, so one learning rate does for both.
    """

    def __init__(
        self, parameters: Iterable[Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.99), fused: bool = False
    ):
        every = list(parameters)
        self._matrices = [p for p in every if is_matrix(p.shape)]
        others = [p for p in every if not is_matrix(p.shape)]
        super().__init__([{"params": self._matrices}, {"params": others}], {"lr": lr})
        self.adam = torch.optim.Adam(others, lr=lr, betas=betas, fused=fused)
        self._momentum = [torch.zeros_like(p) for p in self._matrices]

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the gradients that are there."""
        for parameter, momentum in zip(self._matrices, self._momentum):
            if parameter.grad is None:
                continue
            momentum.lerp_(parameter.grad, 1 - _MOMENTUM)
            ahead = parameter.grad.lerp(momentum, _MOMENTUM).flatten(1)  # Nesterov's
            size = _ADAM_SIZE * max(ahead.shape) ** 0.5
            turned = orthogonalised(ahead)
            parameter.add_(turned.view_as(parameter), alpha=-self.param_groups[0]["lr"] * size)
        self.adam.param_groups[0]["lr"] = self.param_groups[1]["lr"]
        self.adam.step()

    def state_dict(self) -> dict[str, Any]:
        """`momentum` by the matrix's place, and Adam's own."""
        return {"momentum": dict(enumerate(self._momentum)), "adam": self.adam.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for own, kept in zip(self._momentum, state["momentum"].values(), strict=True):
            own.copy_(kept)
        self.adam.load_state_dict(state["adam"])


def is_matrix(shape: torch.Size) -> bool:
    """Whether Muon turns weights of this shape, and not Adam."""
    return len(shape) >= 2 and min(shape[0], shape[1:].numel()) > _NARROWEST


def orthogonalised(matrix: Tensor) -> Tensor:
    """U Vᵀ of U S Vᵀ (r, c), roughly: singular values come to lie between 0.7 and 1.2, by five rounds (Jordan 2024).

    The rounds are a polynomial Q(X Xᵀ) X, and are taken on the small square X Xᵀ (Amsel 2025, "The Polar Express", app.
    F): the wide matrix is multiplied twice and not ten times. All of it needs float32: five rounds make 480 times as
    much of the least singular values, and of any error beside them.
    """
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / wide.norm().clamp(min=1e-7)
    square = x @ x.T
    product = factor = _factor(square)
    for _ in range(_ROUNDS - 1):
        square = factor @ square @ factor  # of the matrix after a round; all of these commute
        factor = _factor(square)
        product = factor @ product
    turned = product @ x
    return turned.T if matrix.shape[0] > matrix.shape[1] else turned


def _factor(square: Tensor) -> Tensor:
    """What a round multiplies a matrix X by, given X Xᵀ."""
    a, b, c = _SERIES
    factor = torch.addmm(square, square, square, beta=b, alpha=c)
    factor.diagonal().add_(a)
    return factor
