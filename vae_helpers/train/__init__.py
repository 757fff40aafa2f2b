"""Training: the recipe, the loop, one process or many, a run that ends cleanly and goes on.

Start at `fit` with a `TrainConfig`; `launch` does the same on all GPUs from a notebook."""

from vae_helpers.train.batches import Batch, feed, noise_for, on_device, resident
from vae_helpers.train.compiling import can_compile, compile_network, decide_compile, describe_engine, hardware
from vae_helpers.train.guard import Guard
from vae_helpers.train.interrupt import Stop
from vae_helpers.train.launch import launch
from vae_helpers.train.loop import Fit, fit
from vae_helpers.train.pace import TOUR_LOOKS, Pace, Speed, TimeLeft, looks_after, measure, seconds_for
from vae_helpers.train.processes import World, open_world, synchronise_batch_norm
from vae_helpers.train.state import begun, claimed, fresh, kept_config, resumed, save_best, save_last

__all__ = [
    "Batch",
    "Fit",
    "Guard",
    "Pace",
    "Speed",
    "Stop",
    "TOUR_LOOKS",
    "TimeLeft",
    "World",
    "begun",
    "can_compile",
    "claimed",
    "compile_network",
    "decide_compile",
    "describe_engine",
    "feed",
    "fit",
    "fresh",
    "hardware",
    "kept_config",
    "launch",
    "looks_after",
    "measure",
    "noise_for",
    "on_device",
    "open_world",
    "resident",
    "resumed",
    "save_best",
    "save_last",
    "seconds_for",
    "synchronise_batch_norm",
]
