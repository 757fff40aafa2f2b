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
# Walk from one picture to another by three kinds of path, see how far each strays from what the model knows, turn
# single latents up and down, and then do all of it by hand.
#
# ![Closed walks through the latent space](figures/walk.webp)
#
# **Reads** a checkpoint of notebook 02, or the weights that come with the project. **Writes** stills and animations to `VAE/plots`.

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
# Then the pieces for moving: paths, the lens over them, arithmetic with codes, and the four explorers.

# %%
import numpy as np

from vae_helpers.show import figures, show_factors, show_inspection, show_map
from vae_helpers.runs import load_run
from vae_helpers.latent import analogy, direction_between
from vae_helpers.show import save_frames
from vae_helpers.latent import FactorReader
from vae_helpers.runs import open_for_run
from vae_helpers.latent import (
    decode_codes,
    encode_pictures,
    pick_pairs,
    reconstruct,
    summarise,
    traversal_range,
    traverse,
)
from vae_helpers.latent import pca_map
from vae_helpers.latent import PathContext, compare_paths
from vae_helpers.latent import chain, four_corners, walk
from vae_helpers.runs import choose_run
from vae_helpers.latent import Soundness, Support
from vae_helpers.widgets import BetaDial, ExplorerData, LatentExplorer, MapExplorer, PairExplorer, runs_on

# %% [markdown]
# **Parameters.** `RUN` names a trained run; left empty, the newest one of your own in `VAE/models` is taken, and if there
# is none yet, the weights that come with the project. They were trained for about two hours, a quick run for minutes: to see
# them later too, set `RUN = "shipped_butterflies"`.

# %% tags=["parameters"]
RUN = ""  # for example "butterflies_ns_1"; empty: what you trained last, or else the weights that come with the project
OUT = "VAE"  # where runs live
DATASET = ""  # where the run's pictures are, if they have moved or the run came from another machine
KNOWN = 500  # training pictures that paths are compared with; all of them would take a minute to encode
SHOWN = 96  # held-out pictures to choose from in the explorers

# %% [markdown]
# A checkpoint knows its pictures, so the same set opens again, with the same split. A folder that
# was never opened here is not opened on a checkpoint's word alone: then `DATASET` says where it is. Everything below uses
# pictures that the model has never trained on.

# %%
OUT = os.environ.get("VAE_OUT", OUT)
run = choose_run(RUN, OUT)
model, saved = load_run(run)
pictures = open_for_run(run.name, saved, os.environ.get("DATASET", DATASET))
held_out = pictures.pictures[pictures.split.validation]
print(f"{run.name}\n{model}\n{len(held_out):,} held-out pictures of {pictures.name}")

# %% [markdown]
# Everything below works on codes: the means μ of the held-out pictures, and those of some training pictures, which
# are the ground that the model knows. `summary` says what each latent carries, `support` how far a code lies from
# known ones.

# %%
mu, logvar = encode_pictures(model, held_out)
summary = summarise(mu, logvar)
known = pictures.split.train[:KNOWN]
known_mu, known_logvar = encode_pictures(model, pictures.pictures[known])
support = Support(known_mu, known_logvar, mu, summary.active, known)
print(f"{len(summary.active)} of {mu.shape[1]} latents are active")

# %% [markdown]
# Distances are measured over the active latents, in units of how far a new picture of the set typically lies from its
# nearest training picture. So 1 is ordinary, and 2 is no man's land.
#
# ## Between two pictures
# An **interpolation** is a path between the codes of two pictures, painted at every step. The ends of the path are
# exactly the two reconstructions.

# %%
pairs = pick_pairs(model, held_out[:SHOWN], count=4)
rows = [walk(model, mu[a], mu[b], steps=10).frames for a, b in pairs]
assert all((row[0] == reconstruct(model, held_out[a : a + 1])[0]).all() for row, (a, b) in zip(rows, pairs))
figures.show_rows(rows, [f"{a} to {b}" for a, b in pairs], title="Straight paths between held-out pictures")

# %% [markdown]
# Nothing here is cross-faded: every frame is painted from a code of its own, so shapes move and grow instead of
# fading over one another. If you do see a double exposure half-way, the model has no picture for that place.
#
# ## By hand: between two pictures
# The same with your own hand: pick A and B in the grid (the A | B switch alternates by itself), choose steps and the
# kind of path, and drag the frame slider; the film on the right plays without the kernel.

# %%
shown = min(len(held_out), SHOWN)
names = [pictures.names[row] for row in pictures.split.validation[:shown]]
data = ExplorerData(
    model,
    held_out[:shown],
    names,
    summary,
    support,
    soundness=Soundness(model, held_out) if len(held_out) >= 20 else None,
    training_codes=known_mu,
    training_pictures=pictures.pictures,
    directions=run.models,
)
explorer = PairExplorer(data, folder=run.plots, pair=pairs[0])
explorer

