"""The smallest model that has every part; here, because pytest has two files called conftest to choose from."""

from vae_helpers.model import VAEConfig

SMALL = VAEConfig(image_size=32, latent_dim=8, widths=(8, 16, 32))
