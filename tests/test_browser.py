"""Notebook 04 as a visitor meets it: opened in a browser, run, and its explorers moved by keyboard."""

import os
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat
import numpy as np
import pytest
from browser import ROOT, WINDOW, Notebook, browser, chromium, server, spread
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


@pytest.fixture(scope="module")
def chrome():
    """One browser for all: a second beside it is not possible."""
    with browser(CHROMIUM) as running:
        yield running


@pytest.fixture(scope="module")
def lab(place, shots, chrome):
    """Notebook 04 open in JupyterLab, every cell run once; `ran_in` are the seconds that this took."""
    with server(place, VAE_OUT=str(place / "VAE"), VAE_SMOKE="1", RUN="small") as address:
        notebook = Notebook(chrome.new_page(viewport=WINDOW), address("04_traverse.ipynb"), shots)
        notebook.ran_in = notebook.run_all()
        yield notebook


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


def test_notebook_04_in_jupyterlab(lab, place, shots, say):
    say(f"JupyterLab ran notebook 04 in {lab.ran_in:.1f} s")
    move_pair_explorer(lab, say, "lab", "ArrowLeft", 5)
    thumbnail = lab.page.locator(".vae-map button").nth(1)
    lab.changes("vae-strip", lambda: (thumbnail.focus(), lab.page.keyboard.press("Enter")))
    lab.photograph(".vae-explorer:has(.vae-map)", "lab_map")
    say(f"JupyterLab, latent slider: {spread(lab.press('vae-latent', 'vae-live', 'ArrowRight', 10))}")
    photo = place / "photo.png"
    Image.fromarray(render(sample_factors("animals", 1), 200, "animals")[0]).save(photo)
    lab.changes("vae-original", lambda: lab.upload(".vae-latents", photo))
    lab.page.locator(".vae-latents .vae-status", has_text="photo.png").wait_for(timeout=5000)
    lab.photograph(".vae-latents", "lab_latents")
    say(f"JupyterLab, dial: {spread(lab.press('vae-dial-frame', 'vae-run-0', 'ArrowRight', 3))}")
    lab.photograph(".vae-dial", "lab_dial")
    lab.run_last()
    untouched = lab.page.locator(".vae-latent").count() - 1
    took = lab.press("vae-latent", "vae-live", "ArrowRight", 3, which=untouched)
    assert lab.busy(), "the explorer answered only after the training cell"
    say(f"JupyterLab, an untouched latent slider while a cell trains: {spread(took)}")
    assert not lab.errors()
    say(f"screenshots in {shots}")


def expect_explorers_to_fit(notebook, shots):
    """The picture and its sliders share the screen: enlarged, in a narrow page, and at 200 %."""
    notebook.resize(1600, 1000)
    for explorer, sliders, picture, least in (
        (".vae-pair", ".vae-frame", ".vae-view", 1),
        (".vae-latents", ".vae-latents .vae-axis", ".vae-live", 6),
    ):
        notebook.page.locator(f"{explorer} button:has-text('Enlarge')").click()
        notebook.scroll_to(picture)
        notebook.page.screenshot(path=shots / f"lab_enlarged_{explorer[5:]}.png")
        assert notebook.page.locator(picture).bounding_box()["width"] > 500
        assert notebook.in_sight(picture) == 1 and notebook.in_sight(sliders) >= least
        notebook.page.locator(f"{explorer} button:has-text('Shrink')").click()
    notebook.resize(900, 900)
    cut = notebook.page.evaluate("""() => [...document.querySelectorAll('.vae-explorer')]
      .filter(e => e.scrollWidth > e.clientWidth).map(e => e.className)""")
    assert not cut and notebook.page.locator(".vae-explorer").count() == 4
    notebook.command("application:toggle-left-area")
    notebook.resize(700, 450)  # as much as 200 % leave of 1400 by 900
    for axis, block in ((1, "start"), (8, "end")):
        notebook.scroll_to(f".vae-latents .vae-axis:nth-child({axis})", block)
        notebook.page.screenshot(path=shots / f"lab_at_200_percent_axis_{axis}.png")
        assert notebook.in_sight(".vae-live") == 1 and notebook.in_sight(".vae-latents .vae-axis") >= 4
    assert not notebook.errors()


