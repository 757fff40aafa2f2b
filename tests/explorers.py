"""What the explorers' tests share: pictures, a model, a summary with a known order, and how to watch an explorer."""

import ipywidgets as widgets
import numpy as np
import torch

from vae_helpers.data import Attribute, Attributes
from vae_helpers.latent import LatentSummary, encode_pictures, summarise
from vae_helpers.model import BetaVAE, VAEConfig

LATENTS = 8
NAMES = [f"set/{i:06d}" for i in range(30)]


def some_pictures(count=30, seed=0):
    """Smooth random pictures: colour patches of 8×8 pixels."""
    patches = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return patches.repeat(8, axis=1).repeat(8, axis=2)


def some_model(seed=0):
    """An untrained model for them, in eval mode."""
    torch.manual_seed(seed)
    return BetaVAE(VAEConfig(image_size=32, latent_dim=LATENTS)).eval()


def some_summary(model, pictures):
    """As measured on the pictures, but with KLs that give a known order and two inactive latents."""
    measured = summarise(*encode_pictures(model, pictures))
    kl = np.array([0.5, 3.0, 0.0, 2.0, 1.0, 0.1, 0.2, 4.0])
    return LatentSummary(kl, np.where(kl < 0.15, 0.0, 1.0), measured.mean, measured.spread)


def some_attributes(codes):
    """Attributes that codes hold: a number, a circle and a category of three."""
    z = np.asarray(codes, np.float64)
    angle = np.arctan2(z[:, 3] - z[:, 3].mean(), z[:, 4] - z[:, 4].mean()) / (2 * np.pi) % 1
    kind = np.digitize(z[:, 7], np.quantile(z[:, 7], [0.3, 0.7])).astype(float)
    table = (
        Attribute("size", "pixels", "number", z[:, 1].min(), z[:, 1].max()),
        Attribute("hue", "of the colour circle", "circular", 0.0, 1.0),
        Attribute("pattern", "", "category", 0.0, 2.0, ("plain", "spots", "stripes")),
    )
    return Attributes(np.stack([z[:, 1], angle, kind], axis=1), table)


def count_draws(explorer, stage):
    """A list that grows by one whenever the stage is drawn."""
    drawn, original = [], getattr(explorer, f"_draw_{stage}")
    setattr(explorer, f"_draw_{stage}", lambda: (drawn.append(stage), original()))
    return drawn


def is_error(explorer):
    return "vae-error" in explorer.status.value


def find_buttons(widget):
    """Every button inside."""
    inside = [b for child in getattr(widget, "children", ()) for b in find_buttons(child)]
    return [widget, *inside] if isinstance(widget, widgets.Button) else inside


def everything(widget):
    """A widget and all inside it."""
    return [widget, *(w for child in getattr(widget, "children", ()) for w in everything(child))]
