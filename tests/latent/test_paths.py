import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_helpers.data import attributes_of
from vae_helpers.errors import InputError
from vae_helpers.latent import (
    BROKEN,
    DOUBTFUL,
    KINDS,
    SOUND,
    Chart,
    PathContext,
    Soundness,
    Support,
    Verdict,
    chain,
    decode_codes,
    encode_pictures,
    four_corners,
    frozen_decoder,
    known_curve,
    lerp,
    pick_pairs,
    picture_change,
    picture_length,
    reconstruct,
    refine,
    slerp,
    walk,
)
from vae_helpers.latent.paths import _shares


@pytest.fixture
def model(trained):
    """A model with a little training behind it, so that its pictures depend on the code."""
    return trained[1].model.eval()


@pytest.fixture
def held_out(small_set):
    """Held-out pictures."""
    return small_set.pictures[small_set.split.validation]


@pytest.fixture
def codes(model, held_out):
    """Their codes, made longer so that paths between them are long as well."""
    return 3 * encode_pictures(model, held_out)[0]


@pytest.fixture(scope="module")
def context(trained, small_set):
    """All that paths may use, from the training pictures of that model."""
    rows = small_set.split.train
    mu, _ = encode_pictures(trained[1].model.eval(), small_set.pictures[rows])
    attributes = attributes_of(small_set).rows(rows)
    numbers = attributes.select([a.name for a in attributes.table if not a.choices])  # a category switches in one step
    return PathContext(known=mu, chart=Chart.fit(mu, numbers))


def test_change_and_length_by_hand():
    frames = np.stack([np.full((2, 2, 3), level, np.uint8) for level in (0, 3, 7, 255)])
    frames[0, 0, 0] = (3, 3, 3)  # one of four pixels does not change at the first step
    assert np.allclose(picture_change(frames), [np.sqrt(0.75 * 9), 4, 248])
    assert np.isclose(picture_length(frames), np.sqrt(6.75) + 252)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_ends_of_every_kind_equal_the_reconstructions_bit_for_bit(model, held_out, context, kind, even):
    mu, _ = encode_pictures(model, held_out)
    path = walk(model, mu[0], mu[1], 7, kind, context, even)
    assert path.frames.shape == (7, 32, 32, 3) and path.codes.shape == (7, 8)
    assert np.array_equal(path.frames[[0, -1]], reconstruct(model, held_out)[:2])
    assert torch.equal(path.codes[[0, -1]], mu[:2])
    assert np.array_equal(path.frames, decode_codes(model, path.codes))


def test_the_codes_of_a_walk_are_those_of_its_curve(model, codes, context):
    a, b = codes[:2]
    context = replace(context, active=np.array([5, 1, 2]))
    assert torch.equal(walk(model, a, b, 5).codes, lerp(a, b, 5))
    assert torch.equal(walk(model, a, b, 5, "slerp", context).codes, slerp(a, b, 5, context.active))
    t = torch.linspace(0, 1, 5)
    expected = known_curve(context.known, a, b, context.active)(t)
    assert torch.equal(walk(model, a, b, 5, "known", context).codes, expected)
    assert torch.equal(walk(model, a, b, 5, "chart", context).codes, context.chart.path(a, b, 5))


def test_a_context_offers_what_it_can_draw(context):
    plain, known, chart = PathContext(), PathContext(known=context.known), PathContext(chart=context.chart)
    assert plain.kinds == ("lerp", "slerp", "geodesic") and plain.default_kind == "lerp"
    assert known.kinds == (*plain.kinds, "known") and known.default_kind == "known"
    assert chart.kinds == (*plain.kinds, "chart") and chart.default_kind == "chart"
    assert context.kinds == KINDS and context.default_kind == "chart"


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("steps", [2, 3, 12])
def test_a_geodesic_is_never_longer_than_the_straight_path(model, codes, steps, even):
    for a, b in zip(codes[:3], codes[3:6]):
        straight, shortest = (walk(model, a, b, steps, kind, even=even) for kind in ("lerp", "geodesic"))
        assert picture_length(shortest.frames) <= picture_length(straight.frames)


def test_looking_twice_walks_the_same_geodesic(model, codes):
    first, second = (walk(model, codes[0], codes[1], 6, "geodesic") for _ in range(2))
    assert torch.equal(first.codes, second.codes) and np.array_equal(first.frames, second.frames)


@pytest.mark.parametrize("kind", KINDS)
def test_even_steps_change_the_picture_evenly(model, codes, context, kind):
    for a, b in [(codes[i], scale * codes[i + 1]) for i in range(4) for scale in (1, 2, 4)]:
        change = picture_change(walk(model, a, b, 12, kind, context, even=True).frames)
        assert change.max() <= 1.1 * change.mean()
    plain = picture_change(walk(model, codes[1], 4 * codes[2], 12).frames)
    assert plain.max() > 1.1 * plain.mean()  # there was something to do


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_from_a_picture_to_itself_stands_still(model, codes, context, kind):
    path = walk(model, codes[0], codes[0], 5, kind, context, even=True)
    assert picture_change(path.frames).max() < 0.01 and torch.allclose(path.codes, codes[:1].expand(5, -1), atol=1e-5)


