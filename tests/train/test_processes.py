"""Two gloo processes against one: the same gradients, the same course, and runs that change hands."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from vae_helpers.__main__ import main
from vae_helpers.data import Middles, Partners, open_pictures
from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.runs import Run, load_checkpoint, read_scalars
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Between, Paired, Processes, arithmetic, epoch_batches, fit, open_processes, scoring
from vae_helpers.train import loop as train
from vae_helpers.train import processes as distributed
from vae_helpers.train import state as run_state

PROJECT = Path(__file__).resolve().parents[2]
MODEL = VAEConfig(32, 8, (8, 16, 32), decoder_norm="batch")
# 17 pictures cannot be halved, so the two shares weigh differently.
CONFIG = TrainConfig.quick(96, epochs=4, batch_size=17, num_samples=2, clip=1e9, pictures_every=9, ema=0.9)
# Losses that mix the pictures of a batch, and a likelihood whose variance does.
MIXING = {
    "capacity": {},
    "tc": {},
    "tc-stratified": {},
    "factor": {"width": 16.0, "layers": 3.0},
    "dip-1": {},
    "dip-2": {},
    "info": {},
    "ada": {"k": 1.0},
    "middle": {},
}


def _mixing(name):
    """One of them; at β = 3 no part of a KL cancels another."""
    return replace(CONFIG, objective=name, knobs=MIXING[name], likelihood="calibrated", beta=3.0)


def _pictures(folder):
    return open_pictures("butterflies", 32, limit=120, cache_dir=Path(folder, "cache"), progress=False)


def _one_step(folder, processes, config=CONFIG):
    """Gradients and buffers after a step on the set's first global batch; also what an objective has learnt."""
    pictures = _pictures(folder)
    state = run_state.new_state(config, MODEL, processes, len(pictures.split.train))
    state.step = 7
    source = pictures.pictures
    if config.objective == "ada":
        source = Paired(source, Partners(pictures, k=1))
    if config.objective == "middle":
        source = Between(source, Middles(pictures))
    batches = epoch_batches(source, pictures.split.train, config, 0, 0, processes)
    train.train_step(state, next(batches), config, 0.3)
    tensors = {name: p.grad for name, p in state.model.named_parameters()} | dict(state.model.named_buffers())
    tensors |= state.objective.state_dict().get("discriminator", {})
    return tensors | {"sums": state.totals()}


def _in_float32():
    arithmetic.pick_half = lambda device: None


def _worker(folder):
    """What both processes under torchrun do."""
    _in_float32()
    rank = int(os.environ["RANK"])
    torch.save(_one_step(folder, open_processes("cpu")), Path(folder, f"step{rank}.pt"))
    for name in MIXING:
        torch.save(_one_step(folder, open_processes("cpu"), _mixing(name)), Path(folder, f"{name}{rank}.pt"))
    fit(_pictures(folder), Run("one_then_two", folder), None, device="cpu", resume=True, progress=False)
    step = train.train_step

    def stop_rank_one(state, *rest):
        step(state, *rest)
        if rank == 1 and state.step == 8:  # in the second epoch of five steps
            os.kill(os.getpid(), signal.SIGTERM)

    train.train_step = stop_rank_one
    result = fit(_pictures(folder), Run("two_then_one", folder), CONFIG, MODEL, device="cpu", progress=False)
    Path(folder, f"stopped{rank}.json").write_text(json.dumps([result.finished, result.scores.as_dict()]))
    train.train_step = step
    _stop_early(folder, rank)
    _on_two_machines(folder, rank)
    _lose_one(folder, rank)


def _stop_early(folder, rank):
    """As if held-out losses rose from the second on, which the first process alone knows."""
    totals, score = iter([9.0, 5.0, 6.0, 7.0, 8.0]), scoring.evaluate
    scoring.evaluate = lambda *a, **how: replace(score(*a, **how), total=next(totals))
    config = replace(CONFIG, epochs=9, early_stop=2)
    result = fit(_pictures(folder), Run("early", folder), config, MODEL, device="cpu", progress=False)
    scoring.evaluate = score
    Path(folder, f"early{rank}.json").write_text(json.dumps([result.finished, result.scores.as_dict()]))


