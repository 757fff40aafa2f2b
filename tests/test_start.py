"""What is not needed to start is not loaded to start."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
HEAVY = ("torchmetrics", "sklearn", "scipy", "matplotlib.pyplot")  # one of them cost more than all else but torch


def test_explorers_and_training_load_no_library_that_only_scores_or_figures_need():
    look = f"import sys, vae_helpers.widgets, vae_helpers.train; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(PROJECT)}
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
