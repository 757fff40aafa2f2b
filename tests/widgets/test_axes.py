"""The latent explorer along attributes, components and latents: one set of controls for all kinds of axis."""

import json
import os
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from explorers import NAMES, count_draws, everything, find_buttons, is_error, some_attributes

from vae_helpers.data import Attribute, Attributes
from vae_helpers.latent import (
    BROKEN,
    Chart,
    LineAxis,
    Soundness,
    Trust,
    Verdict,
    attribute_axes,
    component_axes,
    decode_codes,
    encode_pictures,
    move_together,
)
from vae_helpers.widgets import ExplorerData, LatentExplorer

TRUST = [Trust("size", 0.9, 0.9, 0.0, "pixels"), Trust("hue", 0.9, 0.1, 0.9, "pixels")]


@pytest.fixture(scope="module")
def codes(model, pictures):
    return encode_pictures(model, pictures)[0]


@pytest.fixture(scope="module")
def chart(codes):
    return Chart.fit(codes, some_attributes(codes))


@pytest.fixture
def data(model, pictures, summary, chart, codes):
    return ExplorerData(model, pictures, NAMES, summary, chart=chart, trust=TRUST, training_codes=codes)


@pytest.fixture
def explorer(data):
    return LatentExplorer(data, sliders=3)


def test_attributes_are_shown_first_where_any_can_be_trusted(explorer):
    assert explorer.kind.options == ("Attributes", "Latents", "Components", "By hand")
    assert explorer.kind.value == "Attributes" and explorer.axis_names == ["size", "pattern", "hue"]
    assert explorer.sliders["size"].description == "size, pixels · trust 0.90"
    assert explorer.sliders["hue"].description == "hue, of the colour circle · not to be trusted (0.01)"
    assert [label for label, _ in explorer.choices["pattern"].options] == ["plain", "spots", "stripes"]
    assert isinstance(explorer.choices["pattern"], widgets.ToggleButtons) and not is_error(explorer)


def test_attributes_that_hang_together_are_offered_alone_too(model, pictures, summary, codes):
    held = Attribute("held", "", "number", -4.0, 4.0), Attribute("follows", "", "number", -4.0, 4.0)
    values = np.stack([codes[:, 0].numpy(), codes[:, 0].numpy() + 0.1 * codes[:, 1].numpy()], axis=1)
    chart = Chart.fit(codes, Attributes(np.float32(values), held))
    explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, summary, chart=chart))
    assert "Attributes alone" in explorer.kind.options
    explorer.kind.value = "Attributes"
    explorer.values["held"].value += 1
    together = explorer.code
    explorer.to_picture.click()
    explorer.kind.value = "Attributes alone"
    assert explorer.sliders["held"].description == "held · alone"
    explorer.values["held"].value += 1
    start, value = explorer._rows.base, explorer.values["held"].value
    assert torch.equal(explorer.code, chart.move(start, "held", value, "marginal"))
    assert not torch.allclose(explorer.code, together, atol=1e-3)
    assert json.loads(explorer.state.value)["attributes alone"] == {"held": value}


@pytest.mark.parametrize("lacking, kind", [("trust", "Components"), ("chart", "Components"), ("both", "Latents")])
def test_else_components_else_latents(model, pictures, summary, chart, codes, lacking, kind):
    known = {"chart": chart, "trust": [TRUST[1]], "training_codes": codes}
    if lacking != "trust":
        known["chart"] = None
    if lacking == "both":
        known["training_codes"] = None
    explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, summary, **known))
    assert explorer.kind.value == kind and ("Attributes" in explorer.kind.options) == (lacking == "trust")


@pytest.mark.parametrize("kind", ["Attributes", "Latents", "Components"])
def test_every_kind_moves_and_comes_back_bit_for_bit(explorer, kind, model):
    explorer.start.value = 5
    start, picture = explorer.code, explorer.picture
    explorer.kind.value = kind
    assert torch.equal(explorer.code, start) and len(explorer.panel.children) == 3
    for name, slider in explorer.sliders.items():
        slider.value += 3
        axis = next(axis for axis in explorer.axes[kind] if axis.name == name)
        moved = move_together(start, [(axis, explorer.values[name].value)])
        assert torch.equal(explorer.code, moved) and not torch.equal(moved, start)
        assert np.abs(explorer.picture - decode_codes(model, moved[None])[0].astype(int)).max() <= 1
        slider.value -= 3
        assert torch.equal(explorer.code, start) and np.array_equal(explorer.picture, picture)
    assert json.loads(explorer.state.value) == {"picture": 5, "start": "picture"}


