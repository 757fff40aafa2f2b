import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import (
    KINDS,
    Path,
    Support,
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
    assert report.unevenness == 1.5 and report.ground is None and report.factors is None
    still = inspect_path(Path(CODES, FRAMES[[0, 0, 0]]))
    assert still.picture_length == 0 and still.unevenness == 1


def test_report_measures_the_ground_under_each_frame():
    support = Support(torch.tensor([[0.0, 0.0], [3.0, 9.0]]), torch.zeros(2, 2), torch.tensor([[0.0, 2.0]]))
    ground = inspect_path(Path(CODES, FRAMES), support).ground
    assert ground.distance.tolist() == [0, 2.5, 2] and ground.nearest.tolist() == [0, 0, 1]


def test_compare_inspects_every_kind(trained, small_set):
    model = trained[1].model.eval()
    mu, logvar = encode_pictures(model, small_set.pictures[small_set.split.train])
    held_out, _ = encode_pictures(model, small_set.pictures[small_set.split.validation])
    summary = summarise(mu, logvar)
    support = Support(mu, logvar, held_out, summary.active, small_set.split.train)
    reports = compare_paths(model, 3 * held_out[0], 3 * held_out[1], 6, summary, support, even=True)
    assert tuple(reports) == KINDS
    assert reports["geodesic"].picture_length <= reports["lerp"].picture_length
    assert reports["lerp"].latent_length <= min(r.latent_length for r in reports.values()) + 1e-4
    for report in reports.values():
        assert report.unevenness <= 1.1 and np.allclose(report.change, picture_change(report.path.frames))
        assert set(report.ground.nearest) <= set(small_set.split.train)


@pytest.mark.parametrize("path", [Path(CODES, FRAMES[:2]), Path(CODES[:1], FRAMES[:1])])
def test_what_is_no_path_gets_a_sentence(path):
    with pytest.raises(InputError, match="cannot be inspected"):
        inspect_path(path)
