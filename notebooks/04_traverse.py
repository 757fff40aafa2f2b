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
# Walk from one picture to another without falling off the road, move one thing that has a name at a time, see which sliders
# can be trusted, and then do all of it by hand.
#
# ![Closed walks through the latent space](figures/walk.webp)
#
# **Reads** a checkpoint of notebook 02, or the weights that come with the project. **Writes** stills and animations to
# `VAE/plots`, and beside the checkpoint what was learnt about its codes.

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
# Then the pieces for moving: codes and paths, the chart that gives axes their names, and the four explorers.

# %%
import numpy as np
from IPython.display import IFrame

from vae_helpers.data import attributes_of
from vae_helpers.latent import PathContext, Soundness, Support, attribute_axes, chain, compare_paths, decode_codes
from vae_helpers.latent import direction_between, encode_pictures, pca_map, pick_pairs, reconstruct, summarise
from vae_helpers.latent import traversal_range, traverse, walk
from vae_helpers.runs import choose_run, load_run, open_for_run
from vae_helpers.scores import chart_of_run, content_of_run, drawability_by_kind, frames_by_kind
from vae_helpers.show import colour_points, figures, page_html, save_frames, save_page
from vae_helpers.show import show_inspection, show_kinds, show_map, show_trust
from vae_helpers.widgets import BetaDial, ExplorerData, LatentExplorer, MapExplorer, PairExplorer, runs_on

# %% [markdown]
# **Parameters.** `RUN` names a trained run. Left empty, the pictures of your newest run in `VAE/models` are taken, and of all
# runs on them the best by its held-out score: after a quick run on the built-in set these are the weights that come with the
# project, which were trained for several hours. The line under the next cell says what was chosen and names the others.

# %% tags=["parameters"]
RUN = ""  # for example "butterflies_ns_1"; empty: the best run on the pictures you trained on last, or the shipped one
OUT = "VAE"  # where runs live
DATASET = ""  # where the run's pictures are, if they have moved or the run came from another machine
KNOWN = 500  # training pictures that paths are compared with; all of them would take a minute to encode
SHOWN = 96  # held-out pictures to choose from in the explorers
COMPARED = 12  # frames of each kind that are measured; each takes about half a second
if os.environ.get("VAE_SMOKE"):
    COMPARED = 2

# %% [markdown]
# A checkpoint knows its pictures, so the same set opens again, with the same split. A folder that
# was never opened here is not opened on a checkpoint's word alone: then `DATASET` says where it is. Everything below uses
# pictures that the model has never trained on.

# %%
OUT = os.environ.get("VAE_OUT", OUT)
run = choose_run(os.environ.get("RUN", RUN), OUT)
model, saved = load_run(run)
pictures = open_for_run(run.name, saved, os.environ.get("DATASET", DATASET))
held_out = pictures.validation
print(f"{run.name}\n{model}\n{len(held_out):,} held-out pictures of {pictures.name}")

# %% [markdown]
# Everything below works on codes: the means μ of the held-out pictures, and those of some training pictures. `summary`
# says what each latent carries, `support` how far a code lies from known ones, `soundness` whether a frame is a picture.

# %%
mu, logvar = encode_pictures(model, held_out)
summary = summarise(mu, logvar)
known = pictures.split.train[:KNOWN]
known_mu, known_logvar = encode_pictures(model, pictures.pictures[known])
support = Support(known_mu, known_logvar, mu, summary.active, known)
soundness = Soundness(model, held_out[:200]) if len(held_out) >= 20 else None
print(f"{len(summary.active)} of {mu.shape[1]} latents are active")

# %% [markdown]
# How can one tell wreckage from a picture without knowing what is in it? Encode and decode it once more: a picture of the
# model's kind comes back nearly the same, wreckage comes back mended. A frame that changes more than 95 % of real held-out
# pictures do is *doubtful*, more than 99 % *broken*.
#
# The model's own axes mean several things at once. But its codes *hold* what can be named, and a regression of codes on
# attributes (known factors here; brightness, warmth, contrast and so on for your photos) finds it. That is the **chart**.

