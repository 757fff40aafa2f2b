"""Checkpoints that are not ours, or no longer: each is refused in a sentence, or loads and works."""

import copy
import math
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from malformed import ODD, ODD_LAST, a_step, make_run, some_set, spoiled_contents, spoiled_files

from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.runs import (
    Archive,
    Run,
    Saved,
    checkpoint,
    list_runs,
    load_checkpoint,
    load_latest,
    load_run,
    save_checkpoint,
)
from vae_helpers.settings import TrainConfig
from vae_helpers.train import Processes, new_state, resumed_state, save_last
from vae_helpers.widgets import runs_on


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("VAE"))


@pytest.fixture
def built(monkeypatch):
    """How many models are allocated; those on `meta` are built elsewhere."""
    made = []
    monkeypatch.setattr(checkpoint, "BetaVAE", lambda config: made.append(config) or BetaVAE(config))
    return made


def _outcome(path, name, built):
    """None if the file loads and its model draws, else the sentence; a refused file allocates no model."""
    before = len(built)
    try:
        model, saved = load_checkpoint(path)
    except InputError as problem:
        said = str(problem)
        assert said.isprintable() and len(said) < 900 and str(path) in said, (name, said)
        assert len(built) == before, name
        return said
    assert torch.isfinite(model.decode(torch.zeros(1, model.config.latent_dim))).all(), name
    return None


def _goes_on(path, folder, name):
    """Resume from a file that loaded: a step, or a sentence."""
    run = Run("tiny", folder)
    run.models.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, run.last)
    try:
        state, config, _ = resumed_state(run, 0, some_set(), Processes(torch.device("cpu")))
    except InputError as problem:
        return str(problem)
    a_step(state, config)
    assert 1 <= state.arithmetic.threads <= 1024, name
    assert all(weight.isfinite().all() for weight in state.model.parameters()), name


@pytest.mark.parametrize("kind", ["best", "last"])
def test_every_spoilt_field_is_refused_in_a_sentence_or_does_no_harm(tiny, tmp_path, built, kind):
    path, refused, total = tmp_path / "m.pt", 0, 0
    for name, content in spoiled_contents(getattr(tiny, kind)):
        torch.save(content, path)
        said = _outcome(path, name, built)
        refused, total = refused + (said is not None), total + 1
        if said is None and kind == "last":
            _goes_on(path, tmp_path, name)
    assert total > 100 and refused > 0.7 * total, (refused, total)


def test_a_step_that_no_run_reaches_is_not_gone_on_from(tiny, tmp_path):
    content = torch.load(tiny.last, weights_only=True)
    for spoil in ({"step": 5}, {"epochs_closed": 1, "step": 1}, {"sums": None}, {"step": 0}):
        torch.save(content | spoil, tmp_path / "m.pt")
        assert "which no run reaches" in _goes_on(tmp_path / "m.pt", tmp_path, spoil)


def test_every_spoilt_archive_is_refused_in_a_sentence(tiny, tmp_path, built):
    path, loaded = tmp_path / "m.pt", []
    for name, content in spoiled_files(tiny.best):
        path.write_bytes(content)
        if _outcome(path, name, built) is None:
            loaded.append(name)
    assert not Path("harm").exists() and not (tmp_path / "harm").exists()
    # What is not used does no harm: the room between members, what follows the archive, the device a tensor was on.
    assert [name for name in loaded if not name.startswith("zeros at")] == [
        "something behind",
        "pickle: b'cpu' as b'gpu'",
    ], loaded
    assert len(loaded) < 12


# Each of these ended the process (SIGSEGV, SIGABRT) or took gigabytes where torch.load was trusted with the file.
_CRASHERS = ("threads", "exp_avg", "exp_avg everywhere the same", "long sums", "sums", "its Adam", "params")


