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
# # 02 · How does it learn, and is it learning?
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/latent-space-traversal/beta-vae/blob/main/notebooks/02_train.ipynb)
#
# A β-VAE from its objective to a trained model, with the curves that tell whether to trust it.
#
# ![Originals, reconstructions and what is lost](figures/reconstructions.webp)
#
# **Reads** the pictures of notebook 01. **Writes** `VAE/models`, `VAE/tensorboard` and `VAE/generated_images`, one
# sub-folder a run.

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
# Then the pieces: pictures, the model, its loss, and training.

# %%
import inspect

import torch

from vae_helpers.data import attributes_of, name_of, open_pictures
from vae_helpers.latent import Chart, Soundness, encode_pictures, reconstruct, samples_by_kind
from vae_helpers.model import BetaVAE, VAEConfig, beta_vae_loss
from vae_helpers.runs import Run, how_to_see, load_checkpoint, read_scalars, run_name
from vae_helpers.settings import QUICK_PICTURES, TrainConfig, learning_rate
from vae_helpers.show import figures, show_samples
from vae_helpers.train import TimeBudget, fit, open_processes, train_step

# %% [markdown]
# **Parameters.** With `QUICK` the run takes about `MINUTES`: this machine is timed, and the pictures' size and the number of
# epochs follow from that. Without it, it is the full specification: 250 epochs, batch 128, learning rate 0.005 halved at
# each third; that wants a GPU.

# %% tags=["parameters"]
DATASET = "synthetic"  # as in notebook 01: a built-in set, "butterfly", "animal", or a folder of your own
QUICK = True  # False: the full 250 epochs
MINUTES = None  # for a quick run; None: 5, and no more epochs than it takes to see 20,000 pictures, at most 40
BETA = 1.0  # weight of the KL; above 1 fewer latents carry more meaning and pictures get blurrier
NS = 1  # latent samples per picture and step; more is slower and steadier
DECODER_NORM = "adaptive"  # the specification's is "instance"; the end of this notebook shows what that costs
TAG = ""  # tells two runs on the same pictures apart
OUT = "VAE"  # where results go

# %% [markdown]
# The environment wins over that cell, and `VAE_SMOKE=1` shrinks the run for the test suite.

# %%
DATASET, TAG = os.environ.get("DATASET", DATASET), os.environ.get("TAG", TAG)
NS, OUT = int(os.environ.get("NS", NS)), os.environ.get("VAE_OUT", OUT)
SMOKE = os.environ.get("VAE_SMOKE") == "1"
size, limit = (32, 160) if SMOKE else (128, None)
run = Run(run_name(name_of(DATASET), NS, TAG), OUT)
TIMED = QUICK and not SMOKE
if TIMED:
    usual = VAEConfig(image_size=size, latent_dim=128, decoder_norm=DECODER_NORM)
    budget = TimeBudget(run, MINUTES, open_processes())
    size = budget.choose_size(usual, TrainConfig.quick(QUICK_PICTURES, num_samples=NS)).image_size
pictures = open_pictures(DATASET, image_size=size, limit=limit)
figures.show_grid(pictures.pictures[:16], columns=8, title=f"{pictures.name}: {len(pictures):,} pictures")

# %% [markdown]
# ## What is a VAE?
# Imagine that every picture $x$ was made in two steps: draw a short list of numbers $z$ from a bell curve, then paint $x$
# from $z$. The list is the **latent code**. A *decoder* network learns to paint, $p(x|z)$; an *encoder* network learns to
# guess which codes could have led to a picture, and says so with a mean $\mu$ and a spread $\sigma$ for each number:
# $q(z|x) = \mathcal N(\mu, \sigma^2)$.
#
# Saying "about here, give or take" instead of "exactly here" is the whole trick. Neighbouring codes must paint similar
# pictures, so the space between two pictures fills up with plausible ones, and one can walk through it (notebook 04).

# %%
model = BetaVAE(VAEConfig(image_size=size, latent_dim=128, decoder_norm=DECODER_NORM))
model

# %% [markdown]
# Five convolution blocks halve the picture, 128 => 64 => 32 => 16 => 8 => 4, while the channels grow to 512; two linear heads
# give $\mu$ and $\log\sigma^2$. The decoder goes the same way back: upsample, convolve, normalise, five times.
#
# ## The objective, and where each term comes from
# We want pictures to be likely under the model: $\log p(x)$ large. That needs an integral over every code, which nobody
# can do. But for *any* guess $q(z|x)$,
#
# $$\log p(x) \;\ge\; \underbrace{\mathbb E_{q(z|x)}\big[\log p(x|z)\big]}_{\text{how well codes from } q \text{ repaint } x}
# \;-\; \underbrace{\mathrm{KL}\big(q(z|x)\,\|\,p(z)\big)}_{\text{how much } q \text{ says beyond the bell curve}}$$
#
# The right side is the **evidence lower bound**, the ELBO. The gap is the error of our guess; so pushing the bound up
# improves painter and guesser together. Training minimises its negative, with a weight β on the second term
# (Higgins 2017): reconstruction + β·KL. In code:

