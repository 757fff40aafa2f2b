"""The same pair under several runs."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from explorers import NAMES, find_buttons, is_error, some_model, some_pictures

from vae_helpers.errors import InputError
from vae_helpers.latent import reconstruct
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.runs import load_checkpoint, save_checkpoint
from vae_helpers.widgets import BetaDial, DialRun, frame, runs_on


def some_runs(count=3):
    return [DialRun(f"run{k}", 4.0**k, some_model(k), 90.0 - 20 * k, 300.0 + 50 * k, 20.0 - k) for k in range(count)]


@pytest.fixture
def dial():
    return BetaDial(some_runs(), some_pictures(), NAMES)


def test_every_run_walks_between_its_own_reconstructions(dial):
    dial.a.value, dial.b.value = 4, 17
    pictures = some_pictures()
    for run, frames in zip(dial.runs, dial.frames):
        assert np.array_equal(frames[[0, -1]], reconstruct(run.model, pictures[[4, 17]]))
    assert not np.array_equal(dial.frames[0], dial.frames[1]) and not is_error(dial)


def test_one_slider_moves_every_run(dial):
    before = [view.value for view in dial.views]
    dial.frame.value = 11
    assert all(view.value != old for view, old in zip(dial.views, before))
    dial.steps.value = 4
    assert dial.frame.value == 3 and all(len(frames) == 4 for frames in dial.frames)


def test_swap_and_thumbnails(dial):
    dial.gallery.buttons[3].click()
    dial.gallery.buttons[8].click()
    ends = [frames[[0, -1]] for frames in dial.frames]
    dial.swap.click()
    assert (dial.a.value, dial.b.value) == (8, 3)
    assert all(np.array_equal(frames[[-1, 0]], end) for frames, end in zip(dial.frames, ends))


def test_saves_all_runs_together(dial):
    dial.folder = Path("plots")
    buttons = {b.tooltip: b for b in find_buttons(dial)}
    for ending in (".png", ".html", ".webp"):
        buttons[f"save as {ending}"].click()
        assert Path(f"plots/dial_0_1_lerp{ending}").is_file() and not is_error(dial)


def test_what_cannot_be_laid_out_is_refused():
    with pytest.raises(InputError, match="a dial of 0 runs"):
        BetaDial([], some_pictures(), NAMES)
    with pytest.raises(InputError, match="the pair 0, 99 is not among these pictures"):
        BetaDial(some_runs(1), some_pictures(), NAMES, pair=(0, 99))
    with pytest.raises(InputError, match="a dial of 7 runs"):
        BetaDial(some_runs() * 2 + some_runs(1), some_pictures(), NAMES)
    larger = BetaVAE(VAEConfig(image_size=64, latent_dim=4, widths=(8, 16, 32, 32))).eval()
    other = some_runs(1)[0]._replace(model=larger)
    with pytest.raises(InputError, match="different sizes"):
        BetaDial([*some_runs(1), other], some_pictures(), NAMES)


def test_the_same_picture_twice_gets_a_sentence(dial):
    dial.a.value = dial.b.value = 5
    assert "A and B are the same picture" in dial.status.value and not is_error(dial)


def test_one_run_will_do():
    dial = BetaDial(some_runs(1), some_pictures(), NAMES, pair=(13, 2))
    assert len(dial.frames) == 1 and not is_error(dial)
    assert dial.pair == (13, 2) and dial.gallery.page.value == 2


def test_runs_are_found_by_the_set_they_were_trained_on(trained, small_set, tmp_path):
    run, result = trained
    shutil.copytree(run.models, tmp_path / "models" / "small")
    (tmp_path / "models" / "torn").mkdir()
    (tmp_path / "models" / "torn" / "best.pt").write_bytes(b"PK\3\4 cut short")
    (found,) = runs_on(small_set, tmp_path)
    assert (found.name, found.beta) == ("small", 1.0) and found.rate > 0 and found.distortion > 0
    about = load_checkpoint(run.best)[1]
    for objective in ("tc", "ada"):
        other = about | {"train_config": about["train_config"] | {"objective": objective}}
        entries = {key: value for key, value in other.items() if key not in ("format", "config")}
        save_checkpoint(tmp_path / "models" / objective / "best.pt", result.model, **entries)
    # Of "tc" the nats are not this curve's; "ada" weighs the same KL.
    assert [each.name for each in runs_on(small_set, tmp_path)] == ["ada", "small"]
    same = zip(found.model.state_dict().values(), result.model.state_dict().values())
    assert all(torch.equal(a, b) for a, b in same)


def test_the_newest_pair_wins_and_a_save_is_of_what_is_shown(pictures, model, monkeypatch, tmp_path):
    monkeypatch.setattr(frame, "control_was_moved", lambda: True)
    dial = BetaDial([DialRun(name, 1.0, model, 1.0, 2.0, 20.0) for name in "ab"], pictures, NAMES, folder=tmp_path)
    dial.settle()
    finished, original = [], dial._walk
    dial._walk = lambda wish, watch: (original(wish, watch), finished.append(wish))[0]
    with dial._working:  # the computer is busy
        for index in (4, 5, 6):
            dial.b.value = index
        assert "Computing the paths by lerp" in dial.status.value and dial.walked.b == 1
        assert dial._save(".png").name == "dial_0_1_lerp.png"
    dial.settle()
    assert [wish.b for wish in finished] == [6] and dial.walked.b == 6 and NAMES[6] in dial.status.value
    assert np.array_equal(dial.frames[0][[0, -1]], reconstruct(model, pictures[[0, 6]]))
