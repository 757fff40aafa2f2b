"""Explorers for a notebook, made of ipywidgets: pairs, latents, the map, the β dial.

`ExplorerData` holds what they show; each is an `Explorer` (frame.py), made of parts.py, gallery.py, meters.py. Of the
latent explorer the sliders are in axis_row.py, kinds of axes in axis_kinds.py, states in axis_state.py, directions in
by_hand.py."""

from vae_helpers.widgets.beta_dial import BetaDial, DialRun, runs_on
from vae_helpers.widgets.cells import CellRun, close_replaced, current_run
from vae_helpers.widgets.explorer_data import ExplorerData
from vae_helpers.widgets.latents import LatentExplorer
from vae_helpers.widgets.map import MapExplorer
from vae_helpers.widgets.pair import PairExplorer

__all__ = [
    "BetaDial",
    "CellRun",
    "DialRun",
    "ExplorerData",
    "LatentExplorer",
    "MapExplorer",
    "PairExplorer",
    "close_replaced",
    "current_run",
    "runs_on",
]