def test_a_chain_passes_through_every_stop(model, codes):
    path = chain(model, codes[:4], steps=5, kind="slerp")
    assert len(path.frames) == len(path.codes) == 3 * 4 + 1
    assert np.array_equal(path.frames[::4], decode_codes(model, codes[:4]))
    loop = chain(model, codes[:4], steps=5, closed=True)
    assert len(loop.frames) == 4 * 4 and np.array_equal(loop.frames[::4], decode_codes(model, codes[:4]))
    assert torch.allclose(loop.codes[14], (codes[3] + codes[0]) / 2, atol=1e-6)  # on the way back to the first


def test_an_even_chain_gives_a_longer_leg_more_frames_and_keeps_its_stops(model, codes):
    stops = torch.stack([codes[0], lerp(codes[0], codes[1], 5)[1], codes[1]])
    path = chain(model, stops, steps=9, even=True)
    assert len(path.frames) == 17 and torch.equal(path.codes[[0, -1]], stops[[0, -1]])
    at = int((path.codes - stops[1]).norm(dim=1).argmin())
    legs = [picture_change(decode_codes(model, lerp(*ends, 65))).sum() for ends in zip(stops, stops[1:])]
    assert min(legs) < 0.8 * max(legs)
    assert torch.equal(path.codes[at], stops[1]) and abs(at - 16 * legs[0] / sum(legs)) <= 1.5
    change = picture_change(path.frames)
    assert change.max() < 1.4 * change.mean()


def test_shares_add_up_and_follow_the_lengths():
    assert _shares([1, 1, 2], 15) == [4, 4, 7]
    assert _shares([0, 0], 10) == [5, 5]
    assert sum(_shares([3.7, 0.01, 100, 8], 40)) == 40 and min(_shares([3.7, 0, 100, 8], 40)) == 1


@pytest.mark.parametrize("kind", ["lerp", "slerp", "known", "chart"])
def test_grid_between_four_corners(model, codes, context, kind):
    grid = four_corners(model, codes[:4], rows=3, columns=5, kind=kind, context=context)
    assert grid.frames.shape == (3, 5, 32, 32, 3) and grid.codes.shape == (3, 5, 8)
    corners = grid.frames[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.array_equal(corners, decode_codes(model, codes[:4]))
    if kind == "lerp":
        assert torch.allclose(grid.codes[1, 2], codes[:4].mean(dim=0), atol=1e-5)


def test_a_frozen_decoder_draws_the_same_and_leaves_the_model_alone(model, codes):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    decoder = frozen_decoder(model)
    assert np.array_equal(decode_codes(decoder, codes[:3]), decode_codes(model, codes[:3]))
    walk(model, codes[0], codes[1], 4, "geodesic")
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert {p.data_ptr() for p in model.decoder.linear.parameters()} == {
        decoder.linear.weight.data_ptr(),
        decoder.linear.bias.data_ptr(),
    }  # shared


def test_geodesics_work_in_inference_mode_as_an_explorer_needs(model, codes):
    outside = walk(model, codes[0], codes[1], 5, "geodesic")
    with torch.inference_mode():
        inside = walk(model, codes[0].clone(), codes[1].clone(), 5, "geodesic")
    assert np.array_equal(inside.frames, outside.frames)


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda m, c: walk(m, c[0], c[1], 1), "at least 2"),
        (lambda m, c: walk(m, c[0], c[1], kind="fly"), "lerp, slerp, geodesic"),
        (lambda m, c: walk(m, c[0], c[1], kind="known"), "training pictures' codes.*one of lerp, slerp, geodesic"),
        (lambda m, c: walk(m, c[0], c[1], kind="chart", context=PathContext(known=c)), "chart.*geodesic, known"),
        (lambda m, c: four_corners(m, c[:4], kind="chart"), "one of lerp, slerp\\."),
        (lambda m, c: four_corners(m, c[:4], columns=1), "at least 2"),
        (lambda m, c: walk(m, c[0], c[1, :3]), "same model"),
        (lambda m, c: walk(m, c[0, :3], c[1, :3]), r"shape \(N, 8\)"),
        (lambda m, c: chain(m, c[:1]), "at least 2 codes"),
        (lambda m, c: chain(m, c, steps=1), "at least 2"),
        (lambda m, c: four_corners(m, c[:3]), "4 codes"),
        (lambda m, c: four_corners(m, c[:4], kind="geodesic"), "lerp, slerp"),
        (lambda m, c: decode_codes(m, c[:0]), "N at least 1"),
    ],
)
def test_bad_input_gets_a_sentence(model, codes, wrong, word):
    with pytest.raises(InputError, match=word):
        wrong(model, codes)


