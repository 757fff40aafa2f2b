import errno
import os
import pickle
import pickletools
import time
import zipfile

import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.runs import (
    DamagedFile,
    Run,
    checkpoint,
    list_runs,
    load_checkpoint,
    load_latest,
    load_run,
    newest_run,
    remove_leftovers,
    run_name,
    save_checkpoint,
)


def test_a_model_comes_back_from_the_file_alone(small_model, tmp_path):
    save_checkpoint(tmp_path / "m.pt", small_model, step=7, data={"name": "x", "pictures": 3, "request": None})
    model, saved = load_checkpoint(tmp_path / "m.pt")
    assert model.config == small_model.config and not model.training and saved["step"] == 7
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), small_model.state_dict().values()))
    assert os.listdir(tmp_path) == ["m.pt"]  # nothing left aside


def test_run_names_and_folders(tmp_path):
    assert run_name("butterfly", 4, "wide") == "butterfly_ns_4_wide" and run_name("animal") == "animal_ns_1"
    run = Run("a", tmp_path)
    assert [p.parent.name for p in (run.models, run.generated_images, run.tensorboard, run.plots)] == [
        "models",
        "generated_images",
        "tensorboard",
        "plots",
    ]


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


@pytest.mark.parametrize(
    "write, word",
    [
        (lambda path, model: None, "no checkpoint"),
        (lambda path, model: path.write_text("hello"), "damaged"),
        (lambda path, model: path.write_bytes(b""), "damaged"),
        (_torn, "damaged"),
        (_changed, "do not fit"),
        (lambda path, model: torch.save(model.state_dict(), path), "not a checkpoint of this project"),
        (lambda path, model: torch.save([1, 2], path), "not a checkpoint of this project"),
    ],
)
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


def test_a_write_that_is_cut_short_leaves_the_previous_checkpoint_whole(small_model, tmp_path):
    """A limit on the size of files makes the system refuse in the middle of torch.save, as a full disk does."""
    resource = pytest.importorskip("resource")
    save_checkpoint(tmp_path / "m.pt", small_model, step=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "m.pt").stat().st_size // 2, hard))
    try:
        with pytest.raises(InputError, match="because the file is larger.*; the checkpoint before it") as problem:
            save_checkpoint(tmp_path / "m.pt", small_model, step=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(problem.value)
    assert load_checkpoint(tmp_path / "m.pt")[1]["step"] == 1 and os.listdir(tmp_path) == ["m.pt"]


def test_the_disks_word_is_passed_on_where_torch_hides_it(small_model, tmp_path, monkeypatch):
    """torch.save makes a RuntimeError about its zip file of it; of a large tensor nothing stays for
    `close` to fail on.
    """
    resource = pytest.importorskip("resource")

    def hidden(content, file):
        try:
            file.write(bytes(1_000_000))
        except OSError:
            raise RuntimeError("[enforce fail at inline_container.cc:659] . unexpected pos 64 vs 0") from None

    monkeypatch.setattr(torch, "save", hidden)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputError, match="the file is larger than this system lets it be"):
            save_checkpoint(tmp_path / "m.pt", small_model)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_not_the_disks_fault_is_not_blamed_on_it(small_model, tmp_path, monkeypatch):
    save_checkpoint(tmp_path / "m.pt", small_model, step=1)

    def broken(content, file):
        raise RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be reported later")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(InputError, match=r"failed \(CUDA error: device-side assert triggered\)") as problem:
        save_checkpoint(tmp_path / "m.pt", small_model, step=2)
    assert "disk is full" not in str(problem.value) and "space" not in str(problem.value)
    assert load_checkpoint(tmp_path / "m.pt")[1]["step"] == 1 and os.listdir(tmp_path) == ["m.pt"]


def test_a_save_that_is_interrupted_leaves_nothing_aside(small_model, tmp_path, monkeypatch):
    def interrupted(content, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(tmp_path / "m.pt", small_model)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_gets_a_sentence(small_model, tmp_path):
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="could not be saved"):
        save_checkpoint(tmp_path / "models" / "r" / "last.pt", small_model)


def _saved_twice(run, model):
    for step in (1, 2):
        save_checkpoint(run.last, model, keep=run.previous, step=step)


def test_the_last_two_are_kept(small_model, tmp_path):
    run = Run("r", tmp_path)
    _saved_twice(run, small_model)
    assert [load_checkpoint(path)[1]["step"] for path in (run.last, run.previous)] == [2, 1]
    assert load_latest(run)[1]["step"] == 2
    run.last.unlink()  # as after a crash between the two renames
    assert run.exists() and list_runs(tmp_path) == ["r"] and load_latest(run)[1]["step"] == 1


