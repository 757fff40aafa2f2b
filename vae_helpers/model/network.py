"""The β-VAE: a convolutional encoder to a diagonal Gaussian, and a decoder back to a picture.

Parameters are those of the plain architecture (every upsample+conv keeps its 3×3 weights);
only the arithmetic of the forward pass is rearranged for speed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_helpers.errors import InputError
from vae_helpers.model.config import VAEConfig
from vae_helpers.model.convolutions import DownConv, UpConv
from vae_helpers.model.device import in_float32

LOGVAR_BOUND = 10.0
_LOGVAR_START = -4.0  # σ = 0.14


def langevin(a: Tensor) -> Tensor:
    """`coth(a) - 1/a`, elementwise: the mean over x in [-1, 1] of a continuous Bernoulli with logit 2a.

    (Loaiza-Ganem & Cunningham 2019, sec. 3.) Near 0, where the two terms cancel, its Taylor series: at |a| = 0.5 the
    term left out is 4·10⁻⁸.
    """
    near = a.abs() < 0.5
    far, square = a.masked_fill(near, 1.0), a.masked_fill(~near, 0.0).square()
    series = a * (1 / 3 + square * (-1 / 45 + square * (2 / 945 - square / 4725)))
    return torch.where(near, series, 1 / torch.tanh(far) - 1 / far)


class InstanceNorm(nn.Module):
    """Each channel of each picture to mean 0 and variance 1 (Ulyanov 2016), optionally scaled and shifted from z.

    With `latent_dim` the scale and shift come from the latent code (adaptive instance norm, Huang & Belongie 2017),
    which hands image-wide colour back to the decoder. `nn.InstanceNorm2d` would copy out of channels-last.
    """

    def __init__(self, channels: int, latent_dim: int | None = None, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.style = nn.Linear(latent_dim, 2 * channels) if latent_dim else None

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        var, mean = torch.var_mean(x.float(), dim=(2, 3), keepdim=True, correction=0)  # float32 even under autocast
        scale = torch.rsqrt(var + self.eps)
        shift = -mean * scale
        if self.style is not None:
            with in_float32(z.device):
                gain, bias = self.style(z.float())[..., None, None].chunk(2, dim=1)
            scale, shift = scale * (1 + gain), shift * (1 + gain) + bias
        return x * scale.to(x.dtype) + shift.to(x.dtype)


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` that takes (and ignores) the latent code, as the other norms do."""

    def forward(self, x: Tensor, z: Tensor | None = None) -> Tensor:
        return super().forward(x)


def _before_a_norm(layer: nn.Conv2d) -> nn.Conv2d:
    """`layer`, whose bias is not learnt: the norm takes it off again, so its gradient is 0.

    What comes out instead is rounding noise, of which Adam makes whole steps; it costs 6 % of a compiled step on 2
    cores.
    """
    assert layer.bias is not None
    layer.bias.requires_grad_(False)
    return layer


class EncoderBlock(nn.Module):
    """(N, C, H, W) => (N, C', H/2, W/2): conv 4×4 stride 2, BatchNorm, LeakyReLU."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv = _before_a_norm(DownConv(channels_in, channels_out))
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)))


class DecoderBlock(nn.Module):
    """(N, C, H, W) => (N, C', 2H, 2W): nearest upsample ×2 and conv 3×3, norm, LeakyReLU."""

    def __init__(self, channels_in: int, channels_out: int, config: VAEConfig):
        super().__init__()
        self.conv = _before_a_norm(UpConv(channels_in, channels_out))
        if config.decoder_norm == "batch":
            self.norm = BatchNorm(channels_out)
        else:
            self.norm = InstanceNorm(channels_out, config.latent_dim if config.decoder_norm == "adaptive" else None)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x), z))


class _Convolutions(nn.Module):
    """Runs the convolutions, and nothing else, in `half` (None, torch.bfloat16 or torch.float16), and in a layout.

    Both are properties of a session, not of a model: never in a checkpoint.
    """

    half: torch.dtype | None = None
    layout: torch.memory_format = torch.channels_last

    def autocast(self, x: Tensor) -> AbstractContextManager:
        """The context for the conv stack; heads, norm statistics, tanh and losses stay in float32 outside it."""
        return torch.autocast(x.device.type, dtype=self.half) if self.half else in_float32(x.device)


