"""Numbers about a model: held-out loss, picture quality, likelihood bounds, disentanglement."""

from vae_helpers.scores.bounds import bits_per_dimension, bounds_of, latent_parts, likelihood, log_importance_weights
from vae_helpers.scores.disentanglement import concentration, dci, discretise, mig, modularity, sap
from vae_helpers.scores.drawability import BestPictures, drawability, share_drawable
from vae_helpers.scores.evaluation import QUICK, ScoreOptions, evaluate_run
from vae_helpers.scores.held_factor import (
    FactorSampler,
    GroupedCodes,
    beta_vae_score,
    factor_vae_score,
    uniform_factors,
)
from vae_helpers.scores.held_out import Scores, evaluate
from vae_helpers.scores.judge import CODE, PICTURE, PIXEL, Judge, PictureReader, score_of
from vae_helpers.scores.picture_quality import (
    Distances,
    distances,
    load_inception,
    load_lpips,
    lpips_of,
    ms_ssim_of,
    ssim_of,
)
from vae_helpers.scores.run_chart import chart_of_run, make_chart
from vae_helpers.scores.run_page import content_of_run
from vae_helpers.scores.score_report import headline, log_scores, save_scores, score_table
from vae_helpers.scores.traversal_quality import drawability_by_kind, frames_by_kind, traversal_quality
from vae_helpers.scores.trust import Measured, measure_trust, measured_by, spread_rows, trust_lines, trust_of
from vae_helpers.scores.what_moves import what_moves

__all__ = [
    "BestPictures",
    "CODE",
    "Distances",
    "FactorSampler",
    "GroupedCodes",
    "Judge",
    "Measured",
    "PICTURE",
    "PIXEL",
    "PictureReader",
    "QUICK",
    "ScoreOptions",
    "Scores",
    "beta_vae_score",
    "bits_per_dimension",
    "bounds_of",
    "chart_of_run",
    "concentration",
    "content_of_run",
    "dci",
    "discretise",
    "distances",
    "drawability",
    "evaluate",
    "evaluate_run",
    "factor_vae_score",
    "frames_by_kind",
    "headline",
    "latent_parts",
    "likelihood",
    "load_inception",
    "load_lpips",
    "log_importance_weights",
    "log_scores",
    "lpips_of",
    "make_chart",
    "measure_trust",
    "measured_by",
    "mig",
    "modularity",
    "ms_ssim_of",
    "sap",
    "save_scores",
    "score_of",
    "score_table",
    "spread_rows",
    "share_drawable",
    "ssim_of",
    "drawability_by_kind",
    "traversal_quality",
    "trust_lines",
    "trust_of",
    "uniform_factors",
    "what_moves",
]
