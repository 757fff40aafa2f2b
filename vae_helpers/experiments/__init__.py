"""Runs side by side: the sweep over objectives, the plain loop and the comparison with it, packing of weights."""

from vae_helpers.experiments.memory import peak_memory
from vae_helpers.experiments.packing import command_of, pack
from vae_helpers.experiments.plain import PlainRecipe, PlainVAE, plain_fit, plain_step
from vae_helpers.experiments.report import BenchmarkSettings, benchmark_table, measure
from vae_helpers.experiments.speed import matrix, time_steps
from vae_helpers.experiments.sweeps import (
    OBJECTIVES,
    SWEEP_OPTIONS,
    SweepSettings,
    betas,
    by_score,
    medians,
    rate_distortion,
    sweep,
    sweep_table,
)
from vae_helpers.experiments.whole_runs import held_out, precision

__all__ = [
    "BenchmarkSettings",
    "OBJECTIVES",
    "PlainRecipe",
    "PlainVAE",
    "SWEEP_OPTIONS",
    "SweepSettings",
    "benchmark_table",
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
    "sweep_table",
    "time_steps",
]
