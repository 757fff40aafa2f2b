"""Pictures to codes and back: encode, decode, reconstruct, sweep one latent."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import to_float, to_uint8
from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE, Decoder, UpConv, kl_per_dimension

# Pictures pass through the networks in chunks of one constant size, padded if need be. A matrix product may round
# differently for another number of rows; with constant shapes a picture decodes to the same bits alone or in company,
# so that the end of a path equals the reconstruction exactly. Small for decoding, because a slider waits for it.
_ENCODE_CHUNK, _DECODE_CHUNK = 32, 4


class LatentSummary(NamedTuple):
    """What each latent carries over a set of pictures; every field has shape (latent_dim,)."""

    kl: np.ndarray  # mean KL(q(z_j|x) ‖ p) in nats: what the latent tells about a picture
    variance: np.ndarray  # variance of μ_j over pictures
    mean: np.ndarray  # centre of the aggregate posterior
    spread: np.ndarray  # its standard deviation, √(Var(μ_j) + E[σ_j²])

    @property
    def active(self) -> np.ndarray:
        """Indices of the active latents, by KL, highest first (active: `Var_x(μ_j) > 0.01`, Burda 2016, sec. 5.2)."""
        by_kl = np.argsort(-self.kl, kind="stable")
        return by_kl[self.variance[by_kl] > 0.01]


@torch.no_grad()
def encode_pictures(model: BetaVAE, pictures: np.ndarray) -> tuple[Tensor, Tensor]:
    """uint8 pictures (N, H, W, 3) => `(mu, logvar)` on the CPU, each (N, latent_dim)."""
    _require_eval(model)
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.dtype != np.uint8:
        raise InputError(
            f"pictures must be uint8 of shape (N, H, W, 3), but these are {pictures.dtype} "
            f"of shape {pictures.shape}: open them with open_pictures."
        )
    if not len(pictures):
        raise InputError("there is nothing to encode: 0 pictures were given.")
    device, heads = next(model.parameters()).device, []
    for start in range(0, len(pictures), _ENCODE_CHUNK):  # as bytes: all of a set as floats may not fit in memory
        chunk = torch.from_numpy(np.array(pictures[start : start + _ENCODE_CHUNK]))
        heads.append(model.encode(to_float(_padded(chunk, _ENCODE_CHUNK), device)))
    mu, logvar = (torch.cat(parts)[: len(pictures)].cpu() for parts in zip(*heads))
    return mu, logvar


@torch.no_grad()
def frozen_decoder(model: BetaVAE) -> Decoder:
    """The model's decoder with constant weights, for many calls; it shares their memory, and no gradient reaches them.

    The kernels of its upsampling convolutions are summed once, which else takes as long as decoding a few pictures.
    """
    _require_eval(model)
    with torch.inference_mode(False):  # tensors made in inference mode could not serve a gradient for the codes
        shared = {id(t): t.detach() for t in (*model.decoder.parameters(), *model.decoder.buffers())}
        decoder = copy.deepcopy(model.decoder, shared)
        for layer in decoder.modules():
            if isinstance(layer, UpConv):
                kernel = layer.folded_weight().contiguous(memory_format=torch.channels_last)
                layer.folded_weight = lambda kernel=kernel: kernel
    return decoder


def watched_decoder(model: BetaVAE, watch: Callable[[], None] | None = None) -> Decoder:
    """A `frozen_decoder` that calls `watch` before each pass; what that raises ends whatever is being looked for."""
    decoder = frozen_decoder(model)
    if watch is not None:
        decoder.register_forward_pre_hook(lambda *_: watch())
    return decoder


@torch.no_grad()
def decode_codes(model: BetaVAE | Decoder, codes: Tensor) -> np.ndarray:
    """Latent codes (N, latent_dim) => uint8 pictures (N, H, W, 3); `model` may be its `frozen_decoder` to save time."""
    decoder = frozen_decoder(model) if isinstance(model, BetaVAE) else model
    codes = torch.as_tensor(codes, dtype=torch.float32)
    latents = decoder.linear.in_features
    if codes.dim() != 2 or codes.shape[1] != latents or not len(codes):
        raise InputError(
            f"codes must have shape (N, {latents}) for this model, with N at least 1, "
            f"but these have shape {tuple(codes.shape)}."
        )
    device = next(decoder.parameters()).device
    decoded = [to_uint8(decoder(_padded(chunk, _DECODE_CHUNK).to(device))) for chunk in codes.split(_DECODE_CHUNK)]
    return np.concatenate(decoded)[: len(codes)]


def reconstruct(model: BetaVAE, pictures: np.ndarray) -> np.ndarray:
    """uint8 pictures (N, H, W, 3) => what the decoder makes of their μ, same shape and type."""
    return decode_codes(model, encode_pictures(model, pictures)[0])


def summarise(mu: Tensor, logvar: Tensor) -> LatentSummary:
    """What each latent carries over the encoded pictures mu, logvar, each (N, latent_dim)."""
    if not len(mu):
        raise InputError("no pictures were encoded, so there is nothing to summarise: check the split.")
    variance = mu.var(dim=0, correction=0)
    spread = (variance + logvar.exp().mean(dim=0)).sqrt()
    kl = kl_per_dimension(mu, logvar).mean(dim=0)
    return LatentSummary(*(t.cpu().double().numpy() for t in (kl, variance, mu.mean(dim=0), spread)))


def traverse(model: BetaVAE, code: Tensor, dimension: int, values: np.ndarray | Tensor) -> np.ndarray:
    """Sweep one latent of a code (latent_dim,) over `values`, all others held: uint8 (len(values), H, W, 3)."""
    if not 0 <= dimension < len(code):
        raise InputError(f"latent {dimension} does not exist: this model has latents 0 to {len(code) - 1}.")
    values = torch.as_tensor(np.asarray(values), dtype=torch.float32)
    codes = code.repeat(len(values), 1)
    codes[:, dimension] = values
    return decode_codes(model, codes)


def traversal_range(summary: LatentSummary, dimension: int, steps: int, width: float = 2.5) -> np.ndarray:
    """`steps` values across ± `width` spreads of the aggregate posterior, centred on its mean (not on 0)."""
    centre, reach = summary.mean[dimension], width * summary.spread[dimension]
    return np.linspace(centre - reach, centre + reach, steps)


def _require_eval(model: torch.nn.Module) -> None:
    if model.training:
        raise InputError(
            "the model is in training mode, where BatchNorm mixes the pictures of a batch: call model.eval() first."
        )


def _padded(chunk: Tensor, size: int) -> Tensor:
    """`chunk` with its own first row repeated until there are `size`."""
    return torch.cat([chunk, chunk[:1].expand(size - len(chunk), *chunk.shape[1:])]) if len(chunk) < size else chunk
