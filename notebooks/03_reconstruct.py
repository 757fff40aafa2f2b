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
# # 03 · What did it keep, what did it drop?
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/latent-space-traversal/beta-vae/blob/main/notebooks/03_reconstruct.ipynb)
#
# A trained model under the lamp: what survives the trip through 128 numbers, what doesn't, and where it fails
# outright.
#
# ![Originals, reconstructions and what is lost](figures/reconstructions.webp)
#
# **Reads** a checkpoint of notebook 02, or the weights that come with the project. **Writes** figures to `VAE/plots`.

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
# Then the pieces of the package that look at a trained model.

# %%
import numpy as np

from vae_helpers.data import render, sample_factors
from vae_helpers.latent import Soundness, Support, encode_pictures, reconstruct, sample_posterior, samples_by_kind
from vae_helpers.model import psnr_of
from vae_helpers.runs import choose_run, load_run, open_for_run
from vae_helpers.scores import chart_of_run, evaluate, ssim_of
from vae_helpers.show import figures, show_readout, show_samples

# %% [markdown]
# **Parameters.** `RUN` names a trained run. Left empty, the pictures of your newest run in `VAE/models` are taken, and of all
# runs on them the best by its held-out score: after a quick run on the built-in set these are the weights that come with the
# project, which were trained for several hours. The line under the next cell says what was chosen and names the others.

# %% tags=["parameters"]
RUN = ""  # for example "butterflies_ns_1"; empty: the best run on the pictures you trained on last, or the shipped one
OUT = "VAE"  # where runs live
DATASET = ""  # where the run's pictures are, if they have moved or the run came from another machine
KNOWN = 1000  # training pictures that codes are compared with; all of them would take a minute to encode

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
# ## There and back
# Each picture goes in as 3 × 128 × 128 = 49,152 bytes and comes back from 128 numbers. White in the last row means
# nothing was lost.

# %%
some = held_out[:10]
back = reconstruct(model, some)
figure = figures.show_reconstructions(some, back, psnr_of(back, some))
figures.save(figure, run.plots / "reconstructions.png")
figure

# %% [markdown]
# The differences trace edges and fine pattern: position and large shapes are cheap to write down and matter for many
# pixels, so they are kept; a thin line matters for few pixels and is dropped first. Colour over a whole area in the
# difference row is another failure: the InstanceNorm decoder has mistaken the overall tone (see the end of notebook
# 02).
#
# ## The best and the worst
# An average hides both. Here every held-out picture is scored and the extremes are shown.

# %%
rebuilt = reconstruct(model, held_out)
quality = psnr_of(rebuilt, held_out)
figures.show_histogram(quality, xlabel="PSNR of a held-out picture, dB", title=f"mean {quality.mean():.2f} dB")

# %% [markdown]
# The spread between pictures is several decibels wide, so a difference of half a decibel between two models means
# little for any one picture, though it can be real for the set.

# %%
ranked = np.argsort(-quality)
best = held_out[ranked[:8]]
figures.show_reconstructions(best, reconstruct(model, best), quality[ranked[:8]], "Best")

# %% [markdown]
# The easy ones are plain: soft backgrounds, broad areas, a typical pose.

# %%
worst = held_out[ranked[:-9:-1]]
figures.show_reconstructions(worst, reconstruct(model, worst), quality[ranked[:-9:-1]], "Worst")

# %% [markdown]
# The hard ones have strong contrast or fine pattern, or are unlike the rest; the model falls back on what it knows.
#
# PSNR compares pixel by pixel. **SSIM** compares local contrast and structure instead, so it forgives a wrong tone and
# resents a lost texture. The same question to it, the four best and the four worst:

# %%
likeness = ssim_of(rebuilt, held_out)
by_ssim = np.argsort(-likeness)[[0, 1, 2, 3, -4, -3, -2, -1]]
title = f"By SSIM, from {likeness.max():.2f} to {likeness.min():.2f}"
figures.show_reconstructions(held_out[by_ssim], rebuilt[by_ssim], title=title)

# %% [markdown]
# Where the two disagree on what is worst, look at the pictures and decide which of them you believe. Neither knows
# what a picture shows.
#
# ## Where in the picture?
# The error of each pixel, averaged over held-out pictures, beside the average picture and how much pictures vary
# there.

# %%
many = held_out[:256]
error = np.abs(rebuilt[:256].astype(float) - many).mean(axis=(0, 3))
variety = many.std(axis=0, dtype=float).mean(axis=2)
maps = [np.repeat(255 - 255 * m[..., None] / m.max(), 3, axis=2) for m in (error, variety)]
sheet = np.stack([many.mean(axis=0), maps[1], maps[0]]).astype(np.uint8)
figures.show_grid(sheet, captions=["average picture", "variety: dark is much", "error: dark is large"])

# %% [markdown]
# In a set with a plain ground, as the drawn one has, the error sits on the figure and the ground costs nearly nothing;
# photos with busy backgrounds spread it over the whole picture. In numbers, for sixteen regions, in grey levels of 255:

# %%
side = len(error) // 4
print(error.reshape(4, side, 4, side).mean(axis=(1, 3)).round(1))

# %% [markdown]
# An average over the whole picture, as PSNR is, is flattered by calm regions. Two models with the same PSNR may differ
# where you look.
#
# ## How the 128 numbers are used
# For each latent, the average KL over held-out pictures: what it tells the decoder about a picture, in nats. With the
# shipped weights:
#
# ![Nats of each latent, highest first](figures/latent_use.webp)

# %%
scores = evaluate(model, pictures.pictures, pictures.split.validation)
figures.show_latent_use(scores.summary)

