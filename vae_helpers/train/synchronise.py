"""What several processes compute as one, with gradients: a sum, and the statistics of BatchNorm."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn


def synchronise_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Let every BatchNorm of `model` take its statistics over all processes; parameters and their names stay."""
    for parent in list(model.modules()):
        for name, norm in list(parent.named_children()):
            if isinstance(norm, nn.BatchNorm2d):
                kind = _BatchNormOnGPUs if device.type == "cuda" else _BatchNormOnCPUs
                synced = kind(norm.num_features, norm.eps, norm.momentum).to(device).train(norm.training)
                synced.weight, synced.bias = norm.weight, norm.bias
                for buffer, values in norm.named_buffers():
                    setattr(synced, buffer, values)
                setattr(parent, name, synced)


class _BatchNormOnGPUs(nn.SyncBatchNorm):
    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return super().forward(x)


class _BatchNormOnCPUs(nn.BatchNorm2d):
    """PyTorch's SyncBatchNorm refuses the CPU; this gives the same statistics and gradients there."""

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        if not self.training:
            return super().forward(x)
        values = x.float()
        var, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
        # Sums travel in float64: E[x²] - E[x]² of numbers whose mean is large would lose its digits in float32.
        own, mean, var = values.new_tensor(values.numel() / len(mean), dtype=torch.float64), mean.double(), var.double()
        sums = SumOverProcesses.apply(torch.stack([own.expand_as(mean), own * mean, own * (var + mean.square())]))
        count, mean = sums[0], sums[1] / sums[0]
        var = sums[2] / count - mean.square()
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_((var * count / (count - 1)).float(), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps).float()
        shift = self.bias - mean.float() * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


class SumOverProcesses(torch.autograd.Function):
    """y = Σ_r x_r, known to every process; every process's loss hangs on y, so their gradients add up for x_r."""

    @staticmethod
    def forward(ctx, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient
