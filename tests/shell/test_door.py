"""What is decided before torch is loaded, and what becomes of what goes wrong behind the door."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vae_helpers.__main__ import Escaped, main
from vae_helpers.shell import COMMANDS

PROJECT = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "numpy", "PIL", "matplotlib", "sklearn", "scipy", "tqdm")
_COUNT = f"""import atexit, sys
atexit.register(lambda: print("LOADED", [name for name in {HEAVY} if name in sys.modules]))
import runpy
sys.argv[0] = "vae_helpers"
runpy.run_module("vae_helpers", run_name="__main__")"""


@pytest.mark.parametrize(
    "words, status",
    [
        ("--help", 0),
        ("train --help", 0),
        ("", 2),
        ("dance", 2),
        ("train --epochs many", 2),
        ("train --objective vae", 2),
        ("train --lr inf", 2),
        ("train --ep 3", 2),
        ("train --data=", 2),
        ("evaluate --device meta", 2),
        ("data", 2),
    ],
)
def test_a_refused_command_line_loads_nothing_heavy(words, status):
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, *words.split()],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == status and done.stdout.endswith("LOADED []\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "train --data nowhere",
        "data --data nowhere",
        "train --out file/x",
        "traverse --save taken.png",
        "attributes --attributes no.csv",
        "traverse --run nobody --out here",
        "train --name taken --out here",
    ],
)
def test_what_is_not_there_is_told_without_torch(tmp_path, words):
    (tmp_path / "here" / "models" / "taken").mkdir(parents=True)
    for name in ("file", "taken.png", "here/models/taken/best.pt"):
        (tmp_path / name).touch()
    done = subprocess.run(
        [sys.executable, "-c", _COUNT, *words.replace("here", str(tmp_path / "here")).split()],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == 2 and "LOADED" in done.stdout and "'torch'" not in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    "problem, words",
    [
        (
            OSError(errno.EROFS, "Read-only file system", "/disk/x\x1b[31m"),
            r"/disk/x\x1b[31m cannot be used, because the disk is read-only",
        ),
        (UnicodeEncodeError("utf-8", "caf\udce9", 3, 4, "no"), r"'caf\udce9' holds bytes"),
        (OverflowError("too big"), "too large"),
        (MemoryError(), "lower --batch-size or --num-samples or --image-size"),
    ],
)
def test_what_the_machine_refuses_ends_in_one_sentence(monkeypatch, capsys, problem, words):
    def fails(options):
        raise problem

    monkeypatch.setitem(COMMANDS, "train", COMMANDS["train"]._replace(run=fails))
    assert main(["train"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("vae_helpers train: ") and words in said and said.count("\n") == 1
    monkeypatch.setenv("VAE_DEBUG", "1")
    assert main(["train"]) == 2 and "Traceback" in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch):
    monkeypatch.setitem(COMMANDS, "train", COMMANDS["train"]._replace(run=lambda options: {}["nothing"]))
    with pytest.raises(KeyError):
        main(["train"])


def test_what_a_command_prints_is_escaped(monkeypatch, capsys):
    shouts = COMMANDS["train"]._replace(run=lambda options: print("a\x1b[31m\udce9"))
    monkeypatch.setitem(COMMANDS, "train", shouts)
    assert main(["train"]) == 0 and capsys.readouterr().out == "a\\x1b[31m\\udce9\n"


def test_results_are_escaped_and_lines_stay():
    stream = io.StringIO()
    print("a\x1b[31m\udce9\tb\nc", file=Escaped(stream))
    assert stream.getvalue() == "a\\x1b[31m\\udce9\tb\nc\n"


@pytest.mark.parametrize("redirect", ["> /dev/full", "| true"])
def test_output_that_nobody_takes_is_a_sentence(tmp_path, redirect):
    script = (
        "import time\nfrom vae_helpers.shell import COMMANDS as c\n"
        "c['data'] = c['data']._replace(run=lambda o: [time.sleep(0.2), print('x')])\n"
        "import sys, vae_helpers.__main__ as m\nsys.exit(m.main(['data', '--data', '.']))"
    )
    (tmp_path / "s.py").write_text(script)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} s.py {redirect}"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "PYTHONUNBUFFERED": ""},
        cwd=tmp_path,
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "cannot be used, because" in done.stderr, (
        done.stderr
    )
