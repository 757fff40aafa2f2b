import numpy as np
import pytest
import torch
from worlds import CURVED, curved_read, curved_world, linear_world

from vae_helpers.data import Attribute, Attributes, attributes_of, measure_pixels, read_pixels
from vae_helpers.latent import Chart, Trust, encode_pictures
from vae_helpers.scores import (
    CODE,
    PICTURE,
    PIXEL,
    Judge,
    PictureReader,
    measure_trust,
    score_of,
    trust_lines,
    trust_of,
)


def _judge(read, count, gain=1.0, score=1.0):
    return Judge(("known",) * count, np.full(count, score), np.full(count, gain), read)


def test_a_perfect_decoder_is_trusted_wholly():
    """What is decoded is the code itself, and the judge knows how it was made."""
    codes, attributes = curved_world(800, 0)
    chart = Chart.fit(codes, attributes)
    held_out, true = curved_world(120, 1)
    for trust in measure_trust(np.asarray, chart, held_out, true, _judge(curved_read, 4)):
        assert trust.readout > 0.97 and 0.95 < trust.slope < 1.05 and trust.leak < 0.05 and trust.trusted


def test_what_is_not_in_the_code_does_not_steer():
    codes, attributes = linear_world(600, 0)
    luck = np.random.default_rng(5).uniform(-1, 1, (600, 1))
    known = attributes.with_more(Attributes(luck, (Attribute("luck", low=-1.0, high=1.0),)))
    chart = Chart.fit(codes[:500], known.rows(slice(500)))
    rest = known.rows(slice(500, None))
    # a judge that reads luck from where nothing was put: a latent's residue
    found = {t.name: t for t in measure_trust(np.asarray, chart, codes[500:], rest, _judge(lambda z: z[:, :4], 4))}
    assert abs(found["luck"].slope) < 0.05 and found["luck"].readout < 0.2 and not found["luck"].trusted
    assert found["a"].trusted


def test_slope_and_leak_by_hand():
    """A decoder that does half of what it is asked for a, and moves c along by 0.3."""
    codes, attributes = linear_world(600, 0)
    chart = Chart.fit(codes[:500], attributes.rows(slice(500)))

    def decode(z):
        z = np.asarray(z, np.float64)
        return np.stack([0.5 * z[:, 0], z[:, 1], z[:, 2] + 0.3 * z[:, 0]], axis=1)

    rest = attributes.rows(slice(500, None))
    a, b, c = measure_trust(decode, chart, codes[500:], rest, _judge(np.asarray, 3))
    assert np.isclose(a.slope, 0.5, atol=0.03) and np.isclose(a.leak, 0.15, atol=0.03)  # mean of 0 and 0.3
    assert np.isclose(b.slope, 1, atol=0.05) and b.leak < 0.03
    assert np.isclose(a.value, a.slope * (1 - a.leak)) and Trust("", 1, 2.0, 0.0, "").value == 0.5
    halved = measure_trust(decode, chart, codes[500:], rest, _judge(lambda frames: 0.5 * frames, 3, gain=0.5))
    assert np.allclose([t.slope for t in halved], [a.slope, b.slope, c.slope])  # made up for


def test_what_follows_as_asked_is_no_leak():
    codes, attributes = linear_world(600, 0, correlation=0.8)
    chart = Chart.fit(codes[:500], attributes.rows(slice(500)))
    rest = attributes.rows(slice(500, None))
    for way in ("conditional", "marginal"):
        a = measure_trust(np.asarray, chart, codes[500:], rest, _judge(lambda z: z[:, :3], 3), way)[0]
        assert a.leak < 0.08, way


def test_nothing_is_said_where_nothing_can_be_read():
    codes, attributes = linear_world(300, 0)
    chart = Chart.fit(codes, attributes)
    found = measure_trust(np.asarray, chart, codes, attributes, _judge(lambda z: z[:, :3], 3, score=0.1))
    assert all(np.isnan(t.slope) and t.value == 0 and not t.trusted for t in found)
    assert "?" in "\n".join(trust_lines(found))


