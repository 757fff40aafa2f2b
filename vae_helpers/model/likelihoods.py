"""What a picture costs under p(x|z), by name: -log p(x|z) per picture in nats, summed over its D = 3HW values.

Pictures are x in [-1, 1]; the decoder's last activation is a, and the picture it shows is x̂ = tanh(a), the mean of
p(x|z); under "continuous-bernoulli" that mean is `model.langevin(a)`, see `output_for`. Densities are
over x, not over [0, 1] pixels, where each value would count twice as dense. Each term drops the constant that no
gradient sees, as the default always did; `log_normaliser` is that constant.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.model.losses import squared_error
from vae_helpers.settings import SCALES, require_likelihood

# The variance that rounding to 8 bits adds by itself, step²/12 with step 2/255: a better fit cannot be seen in the
# data, and log s² would otherwise reward it without end (Rybkin's code bounds s from below as well).
_LEAST_VARIANCE = (2 / 255) ** 2 / 12
_PIXELS = (-3, -2, -1)


def wants_activation(name: str) -> bool:
    """Whether `distortion` takes the decoder's activation a for this likelihood, and not the picture tanh(a)."""
    return name in ("bernoulli", "continuous-bernoulli")


def output_for(name: str) -> str:
    """The `VAEConfig.output` with which the decoder shows the mean of p(x|z) under this likelihood."""
    return "langevin" if name == "continuous-bernoulli" else "tanh"


def negative_log_likelihood(name: str, a: Tensor, x: Tensor, scale: float | None = None) -> Tensor:
    """-log p(x|z) up to `log_normaliser`: activations a (..., 3, H, W), x broadcastable in [-1, 1] => (...) nats.

    a comes from `BetaVAE.decode(z, activation=True)`. By name, with what `scale` means and its default:

    - "gaussian": `Σ(x-x̂)²/(2s²)`, scale s = √½: the plain `Σ(x-x̂)²`.
    - "calibrated": the Gaussian whose s² is the mean squared error over all pictures given together, the best there is
      (σ-VAE, Rybkin 2021, sec. 3): `D/2·log s² + Σ(x-x̂)²/(2s²)`. A picture's value depends on the others.
    - "calibrated-each": s² is each picture's own mean squared error.
    - "laplace": `Σ|x-x̂|/b`, scale b = ½.
    - "bernoulli": cross entropy of the targets t = (x+1)/2 and logits 2a. Not a density of colours: even a perfect
      picture costs its own entropy.
    - "continuous-bernoulli": the same with its normaliser (Loaiza-Ganem & Cunningham 2019, sec. 3), a density on
      [0, 1]. Its mean is nearer to grey than tanh(a), its parameter (21 dB against 14 on drawn butterflies).
    - "ssim": `(1-w)·Σ(x-x̂)² + w·D·(1-SSIM)`, scale w = 0.1. Of the size of nats, but no
      likelihood: neither an ELBO nor bits per dimension follow from it.
    """
    return distortion(name, a if wants_activation(name) else torch.tanh(a.float()), x, scale)


def distortion(
    name: str,
    output: Tensor,
    x: Tensor,
    scale: float | None = None,
    total: Callable[[Tensor], Tensor] = lambda values: values,
) -> Tensor:
    """`negative_log_likelihood` from the decoder's output: a where `wants_activation`, else x̂ = tanh(a).

    `total` sums a tensor over the processes that share a batch, for the s² that "calibrated" shares.
    """
    require_likelihood(name, scale)
    if wants_activation(name):
        return _bernoulli(output.float(), x.float(), continuous=name == "continuous-bernoulli")
    if name == "laplace":
        return (output.float() - x.float()).abs().sum(dim=_PIXELS) / (scale or SCALES[name])
    errors = squared_error(output, x)
    if name == "gaussian":
        return errors if scale is None else errors / (2 * scale**2)
    values = x.shape[-3:].numel()
    if name == "ssim":
        weight = scale or SCALES[name]
        return (1 - weight) * errors + weight * values * (1 - _ssim(output.float(), x.float()))
    if name == "calibrated-each":
        return calibrated(errors, errors / values, values)
    # Detached: at the best s² the derivative by s² is 0, so the sum over the pictures has the same gradient.
    error, count = total(torch.stack([errors.detach().sum(), errors.new_full((), errors.numel())]))
    return calibrated(errors, error / (count * values), values)


