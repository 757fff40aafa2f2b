"""A run knows its pictures by their contents, and its checkpoint opens nothing that nobody here has named."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import fill
from small import SMALL

from vae_helpers.__main__ import main
from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.experiments import pack
from vae_helpers.model import BetaVAE
from vae_helpers.runs import (
    NoPictures,
    Run,
    as_in_run,
    describe,
    difference,
    in_short,
    load_checkpoint,
    open_for_run,
    same_set,
    save_checkpoint,
)
from vae_helpers.runs import pictures as identity
from vae_helpers.settings import TrainConfig
from vae_helpers.widgets import runs_on


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", range(40))


def opened(source, **options):
    return open_pictures(source, 32, progress=False, **options)


def saved_of(pictures):
    """What a checkpoint of a run on these pictures holds, as far as pictures are concerned."""
    return {
        "config": SMALL.as_dict(),
        "data": describe(pictures),
        "train_config": vars(TrainConfig()),
        "step": 1,
        "epochs_closed": 1,
        "best": 1.0,
        "best_epoch": 1,
        "first_loss": 1.0,
    }


def save(pictures, name, **data):
    """A run of an untrained model on these pictures; `data` replaces entries of what it says of them."""
    saved = saved_of(pictures)
    kept = {key: value for key, value in saved.items() if key != "config"} | {"data": saved["data"] | data}
    save_checkpoint(Run(name).best, BetaVAE(SMALL), **kept)
    return load_checkpoint(Run(name).best)[1]


def parts_by_print(pictures):
    return {pictures.prints[row]: side for side, rows in enumerate(pictures.split) for row in rows}


def test_a_folder_that_moved_and_files_that_were_renamed_are_known_again_in_their_parts(photos, tmp_path):
    before = opened(photos)
    saved = save(before, "mine")
    photos.rename(tmp_path / "elsewhere")
    for row in range(0, 40, 3):
        (tmp_path / "elsewhere" / f"{row}.png").rename(tmp_path / "elsewhere" / f"new name {row}.png")
    (tmp_path / "elsewhere" / "words.png").write_text("no picture")
    after = opened(tmp_path / "elsewhere", allow_bad=0.1)
    assert parts_by_print(after) != parts_by_print(before)  # by their names alone they would change sides
    found = open_for_run(
        "mine",
        saved | {"data": saved["data"] | {"request": before.request | {"allow_bad": 0.1}}},
        str(tmp_path / "elsewhere"),
        progress=False,
    )
    assert difference(after, saved["data"]) == "" and parts_by_print(found) == parts_by_print(before)


def test_other_pictures_under_the_same_names_are_refused_unless_one_insists(photos, capsys):
    before = opened(photos)
    saved = save(before, "mine")
    fill(photos, [500]).joinpath("500.png").replace(photos / "0.png")
    with pytest.raises(
        InputError, match=r"'mine' was trained on \(of its 40 pictures 1 are not here, and 1 here are new or"
    ):
        open_for_run("mine", saved, progress=False)
    found = open_for_run("mine", saved, other_pictures=True, progress=False)
    assert "'mine' was trained on other pictures" in capsys.readouterr().err
    was, now = parts_by_print(before), parts_by_print(found)
    assert len(set(was) & set(now)) == 39 and all(now[key] == was[key] for key in set(was) & set(now))
    with pytest.raises(InputError, match="fit='crop', these with fit='pad'"):
        as_in_run(opened(photos, fit="pad"), "mine", describe(opened(photos)))


def test_runs_from_before_fingerprints_are_compared_by_name_and_number_and_split_as_they_were(photos, capsys):
    for row in range(0, 30, 2):
        shutil.copy(photos / f"{row}.png", photos / f"copy {row}.png")
    pictures = opened(photos)
    saved = save(pictures, "old", prints=None)
    found = as_in_run(pictures, "old", saved["data"])
    assert "before fingerprints" in capsys.readouterr().err
    old = identity.split_by_lowest_hash(pictures.names, pictures.duplicates)
    assert all(np.array_equal(a, b) for a, b in zip(found.split, old))
    fill(photos, [90])
    with pytest.raises(InputError, match="those were 55 of photos, these are 56 of photos"):
        open_for_run("old", saved, progress=False)


@pytest.mark.parametrize("source", ["butterflies", "animal", "data/mine"])
def test_what_is_known_beforehand_is_opened_on_a_checkpoints_word(source, tmp_path):
    Path("data").mkdir()
    fill(tmp_path / "data" / "mine", range(4))
    fill(tmp_path / "data" / "Animals_data", range(4))
    saved = saved_of(opened(source, limit=4))
    shutil.rmtree(tmp_path / "data" / "cache")
    assert len(open_for_run("theirs", saved, progress=False)) == 4


def test_a_checkpoint_opens_no_folder_of_its_own_choice_and_writes_nowhere(photos, tmp_path):
    saved = saved_of(opened(photos))
    saved["data"]["request"] |= {"cache_dir": str(tmp_path / "there"), "workers": 10**6}
    assert len(open_for_run("mine", saved, progress=False)) == 40  # opened here before, by name
    shutil.rmtree("data")
    with pytest.raises(NoPictures, match="never opened here.*--data"):
        open_for_run("theirs", saved, progress=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(photos)
    saved["data"]["request"]["source"] = str(tmp_path / "data" / "link" / ".." / "photos")
    with pytest.raises(NoPictures, match="never opened here"):
        open_for_run("theirs", saved, progress=False)
    assert not (tmp_path / "there").exists() and not (tmp_path / "data" / "cache").exists()
    assert len(open_for_run("theirs", saved, str(photos), progress=False)) == 40
    assert not (tmp_path / "there").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"source": 7},
        {"source": ""},
        {"limit": 10**12},
        {"limit": "all"},
        {"fit": ["crop"]},
        {"allow_bad": "much"},
        {"seed": "0"},
        {"seed": -1},
    ],
)
def test_odd_requests_in_a_checkpoint_are_one_sentence(change, small_set):
    saved = saved_of(small_set)
    saved["data"]["request"] = saved["data"]["request"] | change
    with pytest.raises(InputError):
        open_for_run("theirs", saved, progress=False)


@pytest.mark.parametrize(
    "change",
    [
        {"prints": [1] * 120},
        {"prints": torch.ones(120)},
        {"sides": None},
        {"pictures": 119},
        {"sides": torch.full((120,), 3, dtype=torch.uint8)},
    ],
)
def test_odd_fingerprints_in_a_checkpoint_are_one_sentence(change, small_set):
    with pytest.raises(InputError, match="is damaged"):
        as_in_run(small_set, "theirs", describe(small_set) | change)


def test_a_model_walks_between_ones_own_files_without_its_training_folder(photos, tmp_path, capsys):
    save(opened(photos), "mine")
    ends = [str(fill(tmp_path / "two", [1, 2]) / name) for name in ("1.png", "2.png")]
    shutil.rmtree(photos)
    for method in ("lerp", "slerp"):
        assert (
            main(["interpolate", "--run", "mine", *ends, "--steps", "3", "--method", method, "--save", f"{method}.png"])
            == 0
        )
        assert Path(f"{method}.png").is_file()
    assert capsys.readouterr().err.count("counts all latents") == 1
    assert main(["interpolate", "--run", "mine", "0", ends[0]]) == 2 and "--data" in capsys.readouterr().err


def test_scores_of_other_pictures_are_never_written_under_the_run(photos, tmp_path, capsys):
    save(opened(photos), "mine")
    others = str(fill(tmp_path / "others", range(100, 140)))
    for command in (["reconstruct"], ["evaluate", "--quick"]):
        assert main([*command, "--run", "mine", "--data", others]) == 2
        assert "not the pictures" in capsys.readouterr().err
    assert not Path("VAE/plots").exists()
    assert main(["reconstruct", "--run", "mine", "--data", others, "--other-pictures"]) == 0
    assert [folder.name for folder in Path("VAE/plots").iterdir()] == ["mine_on_others"]


def test_a_packed_run_keeps_what_it_knows_of_its_pictures(trained, tmp_path, small_set, monkeypatch):
    monkeypatch.setattr("vae_helpers.experiments.packing.PICTURES", 60)
    pack(trained[0], tmp_path, progress=False)
    saved = load_checkpoint(tmp_path / "best.pt")[1]
    few = open_for_run("packed", saved, progress=False)
    assert len(few) == 60 and (few.prints == small_set.prints[:60]).all()
    assert set(few.split.train) == set(small_set.split.train[small_set.split.train < 60])


def test_runs_are_compared_on_the_same_pictures_wherever_they_lay(photos, tmp_path):
    pictures = opened(photos)
    scores = dict.fromkeys(("kl", "reconstruction", "psnr"), 1.0)
    save_checkpoint(
        Run("a").best, BetaVAE(SMALL), data=describe(pictures), scores=scores, train_config=vars(TrainConfig())
    )
    photos.rename(tmp_path / "moved")
    assert [run.name for run in runs_on(opened(tmp_path / "moved"))] == ["a"]
    fill(tmp_path / "moved", [77])  # one of 41 is new
    assert [run.name for run in runs_on(opened(tmp_path / "moved"))] == ["a"]
    assert runs_on(opened(fill(tmp_path / "others", range(100, 140)))) == []


def about(prints, sides, **request):
    """What a checkpoint says of pictures with these fingerprints, from 0 on (-1: unknown), and parts."""
    data = {"name": "x", "pictures": len(prints), "request": request, "prints": torch.tensor([*prints]) + 1}
    return data | {"sides": torch.tensor(sides, dtype=torch.uint8)}


def test_sets_are_the_same_by_what_they_hold_and_where_it_was_held_out():
    many = about(range(100), [0] * 80 + [1] * 10 + [2] * 10, limit=100)
    few = about([*range(18), 85, 95], [0] * 18 + [1, 2], limit=20, image_size=64)
    assert same_set(many, few) and same_set(few, many) and same_set(many, many)
    assert same_set(many, about([*range(18), 500, 501], [0] * 18 + [1, 2]))  # 18 of 20: nine tenths
    assert not same_set(many, about([*range(17), 500, 501, 502], [0] * 18 + [1, 2]))
    assert not same_set(many, few | {"request": {"fit": "pad"}})
    assert not same_set(many, about(range(20), [0] * 19 + [1]))  # 19 was trained on in the first
    assert same_set(many, about([*range(80), 90], [0] * 80 + [1]))  # test and validation are both held out
    assert not same_set(many, about([-1] * 3, [0] * 3))  # nothing is known of these
    assert not same_set(about([-1], [0]), about([-1], [0]))


def test_a_built_in_set_from_before_fingerprints_is_known_by_what_was_asked_for(small_set):
    old = {"name": "butterflies", "pictures": 60, "request": {"source": "synthetic", "limit": 60, "image_size": 128}}
    assert same_set(old, describe(small_set)) and same_set(describe(small_set), old) and same_set(old, dict(old))
    assert not same_set(old | {"request": {"source": "synthetic", "seed": 1}}, describe(small_set))
    assert not same_set(old | {"request": {"source": "animals"}}, describe(small_set))
    assert not same_set(old | {"pictures": 2**53}, describe(small_set))  # whatever a file says, nothing that large


def test_sets_from_before_fingerprints_are_compared_by_name_and_number():
    old = {"name": "x", "pictures": 3, "request": None}
    assert same_set(old, dict(old)) and not same_set(old, old | {"pictures": 4})


def test_the_line_for_a_json_file_follows_the_contents_only(photos, tmp_path):
    before = in_short(opened(photos))
    (photos / "0.png").rename(photos / "z.png")
    assert in_short(opened(photos)) == before
    fill(photos, [41])
    assert in_short(opened(photos)) != before


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_not_utf8_survive_caches_and_checkpoints(photos):
    for row in range(20):
        os.rename(photos / f"{row}.png", os.fsencode(photos) + b"/caf\xe9 %d.png" % row)
    folder = photos.with_name("t\udce9t\udce9")
    photos.rename(folder)
    pictures = opened(folder)
    assert opened(folder).names == pictures.names and sum("\udce9" in name for name in pictures.names) == 20
    assert all((folder / name).is_file() for name in pictures.names)
    assert len(pictures.split.train) and opened(folder).duplicates == pictures.duplicates
    saved = save(pictures, "odd")
    assert saved["data"]["request"]["source"] == str(folder.resolve())
    assert open_for_run("odd", saved, progress=False).names == pictures.names


def test_equal_files_in_two_parts_count_as_trained_on(small_set):
    data = describe(small_set)
    data |= {
        "pictures": 4,
        "prints": torch.tensor([5, 5, 6, 7]),
        "sides": torch.tensor([2, 0, 1, 0], dtype=torch.uint8),
    }
    found = as_in_run(replace(small_set, prints=np.arange(120) % 9), "a", data, other_pictures=True)
    assert found.parts[[5, 6, 7]].tolist() == [0, 1, 0] and found.parts[8] == 255