# %%
chart, trust = chart_of_run(run, model, pictures)
context = PathContext(summary.active, support, known_mu, chart)
print(f"{len(chart.table)} attributes; sliders to be trusted: {', '.join(t.name for t in trust if t.trusted)}")

# %% [markdown]
# It is kept beside the checkpoint, so the next time it opens at once.
#
# ## Between two pictures
# An **interpolation** is a path between the codes of two pictures, painted at every step. Along a chart's path the
# attributes go straight from A to B, and what they leave unexplained does too. The ends are exactly the two reconstructions.

# %%
pairs = pick_pairs(model, held_out[:SHOWN], count=4)
rows = [walk(model, mu[a], mu[b], 10, context.default_kind, context).frames for a, b in pairs]
assert all((row[0] == reconstruct(model, held_out[a : a + 1])[0]).all() for row, (a, b) in zip(rows, pairs))
figures.show_rows(rows, [f"{a} to {b}" for a, b in pairs], title=f"Paths by {context.default_kind}")

# %% [markdown]
# Nothing here is cross-faded: every frame is painted from a code of its own, so shapes move, turn and change colour.
#
# ## Why not straight?
# Because codes of real pictures lie on a curved surface, and a straight line leaves it, unless the model was taught otherwise.
# The shipped weights were: in the end every third picture they saw was the one half-way between two others
# (`--objective middle`), which takes known factors. The second run that comes with the project was not, and no model of your
# own photos can be. Here is the pair of the eight farthest ones whose straight middle is worst. **known** goes from training
# code to training code instead, the cheapest way; **chart** follows the attributes. With that second run
# (`RUN = "shipped_butterflies_beta16"` at the top):
#
# ![Three paths and the verdict on each frame](figures/path_inspector.webp)

# %%
far = pick_pairs(model, held_out[:SHOWN], count=8)
middles = decode_codes(model, (mu[far[:, 0]] + mu[far[:, 1]]) / 2)
a, b = far[soundness.judge(middles).error.argmax()] if soundness else far[0]
reports = compare_paths(model, mu[a], mu[b], 10, context, soundness, kinds=("lerp", "known", "chart"))
figure = show_inspection(reports, title=f"From {a} to {b}")
figures.save(figure, run.plots / "path_inspector.png")
figure

# %% [markdown]
# Read it row by row. The bar under a frame says by colour and number how much it changes when it is encoded again; the
# small number is the distance to the nearest training code. The curve at the bottom shows how much the picture changes at
# each step. What breaks are large differences in pose and hue: half-way between two poses, or two opposite colours, a
# straight line finds a blend of both, or grey.
#
# ## How often?
# The built-in sets are drawn by a program, so one can look for the best picture that it could have drawn: its PSNR is
# **drawability**. A frame more than 3 dB below the reconstructions is wreckage.

# %%
figure = None
if pictures.source == "built-in":
    frames = frames_by_kind(model, pictures, (mu, logvar), chart, n=COMPARED)
    figure = show_kinds(drawability_by_kind(frames, pictures.name, progress=True), title=f"{COMPARED} of each kind")
else:
    print("Nobody can draw these pictures anew: open the built-in set to see this figure.")
figure

# %% [markdown]
# With the shipped weights straight middles are as good as those of the known ways; with the other run half of them are
# wreckage. Samples tell the same story: N(0, 1) is where codes were meant to lie, one Gaussian fitted to them is nearer, and
# the chart's samples (attributes of one picture, the rest of another) lie where pictures are.
#
# ## By hand: between two pictures
# The same with your own hand: pick A and B in the grid (the A | B switch alternates by itself), choose steps and the
# kind of path, and drag the frame slider; the film beside it plays without the kernel.

# %%
shown = min(len(held_out), SHOWN)
names = [pictures.names[row] for row in pictures.split.validation[:shown]]
data = ExplorerData(
    model, held_out[:shown], names, summary, support, soundness, chart, trust, known_mu, pictures.pictures, run.models
)
explorer = PairExplorer(data, folder=run.plots, pair=pairs[0])
explorer

