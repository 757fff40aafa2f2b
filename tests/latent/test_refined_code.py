import numpy as np
import pytest
import torch

from vae_helpers.data import to_float
from vae_helpers.errors import InputError
from vae_helpers.latent import Support, decode_codes, encode_pictures, reconstruct, refine
from vae_helpers.model import psnr_of, squared_error


@pytest.fixture
def model(trained):
    """The model trained for a few seconds."""
    return trained[1].model.eval()


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_what_is_said_of_a_refined_code_is_so_and_it_starts_from_mu(model, small_set, steps):
    for picture in (*small_set.pictures[:3], np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)):
        refined = refine(model, picture, steps)
        assert np.isclose(refined.psnr[0], psnr_of(reconstruct(model, picture[None]), picture[None])[0])
        assert np.isclose(refined.psnr[1], psnr_of(decode_codes(model, refined.code[None]), picture[None])[0])
        assert torch.equal(refined.start, encode_pictures(model, picture[None])[0][0])
        assert np.array_equal(refined.pictures, decode_codes(model, torch.stack([refined.start, refined.code])))
        assert np.isclose(refined.moved, (refined.code - refined.start).norm())


def test_it_finds_a_picture_that_the_decoder_can_draw(model):
    """The encoder's guess misses a drawn picture by a little; a few steps close most of the gap."""
    picture = decode_codes(model, 1.5 * torch.randn(1, 8, generator=torch.Generator().manual_seed(4)))[0]
    refined = refine(model, picture, 40)
    assert refined.psnr[1] > refined.psnr[0] + 1


def test_refining_goes_downhill_and_further_with_more_steps(model, small_set, monkeypatch):
    """On the objective it names, which the picture follows; its own way out, keeping the start, is not taken here."""
    x = to_float(small_set.pictures[:1])

    def objective(code):
        with torch.no_grad():
            return (squared_error(model.decode(code), x)[0] + 0.5 * code.square().sum()).item()

    tried = [refine(model, small_set.pictures[0], steps) for steps in (1, 5, 40)]
    costs = [objective(tried[0].start), *(objective(refined.code) for refined in tried)]
    assert costs == sorted(costs, reverse=True) and len(set(costs)) == 4
    assert all(refined.moved > 0 and refined.psnr[1] > refined.psnr[0] for refined in tried)
    minimised = []
    monkeypatch.setattr(
        "vae_helpers.latent.refined_code.minimise", lambda function, start, _: (minimised.append(function), start)[1]
    )
    refine(model, small_set.pictures[0], 1)
    for code in torch.randn(3, 8):
        assert minimised[0](code).item() == pytest.approx(objective(code), rel=1e-5)


def test_no_steps_only_measure(model, small_set):
    refined = refine(model, small_set.pictures[0], 0)
    assert refined.moved == 0 and refined.psnr[0] == refined.psnr[1] and torch.equal(refined.code, refined.start)


def test_a_start_that_cannot_be_bettered_is_kept(model, small_set, monkeypatch):
    monkeypatch.setattr("vae_helpers.latent.refined_code.minimise", lambda function, start, evaluations: start + 3)
    refined = refine(model, small_set.pictures[0], 5)
    assert refined.moved == 0 and torch.equal(refined.code, refined.start)


def test_it_says_how_far_from_the_training_set_it_lies(model, small_set):
    mu, logvar = encode_pictures(model, small_set.pictures[small_set.split.train])
    held_out, _ = encode_pictures(model, small_set.pictures[small_set.split.validation])
    support = Support(mu, logvar, held_out, rows=small_set.split.train)
    known = int(small_set.split.train[3])
    refined = refine(model, small_set.pictures[known], 0, support)
    assert refined.support.distance[0] < 1e-3 and refined.support.nearest[0] == known
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert refine(model, noise, 0, support).support.distance[0] > 1


def test_it_works_in_inference_mode_and_leaves_no_gradient(model, small_set):
    outside = refine(model, small_set.pictures[0], 5)
    with torch.inference_mode():
        inside = refine(model, small_set.pictures[0], 5)
    assert torch.equal(inside.code, outside.code) and inside.moved > 0
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda m, p: refine(m, p, -1), "0 or more"),
        (lambda m, p: refine(m, p[:16]), "image_size=32"),
        (lambda m, p: refine(m, p / 255), "uint8"),
    ],
)
def test_bad_input_gets_a_sentence(model, small_set, wrong, word):
    with pytest.raises(InputError, match=word):
        wrong(model, small_set.pictures[0])
