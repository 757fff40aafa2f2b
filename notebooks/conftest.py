"""Shrinks the notebooks for `pytest --nbval` and keeps their results away from yours."""

import os
import shutil
import tempfile

import pytest

os.environ["VAE_SMOKE"] = "1"
for name in ("DATASET", "NS", "TAG", "RUN"):
    os.environ.pop(name, None)
# The kernels inherit the environment, so notebook 03 finds what 02 trained.
os.environ["VAE_OUT"] = tempfile.mkdtemp(prefix="vae-notebooks-")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """Notebooks 03 and 04 take the small run of 02 where that runs before them, not the better shipped one.

    Only while a notebook runs: other tests start notebooks of their own, and inherit the environment too.
    """
    if any("02_train" in str(each.path) for each in item.session.items):
        os.environ["RUN"] = "butterflies_ns_1"
    yield
    os.environ.pop("RUN", None)


def pytest_unconfigure(config):
    shutil.rmtree(os.environ["VAE_OUT"], ignore_errors=True)