# %% [markdown]
# Everything is decoded when the pair changes, so the frame slider only leafs through finished pictures. Things to
# try: two pictures that differ in one respect only; *Random pair* a dozen times; a tick at *nearest training
# pictures*. What the kinds of path mean, and what the meter says, comes next. Where sliders wait for the cells below,
# as on Colab, they move once the last one has run.

# %%
before = explorer.view.value
explorer.frame.value = explorer.steps.value - 1
assert explorer.view.value != before  # the slider moves the picture, also without a browser
explorer.frame.value = explorer.steps.value // 2  # back to the middle, where the kinds of path differ

# %% [markdown]
# ## Three ways from A to B, under the lens
# The straight line (**lerp**) is not the only way. **slerp** goes along an arc: it turns the direction and keeps the
# length (White 2016), because near the centre pictures look average. The **geodesic** is the way along which the
# *picture* changes least, found by bending the line through the decoder (Shao 2018), while it keeps to known ground. With the
# shipped weights:
#
# ![Three paths and their distances from known codes](figures/path_inspector.webp)

# %%
a, b = pairs[0]
reader = None
if pictures.factors is not None:
    factors = pictures.factors
    reader = FactorReader(known_mu, factors[known], pictures.factor_table, mu, factors[pictures.split.validation])
context = PathContext(summary.active, support)
reports = compare_paths(model, mu[a], mu[b], 10, context, reader=reader)
figure = show_inspection(reports, pictures.pictures)
figures.save(figure, run.plots / "path_inspector.png")
figure

# %% [markdown]
# Read it row by row. The *meter* under a frame is the distance to the nearest training code, its line 1. Where it rises
# between the ends, the model invents. Under it the *nearest training picture*: if a frame looks like it, that is
# memory; if it doesn't, the model has made a picture of its own. The curve at the bottom shows how much the picture
# changes at each step; a peak is a jump. The geodesic is the shortest in grey levels, and hardly ever the shortest in z.
#
# ## What changes on the way?
# The built-in pictures are drawn from known factors, so along each path a small regression can read them off the
# codes. How well it reads is printed above each curve; believe only the good ones.

# %%
if reader is not None:
    figure = show_factors(reports, reader)
else:
    figure = None
    print("The factors of these pictures are not known: open the built-in set to see this figure.")
figure

# %% [markdown]
# A factor that goes straight from A to B is well represented along this path. One that overshoots, or stays and then
# jumps, tells that the code doesn't hold it as one straight direction.
#
# ## Equal steps
# Equal steps in z are not equal steps in the picture. Frames can be moved along a path until each step changes the
# picture as much as any other, which is what an animation wants.

# %%
even = compare_paths(model, mu[a], mu[b], 10, context, even=True, kinds=("lerp", "slerp"))
assert all(report.unevenness < 1.1 for report in even.values())
show_inspection(even, title="Re-timed: the same way, in even steps")

# %% [markdown]
# The curves are flat now, and the ends are the same. The way itself hasn't changed, only where on it the frames lie.
#
# ## More than two pictures
# Four pictures in the corners, and everything between them: each row and each column is a path.

# %%
corners = mu[pairs[:2].ravel()] if len(pairs) > 1 else mu[[a, b, b, a]]
grid = four_corners(model, corners, rows=5, columns=9)
figures.show_grid(grid.frames.reshape(-1, *held_out.shape[1:]), columns=9)

# %% [markdown]
# And a closed chain through the same four, which as an animation loops without a seam.

# %%
loop = chain(model, corners, steps=13, even=True, closed=True)
print(save_frames(loop.frames, run.plots / "loop.webp", ping_pong=False))
figures.show_grid(loop.frames[::4], columns=12)

# %% [markdown]
# ## Arithmetic with pictures
# Codes are vectors, so they can be added. A − B + C asks: what has A that B lacks, and how would C look with it?

# %%
c = pairs[-1][0]
drawn = decode_codes(model, analogy(mu[a], mu[b], mu[c])[None])
trio = reconstruct(model, held_out[[a, b, c]])
figures.show_grid(np.concatenate([trio, drawn]), captions=["A", "B", "C", "A − B + C"])

# %% [markdown]
# Two single pictures differ in everything at once, so such sums are crude. Groups are better: the mean of the
# brightest quarter minus that of the darkest is a **direction**, and with groups comes a measure of trust.

