"""Explorers for a notebook: between two pictures, and along the latents that carry something.

A cell is just `PairExplorer(model, pictures, names, summary)`. Every control is an attribute with a `value`, so a cell
can drive an explorer too: `explorer.frame.value = 3`. How they are built: `explorer` (model, lock, status line), then
`widget_parts` (thumbnails, captions, looks), then `pair_explorer` and `latent_explorer`.
"""

from vae_helpers.latent_explorer import LatentExplorer
from vae_helpers.pair_explorer import PairExplorer

__all__ = ["LatentExplorer", "PairExplorer"]
