"""A decoder as bytes that the page's JavaScript unpacks, and the same arithmetic in NumPy to hold it to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.model import BatchNorm, BetaVAE, Decoder, langevin

_TYPES = {"f16": "<f2", "f32": "<f4", "i8": "i1"}
_LANES = 8  # channels are padded to a multiple of this
_ROWS = (
    (3, 1),
    (2, 0),
)  # of the folded 4×4 kernel, by the parity of the output's row, for the input's row and the next


class Packed(NamedTuple):
    """`spec` says what lies where in `content`."""

    spec: dict
    content: bytes


class Writer:
    """Arrays one after the other, each at a multiple of 4 bytes: of 16 bits ("f16"), 32 ("f32"), or bytes ("i8")."""

    def __init__(self) -> None:
        self.content = b""

    def add(self, name: str, values: np.ndarray, kind: str) -> dict:
        """Where the values lie; InputError, which calls them `name`, where they are not finite in that kind."""
        with np.errstate(over="ignore"):
            plain = np.ascontiguousarray(values).astype(_TYPES[kind])
        if kind != "i8" and not np.isfinite(plain).all():
            raise InputError(
                f"{name} holds numbers that are not finite, or too large for 16 bits, so no page can be made of it: "
                "train the model again."
            )
        described = {"offset": len(self.content), "count": plain.size, "type": kind}
        self.content += plain.tobytes() + bytes(-plain.nbytes % 4)
        return described


class _Network(Writer):
    """The arrays of a network, which have names."""

    def __init__(self) -> None:
        super().__init__()
        self.arrays: list[dict] = []

    def write(self, name: str, values: np.ndarray, kind: str, latents: Sequence[int] = ()) -> None:
        described = {"name": name} | self.add(f"the network's {name}", values, kind)
        self.arrays.append(described | ({"latents": list(map(int, latents))} if len(latents) else {}))


@torch.no_grad()
def pack_decoder(model: BetaVAE, coarse: Sequence[int] = (), rest: Mapping[int, float] | None = None) -> Packed:
    """The decoder in 16 bits, but for the first matrix's rows of the `coarse` latents: 8 bits, a scale for each output.

    Latents at `rest` have no rows: there each counts as the value given, whatever a code says.

    Between the linear layer and the first convolution nothing bends, so that they become one matrix (latent_dim,
    channels · 8 · 8). A convolution after an upsampling becomes four of 2×2 taps, by the parity of the output's row and
    column. Batch norm goes into weights and biases; channels are padded with zeros to a multiple of 8. InputError for
    weights that are not finite.
    """
    decoder = model.decoder
    convolutions = [*(block.conv for block in decoder.blocks), decoder.out]
    norms = [block.norm for block in decoder.blocks]
    writer, layers = _Network(), []
    size, before = 8, 0
    for i, conv in enumerate(convolutions):
        kernel, bias = _with_batch_norm(conv, norms[i] if i < len(norms) else None)
        channels = -(-conv.out_channels // _LANES) * _LANES
        padded = np.zeros(channels, np.float64)
        padded[: len(bias)] = bias
        if i == 0:
            _write_first(writer, decoder, (kernel, padded), coarse, rest or {})
        else:
            writer.write(f"weights {i}", _parities(kernel, before, channels), "f16")
            writer.write(f"bias {i}", padded, "f32")
        if i < len(norms) and model.config.decoder_norm == "adaptive":
            _write_style(writer, norms[i].style, channels, i)
        layers.append({"size": size, "channels": channels})
        size, before = 2 * size, channels
    spec = {
        "size": model.config.image_size,
        "latents": model.config.latent_dim,
        "output": decoder.output,
        "norm": model.config.decoder_norm,
        "layers": layers,
        "arrays": writer.arrays,
    }
    return Packed(spec, writer.content)


@torch.no_grad()
def pack_encoder(model: BetaVAE) -> Packed:
    """The half of the encoder that gives the mean, in 16 bits: kernels as [tap][in][out] with their batch norm in them.

    The last layer takes pixels as [row][column][channel]. InputError for weights that are not finite.
    """
    encoder, writer, layers = model.encoder, _Network(), []
    for i, block in enumerate(encoder.blocks):
        conv, norm = block.conv, block.norm
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        kernel = (conv.weight.double() * scale[:, None, None, None]).permute(2, 3, 1, 0)
        bias = (conv.bias.double() - norm.running_mean.double()) * scale + norm.bias.double()
        writer.write(f"weights {i}", kernel.numpy(), "f16")
        writer.write(f"bias {i}", bias.numpy(), "f32")
        layers.append({"name": str(i), "before": conv.in_channels, "channels": conv.out_channels})
    head = encoder.mu.weight.double().view(model.config.latent_dim, -1, 4, 4).permute(0, 2, 3, 1)
    writer.write("weights mu", head.numpy(), "f16")
    writer.write("bias mu", encoder.mu.bias.double().numpy(), "f32")
    return Packed({"size": model.config.image_size, "layers": layers, "arrays": writer.arrays}, writer.content)


def _with_batch_norm(conv, norm) -> tuple[Tensor, np.ndarray]:
    """The folded kernel (in, out, 4, 4) and the bias (out,), with a batch norm's constant scale and shift in them."""
    kernel, bias = conv.folded_weight().double(), conv.bias.double()
    if isinstance(norm, BatchNorm):
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        kernel = kernel * scale[None, :, None, None]
        bias = (bias - norm.running_mean.double()) * scale + norm.bias.double()
    return kernel, bias.numpy()