def test_a_category_moves_by_buttons(explorer, chart):
    start = explorer.code
    own = explorer.choices["pattern"].value
    assert own == ("plain", "spots", "stripes")[int(chart.read(start[None])[0, 2])]
    other = next(name for name in ("spots", "stripes") if name != own)
    explorer.choices["pattern"].value = other
    assert torch.equal(explorer.code, chart.move(start, "pattern", other))
    assert json.loads(explorer.state.value)["attributes"] == {"pattern": other}
    explorer.undo.click()
    assert explorer.choices["pattern"].value == own and torch.equal(explorer.code, start)


def test_what_was_moved_stays_while_another_kind_is_shown(explorer, chart, data):
    start = explorer.code
    explorer.sliders["size"].value = -4
    size = explorer.values["size"].value
    explorer.kind.value = "Components"
    assert torch.equal(explorer.code, chart.move_all(start, {"size": size}))
    explorer.values["component 2"].value = 1.5
    axes = [explorer.axes["Attributes"][0], component_axes(data.training_codes)[1]]
    assert torch.equal(explorer.code, move_together(start, list(zip(axes, (size, 1.5)))))
    plain = json.loads(explorer.state.value)
    assert plain["attributes"] == {"size": size} and plain["components"] == {"component 2": 1.5}


def test_a_state_of_another_kind_shows_that_kind(explorer, data):
    explorer.kind.value = "Components"
    explorer.values["component 3"].value = -2
    code, state = explorer.code, explorer.state.value
    other = LatentExplorer(data, sliders=1)
    drawn = count_draws(other, "live")
    other.state.value = state
    assert other.kind.value == "Components" and other.count.value == 3 and drawn == ["live"]
    assert torch.equal(other.code, code) and other.state.value == state


@pytest.mark.parametrize(
    "entry, problem",
    [
        ('"attributes": {"size": 1e5}', "to a number from"),
        ('"attributes": {"pattern": "dots"}', "one of plain, spots, stripes"),
        ('"attributes": {"pattern": 1}', "one of plain, spots, stripes"),
        ('"attributes": {"age": 1}', "no slider here"),
        ('"components": [1]', "cannot be read"),
        ('"attributes": {"size": true}', "to a number from"),
    ],
)
def test_a_state_that_does_not_fit_moves_nothing(explorer, entry, problem):
    code = explorer.code
    explorer.state.value = f'{{"picture": 0, {entry}}}'
    assert is_error(explorer) and problem in explorer.status.value.replace("&#x27;", "'")
    assert torch.equal(explorer.code, code)


def test_a_slider_decodes_one_code(explorer, monkeypatch):
    decoded = []
    forward = explorer._decoder.forward
    monkeypatch.setattr(explorer._decoder, "forward", lambda z: (decoded.append(len(z)), forward(z))[1])
    for kind in ("Attributes", "Latents", "Components"):
        explorer.kind.value = kind
        decoded.clear()
        next(iter(explorer.sliders.values())).value += 2
        assert decoded == [1]


def test_random_starts_come_back_with_their_seed(explorer, chart):
    explorer.to_random.click()
    first = explorer.code
    assert torch.equal(first, chart.sample(1, 1)[0]) and "random code, seed 1" in explorer.status.value
    explorer.temperature.value = 0
    assert torch.equal(explorer.code, chart.sample(1, 1, 0)[0])
    state = explorer.state.value
    assert json.loads(state) == {"picture": 0, "start": "random", "seed": 1, "temperature": 0.0}
    explorer.undo.click()
    assert torch.equal(explorer.code, first)
    explorer.to_picture.click()
    explorer.state.value = state
    assert torch.equal(explorer.code, chart.sample(1, 1, 0)[0]) and not is_error(explorer)


