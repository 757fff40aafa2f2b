"""The smallest model that has every part, a short run of it, comparisons; here, since there are two conftest files."""

import numpy as np
import torch
from PIL import Image

from vae_helpers.model import VAEConfig
from vae_helpers.runs import read_scalars
from vae_helpers.settings import TrainConfig
from vae_helpers.train import fit

SMALL = VAEConfig(image_size=32, latent_dim=8, widths=(8, 16, 32))
QUICK = {"epochs": 2, "batch_size": 16, "pictures_every": 5}  # settings of a run of seconds


def small_photos(folder, count, size=64):
    """Write `count` smooth JPEG pictures, all different, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        coarse = np.random.default_rng(i).integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{i:03d}.jpg")


def _flat(value, where=""):
    """`{path: leaf}` of nested dictionaries and lists."""
    if isinstance(value, (dict, list, tuple)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return {path: leaf for key, inner in pairs for path, leaf in _flat(inner, f"{where}/{key}").items()}
    return {where: value}


def same_run(one, other):
    """Assert that two runs left equal tensors, numbers and logs; returns how many tensors were compared."""
    tensors = 0
    for file in ("last", "best"):
        a, b = (_flat(torch.load(getattr(run, file), weights_only=True)) for run in (one, other))
        assert a.keys() == b.keys()
        for key in a:
            tensor = isinstance(a[key], torch.Tensor)
            tensors += tensor
            assert torch.equal(a[key], b[key]) if tensor else a[key] == b[key], key
    a, b = read_scalars(one.tensorboard), read_scalars(other.tensorboard)
    assert a.keys() == b.keys()
    for name in a:
        assert np.array_equal(a[name][0], b[name][0])
        assert name == "images_per_second" or np.array_equal(a[name][1], b[name][1]), name
    return tensors


def fit_small(pictures, run, config=None, **options):
    """Train `SMALL` on the CPU, by the quick recipe with `QUICK` unless `config` says otherwise."""
    config = config if config or options.get("resume") else TrainConfig.quick(96, **QUICK)
    return fit(pictures, run, config, SMALL, device="cpu", progress=False, **options)


def equal_weights(one, other):
    """Whether two models hold equal weights and statistics."""
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values()))
