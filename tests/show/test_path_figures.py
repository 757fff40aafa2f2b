import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from vae_helpers.data import Factor
from vae_helpers.errors import InputError
from vae_helpers.latent import BROKEN, DOUBTFUL, SOUND, FactorReader, Path, PathContext, Support, Verdict, inspect_path
from vae_helpers.show import show_factors, show_inspection, show_map, show_samples, style

TABLE = (Factor("size", -3.0, 3.0, ""), Factor("kind", 0.0, 1.0, "", ("cat", "fox")))
CODES = torch.stack([torch.linspace(-2, 2, 6), torch.linspace(0, 1, 6)], dim=1)
FRAMES = np.stack([np.full((8, 8, 3), 20 * i * i % 256, np.uint8) for i in range(6)])
VERDICT = Verdict(np.array([1.0, 0.5, 1.84, 7.31, 40, 1.2]), np.array([SOUND, SOUND, DOUBTFUL, BROKEN, BROKEN, SOUND]))
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


def test_inspection_shows_frames_distances_and_changes(reports):
    reports, _ = reports
    figure = show_inspection(reports, title="Two ways")
    assert len(figure.axes) == 2 * 2 + 1 and plt.get_fignums() == []
    frames, distances, *_, changes = figure.axes
    assert np.array_equal(frames.images[3].get_array(), FRAMES[3]) and len(frames.images) == 6
    assert frames.get_ylabel() == "lerp\n476 levels long\n4.1 in z"  # grey 0, 20, 80, 180, 64, 244
    assert _texts(distances) == [f"{d:.2f}" for d in reports["lerp"].support.distance]
    assert np.array_equal(changes.lines[1].get_ydata(), reports["slerp"].change)
    assert figure.axes[-1].get_legend().get_texts()[0].get_text() == "lerp: largest step 1.89 × mean"


def test_the_verdict_under_a_frame_has_its_colour_and_number(reports):
    report = reports[0]["lerp"]._replace(support=None, verdict=VERDICT)
    axes = show_inspection({"one": report}).axes
    assert len(axes) == 3 and axes[1].get_ylabel() == "re-encode error"
    assert _texts(axes[1]) == ["1.0", "0.5", "1.8 ?", "7.3 ✕", "40.0 ✕", "1.2"]
    colours = [to_hex(bar.get_facecolor()) for bar in axes[1].patches]
    assert colours == [style.GOOD, style.GOOD, style.FAIR, style.BAD, style.BAD, style.GOOD]


def test_verdict_and_distance_stand_under_each_other(reports):
    report = reports[0]["lerp"]._replace(verdict=VERDICT)
    labels = [axis.get_ylabel() for axis in show_inspection({"one": report}, TRAINING).axes]
    assert labels[1:-1] == ["re-encode error", "distance", "nearest in\ntraining set"]


def test_nearest_training_pictures_on_demand(reports):
    reports, _ = reports
    figure = show_inspection(reports, TRAINING)
    assert len(figure.axes) == 2 * 3 + 1
    nearest = reports["lerp"].support.nearest
    assert all(np.array_equal(image.get_array(), TRAINING[i]) for image, i in zip(figure.axes[2].images, nearest))


def test_inspection_without_support_and_verdict_has_frames_and_changes():
    figure = show_inspection({"plain": inspect_path(Path(CODES, FRAMES))})
    assert len(figure.axes) == 2


def test_factor_curves_carry_their_score(reports):
    reports, reader = reports
    figure = show_factors(reports, reader, title="Factors")
    drawn = [axis for axis in figure.axes if axis.lines]
    assert len(drawn) == 2
    titles = " ".join(axis.get_title() for axis in drawn)
    assert f"size  (R² {reader.score[0]:.2f})" in titles and "right, by guessing" in titles
    kind = next(axis for axis in drawn if axis.get_title().startswith("kind"))
    assert [t.get_text() for t in kind.get_yticklabels()] == ["cat", "fox"]
    assert np.array_equal(kind.lines[0].get_ydata(), reports["lerp"].factors[:, 1])
    assert len([a for a in show_factors(reports, reader, best=1).axes if a.lines]) == 1


def test_a_broken_frame_leaves_a_gap_in_the_factors(reports):
    reports, reader = reports
    factors = reports["lerp"].factors.copy()
    factors[[2, 3]] = np.nan
    figure = show_factors({"one": reports["lerp"]._replace(factors=factors)}, reader)
    for axis in (axis for axis in figure.axes if axis.lines):
        assert np.isnan(axis.lines[0].get_ydata()).tolist() == [False, False, True, True, False, False]
        assert np.allclose(axis.collections[0].get_offsets()[:, 0], [0.4, 0.6])  # the crosses


def test_map_shows_pictures_that_do_not_overlap_and_a_path():
    points = np.random.default_rng(0).normal(size=(40, 2))
    figure = show_map(points, TRAINING, points[:5], title="Map")
    axis = figure.axes[0]
    figure.draw_without_rendering()
    boxes = [a.get_window_extent() for a in axis.artists if hasattr(a, "offsetbox")]
    assert 3 < len(boxes) < 40
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert _texts(axis) == ["A", "B"] and np.array_equal(axis.lines[-1].get_xydata(), points[:5])
    assert len(axis.collections[0].get_offsets()) == 40


def test_one_picture_makes_a_map():
    assert show_map(np.zeros((1, 2)), TRAINING[:1]).axes


def test_bad_input_gets_a_sentence(reports):
    reports, reader = reports
    plain = inspect_path(Path(CODES, FRAMES))
    short = inspect_path(Path(CODES[:3], FRAMES[:3]))
    for wrong, word in (
        (lambda: show_inspection({}), "no path"),
        (lambda: show_inspection({"a": plain, "b": short}), "3, 6 frames"),
        (lambda: show_inspection({"a": plain}, TRAINING), "without a Support"),
        (lambda: show_inspection({str(i): plain for i in range(7)}), "too many"),
        (lambda: show_factors({"a": plain}, reader), "FactorReader"),
        (lambda: show_map(np.zeros((3, 2)), TRAINING), "one point"),
    ):
        with pytest.raises(InputError, match=word):
            wrong()


class _Judge:
    """Finds every frame as bad as its first pixel says."""

    def judge(self, frames):
        level = frames[:, 0, 0, 0].astype(int)
        return Verdict(level + 0.5, level)


def test_samples_stand_in_rows_with_their_verdicts_and_shares():
    some = {"prior": np.zeros((5, 8, 8, 3), np.uint8), "fitted": np.zeros((5, 8, 8, 3), np.uint8)}
    some["prior"][[1, 4], 0, 0, 0] = BROKEN
    some["prior"][2, 0, 0, 0] = DOUBTFUL
    axes = show_samples(some, _Judge(), shown=3).axes
    assert len(axes) == 4 and all(len(axis.images) == 3 for axis in axes[::2])
    assert [axis.get_ylabel() for axis in axes[::2]] == [
        "prior\n60% of 5\npass the check",
        "fitted\n100% of 5\npass the check",
    ]
    assert _texts(axes[1]) == ["0.5", "2.5 ✕", "1.5 ?"]
    assert [axis.get_ylabel() for axis in show_samples(some).axes] == ["prior", "fitted"]


@pytest.mark.parametrize("nothing", [{}, {"prior": np.zeros((0, 8, 8, 3), np.uint8)}])
def test_no_samples_are_refused(nothing):
    with pytest.raises(InputError, match="there are no samples to show: give at least one picture"):
        show_samples(nothing)
