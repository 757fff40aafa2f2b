"""Draw the pictures of the README and of notebooks 03 and 04 anew, from the weights that come with the project.

    python tools/redraw_figures.py

Both notebooks run in full, 04 also in JupyterLab for its explorers, which needs a Chromium; a quarter of an hour on 2
cores. Each picture in `notebooks/figures` keeps its width. `losses`, `tensorboard` and those of the other notebooks
are of runs that are not kept, and stay.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import WINDOW, Notebook, browser, chromium, server  # noqa: E402

from vae_helpers.latent import PathContext, attribute_axes, chain, decode_codes, encode_pictures, summarise  # noqa: E402
from vae_helpers.runs import choose_run, load_run, open_for_run  # noqa: E402
from vae_helpers.scores import chart_of_run  # noqa: E402
from vae_helpers.show import save, show_rows, show_trust, tile  # noqa: E402

FIGURES = ROOT / "notebooks" / "figures"
SHIPPED, SECOND = "shipped_butterflies", "shipped_butterflies_beta16"
# Name: the notebook, words of the cell that draws it, and settings that the notebook is given.
CELLS = {
    "reconstructions": ("03_reconstruct", "show_reconstructions(some", {}),
    "latent_use": ("03_reconstruct", "show_latent_use(", {}),
    "samples": ("03_reconstruct", "show_samples(samples", {}),
    "path_inspector": ("04_traverse", "show_inspection(", {"RUN": SECOND}),
    "kinds": ("04_traverse", "show_kinds(", {"COMPARED": 64}),
    "traversals": ("04_traverse", "show_traversals(", {}),
}
EXPLORERS = ("pair", "panel", "dial", "map")  # in the order of the notebook
SWEPT = ("background hue", "wing hue", "size", "rotation", "tail", "spread")  # what changes most to the eye
WALKS, STOPS, STEPS = 8, 3, 13  # closed walks, pictures on each, frames from one to the next


def execute(name: str, settings: dict, place: Path) -> nbformat.NotebookNode:
    """A notebook run in full with other values of its parameters, on a copy of `VAE` in `place`."""
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    cell = next(c for c in notebook.cells if "parameters" in c.metadata.get("tags", ()))
    given = {"RUN": SHIPPED, **settings}
    cell.source += "".join(f"\n{key} = {value!r}" for key, value in given.items())
    os.environ |= {"VAE_OUT": str(place / "VAE"), "PYTHONPATH": str(ROOT)}
    return NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(ROOT / "notebooks")}}).execute()


def picture_of(notebook: nbformat.NotebookNode, words: str) -> Image.Image:
    """What the cell with these words shows."""
    cell = next(c for c in notebook.cells if c.cell_type == "code" and words in c.source)
    shown = next(o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
    return Image.open(io.BytesIO(base64.b64decode(shown)))


def write(name: str, picture: Image.Image) -> None:
    """Replace a figure, in the width that it has."""
    file = FIGURES / f"{name}.webp"
    with Image.open(file) as old:
        width = min(old.width, picture.width)
    height = round(picture.height * width / picture.width)
    picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS).save(file, quality=88, method=6)
    print(f"{file.relative_to(ROOT)}: {width} × {height}, {file.stat().st_size // 1024} kB", flush=True)


def along_the_chart(place: Path) -> None:
    """What can be trusted; attributes, each swept; and closed walks between pictures by lot, as one animation."""
    run = choose_run(SHIPPED, place / "VAE")
    model, saved = load_run(run)
    pictures = open_for_run(run.name, saved)
    mu, logvar = encode_pictures(model, pictures.validation)
    chart, trust = chart_of_run(run, model, pictures)
    axes = {axis.name: axis for axis in attribute_axes(chart, trust)}
    rows = [axes[name].move(mu[0], np.linspace(axes[name].low, axes[name].high, 9)) for name in SWEPT]
    for name, figure in (
        ("trust", show_trust(trust, title="Which sliders can be trusted")),
        ("attributes", show_rows([decode_codes(model, row) for row in rows], SWEPT, title="One attribute at a time")),
    ):
        with Image.open(save(figure, place / f"{name}.png")) as picture:
            write(name, picture)
    context = PathContext(summarise(mu, logvar).active, chart=chart)
    chosen = np.random.default_rng(0).permutation(len(mu))[: WALKS * STOPS].reshape(WALKS, STOPS)
    films = [chain(model, mu[stops], STEPS, "chart", context, even=True, closed=True).frames for stops in chosen]
    sheets = [Image.fromarray(tile(np.stack(frames), WALKS // 2)) for frames in zip(*films)]
    file = FIGURES / "walk.webp"
    sheets[0].save(file, save_all=True, append_images=sheets[1:], duration=110, loop=0, quality=72, method=6)
    print(f"{file.relative_to(ROOT)}: {len(sheets)} frames, {file.stat().st_size // 1024} kB", flush=True)


def explorers(place: Path) -> None:
    """The explorers of notebook 04 as JupyterLab shows them."""
    (place / "work").mkdir(exist_ok=True)
    shutil.copy(ROOT / "notebooks" / "04_traverse.ipynb", place / "work")
    with browser(chromium()) as chrome, server(place, VAE_OUT=str(place / "VAE"), RUN=SHIPPED) as address:
        notebook = Notebook(chrome.new_page(viewport=WINDOW), address("04_traverse.ipynb"), place)
        notebook.run_all(seconds=1800)
        for i, name in enumerate(EXPLORERS):
            selector = f".vae-explorer >> nth={i}"
            notebook.scroll_to(selector)
            notebook.photograph(selector, name)
            with Image.open(place / f"{name}.png") as photo:
                write(name, photo)


def main() -> None:
    """All of them, each notebook once for each set of settings."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copytree(ROOT / "VAE" / "models", place / "VAE" / "models")
        along_the_chart(place)
        done: dict[str, nbformat.NotebookNode] = {}
        for name, (notebook, words, settings) in CELLS.items():
            key = f"{notebook} {settings}"
            done[key] = done.get(key) or execute(notebook, settings, place)
            write(name, picture_of(done[key], words))
        explorers(place)


if __name__ == "__main__":
    main()
