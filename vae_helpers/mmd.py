"""How far two sets of codes are from one distribution: the maximum mean discrepancy."""

from __future__ import annotations

import torch
from torch import Tensor


def mmd(a: Tensor, b: Tensor, bandwidth: float = 1.0, imq: bool = False) -> Tensor:
    """Squared maximum mean discrepancy of samples (n, Z) and (m, Z), unbiased, so at times negative (Gretton 2012).

    Two draws from the prior lie 2Z apart, squared; so with h = bandwidth·2Z the Gaussian kernel is `exp(-d²/h)` and the
    inverse multiquadric `h/(h + d²)`.
    """
    scale = 2 * bandwidth * a.shape[1]

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        squares = (one[:, None] - other).square().sum(dim=-1)
        return scale / (scale + squares) if imq else torch.exp(-squares / scale)

    def within(one: Tensor) -> Tensor:
        count = len(one)
        return (kernel(one, one).sum() - count) / (count * (count - 1))  # a code and itself: kernel 1, no pair

    return within(a) + within(b) - 2 * kernel(a, b).mean()