class Encoder(_Convolutions):
    """Pictures (N, 3, S, S) in [-1, 1] => the mean and log-variance of q(z|x), each (N, latent_dim)."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        channels = (3, *config.widths)
        self.blocks = nn.ModuleList(EncoderBlock(a, b) for a, b in zip(channels, channels[1:]))
        self.mu = nn.Linear(config.widths[-1] * 4 * 4, config.latent_dim)
        self.logvar = nn.Linear(config.widths[-1] * 4 * 4, config.latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = x.contiguous(memory_format=self.layout)
        with self.autocast(x):
            for block in self.blocks:
                x = block(x)  # 128 => 64 => 32 => 16 => 8 => 4
        x = x.float().flatten(1)  # 512 × 4 × 4 => 8192
        # A log-variance that may run anywhere overflows exp() in the first steps at a high learning rate.
        # tanh keeps σ between e^-5 and e^5 with a gradient everywhere, and is the identity near 0.
        logvar = LOGVAR_BOUND * torch.tanh(self.logvar(x) / LOGVAR_BOUND)
        return self.mu(x), logvar


class Decoder(_Convolutions):
    """Latent codes (N, latent_dim) => pictures (N, 3, S, S): x̂ = tanh(a) in (-1, 1), or the activation a itself.

    With the config's `output` "langevin" it is `langevin(a)` instead of tanh(a).
    """

    def __init__(self, config: VAEConfig):
        super().__init__()
        channels = config.widths[::-1]
        self.channels, self.output = channels[0], config.output
        self.linear = nn.Linear(config.latent_dim, channels[0] * 4 * 4)
        self.blocks = nn.ModuleList(DecoderBlock(a, b, config) for a, b in zip(channels, channels[1:]))
        self.out = UpConv(channels[-1], 3)

    def forward(self, z: Tensor, activation: bool = False) -> Tensor:
        x = self.linear(z).view(-1, self.channels, 4, 4)  # latent => 8192 => 512 × 4 × 4
        x = x.contiguous(memory_format=self.layout)
        with self.autocast(x):
            for block in self.blocks:
                x = block(x, z)  # 4 => 8 => 16 => 32 => 64
            x = self.out(x)  # 64 => 128
        return x.float() if activation else self.picture(x.float())

    def picture(self, a: Tensor) -> Tensor:
        """The picture that an activation stands for, same shape."""
        return torch.tanh(a) if self.output == "tanh" else langevin(a)


class BetaVAE(nn.Module):
    """A variational autoencoder (Kingma & Welling 2014) for colour pictures; β enters only in the loss."""

    def __init__(self, config: VAEConfig | None = None):
        super().__init__()
        self.config = config or VAEConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self._initialise()
        self.set_layout(channels_last=True)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Weights of He et al. 2015 (sec. 2.2), so that μ starts with variance about 1, and a nearly constant, small σ.

        PyTorch's own start leaves μ small beside noise of σ = 1, so the decoder sees little signal at first (a guess).
        Measured on photos, one seed: +0.6 dB held-out together with Adam's β₂ = 0.99; the two were not separated, and
        the small σ by itself made no difference once they were in (16.40 dB with and without).
        """
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, a=0.01)
                nn.init.zeros_(module.bias)
        for block in self.decoder.blocks:
            if isinstance(block.norm, InstanceNorm) and block.norm.style is not None:
                nn.init.normal_(block.norm.style.weight, std=1e-2)  # adaptive norm starts as plain instance norm
        if self.config.decoder_norm != "instance":
            # Start grey, not with tanh at its ends. One seed each on drawn butterflies, held-out: adaptive 20.62 dB
            # with this and 20.35 without, instance 19.15 and 19.72; batch was only run with it. Why is untested.
            self.decoder.out.weight *= 0.1
        nn.init.normal_(self.encoder.logvar.weight, std=1e-3)
        nn.init.constant_(self.encoder.logvar.bias, _LOGVAR_START)

    def set_half(self, half: torch.dtype | None) -> "BetaVAE":
        """Run both conv stacks in bfloat16 or float16, or (None) everything in float32."""
        self.encoder.half = self.decoder.half = half
        return self

    def set_layout(self, channels_last: bool) -> "BetaVAE":
        """Keep pictures and kernels in memory channel after channel, or (channels_last) pixel after pixel."""
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self.encoder.layout = self.decoder.layout = layout
        return self.to(memory_format=layout)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, S, S) in [-1, 1] => `(mu, logvar)` of q(z|x), each (N, latent_dim)."""
        size = self.config.image_size
        if x.dim() != 4 or tuple(x.shape[1:]) != (3, size, size):
            raise InputError(
                f"pictures of shape {tuple(x.shape)} do not fit this model, which takes (N, 3, {size}, {size}): "
                f"open them with image_size={size}."
            )
        return self.encoder(x)

    @staticmethod
    def reparameterize(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        """`z = μ + σ·ε` (Kingma & Welling 2014, eq. 4): noise (K, N, latent_dim) ~ N(0, 1) gives z of that shape.

        The randomness comes from outside, so gradients reach μ and σ and a run can be repeated.
        """
        return mu + torch.exp(0.5 * logvar) * noise

    def decode(self, z: Tensor, activation: bool = False) -> Tensor:
        """Latent codes (..., latent_dim) => pictures (..., 3, S, S) in (-1, 1).

        With `activation` it gives a, where pictures are `decoder.picture(a)`: likelihoods that need logits take 2a,
        since `(1 + tanh(a)) / 2 = sigmoid(2a)`, and would lose every digit of them in a saturated picture.
        """
        if z.shape[-1] != self.config.latent_dim:
            raise InputError(
                f"codes of shape {tuple(z.shape)} do not fit this model: it has {self.config.latent_dim} latents."
            )
        x = self.decoder(z.reshape(-1, z.shape[-1]), activation)
        return x.reshape(*z.shape[:-1], *x.shape[1:])

    def forward(
        self,
        x: Tensor,
        noise: Tensor,
        activation: bool = False,
        infer: Callable[[Callable, Tensor], tuple[Tensor, Tensor]] | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, sample K codes per picture, decode: `(x_hat, mu, logvar)`, x_hat (K, N, 3, S, S) as by `decode`.

        `infer(encode, x)` is an objective's own way to `(mu, logvar)`; None: every picture is encoded by itself.
        """
        mu, logvar = self.encode(x) if infer is None else infer(self.encode, x)
        return self.decode(self.reparameterize(mu, logvar, noise), activation), mu, logvar

    def __repr__(self) -> str:
        n = sum(p.numel() for p in self.parameters())
        c = self.config
        return (
            f"BetaVAE: {c.image_size}×{c.image_size} pictures, {c.latent_dim} latents, widths {c.widths}, "
            f"{c.decoder_norm} norm in the decoder, {n / 1e6:.2f} M parameters"
        )