def _on_two_machines(folder, rank):
    """Each has a VAE/ of its own, and only the first process writes."""
    command = [
        "train",
        "--limit",
        "60",
        "--image-size",
        "32",
        "--latent-dim",
        "8",
        "--batch-size",
        "20",
        "--device",
        "cpu",
        "--name",
        "m",
        "--out",
        str(Path(folder, f"machine{rank}")),
    ]
    for more in (["--epochs", "1"], ["--epochs", "2", "--resume"]):
        assert main([*command, *more]) == 0
    refused = (
        main([*command, "--resume", "--beta", "9"])
        if rank == 0
        else pytest.raises(SystemExit, main, [*command, "--resume", "--beta", "9"]).value.code
    )
    Path(folder, f"machine{rank}.json").write_text(json.dumps(refused))
    some = _pictures(folder)
    with pytest.raises(InputError if rank == 0 else SystemExit, match="same pictures" if rank == 0 else "2"):
        fit(
            replace(some, names=some.names[::-1]) if rank else some, Run("unequal", folder), CONFIG, MODEL, device="cpu"
        )


def _lose_one(folder, rank):
    """The last thing that they do: the second process dies in the middle of a step."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it to whoever is left
    forward = BetaVAE.forward

    def dying(model, *arguments):
        dying.calls += 1
        if rank == 1 and dying.calls == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return forward(model, *arguments)

    dying.calls, BetaVAE.forward = 0, dying
    with pytest.raises(InputError) as problem:
        fit(_pictures(folder), Run("lost", folder), CONFIG, MODEL, device="cpu", progress=False)
    Path(folder, "lost.json").write_text(json.dumps(str(problem.value)))


def _stopping(step, at):
    """`step`, asked to stop after step `at`."""

    def stopping(state, *rest):
        step(state, *rest)
        if state.step == at:
            os.kill(os.getpid(), signal.SIGTERM)

    return stopping


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A folder with what one process and then two have left, and the outcome of one process alone."""
    folder = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "pick_half", lambda device: None)
        pictures = _pictures(folder)
        one = fit(pictures, Run("one", folder), CONFIG, MODEL, device="cpu", progress=False)
        patch.setattr(
            train, "train_step", _stopping(train.train_step, 10)
        )  # the last of the second epoch, which is still open
        fit(pictures, Run("one_then_two", folder), CONFIG, MODEL, device="cpu", progress=False)
        patch.undo()
        patch.setattr(arithmetic, "pick_half", lambda device: None)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--nproc-per-node",
                "2",
                __file__,
                str(folder),
            ],
            env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert Path(folder, "lost.json").is_file(), done.stdout[-3000:] + done.stderr[-5000:]
        yield folder, pictures, one


@pytest.mark.parametrize("name", ["step", *MIXING])
def test_gradients_and_statistics_equal_those_of_one_process(two, name):
    folder, *_ = two
    alone = _one_step(folder, Processes(torch.device("cpu")), _mixing(name) if name in MIXING else CONFIG)
    for rank in (0, 1):
        shared = torch.load(folder / f"{name}{rank}.pt", weights_only=True)
        assert shared.keys() == alone.keys() and len(alone) > 30
        scale = max(
            t.abs().max() for key, t in alone.items() if key.startswith(("encoder", "decoder")) and "weight" in key
        )
        for key, expected in alone.items():
            torch.testing.assert_close(
                shared[key], expected, rtol=1e-4, atol=float(scale) * 1e-5, msg=lambda said, key=key: f"{key}: {said}"
            )


def _close(folder, run, one):
    log, expected = read_scalars(Run(run, folder).tensorboard), read_scalars(Run("one", folder).tensorboard)
    for name in ("reconstruction/train", "kl/train", "total/held_out"):
        assert log[name][0].tolist() == [1, 2, 3, 4]  # one writer, no step twice
        np.testing.assert_allclose(log[name][1], expected[name][1], rtol=0.02)
    assert load_checkpoint(Run(run, folder).last)[1]["step"] == 20


def test_a_run_of_one_process_goes_on_in_two(two):
    folder, _, one = two
    _close(folder, "one_then_two", one)