# %%
by_brightness = np.argsort(pictures.pictures[known].mean(axis=(1, 2, 3)))
quarter = max(2, len(known) // 4)
way = direction_between(known_mu[by_brightness[:quarter]], known_mu[by_brightness[-quarter:]])
print(f"brightness: p = {way.p_value:.3f}, cosine to the true direction about {way.cosine:.2f}")
figures.show_grid(decode_codes(model, way.apply(mu[a], np.linspace(-1.5, 1.5, 9))), columns=9)

# %% [markdown]
# In the middle is the picture itself, to the left darker ones, to the right brighter ones. The p-value says whether
# two groups drawn by lot would lie as far apart; the cosine how far chance has bent the direction.
#
# ## Along one axis
# A **traversal** is something else: one picture's code, and *one* latent swept while all others stand still. It
# answers what this latent means. Which latents are worth it? The ones with the highest KL, and only active ones. With the
# shipped weights:
#
# ![A row per latent](figures/traversals.webp)

# %%
code, dimensions = mu[0], summary.active[:8]
rows = [traverse(model, code, d, traversal_range(summary, d, steps=9)) for d in dimensions]
figure = figures.show_traversals(rows, dimensions, summary, title="One latent at a time")
figures.save(figure, run.plots / "traversals.png")
figure

# %% [markdown]
# The range of each row comes from where the codes of real pictures lie, not from a fixed ±3. Some rows change one
# thing you can name; many change two or three at once. Nothing in the objective forces axes to be meaningful: with β
# = 1 they rarely are, and even a large β promises little (Locatello 2019).
#
# ## Under another β
# The same pair under every run that was trained on this very set. There may be one only; notebook 02 with `BETA = 4`
# and `TAG = "beta4"` makes a second.

# %%
runs = runs_on(pictures, OUT)[:6]
rows = []
for each in runs:
    ends, _ = encode_pictures(each.model, held_out[[a, b]])
    rows.append(walk(each.model, ends[0], ends[1], steps=10).frames)
figures.show_rows(rows, [f"β = {each.beta:g}\n{each.rate:.0f} nats, {each.psnr:.1f} dB" for each in runs])

# %% [markdown]
# A larger β should buy a smoother walk for fewer nats and pay for it in detail; with a single row there is nothing to
# compare yet.
#
# ## Where the pictures lie
# A map of the held-out pictures by the two directions in which their codes spread most.

# %%
plane = pca_map(mu[:shown])
places = plane.place(reports["lerp"].path.codes)
show_map(plane.points, held_out[:shown], places)

# %% [markdown]
# Neighbours on the map are alike in what the codes hold most of, which is often colour and light. Two axes of dozens
# are a shadow, though: pictures that fall on one spot here may be far apart.
#
# ## By hand: on the map
# The explorer from above, held by its other end: click two pictures on the map, and the path is drawn between them.

# %%
MapExplorer(explorer, mu[:shown])

# %% [markdown]
# The pair in the explorer above follows. t-SNE keeps neighbours together where the two axes of the first map mix
# them.
#
# ## By hand: along the axes
# Start from any picture, or from your own photo, and move its latents yourself: highest KL first, dragged or typed.

# %%
panel = LatentExplorer(data, folder=run.plots)
panel

# %% [markdown]
# Move the first slider end to end, then the last: KL orders them by how much they tell, and you can see it. Two
# sliders together show whether their meanings are independent. With a photo of your own look at the meter first: far
# from the training set the model paints what it knows. *Refine* looks for a better code than the encoder's guess.
#
# ## By hand: the β dial
# One pair, one slider, all runs.

# %%
BetaDial(runs, held_out[:shown], names, folder=run.plots, pair=(a, b))

# %% [markdown]
# The curve under it is the bargain that β strikes: nats spent on the code against nats lost in the picture.
#
# ## Keep what you found
# Each explorer saves by its own buttons. From a cell it is one call, and the ending of the name decides the kind: a
# strip for a paper, an animation for a talk, a page with a slider for anybody.

# %%
path = walk(model, mu[a], mu[b], steps=24, kind="slerp", context=context, even=True)
for name in ("path.gif", "path.webp", "path.html"):
    print(save_frames(path.frames, run.plots / name))
print(save_frames(path.frames[::3], run.plots / "path.png"))

# %% [markdown]
# All of them lie in `VAE/plots`, under the run's name. From the shell the same is `python -m vae_helpers interpolate
# --run RUN A.jpg B.jpg --save path.gif`.
#
# ---
# In this notebook we walked between pictures in three ways, saw where the model remembers and where it invents, swept
# single latents, and did all of it by hand. To come back to the beginning with your own photos, open
# [01_data](01_data.ipynb) and set `DATASET` to their folder.
