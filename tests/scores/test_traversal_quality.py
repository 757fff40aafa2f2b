import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_helpers.data import attributes_of
from vae_helpers.latent import Chart, decode_codes, encode_pictures
from vae_helpers.runs import Run
from vae_helpers.scores import BestPictures, ScoreOptions, evaluate_run, frames_by_kind, score_table, traversal_quality

KINDS = ("reconstructions", "straight middles", "known middles", "chart middles")
KINDS += ("prior samples", "fitted samples", "chart samples")
FEW = ScoreOptions(pictures=8, likelihood=2, samples=2, codes=60, frames=3, networks=False)


@pytest.fixture
def frames_seen(monkeypatch):
    """The frames whose drawability was asked; each is answered by its mean grey level, so that nothing is searched."""
    seen = []

    def answer(frames, set_name, progress):
        seen.append((frames, set_name))
        return BestPictures(frames.mean(axis=(1, 2, 3)), np.zeros((len(frames), 14)))

    # By its module: the package shows the function of that name.
    monkeypatch.setattr(sys.modules["vae_helpers.scores.traversal_quality"], "drawability", answer)
    return seen


@pytest.fixture(scope="module")
def charted(trained, small_set):
    """`(model, (mu, logvar) of held-out pictures, chart)` of the small run."""
    model, rows = trained[1].model, small_set.split.train
    codes, _ = encode_pictures(model, small_set.pictures[rows])
    chart = Chart.fit(codes, attributes_of(small_set).rows(rows))
    return model, encode_pictures(model, small_set.pictures[small_set.split.validation]), chart


def test_every_kind_is_compared_with_reconstructions(frames_seen, charted, small_set):
    model, codes, chart = charted
    frames = frames_by_kind(model, small_set, codes, chart, n=3)
    assert tuple(frames) == KINDS and all(part.shape == (3, 32, 32, 3) for part in frames.values())
    found = traversal_quality(frames, "butterflies")
    assert frames_seen[0][1] == "butterflies" and len(frames_seen[0][0]) == 21 and tuple(found) == KINDS
    grey = {kind: part.mean(axis=(1, 2, 3)) for kind, part in frames.items()}
    least = np.median(grey["reconstructions"]) - 3
    for kind, values in grey.items():
        assert found[kind] == {"median": np.median(values), "share": (values >= least).mean(), "frames": 3}


def test_middles_lie_half_way_between_the_same_pairs(charted, small_set):
    model, (mu, logvar), chart = charted
    two = mu[:2], logvar[:2]  # of two codes there is one pair
    frames = frames_by_kind(model, small_set, two, chart, n=2)
    assert np.array_equal(frames["straight middles"], decode_codes(model, mu[:2].mean(dim=0).repeat(2, 1)))
    both_ways = decode_codes(model, torch.stack([chart.path(mu[i], mu[1 - i], 3)[1] for i in (0, 1)]))
    for frame in frames["chart middles"].astype(int):  # a category switches half-way, so the direction may matter
        assert min(np.abs(frame - half).max() for half in both_ways) <= 1
    again = frames_by_kind(model, small_set, two, chart, n=2)
    assert all(np.array_equal(part, again[kind]) for kind, part in frames.items())  # seeded


def test_without_a_chart_its_kinds_are_left_out(charted, small_set):
    model, codes, _ = charted
    found = frames_by_kind(model, small_set, codes, None, n=2)
    assert list(found) == [kind for kind in KINDS if "chart" not in kind]


def test_evaluate_prints_and_keeps_both(frames_seen, trained, small_set, tmp_path):
    model, run = trained[1].model, Run("own", tmp_path)
    found = evaluate_run(model, small_set, {"beta": 1.0}, FEW, run)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert tuple(found["traversal"]) == KINDS and (run.models / "chart.npz").is_file()
    assert len(found["trust"]) == 14 and {"name", "readout", "slope", "leak", "judge", "value"} == set(
        found["trust"][0]
    )
    text = score_table(found)
    assert all(kind in text for kind in KINDS) and "within 3 dB" in text and "n = 3" in text
    assert "read-out" in text and "rotation" in text and "nan" not in text
    photos = replace(small_set, factors=None, factor_table=None, source="/photos", labels=("",) * len(small_set))
    found = evaluate_run(model, photos, {"beta": 1.0}, FEW)
    assert "is drawn is not known" in found["traversal"]["absent"]
    assert {"brightness", "warmth"} <= {each["name"] for each in found["trust"]}  # of its pixels
    assert not frames_seen[1:]
