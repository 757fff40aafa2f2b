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
# # 05 · Which latent means what?
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/latent-space-traversal/beta-vae/blob/main/notebooks/05_disentangle.ipynb)
#
# On pictures whose factors are known: which axis of the latent space carries which factor, what β does to that, what
# it costs, and why no objective can promise it.
#
# ![Nats that each latent tells about each factor](figures/factor_map.webp)
#
# **Reads** the built-in pictures. **Writes** small runs to `VAE/models`, their scores and figures to `VAE/plots`.

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
# Then the pieces: a sweep that trains and scores, the scores themselves, and figures of both.

# %%
import numpy as np

from vae_helpers.data import attributes_of, open_pictures
from vae_helpers.experiments import OBJECTIVES, SWEEP_OPTIONS, SweepSettings
from vae_helpers.experiments import betas, by_score, medians, rate_distortion, sweep
from vae_helpers.latent import Chart, attribute_axes, encode_pictures, latent_axes
from vae_helpers.latent import summarise, traversal_range, traverse
from vae_helpers.model import translate_beta
from vae_helpers.runs import Run, load_run
from vae_helpers.scores import concentration, dci, measured_by, mig, what_moves
from vae_helpers.show import figures, show_factor_map, show_rate_distortion, show_scores, show_what_moves
from vae_helpers.widgets import ExplorerData, LatentExplorer

# %% [markdown]
# **Parameters.** Small pictures and ten latents, as in the studies that this notebook can be compared with; the sweep
# below is `(len(BETAS) + 1) × SEEDS` runs.

# %% tags=["parameters"]
DATASET = "synthetic"  # or "animals", or the path of a dSprites .npz or Shapes3D .h5 file: factors must be known
BETAS = (1.0, 4.0, 16.0, 64.0)  # against Σ(x-x̂)² on [-1, 1] pixels
SEEDS = 3  # one run proves nothing: seeds differ as much as objectives do (Locatello 2019)
EPOCHS = 6  # of each run; more separates the βs better and takes longer
LATENTS = 10
LIMIT = 4096  # pictures; dSprites alone has 737,280
OUT = "VAE"  # where results go

# %% [markdown]
# The environment wins over that cell, and `VAE_SMOKE=1` shrinks the sweep for the test suite.

# %%
DATASET, OUT = os.environ.get("DATASET", DATASET), os.environ.get("VAE_OUT", OUT)
SMOKE = os.environ.get("VAE_SMOKE") == "1"
size, limit, scores = 64, LIMIT, SWEEP_OPTIONS
if SMOKE:
    size, limit, scores = 32, 160, scores._replace(pictures=16, likelihood=4, codes=80)
BETAS, SEEDS, EPOCHS = (BETAS[::3], 2, 1) if SMOKE else (BETAS, SEEDS, EPOCHS)
pictures = open_pictures(DATASET, image_size=size, limit=limit)
figures.show_grid(pictures.pictures[:16], columns=8, title=f"{pictures.name}: {len(pictures):,} pictures")

# %% [markdown]
# Every picture was drawn from a list of numbers, and we have the list. That makes a question answerable which photos
# leave open: does any latent stand for any of these?

# %%
for factor in pictures.factor_table:
    print(f"{factor.name:<18} {factor.unit}")

# %% [markdown]
# The built-in sets have more factors than the code has latents, so a perfect code, one latent for each factor, cannot
# exist: scores of 1 are out of reach by design. What counts is how runs compare.
#
# ## The sweep
# The same pictures, in the same order, for every run; only β and the seed differ. A run that is there already is not
# trained again, so this cell can be stopped and started.

# %%
settings = SweepSettings(EPOCHS, LATENTS, scores=scores, out=OUT)
rows = sweep(pictures, betas(BETAS), range(SEEDS), settings)
middle = medians(rows)
print(f"{len(rows)} runs; PSNR from {min(r['psnr'] for r in rows):.1f} to {max(r['psnr'] for r in rows):.1f} dB")

# %% [markdown]
# Papers write the loss in other units, so their β is another number. Those of this sweep, in three of their
# conventions (`translate_beta` knows more):

