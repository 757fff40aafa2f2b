"""The latent explorer, driven from Python as the browser drives it: by the values of its controls."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from explorers import LATENTS, NAMES, count_draws, find_buttons, is_error
from PIL import Image

from vae_helpers.latent import Soundness, Support, Verdict, decode_codes, encode_pictures, reconstruct
from vae_helpers.model import psnr_of
from vae_helpers.widgets import ExplorerData, LatentExplorer


def test_latents_are_the_active_ones_by_kl(latents, summary):
    assert latents.axis_names == ["latent 7", "latent 1", "latent 3", "latent 4"]
    assert latents.sliders["latent 7"].description == "latent 7 · 4.0 nats"
    for j, name in zip([7, 1, 3, 4], latents.axis_names):
        value, slider = latents.values[name], latents.sliders[name]
        assert value.min == min(summary.mean[j] - 3 * summary.spread[j], value.value)
        assert value.max == max(summary.mean[j] + 3 * summary.spread[j], value.value)
        assert slider.value == 0
        assert value.min - value.step < value.value + slider.min * value.step <= value.min


def test_at_the_start_the_live_picture_is_the_reconstruction(latents, model, pictures):
    for index in (0, 17):
        latents.start.value = index
        expected = reconstruct(model, pictures[[index]])[0]
        assert np.array_equal(latents.picture, expected) and np.array_equal(latents.reconstruction, expected)
        assert torch.equal(latents.code, encode_pictures(model, pictures[[index]])[0][0])
        assert latents.live.value == latents.rebuilt.value


def test_a_slider_moves_its_latent_alone_and_back(latents):
    start, before, live = latents.code, latents.picture, latents.live.value
    latents.sliders["latent 3"].value = 10
    moved = latents.values["latent 3"].value
    assert moved == pytest.approx(start[3].item() + 10 * latents.values["latent 3"].step, abs=6e-4)
    assert (latents.code != start).nonzero().tolist() == [[3]] and latents.code[3].item() == pytest.approx(moved)
    assert latents.live.value != live and not np.array_equal(latents.picture, before)
    latents.sliders["latent 3"].value = 0
    assert torch.equal(latents.code, start) and np.array_equal(latents.picture, before)


def test_a_typed_value_stays_as_typed(latents):
    step = latents.values["latent 1"].step
    typed = latents.values["latent 1"].value + 2.3 * step
    latents.values["latent 1"].value = typed
    assert latents.values["latent 1"].value == typed and latents.sliders["latent 1"].value == 2
    assert latents.code[1].item() == pytest.approx(typed)
    latents.sliders["latent 1"].value = 3
    assert latents.values["latent 1"].value == pytest.approx(typed + 0.7 * step, abs=6e-4)


@pytest.mark.parametrize("end", ["min", "max"])
def test_sliders_reach_both_ends_of_the_range(latents, end):
    slider, value = latents.sliders["latent 7"], latents.values["latent 7"]
    slider.value = getattr(slider, end)
    assert value.value == pytest.approx(getattr(value, end)) and slider.value == getattr(slider, end)


def test_resets(latents, model, summary):
    latents.start.value = 5
    start = latents.code
    with latents.hold():
        for j in latents.axis_names:
            latents.sliders[j].value = 4
    assert (latents.code != start).sum() == 4
    latents.to_picture.click()
    assert torch.equal(latents.code, start)
    assert all(s.value == 0 for s in latents.sliders.values())
    latents.to_mean.click()
    mean = torch.from_numpy(summary.mean).float()
    assert torch.equal(latents.code, mean) and "mean picture" in latents.status.value
    assert np.array_equal(latents.picture, decode_codes(model, mean[None])[0])
    latents.to_picture.click()
    assert torch.equal(latents.code, start)


def test_many_sliders_draw_once(latents):
    drawn = count_draws(latents, "live")
    with latents.hold():
        for j in latents.axis_names:
            latents.sliders[j].value = -2
    assert drawn == ["live"]
    latents.start.value = 8
    assert drawn == ["live", "live"]


def test_thumbnails_choose_the_start(latents):
    latents.gallery.buttons[9].click()
    assert latents.start.value == 9 and ">9</b> 000009" in latents.captions[0].value
    assert "content:'Start'" in latents.gallery._marked.value


def test_the_gallery_turns_to_a_start_typed_by_number(latents):
    assert latents.gallery.page.value == 1
    latents.start.value = 25
    assert latents.gallery.page.value == 3 and "content:'Start'" in latents.gallery._marked.value
    latents.gallery.page.value = 1  # looking around moves nothing
    assert latents.start.value == 25 and "content" not in latents.gallery._marked.value


def test_a_state_brings_the_picture_back(latents, model, pictures, summary):
    latents.start.value = 6
    latents.sliders["latent 7"].value, latents.values["latent 4"].value = 5, latents.values["latent 4"].max + 0.0
    state, picture = latents.state.value, latents.picture
    other = LatentExplorer(ExplorerData(model, pictures, NAMES, summary), sliders=4)
    drawn = count_draws(other, "live")
    other.state.value = state
    assert np.array_equal(other.picture, picture) and other.state.value == state and drawn == ["live"]
    other.to_picture.click()
    assert json.loads(other.state.value) == {"picture": 6, "start": "picture"}


def test_a_state_may_lie_outside_the_range(latents, summary):
    latents.state.value = '{"picture": 2, "start": "mean", "latents": {"latent 3": 40.25, "latent 7": -31}}'
    expected = torch.from_numpy(summary.mean).float()
    expected[3], expected[7] = 40.25, -31
    assert torch.equal(latents.code, expected) and not is_error(latents)
    assert latents.sliders["latent 3"].value == latents.sliders["latent 3"].max


@pytest.mark.parametrize(
    "text, problem",
    [
        ("not json", "cannot be read"),
        ("[]", "cannot be read"),
        ('{"picture": 0, "z": 3}', "cannot be read"),
        ('{"picture": 0, "latents": {"latent 7": "far"}}', "to a number from"),
        ('{"picture": 0, "start": "random", "seed": -4}', "its seed"),
        ('{"picture": 0, "start": "random", "temperature": 9}', "its temperature"),
        ('{"picture": 30}', "0 to 29"),
        ('{"picture": -1}', "0 to 29"),
        ('{"picture": 1.5}', "0 to 29"),
        ('{"picture": 0, "start": "b"}', "its start"),
        ('{"picture": 0, "latents": {"latent 2": 1}}', "no slider"),
        ('{"picture": 0, "latents": {"latent 7": NaN}}', "to a number from"),
        ('{"picture": 0, "latents": {"latent 7": 1e300}}', "to a number from"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_bad_state_is_a_sentence_and_moves_nothing(latents, text, problem):
    code = latents.code
    latents.state.value = text
    assert is_error(latents) and problem in latents.status.value
    assert torch.equal(latents.code, code)
    latents.sliders["latent 7"].value = 1
    assert not is_error(latents) and json.loads(latents.state.value)["latents"]


def test_without_an_active_latent_it_says_so(model, pictures, summary):
    collapsed = summary._replace(variance=np.zeros(LATENTS))
    explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, collapsed), sliders=3)
    assert explorer.axis_names == ["latent 7", "latent 1", "latent 3"]
    assert "No latent is active" in explorer.status.value


def test_undo_goes_back_gesture_by_gesture(latents):
    first = latents.state.value
    for place in (1, 2, 3):  # one drag
        latents.sliders["latent 7"].value = place
    dragged = latents.state.value
    latents.sliders["latent 3"].value = 4
    latents.start.value = 9
    latents.undo.click()
    assert json.loads(latents.state.value)["picture"] == 0 and latents.sliders["latent 3"].value == 4
    latents.undo.click()
    assert latents.state.value == dragged and latents.sliders["latent 7"].value == 3
    latents.undo.click()
    assert latents.state.value == first
    latents.undo.click()
    assert is_error(latents) and "nothing to undo" in latents.status.value
    latents.sliders["latent 1"].value = 2
    latents.undo.click()
    assert latents.state.value == first and not is_error(latents)


def test_what_was_undone_can_be_done_again(latents):
    states = [latents.state.value]
    for name in ("latent 7", "latent 3"):
        latents.sliders[name].value = 4
        states.append(latents.state.value)
    for _ in range(2):
        latents.undo.click()
    for state in states[1:]:
        latents.redo.click()
        assert latents.state.value == state
    latents.redo.click()
    assert is_error(latents) and "nothing to do again" in latents.status.value
    latents.undo.click()
    latents.sliders["latent 1"].value = 2  # another way on: what was undone is gone
    latents.redo.click()
    assert is_error(latents)
    for state in (states[1], states[0]):
        latents.undo.click()
        assert latents.state.value == state


def test_strips_are_drawn_anew_only_where_the_start_or_a_range_has_changed(latents):
    shown = []
    for name in latents.sliders:
        row = latents._rows.row(("Latents", name))
        row.show_strip = lambda frames, name=name: shown.append(name)
    latents.sliders["latent 7"].value = 5
    latents.undo.click()
    latents.redo.click()
    latents.to_picture.click()
    assert not shown
    latents.start.value = 3
    assert set(shown) == set(latents.sliders)


def test_a_refined_code_that_is_less_sound_is_not_taken(model, pictures, summary):
    explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, summary, soundness=Soundness(model, pictures)))
    encoded = explorer.code
    explorer._soundness.judge = lambda frames: Verdict(np.arange(len(frames)) + 0.5, np.zeros(len(frames), int))
    explorer.refine.click()
    assert torch.equal(explorer.code, encoded)
    assert "not refined: it would come from" in explorer.status.value and "1.5 in place of 0.5" in explorer.status.value
    explorer._soundness.judge = lambda frames: Verdict(1.5 - np.arange(len(frames)), np.zeros(len(frames), int))
    explorer.refine_steps.value = 10
    explorer.refine.click()
    assert not torch.equal(explorer.code, encoded) and "refined in 10 steps" in explorer.status.value


def test_more_latents_are_shown_on_demand_and_keep_their_values(latents):
    latents.sliders["latent 7"].value = 5
    code = latents.code
    latents.count.value = 6
    assert latents.axis_names == [f"latent {j}" for j in (7, 1, 3, 4, 0, 6)] and len(latents.panel.children) == 6
    assert torch.equal(latents.code, code) and latents.sliders["latent 7"].value == 5
    latents.sliders["latent 6"].value = 1
    latents.count.value = 1
    assert len(latents.panel.children) == 1 and latents.code[6] != code[6]  # hidden, not forgotten


def test_a_state_that_moves_a_hidden_latent_shows_it(latents):
    latents.state.value = '{"picture": 3, "latents": {"latent 0": 1.5}}'
    assert latents.count.value == 5 and latents.code[0] == 1.5 and not is_error(latents)


def test_random_values_come_back_with_their_seed(latents, summary):
    latents.seed.value = 5
    code = latents.code
    active = [7, 1, 3, 4]
    assert (code[active] != encode_pictures(latents.data.model, latents.pictures[:1])[0][0, active]).all()
    within = np.abs(code.numpy() - summary.mean) <= 3 * summary.spread + 1e-3
    assert within[active].all()
    latents.random_values.click()
    assert latents.seed.value == 6 and not torch.equal(latents.code, code)
    latents.seed.value = 5
    assert torch.equal(latents.code, code)


def test_refining_brings_the_reconstruction_nearer(latents, pictures, model):
    encoded = latents.code
    before = psnr_of(latents.reconstruction[None], pictures[:1])[0]
    latents.refine.click()
    assert psnr_of(latents.reconstruction[None], pictures[:1])[0] > before
    assert "refined in 20 steps" in latents.status.value
    refined, state = latents.code, latents.state.value
    assert json.loads(state)["refined"] == 20
    latents.undo.click()
    assert torch.equal(latents.code, encoded) and "refined" not in latents.status.value
    latents.state.value = state
    assert torch.equal(latents.code, refined)


def test_meters_say_how_far_from_the_training_pictures(model, pictures, summary):
    mu, logvar = encode_pictures(model, pictures)
    support = Support(mu[:10], logvar[:10], mu[10:], summary.active)
    explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, summary, support))
    assert explorer.meter.value.count(">0.00</span>") == 2  # a training picture, so far unmoved
    explorer.sliders["latent 7"].value = explorer.sliders["latent 7"].max
    assert explorer.meter.value.count(">0.00</span>") == 1


def test_saves_the_sweep_of_the_latent_turned_last(latents, monkeypatch):
    latents.folder = Path("plots")
    latents.sliders["latent 3"].value = 2
    buttons = {b.tooltip: b for b in find_buttons(latents)}
    for ending in (".png", ".gif", ".webp", ".html"):
        buttons[f"save as {ending}"].click()
        assert Path(f"plots/sweep_0_latent_3{ending}").is_file() and f"sweep_0_latent_3{ending}" in latents.status.value
    width, height = Image.open("plots/sweep_0_latent_3.png").size
    assert width == 9 * 34 - 2 and height > 32  # captions under the frames


def test_sliders_can_be_called_by_name(model, pictures, summary):
    data = ExplorerData(model, pictures, NAMES, summary, labels={int(summary.active[0]): "wing hue"})
    first, second = (each.description for each in LatentExplorer(data, sliders=2).sliders.values())
    assert first == "wing hue · 4.0 nats" and second == f"latent {summary.active[1]} · 3.0 nats"
