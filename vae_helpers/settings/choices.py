"""The names that settings choose from, apart from what they name: the shell refuses others before torch is loaded."""

from __future__ import annotations

BUILT_IN = {"synthetic": "butterflies", "butterflies": "butterflies", "animals": "animals"}  # sets that are drawn
DECODER_NORMS = ("instance", "adaptive", "batch")
OBJECTIVES = ("beta", "capacity", "tc", "tc-stratified", "factor", "dip-1", "dip-2", "info", "ada", "middle")
PAIRS = ("factors", "labels", "views")  # what two pictures of a pair have in common, for the objective "ada"
LIKELIHOODS = ("gaussian", "calibrated", "calibrated-each", "laplace", "bernoulli", "continuous-bernoulli", "ssim")
OPTIMIZERS = ("adam", "muon")
SCHEDULES = ("thirds", "one-cycle")
BETA_SCHEDULES = ("linear", "constant", "cyclical", "cosine")
METHODS = ("lerp", "slerp", "geodesic", "known", "chart")  # kinds of path between two pictures
PARTS = ("validation", "test")
BENCHMARK_PARTS = ("steps", "memory", "end-to-end", "learning", "precision", "matrix")  # the last two only if asked for
ENDINGS = (".png", ".gif", ".webp", ".mp4", ".html")  # what `save_frames` can write
