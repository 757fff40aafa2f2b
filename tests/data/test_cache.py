"""The cache: built once, resumed, shared by processes, mended when damaged."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vae_helpers import files as disk
from vae_helpers.data import CacheSpec, cache, open_cache, verify
from vae_helpers.errors import InputError

SIZE = 8
NAMES = [f"picture{row:04d}" for row in range(700)]


def picture(row):
    return np.full((SIZE, SIZE, 3), row % 251, np.uint8)


def filler(bad=(), log=None, stop_at=None):
    def fill(blocks):
        for rows in blocks:
            if stop_at is not None and rows[-1] >= stop_at:
                raise KeyboardInterrupt
            if log is not None:
                log.extend(rows.tolist())
            yield rows, np.stack([picture(row) for row in rows]), ["odd" if row in bad else None for row in rows]

    return fill


def build(folder, names=NAMES, stem="set", **options):
    fill = filler(**{key: options.pop(key) for key in ("bad", "log", "stop_at") if key in options})
    return open_cache(CacheSpec(folder, stem, names, SIZE), fill, progress=False, **options)


def assert_right(cached, names=NAMES, bad=()):
    assert sorted(cached.names) == [name for row, name in enumerate(names) if row not in bad]
    assert cached.pictures.shape == (len(names) - len(bad), SIZE, SIZE, 3)
    for shown, name in zip(cached.pictures, cached.names):
        assert (shown == picture(int(name[-4:]))).all()


def test_built_once_then_only_mapped(tmp_path):
    log = []
    assert_right(build(tmp_path, log=log))
    assert log == list(range(700))
    again = build(tmp_path, log=log)
    assert_right(again)
    assert len(log) == 700 and isinstance(again.pictures, np.memmap) and not again.pictures.flags.writeable
    assert verify(again.folder)
    assert np.load(again.folder / "pictures.npy").shape == (700, SIZE, SIZE, 3)
    assert not list(tmp_path.glob("*building*"))


def test_interrupted_build_goes_on_where_it_stopped(tmp_path):
    first, second = [], []
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, log=first, stop_at=600)
    assert first == list(range(512))
    assert_right(build(tmp_path, log=second))
    assert second == list(range(512, 700))


def test_a_build_whose_pixels_were_lost_starts_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, stop_at=600)
    os.truncate(tmp_path / "set.building" / "pictures.npy", 1000)
    assert_right(build(tmp_path))


def test_holes_are_closed_and_skipped_items_listed(tmp_path, capsys):
    bad = {0, 3, 300, 698, 699}
    cached = build(tmp_path, bad=bad)
    assert_right(cached, bad=bad)
    assert sorted(cached.skipped) == [(NAMES[row], "odd") for row in sorted(bad)]
    assert build(tmp_path).skipped == cached.skipped
    listed = (tmp_path / "set.skipped.txt").read_text("utf-8").splitlines()
    assert listed == [f'"{NAMES[row]}"\todd' for row in sorted(bad)]
    assert "Skipped 5 of 700" in capsys.readouterr().err


def test_too_many_bad_items_stop_and_keep_the_work(tmp_path):
    bad, log = set(range(80)), []
    with pytest.raises(InputError, match=r"80 of 700 pictures \(11.4%\).*more than the 1% allowed.*allow_bad=0.12"):
        build(tmp_path, bad=bad)
    assert len((tmp_path / "set.skipped.txt").read_text().splitlines()) == 80
    assert_right(build(tmp_path, bad=bad, log=log, allow_bad=0.12), bad=bad)
    assert log == sorted(bad)  # only those get another chance


def test_nothing_readable(tmp_path):
    with pytest.raises(InputError, match="none of the 3 files"):
        build(tmp_path, NAMES[:3], bad={0, 1, 2}, allow_bad=1.0)


@pytest.mark.parametrize("harm", ["flip", "cut", "grow", "header", "index", "no index", "no pixels"])
def test_damage_is_noticed_and_mended(tmp_path, harm, capsys):
    folder = build(tmp_path).folder
    pixels, index = folder / "pictures.npy", folder / "index.json"
    if harm == "flip":
        with open(pixels, "r+b") as file:
            file.seek(100_000)
            file.write(b"\xfe")
    elif harm == "cut":
        os.truncate(pixels, pixels.stat().st_size - 1)
    elif harm == "grow":
        pixels.write_bytes(pixels.read_bytes() + b"\0")
    elif harm == "header":
        pixels.write_bytes(b"\0" * 128 + pixels.read_bytes()[128:])
    elif harm == "index":
        index.write_text(index.read_text().replace("picture0001", "picture0002"))
    elif harm == "no index":
        index.unlink()
    else:
        pixels.unlink()
    assert not verify(folder)
    log = []
    assert_right(build(tmp_path, log=log))
    assert len(log) == 700 and verify(folder)
    assert "damaged; building it again" in capsys.readouterr().err


def test_silent_rot_is_found_by_verify_and_by_the_sample(tmp_path):
    folder = build(tmp_path).folder
    pixels = folder / "pictures.npy"
    before = pixels.stat()
    with open(pixels, "r+b") as file:
        file.seek(100_000)
        file.write(b"\xfe")
    os.utime(pixels, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a failing disk would: no change of time
    assert not verify(folder)
    assert_right(build(tmp_path))


def build_slowly(folder, count_file):
    def fill(blocks):
        for rows in blocks:
            with open(count_file, "a") as file:
                file.write(f"{len(rows)}\n")
            time.sleep(0.05)
            yield rows, np.stack([picture(row) for row in rows]), [None] * len(rows)

    cached = open_cache(CacheSpec(Path(folder), "set", NAMES, SIZE), fill, progress=False)
    assert_right(cached)


def test_two_processes_build_one_cache(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    counts = tmp_path / "counts"
    processes = [spawn.Process(target=build_slowly, args=(str(tmp_path / "cache"), str(counts))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert sum(map(int, counts.read_text().split())) == 700  # decoded once, not twice
    assert_right(build(tmp_path / "cache"))


def test_without_locks_each_builds_apart_and_one_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "_lock", lambda file, wait: None)
    inner = []

    def fill(blocks):
        if not inner:  # while this one builds, another finishes first
            inner.append(True)
            monkeypatch.setattr(cache.os, "getpid", lambda: 1)
            assert_right(build(tmp_path))
            monkeypatch.undo()
            monkeypatch.setattr(disk, "_lock", lambda file, wait: None)
        yield from filler()(blocks)

    assert_right(open_cache(CacheSpec(tmp_path, "set", NAMES, SIZE), fill, progress=False))
    assert not list(tmp_path.glob("*building*"))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_killed_builder_leaves_nothing_in_the_way(tmp_path):
    code = (
        "import sys; sys.path[:0] = [sys.argv[2], '.']; import test_cache as t, time\n"
        "def fill(blocks):\n"
        "    yield from t.filler()(blocks[:1]); print('begun', flush=True); time.sleep(60)\n"
        "t.open_cache(t.CacheSpec(t.Path(sys.argv[1]), 'set', t.NAMES, t.SIZE), fill, progress=False)\n"
    )
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)], cwd=root, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"begun\n"
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    child.stdout.close()
    assert_right(build(tmp_path))


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, monkeypatch):
    written, write = [], os.write

    def full(file, data):
        if len(data) > 700 and len(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(len(data)) if len(data) > 700 else None
        return write(file, data)

    monkeypatch.setattr(disk.os, "write", full)
    with pytest.raises(InputError, match="disk that holds .* is full: the decoded pictures need 1 MB"):
        build(tmp_path)
    monkeypatch.undo()
    log = []
    assert_right(build(tmp_path, log=log))
    assert log == list(range(256, 700))


def test_too_little_space_is_known_before_decoding(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    log = []
    with pytest.raises(InputError, match="is full"):
        build(tmp_path, log=log)
    assert not log


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written.*cache_dir"):
        build(tmp_path / "file" / "cache")


def test_the_index_is_plain_text(tmp_path):
    odd = ["ü/\udcff bad bytes", "new\nline", "tab\t0002"]
    cached = open_cache(CacheSpec(tmp_path, "odd", odd, SIZE), filler(), progress=False)
    assert cached.names == tuple(odd)
    assert json.loads((cached.folder / "index.json").read_text("ascii").split("\n")[1])["names"] == odd