# %% [markdown]
# The coloured ones are *active*: their mean moves by more than a hundredth (in variance) from picture to picture. The
# grey ones cost nothing and tell nothing; the decoder has learned to ignore them. A longer training turns more of them
# grey, and so does a larger β.
#
# ## Why μ and not a sample
# The encoder answers with a cloud, not a point. The first reconstruction uses its centre μ, the others random points
# in it.

# %%
one = held_out[:1]
drawn = [reconstruct(model, one), *(sample_posterior(model, one, seed) for seed in range(6))]
figures.show_grid(np.concatenate([one, *drawn]), captions=["original", "μ"] + [f"sample {i + 1}" for i in range(6)])

# %% [markdown]
# The samples differ a little, in details the code leaves open, and each is a bit worse than μ. For looking we want
# one answer, the same each time, so everything shown in these notebooks uses μ. Samples matter in training, where
# they teach the decoder that nearby codes mean nearly the same.
#
# ## What is kept, what is dropped
# Pixels don't say *what* is lost. So read each attribute off the codes of held-out pictures: how they were drawn, in a
# built-in set; brightness, warmth, position and so on, in a folder of photos. The regression that does it is a **chart**,
# which notebook 04 moves by. It is kept beside the run, so it is made only once.

# %%
chart, trust = chart_of_run(run, model, pictures)
figure = show_readout(trust, title="What the code knows of a picture it has never seen")
figures.save(figure, run.plots / "kept.png")
figure

# %% [markdown]
# Of the built-in butterflies nearly everything is in the code, and one thing is not: the hue of the pattern, whose spots and
# bands cover few pixels. No slider can move what was dropped, and no path can keep it.
#
# ## Pictures of nothing
# Codes that no picture was encoded to, painted. Four ways to choose them: the **prior** N(0, 1) on every latent; one
# Gaussian **fitted** to the codes of training pictures, the *aggregate posterior* (Ghosh 2020); a **mixture** of Gaussians;
# and the **chart**, attributes of one picture with the rest of another.
#
# ![Samples of four kinds and the verdict on each](figures/samples.webp)

# %%
known = pictures.split.train[:KNOWN]
known_mu, known_logvar = encode_pictures(model, pictures.pictures[known])
soundness = Soundness(model, held_out[:200]) if len(held_out) >= 20 else None
samples = samples_by_kind(model, known_mu, known_logvar, chart)
figure = show_samples(samples, soundness)
figures.save(figure, run.plots / "samples.png")
figure

# %% [markdown]
# Under each sample stands how much it changes when it is encoded and decoded once more, in units of what real pictures do:
# red is wreckage. The codes of real pictures don't fill the bell curve evenly, so much of what the prior draws belongs to no
# picture at all; the closer a kind keeps to where codes lie, the more of its samples pass. All four have the same decoder.
# Training changed nothing, so the difference is a flaw of the latent space, which a larger β makes smaller.
#
# ## Where it fails
# A model knows only its own world. What does it make of noise, of plain colours, of a picture turned on its head?

# %%
size, rng = model.config.image_size, np.random.default_rng(0)
noise = rng.integers(0, 256, (2, size, size, 3), dtype=np.uint8)
plain = np.full((3, size, size, 3), 255, np.uint8) * np.eye(3, dtype=np.uint8)[:, None, None]
strange = np.concatenate([noise, plain, held_out[:2, ::-1], held_out[2:4, :, :, ::-1]])
figures.show_reconstructions(strange, reconstruct(model, strange), psnr_of(reconstruct(model, strange), strange))

# %% [markdown]
# Noise becomes a washed-out something: it has no regularity to write down. Plain colours grow a ghost of the set's
# usual shape. An upside-down picture or one with red and blue exchanged is pulled towards what is usual. The model
# doesn't say "I don't know"; it always paints something.
#
# ## Can it be told?
# Two numbers might give a stranger away: a poor PSNR, and a code far from those of all training pictures. The
# distance is in units of how far a new picture of the set typically lies. As another set, the built-in faces (or
# butterflies, if this model knows the faces).

# %%
mu, _ = encode_pictures(model, held_out)
support = Support(known_mu, known_logvar, mu, scores.summary.active, known)
other = "butterflies" if pictures.name == "animals" else "animals"
drawn = render(sample_factors(other, 32), size, other)
groups = {
    "held-out": held_out[:64],
    "upside down": held_out[:64, ::-1],
    "blue for red": held_out[:64, ..., ::-1],
    f"built-in {other}": drawn,
    "noise": noise,
    "plain colours": plain,
}

# %% [markdown]
# The median of each group in both measures, and the share of it that lies further out than 95 of 100 held-out
# pictures.

# %%
far = np.quantile(support.held_out.distance, 0.95)
print(f"{'':<22}{'PSNR':>9}{'distance':>10}{'beyond':>9}")
for name, group in groups.items():
    distance = support.measure(encode_pictures(model, group)[0]).distance
    fidelity = np.median(psnr_of(reconstruct(model, group), group))
    print(f"{name:<22}{fidelity:>6.1f} dB{np.median(distance):>10.2f}{(distance > far).mean():>9.0%}")

# %% [markdown]
# By chance 5 % of the set's own pictures lie beyond. Neither number is a sure guard. A low PSNR is a warning sign
# that a picture is from outside, but a high one is no proof that it is from inside: see what exchanging red and blue
# does to it. And the encoder was never taught about strangers, so it may well put noise among its own.
#
# ---
# In this notebook we measured a model on pictures it had never seen, saw which details it drops, how few of its
# latents do the work, and how it fails. Next door: [04_traverse](04_traverse.ipynb), where we move.
