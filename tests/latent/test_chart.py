import numpy as np
import pytest
import torch
from worlds import CURVED, KIND, SIZE, TURN, curved_codes, curved_read, curved_world, linear_world

from vae_helpers.data import Attribute, Attributes
from vae_helpers.errors import InputError
from vae_helpers.latent import Chart


@pytest.fixture(scope="module")
def chart():
    """Of 800 codes of the curved world."""
    return Chart.fit(*curved_world(800, 0))


@pytest.fixture(scope="module")
def codes():
    """Held-out codes of it."""
    return curved_world(200, 1)[0]


def test_it_explains_what_there_is_and_reads_it_back(chart, codes):
    attributes = curved_world(200, 1)[1]
    assert chart.fit_score(codes, attributes) > 0.97  # all but the residue
    read, true = chart.read(codes), attributes.values
    for k, spread in ((0, 20), (1, 4)):
        assert np.abs(read[:, k] - true[:, k]).max() < 0.1 * spread
    assert np.abs((read[:, 2] - true[:, 2] + 180) % 360 - 180).max() < 12
    assert (read[:, 3] == true[:, 3]).all()
    expected = curved_codes(true)
    assert np.square(np.asarray(chart.expected(true)) - expected).mean() < 0.003 * expected.var(axis=0).mean() * 12


def test_a_move_changes_that_attribute_and_nothing_else(chart, codes):
    before = curved_read(codes)
    for k, value in ((0, 12.0), (0, 27.0), (1, -1.5), (1, 1.2), (2, 350.0), (2, 90.0), (3, 1.0)):
        moved = torch.stack(
            [chart.move(code, CURVED[k].name, value, known=row) for code, row in zip(codes[:40], before[:40])]
        )
        after = curved_read(moved)
        wanted = before[:40].copy()
        wanted[:, k] = value
        off = np.abs(after - wanted)
        off[:, 2] = np.minimum(off[:, 2], 360 - off[:, 2])
        assert (np.median(off, axis=0) < [0.5, 0.06, 3, 0.1]).all()
        assert (moved[:, 7] - codes[:40, 7]).abs().median() < 0.05  # nothing explains it
        assert torch.equal(moved[:, 8:], codes[:40, 8:])


def test_a_move_to_where_it_is_gives_the_code_itself(chart, codes):
    for code in codes[:5]:
        for name, value in zip(chart.names, chart.read(code[None])[0]):
            assert torch.equal(chart.move(code, name, value), code)
    assert torch.equal(chart.move_all(codes[0], {}), codes[0])


def test_several_values_are_the_single_ones(chart, codes):
    values = np.linspace(10, 30, 5)
    together = chart.move(codes[0], "size", values)
    assert together.shape == (5, 12) and together.dtype == torch.float32
    for value, row in zip(values, together):
        assert torch.allclose(chart.move(codes[0], "size", value), row, atol=1e-6)
    assert torch.equal(chart.move(codes[0], "size", 99.0), chart.move(codes[0], "size", 30.0))  # the range's end


def test_several_attributes_at_once(chart, codes):
    before = curved_read(codes[:1])[0]
    after = curved_read(chart.move_all(codes[0], {"size": 25.0, "kind": "bear"}, known=before)[None])[0]
    assert abs(after[0] - 25) < 0.5 and after[3] == 2 and abs(after[1] - before[1]) < 0.15


def test_a_path_ends_in_the_codes_bit_for_bit_and_keeps_to_the_curve(chart, codes):
    for a, b in zip(codes[:20:2], codes[1:20:2]):
        path = chart.path(a, b, 9)
        assert torch.equal(path[0], a) and torch.equal(path[-1], b)
        assert torch.equal(path[[0, 8]], chart.path(a, b, torch.tensor([0.0, 1.0])))
        assert torch.equal(path[:, 8:], torch.zeros(9, 4))
    ends = torch.from_numpy(curved_codes(np.array([[20.0, -1.8, 160.0, 0.0], [20.0, 1.8, 220.0, 0.0]]))).float()
    path = chart.path(*ends, 5)
    middle = curved_read(path[2:3])[0]
    assert abs(middle[1]) < 0.15 and abs(path[2, 2] - 2) < 0.15  # round the arc; a straight line would be at -0.45
    assert abs(middle[2] - 190) < 8  # the short way round the circle


def test_a_category_switches_half_way(chart):
    ends = torch.from_numpy(curved_codes(np.array([[20.0, 0.0, 10.0, 0.0], [20.0, 0.0, 10.0, 2.0]]))).float()
    assert chart.read(chart.path(*ends, 8))[:, 3].tolist() == [0] * 4 + [2] * 4


def test_samples_look_like_the_set(chart):
    samples = chart.sample(400, seed=3)
    train = curved_world(800, 0)[0]
    assert samples.shape == (400, 12) and torch.equal(samples, chart.sample(400, seed=3))
    assert not torch.equal(samples, chart.sample(400, seed=4))
    assert torch.allclose(samples.std(dim=0), train.std(dim=0), rtol=0.2, atol=0.03)
    assert np.abs(np.hypot(*samples[:, 3:5].numpy().T) - 1).max() < 0.3  # on the circle, where a Gaussian is not
    assert torch.equal(chart.sample(50, seed=1, temperature=0.0)[:, 7].abs() < 0.2, torch.ones(50, dtype=torch.bool))


