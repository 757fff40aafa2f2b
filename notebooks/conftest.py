"""Shrinks the notebooks for `pytest --nbval` and keeps their results away from yours."""

import os
import shutil
import tempfile

os.environ["VAE_SMOKE"] = "1"
for name in ("DATASET", "NS", "TAG"):
    os.environ.pop(name, None)
# The kernels inherit the environment, so notebook 03 finds what 02 trained.
os.environ["VAE_OUT"] = tempfile.mkdtemp(prefix="vae-notebooks-")


def pytest_unconfigure(config):
    shutil.rmtree(os.environ["VAE_OUT"], ignore_errors=True)