# %%
print(inspect.getsource(beta_vae_loss))

# %% [markdown]
# Both terms are sums, over the pixels and over the latents, averaged over pictures only, and measured in nats. (Averaging over
# pixels instead is a common slip: it multiplies β by tens of thousands behind your back.)
#
# **Reconstruction.** If the painter's brush has Gaussian noise of variance ½ on [-1, 1] pixels, $-\log p(x|z)$ is the plain
# sum of squared errors plus a constant.
#
# **KL.** The price in nats of telling the decoder which $z$ was meant. For one latent it has a closed form:

# %%
figures.show_gaussians(mu=1.2, sigma=0.4)

# %% [markdown]
# Move the mean away from 0 or make the curve narrower and the price goes up. A latent that says nothing, $\mu=0,\sigma=1$,
# is free. So each latent must earn its keep: what it tells must save more squared error than it costs.
#
# ## How a gradient gets through a dice roll
# $z$ is drawn at random, and one cannot differentiate a dice roll. The **reparameterisation trick** rolls the dice
# beforehand, $\varepsilon \sim \mathcal N(0, 1)$, and computes $z = \mu + \sigma\varepsilon$: now $z$ is an ordinary
# function of $\mu$ and $\sigma$.

# %%
mu, logvar = torch.zeros(1, 3, requires_grad=True), torch.zeros(1, 3, requires_grad=True)
noise = torch.tensor([[[1.0, -2.0, 0.5]]])
z = BetaVAE.reparameterize(mu, logvar, noise)
z.sum().backward()
assert torch.equal(mu.grad, torch.ones(1, 3)) and torch.allclose(logvar.grad, noise[0] / 2)

# %% [markdown]
# The gradient for $\mu$ is 1, and for $\log\sigma^2$ it is $\varepsilon/2$: the dice are constants now, and the encoder can learn
# from them. The check in the cell would fail otherwise.
#
# ## The untrained model
# Before training, a look at where it starts. Codes mean nothing yet, so everything is reconstructed as the same fog.

# %%
originals = pictures.validation[:10]
figures.show_rows([originals, reconstruct(model.eval(), originals)], ["original", "untrained"])

# %% [markdown]
# ## The recipe
# A learning rate of 0.005 with PyTorch's usual initialisation makes the KL explode in the first epoch. Five things tame it:
# weights that start with $\mu$ in the open and $\sigma$ small, a rate that warms up, a β that warms up, clipped
# gradients, and a softly bounded $\log\sigma^2$. The quick recipe
# also takes small batches, one rise and fall of the rate ("one cycle"), and from 200 pictures on **Muon** in Adam's place
# (Jordan 2024): it turns the step of each kernel so that all its directions move by about as much. Each teaches more in
# few epochs.

# %%
settings = {"beta": BETA, "num_samples": NS} | ({"epochs": 15} if SMOKE else {})
if TIMED:
    config = TimeBudget(run, MINUTES, open_processes()).choose_length(pictures, model.config, **settings)
else:
    config = TrainConfig.quick(len(pictures.split.train), **settings) if QUICK else TrainConfig(**settings)
progress = [i / 400 for i in range(400)]
rates = [learning_rate(config, p) for p in progress]
figures.show_curves({"rate": (progress, rates)}, "share of the run", "learning rate")

# %% [markdown]
# ## A step
# A run repeats one step: take a batch, draw noise, encode and decode, weigh the two terms, follow the gradient. All of it, in
# the code that `fit` calls:

# %%
print(inspect.getsource(train_step))

# %% [markdown]
# What is unusual in it: each half's gradient is clipped by itself, so that a burst in the encoder does not stop the decoder; and
# a step shared by several GPUs is weighted so that it equals the same step on one.
#
# ## Train
# The bar shows both terms in nats per picture. Stop it whenever you like (■ or Ctrl-C): the step in hand ends, a
# checkpoint is written, and running the cell again goes on from there. A finished run is only loaded, so nothing is
# ever trained twice or overwritten; for a fresh start choose another `TAG`.

# %%
result = fit(pictures, run, config, model.config, resume=run.exists())
print(
    f"{run.name}: held-out PSNR {result.scores.psnr:.2f} dB, KL {result.scores.kl:.0f} nats, "
    f"{result.scores.active_units} of {model.config.latent_dim} latents active"
)

# %% [markdown]
# PSNR says how close reconstructions of held-out pictures come, in decibels: +6 dB halves the error, and 20 dB is where
# pictures become easy to recognise. *Active* latents are those whose mean really differs from picture to picture.
#
# ## Is it learning?
# The same numbers that TensorBoard shows, read from the same file. So it looked when the weights that come with the project
# got their last 12 epochs, which began with those of an earlier run (`--start-from`) and were scored every third epoch:
#
# ![Loss curves of the shipped weights](figures/losses.webp)

# %%
log = read_scalars(run.tensorboard)
figures.show_losses(log)