def calibrated(errors: Tensor, variance: Tensor, values: int) -> Tensor:
    """`D/2·log s² + Σ(x-x̂)²/(2s²)` of pictures with squared errors `errors`, D = `values`; s² at least 8-bit noise."""
    variance = variance.clamp_min(_LEAST_VARIANCE)
    return 0.5 * values * torch.log(variance) + errors / (2 * variance)


def log_normaliser(name: str, values: int, scale: float | None = None) -> float:
    """The constant in nats that the term drops for a picture of D = `values` values; only densities have one.

    gaussian `D/2·log(2πs²)`, calibrated `D/2·log 2π`, laplace `D·log 2b`, continuous-bernoulli `D·log 2` (from [0, 1]
    to [-1, 1]). Raises InputError for "bernoulli" and "ssim".
    """
    require_likelihood(name, scale)
    scale = scale or SCALES.get(name)
    if name == "gaussian":
        return 0.5 * values * math.log(2 * math.pi * scale**2)
    if name.startswith("calibrated"):
        return 0.5 * values * math.log(2 * math.pi)
    if name == "laplace":
        return values * math.log(2 * scale)
    if name == "continuous-bernoulli":
        return values * math.log(2)
    raise InputError(
        f"{name!r} is no probability density of pictures, so it has no normalised likelihood and no bits "
        "per dimension: score the run by gaussian, calibrated, laplace or continuous-bernoulli."
    )


def normalised_nll(name: str, a: Tensor, x: Tensor, scale: float | None = None) -> Tensor:
    """-log p(x|z) with nothing dropped, in nats per picture, p a density over x in [-1, 1]; shapes as above.

    Of 8-bit pictures, whose steps are 2/255 wide, `(this + D·log(127.5)) / (D·log 2)` is the bits per dimension.
    """
    return negative_log_likelihood(name, a, x, scale) + log_normaliser(name, x.shape[-3:].numel(), scale)


def grey_level(name: str, values: int, scale: float | None = None) -> float:
    """A positive number of nats that a mid-grey picture cannot exceed: beyond many times that, nothing is learnt."""
    scale = scale or SCALES.get(name)
    worst = {"gaussian": lambda: 0.5 / scale**2, "laplace": lambda: 1 / scale, "ssim": lambda: 1 + scale}
    return values * worst.get(name, lambda: 1.0)()


def log_continuous_constant(a: Tensor) -> Tensor:
    """log C(λ) of the continuous Bernoulli at logit 2a, elementwise (Loaiza-Ganem & Cunningham 2019, sec. 3).

    `C = 2·artanh(1-2λ)/(1-2λ)` is `2a/tanh(a)` there. That is 0/0 at λ = ½, so near it the Taylor series stands in:
    at |a| = 0.2 the term it leaves out is 2·10⁻⁸.
    """
    near = a.abs() < 0.2
    far = a.abs().masked_fill(near, 1.0)  # a value that is not taken must not make the gradient NaN either
    square = a.masked_fill(~near, 0.0).square()
    series = square * (1 / 3 + square * (-7 / 90 + square * (62 / 2835)))
    return math.log(2) + torch.where(near, series, torch.log(far) - torch.log(torch.tanh(far)))


def _bernoulli(a: Tensor, x: Tensor, continuous: bool) -> Tensor:
    logits, targets = torch.broadcast_tensors(2 * a, (x + 1) / 2)
    cost = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    if continuous:
        cost = cost - log_continuous_constant(a)
    return cost.sum(dim=_PIXELS)


def _ssim(x_hat: Tensor, x: Tensor) -> Tensor:
    """SSIM per picture on [0, 1] pixels (its luminance term needs them so), by torchmetrics: (..., 3, H, W) => (...)"""
    if min(x.shape[-2:]) < 16:
        raise InputError(
            f"pictures of {tuple(x.shape[-2:])} pixels are too small for SSIM's 11-pixel window: use at "
            "least 16, or another likelihood."
        )
    from torchmetrics.functional.image import structural_similarity_index_measure

    x_hat, x = torch.broadcast_tensors((x_hat + 1) / 2, (x + 1) / 2)
    score = structural_similarity_index_measure(
        x_hat.reshape(-1, *x.shape[-3:]), x.reshape(-1, *x.shape[-3:]), data_range=1.0, reduction="none"
    )
    return score.reshape(x.shape[:-3])