def expect_the_newest_pair_to_win(notebook, say):
    """Four quick random pairs under geodesic: the last one is shown, and the other explorer answers in between."""
    page = notebook.page
    status = page.locator(".vae-pair .vae-status")
    page.locator(".vae-pair .vae-way button:has-text('geodesic'), .vae-pair button:has-text('geodesic')").first.click()
    status.filter(has_text="by geodesic, found").wait_for(timeout=120_000)
    started = time.monotonic()
    for _ in range(4):
        page.locator(".vae-pair button:has-text('Random pair')").click()
    status.filter(has_text="Computing the path by geodesic").wait_for(timeout=5000)
    say(f"JupyterLab, four random pairs: told after {time.monotonic() - started:.2f} s")
    took = notebook.press("vae-latent", "vae-live", "ArrowRight", 3)
    assert "Computing" in status.inner_text(), "the slider of the other explorer answered only after the path"
    say(f"JupyterLab, another explorer's slider meanwhile: {spread(took)}")
    status.filter(has_text="by geodesic, found").wait_for(timeout=120_000)
    say(f"JupyterLab, four random pairs under geodesic: {time.monotonic() - started:.1f} s until the last is shown")
    a, b = (
        page.locator(
            f".vae-pair input[aria-label='{side}'], .vae-pair .widget-text:has(label:text-is('{side}')) input"
        ).first.input_value()
        for side in "AB"
    )
    captions = page.locator(".vae-pair .vae-side").all_inner_texts()
    assert f"{a} ·" in captions[0] and f"{b} ·" in captions[1]
    page.locator(".vae-pair button:has-text('lerp')").first.click()
    status.filter(has_text="by lerp, found").wait_for(timeout=20_000)


def expect_uploads_to_recover(notebook, place):
    """A file above Jupyter's limit ends the connection; after that the control works again, and so does the path."""
    large, small = place / "large.png", place / "small.png"
    noise = np.random.default_rng(0).integers(0, 256, (2, 2050, 2050, 3), np.uint8)
    Image.fromarray(noise[0]).save(large)
    Image.fromarray(noise[1, :64, :64]).save(small)
    assert large.stat().st_size > 10 * 1024**2
    notebook.upload(".vae-latents", large)
    notebook.page.locator(".vae-latents .vae-status", has_text="connected again").wait_for(timeout=15_000)
    notebook.changes("vae-original", lambda: notebook.upload(".vae-latents", small))
    field = notebook.page.locator(".vae-latents input[placeholder*='path']")
    for file in (large, place / "no_such.png"):
        field.fill(str(file))
        field.press("Enter")
        found = file.name if file == large else "there is no file or folder"
        notebook.page.locator(".vae-latents .vae-status", has_text=found).wait_for(timeout=5000)


def expect_a_reopened_notebook_to_show_films(notebook, shots):
    """Saved with its outputs and opened without the kernel, it shows what needs none."""
    page = notebook.page
    assert page.locator("[class^=vae-saved]:visible").count() == 0
    assert page.locator("[class^=vae-saved]").count() == 4
    notebook.restart_kernel()
    page.locator(".vae-pair.jupyter-widgets-disconnected").wait_for(timeout=10_000)
    told = page.locator(".vae-pair").evaluate("e => getComputedStyle(e, '::before').content")
    assert "kernel that moved these pictures is gone" in told
    notebook.save_and_reopen()
    page.locator("[class^=vae-saved]:visible").nth(3).wait_for(timeout=20_000)
    film = page.locator("[class^=vae-saved] iframe").first.element_handle().content_frame()
    film.locator("body[data-ready]").wait_for(timeout=5000)
    before = film.locator("#picture").get_attribute("src")
    film.locator("#slider").press("ArrowRight")
    assert film.locator("#picture").get_attribute("src") != before
    page.wait_for_timeout(2000)  # until Jupyter has given up looking for the widgets
    beside = page.locator(".jp-OutputArea-child:has([class^=vae-saved]) + .jp-OutputArea-child")
    assert beside.count() == 4 and beside.filter(visible=True).count() == 0  # where it said "Error displaying widget"
    page.screenshot(path=shots / "lab_reopened.png")


def test_the_page_around_the_explorers(lab, place, shots, say):
    lab.finish()
    expect_the_newest_pair_to_win(lab, say)
    expect_explorers_to_fit(lab, shots)
    expect_uploads_to_recover(lab, place)
    expect_a_reopened_notebook_to_show_films(lab, shots)


@pytest.mark.skipif(find_spec("notebook") is None, reason="the package notebook (Notebook 7) is not installed")
def test_pair_explorer_in_notebook_7(place, shots, say, chrome):
    notebook = nbformat.read(place / "work" / "04_traverse.ipynb", as_version=4)
    shows_it = next(k for k, cell in enumerate(notebook.cells) if "PairExplorer(" in cell.source)
    notebook.cells = notebook.cells[: shows_it + 1]
    nbformat.write(notebook, place / "work" / "pair.ipynb")
    with server(place, "notebook", VAE_OUT=str(place / "VAE"), VAE_SMOKE="1", RUN="small") as address:
        notebook = Notebook(chrome.new_page(viewport=WINDOW), address("pair.ipynb"), shots)
        say(f"Notebook 7 ran notebook 04 up to its first explorer in {notebook.run_all():.1f} s")
        move_pair_explorer(notebook, say, "notebook7", "PageDown", 1)  # Notebook 7 keeps the arrow keys for itself