# %%
for beta in BETAS:
    others = ("canonical", "disentanglement_lib", "mean")
    said = {name: translate_beta(beta, "ours", name, size, LATENTS) for name in others}
    print(f"β = {beta:<5g} here is " + ", ".join(f"{value:.3g} ({name})" for name, value in said.items()))

# %% [markdown]
# "Canonical" is a Gaussian of variance 1 on [0, 1] pixels: its β is an eighth of ours. Comparing β across papers
# without this step compares nothing.
#
# ## What β buys
# Five ways to ask whether latents stand for factors, and PSNR for what it costs. Each dot is a seed, the bar their median.
#
# ![Scores by β](figures/scores_by_beta.webp)

# %%
asked = {
    "mig": "MIG",
    "dci_disentanglement": "DCI disentanglement",
    "sap": "SAP",
    "factor_vae": "FactorVAE score",
    "modularity": "modularity",
    "psnr": "PSNR, dB",
}
figure = show_scores(by_score(rows, asked), columns=3)
figures.save(figure, Run("sweep", OUT).plots / "scores_by_beta.png")
figure

# %% [markdown]
# **MIG** and **SAP** ask of each factor: how far is the best latent ahead of the second best? **DCI** asks of each
# latent how few factors it matters to, **modularity** the same by information. The **FactorVAE score** holds one
# factor still and asks which latent stands still. They don't agree, and neither do the seeds: look at the spread
# before you look at the order.
#
# ## What β costs
# Rate is what the code spends, distortion what the picture loses. Every β is one bargain between them.
#
# ![Rate against distortion](figures/rate_distortion.webp)

# %%
figure = show_rate_distortion({"β-VAE": rate_distortion(rows)}, title="Rate and distortion, held-out")
figures.save(figure, Run("sweep", OUT).plots / "rate_distortion.png")
figure

# %% [markdown]
# A larger β moves along the curve to the left: fewer nats, worse pictures. Where the curve is steep, a nat is worth
# many squared errors, and latents that carry position and size sit there. Where it is flat, nats are spent on details.
#
# ## Only what ties latents together
# β presses on the whole KL, though only one part of it has to do with axes: the **total correlation**, by which the
# latents depend on each other. β-TCVAE (Chen 2018) takes the KL apart and presses on that part six times as hard as on
# the rest. It has the papers' loss, where a β of 1 is 8 here, so set its row beside those of β = 4 and 16.
#
# ![Scores by β, and with the total correlation pressed on](figures/scores_with_tc.webp)

# %%
pressed = {"TC × 6": OBJECTIVES["β-TCVAE stratified, β = 6"]}
more = sweep(pictures, pressed, range(SEEDS), settings)
figure = show_scores(by_score(rows + more, asked), columns=3)
figures.save(figure, Run("sweep", OUT).plots / "scores_with_tc.png")
figure

# %% [markdown]
# When this figure was made, the last row was ahead in MIG, DCI, SAP and FactorVAE score by more than the seeds differ,
# with 9 nats against the 12 of β = 16, and 0.6 dB behind it. So it matters *which* part of the KL is paid for.
#
# ## Which latent carries which factor?
# The run with the best MIG, under the lens: how many nats each latent tells about each factor.

# %%
best = max(rows + more, key=lambda row: row.get("mig", -1))  # a collapsed run has none
model, _ = load_run(Run(best["run"], OUT))
mu, logvar = encode_pictures(model, pictures.pictures)
summary = summarise(mu, logvar)
order = np.argsort(-summary.kl)
gap = mig(mu[:, order], pictures.factors, pictures.factor_table)

# %% [markdown]
# All pictures of the set are used here, those trained on included: mutual information needs many, and it describes the
# code rather than testing it.

# %%
names = [factor.name for factor in pictures.factor_table]
figure = show_factor_map(gap.information, names, order, title=f"{best['variant']}, MIG {gap.score:.3f}")
figures.save(figure, Run("sweep", OUT).plots / "factor_map.png")
figure

