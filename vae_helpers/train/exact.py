"""Results that can be repeated bit for bit, as far as the device allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vae_helpers.errors import InputError
from vae_helpers.files import say
from vae_helpers.settings import TrainConfig
from vae_helpers.train.processes import Processes


def is_exact(config: TrainConfig, processes: Processes) -> bool:
    """Whether equal steps are to give equal bits: where `config.exact` is None on a CPU only, and in one process."""
    return processes.size == 1 and (processes.device.type == "cpu" if config.exact is None else config.exact)


def tell_if_not_exact(config: TrainConfig, processes: Processes) -> None:
    """Say so where exact results were asked for and cannot be had; all processes must call this."""
    mps = processes.device.type == "mps"
    if config.exact and (mps or processes.size > 1):
        where = "on Apple's GPU" if mps else "over several processes"
        processes.on_first(
            lambda: say(f"Results cannot be exact {where}: a run that is resumed differs in the last digits.")
        )


@contextmanager
def exact_results(config: TrainConfig, processes: Processes, threads: int) -> Iterator[None]:
    """Let equal steps give equal bits inside the block: deterministic GPU kernels, and `threads` CPU threads.

    Where `is_exact` holds. A sum is rounded differently when another number of threads shares it, which one process on
    a CPU always leaves to so many; over several processes nothing of this would hold, so nothing is changed there.
    Raises InputError for what has no such kernels on a CUDA GPU.
    """
    device, exact = processes.device, is_exact(config, processes)
    if exact and device.type == "cuda" and config.likelihood == "ssim":
        raise InputError(
            "likelihood 'ssim' has no exact results on a CUDA GPU, where its padding is not repeatable: leave "
            "exact out, or train on the CPU (--device cpu)."
        )
    threads_before = torch.get_num_threads()
    deterministic_before = torch.are_deterministic_algorithms_enabled()
    benchmark_before = torch.backends.cudnn.benchmark
    try:
        if exact or processes.size == 1 and device.type == "cpu":
            torch.set_num_threads(threads)
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = not exact  # batches of one shape: worth a search for the fastest kernel
            if exact:
                torch.use_deterministic_algorithms(True)
                _require_exact_products(device)
        yield
    finally:
        torch.set_num_threads(threads_before)
        torch.use_deterministic_algorithms(deterministic_before)
        torch.backends.cudnn.benchmark = benchmark_before


def _require_exact_products(device: torch.device) -> None:
    try:
        torch.ones(1, 1, device=device) @ torch.ones(1, 1, device=device)
    except RuntimeError:
        raise InputError(
            "exact results on a GPU ask for CUBLAS_WORKSPACE_CONFIG=:4096:8 before its first use, which this "
            "session has behind it: restart the notebook and train first, or leave exact out."
        ) from None
