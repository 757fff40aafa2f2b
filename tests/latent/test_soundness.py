"""The re-encode error: what it is, where its marks lie, and that it tells wreckage on the shipped weights."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.latent import (
    BROKEN,
    DOUBTFUL,
    SOUND,
    Soundness,
    decode_codes,
    encode_pictures,
    pick_pairs,
    reconstruct,
    reencode_error,
)
from vae_helpers.runs import Run, load_run
from vae_helpers.settings import SHIPPED_RUNS


def smooth(count, seed=0):
    patches = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return patches.repeat(8, axis=1).repeat(8, axis=2)


def test_the_error_is_that_of_a_second_round(small_model):
    frames = smooth(5)
    by_hand = np.square(reconstruct(small_model, frames).astype(float) - frames).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(reencode_error(small_model, frames), by_hand, rtol=0.01)  # before and after rounding


def test_marks_are_the_pictures_own_quantiles(small_model):
    pictures = smooth(40)
    sound = Soundness(small_model, pictures)
    error = np.sort(reencode_error(small_model, pictures))
    assert sound.typical == np.median(error)
    np.testing.assert_allclose(sound.marks, np.quantile(error, [0.95, 0.99]) / np.median(error))
    levels = sound.judge(pictures).level
    assert (levels == SOUND).mean() == 0.95 and (levels == BROKEN).sum() == 1 and (levels == DOUBTFUL).sum() == 1


def test_odd_input(small_model):
    with pytest.raises(InputError, match="at least 20"):
        Soundness(small_model, smooth(19))
    for frames in (smooth(1)[0], smooth(1).astype(float), smooth(1)[:, :16], smooth(0)):
        with pytest.raises(InputError, match="uint8"):
            reencode_error(small_model, frames)
    with pytest.raises(InputError, match="eval"):
        reencode_error(small_model.train(), smooth(1))


def test_shipped_weights_red_means_wreckage_and_green_does_not(tmp_path):
    run = SHIPPED_RUNS[1]  # the other was trained so that straight middles hold
    model, _ = load_run(Run(run, Path(__file__).resolve().parents[2] / "VAE"))
    pictures = open_pictures("butterflies", 128, limit=1024, cache_dir=tmp_path, progress=False)
    held_out = pictures.pictures[pictures.split.validation]
    sound = Soundness(model, held_out[:60])
    assert (sound.judge(held_out[60:]).level == SOUND).mean() >= 0.9  # of pictures that set no mark
    mu, _ = encode_pictures(model, held_out)
    far = pick_pairs(model, held_out, 8)
    broken = sound.judge(decode_codes(model, mu[far].mean(dim=1))).level == BROKEN
    assert broken.any()
    one, other = mu[far[broken.argmax()]]
    levels = sound.judge(decode_codes(model, torch.lerp(one, other, torch.linspace(0, 1, 5)[:, None]))).level
    assert levels[2] == BROKEN and levels[0] == levels[-1] == SOUND
    better = pick_pairs(model, held_out, 2, sound)
    assert (sound.judge(decode_codes(model, mu[better].mean(dim=1))).level == SOUND).all()
