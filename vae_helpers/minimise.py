"""A small quasi-Newton minimiser (torch.optim's costs a second of imports at its first step, while somebody waits)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_MEMORY = 12  # pairs of steps and gradient changes that the curvature is estimated from


def minimise(function: Callable[[Tensor], Tensor], start: Tensor, evaluations: int, tolerance: float = 1e-4) -> Tensor:
    """L-BFGS with backtracking (Nocedal & Wright 2006, algorithms 7.4 and 3.1) => the best point seen.

    `function` maps a tensor like `start` to a scalar; `evaluations` bounds how often it and its gradient are computed.
    Stops when two accepted steps in a row improve by less than `tolerance` of the value, or none downhill is found.
    Works inside inference mode too, where an explorer's callbacks run.
    """
    with torch.inference_mode(False), torch.enable_grad():
        x = start.detach().clone()
        value, gradient = _value_and_gradient(function, x)
        left, idle, pairs = evaluations - 1, 0, []
        while left > 0 and idle < 2 and gradient.any():
            step = _direction(gradient, pairs)
            slope = torch.vdot(step.flatten(), gradient.flatten()).item()
            scale = 1.0
            while left > 0:
                left -= 1
                tried = x + scale * step
                new_value, new_gradient = _value_and_gradient(function, tried)
                if new_value <= value + 1e-4 * scale * slope:
                    break
                # The minimum of the parabola through the value and slope here and the value there.
                parabola = -slope * scale / (2 * (new_value - value - slope * scale))
                scale *= min(max(parabola, 0.1), 0.5) if parabola == parabola else 0.1
            else:
                return x
            change = new_gradient - gradient
            if torch.vdot(change.flatten(), step.flatten()) > 1e-10 * change.norm() * step.norm():
                pairs = [*pairs[1 - _MEMORY:], (scale * step, change)]
            idle = idle + 1 if value - new_value <= tolerance * abs(value) else 0
            x, value, gradient = tried, new_value, new_gradient
        return x


def _value_and_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[float, Tensor]:
    x = x.requires_grad_()
    value = function(x)
    gradient, = torch.autograd.grad(value, x)
    x.requires_grad_(False)
    return value.item(), gradient


def _direction(gradient: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Minus the gradient times the estimated inverse Hessian: the two-loop recursion."""
    if not pairs:
        return -gradient / max(1.0, gradient.norm().item())
    step, seen = -gradient, []
    for moved, change in reversed(pairs):
        share = (moved * step).sum() / (moved * change).sum()
        step = step - share * change
        seen.append(share)
    moved, change = pairs[-1]
    step = step * ((moved * change).sum() / change.square().sum())
    for (moved, change), share in zip(pairs, reversed(seen)):
        step = step + (share - (change * step).sum() / (moved * change).sum()) * moved
    return step
