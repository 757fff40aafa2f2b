import sys
import types
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.functional.image import lpips
from torchmetrics.functional.image import structural_similarity_index_measure as ssim

from vae_helpers.errors import InputError
from vae_helpers.scores import Distances, distances, load_inception, load_lpips, lpips_of, ms_ssim_of


def _pictures(n, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


class Table(nn.Module):
    """A stand-in extractor: a picture's first pixel is the number of its feature row."""

    def __init__(self, features):
        super().__init__()
        self.features = torch.as_tensor(features)

    def forward(self, pictures):
        assert pictures.dtype == torch.uint8 and pictures.shape[1] == 3
        return self.features[pictures[:, 0, 0, 0].long()]


def _numbered(numbers):
    pictures = np.zeros((len(numbers), 4, 4, 3), np.uint8)
    pictures[:, 0, 0, 0] = numbers
    return pictures


def _exactly(n, mean, covariance, seed):
    """n rows whose sample mean and covariance are exactly these."""
    rows = np.random.default_rng(seed).normal(size=(n, len(mean)))
    rows -= rows.mean(axis=0)
    rows = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows.T)).T)
    return rows @ np.linalg.cholesky(covariance).T + mean


def test_ms_ssim_is_one_for_equal_pictures_and_small_for_unrelated_ones():
    for size in (32, 64, 100, 128):
        a, b = _pictures(3, size), _pictures(3, size, 1)
        assert np.allclose(ms_ssim_of(a, a), 1, atol=1e-5)
        assert ms_ssim_of(a, b).max() < 0.3 and ms_ssim_of(a, b).shape == (3,)


def test_ms_ssim_by_hand_at_32_pixels():
    """Two scales: contrast at 32 pixels, the whole SSIM at 16, with exponents 0.0448 and 0.2856 over their sum."""
    rng = np.random.default_rng(0)
    a = np.kron(rng.integers(0, 256, (1, 8, 8, 3)), np.ones((1, 4, 4, 1))).astype(np.uint8)
    b = (0.7 * a + 0.3 * rng.integers(0, 256, a.shape)).astype(np.uint8)
    x, y = (torch.from_numpy(p).permute(0, 3, 1, 2) / 255 for p in (a, b))
    _, contrast = ssim(x, y, data_range=1.0, reduction="none", return_contrast_sensitivity=True)
    small = [nn.functional.avg_pool2d(p, 2) for p in (x, y)]
    expected = contrast ** (0.0448 / 0.3304) * ssim(*small, data_range=1.0, reduction="none") ** (0.2856 / 0.3304)
    assert 0.3 < ms_ssim_of(a, b)[0] < 0.95
    assert ms_ssim_of(a, b)[0] == pytest.approx(expected.item(), abs=1e-5)


def test_ms_ssim_does_not_depend_on_company():
    a, b = _pictures(70, 32), _pictures(70, 32, 1)
    b[::2] = a[::2] // 2
    assert np.allclose(ms_ssim_of(a, b)[65:], ms_ssim_of(a[65:], b[65:]), atol=1e-6)


@pytest.mark.parametrize("score", [ms_ssim_of, lpips_of])
@pytest.mark.parametrize(
    "a, b", [((1, 16, 16, 3), (1, 16, 16, 3)), ((1, 64, 64, 3), (2, 64, 64, 3)), ((0, 64, 64, 3), (0, 64, 64, 3))]
)
def test_pictures_that_cannot_be_compared_get_a_sentence(score, a, b):
    with pytest.raises(InputError, match="at least 32 pixels"):
        score(np.zeros(a, np.uint8), np.zeros(b, np.uint8))


def test_fid_of_a_set_with_itself_is_nothing():
    rows = np.random.default_rng(0).normal(size=(50, 6))
    same = distances(_numbered(range(50)), _numbered(range(50)), Table(rows))
    assert abs(same.fid) < 1e-6 and (same.decoded, same.originals) == (50, 50)
    assert same.kid_spread == 0  # one subset holds everything


def test_fid_of_two_gaussians_is_the_closed_form():
    mean, shift = np.zeros(3), np.array([1.0, 2.0, -2.0])  # |shift|² = 9
    rows = np.concatenate(
        [_exactly(80, mean, np.diag([1.0, 4.0, 9.0]), 0), _exactly(120, shift, np.diag([4.0, 4.0, 1.0]), 1)]
    )
    found = distances(_numbered(range(80)), _numbered(range(80, 200)), Table(rows))
    assert found.fid == pytest.approx(
        9 + (2 - 1) ** 2 + 0 + (1 - 3) ** 2, rel=1e-4
    )  # covariances commute: Σ (σ_a - σ_b)²
    turned = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])  # these do not: tr(A + B - 2 √(AB))
    rows[80:] = _exactly(120, mean, turned, 2)
    root = np.sqrt(np.linalg.eigvals(np.diag([1.0, 4.0, 9.0]) @ turned)).real.sum()
    assert distances(_numbered(range(80)), _numbered(range(80, 200)), Table(rows)).fid == pytest.approx(
        14 + 5 - 2 * root, rel=1e-4
    )