def test_scores_by_hand():
    number, circle, kind = CURVED[0], CURVED[2], CURVED[3]
    true = np.array([10.0, 20.0, 30.0, np.nan])
    assert np.isclose(score_of(np.array([10.0, 20.0, 20.0, 5.0]), true, number), 1 - 100 / 200)
    assert np.isclose(score_of(np.array([359.0, 1.0]), np.array([1.0, 359.0]), circle), 1 - 8 / 2)
    assert score_of(np.array([0.0, 1, 1]), np.array([0.0, 1, 2]), kind) == 2 / 3
    assert np.isnan(score_of(true, np.full(4, 20.0), number))


@pytest.fixture(scope="module")
def patches():
    """Coloured patches on grey, 300 pictures, with where they are and how bright."""
    rng = np.random.default_rng(0)
    pictures = np.full((300, 32, 32, 3), 120, np.uint8)
    values = np.stack([rng.integers(2, 20, 300), rng.integers(130, 255, 300), rng.integers(0, 2, 300)], axis=1)
    for picture, (x, light, red) in zip(pictures, values):
        picture[10:20, x : x + 10] = (light, 120, 120) if red else (120, light, light)
    table = (
        Attribute("x", low=2.0, high=20.0),
        Attribute("light", low=130.0, high=255.0),
        Attribute("paint", kind="category", choices=("blue", "red")),
    )
    return pictures, Attributes(values.astype(float), table)


def test_the_picture_reader_reads_pictures(patches):
    pictures, attributes = patches
    reader = PictureReader.fit(pictures[:220], attributes.rows(slice(220)))
    read = reader.read(pictures[220:])
    scores = [score_of(*pair, a) for *pair, a in zip(read.T, attributes.values[220:].T, attributes.table)]
    assert scores[0] > 0.95 and scores[1] > 0.9 and scores[2] > 0.95


def test_each_attribute_is_judged_by_what_reads_it_best(patches):
    pictures, attributes = patches
    everything = attributes.with_more(read_pixels(pictures).select(["brightness"]))
    codes = torch.from_numpy(np.stack([attributes.values[:, 0] / 10, attributes.values[:, 2]], axis=1)).float()
    codes = torch.cat([codes, torch.randn(300, 2, generator=torch.Generator().manual_seed(0))], dim=1)
    chart = Chart.fit(codes[:220], everything.rows(slice(220)))

    def encode(frames):  # knows x exactly, light not at all
        return codes[[int(np.flatnonzero((pictures == frame).all(axis=(1, 2, 3)))[0]) for frame in frames]]

    judge = Judge.fit(
        encode,
        chart,
        (pictures[:220], everything.rows(slice(220))),
        (pictures[220:], everything.rows(slice(220, None))),
    )
    assert judge.sources[1] == PICTURE and judge.sources[3] == PIXEL and set(judge.sources) <= {PICTURE, CODE, PIXEL}
    read = judge.read(pictures[220:])
    assert np.allclose(read[:, 3], measure_pixels(pictures[220:])[:, 0])
    assert np.isclose(judge.gain[1], np.polyfit(everything.values[220:, 1], read[:, 1], 1)[0])


def test_the_whole_table_of_a_set(small_set, small_model):
    attributes = attributes_of(small_set).select(["size", "pattern"])
    rows = small_set.split.train
    codes, _ = encode_pictures(small_model, small_set.pictures[rows])
    chart = Chart.fit(codes, attributes.rows(rows), active=np.arange(8))
    table = trust_of(small_model, chart, small_set, attributes)
    assert [t.name for t in table] == ["size", "pattern"] and len(trust_lines(table)) == 3
    assert all(t.judge in (PICTURE, CODE) for t in table)
