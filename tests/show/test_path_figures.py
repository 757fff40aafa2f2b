import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from vae_helpers.data import Factor
from vae_helpers.errors import InputError
from vae_helpers.latent import FactorReader, Path, PathContext, Support, inspect_path
from vae_helpers.show import path_figures as inspector

TABLE = (Factor("size", -3.0, 3.0, ""), Factor("kind", 0.0, 1.0, "", ("cat", "fox")))
CODES = torch.stack([torch.linspace(-2, 2, 6), torch.linspace(0, 1, 6)], dim=1)
FRAMES = np.stack([np.full((8, 8, 3), 20 * i * i % 256, np.uint8) for i in range(6)])
TRAINING = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def reports():
    """Two reports of one path of 6 frames, with support and factors, and the reader."""
    rng = np.random.default_rng(0)
    mu = torch.from_numpy(rng.normal(size=(40, 2))).float()
    factors = np.stack([mu[:, 0].numpy().clip(-3, 3), mu[:, 1].numpy() > 0], axis=1).astype(float)
    reader = FactorReader(mu, factors, TABLE, mu, factors)
    support = Support(mu, torch.zeros(40, 2), torch.from_numpy(rng.normal(size=(9, 2))).float())
    report = inspect_path(Path(CODES, FRAMES), PathContext(support=support), reader=reader)
    return {"lerp": report, "slerp": report}, reader


def _texts(axis):
    return [t.get_text() for t in axis.texts]


def test_inspection_shows_frames_meters_and_changes(reports):
    reports, _ = reports
    figure = inspector.show_inspection(reports, title="Two ways")
    assert len(figure.axes) == 2 * 2 + 1 and plt.get_fignums() == []
    frames, meter, *_, changes = figure.axes
    assert np.array_equal(frames.images[3].get_array(), FRAMES[3]) and len(frames.images) == 6
    assert frames.get_ylabel() == "lerp\n476 levels long\n4.1 in z"  # grey 0, 20, 80, 180, 64, 244
    assert _texts(meter) == [f"{d:.2f}" for d in reports["lerp"].support.distance]
    assert np.array_equal(changes.lines[1].get_ydata(), reports["slerp"].change)
    assert figure.axes[-1].get_legend().get_texts()[0].get_text() == "lerp: largest step 1.89 × mean"


def test_a_meter_is_full_at_two_typical_distances(reports):
    report = reports[0]["lerp"]
    report = report._replace(support=report.support._replace(distance=np.array([0, 0.5, 1, 2, 3, 9.0])))
    meter = inspector.show_inspection({"one": report}).axes[1]
    widths = [bar.get_width() for bar in meter.patches[6:]]
    assert np.allclose(widths, 0.84 * np.array([0, 0.25, 0.5, 1, 1, 1]))


def test_nearest_training_pictures_on_demand(reports):
    reports, _ = reports
    figure = inspector.show_inspection(reports, TRAINING)
    assert len(figure.axes) == 2 * 3 + 1
    nearest = reports["lerp"].support.nearest
    assert all(np.array_equal(image.get_array(), TRAINING[i]) for image, i in zip(figure.axes[2].images, nearest))


def test_inspection_without_support_has_no_meter():
    figure = inspector.show_inspection({"plain": inspect_path(Path(CODES, FRAMES))})
    assert len(figure.axes) == 2


def test_factor_curves_carry_their_score(reports):
    reports, reader = reports
    figure = inspector.show_factors(reports, reader, title="Factors")
    drawn = [axis for axis in figure.axes if axis.lines]
    assert len(drawn) == 2
    titles = " ".join(axis.get_title() for axis in drawn)
    assert f"size  (R² {reader.score[0]:.2f})" in titles and "right, by guessing" in titles
    kind = next(axis for axis in drawn if axis.get_title().startswith("kind"))
    assert [t.get_text() for t in kind.get_yticklabels()] == ["cat", "fox"]
    assert np.array_equal(kind.lines[0].get_ydata(), reports["lerp"].factors[:, 1])
    assert len([a for a in inspector.show_factors(reports, reader, best=1).axes if a.lines]) == 1


def test_map_shows_pictures_that_do_not_overlap_and_a_path():
    points = np.random.default_rng(0).normal(size=(40, 2))
    figure = inspector.show_map(points, TRAINING, points[:5], title="Map")
    axis = figure.axes[0]
    figure.draw_without_rendering()
    boxes = [a.get_window_extent() for a in axis.artists if hasattr(a, "offsetbox")]
    assert 3 < len(boxes) < 40
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert _texts(axis) == ["A", "B"] and np.array_equal(axis.lines[-1].get_xydata(), points[:5])
    assert len(axis.collections[0].get_offsets()) == 40


def test_one_picture_makes_a_map():
    assert inspector.show_map(np.zeros((1, 2)), TRAINING[:1]).axes


def test_bad_input_gets_a_sentence(reports):
    reports, reader = reports
    plain = inspect_path(Path(CODES, FRAMES))
    short = inspect_path(Path(CODES[:3], FRAMES[:3]))
    for wrong, word in (
        (lambda: inspector.show_inspection({}), "no path"),
        (lambda: inspector.show_inspection({"a": plain, "b": short}), "3, 6 frames"),
        (lambda: inspector.show_inspection({"a": plain}, TRAINING), "without a Support"),
        (lambda: inspector.show_inspection({str(i): plain for i in range(7)}), "too many"),
        (lambda: inspector.show_factors({"a": plain}, reader), "FactorReader"),
        (lambda: inspector.show_map(np.zeros((3, 2)), TRAINING), "one point"),
    ):
        with pytest.raises(InputError, match=word):
            wrong()