# %% [markdown]
# A disentangled code would show one dark cell in each row. What one finds are a few clean axes, mostly for what moves
# many pixels (background, position, rotation), and rows in which two or three factors are mixed: when two factors change
# pictures in a similar way, nothing in the objective tells them apart.
#
# ## The same, seen
# A latent that stands for one factor should move that and nothing else. Here are the axes, each named by the factor
# that it tells most about.

# %%
nats, told = gap.information.max(axis=1), gap.information.argmax(axis=1)
labels = {int(j): f"z{j} {names[k]} ({n:.2f})" for j, k, n in zip(order, told, nats) if n > 0.1}
start = pictures.split.validation[0]
swept = [traverse(model, mu[start], j, traversal_range(summary, j, 9)) for j in list(labels)[:6] or order[:2].tolist()]
figures.show_rows(swept, [labels.get(int(j), f"z{j}") for j in list(labels)[:6] or order[:2]])

# %% [markdown]
# The number in brackets is that information, in nats; a factor with twenty equal values would have 3.0 to tell. And
# by hand, the sliders called by what they were found to move:

# %%
shown = pictures.split.validation[:48]
names_shown = [pictures.names[i] for i in shown]
panel = LatentExplorer(ExplorerData(model, pictures.pictures[shown], names_shown, summary, labels=labels))
panel

# %% [markdown]
# Does the wing's colour stay when you move its length? Does the background follow the light? Where a slider does what
# its name says and nothing else, the map above has a lonely dark cell.
#
# ## Why it can't be promised
# Turn the code: replace $z$ by $Rz$ for any rotation $R$, turn $q(z|x)$ along, and let the decoder turn back. The prior
# is a round bell, so it doesn't notice; the pictures are the same; so is the likelihood, to the last digit. The scores
# are not:

# %%
rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(mu.shape[1],) * 2))
codes = mu.numpy()
for name, each in (("as found", codes), ("turned", codes @ rotation)):
    print(f"{name:<10} MIG {mig(each, pictures.factors, pictures.factor_table).score:.3f}")
assert np.allclose(np.square(codes).sum(axis=1), np.square(codes @ rotation).sum(axis=1), rtol=1e-3)

# %% [markdown]
# So the likelihood cannot tell a disentangled model from a mixed one (Locatello 2019, theorem 1). What tips the scale
# is an accident of the method: q(z|x) has axes of its own, and spending nats unevenly on axes is cheaper when each axis
# stands for one thing. That is a push, not a law; it works for some factors, some seeds, some βs.
#
# ## What DCI sees
# The same codes, asked the other way: a random forest learns each factor from all latents, and tells which it used.

# %%
forest = dci(mu[:, order], pictures.factors, pictures.factor_table)
spread = concentration(forest.importance)
title = f"importance: disentanglement {spread[0]:.2f}, completeness {spread[1]:.2f}"
show_factor_map(forest.importance, names, order, unit="share", title=title)

# %% [markdown]
# Read it with the informativeness in hand: an axis can be "important" for a factor that nothing reads well. How well
# each is read from held-out codes, R² for numbers and the share right for categories:

# %%
print(
    "\n".join(
        f"{name:<18} {read:.2f}   (chance {chance:.2f})"
        for name, read, chance in zip(names, forest.read, forest.chance)
    )
)

# %% [markdown]
# Small things (the size of a spot, the width of a band) move few pixels, earn few squared errors, and are not in the
# code at all. A score averaged over factors counts them as failures of disentanglement; they are failures of rate.
#
# ## What no axis has
# Where no axis stands for a factor, is its meaning lost? Ask a regression in place of an axis: the **chart** of notebook 04
# learns which way codes go when one factor changes and the others stay.

# %%
attributes, learnt = attributes_of(pictures), pictures.split.train
chart = Chart.fit(mu[learnt], attributes.rows(learnt))
measured = measured_by(model, chart, pictures, attributes)

# %% [markdown]
# Now sweep each slider on held-out pictures and read all factors from what is *decoded*: how far does each move, in units of
# how far pictures of the set differ? Left the latents, each placed by the factor that it moves most; right the chart.
#
# ![What single latents and what a chart's sliders move](figures/what_moves.webp)

