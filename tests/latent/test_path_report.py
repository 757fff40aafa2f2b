import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import (
    BROKEN,
    SOUND,
    Path,
    PathContext,
    Support,
    Verdict,
    compare_paths,
    encode_pictures,
    inspect_path,
    picture_change,
    summarise,
)

FRAMES = np.stack([np.full((2, 2, 3), level, np.uint8) for level in (0, 10, 40)])
CODES = torch.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 5.0]])


def test_report_by_hand():
    report = inspect_path(Path(CODES, FRAMES))
    assert np.allclose(report.change, [10, 30]) and report.picture_length == 40 and report.latent_length == 6
    assert report.unevenness == 1.5 and report.support is None and report.verdict is None and report.factors is None
    still = inspect_path(Path(CODES, FRAMES[[0, 0, 0]]))
    assert still.picture_length == 0 and still.unevenness == 1


def test_report_measures_how_far_each_code_lies():
    support = Support(torch.tensor([[0.0, 0.0], [3.0, 9.0]]), torch.zeros(2, 2), torch.tensor([[0.0, 2.0]]))
    measured = inspect_path(Path(CODES, FRAMES), PathContext(support=support)).support
    assert measured.distance.tolist() == [0, 2.5, 2] and measured.nearest.tolist() == [0, 0, 1]


def test_compare_inspects_every_kind(trained, small_set):
    model = trained[1].model.eval()
    mu, logvar = encode_pictures(model, small_set.pictures[small_set.split.train])
    held_out, _ = encode_pictures(model, small_set.pictures[small_set.split.validation])
    summary = summarise(mu, logvar)
    support = Support(mu, logvar, held_out, summary.active, small_set.split.train)
    context = PathContext(summary.active, support, known=mu)
    reports = compare_paths(model, 3 * held_out[0], 3 * held_out[1], 6, context, even=True)
    assert tuple(reports) == context.kinds == ("lerp", "slerp", "geodesic", "known")
    assert reports["geodesic"].picture_length <= reports["lerp"].picture_length
    assert reports["lerp"].latent_length <= min(r.latent_length for r in reports.values()) + 1e-4
    for report in reports.values():
        assert report.unevenness <= 1.1 and np.allclose(report.change, picture_change(report.path.frames))
        assert set(report.support.nearest) <= set(small_set.split.train)


@pytest.mark.parametrize("path", [Path(CODES, FRAMES[:2]), Path(CODES[:1], FRAMES[:1])])
def test_what_is_no_path_gets_a_sentence(path):
    with pytest.raises(InputError, match="cannot be inspected"):
        inspect_path(path)


class _Stub:
    """Says of three frames what it is told."""

    def __init__(self, answer):
        self.answer = answer

    def judge(self, frames):
        return self.answer

    def read(self, codes):
        return self.answer.copy()


def test_no_factor_is_read_off_a_broken_frame():
    verdict = Verdict(np.array([1.0, 20.0, 2.0]), np.array([SOUND, BROKEN, SOUND]))
    factors = np.arange(6.0).reshape(3, 2)
    report = inspect_path(Path(CODES, FRAMES), soundness=_Stub(verdict), reader=_Stub(factors))
    assert report.verdict is verdict
    assert np.isnan(report.factors[1]).all() and np.array_equal(report.factors[[0, 2]], factors[[0, 2]])
    unjudged = inspect_path(Path(CODES, FRAMES), reader=_Stub(factors))
    assert np.array_equal(unjudged.factors, factors) and unjudged.verdict is None
