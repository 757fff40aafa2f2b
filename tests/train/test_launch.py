"""Training in child processes, as a notebook starts it."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vae_helpers.errors import InputError
from vae_helpers.files import only_user
from vae_helpers.model import VAEConfig
from vae_helpers.runs import Run, load_checkpoint
from vae_helpers.settings import TrainConfig
from vae_helpers.train import launch
from vae_helpers.train.launch import _run

PROJECT = Path(__file__).resolve().parents[2]
SMALLEST = VAEConfig(32, 4, (4, 8, 8))


def _listening(root):
    """Addresses that process `root` and its children listen on, as the system's table has them."""
    children, todo, found = {}, [root], set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            children.setdefault(int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]), []).append(
                int(folder.name)
            )
    table = [line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]": row[1] for row in table if row[3] == "0A"}
    while todo:
        process = todo.pop()
        todo += children.get(process, [])
        with contextlib.suppress(OSError):
            found |= {sockets.get(os.readlink(file)) for file in Path(f"/proc/{process}/fd").iterdir()}
    return found - {None}


def test_launch_trains_in_child_processes_that_the_network_cannot_reach(small_set, tmp_path):
    pictures = small_set
    run, config = Run("launched", tmp_path), TrainConfig.quick(96, epochs=1, batch_size=16)
    before, seen, over = _listening(os.getpid()) if Path("/proc/net/tcp").exists() else None, set(), threading.Event()

    def look():
        while before is not None and not over.wait(0.1):
            seen.update(_listening(os.getpid()) - before)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        result = launch(pictures, run, config, SMALLEST, processes=2, device="cpu", progress=False)
    finally:
        over.set()
        watcher.join()
    assert before is None or seen and all(address.startswith("0100007F:") for address in seen)
    assert result.finished and result.scores.pictures == len(pictures.split.validation)
    assert load_checkpoint(run.last)[1]["step"] == len(pictures.split.train) // 16
    with pytest.raises(InputError, match="`resume=True`, or choose another name"):
        launch(pictures, run, config, processes=2, device="cpu")


def test_the_sentence_of_a_child_is_passed_on(capsys):
    says = "import sys; print('step 1'); print('vae_helpers: the disk is full.'); print('noise'); sys.exit(2)"
    assert _run([sys.executable, "-c", says]) == "the disk is full."
    assert "step 1" in capsys.readouterr().out
    assert "status 3" in _run([sys.executable, "-c", "raise SystemExit(3)"])
    assert _run([sys.executable, "-c", "pass"]) is None


def test_a_character_that_is_cut_in_two_arrives_whole(capsys):
    says = "import os; os.write(1, b'a' * 4095 + '\u20ac'.encode() + b'b'); os.write(1, b'\\xe2')"
    assert _run([sys.executable, "-c", says]) is None
    assert capsys.readouterr().out == "a" * 4095 + "\u20acb\ufffd"  # what is cut off at the very end is shown as such


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed another way there")
def test_processes_end_with_a_checkpoint_when_the_notebook_dies(small_set, tmp_path):
    run = Run("orphaned", tmp_path)
    says = (
        "from vae_helpers.data import open_pictures\nfrom vae_helpers.model import VAEConfig\n"
        "from vae_helpers.runs import Run\nfrom vae_helpers.settings import TrainConfig\n"
        "from vae_helpers.train import launch\n"
        "config = TrainConfig.quick(96, epochs=100_000, batch_size=16, evaluate_every=100_000, "
        "pictures_every=100_000, compile=False)\n"
        f"pictures = open_pictures('butterflies', 32, limit=120, cache_dir={str(small_set.cache.parent)!r})\n"
        f"launch(pictures, Run('orphaned', {str(tmp_path)!r}), config, VAEConfig(32, 4, (4, 8, 8)), processes=1, "
        "device='cpu', progress=False)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", says],
        env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as notebook:
        while not run.last.is_file() and notebook.poll() is None:
            time.sleep(0.1)
        notebook.kill()
    while True:  # the run's lock is free once they have ended
        with only_user(run.models / ".lock") as free:
            if free:
                break
        time.sleep(0.1)
    assert load_checkpoint(run.last)[1]["step"] > 0


def test_ctrl_c_in_the_notebook_asks_the_processes_to_save_and_end(monkeypatch):
    said = []

    def interrupted(text, **_):
        said.append(text)
        if "ready" in text or "saving" in text:  # the second one, too
            raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", interrupted)
    waits = (
        "import signal, sys\ndef save(*_):\n  print('saving', flush=True); sys.exit(1)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\nsignal.pause()"
    )
    assert _run([sys.executable, "-c", waits]) is None
    assert "saving" in "".join(said)