# %% [markdown]
# Everything is decoded when the pair changes, so the frame slider only leafs through finished pictures. Things to
# try: the same pair by each kind of path; *Random pair* a dozen times; a tick at *nearest training pictures*: if a frame
# looks like its neighbour, that is memory, else invention; a name and *Keep*, and the frame on the screen is listed by the
# explorer of sliders below, and by both on another day. Where sliders wait for the cells below, as on Colab, they move
# once the last one has run. A saved notebook keeps the film of the last pair, which plays wherever it is opened.

# %%
before = explorer.view.value
explorer.frame.value = explorer.steps.value - 1
assert explorer.view.value != before  # the slider moves the picture, also without a browser
explorer.frame.value = explorer.steps.value // 2  # back to the middle, where the kinds of path differ

# %% [markdown]
# ## Sliders with a name
# A slider of an attribute moves a code along the chart: only that attribute changes, and what hangs together with it in
# this set. Does it do what it says? Each was tried on held-out pictures, and the attribute read from the *decoded* picture:
# *slope* is how far it moved when asked for 1, *leak* how far the others moved that should not.

# %%
related = attributes_of(pictures).select(chart.names).correlation()
show_trust(trust, related, title="Which sliders can be trusted")

# %% [markdown]
# Right, how the attributes hang together in this set: where they do, a slider moves what goes along with it
# (*conditional*), and the kind *Attributes alone* moves the one without the others (*marginal*). Grey ones are not trusted:
# the code does not hold them (of the built-in butterflies the hue of the pattern, which the model drops), or they do not
# steer. Here are the best six, each swept over its range on one picture.

# %%
axes = [axis for axis in attribute_axes(chart, trust) if not axis.choices][:6]
rows = [decode_codes(model, axis.move(mu[0], np.linspace(axis.low, axis.high, 9))) for axis in axes]
figure = figures.show_rows(rows, [axis.name for axis in axes], title="One attribute at a time")
figures.save(figure, run.plots / "attributes.png")
figure

# %% [markdown]
# One thing changes in each row, and it is the thing that the label says.
#
# ## By hand: one thing at a time
# Start from any picture, from the mean one, from a random one, or from your own photo. Attributes first, the most trusted
# on top; the same panel moves single latents, principal components, and directions that you make yourself: mark three
# pictures that have something and three that have it not, and give it a name.

# %%
panel = LatentExplorer(data, folder=run.plots)
panel

# %% [markdown]
# Uploads take up to about 10 MB, the path field any size. With a photo of your own look at the verdict first: far from the
# training set the model paints what it knows. *Refine* looks for a better code than the encoder's guess.
#
# ## A direction from two groups
# What the panel does with your marks, by a cell: the mean of the brightest quarter minus that of the darkest.

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
# ## Along one latent
# And the axes that the model came with? A **traversal** sweeps *one* latent while all others stand still: those with the
# highest KL, over the range where codes of real pictures lie.

# %%
code, dimensions = mu[0], summary.active[:8]
rows = [traverse(model, code, d, traversal_range(summary, d, steps=9)) for d in dimensions]
figure = figures.show_traversals(rows, dimensions, summary, title="One latent at a time")
figures.save(figure, run.plots / "traversals.png")
figure

# %% [markdown]
# Most rows change two to four things at once. Nothing in the objective forces axes to be meaningful: with β = 1 they
# rarely are, and even a large β promises little (Locatello 2019). Notebook 05 asks what can be done about that.
#
# ## More than two pictures
# A closed chain through four pictures, in equal steps of picture, which as an animation loops without a seam.

# %%
stops = mu[pairs[:2].ravel()] if len(pairs) > 1 else mu[[a, b]]
loop = chain(model, stops, 13, context.default_kind, context, even=True, closed=True)
print(save_frames(loop.frames, run.plots / "loop.webp", ping_pong=False))
figures.show_grid(loop.frames[::4], columns=12)