def test_what_used_to_crash_the_process_is_refused_without_taking_memory(tiny, tmp_path):
    content = torch.load(tiny.last, weights_only=True)
    bomb = tmp_path / "bomb.pt"
    big = VAEConfig(image_size=128, latent_dim=16_384)
    torch.save({"format": checkpoint.FORMAT, "config": big.as_dict(), "model": {}}, tmp_path / "claims.pt")
    with zipfile.ZipFile(tmp_path / "claims.pt") as claims, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in claims.namelist():
            packed.writestr(name, claims.read(name))
        packed.writestr("claims/data/0", bytes(400 * 2**20))
    (tmp_path / "lies.pt").write_bytes(dict(spoiled_files(tiny.last))["a tensor of 2 GB"])
    for name in _CRASHERS:
        spoilt = copy.deepcopy(content)
        ODD_LAST[name](spoilt)
        torch.save(spoilt, tmp_path / f"{name}.pt")
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, *map(str, sorted(tmp_path.glob("*.pt")))],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.returncode == 0, child.stderr[-2000:]
    *said, grown = child.stdout.splitlines()
    assert len(said) == len(_CRASHERS) + 3 and all(".pt is refused, because" in line for line in said), said
    assert int(grown) < 150 * 2**10, f"{grown} KiB"


