"""The smallest model that has every part; here, because pytest has two files called conftest to choose from."""

import numpy as np
from PIL import Image

from vae_helpers.model import VAEConfig

SMALL = VAEConfig(image_size=32, latent_dim=8, widths=(8, 16, 32))


def small_photos(folder, count, size=64):
    """Write `count` smooth JPEG pictures, all different, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        coarse = np.random.default_rng(i).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{i:03d}.jpg")