# %% [markdown]
# ## Under another β
# The same pair under every run on these pictures. For the built-in butterflies two come with the project, β = 0.5 and β = 16;
# of your own pictures there may be one only: notebook 02 with `BETA = 4` and `TAG = "beta4"` makes a second.

# %%
runs = runs_on(pictures, OUT)[:6]
rows = []
for each in runs:
    ends, _ = encode_pictures(each.model, held_out[[a, b]])
    rows.append(walk(each.model, ends[0], ends[1], steps=10).frames)
captions = [f"β = {each.beta:g}\n{each.rate:.0f} nats, {each.psnr:.1f} dB" for each in runs]
figures.show_rows(rows, captions) if rows else print("No run on these pictures has a β that can be compared.")

# %% [markdown]
# These are straight paths. A larger β should buy a smoother walk for fewer nats and pay for it in detail. Of the two that come
# with the project the second also saw fewer pictures, in pairs and not in triples, so β is not all that they differ in: here it
# is the *first* that walks better. Each `made.txt` says how it was made.

# %%
BetaDial(runs, held_out[:shown], names, folder=run.plots, pair=(a, b)) if runs else None

# %% [markdown]
# The curve under it is the bargain that β strikes: nats spent on the code against nats lost in the picture.
#
# ## Where the pictures lie
# A map of the held-out pictures by the two directions in which their codes spread most, with the straight path over it.

# Points and frames have the colour of an attribute: does the map order the pictures by it?

# %%
plane, attributes = pca_map(mu[:shown]), attributes_of(pictures).rows(pictures.split.validation[:shown])
colours = colour_points(attributes.table[0], attributes.values[:, 0])
show_map(plane.points, held_out[:shown], plane.place(reports["lerp"].path.codes), colours=colours)

# %% [markdown]
# Neighbours on the map are alike in what the codes hold most of, which is often colour and light. The same map as an
# explorer: click two pictures, and the pair explorer above follows. Every held-out picture is a point, those that fit are
# thumbnails, and faint points are training pictures; zoom in for more, colour by any attribute, and see what is nearest.

# %%
MapExplorer(explorer, mu[:shown], attributes, known_mu)

# %% [markdown]
# t-SNE keeps neighbours together where the two axes of the first map mix them. *Nearest* goes by all latents, so a
# neighbour in the list may be far away on the map.
#
# ## Keep what you found
# Each explorer saves by its own buttons. From a cell it is one call, and the ending of the name decides the kind: a
# strip for a paper, an animation for a talk, a page with a slider for anybody.

# %%
path = walk(model, mu[a], mu[b], 24, context.default_kind, context)
for name in ("path.gif", "path.webp", "path.html"):
    print(save_frames(path.frames, run.plots / name))
print(save_frames(path.frames[::3], run.plots / "path.png"))

# %% [markdown]
# And the whole explorer as **one page** with the decoder inside, which needs no kernel and no network: pick two pictures,
# walk, move what has a name. It can be sent to anybody, who can then see the pictures on it.

# %%
page = save_page(page_html(content_of_run(run, model, saved, pictures)), run.plots / "page.html")
print(f"{page}, {page.stat().st_size / 1e6:.1f} MB")
IFrame(os.path.relpath(page), "100%", 720)

# %% [markdown]
# Where the frame above stays empty, as on Colab, the notebook's page may not show files from there: download the file and open
# it in a browser.
#
# All of them lie in `VAE/plots`, under the run's name. From the shell the same is `python -m vae_helpers interpolate
# --run RUN A.jpg B.jpg --method chart --save path.gif`, and a slider's sweep `traverse --run RUN --attribute NAME`.
#
# ---
# In this notebook we saw when straight paths break and walked ones that don't, moved one named thing at a time and saw
# which sliders to trust, and did all of it by hand. To come back to the beginning with your own photos, open
# [01_data](01_data.ipynb) and set `DATASET` to their folder.
