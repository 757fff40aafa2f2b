"""Explorers for a notebook: between two pictures, along the latents that carry something, on a map, and across runs.

A cell is just `PairExplorer(model, pictures, names, summary)`. Every control is an attribute with a `value`, so a cell
can drive an explorer too: `explorer.frame.value = 3`. How they are built: `explorer` (model, lock, status line), then
`widget_parts` (thumbnails, captions, looks), then a room per explorer: `pair_picker` under `pair_explorer` and
`beta_dial`; `latent_row`, `latent_state` and `own_photo` inside `latent_explorer`; `map_explorer` over a pair explorer.
`cells` closes what a cell showed before it was run again.
"""

from vae_helpers.beta_dial import BetaDial, DialRun, runs_on
from vae_helpers.latent_explorer import LatentExplorer
from vae_helpers.map_explorer import MapExplorer
from vae_helpers.pair_explorer import PairExplorer

__all__ = ["BetaDial", "DialRun", "LatentExplorer", "MapExplorer", "PairExplorer", "runs_on"]
