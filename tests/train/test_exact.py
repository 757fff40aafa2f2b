"""Equal bits: CPU threads and GPU kernels."""

import pytest
import torch
from small import QUICK, fit_small

from vae_helpers.errors import InputError
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Processes
from vae_helpers.train import exact as exactness
from vae_helpers.train import loop as train


def test_other_threads_than_before_are_put_back_to_resume_exactly(small_set, tmp_path, monkeypatch):
    run, seen, step, before = Run("a", tmp_path), [], train.train_step, torch.get_num_threads()
    fit_small(small_set, run, TrainConfig.quick(96, **QUICK), stop_after=1)
    monkeypatch.setattr(
        train, "train_step", lambda *arguments: (seen.append(torch.get_num_threads()), step(*arguments))
    )
    torch.set_num_threads(before + 1)
    try:
        fit_small(small_set, run, None, resume=True)
        assert set(seen) == {before} and torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("exact", [None, False, True])
def test_a_gpu_looks_for_fast_kernels_unless_exact(monkeypatch, exact):
    made, ones = [], torch.ones
    monkeypatch.setattr(torch, "ones", lambda *a, device=None: made.append(device) or ones(*a))
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    processes = Processes(torch.device("cuda", 0))
    with exactness.exact_results(TrainConfig(exact=exact), processes, torch.get_num_threads()):
        assert torch.backends.cudnn.benchmark is (exact is not True)
        assert torch.are_deterministic_algorithms_enabled() is (exact is True) and bool(made) is (exact is True)
    assert not torch.backends.cudnn.benchmark and not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("exact, kept", [(None, True), (True, True), (False, False)])
def test_threads_are_kept_with_a_run_that_is_exact_and_with_no_other(small_set, tmp_path, exact, kept):
    run = Run("a", tmp_path)
    fit_small(small_set, run, TrainConfig.quick(96, **QUICK, exact=exact), stop_after=1)
    assert ("threads" in load_checkpoint(run.last)[1]) is kept


@pytest.mark.parametrize(
    "device, size, exact", [("cpu", 1, True), ("cuda", 1, False), ("mps", 1, False), ("cpu", 2, False)]
)
def test_unless_said_a_single_process_on_a_cpu_is_exact_and_nothing_else(device, size, exact):
    processes = Processes(torch.device(device), size=size)
    assert exactness.is_exact(TrainConfig(), processes) is exact
    assert exactness.is_exact(TrainConfig(exact=True), processes) is (size == 1)
    assert exactness.is_exact(TrainConfig(exact=False), processes) is False


@pytest.mark.parametrize(
    "device, size, exact, said",
    [
        ("mps", 1, True, "exact on Apple's GPU"),
        ("cpu", 2, True, "exact over several processes"),
        ("mps", 1, None, ""),
        ("cpu", 2, None, ""),
        ("cpu", 1, True, ""),
    ],
)
def test_whoever_asks_for_exact_results_in_vain_is_told(monkeypatch, capsys, device, size, exact, said):
    monkeypatch.setattr(Processes, "on_first", lambda self, action: action())
    exactness.tell_if_not_exact(TrainConfig(exact=exact), Processes(torch.device(device), size=size))
    heard = capsys.readouterr().err
    assert said in heard and bool(heard) is bool(said)


def test_a_likelihood_without_exact_kernels_is_refused_on_a_gpu():
    config, gpu = TrainConfig(exact=True, likelihood="ssim"), Processes(torch.device("cuda", 0))
    with pytest.raises(InputError, match="'ssim' has no exact results on a CUDA GPU"):
        with exactness.exact_results(config, gpu, 1):
            pass


def test_exact_products_asked_for_too_late_get_a_sentence(monkeypatch):
    def refuses(*_, **__):
        raise RuntimeError("Deterministic behavior was enabled ... CUBLAS_WORKSPACE_CONFIG=:4096:8")

    monkeypatch.setattr(torch, "ones", refuses)
    with pytest.raises(InputError, match="restart the notebook"):
        with exactness.exact_results(TrainConfig(exact=True), Processes(torch.device("cuda", 0)), 1):
            pass
    assert not torch.are_deterministic_algorithms_enabled()
