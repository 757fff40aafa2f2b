"""Runs side by side: the sweep over objectives, the plain loop and the comparison with it, packing of weights."""

from vae_helpers.experiments.packing import command_of, pack
from vae_helpers.experiments.plain import PlainVAE, plain_fit, plain_step
from vae_helpers.experiments.report import measure, table
from vae_helpers.experiments.speed import matrix, time_steps
from vae_helpers.experiments.sweep import EFFORT, OBJECTIVES, betas, by_score, medians, rate_distortion, sweep, table
from vae_helpers.experiments.whole_runs import held_out, peak_memory, precision

__all__ = [
    "EFFORT",
    "OBJECTIVES",
    "PlainVAE",
    "betas",
    "by_score",
    "command_of",
    "held_out",
    "matrix",
    "measure",
    "medians",
    "pack",
    "peak_memory",
    "plain_fit",
    "plain_step",
    "precision",
    "rate_distortion",
    "sweep",
    "table",
    "time_steps",
]
