"""Which run is looked at where none is named."""

import pytest
import torch
from small import SMALL

from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run, choose_run, describe, how_to_see, load_run, read_about, save_checkpoint
from vae_helpers.runs import checkpoint as files
from vae_helpers.runs import shipped as shipping
from vae_helpers.settings import SHIPPED, SHIPPED_RUNS


@pytest.fixture
def installed(monkeypatch, tmp_path, small_model, small_set):
    """Both shipped runs where pip would put them, on the first 60 of the small set's pictures."""
    data = describe(small_set)
    few = data | {"pictures": 60, "prints": data["prints"][:60].clone(), "sides": data["sides"][:60].clone()}
    for name, psnr in zip(SHIPPED_RUNS, (26.0, 22.0)):
        folder = tmp_path / "installed" / name
        save_checkpoint(folder / "best.pt", small_model, data=few, scores={"psnr": psnr})
        (folder / "made.txt").write_text("by hand")
    monkeypatch.setattr(shipping, "_roots", lambda: [tmp_path / "nowhere", tmp_path / "installed"])


def save(name, small_set, psnr=None, out="VAE", **data):
    scores = {} if psnr is None else {"scores": {"psnr": psnr}}
    save_checkpoint(Run(name, out).best, BetaVAE(SMALL), data=describe(small_set) | data, **scores)
    return Run(name, out)


def test_without_a_run_of_ones_own_both_shipped_ones_come_and_the_first_is_taken(installed, small_model, capsys):
    run = choose_run()
    said = capsys.readouterr().out
    assert run.name == SHIPPED and load_run(run)[0] and said.count("\n") == 1 and "No run of your own" in said
    assert all(Run(name).exists() and (Run(name).models / "made.txt").is_file() for name in SHIPPED_RUNS)
    save_checkpoint(Run("sweep_butterflies_beta-1_0").best, small_model)
    assert choose_run() == run and capsys.readouterr().out


def test_a_run_by_its_name_is_taken_without_a_word(installed, small_set, capsys):
    save("mine", small_set, 20.0)
    assert [choose_run(name).name for name in ("mine", SHIPPED_RUNS[1])] == ["mine", SHIPPED_RUNS[1]]
    assert Run(SHIPPED_RUNS[1]).exists() and not Run(SHIPPED).exists() and capsys.readouterr().out == ""
    assert choose_run("never").name == "never"  # whoever loads it says that there is none


def test_the_best_on_the_same_pictures_is_taken_and_how_to_see_the_others_is_said(installed, small_set, capsys):
    mine = save("mine", small_set, 20.6)
    assert choose_run() == Run(SHIPPED)
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and f"among 3 runs on the same pictures: {SHIPPED} (26.0 dB)" in said
    assert "RUN, --run" in said and f"mine (20.6 dB), {SHIPPED_RUNS[1]} (22.0 dB)" in said
    assert f"{SHIPPED} (26.0 dB)" in how_to_see(mine) and '`RUN = "mine"`' in how_to_see(mine)
    better = save("better", small_set, 26.1)
    assert choose_run() == better and "better (26.1 dB)" in capsys.readouterr().out
    assert how_to_see(better).startswith("They open better,")


def test_other_pictures_have_a_choice_of_their_own(installed, small_set, capsys):
    other = torch.arange(1, 121)
    older, newer = (save(name, small_set, psnr, prints=other) for name, psnr in (("older", 15.0), ("newer", 14.0)))
    save("sweep_x_0", small_set, 40.0, prints=other)
    assert choose_run() == older and "among 2 runs" in capsys.readouterr().out and not Run(SHIPPED).exists()
    newer.best.unlink()
    assert choose_run() == older and capsys.readouterr().out == ""


def test_what_has_no_score_comes_last_and_what_cannot_be_read_is_left_to_whoever_loads_it(installed, small_set, capsys):
    new = save("new", small_set)
    assert choose_run() == Run(SHIPPED) and "new (not scored yet)" in capsys.readouterr().out
    new.best.write_bytes(b"PK\3\4 cut short")
    assert choose_run() == new and capsys.readouterr().out == ""
    save("sound", small_set, 20.0)
    assert choose_run() == Run(SHIPPED) and "'new' is left out" in capsys.readouterr().err


def test_what_a_checkpoint_says_is_read_without_its_weights(small_set, monkeypatch):
    run, read = save("mine", small_set, 20.0), []
    whole = files.Archive.read
    monkeypatch.setattr(files.Archive, "read", lambda archive, tensor: read.append(tensor) or whole(archive, tensor))
    about = read_about(run.best)
    assert len(read) == 2 and set(about["data"]) == set(describe(small_set)) and "model" not in about
    assert about["scores"] == {"psnr": 20.0} and about["config"]["image_size"] == 32
    run.best.rename(run.last)
    run.best.write_bytes(b"PK\3\4 cut short")
    assert read_about(run.best, run.last)["scores"] == {"psnr": 20.0}
