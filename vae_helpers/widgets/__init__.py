"""Explorers for a notebook, made of ipywidgets: pairs, latents, the map, the β dial."""

from vae_helpers.widgets.beta_dial import BetaDial, DialRun, runs_on
from vae_helpers.widgets.cells import CellRun, close_forsaken, current_run
from vae_helpers.widgets.latents import LatentExplorer
from vae_helpers.widgets.map import MapExplorer
from vae_helpers.widgets.pair import PairExplorer

__all__ = [
    "BetaDial",
    "CellRun",
    "DialRun",
    "LatentExplorer",
    "MapExplorer",
    "PairExplorer",
    "close_forsaken",
    "current_run",
    "runs_on",
]