def test_all_processes_stop_at_one_step_and_one_process_goes_on(two):
    folder, pictures, one = two
    run = Run("two_then_one", folder)
    first, second = (json.loads((folder / f"stopped{rank}.json").read_text()) for rank in (0, 1))
    assert first == second and first[0] is False
    assert load_checkpoint(run.last)[1]["step"] == 8
    assert fit(pictures, run, device="cpu", resume=True, progress=False).finished
    _close(folder, "two_then_one", one)


def test_all_processes_stop_early_at_one_epoch(two):
    folder, *_ = two
    first, second = (json.loads((folder / f"early{rank}.json").read_text()) for rank in (0, 1))
    assert first == second and first[0] is True
    assert load_checkpoint(Run("early", folder).last)[1]["epochs_closed"] == 4
    assert read_scalars(Run("early", folder).tensorboard)["total/held_out"][0].tolist() == [1, 2, 3, 4]


def test_what_depends_on_the_disk_is_decided_by_the_first_process(two):
    folder, *_ = two
    assert load_checkpoint(Run("m", folder / "machine0").last)[1]["epochs_closed"] == 2
    assert not (folder / "machine1").exists()
    assert [json.loads((folder / f"machine{rank}.json").read_text()) for rank in (0, 1)] == [2, 2]


def test_the_loss_of_a_process_is_a_sentence_and_a_checkpoint_of_the_step_before(two):
    folder, pictures, _ = two
    said, run = json.loads((folder / "lost.json").read_text()), Run("lost", folder)
    assert "another process of this training has ended" in said and "resume the run 'lost'" in said
    saved = load_checkpoint(run.last)[1]
    assert 5 <= saved["step"] == 7 and saved["epochs_closed"] == 1
    assert fit(pictures, run, device="cpu", resume=True, progress=False).finished


def test_the_first_process_may_take_longer_than_the_others_patience(monkeypatch):
    sent, heard = [], threading.Event()
    monkeypatch.setattr(distributed, "_TIMEOUT", timedelta(seconds=0.04))
    monkeypatch.setattr(distributed.dist, "broadcast", lambda flag, root: (sent.append(float(flag)), heard.set()))
    monkeypatch.setattr(distributed.dist, "broadcast_object_list", lambda passed, src, device: sent.append(passed))
    assert Processes(torch.device("cpu"), 0, 2).on_first(lambda: heard.wait(60)) is True
    *waiting, over, passed = sent
    assert set(waiting) == {0.0} and over == 1.0 and passed == [True, False]


def test_processes_meet_for_an_hour_but_a_silent_one_is_given_up_in_minutes(monkeypatch):
    given, store = {}, torch.distributed.HashStore()
    monkeypatch.setattr(
        distributed, "rendezvous", lambda url, timeout: (given.update(meeting=timeout), iter([(store, 0, 1)]))[1]
    )
    monkeypatch.setattr(distributed.dist, "init_process_group", lambda backend, **options: given.update(options))
    monkeypatch.setattr(distributed.atexit, "register", lambda function: None)
    monkeypatch.setattr(distributed, "stop_when", lambda gone: given.update(orphan=gone()))
    distributed._connect("gloo")
    assert given["meeting"] >= timedelta(hours=1) and timedelta(minutes=1) < given["timeout"] <= timedelta(minutes=15)
    assert given["orphan"] is False
    monkeypatch.setattr(distributed.dist, "is_initialized", lambda: True)
    assert distributed.process_was_lost(RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer"))
    assert not distributed.process_was_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_more_processes_than_pictures_or_devices_get_a_sentence(small_set, monkeypatch):
    state = run_state.new_state(CONFIG, VAEConfig(32, 8), Processes(torch.device("cpu")))
    state.processes = Processes(torch.device("cpu"), 0, 40)
    with pytest.raises(InputError, match="cannot be shared by 40 processes"):
        train._require_fitting(state, small_set, CONFIG)
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "29500")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("vae_helpers.train.processes.pick_device", lambda name: torch.device("mps"))
    with pytest.raises(InputError, match="--device cpu"):
        open_processes()
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("vae_helpers.train.processes.pick_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="--nproc-per-node 1"):
        open_processes()


if __name__ == "__main__":
    _worker(sys.argv[1])
