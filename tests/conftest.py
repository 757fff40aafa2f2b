"""What many tests share: a small drawn set, a run trained on it for seconds, and a folder of their own."""

import numpy as np
import pytest
import torch
from explorers import NAMES, some_model, some_pictures, some_summary
from small import SMALL

from vae_helpers.data import open_pictures
from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run
from vae_helpers.settings import TrainConfig
from vae_helpers.train import fit, remembered, scoring
from vae_helpers.widgets import ExplorerData, LatentExplorer, PairExplorer


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    """Every test runs in an empty folder, so nothing lands in the project or depends on it."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory):
    """120 drawn butterflies of 32 pixels."""
    return open_pictures("butterflies", 32, limit=120, cache_dir=tmp_path_factory.mktemp("cache"), progress=False)


@pytest.fixture
def small_model():
    """An untrained model for 32-pixel pictures, with 8 latents, in eval mode."""
    torch.manual_seed(0)
    return BetaVAE(SMALL).eval()


@pytest.fixture(scope="session")
def trained(small_set, tmp_path_factory):
    """`(run, fit)` of a few seconds' training; not to be changed by a test."""
    run = Run("small", tmp_path_factory.mktemp("VAE"))
    config = TrainConfig.quick(96, epochs=3, batch_size=16, pictures_every=3)
    return run, fit(small_set, run, config, SMALL, device="cpu", progress=False)


@pytest.fixture
def no_sheets(monkeypatch):
    """Nothing is drawn and no thumbnails are written: that takes longer than the runs of these tests."""
    monkeypatch.setattr(scoring, "draw", lambda *_: None)
    monkeypatch.setattr(scoring, "write_projector", lambda *_: None)


@pytest.fixture
def noise_pictures():
    """Twelve uint8 pictures of 32 pixels."""
    return np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pictures():
    """What the explorers' tests show, uint8 (N, 32, 32, 3)."""
    return some_pictures()


@pytest.fixture(scope="module")
def model():
    """The untrained model of the explorers' tests."""
    return some_model()


@pytest.fixture(scope="module")
def summary(model, pictures):
    """What its latents carry over those pictures."""
    return some_summary(model, pictures)


@pytest.fixture
def pair(model, pictures, summary):
    """A pair explorer on them."""
    return PairExplorer(ExplorerData(model, pictures, NAMES, summary), page_size=12)


@pytest.fixture
def latents(model, pictures, summary):
    """A latent explorer on them."""
    return LatentExplorer(ExplorerData(model, pictures, NAMES, summary), sliders=4)


@pytest.fixture(autouse=True)
def own_times(monkeypatch, tmp_path):
    """Times of steps are kept beside the test's other files, not among those of the user's runs."""
    monkeypatch.setattr(remembered, "times_file", lambda: tmp_path / "caches" / "step_times.json")


@pytest.fixture
def say(capsys):
    """Print past pytest's capture: the latencies are to be read, not judged."""

    def out_loud(text):
        with capsys.disabled():
            print(f"\n  {text}", end="")

    return out_loud