def _write_first(
    writer: _Network,
    decoder: Decoder,
    convolution: tuple[Tensor, np.ndarray],
    coarse: Sequence[int],
    rest: Mapping[int, float],
) -> None:
    """The linear layer and the first convolution as one matrix, [block of 16][latent][16]."""
    linear, (kernel, bias) = decoder.linear, convolution
    start = linear.bias.double().view(1, -1, 4, 4)
    ways = linear.weight.double().T.reshape(linear.in_features, -1, 4, 4)
    matrix = _drawn(ways, kernel, len(bias))
    offset = _drawn(start, kernel, len(bias))[0] + np.tile(bias, 64)
    for latent, value in rest.items():
        offset += value * matrix[latent]
    blocks = matrix.reshape(len(matrix), -1, 16).transpose(1, 0, 2)
    coarse = sorted(set(coarse) - rest.keys())
    fine = [latent for latent in range(len(matrix)) if latent not in {*coarse, *rest}]
    if len(coarse):
        rows = blocks[:, coarse]
        scale = np.abs(rows).max(axis=1) / 127 + 1e-12
        writer.write("scale", scale, "f32")
        writer.write("affine coarse", np.rint(rows / scale[:, None]), "i8", coarse)
    if fine:
        writer.write("affine fine", blocks[:, fine], "f16", fine)
    writer.write("bias 0", offset, "f32")


def _drawn(x: Tensor, kernel: Tensor, channels: int) -> np.ndarray:
    """(n, in, 4, 4) through a folded kernel, flat as [row][column][channel], channels padded."""
    y = F.conv_transpose2d(x, kernel, stride=2, padding=1)
    y = F.pad(y, (0, 0, 0, 0, 0, channels - y.shape[1]))
    return y.permute(0, 2, 3, 1).reshape(len(x), -1).numpy()


