import numpy as np
import pytest
import torch
from worlds import curved_read, curved_world

from vae_helpers.errors import InputError
from vae_helpers.latent import (
    Axis,
    Chart,
    LineAxis,
    Trust,
    attribute_axes,
    by_trust,
    component_axes,
    direction_axis,
    direction_by_hand,
    latent_axes,
    move_together,
    sound_choices,
    sound_range,
    summarise,
)


@pytest.fixture(scope="module")
def codes():
    """Of the curved world, (400, 12)."""
    return curved_world(400, 0)[0]


@pytest.fixture(scope="module")
def axes(codes):
    """One list of every kind."""
    chart = Chart.fit(*curved_world(400, 0))
    summary = summarise(codes, torch.full_like(codes, -2.0))
    mine = direction_by_hand(
        "big",
        codes,
        [str(i) for i in range(400)],
        codes[:, 0].topk(5).indices.tolist(),
        (-codes[:, 0]).topk(5).indices.tolist(),
    )
    return [*attribute_axes(chart), *latent_axes(summary), *component_axes(codes, 3), direction_axis(mine)]


def test_all_kinds_are_alike(axes, codes):
    assert {axis.kind for axis in axes} == {"attribute", "latent", "component", "direction"}
    for axis in axes:
        code = codes[3]
        start = axis.start(code)
        assert torch.equal(axis.move(code, start), code), axis.name  # bit for bit
        end = float(len(axis.choices) - 1 if axis.choices else axis.low)
        values = np.array([start, end])
        moved = axis.move(code, values)
        assert moved.shape == (2, 12) and moved.dtype == torch.float32
        assert torch.allclose(moved[1], axis.move(code, end), atol=1e-6)
        there = axis.start(moved[1])
        apart = abs((there - end + 180) % 360 - 180) if axis.name == "turn" else abs(there - end)
        assert apart < (0.08 if axis.kind == "attribute" else 1e-4) * (axis.high - axis.low), axis.name


def test_latents_and_components_by_hand(codes):
    summary = summarise(codes, torch.zeros_like(codes))
    first = latent_axes(summary)[0]
    j = int(summary.active[0])
    assert first.name == f"latent {j}" and np.isclose(first.high, summary.mean[j] + 3 * summary.spread[j])
    assert first.move(codes[0], 1.5)[j] == 1.5 and torch.equal(first.move(codes[0], 1.5)[:j], codes[0, :j])
    line = torch.zeros(200, 4)
    line[:, 1], line[:, 3] = torch.linspace(-3, 3, 200), 0.01 * torch.linspace(0, 40, 200).sin()
    component = component_axes(line, 2)[0]
    assert np.isclose(abs(component.start(line[-1])), 3 / line[:, 1].std(), atol=1e-3)
    assert np.isclose(abs(component.move(torch.zeros(4), 1.0)[1]), line[:, 1].std(), atol=1e-3)
    assert np.isclose(np.std([component.start(code) for code in line], ddof=1), 1, atol=1e-4)
    with pytest.raises(InputError, match="at least 3 codes"):
        component_axes(torch.zeros(2, 4))


def test_a_direction_goes_from_those_without_to_those_with():
    codes = torch.tensor([[0.0, 0], [2, 0], [4, 1], [6, 1]])
    kept = direction_by_hand("tall", codes, "abcd", [2, 3], [0, 1])
    axis = direction_axis(kept)
    assert axis.start(torch.tensor([1.0, 0])) == 0 and np.isclose(axis.start(torch.tensor([5.0, 1])), 1)
    assert torch.allclose(axis.move(torch.tensor([1.0, 0]), 1.0), torch.tensor([5.0, 1])) and axis.trust == kept.cosine


def test_the_most_trusted_come_first():
    chart = Chart.fit(*curved_world(200, 0))
    trust = [Trust("size", 1, 0.4, 0, ""), Trust("bend", 1, 0.9, 0.05, ""), Trust("turn", 1, 1, 0, "")]
    assert [a.name for a in attribute_axes(chart, trust)] == ["turn", "bend", "kind", "size"]  # nothing known of kind
    a, b, c = (Axis(name, "", 0, 1, value) for name, value in (("a", None), ("b", 0.1), ("c", 0.9)))
    assert by_trust([a, b, c]) == [c, a, b] and not b.trusted and a.trusted


def test_several_axes_at_once(axes, codes):
    by_name = {axis.name: axis for axis in axes}
    code = codes[5]
    size, kind = by_name["size"], by_name["kind"]
    both = move_together(code, [(size, 25.0), (kind, 2.0)])
    assert torch.equal(both, size.chart.move_all(code, {"size": 25.0, "kind": 2.0}))
    assert curved_read(both[None])[0, 3] == 2
    up = LineAxis("up", "", -9, 9, vector=np.eye(12)[9], origin=np.zeros(12))
    idle = LineAxis("idle", "", -9, 9, vector=np.eye(12)[10], origin=np.zeros(12))
    moved = move_together(code, [(up, 2.0), (idle, -1.0), (size, 25.0)])
    assert torch.allclose(moved[9:11], torch.tensor([2.0, -1.0]))
    assert torch.allclose(moved[:8], size.move(code, 25.0)[:8], atol=1e-6)
    assert torch.equal(move_together(code, []), code)
    assert torch.equal(move_together(code, [(up, 2.0)]), up.move(code, 2.0))


def test_a_range_ends_where_codes_stop_being_sound(codes):
    up = LineAxis("up", "", -8.0, 8.0, vector=np.eye(12)[9], origin=np.zeros(12))
    assert sound_range(up, codes[0], lambda z: z[:, 9].abs().numpy() < 4.5, steps=17) == (-4, 4)
    assert sound_range(up, codes[0], lambda z: np.ones(len(z)), steps=17) == (-8, 8)
    assert sound_range(up, codes[0], lambda z: np.zeros(len(z)), steps=17) == (0, 0)  # where it stands
    island = sound_range(up, codes[0], lambda z: (z[:, 9].abs().numpy() < 2.5) | (z[:, 9].numpy() > 6), steps=17)
    assert island == (-2, 2)  # what lies behind wreckage is not reached
    kind = attribute_axes(Chart.fit(*curved_world(200, 0)))[-1]
    assert kind.name == "kind" and sound_choices(kind, codes[0], lambda z: curved_read(z)[:, 3] != 1) == [0, 2]