def test_kid_is_the_unbiased_cubic_mmd():
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(30, 4)), rng.normal(1, 1, size=(30, 4))])
    a, b = rows[:30], rows[30:]

    def kernel(x, y):
        return (x @ y.T / 4 + 1) ** 3  # Bińkowski et al. 2018, eq. 3 and sec. 3.2

    within = [(kernel(x, x).sum() - np.trace(kernel(x, x))) / (30 * 29) for x in (a, b)]
    found = distances(_numbered(range(30)), _numbered(range(30, 60)), Table(rows))
    assert found.kid == pytest.approx(sum(within) - 2 * kernel(a, b).mean(), rel=1e-6)
    # Halves of one distribution are nearer, and the estimate is not pushed away from 0.
    alike = [
        distances(
            _numbered(range(100)), _numbered(range(100, 200)), Table(np.random.default_rng(s).normal(size=(200, 4)))
        ).kid
        for s in range(12)
    ]
    assert abs(np.mean(alike)) < 0.05 < found.kid and min(alike) < 0


def test_kid_of_uneven_sets_takes_seeded_subsets():
    rows = Table(np.random.default_rng(0).normal(size=(90, 4)))
    state = torch.get_rng_state()
    one, again, other = (distances(_numbered(range(30)), _numbered(range(30, 90)), rows, seed) for seed in (0, 0, 1))
    assert one == again and one.kid != other.kid and one.kid_spread > 0 and one.fid == other.fid
    assert torch.equal(torch.get_rng_state(), state)  # a score costs the session no dice


def test_few_pictures_are_told_to_quote_kid():
    assert Distances(1, 1, 0, 300, 20_000).remark == "n = 300: quote KID, because FID is biased below 10,000 pictures"
    assert Distances(1, 1, 0, 10_000, 20_000).remark == "n = 10,000"


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 8, 8, 3), np.uint8), np.zeros((4, 8, 8, 3), np.float32), np.zeros((4, 8), np.uint8)]
)
def test_sets_that_have_no_distance_get_a_sentence(bad):
    with pytest.raises(InputError, match="two sets of at least 2"):
        distances(bad, _numbered(range(4)), Table(np.zeros((4, 2))))


def test_lpips_is_taken_per_picture_and_by_torchmetrics():
    torch.manual_seed(0)
    network = lpips._LPIPS(pretrained=False, net="squeeze", pnet_rand=True)  # LPIPS' arithmetic on random weights
    for layer in network.lins:
        for weight in layer.parameters():
            weight.abs_()
    a, b = _pictures(3, 64), _pictures(3, 64, 1)
    b[1] = a[1]
    found = lpips_of(a, b, network)
    assert found.shape == (3,) and found[1] == 0 and min(found[0], found[2]) > 0
    assert lpips_of(a[:1], b[:1], network)[0] == pytest.approx(found[0], rel=1e-4)


def test_weights_that_cannot_be_fetched_get_a_sentence(monkeypatch, capsys):
    def unreachable(*arguments, **settings):
        print("Downloading")
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", unreachable)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", unreachable)
    with pytest.raises(InputError, match=r"LPIPS .* AlexNet's weights could not be fetched \(Name or service not"):
        load_lpips()
    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", unreachable)
    with pytest.raises(InputError, match="Inception's weights could not be fetched"):
        distances(_pictures(2, 32), _pictures(2, 32))
    out, err = capsys.readouterr()
    assert not out and "Downloading" in err  # a table that is piped on stays a table


def test_no_memory_for_a_network_is_not_called_a_missing_download(monkeypatch):
    def full(*_, **__):
        raise RuntimeError("CUDA out of memory.")

    monkeypatch.setattr("torchmetrics.image.lpip.LearnedPerceptualImagePatchSimilarity", full)
    with pytest.raises(InputError, match="^LPIPS needs more memory than there is"):
        load_lpips()
    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", lambda **_: nn.Identity())
    monkeypatch.setattr(nn.Identity, "to", full)
    with pytest.raises(InputError, match="^Inception, .* needs more memory than there is"):
        load_inception("cuda")


@pytest.mark.parametrize(
    "problem, words",
    [
        (MemoryError(), "FID and KID needs more memory than there is"),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
            "needs more memory",
        ),
        (
            OSError(28, "No space left on device", "/here/x.pth"),
            "could not be kept: /here/x.pth cannot be used, because the disk is full",
        ),
        (RuntimeError("invalid hash value"), "could not be loaded .invalid hash value.*delete"),
    ],
)
def test_only_a_network_that_fails_is_called_one(monkeypatch, problem, words):
    def fails(*_, **__):
        raise problem

    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", fails)
    with pytest.raises(InputError, match=words) as said:
        load_inception()
    assert "internet" not in str(said.value)


def test_nothing_is_fetched_unasked(monkeypatch, tmp_path):
    module = types.ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.URL_INCEPTION_V3 = "https://x/releases/weights.pth"
    monkeypatch.setitem(sys.modules, "torch_fidelity", types.ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchmetrics.image.fid.NoTrainInceptionV3", lambda **_: nn.Identity())
    for load, score in ((load_inception, "FID and KID"), (load_lpips, "LPIPS")):
        with pytest.raises(InputError, match=f"{score} cannot be .* unasked: allow it with `fetch=True`"):
            load(fetch=False)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "weights.pth").touch()
    assert isinstance(load_inception(fetch=False), nn.Identity)  # what is here already is used


def test_a_missing_package_gets_a_sentence(monkeypatch):
    from torchmetrics.image import fid

    monkeypatch.setattr(fid, "_TORCH_FIDELITY_AVAILABLE", False)
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(InputError, match="`pip install torch-fidelity`"):
        load_inception()
