"""The plain loop and the comparisons with it: equal functions, counted arithmetic, ratios pair by pair."""

import numpy as np
import pytest
import torch
from small import SMALL
from torch.utils.flop_counter import FlopCounterMode

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.experiments import (
    PlainRecipe,
    PlainVAE,
    benchmark_table,
    held_out,
    matrix,
    peak_memory,
    plain_fit,
    precision,
    time_steps,
)
from vae_helpers.experiments import speed as benchmark
from vae_helpers.experiments import whole_runs as benchmark_runs
from vae_helpers.model import BetaVAE, VAEConfig

CPU = torch.device("cpu")


def _flops(model, pictures: int = 16) -> float:
    """Multiplications and additions of one training step, per picture (folding a kernel is shared by the batch)."""
    with FlopCounterMode(display=False) as counter:
        x_hat, mu, logvar = model(torch.zeros(pictures, 3, 128, 128), torch.zeros(1, pictures, 128))
        (x_hat.sum() + mu.sum() + logvar.sum()).backward()
    return counter.get_total_flops() / pictures


def test_training_takes_the_folded_arithmetic_and_the_plain_loop_the_unfolded():
    config = VAEConfig()
    assert _flops(BetaVAE(config)) == pytest.approx(1_692e6, rel=0.01)
    assert _flops(PlainVAE(config)) == pytest.approx(2_746e6, rel=0.01)


def test_the_plain_loop_computes_the_same_function():
    torch.manual_seed(0)
    plain = PlainVAE(SMALL)
    ours = BetaVAE(SMALL)
    ours.load_state_dict({name: value for name, value in plain.state_dict().items() if not name.startswith("norms")})
    x, noise = torch.rand(4, 3, 32, 32) * 2 - 1, torch.randn(1, 4, 8)
    for one, other in zip(plain(x, noise), ours(x, noise)):
        assert torch.allclose(one, other, atol=1e-5)


def test_ratios_come_pair_by_pair_and_against_the_first(monkeypatch):
    spent = {"plain": 3.0, "ours": 0.5}
    drift = iter(np.linspace(1.0, 2.0, 1000))  # the machine gets slower and slower: ratios must not notice
    monkeypatch.setattr(benchmark, "_seconds", lambda work: spent[work().name] * next(drift))

    class Named(float):
        name = ""

    def work(name):
        done = Named(0)
        done.name = name
        done.item = lambda: 0
        return lambda: done

    plain, ours = time_steps({"plain": work("plain"), "ours": work("ours")}, pairs=10, progress=False)
    assert plain.ratio == pytest.approx(1.0, rel=1e-3) and ours.ratio == pytest.approx(6.0, rel=1e-3)
    assert ours.low <= ours.ratio <= ours.high and 1 / 1.0 <= ours.images_per_second <= 1 / 0.5
    text = benchmark_table(
        {"hardware": {"cpu": "x", "gpu": None}, "batch_size": 2, "image_size": 32, "steps": [ours._asdict()]}
    )
    assert "| ours | " in text and "| 6.00 |" in text and "cpu x" in text and "gpu" not in text


def test_the_matrix_has_a_cell_for_every_way_this_device_knows(small_set, monkeypatch):
    monkeypatch.setattr(benchmark, "can_compile", lambda device: False)
    rows = matrix(small_set, batch_sizes=(4, 200), pairs=1, device="cpu", progress=False)  # 200: more than there are
    assert [(r["batch_size"], r["kernels"], r["layout"], r["way"]) for r in rows] == [
        (b, k, l, "eager") for b in (4, 200) for k in ("as written", "folded") for l in ("NCHW", "channels-last")
    ]
    assert all(0 < row["images_per_second"] < 1e6 for row in rows)


def test_the_matrix_computes_in_the_layout_it_names(monkeypatch):
    monkeypatch.setattr(benchmark, "can_compile", lambda device: False)
    pictures, seen, convolve = np.zeros((8, 32, 32, 3), np.uint8), [], torch.nn.functional.conv_transpose2d

    def looked_at(x, weight, *given, **named):
        seen.append(x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous())
        return convolve(x, weight, *given, **named)

    monkeypatch.setattr(torch.nn.functional, "conv_transpose2d", looked_at)
    for layout in ("NCHW", "channels-last"):
        step = benchmark._cell(VAEConfig(image_size=32), CPU, "folded", layout, "eager")
        seen.clear()
        step(to_float(pictures))
        assert set(seen) == {layout == "channels-last"}


def test_the_plain_loop_learns_and_leaves_the_session_its_dice(small_set):
    before = torch.random.get_rng_state()
    model, seconds = plain_fit(small_set, PlainRecipe(2, 16, 1e-3), CPU, progress=False)
    again, _ = plain_fit(small_set, PlainRecipe(2, 16, 1e-3), CPU, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before) and seconds > 0 and not model.training
    assert all(torch.equal(one, other) for one, other in zip(model.state_dict().values(), again.state_dict().values()))
    untrained = PlainVAE(VAEConfig(image_size=32), own_start=True).eval()
    assert held_out(model, small_set)[0] < 0.9 * held_out(untrained, small_set)[0]


def test_held_out_agrees_with_the_score_of_a_run(trained, small_set):
    _, result = trained
    loss, quality = held_out(result.model, small_set)
    assert quality == pytest.approx(result.scores.psnr, abs=1e-3) and loss == pytest.approx(
        result.scores.total, rel=0.02
    )


def test_the_memory_of_a_step_is_at_least_that_of_its_activations():
    # The outputs of the encoder's first block alone, kept for backward: 64 × 32 × 32 × 32 floats, 8 MiB, twice.
    assert all(16 < mib < 4096 for mib in peak_memory(64, 64, "cpu").values())


def test_precision_compares_equal_recipes(small_set, monkeypatch):
    monkeypatch.setattr(benchmark_runs, "pick_half", lambda device: torch.bfloat16)
    full, half = precision(small_set, 1, (0, 1), "cpu", progress=False)
    assert (full["name"], half["name"]) == ("float32", "bfloat16") and len(full["kl"]) == len(half["kl"]) == 2
    assert full["reconstruction"] == pytest.approx(half["reconstruction"], rel=0.2)
    monkeypatch.setattr(benchmark_runs, "pick_half", lambda device: None)
    with pytest.raises(InputError, match="float32 anyway"):
        precision(small_set, 1, (0, 1), "cpu", progress=False)
