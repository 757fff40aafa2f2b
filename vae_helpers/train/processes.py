"""One process or many: who this process is, what is its share of a batch, and how the processes agree.

With a single process every function here does nothing, so training has one code path. `torchrun` starts several.
"""

from __future__ import annotations

import atexit
import inspect
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from vae_helpers.errors import InputError
from vae_helpers.model import pick_device
from vae_helpers.train.interrupt import end_with

_MEETING = timedelta(hours=1)  # processes wait this long for each other to begin: one may decode pictures first
_PATIENCE = timedelta(minutes=10)  # and this long for a sign of life
Result = TypeVar("Result")


@dataclass(frozen=True)
class World:
    """This process among those that train one model together."""

    device: torch.device
    rank: int = 0
    size: int = 1

    def share(self, count: int) -> slice:
        """This process's part of a global batch of `count` pictures; parts differ by one picture at most."""
        return slice(self.rank * count // self.size, (self.rank + 1) * count // self.size)

    def total(self, values: Tensor) -> Tensor:
        """The sum of `values` over all processes."""
        if self.size == 1:
            return values
        values = values.clone()
        dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        """The mean of `values` over all processes."""
        return values if self.size == 1 else self.total(values) / self.size

    def gather(self, rows: Tensor, first: int, count: int) -> Tensor:
        """The rows (n, ...) of all processes, (count, ...), this one's from `first` on; gradients find their way back.

        For a loss that mixes pictures: let every process compute all of it, weighted by its share of the batch.
        """
        if self.size == 1:
            return rows
        return _SumOverProcesses.apply(F.pad(rows, (0, 0) * (rows.dim() - 1) + (first, count - first - len(rows))))

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set in any process: the same answer in all of them."""
        if self.size == 1:
            return list(flags)
        return (self.total(torch.tensor(flags, dtype=torch.float32)) > 0).tolist()  # on the CPU: no GPU waits for it

    def first(self, action: Callable[[], Result]) -> Result:
        """Do something in the first process only, and give its result (without GPU tensors) to all.

        It may take as long as it likes. An InputError of the first process ends the others with status 2, without
        repeating the sentence.
        """
        if self.size == 1:
            return action()
        result, problem = None, None
        if self.rank == 0:
            with _signs_of_life():
                try:
                    result = action()
                except InputError as error:
                    problem = error
        else:
            _await_the_first()
        passed = [result, problem is not None]
        dist.broadcast_object_list(passed, src=0, device=torch.device("cpu"))
        if problem is not None:
            raise problem
        if passed[1]:
            raise SystemExit(2)
        return passed[0]

    def wrap(self, model: nn.Module) -> nn.Module:
        """What to call instead of `model`, so that all processes train as one on the whole batch.

        Gradients are averaged and BatchNorm counts the pictures of all processes. The weights must be equal already.
        """
        if self.size == 1:
            return model
        synchronise_batch_norm(model, self.device)
        # Statistics are equal everywhere already, so buffers need no broadcast. Newer versions of torch renamed this.
        known = inspect.signature(DistributedDataParallel.__init__).parameters
        no_broadcast = {"forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers": False}
        return DistributedDataParallel(
            model,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            **no_broadcast,
        )


@contextmanager
def _signs_of_life() -> Iterator[None]:
    """Let the other processes, which are in `_await_the_first`, wait for as long as the block takes."""
    over = threading.Event()

    def send():
        while not over.wait(_PATIENCE.total_seconds() / 4):
            try:
                dist.broadcast(torch.zeros(1), 0)
            except RuntimeError:  # they are lost, which this process meets next
                return

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    dist.broadcast(torch.ones(1), 0)


def _await_the_first() -> None:
    over = torch.zeros(1)
    while not over:
        dist.broadcast(over, 0)


def lost(problem: Exception) -> bool:
    """Whether an error says that another process has gone or was silent for minutes."""
    return dist.is_initialized() and (isinstance(problem, dist.DistError) or "gloo" in str(problem).lower())


def open_world(device: str | torch.device | None = None) -> World:
    """The processes that torchrun started, or just this one; `device` as for `pick_device`, one GPU a process.

    They stay connected until they end. Raises InputError for more processes than GPUs, or an unshareable device.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    device = pick_device(device)
    if size == 1:
        return World(device)
    if device.type == "cuda":
        local, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
        if local >= gpus:
            raise InputError(
                f"torchrun started process {local + 1} on a machine with {gpus} GPUs: use --nproc-per-node {gpus}."
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise InputError(
            f"several processes cannot share a device of type {device.type!r}: use --device cpu, or start one."
        )
    if not dist.is_initialized():  # once: a second group would find the addresses that the first one left in the store
        _meet("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    return World(device, rank, size)


def _meet(backend: str) -> None:
    """Connect the processes; each ends when the one that started it does."""
    store, rank, size = next(rendezvous("env://", timeout=_MEETING))
    store.set(f"here/{rank}", "")
    store.wait([f"here/{other}" for other in range(size)], _MEETING)
    dist.init_process_group(
        backend, store=dist.PrefixStore("training", store), rank=rank, world_size=size, timeout=_PATIENCE
    )
    atexit.register(dist.destroy_process_group)
    parent = os.getppid()
    end_with(lambda: os.getppid() != parent)


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
        sums = _SumOverProcesses.apply(torch.stack([own.expand_as(mean), own * mean, own * (var + mean.square())]))
        count, mean = sums[0], sums[1] / sums[0]
        var = sums[2] / count - mean.square()
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.float(), self.momentum)
            self.running_var.lerp_((var * count / (count - 1)).float(), self.momentum)
        scale = self.weight * torch.rsqrt(var + self.eps).float()
        shift = self.bias - mean.float() * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(x.dtype)


class _SumOverProcesses(torch.autograd.Function):
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