_CHILD = """
import resource, sys
from vae_helpers.runs.checkpoint import load_checkpoint
from vae_helpers.errors import InputError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in sys.argv[1:]:
    try:
        load_checkpoint(path)
    except InputError as problem:
        print(problem)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_only_regular_files_are_opened(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(Archive, "_open", lambda self: opened.append(self.path) or pytest.fail("opened"))
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "folder.pt").mkdir()
    for name, target in (
        ("null", "/dev/zero"),
        ("memory", "/proc/self/mem"),
        ("status", "/proc/self/status"),
        ("self", "self.pt"),
    ):
        (tmp_path / f"{name}.pt").symlink_to(target)
    for path in (*tmp_path.glob("*.pt"), tmp_path / ("x" * 300), "a\0b", tmp_path / "folder.pt" / "none.pt"):
        with pytest.raises(InputError, match="no regular file|cannot be read|no checkpoint") as problem:
            load_checkpoint(path)
        assert "\n" not in str(problem.value)
    assert not opened


def test_a_file_that_may_not_be_read_gets_a_sentence(tiny, tmp_path, monkeypatch):
    shutil.copy(tiny.best, tmp_path / "m.pt")

    def closed(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", closed)
    with pytest.raises(InputError, match="m.pt cannot be read .Permission denied.: mend that"):
        load_checkpoint(tmp_path / "m.pt")


def test_a_refused_field_is_named(tiny, tmp_path):
    content = torch.load(tiny.last, weights_only=True)
    for name, field in (
        ("exp_avg", "optimizer.state.0 .*exp_avg is of shape .1,., but must be .* .4, 3, 4, 4."),
        ("threads", "threads is 100000"),
        ("sums", "sums is of shape"),
        ("scaler", "scaler.scale is -1.0"),
        ("discriminator", "layers.0.weight is of shape"),
        ("NaN ema", "ema.encoder.mu.bias holds NaN"),
    ):
        spoilt = copy.deepcopy(content)
        ODD_LAST[name](spoilt)
        torch.save(spoilt, tmp_path / "m.pt")
        with pytest.raises(InputError, match=field):
            load_checkpoint(tmp_path / "m.pt")


def test_a_refused_field_of_muon_is_named(tmp_path):
    run, config = Run("muon", tmp_path), TrainConfig(epochs=3, batch_size=8, optimizer="muon")
    state = new_state(config, VAEConfig(8, 12, widths=(12,)), Processes(torch.device("cpu")), 12)
    a_step(state, config)
    save_last(run, state, config, some_set())
    content = torch.load(run.last, weights_only=True)
    matrices = content["optimizer"]["momentum"]
    assert load_checkpoint(run.last)[0].config.latent_dim == 12 and all(m.abs().max() > 0 for m in matrices.values())
    for spoil, field in (
        (lambda o: o["momentum"].pop(1), "1 is missing in optimizer"),
        (lambda o: o["momentum"].update({0: torch.ones(2)}), "0 is of shape .2,., but must be"),
        (lambda o: o.update(momentum=[torch.ones(2)]), "tensor|optimizer.momentum is .* must be of type dict"),
        (lambda o: o["adam"]["state"][1].update(exp_avg=torch.ones(99)), "optimizer.adam.state.1"),
        (lambda o: o.pop("adam"), "adam is missing in optimizer"),
        (lambda o: o["momentum"][0].fill_(float("nan")), "optimizer.momentum.0 holds NaN"),
    ):
        spoilt = copy.deepcopy(content)
        spoil(spoilt["optimizer"])
        torch.save(spoilt, tmp_path / "m.pt")
        with pytest.raises(InputError, match=field):
            load_checkpoint(tmp_path / "m.pt")
    adam = copy.deepcopy(content)
    adam["train_config"]["optimizer"] = "adam"
    torch.save(adam, tmp_path / "m.pt")
    with pytest.raises(InputError, match="optimizer"):
        load_checkpoint(tmp_path / "m.pt")


def test_what_a_checkpoint_lacks_is_said_where_it_is_asked_for(tiny, tmp_path):
    content = torch.load(tiny.best, weights_only=True)
    del content["data"], content["train_config"]["beta"]
    torch.save(content, tmp_path / "m.pt")
    saved = load_checkpoint(tmp_path / "m.pt")[1]
    assert saved["train_config"]["beta"] == 1.0  # a setting that came later has its default
    for copied in (saved, pickle.loads(pickle.dumps(saved))):  # as it travels to other processes
        assert isinstance(copied, Saved) and "data" not in copied and dict(copied) == dict(saved)
        with pytest.raises(InputError, match="m.pt lacks 'data'"):
            copied["data"]


def test_the_shipped_weights_and_todays_and_older_files_load(tiny, tmp_path):
    shipped = Path(__file__).parents[2] / "VAE" / "models" / "shipped_butterflies" / "best.pt"
    model, saved = load_checkpoint(shipped)
    assert model.config.latent_dim == 128 and saved["data"]["request"]["source"] == "synthetic"
    whole = torch.load(shipped, weights_only=True)["model"]
    assert all(torch.equal(weight, whole[name].to(weight.dtype)) for name, weight in model.state_dict().items())
    assert load_latest(tiny)[1]["threads"] >= 1 and load_run(tiny)[1]["best_epoch"] == 1
    assert _goes_on(tiny.last, tmp_path, "today's") is None
    older = torch.load(tiny.last, weights_only=True)
    for name in ("objective", "best_epoch", "first_loss", "epochs_closed", "finished", "ema"):  # before there were any
        del older[name]
    older["train_config"] = {
        name: older["train_config"][name] for name in ("epochs", "batch_size", "lr", "beta", "seed")
    }
    older["sums"] = torch.ones(4)
    for state in older["optimizer"]["state"].values():
        state["step"] = 3.0  # as torch had it once
    torch.save(older, tmp_path / "older.pt")
    assert load_checkpoint(tmp_path / "older.pt")[1]["train_config"]["objective"] == "beta"


def test_odd_runs_among_the_others_are_left_out(tiny, tmp_path, capsys):
    pictures = some_set()
    content = torch.load(tiny.best, weights_only=True)
    content["train_config"].update(objective="beta", knobs=None)
    models = Run("x", tmp_path).models.parent
    spoils = {
        "sound": lambda c: None,
        "nan": ODD["NaN"],
        "scoreless": lambda c: c.update(scores={}),
        "infinite": lambda c: c.update(scores=c["scores"] | {"psnr": math.inf}),
        "no data": lambda c: c.pop("data"),
        "settings": lambda c: c.update(train_config=[1]),
        "smaller": lambda c: c["data"]["request"].update(image_size=16),
        "a:colon": lambda c: None,
    }
    for name, spoil in spoils.items():
        spoilt = copy.deepcopy(content)
        spoil(spoilt)
        (models / name).mkdir(parents=True)
        torch.save(spoilt, models / name / "best.pt")
    other = BetaVAE(VAEConfig(image_size=16, latent_dim=2, widths=(4, 4)))
    save_checkpoint(
        models / "other size" / "best.pt", other, **{k: content[k] for k in ("data", "train_config", "scores")}
    )
    for name in ("nothing", "pipe", "folder", "loop"):
        (models / name).mkdir()
    (models / "nothing" / "best.pt").symlink_to("/nowhere")
    (models / "loop" / "best.pt").symlink_to("best.pt")
    os.mkfifo(models / "pipe" / "last.pt")
    (models / "folder" / "best.pt").mkdir()
    (models / "a file").write_text("x")
    assert set(list_runs(tmp_path)) == {*spoils, "other size"} - {"a:colon"}
    run, same = sorted(runs_on(pictures, tmp_path), key=lambda run: run.name != "sound")
    assert run.name == "sound" and (run.beta, run.rate, run.psnr) == (1.0, 1.0, 9.0)
    assert same.name == "smaller"  # what it asked for says nothing: the pictures are the same
    said = capsys.readouterr().err
    assert all(name in said for name in ("'nan' is left out", "'settings' is left out")) and "sound" not in said
