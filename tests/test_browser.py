"""Notebook 04 as a visitor meets it: opened in a browser, run, and its explorers moved by keyboard."""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from browser import ROOT, Notebook, browser, chromium, server, spread
from PIL import Image

from vae_helpers.data import open_pictures, render, sample_factors
from vae_helpers.model import VAEConfig
from vae_helpers.runs import Run
from vae_helpers.settings import TrainConfig
from vae_helpers.train import fit

pytest.importorskip("playwright", reason="the browser tests need the package playwright")
CHROMIUM = chromium()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install chromium, or playwright install chromium"
)

# A cell below the explorers that trains the very model they were given: a moment the first time, long the second.
TRAINING = """import time, torch
ends, again = time.monotonic() + (30 if "again" in globals() else 0), True
model.train()
while time.monotonic() < ends:
    model(torch.rand(2, 3, 128, 128), torch.randn(1, 2, 64))[0].square().sum().backward()"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the notebook and a run of the real size (128 pixels), trained for a moment."""
    root = tmp_path_factory.mktemp("browser")
    cache = root / "work" / "data" / "cache"  # where the notebook will look for it
    pictures = open_pictures("butterflies", 128, limit=160, cache_dir=cache, progress=False)
    fit(
        pictures,
        Run("small", root / "VAE"),
        TrainConfig.quick(128, epochs=1, batch_size=16, pictures_every=2),
        VAEConfig(latent_dim=64),
        device="cpu",
        progress=False,
    )
    notebook = nbformat.read(ROOT / "notebooks" / "04_traverse.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(TRAINING))
    nbformat.write(notebook, root / "work" / "04_traverse.ipynb")
    return root


@pytest.fixture(scope="module")
def shots():
    """Where the screenshots stay: in $VAE_SCREENSHOTS, or a new folder."""
    folder = Path(os.environ.get("VAE_SCREENSHOTS") or tempfile.mkdtemp(prefix="vae-browser-"))
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    print(f"\nscreenshots: {folder}")


@pytest.fixture
def say(capsys):
    """Print past pytest's capture: the latencies are to be read, not judged."""

    def out_loud(text):
        with capsys.disabled():
            print(f"\n  {text}", end="")

    return out_loud


def pick_by_keyboard(notebook, thumbnail):
    """Tab to a thumbnail and press Enter."""
    notebook.page.locator(".vae-pair button.vae-thumb").nth(thumbnail).focus()
    notebook.page.keyboard.press("Enter")


def move_pair_explorer(notebook, say, shots_name, key, times):
    for side, thumbnail in (("a", 3), ("b", 6)):
        notebook.changes(f"vae-edge-{side}", lambda thumbnail=thumbnail: pick_by_keyboard(notebook, thumbnail))
    say(f"{shots_name}, frame slider: {spread(notebook.press('vae-frame', 'vae-view', key, times))}")
    say(f"{shots_name}, film: {spread(notebook.press_film('vae-film', 'ArrowRight', 10))}")
    notebook.photograph(".vae-pair", f"{shots_name}_pair")
    assert not notebook.errors()


def test_notebook_04_in_jupyterlab(place, shots, say):
    with server(place, VAE_OUT=str(place / "VAE"), VAE_SMOKE="1", RUN="small") as address, browser(CHROMIUM) as page:
        notebook = Notebook(page, address("04_traverse.ipynb"), shots)
        say(f"JupyterLab ran notebook 04 in {notebook.run_all():.1f} s")
        move_pair_explorer(notebook, say, "lab", "ArrowLeft", 5)
        thumbnail = notebook.page.locator(".vae-map button").nth(1)
        notebook.changes("vae-strip", lambda: (thumbnail.focus(), notebook.page.keyboard.press("Enter")))
        notebook.photograph(".vae-explorer:has(.vae-map)", "lab_map")
        say(f"JupyterLab, latent slider: {spread(notebook.press('vae-latent', 'vae-live', 'ArrowRight', 10))}")
        photo = place / "photo.png"
        Image.fromarray(render(sample_factors("animals", 1), 200, "animals")[0]).save(photo)
        notebook.changes("vae-original", lambda: notebook.upload(".vae-latents", photo))
        notebook.page.locator(".vae-latents .vae-status", has_text="photo.png").wait_for(timeout=5000)
        notebook.photograph(".vae-latents", "lab_latents")
        took = notebook.press("vae-dial-frame", "vae-run-0", "ArrowRight", 3)
        say(f"JupyterLab, dial: {spread(took)}")
        notebook.photograph(".vae-dial", "lab_dial")
        notebook.run_last()
        untouched = notebook.page.locator(".vae-latent").count() - 1
        took = notebook.press("vae-latent", "vae-live", "ArrowRight", 3, which=untouched)
        assert notebook.busy(), "the explorer answered only after the training cell"
        say(f"JupyterLab, an untouched latent slider while a cell trains: {spread(took)}")
        assert not notebook.errors()
        say(f"screenshots in {shots}")


@pytest.mark.skipif(find_spec("notebook") is None, reason="the package notebook (Notebook 7) is not installed")
def test_pair_explorer_in_notebook_7(place, shots, say):
    with (
        server(place, "notebook", VAE_OUT=str(place / "VAE"), VAE_SMOKE="1", RUN="small") as address,
        browser(CHROMIUM) as page,
    ):
        notebook = Notebook(page, address("04_traverse.ipynb"), shots)
        say(f"Notebook 7 ran notebook 04 in {notebook.run_all():.1f} s")
        move_pair_explorer(notebook, say, "notebook7", "PageDown", 2)  # Notebook 7 keeps the arrow keys for itself