def test_correlated_attributes_follow_or_stay():
    chart = Chart.fit(*linear_world(500, 0, correlation=0.8))
    assert chart.correlated
    code, known = torch.zeros(6), np.zeros(3)
    follows, stays = (chart.move(code, "a", 1.0, way, known) for way in ("conditional", "marginal"))
    assert torch.allclose(follows[:3], torch.tensor([1.0, 0.8, 0.0]), atol=0.08)
    assert torch.allclose(stays[:3], torch.tensor([1.0, 0.0, 0.0]), atol=0.08)
    asked = chart.asked(code, "a", [1.0], "conditional", known)[0]
    assert np.allclose(asked, [1.0, 0.8, 0.0], atol=0.08)
    both = chart.move_all(code, {"a": 0.8, "b": 0.2}, "conditional", known)
    assert torch.allclose(both[:3], torch.tensor([0.8, 0.2, 0.0]), atol=0.08)


def test_chance_is_no_correlation():
    chart = Chart.fit(*linear_world(300, 0))
    assert not chart.correlated
    code, known = torch.zeros(6), np.zeros(3)
    assert torch.equal(chart.move(code, "a", 1.0, "conditional", known), chart.move(code, "a", 1.0, "marginal", known))


def test_unknown_cells_are_read_off_the_codes():
    codes, attributes = curved_world(320, 0)
    values = attributes.values.copy()
    values[np.random.default_rng(0).random(values.shape) < 0.3] = np.nan
    chart = Chart.fit(codes, Attributes(values, CURVED))
    held_out, true = curved_world(150, 1)
    assert chart.fit_score(held_out, true) > 0.95
    assert np.median(np.abs(chart.read(held_out)[:, 0] - true.values[:, 0])) < 1
    known = np.full((150, 4), np.nan)
    known[:, 1] = 0.5
    assert (chart.read(held_out, known)[:, 1] == 0.5).all()


def test_what_cannot_be_learnt_is_left_out_and_says_why():
    codes, attributes = curved_world(60, 0)
    extra = np.stack([np.ones(60), np.where(np.arange(60) < 3, 1.0, np.nan), np.arange(60.0)], axis=1)
    table = (
        Attribute("dull"),
        Attribute("rare"),
        Attribute("own", kind="category", high=59.0, choices=tuple(f"n{i}" for i in range(60))),
    )
    chart = Chart.fit(codes, attributes.with_more(Attributes(extra, table)))
    assert chart.names == ("size", "bend", "turn", "kind")
    for name, word in (("dull", "same in every"), ("rare", "known of 3"), ("own", "60 choices")):
        with pytest.raises(InputError, match=word):
            chart.move(codes[0], name, 0)
    with pytest.raises(InputError, match="did you mean 'size'"):
        chart.move(codes[0], "sise", 0)
    with pytest.raises(InputError, match="dull is the same"):
        Chart.fit(codes, Attributes(extra, table))


def test_a_choice_that_no_picture_has_cannot_be_asked_for():
    codes, attributes = curved_world(300, 0)
    kind = KIND._replace(choices=(*KIND.choices, "yak"), high=3.0)
    chart = Chart.fit(codes, Attributes(attributes.values[:, 3:], (kind,)))
    assert chart.choices("kind") == [0, 1, 2]
    assert (chart.read(codes)[:, 0] == attributes.values[:, 3]).all()
    with pytest.raises(InputError, match="'yak'"):
        chart.move(codes[0], "kind", "yak")


def test_forty_binary_attributes_stay_within_the_budget():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(400, 20))
    values = np.sign(codes @ rng.normal(size=(20, 40)) + rng.normal(size=(400, 40)))
    table = tuple(Attribute(f"has {i}", low=-1.0, high=1.0) for i in range(40))
    chart = Chart.fit(torch.from_numpy(codes).float(), Attributes(values, table))
    assert 40 <= chart.features.width <= 134 and set(chart.features.degrees) == {1}
    code = torch.from_numpy(codes[0]).float()
    up, down = (chart.read(chart.move(code, "has 7", v)[None])[0, 7] for v in (1, -1))
    assert up - down > 0.5


@pytest.mark.parametrize("count", [8, 30])
def test_few_codes_do_no_harm(count):
    codes, attributes = curved_world(count, 0)
    chart = Chart.fit(codes, attributes)
    moved = chart.move(codes[0], "size", 28.0)
    assert torch.isfinite(moved).all() and (moved - codes[0]).norm() < 8
    assert chart.read(moved[None])[0, 0] > chart.read(codes[:1])[0, 0] - 1 or codes[0, 0] > 1
    assert torch.equal(chart.path(codes[0], codes[1], 4)[[0, 3]], codes[:2])


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda c, z: c.move(z[0], "size", 12, "sideways"), "conditional or marginal"),
        (lambda c, z: c.move(z[0], "size", "big"), "a number from 10 to 30"),
        (lambda c, z: c.move(z[0], "kind", "dog"), "one of cat, fox, bear"),
        (lambda c, z: c.move(z[0], "kind", 1.5), "one of cat"),
        (lambda c, z: c.move(torch.zeros(5), "size", 12), "12 latents"),
        (lambda c, z: c.path(z[0], z[1], 1), "at least 2"),
        (lambda c, z: c.sample(0), "at least 1"),
        (lambda c, z: Chart.fit(z[:5], Attributes(np.zeros((5, 1)), (SIZE,))), "at least 8"),
        (lambda c, z: Chart.fit(z, Attributes(np.zeros((5, 1)), (SIZE,))), "as many rows"),
        (
            lambda c, z: Chart.fit(torch.zeros(20, 12), Attributes(np.arange(20.0)[:, None], (TURN,))),
            "0 active latents",
        ),
        (lambda c, z: Chart.fit(z * np.nan, Attributes(np.zeros((200, 1)), (SIZE,))), "not finite"),
    ],
)
def test_bad_input_gets_a_sentence(chart, codes, wrong, word):
    with pytest.raises(InputError, match=word):
        wrong(chart, codes)
