"""A packed decoder draws what the model draws, for every norm, size and output."""

import numpy as np
import pytest
import torch
from pages import some_decoder

from vae_helpers.errors import InputError
from vae_helpers.show import decode_packed, pack_decoder, unpacked

KINDS = [
    (16, "adaptive", "tanh", None),
    (32, "instance", "langevin", None),
    (32, "batch", "tanh", (12, 20, 30)),  # no multiples of 8
    (64, "adaptive", "langevin", (9, 8, 16, 24)),
]


@pytest.mark.parametrize("size, norm, output, widths", KINDS)
def test_what_is_packed_draws_the_same_pictures(size, norm, output, widths):
    model = some_decoder(size, norm, output, widths)
    packed = pack_decoder(model)
    codes = torch.randn(4, 12)
    with torch.no_grad():
        expected = model.decoder(codes).permute(0, 2, 3, 1).numpy()
    drawn = np.stack([decode_packed(packed, code.numpy()) for code in codes])
    assert np.abs(drawn - expected).max() * 127.5 < 0.2  # grey levels, from weights of 16 bits
    assert len(packed.content) == sum(
        each["count"] * {"f16": 2, "f32": 4, "i8": 1}[each["type"]]
        + -each["count"] * {"f16": 2, "f32": 4, "i8": 1}[each["type"]] % 4
        for each in packed.spec["arrays"]
    )


def test_rows_of_latents_in_8_bits_are_a_little_coarser_and_lie_where_they_lay():
    model = some_decoder()
    fine, mixed, coarse = (unpacked(pack_decoder(model, latents))["affine"] for latents in ([], [3, 7], range(12)))
    others = [k for k in range(12) if k not in (3, 7)]
    assert np.array_equal(fine[:, others], mixed[:, others]) and not np.array_equal(fine[:, [3, 7]], mixed[:, [3, 7]])
    for made, rows in ((mixed, [3, 7]), (coarse, list(range(12)))):
        largest = np.abs(fine[:, rows]).max(axis=1, keepdims=True)
        assert (np.abs(made - fine)[:, rows] <= largest / 127 * 0.51 + 1e-3 * largest).all()
    assert len(pack_decoder(model, range(12)).content) < 0.9 * len(pack_decoder(model).content)


def test_latents_at_rest_have_no_rows_and_count_as_their_value():
    model = some_decoder(norm="instance")
    rest = {2: 0.5, 7: -1.0}
    packed = pack_decoder(model, range(6), rest)
    held = {each["name"]: each.get("latents") for each in packed.spec["arrays"]}
    assert held["affine coarse"] == [0, 1, 3, 4, 5] and held["affine fine"] == [6, 8, 9, 10, 11]
    code = torch.randn(12, generator=torch.Generator().manual_seed(0))
    resting = code.clone()
    resting[2], resting[7] = 0.5, -1.0
    with torch.no_grad():
        expected = model.decoder(resting[None])[0].permute(1, 2, 0).numpy()
    for each in (code, resting):
        assert np.abs(decode_packed(packed, each.numpy()) - expected).max() * 127.5 < 4  # some rows have 8 bits


@pytest.mark.parametrize("value", [float("nan"), 1e6])
def test_weights_that_are_not_finite_or_too_large_are_refused(value):
    model = some_decoder()
    with torch.no_grad():
        model.decoder.out.weight[0, 0, 0, 0] = value
    with pytest.raises(InputError, match="not finite, or too large for 16 bits"):
        pack_decoder(model)
