"""The machine's limits, told in one sentence."""

import errno

import numpy as np
import pytest
import torch
from small import SMALL

from vae_helpers.data import batching, decoding
from vae_helpers.errors import InputError, within_limits
from vae_helpers.runs import Run
from vae_helpers.settings import TrainConfig
from vae_helpers.train import fit
from vae_helpers.train import step as step_module

MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried 99 bytes."),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
    RuntimeError("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED"),
    RuntimeError("std::bad_alloc"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]


@pytest.mark.parametrize("problem", MEMORY, ids=lambda problem: str(problem)[:20])
def test_out_of_memory_is_one_sentence_on_every_device(problem):
    with pytest.raises(InputError, match="^training needs more memory than there is: use a smaller batch.$"):
        with within_limits("training", "use a smaller batch"):
            raise problem


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        KeyError("out of memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        InputError("a smaller batch"),
    ],
)
def test_other_errors_stay_what_they_are(problem):
    with pytest.raises(type(problem)) as caught:
        with within_limits("training", "use a smaller batch"):
            raise problem
    assert caught.value is problem


def test_training_without_memory_says_what_to_lower(small_set, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(step_module, "to_float", full)
    with pytest.raises(InputError, match=r"training with 1 × 16 pictures a step .*--batch-size"):
        fit(small_set, Run("a", tmp_path), TrainConfig.quick(96, batch_size=16), SMALL, device="cpu", progress=False)


class _NoThreads(decoding.ThreadPoolExecutor):
    def submit(self, *_):
        raise RuntimeError("can't start new thread")


def test_threads_that_cannot_start_are_said_in_training_and_decoding(small_set, tmp_path, monkeypatch):
    monkeypatch.setattr(batching, "ThreadPoolExecutor", _NoThreads)
    with pytest.raises(InputError, match="training .* needs another thread.*ulimit -u"):
        fit(small_set, Run("a", tmp_path), TrainConfig.quick(96, batch_size=16), SMALL, device="cpu", progress=False)
    monkeypatch.setattr(decoding, "ThreadPoolExecutor", _NoThreads)
    with pytest.raises(InputError, match="decoding pictures needs another thread"):
        list(decoding.decode_blocks(tmp_path, ["a.png"], [np.arange(1)], decoding.Square(8), 1))


def test_decoding_without_memory_says_what_to_lower(tmp_path, monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr(decoding.np, "zeros", full)
    with pytest.raises(InputError, match="decoding pictures needs more memory.*smaller image size"):
        list(decoding.decode_blocks(tmp_path, ["a.png"], [np.arange(1)], decoding.Square(8), 1))
