# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     gpuType: T4
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: accelerator,colab,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 04 · What lies between two pictures, and along each axis?
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/latent-space-traversal/beta-vae/blob/main/notebooks/04_traverse.ipynb)
#
# Walk from one picture to another, turn single latents up and down, and do both by hand with sliders.
#
# **Reads** a checkpoint of notebook 02. **Writes** stills and animations to `VAE/plots`.

# %% [markdown]
# First the package. On Colab it is installed from the repository; anywhere else it stands beside this folder.

# %%
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

IN_COLAB = "COLAB_RELEASE_TAG" in os.environ
REPOSITORY = "https://github.com/latent-space-traversal/beta-vae"
if find_spec("vae_helpers") is None and Path("../vae_helpers").is_dir():
    sys.path.insert(0, str(Path("..").resolve()))
elif find_spec("vae_helpers") is None and IN_COLAB:
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", f"git+{REPOSITORY}"], check=True)
elif find_spec("vae_helpers") is None:
    raise ModuleNotFoundError("vae_helpers is missing: open this notebook inside a clone of the repository")

# %% [markdown]
# Then the pieces for moving: paths, sweeps, figures, and the two explorers.

# %%
import numpy as np

from vae_helpers import figures
from vae_helpers.checkpoint import Run, load_run, newest_run
from vae_helpers.data import open_pictures
from vae_helpers.export import save_frames
from vae_helpers.latent import encode_pictures, interpolate, pick_pairs, reconstruct, summarise, traversal_range, traverse
from vae_helpers.widgets import LatentExplorer, PairExplorer

# %% [markdown]
# **Parameters.** `RUN` names a trained run; left empty, the newest one in `VAE/models` is taken.

# %% tags=["parameters"]
RUN = ""  # for example "butterflies_ns_1"; empty: whatever was trained last
OUT = "VAE"  # where runs live

# %% [markdown]
# A checkpoint knows which pictures it was trained on, so the same set opens again, with the same split. Everything
# below uses pictures that the model has never trained on.

# %%
OUT = os.environ.get("VAE_OUT", OUT)
run = Run(RUN or newest_run(OUT), OUT)
model, saved = load_run(run)
pictures = open_pictures(**saved["data"]["request"])
held_out = pictures.pictures[pictures.split.validation]
print(f"{run.name}\n{model}\n{len(held_out):,} held-out pictures of {pictures.name}")

# %% [markdown]
# ## Between two pictures
# An **interpolation** is a path between the codes of two pictures. Both are encoded to their means μ; points on the
# straight line between them are decoded. The ends of the path are exactly the two reconstructions.

# %%
pairs = pick_pairs(model, held_out[:64], count=4)
rows = [interpolate(model, held_out[a], held_out[b], steps=10).frames for a, b in pairs]
assert all((row[0] == reconstruct(model, held_out[a:a + 1])[0]).all() for row, (a, b) in zip(rows, pairs))
figures.show_rows(rows, [f"{a} to {b}" for a, b in pairs], title="Straight paths between held-out pictures")

# %% [markdown]
# Nothing here is cross-faded: every frame is painted from a code of its own, so shapes move and grow instead of fading over
# one another. If you do see a double exposure half-way, the model has no picture for that place.
#
# ## Straight line or arc?
# A straight line between two codes passes nearer to the centre than its ends. **slerp** goes along the arc instead: it
# turns the direction and keeps the length (White 2016).

# %%
mu, logvar = encode_pictures(model, held_out)
summary = summarise(mu, logvar)
a, b = pairs[0]
paths = {m: interpolate(model, held_out[a], held_out[b], 10, m, summary.active) for m in ("lerp", "slerp")}
figure = figures.show_paths({name: path.frames for name, path in paths.items()}, ends=(held_out[a], held_out[b]))
figures.save(figure, run.plots / "lerp_and_slerp.png")
figure

# %% [markdown]
# The originals stand at both sides, so that the loss of the round trip isn't mistaken for a step of the path. How far from
# the centre does each path run?

# %%
share = np.linspace(0, 1, 10)
norms = {name: (share, path.codes[:, summary.active].norm(dim=1).numpy()) for name, path in paths.items()}
figures.show_curves(norms, "share of the path", "distance from the centre")

# %% [markdown]
# The line dips in the middle and the arc doesn't. Near the centre pictures look average, which is why the middle of a
# straight path can look paler. With few active latents the difference is small; trust your eyes, not the theory.
#
# ## Along one axis
# A **traversal** is something else: one picture's code, and *one* latent swept while all others stand still. It answers
# what this latent means. Which latents are worth it? The ones with the highest KL, and only active ones.

# %%
code, dimensions = mu[0], summary.active[:8]
rows = [traverse(model, code, d, traversal_range(summary, d, steps=9)) for d in dimensions]
figure = figures.show_traversals(rows, dimensions, summary, title="One latent at a time")
figures.save(figure, run.plots / "traversals.png")
figure

# %% [markdown]
# The range of each row comes from where the codes of real pictures lie, not from a fixed ±3. Some rows change one thing you
# can name; many change two or three at once. Nothing in the objective forces axes to be meaningful: with β = 1 they
# rarely are, and even a large β promises little (Locatello 2019).
#
# ## By hand: between two pictures
# The same path with your choice of pictures. Pick A and B in the grid (the A | B switch alternates by itself), choose steps
# and the kind of path, and drag the frame slider.

# %%
count = min(len(held_out), 96)
explorer = PairExplorer(model, held_out[:count], [f"{i}" for i in range(count)], summary)
explorer

# %% [markdown]
# Everything is decoded when the pair changes, so the frame slider only leafs through finished pictures. Things to try:
# two pictures that differ in one respect only; a picture and its nearest look-alike; *Random pair* a dozen times.

# %%
before = explorer.view.value
explorer.frame.value = explorer.steps.value - 1
assert explorer.view.value != before  # the slider moves the picture, also without a browser

# %% [markdown]
# ## By hand: along the axes
# Start from any picture and move its latents yourself: highest KL first, the value dragged or typed. *Reset* brings you
# back to the picture.

# %%
panel = LatentExplorer(model, held_out[:count], [f"{i}" for i in range(count)], summary)
panel

# %% [markdown]
# Move the first slider end to end, then the last: KL orders them by how much they tell, and you can see it. Two sliders together
# show whether their meanings are independent, or whether one changes what the other does.
#
# ## Keep what you found
# A path as an animation for a talk or a chat, and as a strip for a paper.

# %%
path = interpolate(model, held_out[a], held_out[b], steps=24, method="slerp", active=summary.active)
for name in ("path.gif", "path.webp"):
    print(save_frames(path.frames, run.plots / name))
print(save_frames(path.frames[::3], run.plots / "path.png"))

# %% [markdown]
# All three lie in `VAE/plots`, under the run's name. From the shell the same is
# `python -m vae_helpers interpolate --run RUN A.jpg B.jpg --save path.gif`.
#
# ---
# In this notebook we walked between pictures, swept single latents, and did both by hand. To come back to the beginning with your
# own photos, open [01_data](01_data.ipynb) and set `DATASET` to their folder.
