"""The shell meets junk: each invocation ends with status 0, or 2 and one sentence, and prints no control character."""

import contextlib
import io
import os
import unicodedata
from pathlib import Path

import pytest
from small import small_photos

from vae_helpers.__main__ import main
from vae_helpers.shell import COMMANDS, build_parser

TINY = "--image-size 16 --latent-dim 4 --epochs 1 --device cpu".split()
JUNK = (
    "",
    "-1",
    "0",
    "1e400",
    "nan",
    "²",
    "9" * 400,
    "x" * 300,
    "x/" * 3000,
    "caf\udce9\x1b[31m",
    "~nosuchuser/x",
    "a\0b",
)
NEEDS = {"interpolate": ["0", "1"], "pack": ["--run", "shipped_butterflies"], "data": ["--data", "synthetic"]}


def said_by(*words):
    """`(status, standard output, standard error)` of a command that must end well."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([str(word) for word in words])
        except SystemExit as stop:  # the parser leaves this way
            status = stop.code
    sentences = [
        line for line in err.getvalue().splitlines() if line.startswith(("vae_helpers", "python -m vae_helpers"))
    ]
    assert status in (0, 2) and len(sentences) == (status == 2), (words, status, err.getvalue()[-2000:])
    assert all(line.endswith((".", ")")) for line in sentences), sentences
    shown = out.getvalue() + "".join(sentences)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"], (words, shown)
    return status, out.getvalue(), err.getvalue()


def _options(command: str):
    sub = build_parser()._subparsers._group_actions[0].choices[command]
    return [
        action.option_strings[0] for action in sub._actions if action.option_strings and action.nargs not in (0, "?")
    ]


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "tour"])
def test_no_option_takes_junk_badly(monkeypatch, command):
    idle = COMMANDS[command]._replace(run=lambda options: None)  # what passes the parser is tried below
    monkeypatch.setitem(COMMANDS, command, idle)
    assert said_by(command, *NEEDS.get(command, []))[0] == 0
    for option in _options(command):
        status = [said_by(command, *NEEDS.get(command, []), f"{option}={value}")[0] for value in JUNK]
        assert status[0] == status[6] == status[8] == 2, option  # empty, far too long
        assert said_by(command, *NEEDS.get(command, []), option)[0] == 2  # without a value
        if option[:-1] not in _options(command):
            assert said_by(command, *NEEDS.get(command, []), option[:-1], "1")[0] == 2  # abbreviated


def test_the_tour_takes_no_more_than_training():
    assert set(_options("tour")) <= set(_options("train"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with 30 pictures and a tiny run `a` trained on them."""
    folder = tmp_path_factory.mktemp("home")
    small_photos(folder / "pics", 30)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert said_by("train", "--data", "pics", "--name", "a", *TINY)[0] == 0
        (folder / "dir.png").mkdir()
        (folder / "file").touch()
    return folder


@pytest.mark.parametrize(
    "words, status",
    [
        ("train --data nowhere", 2),
        ("train --data file", 2),
        ("train --data /dev/null", 2),
        ("train --data dir.png", 2),
        ("train --data pics --name a", 2),
        ("train --data pics --out file", 2),
        ("train --data pics --out file/below", 2),
        ("train --data pics --out /proc/x", 2),
        ("train --data pics --lr 10 --name fast", None),
        ("train --data pics --lr 1e-30 --name slow", 0),
        ("train --data pics --seed 4294967295 --name s", 0),
        ("train --data pics --beta 1e6 --name b", None),
        ("train --data pics --scale 1e-30 --name t", None),
        ("train --data pics --knob gamma=1e9 --objective capacity --name k", None),
        ("train --data pics --batch-size 65536 --name w", 0),
        ("train --data pics --batch-size 65536 --num-samples 1000 --image-size 4096", 2),
        ("train --data synthetic --limit 1", 2),
        ("train --data pics --latent-dim 65536 --image-size 4096", 2),
        ("train --data pics --name ü", 0),
        ("train --data pics --cache-dir file", 2),
        ("train --data pics --cache-dir /proc/x", 2),
        ("train --data pics --clip 1e-300 --name c", 0),
        ("traverse --run a --rows 65536", None),
        ("traverse --run a --image ²", 2),
        ("traverse --run a --image 999999999", 2),
        ("traverse --run a --image pics", 2),
        ("traverse --run a --image file", 2),
        ("traverse --run nobody", 2),
        ("interpolate --run a 0 0 --save dir.png", 2),
        ("interpolate --run a 0 0 --save file/x.gif", 2),
        ("interpolate --run a 0 0 --save file/x.html", 2),
        ("interpolate --run a 0 0 --save /proc/x.png", 2),
        ("interpolate --run a 0 0 --save x.doc", 2),
        ("interpolate --run a 0 0 --steps 1000 --save long.png", 0),
        ("interpolate --run a 0 -1", 2),
        ("reconstruct --run a --out pics", 2),
        ("evaluate --run a --json dir.png", 2),
        ("evaluate --run a --json file", 2),
        ("evaluate --run a --device cuda:999", 2),
        ("pack --run a --save file", 2),
        ("data --data file", 2),
        ("data", 2),
        ("sweep --data pics --image-size 16", 2),
        ("benchmark --json file", 2),
        ("benchmark --json dir.png", 2),
    ],
)
def test_what_passes_the_door_ends_well_too(home, monkeypatch, words, status):
    monkeypatch.chdir(home)
    command = words.split()
    found = said_by(*command, *(TINY if command[0] == "train" and "4096" not in words else []))[0]
    assert status in (None, found), words


@pytest.mark.parametrize("change", [{"WORLD_SIZE": "2"}, {"RANK": "3"}, {"WORLD_SIZE": "junk"}, {"RANK": ""}])
def test_an_odd_torchrun_environment_is_a_sentence(home, monkeypatch, change):
    monkeypatch.chdir(home)
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    for command in ("train", "traverse"):
        assert "torchrun" in said_by(command)[2]


def test_one_process_is_enough_to_look_at_a_run(home, monkeypatch):
    monkeypatch.chdir(home)
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "0"), ("MASTER_ADDR", "localhost"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    assert "traverse runs in one process, not 2" in said_by("traverse", "--run", "a")[2]


def test_file_names_that_are_no_utf8_are_shown_and_written(home, monkeypatch):
    monkeypatch.chdir(home)
    folder = Path(os.fsdecode(b"d\xe9r"))
    small_photos(folder, 24)
    for file in folder.iterdir():
        file.rename(folder / f"{os.fsdecode(bytes([0xE9]))}\x1b[31m{file.name}")
    (folder / "\x1b]0;bad\x07.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert said_by("train", "--data", folder, "--name", "n", *TINY)[0] == 2
    assert said_by("train", "--data", folder, "--name", "n", "--allow-bad", 0.1, *TINY)[0] == 0
    assert said_by("train", "--data", folder, "--name", "n", "--allow-bad", 0.1, "--resume", *TINY)[0] == 0
    assert (
        said_by("interpolate", "--run", "n", next(iter(sorted(folder.glob("*.jpg"))[1:])), 0, "--save", "n.html")[0]
        == 0
    )
    assert said_by("pack", "--run", "n", "--save", "packed")[0] == 0


def test_a_folder_with_a_name_as_long_as_may_be_trains(home, monkeypatch):
    monkeypatch.chdir(home)
    small_photos(home / ("long" * 60), 12)
    assert said_by("train", "--data", "long" * 60, *TINY)[0] == 0