def _zero_the_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 512] = bytes(512)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "tear",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:3]),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: path.write_bytes(bytes(5000)),
        _zero_the_middle,
    ],
)
def test_a_torn_file_counts_as_absent_with_one_line_said(small_model, tmp_path, capsys, tear):
    run = Run("r", tmp_path)
    _saved_twice(run, small_model)
    tear(run.last)
    assert load_latest(run)[1]["step"] == 1
    said = capsys.readouterr().err
    assert "last.pt" in said and "previous.pt is used" in said and said.count("\n") == 1
    tear(run.previous)
    with pytest.raises(DamagedFile, match="last.pt and previous.pt .* both damaged"):
        load_latest(run)
    with pytest.raises(DamagedFile, match="last.pt"):
        load_checkpoint(run.last)


def test_a_torn_best_gives_way_to_the_last(small_model, tmp_path, capsys):
    run = Run("r", tmp_path)
    _saved_twice(run, small_model)
    run.best.write_bytes(b"PK\3\4")
    assert load_run(run)[1]["step"] == 2 and "last.pt is used" in capsys.readouterr().err


@pytest.mark.parametrize(
    "foreign", [lambda path: path.write_text("hello"), lambda path: torch.save([1], path), _evil_torch_file]
)
def test_a_foreign_file_is_refused_by_name_although_a_previous_one_exists(small_model, tmp_path, foreign):
    run = Run("r", tmp_path)
    _saved_twice(run, small_model)
    foreign(run.last)
    with pytest.raises(InputError, match="last.pt") as problem:
        load_latest(run)
    assert not isinstance(problem.value, DamagedFile)


def test_nothing_to_go_on_from_gets_a_sentence(small_model, tmp_path):
    run = Run("r", tmp_path)
    with pytest.raises(InputError, match="neither last.pt nor best.pt"):
        load_latest(run)
    save_checkpoint(run.best, small_model, step=3)
    assert load_latest(run)[1]["step"] == 3  # better than nothing


def test_what_a_killed_process_left_aside_is_swept_up(small_model, tmp_path):
    run = Run("r", tmp_path)
    save_checkpoint(run.last, small_model)
    (run.models / ".last.pt.123.tmp").write_bytes(b"half")
    remove_leftovers(run)
    assert os.listdir(run.models) == ["last.pt"]


def test_a_checkpoint_holds_plain_types_and_cpu_readable_tensors_only(trained):
    """With weights_only=True and no names allowed beyond torch's own, so any torch version and any machine reads it."""
    run, _ = trained
    for path in (run.last, run.best):
        names = {line for line in zipfile.ZipFile(path).namelist() if line.endswith(".pkl")}
        assert len(names) == 1
        content = zipfile.ZipFile(path).read(names.pop())
        used = {f"{a} {b}" for a, b in _globals(content)}
        assert used <= {
            "collections OrderedDict",
            "torch._utils _rebuild_tensor_v2",
            "torch FloatStorage",
            "torch ByteStorage",
            "torch LongStorage",
        }


def _globals(content):
    """Every `(module, name)` that a pickle refers to."""
    strings = []
    for code, argument, _ in pickletools.genops(content):
        if code.name == "GLOBAL":
            yield argument.split(" ", 1)
        elif code.name == "STACK_GLOBAL":
            yield strings[-2], strings[-1]
        elif isinstance(argument, str):
            strings.append(argument)


def test_a_checkpoint_written_on_a_gpu_loads_without_one(small_model, tmp_path):
    """Its storages are marked cuda:0; here that mark is forged into a file, which has the same effect."""
    save_checkpoint(tmp_path / "m.pt", small_model, step=3)
    with zipfile.ZipFile(tmp_path / "m.pt") as archive, zipfile.ZipFile(tmp_path / "gpu.pt", "w") as forged:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("data.pkl"):
                assert b"X\x03\x00\x00\x00cpu" in content
                content = content.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
            forged.writestr(name, content)
    model, saved = load_checkpoint(tmp_path / "gpu.pt")
    assert saved["step"] == 3 and next(model.parameters()).device.type == "cpu"


def test_unknown_runs_and_bad_names_get_a_sentence(tmp_path):
    with pytest.raises(InputError, match="no run 'nobody'"):
        load_run(Run("nobody", tmp_path))
    with pytest.raises(InputError, match="no run has been trained"):
        newest_run(tmp_path)
    with pytest.raises(InputError, match="cannot name a run"):
        Run("../elsewhere", tmp_path)