def _parities(kernel: Tensor, channels_in: int, channels_out: int) -> np.ndarray:
    """A folded kernel (in, out, 4, 4) as [row parity, column parity][block of 8][tap][in][8], padded with zeros."""
    full = np.zeros((channels_in, channels_out, 4, 4))
    full[: kernel.shape[0], : kernel.shape[1]] = kernel.numpy()
    taps = np.stack([full[:, :, _ROWS[p][r], :][..., _ROWS[q][s]] for p, q, r, s in np.ndindex(2, 2, 2, 2)])
    taps = taps.reshape(4, 4, channels_in, channels_out // _LANES, _LANES)
    return taps.transpose(0, 3, 1, 2, 4)


def _write_style(writer: _Network, style: torch.nn.Linear, channels: int, i: int) -> None:
    """Gains, then biases, of padded channels: [2 · channels][latent]."""
    width = style.out_features // 2
    weights, bias = np.zeros((2, channels, style.in_features)), np.zeros((2, channels))
    weights[:, :width] = style.weight.double().view(2, width, -1).numpy()
    bias[:, :width] = style.bias.double().view(2, width).numpy()
    writer.write(f"style {i}", weights, "f16")
    writer.write(f"style bias {i}", bias, "f32")


def numbers_at(content: bytes, place: Mapping) -> np.ndarray:
    """What `Writer.add` wrote, flat float64."""
    return np.frombuffer(content, _TYPES[place["type"]], place["count"], place["offset"]).astype(np.float64)


def unpacked(packed: Packed) -> dict[str, np.ndarray]:
    """The arrays of a packed decoder by name, flat float64, and `affine` whole as [block of 16][latent][16]."""
    found: dict[str, np.ndarray] = {}
    for array in packed.spec["arrays"]:
        values = numbers_at(packed.content, array)
        if "latents" not in array:
            found[array["name"]] = values
            continue
        rows = values.reshape(-1, len(array["latents"]), 16)
        whole = found.setdefault("affine", np.zeros((len(rows), packed.spec["latents"], 16)))
        whole[:, array["latents"]] = rows * (found["scale"].reshape(-1, 1, 16) if array["type"] == "i8" else 1)
    return found


def decode_packed(packed: Packed, code: np.ndarray) -> np.ndarray:
    """What the page draws for a code (latent_dim,): float64 (S, S, 3) from -1 to 1, before rounding."""
    spec, arrays = packed.spec, unpacked(packed)
    code = np.asarray(code, np.float64)
    x = (np.einsum("k,bkc->bc", code, arrays["affine"]).ravel() + arrays["bias 0"]).reshape(8, 8, -1)
    for i, layer in enumerate(spec["layers"][1:], start=1):
        x = _normalised(x, spec["norm"], arrays, i - 1, code)
        x = _convolved(np.where(x < 0, 0.01 * x, x), arrays, i, layer["channels"])
    bent = np.tanh(x) if spec["output"] == "tanh" else langevin(torch.from_numpy(x)).numpy()
    return bent[..., :3]


def _normalised(x: np.ndarray, norm: str, arrays: dict[str, np.ndarray], i: int, code: np.ndarray) -> np.ndarray:
    if norm == "batch":
        return x
    x = (x - x.mean(axis=(0, 1))) / np.sqrt(x.var(axis=(0, 1)) + 1e-5)
    if norm == "instance":
        return x
    style = arrays[f"style {i}"].reshape(-1, len(code)) @ code + arrays[f"style bias {i}"]
    gain, shift = style.reshape(2, -1)
    return x * (1 + gain) + shift


def _convolved(x: np.ndarray, arrays: dict[str, np.ndarray], i: int, channels: int) -> np.ndarray:
    side, _, width = x.shape
    around = np.pad(x, ((1, 1), (1, 1), (0, 0)))
    weights = arrays[f"weights {i}"].reshape(2, 2, channels // _LANES, 2, 2, width, _LANES)
    drawn = np.empty((2 * side, 2 * side, channels))
    for p, q in np.ndindex(2, 2):
        taps = [
            np.einsum("yxk,bkc->yxbc", around[p + r : p + r + side, q + s : q + s + side], weights[p, q, :, r, s])
            for r, s in np.ndindex(2, 2)
        ]
        drawn[p::2, q::2] = sum(taps).reshape(side, side, channels) + arrays[f"bias {i}"]
    return drawn