def test_a_random_start_without_a_chart_is_fitted_to_the_codes(model, pictures, summary, codes):
    narrow = codes * torch.tensor([1.0, 0, 0, 0, 0, 0, 0, 0])  # the codes vary in one latent
    explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, summary, training_codes=narrow))
    explorer.to_random.click()
    assert explorer.code[0] != narrow.mean(dim=0)[0] and (explorer.code[1:] == 0).all()
    explorer.temperature.value = 0
    assert explorer.code[0].item() == pytest.approx(narrow[:, 0].mean().item(), abs=1e-6)
    spread_only = LatentExplorer(ExplorerData(model, pictures, NAMES, summary))
    spread_only.to_random.click()
    away = np.abs(spread_only.code.numpy() - summary.mean) / summary.spread
    assert 0 < away.min() and away.max() < 5


def test_random_values_of_attributes_are_those_of_one_picture(explorer, chart):
    explorer.random_values.click()
    first = explorer.code
    assert explorer.seed.value == 1 and not is_error(explorer)
    size = explorer.axes["Attributes"][0]
    assert size.low <= explorer.values["size"].value <= size.high
    explorer.random_values.click()
    assert not torch.equal(explorer.code, first)
    explorer.seed.value = 1
    assert torch.equal(explorer.code, first)


def test_an_explorer_of_forty_attributes_shows_as_many_as_asked(model, pictures, summary, codes):
    values = codes.double().numpy() @ np.random.default_rng(0).normal(size=(8, 40))
    table = tuple(Attribute(f"attribute {k}", "", "number", *np.quantile(v, [0, 1])) for k, v in enumerate(values.T))
    chart = Chart.fit(codes, Attributes(values, table))
    trust = [Trust(a.name, 0.9, 1.0, k / 40, "factors") for k, a in enumerate(table)]
    explorer = LatentExplorer(ExplorerData(model, pictures, NAMES, summary, chart=chart, trust=trust))
    assert explorer.axis_names == [f"attribute {k}" for k in range(8)] and explorer.count.max == 40
    explorer.count.value = 40
    assert len(explorer.panel.children) == 40 and "not to be trusted" in explorer.sliders["attribute 39"].description
    explorer.sliders["attribute 39"].value -= 1
    explorer.kind.value = "Latents"
    assert explorer.count.value == 6 and explorer.count.max == 6
    explorer.kind.value = "Attributes"
    assert explorer.count.value == 40 and not is_error(explorer)


def test_ranges_end_where_frames_break(data):
    """Frames count as broken beyond 1 of the first component, as the explorer is told here."""
    axis = component_axes(data.training_codes)[0]
    mean = torch.from_numpy(axis.origin).float()
    soundness = Soundness(data.model, data.pictures)
    made = ExplorerData(**(vars(data) | {"soundness": soundness, "chart": None}))
    explorer = LatentExplorer(made, {"Components": [axis]})
    explorer._soundness.judge = lambda frames: Verdict(
        np.ones(len(frames)), np.where(np.arange(len(frames)), BROKEN, 0)
    )
    judged = explorer._are_sound
    explorer._are_sound = lambda watch, each: (
        np.array([abs(axis.start(code)) < 1 for code in each])
        if isinstance(each, torch.Tensor)
        else judged(watch, each)
    )
    explorer.to_mean.click()
    typed, slider = explorer.values["component 1"], explorer.sliders["component 1"]
    assert torch.allclose(mean, explorer.code, atol=1e-5) and (typed.min, typed.max) == (-0.75, 0.75)
    slider.value = slider.max
    assert typed.value == 0.75
    explorer.keep_sound.value = False
    assert (typed.min, typed.max, typed.value) == (-3.0, 3.0, 0.75)
    explorer.keep_sound.value = True
    assert (typed.min, typed.max, typed.value) == (-0.75, 0.75, 0.75)


def test_a_broken_start_keeps_its_ranges_and_says_so(data):
    soundness = Soundness(data.model, data.pictures)
    soundness.marks = (0.0, 0.0)
    explorer = LatentExplorer(ExplorerData(**(vars(data) | {"soundness": soundness})), sliders=3)
    size = explorer.axes["Attributes"][0]
    assert (explorer.values["size"].min, explorer.values["size"].max) == (size.low, size.high)
    assert "The start is broken" in explorer.status.value and explorer.meter.value.count("vae-broken") == 4


