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
# # 01 · What will the model see?
# [![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/latent-space-traversal/beta-vae/blob/main/notebooks/01_data.ipynb)
#
# From a folder of pictures, or a set that draws itself, to batches of tensors a network can learn from.
#
# ![Sixteen butterflies, drawn by the package](figures/drawn.webp)
#
# **Reads** a folder of pictures, or nothing. **Writes** a cache of decoded pictures to `data/cache`.

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
# Then the pieces of the package that this notebook calls: pictures, how they are drawn, and figures.

# %%
import timeit

import numpy as np

from vae_helpers.data import SETS, batches, fetch, open_pictures, plan, read_picture, render, sample_factors
from vae_helpers.data import to_float, to_uint8
from vae_helpers.show import figures

# %% [markdown]
# **Parameters.** `DATASET` is where pictures come from. `"synthetic"` draws butterflies on the spot, so nothing needs
# to be downloaded; `"butterfly"` and `"animal"` are the folders `data/butterfly_data` and `data/Animals_data`; any
# other text is the path of a folder of your own, sub-folders included.

# %% tags=["parameters"]
DATASET = "synthetic"  # start here; then try a folder of your own
IMAGE_SIZE = 128  # side of the squares in pixels: 64 has a quarter of the pixels, 256 four times as many
FETCH = ""  # "drive" or "upload" on Colab; "butterfly" or "animal" downloads a set from Kaggle (with kagglehub)
LIMIT = None  # at most this many pictures; None takes all of a folder, 4,096 of a built-in set

# %% [markdown]
# The same names in the environment win over the cell above, so that a script can choose. `VAE_SMOKE=1` shrinks the
# run to seconds for the test suite and changes nothing else.

# %%
DATASET = os.environ.get("DATASET", DATASET)
if os.environ.get("VAE_SMOKE") == "1":
    IMAGE_SIZE, LIMIT = 32, 160

# %% [markdown]
# On a machine in the cloud pictures must get there first. `FETCH` mounts Google Drive (then name a folder below the one
# that is printed), takes an upload (a zip is unpacked), or downloads a public set; left empty, nothing happens.

# %%
if FETCH:
    fetched = fetch(FETCH)
    DATASET = str(fetched) if DATASET == "synthetic" else DATASET  # below Drive you name a folder of your own
    print(f"{fetched} is here, {DATASET} will be opened")

# %% [markdown]
# ## Open the pictures
# Opening decodes (or draws) every picture once, cuts the centre square out of it, shrinks it, and keeps the result as
# plain bytes in one file. The second time is instant, and training never touches a picture file again.

# %%
pictures = open_pictures(DATASET, image_size=IMAGE_SIZE, limit=LIMIT)
print(f"{len(pictures):,} pictures, {pictures.pictures.shape[1:]} bytes each, {len(pictures.skipped)} files skipped")

# %% [markdown]
# A file that cannot be read is skipped and listed with its reason in a text file beside the cache; if more than one in a
# hundred is bad, opening stops and says so. Here is what the model will look at:

# %%
figures.show_grid(pictures.pictures[:32], columns=8, title=f"The first 32 of {len(pictures):,} pictures")

# %% [markdown]
# Look for what varies. Every difference between two of these pictures is something the model must write down in its
# code, and what is the same everywhere costs it nothing.
#
# ## The average picture
# The crudest model of a set is its mean: the best single answer when you must guess without looking.

# %%
sample = pictures.pictures[:512].astype(float)
mean_and_spread = np.stack([sample.mean(axis=0), 2 * sample.std(axis=0)]).clip(0, 255).astype(np.uint8)
figures.show_grid(mean_and_spread, captions=["mean", "spread ×2"])

# %% [markdown]
# Where the spread is bright, pictures differ. A model that has learned nothing yet reconstructs everything as the
# grey ghost on the left, so remember that face: notebook 02 starts there.
#
# ## What was skipped, and what is there twice
# Two things spoil a set quietly: files that are no pictures, and pictures that are there twice. If one copy lands in
# training and the other is held out, the held-out score is a lie. A perceptual hash finds near-copies, also
# mirrored or resized ones, and they are kept on one side. The last lines, if any, count pictures whose embedded colour
# profile was converted to sRGB, or which are dark for their depth, and what else lies in the folder.

# %%
print(f"{len(pictures.skipped)} skipped", *[f"  {name}: {reason}" for name, reason in pictures.skipped[:5]], sep="\n")
print(f"{len(pictures.duplicates)} groups of near-duplicates", *pictures.remarks(), sep="\n")

# %% [markdown]
# The largest groups, if there are any, one row each. For drawn pictures expect none; for photos from the web, a few.

# %%
groups = sorted(pictures.duplicates, key=len, reverse=True)[:4] or [(0,)]
labels = [f"{len(group)} alike" if len(group) > 1 else "none found" for group in groups]
figures.show_rows([pictures.pictures[list(group[:8])] for group in groups], labels)

# %% [markdown]
# They are counted as one picture when the set is split below.
#
# ## Sets that know what they show
# The built-in pictures are drawn from a table of **factors** (hue, size, rotation and so on), each drawn at random and
# independent of the others. `sweep` takes one picture and changes one factor of it from end to end, like this:
#
# ![One factor a row, from one end to the other](figures/factors.webp)