# %% [markdown]
# **Reconstruction** should fall and flatten. **KL** starts high, while the warm-up of β makes it cheap, and falls to what
# still pays. When the orange
# (held-out) curve turns up while the grey one falls, it has begun to learn its training pictures by heart; then more
# pictures help, and more epochs don't. A KL that falls to 0 is *collapse*: the decoder ignores the code, β is too large.
#
# Pictures say more than curves. Reconstructions of held-out pictures by the finished model:

# %%
figures.show_rows([originals, reconstruct(result.model, originals)], ["original", "reconstruction"])

# %% [markdown]
# Shape, place and large patches of colour come back; fine pattern doesn't. That blur is not a bug of the plot: when
# several details are possible for one code, their average has the smallest squared error, and an average is blurry.
#
# Now pictures of nothing at all. The bell curve N(0, 1), the **prior**, is where codes were meant to lie. In what a run keeps
# every latent is shifted and scaled to that mean and variance, which changes no picture; how latents hang together can
# be learnt from the training pictures: by one Gaussian **fitted** to their codes, by a **mixture** of several, or by a
# regression of codes on what is known of each picture, its **chart** (notebook 04 moves by one).

# %%
rows = pictures.split.train[:2048]
codes = encode_pictures(result.model, pictures.pictures[rows])
chart = Chart.fit(codes[0], attributes_of(pictures).rows(rows))
soundness = Soundness(result.model, pictures.validation[:200]) if len(pictures.validation) >= 20 else None
show_samples(samples_by_kind(result.model, *codes, chart), soundness)

# %% [markdown]
# The number under a sample says how much it changes when it is encoded and decoded again; red ones change more than 99 of 100
# real pictures, because the model itself doesn't take them for pictures. All rows come from the same decoder: what fails in
# the first is the assumption about codes, not the painting. How far the first row lies behind the last is what a longer
# training, or a larger β, has yet to close.
#
# ## TensorBoard
# The log also holds learning rate, gradient norms and the picture sheets over time.

# %% tags=["nbval-skip"]
os.environ["TENSORBOARD_BINARY"] = str(Path(sys.executable).with_name("tensorboard"))
# %load_ext tensorboard
# %tensorboard --logdir {run.tensorboard.parent}

# %% [markdown]
# If your browser or proxy blocks that frame, the figure above shows the same scalars.
#
# ## A checkpoint stands alone
# The file holds weights and a description of the model, as plain data without code; any machine can rebuild the model
# from it, with or without a GPU.

# %%
again, saved = load_checkpoint(run.best)
assert (reconstruct(again, originals) == reconstruct(result.model.cpu(), originals)).all()
saved["config"]

# %% [markdown]
# ## What InstanceNorm costs
# The specified decoder normalises each channel of each picture to mean 0 (InstanceNorm). That removes exactly what a
# plain background is: the same amount everywhere. The network must smuggle overall colour past the norm in the *shape* of
# its features, and early in training it fails: backgrounds come back in the wrong colour. Two ways out, by
# `DECODER_NORM`: `"batch"` normalises over the whole batch instead, `"adaptive"` lets $z$ set each channel's scale and
# shift afterwards.
#
# Measured, held-out PSNR after 20,000 pictures seen with the quick recipe and Adam, one seed each, on a CPU. The scale of the output
# layer's first weights was chosen per norm on these same held-out pictures, so read differences of 0.3 dB as ties:
#
# | `DECODER_NORM` | 2,048 butterfly photos × 10 epochs | drawn butterflies × 6 epochs |
# |---|---|---|
# | `"instance"` | 16.6 dB | 19.7 dB |
# | `"adaptive"` | 16.9 dB | 20.6 dB |
# | `"batch"` | 17.4 dB | 20.1 dB |
#
# Stay with `"instance"` to reproduce the specification, or for long runs. Take `"adaptive"` or `"batch"` when time is short
# and colour matters.
#
# ## What β does
# β is the exchange rate between nats of KL and squared error. At 0 the model is a plain autoencoder: sharp, but its
# space has holes. Higher β makes each latent dearer: fewer stay active, each must matter more, neighbours blur together. Try
# `BETA = 8` with `TAG = "beta8"` and compare by notebook 04's dial.
#
# Which β is that? One against Σ(x-x̂)² on [-1, 1] pixels, summed over pixels and latents. Against ½Σ(x-x̂)² on [0, 1] pixels,
# as in pythae, the same trade-off is called β/8; `vae_helpers.model.translate_beta` knows the conventions of other code bases too.
# Objectives other than this one, and what they do to single latents, are in [05_disentangle](05_disentangle.ipynb).
#
# ## What opens next
# Without a name notebooks 03 and 04 take the best run on these pictures by its held-out score, which need not be this one.

# %%
print(how_to_see(run))

# %% [markdown]
# The name goes into the first cell of each.
#
# ---
# In this notebook we built the objective from its two terms, trained a model, and looked at what it learned and what it
# didn't. Next door: [03_reconstruct](03_reconstruct.ipynb), where we measure what it kept and what it dropped.
