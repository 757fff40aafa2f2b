"""Nothing that is there is ever overwritten by a command, unless --force says so."""

from pathlib import Path

import pytest

from vae_helpers.__main__ import main
from vae_helpers.errors import InputError
from vae_helpers.files import free_name, require_place
from vae_helpers.tour import save_traversals


def test_a_taken_name_gets_a_number(tmp_path):
    assert free_name(tmp_path / "a.png") == tmp_path / "a.png"
    (tmp_path / "a.png").touch()
    (tmp_path / "a_2.png").symlink_to("nowhere")
    assert free_name(tmp_path / "a.png") == tmp_path / "a_3.png"


def test_a_place_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "file").touch()
    for path, words in (
        ("file", "is there already"),
        ("file/x", "is no folder"),
        ("file/x/y", "is no folder"),
        (".", "is a folder"),
    ):
        with pytest.raises(InputError, match=f"{words}.*--save"):
            require_place(tmp_path / path, "--save")
    require_place(tmp_path / "file", "--save", replace=True)
    require_place(tmp_path / "new" / "x", "--save")
    require_place(tmp_path, "--save", folder=True)
    with pytest.raises(InputError, match="/proc takes no file"):
        require_place(Path("/proc/x.png"), "--save")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_two_looks_leave_two_files_and_a_named_file_stays(trained, capsys, tmp_path):
    at = ["--run", "small", "--out", str(trained[0].root), "--device", "cpu"]
    place = trained[0].plots
    for command in (["reconstruct"], ["interpolate", "0", "1", "--method", "slerp"]):
        assert main([*command, *at]) == main([*command, *at]) == 0
    for name in ("reconstructions", "slerp"):
        assert {f"{name}.png", f"{name}_2.png"} <= {file.name for file in place.iterdir()}
    Path("mine.png").write_text("precious")
    capsys.readouterr()
    assert main(["interpolate", "0", "1", *at, "--save", "mine.png"]) == 2
    assert "mine.png is there already: give another --save, or allow it by `--force`" in capsys.readouterr().err
    assert Path("mine.png").read_text() == "precious"
    assert main(["interpolate", "0", "1", *at, "--save", "mine.png", "--force"]) == 0
    assert Path("mine.png").read_bytes().startswith(b"\x89PNG")


def test_packing_twice_and_scores_ask_first(trained, capsys):
    at = ["--run", "small", "--out", str(trained[0].root)]
    assert main(["pack", *at, "--save", "packed"]) == 0
    before = Path("packed/best.pt").stat().st_mtime_ns
    assert main(["pack", *at, "--save", "packed"]) == 2 and Path("packed/best.pt").stat().st_mtime_ns == before
    assert (
        main(["pack", *at, "--save", "packed", "--force"]) == 0 and Path("packed/best.pt").stat().st_mtime_ns > before
    )
    Path("scores.json").write_text("{}")
    assert main(["evaluate", *at, "--json", "scores.json"]) == 2 and Path("scores.json").read_text() == "{}"
    assert "is there already" in capsys.readouterr().err


def test_no_rows_are_no_sweep(trained, small_set):
    run, fit = trained
    for rows in (0, -1):
        with pytest.raises(InputError, match="ask for at least 1"):
            save_traversals(fit.model, small_set.pictures[0], fit.scores.summary, run.plots / "t.png", rows=rows)
