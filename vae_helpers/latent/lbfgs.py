"""scipy's L-BFGS-B on a function of torch tensors, with a bound on the evaluations that somebody waits for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor


class _Enough(Exception):
    """All evaluations are used up; scipy looks at its own bound between line searches only."""


def minimise(function: Callable[[Tensor], Tensor], start: Tensor, evaluations: int, tolerance: float = 1e-4) -> Tensor:
    """L-BFGS-B without bounds (Byrd 1995; Zhu 1997) => the best point seen, like `start`.

    `function` maps a tensor like `start` to a scalar; it and its gradient are computed at most `evaluations` times.
    Stops when a step improves the value by less than `tolerance` of it. Works inside inference mode too, where an
    explorer's callbacks run.
    """
    from scipy.optimize import minimize

    best, lowest, left = start.detach().clone(), np.inf, evaluations

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best, lowest, left
        if not left:
            raise _Enough
        left -= 1
        x = torch.from_numpy(flat).to(start.device, start.dtype).view_as(start).clone().requires_grad_()
        value = function(x)
        (gradient,) = torch.autograd.grad(value, x)
        number = value.item()
        if number < lowest:
            best, lowest = x.detach(), number
        # A line search backs off from an infinite value, but not from one that is no number.
        return (number if number == number else np.inf), gradient.flatten().cpu().double().nan_to_num().numpy()

    with torch.inference_mode(False), torch.enable_grad():
        try:
            minimize(
                value_and_gradient,
                start.detach().flatten().cpu().double().numpy(),
                jac=True,
                method="L-BFGS-B",
                options={"maxfun": evaluations, "maxcor": 12, "ftol": tolerance, "gtol": 0.0},
            )
        except _Enough:
            pass
    return best