def test_the_live_frame_is_judged(data):
    soundness = Soundness(data.model, data.pictures)
    explorer = LatentExplorer(ExplorerData(**(vars(data) | {"soundness": soundness})), sliders=3)
    explorer.sliders["size"].value -= 1
    error = soundness.judge(explorer.picture[None]).error[0]
    assert explorer.meter.value.count("vae-meter ") == 2 and f"</b> {error:.1f}" in explorer.meter.value


@pytest.mark.parametrize("kind, name", [("Attributes", "size"), ("Attributes", "pattern"), ("Latents", "latent 7")])
def test_sweeps_of_every_kind_are_saved(explorer, kind, name):
    explorer.folder = Path("plots")
    explorer.kind.value = kind
    if name in explorer.choices:
        explorer.choices[name].value = next(c for c in ("spots", "plain") if c != explorer.choices[name].value)
    else:
        explorer.sliders[name].value -= 1
    next(b for b in find_buttons(explorer) if b.tooltip == "save as .png").click()
    assert not is_error(explorer) and Path(f"plots/sweep_0_{name.replace(' ', '_')}.png").is_file()


def test_axes_may_be_given(data):
    line = {"vector": np.ones(8), "origin": np.zeros(8), "kind": "direction"}
    axis = LineAxis("to the left", "steps", -2.0, 2.0, 0.9, **line)
    poor = LineAxis("to the right", "steps", -2.0, 2.0, 0.1, **line)
    explorer = LatentExplorer(data, {"By hand": [poor, axis], "Latents": []}, sliders=2)
    assert explorer.kind.options == ("By hand",)
    assert explorer.axis_names == ["to the left", "to the right"]  # what is not to be trusted comes last
    start = explorer.code
    explorer.values["to the left"].value = 0.5
    assert torch.equal(explorer.code, axis.move(start, 0.5))


@pytest.mark.skipif(os.name == "nt", reason="names there are Unicode")
def test_choices_that_are_not_utf8_are_shown_and_recalled(model, pictures, summary, codes):
    names = tuple(os.fsdecode(name) for name in (b"caf\xe9", b"b", b"c"))
    known = some_attributes(codes)
    table = (*known.table[:2], known.table[2]._replace(choices=names))
    chart = Chart.fit(codes, Attributes(known.values, table))
    data = ExplorerData(model, pictures, NAMES, summary, chart=chart)
    explorer = LatentExplorer(data, {"Attributes": attribute_axes(chart)})
    for choice in names:
        explorer.choices["pattern"].value = choice
    explorer.choices["pattern"].value = names[0]
    assert not is_error(explorer)
    for widget in everything(explorer):
        for value in widget.get_state().values():  # what goes to the browser, which takes UTF-8 only
            str(value).encode()
    other = LatentExplorer(data, {"Attributes": attribute_axes(chart)})
    other.state.value = explorer.state.value
    assert torch.equal(other.code, explorer.code) and not is_error(other)


def test_many_choices_are_a_list_and_few_are_buttons(model, pictures, summary, codes):
    order = codes[:, 0].argsort().argsort().numpy()
    table = tuple(
        Attribute(f"{count} kinds", "", "category", 0, count - 1, tuple(f"kind {k}" for k in range(count)))
        for count in (5, 13)
    )
    values = np.stack([order % 5, np.minimum(order // 2, 12)], axis=1).astype(float)
    codes, values = codes.repeat(3, 1), np.tile(values, (3, 1))
    explorer = LatentExplorer(
        ExplorerData(model, pictures, NAMES, summary, chart=Chart.fit(codes, Attributes(values, table)))
    )
    explorer.kind.value = "Attributes"
    few, many = explorer.choices["5 kinds"], explorer.choices["13 kinds"]
    assert isinstance(few, widgets.ToggleButtons) and isinstance(many, widgets.Dropdown)
    before = explorer.picture.copy()
    many.value = next(value for _, value in many.options if value != many.value)
    assert not np.array_equal(explorer.picture, before) and not is_error(explorer)
    explorer.undo.click()
    assert np.array_equal(explorer.picture, before)
