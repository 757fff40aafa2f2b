"""Convolutions that halve and double a picture's side, in an arithmetic that is exact and fast on a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_helpers.model.device import in_float32

_FEW_PLACES = 16  # of the smaller picture: the deepest layer's 4×4


class DownConv(nn.Conv2d):
    """A 4×4 convolution with stride 2 and padding 1. Shapes: (N, C, 2H, 2W) => (N, C', H, W)."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, kernel_size=4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and _gains_by_products(x, x.shape[-2:].numel() // 4):
            return _ByProducts.apply(*_as_autocast_would(x, self.weight, self.bias), False)
        return super().forward(x)


class UpConv(nn.Conv2d):
    """Nearest upsample ×2, then a 3×3 convolution with padding 1, computed as one transposed convolution.

    Exact: every 2×2 block of an upsampled picture is constant, so a 3×3 window on it sees only 2×2 different
    values, and the taps that fall on the same value can be added beforehand. The summed 4×4 kernel of stride 2
    does 2.25 times less arithmetic and never stores the enlarged picture. Shapes: (N, C, H, W) => (N, C', 2H, 2W).
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, kernel_size=3, padding=1)
        # Row a of the 4×4 kernel gathers these rows of the 3×3 one.
        fold = torch.tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
        self.register_buffer("fold", fold.to(self.weight.dtype), persistent=False)

    def folded_weight(self) -> Tensor:
        """The 4×4 kernel, (channels_in, channels_out, 4, 4), as `conv_transpose2d` wants it."""
        with in_float32(self.weight.device):  # summed in 16 bits it would be rounded twice
            return torch.einsum("am,bn,oimn->ioab", self.fold, self.fold, self.weight)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.folded_weight()
        if self.training and _gains_by_products(x, x.shape[-2:].numel()):
            return _ByProducts.apply(*_as_autocast_would(x, kernel, self.bias), True)
        return F.conv_transpose2d(x, kernel, self.bias, stride=2, padding=1)


def _gains_by_products(x: Tensor, places: int) -> bool:
    """Whether a kernel's gradient is taken by `_kernel_gradient`.

    For 4×4 places oneDNN takes 1.4 to 1.9 times as long by its own way in bfloat16, 1.0 to 1.3 times in float32 (2
    cores, kernels of 64- and 128-pixel models); for more places the copies cost what the products save.
    """
    return x.device.type == "cpu" and places <= _FEW_PLACES


def _as_autocast_would(*tensors: Tensor | None) -> list[Tensor | None]:
    """Floats in the number format that convolutions have here: autocast does not see what a Function is given."""
    if not torch.is_autocast_enabled("cpu"):
        return list(tensors)
    half = torch.get_autocast_dtype("cpu")
    return [None if tensor is None else tensor.to(half) for tensor in tensors]


class _ByProducts(torch.autograd.Function):
    """That of `DownConv`, or (`up`) its transpose, whose kernel's gradient is made of products of matrices."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None, up: bool) -> Tensor:
        ctx.save_for_backward(x, kernel)
        ctx.up = up
        return (F.conv_transpose2d if up else F.conv2d)(x, kernel, bias, stride=2, padding=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (x, kernel), (gradient,) = ctx.saved_tensors, gradients
        of_x, of_kernel, of_bias, _ = ctx.needs_input_grad
        back = F.conv2d if ctx.up else F.conv_transpose2d
        large, small = (gradient, x) if ctx.up else (x, gradient)
        return (
            back(gradient, kernel, stride=2, padding=1) if of_x else None,
            _kernel_gradient(large, small) if of_kernel else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            None,
        )


def _kernel_gradient(large: Tensor, small: Tensor) -> Tensor:
    """Σ small[n, d, y, x] · padded large[n, c, 2y + i, 2x + j] over n, y and x: (D, C, 4, 4).

    `large` is (N, C, 2H, 2W), `small` (N, D, H, W). Cut into cells of 2×2 pixels, a window of stride 2 is four whole
    cells, so the sum is four products of matrices, each with all cells at one place of their windows.
    """
    (count, wide, height, width), channels = small.shape, large.shape[1]
    padded = F.pad(large.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    cells = padded.reshape(count, height + 1, 2, width + 1, 2, channels).transpose(2, 3).flatten(3)
    rows = small.permute(0, 2, 3, 1).reshape(-1, wide).t()
    places = [cells[:, y : y + height, x : x + width].reshape(-1, 4 * channels) for y in (0, 1) for x in (0, 1)]
    products = torch.stack([rows @ place for place in places]).view(2, 2, wide, 2, 2, channels)
    return products.permute(2, 0, 3, 1, 4, 5).reshape(wide, 4, 4, channels).permute(0, 3, 1, 2)