def test_a_geodesic_with_support_stays_near_it_and_still_is_not_longer(model, codes):
    """Known ground is a narrow lane along the straight line; left alone the geodesic strays from it."""
    free = [walk(model, a, b, 12, "geodesic") for a, b in zip(codes[:4], codes[4:8])]
    strays = [(path.codes - lerp(*path.codes[[0, -1]], 12)).norm(dim=1).max().item() for path in free]
    path = free[int(np.argmax(strays))]
    a, b = path.codes[[0, -1]]
    lane = lerp(a, b, 2000)
    sideways = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))
    beside = lane[::100] + max(strays) / 5 * sideways / sideways.norm(dim=1)[:, None]
    support = Support(lane, torch.zeros_like(lane), beside)
    kept = walk(model, a, b, 12, "geodesic", PathContext(support=support))
    assert support.measure(path.codes).distance.max() > 2 > 1.5 > support.measure(kept.codes).distance.max() > 0.2
    assert picture_length(kept.frames) <= picture_length(walk(model, a, b, 12).frames)


def test_a_detour_instead_of_a_geodesic_is_not_taken(model, codes, monkeypatch):
    detour = lambda decoder, a, b, *_: lambda t: lerp(a, b, t) + 8 * (t * (1 - t))[:, None]  # noqa: E731
    monkeypatch.setattr("vae_helpers.latent.path_kinds.geodesic_curve", detour)
    a, b = codes[:2]
    assert torch.equal(walk(model, a, b, 9, "geodesic").codes, lerp(a, b, 9))


def test_a_chain_of_geodesics_is_not_longer_than_one_of_straight_lines(model, codes):
    chains = {kind: chain(model, codes[[0, 1, 2, 0]], steps=6, kind=kind) for kind in ("lerp", "geodesic")}
    assert np.array_equal(chains["geodesic"].frames[::5], decode_codes(model, codes[[0, 1, 2, 0]]))
    assert picture_length(chains["geodesic"].frames) <= picture_length(chains["lerp"].frames)


class _Judge(Soundness):
    """Gives the frames in `refused` that level and all others `level`; no model is asked."""

    def __init__(self, level=SOUND, refused=(), refused_level=BROKEN):
        self.level, self.refused, self.refused_level, self.asked = level, refused, refused_level, 0

    def judge(self, frames):
        self.asked += len(frames)
        bad = [any(np.array_equal(frame, other) for other in self.refused) for frame in frames]
        return Verdict(np.ones(len(frames)), np.where(bad, self.refused_level, self.level))


def _middles(model, mu, pairs):
    return [decode_codes(model, lerp(mu[a], mu[b], 3)[1:2])[0] for a, b in pairs]


def test_pairs_with_a_sound_middle_are_preferred(model, held_out):
    mu, _ = encode_pictures(model, held_out)
    plain = pick_pairs(model, held_out, 2)
    assert np.array_equal(pick_pairs(model, held_out, 2, _Judge()), plain)
    refused = _middles(model, mu, plain)
    pairs = pick_pairs(model, held_out, 2, _Judge(refused=refused))
    assert len(set(pairs.ravel())) == 4 and not {*map(tuple, plain)} & {*map(tuple, pairs)}


def test_where_no_middle_is_sound_the_doubtful_come_first_and_the_search_ends(model, held_out):
    mu, _ = encode_pictures(model, held_out)
    plain = pick_pairs(model, held_out, 1)
    far = torch.cdist(mu, mu).triu().flatten().argsort(descending=True)[5].item()
    pair = divmod(far, len(mu))
    doubtful = _Judge(BROKEN, _middles(model, mu, [pair]), DOUBTFUL)
    assert tuple(pick_pairs(model, held_out, 1, doubtful)[0]) == pair
    judge = _Judge(BROKEN)
    assert np.array_equal(pick_pairs(model, held_out, 1, judge), plain) and judge.asked <= 16
    everything = pick_pairs(model, held_out, 99, judge)
    assert len(set(everything.ravel())) == 2 * len(everything) == len(held_out) // 2 * 2


def test_equal_pictures_make_a_pair_but_none_with_itself(model, held_out):
    assert pick_pairs(model, held_out[[0, 0]], 1).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "search",
    [
        lambda model, z, context: walk(model, z[0], z[1], 4, "geodesic", context),
        lambda model, z, context: chain(model, z[:3], 4, context=context, even=True),
        lambda model, z, context: four_corners(model, z[:4], 3, 3, context=context),
        lambda model, z, context: refine(model, np.zeros((32, 32, 3), np.uint8), 5, watch=context.watch),
    ],
)
def test_what_watches_is_called_before_every_pass_and_may_end_the_search(small_model, search):
    passes, codes = [], torch.randn(4, 8, generator=torch.Generator().manual_seed(0))

    def watch():
        passes.append(1)
        if len(passes) > 1:
            raise KeyError

    with contextlib.suppress(KeyError):  # a grid of nine is one pass
        search(small_model, codes, PathContext(watch=watch))
    assert 1 <= len(passes) <= 2
