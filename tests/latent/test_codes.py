import tracemalloc

import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import (
    LatentSummary,
    decode_codes,
    encode_pictures,
    lerp,
    pick_pairs,
    reconstruct,
    slerp,
    summarise,
    traversal_range,
    traverse,
    walk,
)
from vae_helpers.latent import codes as latent


@pytest.mark.parametrize("kind", ["lerp", "slerp"])
@pytest.mark.parametrize("steps", [2, 3, 12])
def test_ends_of_a_path_equal_the_reconstructions_bit_for_bit(small_model, noise_pictures, kind, steps):
    mu, _ = encode_pictures(small_model, noise_pictures[[0, 7]])
    path = walk(small_model, mu[0], mu[1], steps, kind)
    assert path.frames.shape == (steps, 32, 32, 3) and path.frames.dtype == np.uint8
    together = reconstruct(small_model, noise_pictures)
    assert np.array_equal(path.frames[0], together[0]) and np.array_equal(path.frames[-1], together[7])
    assert np.array_equal(path.frames[0], reconstruct(small_model, noise_pictures[:1])[0])


def test_a_set_is_never_in_memory_as_floats(small_model, monkeypatch):
    """Neither through `to_float` nor otherwise: what Python and NumPy hold, and the largest tensor of floats."""
    pictures = np.random.default_rng(0).integers(0, 256, (640, 32, 32, 3), dtype=np.uint8)
    sizes, convert = [], latent.to_float
    monkeypatch.setattr(latent, "to_float", lambda part, *device: sizes.append(len(part)) or convert(part, *device))
    encode_pictures(small_model, pictures[:40])  # what is made late is made now
    chunk = latent._ENCODE_CHUNK * pictures[0].nbytes
    tracemalloc.start()
    mu, _ = encode_pictures(small_model, pictures)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(sizes) == {latent._ENCODE_CHUNK} and len(mu) == 640
    assert peak < 2 * chunk + 200_000  # and some for the interpreter


def test_what_is_looked_at_uses_the_mean(small_model, noise_pictures):
    mu, _ = encode_pictures(small_model, noise_pictures)
    assert np.array_equal(reconstruct(small_model, noise_pictures), decode_codes(small_model, mu))


def test_lerp_by_hand():
    path = lerp(torch.tensor([0.0, 4.0]), torch.tensor([2.0, 0.0]), 5)
    assert torch.equal(path, torch.tensor([[0.0, 4.0], [0.5, 3.0], [1.0, 2.0], [1.5, 1.0], [2.0, 0.0]]))


def test_slerp_turns_evenly_and_interpolates_the_norm():
    path = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0]), 5)
    angles = torch.atan2(path[:, 1], path[:, 0])
    assert torch.allclose(angles, torch.linspace(0, torch.pi / 2, 5), atol=1e-6)
    assert torch.allclose(path.norm(dim=1), torch.linspace(1, 3, 5), atol=1e-6)


def test_slerp_keeps_its_ends_exactly_and_goes_straight_where_no_arc_exists():
    a, b = torch.randn(2, 16)
    path = slerp(a, b, 7)
    assert torch.equal(path[0], a) and torch.equal(path[-1], b)
    for other in (2 * a, -a, torch.zeros(16)):  # parallel, opposite, no direction
        assert torch.equal(slerp(a, other, 7), lerp(a, other, 7))


def test_slerp_turns_over_the_active_latents_only():
    a, b = torch.tensor([1.0, 0.0, 5.0]), torch.tensor([0.0, 1.0, 7.0])
    path = slerp(a, b, 3, active=np.array([0, 1]))
    assert torch.allclose(path[1], torch.tensor([0.5**0.5, 0.5**0.5, 6.0]))


def test_summary_of_known_codes():
    mu = torch.stack([torch.linspace(-1, 1, 100), torch.full((100,), 2.0), torch.zeros(100)], dim=1)
    logvar = torch.log(torch.tensor([0.25, 1.0, 1.0])).repeat(100, 1)
    summary = summarise(mu, logvar)
    variance = mu[:, 0].var(correction=0).item()
    assert summary.active.tolist() == [0]  # latent 1 costs 2 nats but never varies, latent 2 says nothing
    assert np.allclose(summary.kl, [0.5 * (variance + 0.25 - np.log(0.25) - 1), 2.0, 0.0], atol=1e-5)
    assert np.allclose(summary.mean, [0, 2, 0], atol=1e-6)
    assert np.allclose(summary.spread, [np.sqrt(variance + 0.25), 1, 1], atol=1e-5)


def test_active_latents_come_by_kl():
    summary = LatentSummary(
        kl=np.array([1.0, 9.0, 5.0, 7.0]), variance=np.array([1, 1, 0.001, 1.0]), mean=np.zeros(4), spread=np.ones(4)
    )
    assert summary.active.tolist() == [1, 3, 0]


def test_traversal_moves_one_latent_and_passes_through_the_picture(small_model, noise_pictures):
    code = encode_pictures(small_model, noise_pictures[:1])[0][0]
    frames = traverse(small_model, code, 3, np.array([-2.0, float(code[3]), 2.0]))
    assert np.array_equal(frames[1], reconstruct(small_model, noise_pictures[:1])[0])
    assert not np.array_equal(frames[0], frames[2])


def test_traversal_range_is_centred_on_the_data():
    summary = LatentSummary(np.ones(2), np.ones(2), mean=np.array([0.0, 5.0]), spread=np.array([1.0, 2.0]))
    assert traversal_range(summary, 1, 3, width=2.0).tolist() == [1.0, 5.0, 9.0]


def test_pairs_are_far_apart_and_use_each_picture_once(small_model, noise_pictures):
    noise_pictures[3], noise_pictures[8] = 0, 255
    pairs = pick_pairs(small_model, noise_pictures, 4)
    assert len(set(pairs.ravel())) == 8
    mu, _ = encode_pictures(small_model, noise_pictures)
    apart = [(mu[a] - mu[b]).norm().item() for a, b in pairs]
    assert apart == sorted(apart, reverse=True) and np.isclose(apart[0], torch.cdist(mu, mu).max().item(), rtol=1e-3)


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda m, p: traverse(m, torch.zeros(8), 8, np.zeros(2)), "0 to 7"),
        (lambda m, p: encode_pictures(m, p.astype(float)), "uint8"),
        (lambda m, p: encode_pictures(m, p[0]), "N, H, W, 3"),
        (lambda m, p: encode_pictures(m, p[:0]), "nothing to encode"),
        (lambda m, p: decode_codes(m, torch.zeros(0, 8)), "N at least 1"),
        (lambda m, p: decode_codes(m, torch.zeros(2, 7)), r"\(N, 8\)"),
        (lambda m, p: encode_pictures(m.train(), p), "eval"),
        (lambda m, p: pick_pairs(m, p[:1], 1), "two"),
        (lambda m, p: summarise(torch.zeros(0, 8), torch.zeros(0, 8)), "no pictures"),
    ],
)
def test_bad_input_gets_a_sentence(small_model, noise_pictures, wrong, word):
    with pytest.raises(InputError, match=word):
        wrong(small_model, noise_pictures)