# %%
by_chart, by_latent = what_moves(measured, attribute_axes(chart)), what_moves(measured, latent_axes(summary))
placed = np.argsort(np.nan_to_num(by_latent).argmax(axis=1), kind="stable")
latents = [latent_axes(summary)[i].name for i in placed]
figure = show_what_moves({"latents": (by_latent[placed], latents), "the chart": (by_chart, chart.names)}, chart.names)
figures.save(figure, Run("sweep", OUT).plots / "what_moves.png")
figure

# %% [markdown]
# A dark cell on the diagonal of the right half is a slider that moves what it is called; a column that is pale in both
# halves is a factor that the code doesn't hold, and an empty one a factor that nothing reads well from these pictures.
# On the left a row rarely has one dark cell. So a code need not be disentangled to be moved one factor at a time: the
# meaning is there, in directions that bend, and it takes labels of some kind to find them. Factors are such labels, and
# so are brightness or position, which any picture has.
#
# ## Other objectives
# `python -m vae_helpers sweep` trains all of this package's objectives in the same way, three seeds each. Measured on the built-in butterflies (64 px,
# 10 latents, 12 epochs, 39,324 pictures seen, 2,000 mean codes, MIG with 20 bins) on 2 cores of an AMD EPYC, a minute a run
# on one of them; medians, in brackets the lowest and the highest seed:
#
# | | MIG | DCI D | SAP | FactorVAE score | KL, nats | PSNR, dB |
# |---|---|---|---|---|---|---|
# | β = 1 (this project's) | 0.018 (0.017–0.030) | 0.140 (0.120–0.157) | 0.066 | 0.096 | 31.7 | 20.2 |
# | β-VAE, β = 4 | 0.022 (0.021–0.037) | 0.124 (0.117–0.175) | 0.101 | 0.108 | 7.7 | 19.1 |
# | β-VAE-B, 25 nats | 0.013 (0.008–0.021) | 0.095 (0.089–0.103) | 0.030 | 0.102 | 24.9 | 18.8 |
# | β-TCVAE, β = 6 | 0.048 (0.023–0.065) | 0.152 (0.120–0.160) | 0.154 | 0.126 | 7.6 | 18.6 |
# | β-TCVAE stratified, β = 6 | 0.086 (0.074–0.151) | 0.211 (0.164–0.279) | 0.225 | 0.228 | 9.2 | 19.1 |
# | FactorVAE, γ = 10 | 0.047 (0.040–0.078) | 0.155 (0.131–0.206) | 0.141 | 0.120 | 17.0 | 19.9 |
# | DIP-VAE-I | 0.026 (0.022–0.031) | 0.127 (0.111–0.141) | 0.103 | 0.096 | 16.2 | 19.1 |
# | DIP-VAE-II | 0.057 (0.021–0.091) | 0.181 (0.146–0.241) | 0.216 | 0.222 | 14.2 | 19.3 |
# | InfoVAE | 0.019 (0.017–0.022) | 0.111 (0.101–0.121) | 0.059 | 0.084 | 12.3 | 19.2 |
# | Ada-GVAE, one factor differs | 0.028 (0.021–0.076) | 0.183 (0.167–0.238) | 0.085 | 0.126 | 31.3 | 20.1 |
# | Ada-GVAE, some factors differ | 0.083 (0.082–0.093) | 0.264 (0.252–0.278) | 0.233 | 0.240 | 30.3 | 19.7 |
#
# The last two rows were measured later, on an Intel Xeon with AMX. Pairs of pictures that differ in some factors,
# without being told in which (Ada-GVAE, Locatello 2020), did most here; of objectives that see single pictures, those
# that penalise the total correlation by the stratified estimate or the covariance of the codes (DIP-VAE-II). β alone
# did little, and holding the KL at 25 nats made axes worse than β = 1 did. Minutes of training and three seeds tell
# large differences only.
#
# ---
# In this notebook we measured which axis carries which factor, watched β trade nats for pictures, saw that seeds matter
# as much as objectives, and why no likelihood can promise axes with a meaning. Back to moving:
# [04_traverse](04_traverse.ipynb).