# %%
def sweep(set_name: str, column: int, steps: int = 8) -> np.ndarray:
    """One picture with one factor changed from end to end: uint8 (steps, H, W, 3)."""
    rows = sample_factors(set_name, n=1, seed=4).repeat(steps, axis=0)
    factor = SETS[set_name][column]
    even = np.linspace(factor.low, factor.high, steps)
    rows[:, column] = np.arange(steps) % len(factor.choices) if factor.choices else even
    return render(rows, IMAGE_SIZE, set_name)


# %% [markdown]
# The butterflies first:

# %%
names = [factor.name for factor in SETS["butterflies"]]
figures.show_rows([sweep("butterflies", column) for column in range(len(names))], names, title="butterflies")

# %% [markdown]
# These rows are what a perfect latent space would find: one axis each, nothing else changing. The model never sees the
# table; in notebook 04 you can judge how close its own axes come. `DATASET = "animals"` picks the other set:

# %%
names = [factor.name for factor in SETS["animals"]]
figures.show_rows([sweep("animals", column) for column in range(len(names))], names, title="animals")

# %% [markdown]
# Species and coat are *categorical*: no picture is half cat, half bear. A latent axis is continuous, so it must
# jump or blend there, which is worth watching later.
#
# ## From bytes to numbers
# A network wants small numbers around zero: bytes 0…255 become `x / 127.5 - 1` in [-1, 1], and the colour channel moves
# to the front. The decoder ends in `tanh`, whose range is the same, so errors compare like with like.

# %%
x = to_float(pictures.pictures[:64])  # (64, H, W, 3) uint8 => (64, 3, H, W) float32
assert np.array_equal(to_uint8(x), pictures.pictures[:64])
figures.show_histogram(x.numpy(), xlabel="pixel value", title=f"{tuple(x.shape)}, from {x.min():.2f} to {x.max():.2f}")

# %% [markdown]
# The way back is exact: turning the tensor into bytes again gives the same pictures, so nothing below is lost to
# rounding or clipping.
#
# ## Training, validation, test
# A model can learn pictures by heart. So a tenth is held out for watching the training and another tenth for the very end.
# A hash of each file's name decides, so adding a photo tomorrow moves no other photo to the other side.

# %%
for part, rows in zip(pictures.split._fields, pictures.split):
    print(f"{part:<10} {len(rows):>6,} pictures")

# %% [markdown]
# Every number reported in these notebooks is measured on the held-out part unless it says otherwise.
#
# ## A batch, as training sees it
# Each epoch shuffles the pictures and mirrors every other one: a butterfly from the other side is still a butterfly, and
# the set seems twice as large. (Don't mirror writing, or hearts in chest X-rays.) Shuffle and mirror depend on the seed
# and the epoch alone, so a run can be repeated and resumed.

# %%
size = min(16, len(pictures.split.train))
batch = next(batches(pictures.pictures, plan(pictures.split.train, batch_size=size, seed=0, epoch=0)))
figures.show_grid(batch.numpy(), columns=8, title=f"One batch, {tuple(batch.shape)} {batch.dtype}")

# %% [markdown]
# The batch is still bytes: a quarter of the traffic of floats. The device that trains turns them into [-1, 1] itself.
#
# ## What augmentation does
# The same pictures in three epochs: another order, other pictures mirrored. Here they are put back in order to compare.


# %%
def seen_in(epoch: int) -> np.ndarray:
    """The first eight training pictures as this epoch shows them, mirrored or not."""
    turns = plan(pictures.split.train, size, seed=0, epoch=epoch)
    mirrored = {row for rows, flips in turns for row in rows[flips]}
    return np.stack([pictures.pictures[row][:, :: -1 if row in mirrored else 1] for row in pictures.split.train[:8]])


figures.show_rows([seen_in(epoch) for epoch in range(3)], ["epoch 1", "epoch 2", "epoch 3"])

# %% [markdown]
# A column shows one picture; about every other cell in it is mirrored. Nothing else is changed: a photo that is turned or
# recoloured is a *different* picture to a VAE, and costs it latents.
#
# ## What the cache saves
# How long do 64 pictures take from the cache, and how long if they had to be decoded (or drawn) again?

# %%
rows = pictures.split.train[:64]


def make_again() -> np.ndarray:
    """The same pictures without the cache: drawn from their factors, or decoded from their files."""
    if pictures.factors is not None:
        return render(pictures.factors[rows], IMAGE_SIZE, pictures.name)
    return np.stack([read_picture(Path(pictures.source) / pictures.names[row], IMAGE_SIZE) for row in rows])


seconds = [min(timeit.repeat(work, number=1, repeat=5)) for work in (make_again, lambda: pictures.pictures[rows])]
assert np.array_equal(make_again(), pictures.pictures[rows])
print(f"reading the cache is {seconds[0] / seconds[1]:.0f} times as fast as making the pictures again")

# %% [markdown]
# That factor comes back in every epoch, which is why training opens no picture file.
#
# ## Your own pictures
# Put them anywhere, for instance into `data/butterfly_data`, sub-folders welcome, and set `DATASET` above to that path.
# A few hundred photos of *one kind of thing*, roughly centred, are a good start: what all of them share costs the code
# nothing. If the folder is empty or holds no pictures, one sentence says so and what to do.
#
# ---
# In this notebook we opened a set of pictures, looked at what varies in it, split it honestly, and saw the batches that
# training will draw. Next door: [02_train](02_train.ipynb), where a network learns to write each picture down in 128 numbers.
