import errno
import os
import pickle
import time

import pytest
import torch

from vae_helpers import checkpoint
from vae_helpers.checkpoint import Run, list_runs, load_checkpoint, load_run, newest_run, run_name, save_checkpoint
from vae_helpers.errors import InputError


def test_a_model_comes_back_from_the_file_alone(small_model, tmp_path):
    save_checkpoint(tmp_path / "m.pt", small_model, step=7, data={"name": "x"})
    model, saved = load_checkpoint(tmp_path / "m.pt")
    assert model.config == small_model.config and not model.training and saved["step"] == 7
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), small_model.state_dict().values()))
    assert os.listdir(tmp_path) == ["m.pt"]  # nothing left aside


def test_run_names_and_folders(tmp_path):
    assert run_name("butterfly", 4, "wide") == "butterfly_ns_4_wide" and run_name("animal") == "animal_ns_1"
    run = Run("a", tmp_path)
    assert [p.parent.name for p in (run.models, run.generated_images, run.tensorboard, run.plots)] == [
        "models", "generated_images", "tensorboard", "plots"]


def test_newest_run_comes_first(small_model, tmp_path):
    for i, name in enumerate(("old", "new")):
        save_checkpoint(Run(name, tmp_path).last, small_model)
        os.utime(Run(name, tmp_path).last, (time.time() + i, time.time() + i))
    assert list_runs(tmp_path) == ["new", "old"] and newest_run(tmp_path) == "new"


def test_the_best_checkpoint_is_the_one_to_look_at(small_model, tmp_path):
    run = Run("r", tmp_path)
    save_checkpoint(run.last, small_model, step=2)
    assert load_run(run)[1]["step"] == 2
    save_checkpoint(run.best, small_model, step=1)
    assert load_run(run)[1]["step"] == 1


class _Evil:
    def __reduce__(self):
        return os.mkdir, ("harm",)


def _evil_pickle(path):
    path.write_bytes(pickle.dumps({"model": _Evil()}))


def _evil_torch_file(path):
    torch.save({"format": checkpoint.FORMAT, "config": {}, "model": _Evil()}, path)


@pytest.mark.parametrize("write", [_evil_pickle, _evil_torch_file])
def test_a_file_that_carries_code_is_refused_and_not_run(tmp_path, write):
    write(tmp_path / "evil.pt")
    with pytest.raises(InputError, match="evil.pt"):
        load_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "harm").exists()


def test_code_is_named_as_the_reason(tmp_path):
    _evil_torch_file(tmp_path / "evil.pt")
    with pytest.raises(InputError, match="carries code"):
        load_checkpoint(tmp_path / "evil.pt")


def _torn(path, model):
    save_checkpoint(path, model)
    path.write_bytes(path.read_bytes()[:-1000])


def _changed(path, model):
    save_checkpoint(path, model)
    content = torch.load(path, weights_only=True)
    content["model"].pop("encoder.mu.weight")
    torch.save(content, path)


@pytest.mark.parametrize("write, word", [
    (lambda path, model: None, "no checkpoint"),
    (lambda path, model: path.write_text("hello"), "damaged"),
    (lambda path, model: path.write_bytes(b""), "damaged"),
    (_torn, "damaged"),
    (_changed, "do not fit"),
    (lambda path, model: torch.save(model.state_dict(), path), "not a checkpoint of this project"),
    (lambda path, model: torch.save([1, 2], path), "not a checkpoint of this project")])
def test_missing_foreign_and_torn_files_get_a_sentence(tmp_path, small_model, write, word):
    write(tmp_path / "m.pt", small_model)
    with pytest.raises(InputError, match=word):
        load_checkpoint(tmp_path / "m.pt")


def test_a_full_disk_leaves_the_previous_checkpoint_whole(small_model, tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "m.pt", small_model, step=1)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(InputError, match="disk is full"):
        save_checkpoint(tmp_path / "m.pt", small_model, step=2)
    assert load_checkpoint(tmp_path / "m.pt")[1]["step"] == 1 and os.listdir(tmp_path) == ["m.pt"]


def test_unknown_runs_and_bad_names_get_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no run 'nobody'"):
        load_run(Run("nobody", tmp_path))
    with pytest.raises(InputError, match="no run has been trained"):
        newest_run(tmp_path)
    with pytest.raises(InputError, match="cannot name a run"):
        Run("../elsewhere", tmp_path)
