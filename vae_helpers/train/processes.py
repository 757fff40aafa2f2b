"""One process or many: who this process is, what is its share of a batch, and how the processes agree.

With a single process every function here does nothing, so training has one code path. `torchrun` starts several.
"""

from __future__ import annotations

import atexit
import inspect
import os
import socket
import threading
import zlib
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

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.model import pick_device
from vae_helpers.runs import Run
from vae_helpers.settings import local_rank, no_such_run, rank_and_size
from vae_helpers.train.interrupt import stop_when
from vae_helpers.train.synchronise import SumOverProcesses, synchronise_batch_norm

_CONNECT_TIMEOUT = timedelta(hours=1)  # processes wait this long for each other to begin: one may decode pictures first
_TIMEOUT = timedelta(minutes=10)  # and this long for a sign of life
Result = TypeVar("Result")


@dataclass(frozen=True)
class Processes:
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
        return SumOverProcesses.apply(F.pad(rows, (0, 0) * (rows.dim() - 1) + (first, count - first - len(rows))))

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is set in any process: the same answer in all of them."""
        if self.size == 1:
            return list(flags)
        return (self.total(torch.tensor(flags, dtype=torch.float32)) > 0).tolist()  # on the CPU: no GPU waits for it

    def on_first(self, action: Callable[[], Result]) -> Result:
        """Do something in the first process only, and give its result (without GPU tensors) to all.

        It may take as long as it likes. An InputError of the first process ends the others with status 2, without
        repeating the sentence.
        """
        if self.size == 1:
            return action()
        result, problem = None, None
        if self.rank == 0:
            with _heartbeat():
                try:
                    result = action()
                except InputError as error:
                    problem = error
        else:
            _await_first()
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
def _heartbeat() -> Iterator[None]:
    """Let the other processes, which are in `_await_first`, wait for as long as the block takes."""
    over = threading.Event()

    def send():
        while not over.wait(_TIMEOUT.total_seconds() / 4):
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


def _await_first() -> None:
    over = torch.zeros(1)
    while not over:
        dist.broadcast(over, 0)


def process_was_lost(problem: Exception) -> bool:
    """Whether an error says that another process has gone or was silent for minutes."""
    return dist.is_initialized() and (isinstance(problem, dist.DistError) or "gloo" in str(problem).lower())


def require_equal(processes: Processes, pictures: PictureSet) -> None:
    """Every machine opens its own copy of the pictures: stop where they are not those of the first process."""
    names = "\n".join(pictures.names).encode("utf-8", "backslashreplace")
    own = len(pictures), len(pictures.split.train), zlib.crc32(names)
    if any(processes.any(own != processes.on_first(lambda: own))):
        raise _raised_by_first(
            processes,
            "the processes do not see the same pictures, by number or by name: give every machine the same "
            "folder (and its cache anew).",
        )


def require_on_first(run: Run, processes: Processes, resume: bool) -> None:
    """Refuse a run that is on another machine's disk than that of the first process, which alone reads and writes it.

    torchrun's c10d rendezvous may count the machines anew at each start. Also refuse to `resume` what is nowhere.
    """
    here, host = processes.on_first(lambda: (run.exists(), socket.gethostname()))
    if here:
        return
    if processes.any(run.exists())[0]:
        raise _raised_by_first(
            processes,
            f"the run {run.name!r} is not on {host}, the machine of the first process, which keeps it, but on another "
            "of this training: start torchrun with --node-rank 0 on that one (README, Several GPUs), or move "
            f"{run.models} to {host}.",
        )
    if resume:
        raise _raised_by_first(processes, str(no_such_run(run.name, run.models.parent)))


@contextmanager
def handle_lost_process(
    processes: Processes, run: Run, save_alone: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Where another process is lost inside the block, save what this one can and say so instead of a traceback."""
    try:
        yield
    except RuntimeError as problem:
        if not process_was_lost(problem):
            raise
        save_alone()
        new = processes.rank == 0 and not run.exists()
        again = "start it again" if new else f"resume the run {run.name!r} from {run.last}"
        # Two speak, since one of them may be the one that was lost.
        raise _raised_by_first(
            processes,
            f"another process of this training has ended or is silent, so it stopped: look above for what "
            f"happened, then {again}.",
            speakers=2,
        ) from None


def _raised_by_first(processes: Processes, sentence: str, speakers: int = 1) -> BaseException:
    """What to raise in every process so that the first ones alone say it."""
    return InputError(sentence) if processes.rank < speakers else SystemExit(2)


def open_processes(device: str | torch.device | None = None) -> Processes:
    """The processes that torchrun started, or just this one; `device` as for `pick_device`, one GPU a process.

    They stay connected until they end. Raises InputError for more processes than GPUs, or an unshareable device.
    """
    rank, size = rank_and_size(os.environ)
    device = pick_device(device)
    if size == 1:
        return Processes(device)
    if device.type == "cuda":
        local, gpus = local_rank(os.environ), torch.cuda.device_count()
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
        _connect("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    return Processes(device, rank, size)


def _connect(backend: str) -> None:
    """Connect the processes; each ends when the one that started it does."""
    store, rank, size = next(rendezvous("env://", timeout=_CONNECT_TIMEOUT))
    store.set(f"here/{rank}", "")
    store.wait([f"here/{other}" for other in range(size)], _CONNECT_TIMEOUT)
    dist.init_process_group(
        backend, store=dist.PrefixStore("training", store), rank=rank, world_size=size, timeout=_TIMEOUT
    )
    atexit.register(dist.destroy_process_group)
    parent = os.getppid()
    stop_when(lambda: os.getppid() != parent)
