"""The plain loop that everything is compared with: the specification as a reader of a tutorial would write it.

Real upsampling, library norms, float32, channels first, PyTorch's own initialisation, files decoded anew in each epoch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from tqdm.auto import tqdm

from vae_helpers.data import PictureSet, to_float
from vae_helpers.model import BetaVAE, VAEConfig, beta_vae_loss, pick_half, seeded

Step = Callable[[Tensor], Tensor]  # float pictures (N, 3, S, S) in [-1, 1] => the loss, after one optimiser step


class PlainVAE(nn.Module):
    """The specified model with its InstanceNorm decoder; parameters have the names and shapes of `BetaVAE`.

    So both can start from the same weights. `own_start` gives it PyTorch's own, and a log-variance without bounds.
    """

    def __init__(self, config: VAEConfig, own_start: bool = False):
        super().__init__()
        self.config, self._bounded = config, not own_start
        shaped = BetaVAE(config).requires_grad_(True)  # biases before norms too
        self.encoder, self.decoder = shaped.encoder, shaped.decoder
        if own_start:
            for module in (*self.encoder.modules(), *self.decoder.modules()):
                if isinstance(module, (nn.Conv2d, nn.Linear)):
                    module.reset_parameters()
        self.to(memory_format=torch.contiguous_format)
        self.norms = nn.ModuleList(nn.InstanceNorm2d(w) for w in config.widths[-2::-1])

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, S, S) in [-1, 1] => `(mu, logvar)`, each (N, latent_dim)."""
        for block in self.encoder.blocks:
            x = F.leaky_relu(block.norm(_plain_conv(x, block.conv, stride=2)))
        mu, logvar = self.encoder.mu(x.flatten(1)), self.encoder.logvar(x.flatten(1))
        return mu, 10 * torch.tanh(logvar / 10) if self._bounded else logvar

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, latent_dim) => pictures (N, 3, S, S) in (-1, 1)."""
        x = self.decoder.linear(z).view(len(z), -1, 4, 4)
        for block, norm in zip(self.decoder.blocks, self.norms):
            x = F.leaky_relu(norm(_plain_conv(F.interpolate(x, scale_factor=2), block.conv)))
        return torch.tanh(_plain_conv(F.interpolate(x, scale_factor=2), self.decoder.out))

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (N, 3, S, S), noise (1, N, latent_dim) => `(x_hat, mu, logvar)`, as `BetaVAE` with one sample."""
        mu, logvar = self.encode(x)
        return self.decode(mu + torch.exp(0.5 * logvar) * noise[0])[None], mu, logvar


def _plain_conv(x: Tensor, layer: nn.Conv2d, stride: int = 1) -> Tensor:
    return F.conv2d(x, layer.weight, layer.bias, stride, padding=1)


def plain_step(config: VAEConfig, device: torch.device, free_switches: bool = False) -> Step:
    """The plain loop's step; `free_switches` adds what costs one line each: channels-last and autocast."""
    with seeded(0):
        model = PlainVAE(config).to(device).train()
    return _step_of(model, torch.optim.Adam(model.parameters(), lr=1e-3), device, free_switches)


def _step_of(
    model: PlainVAE, optimizer: torch.optim.Optimizer, device: torch.device, free_switches: bool = False
) -> Step:
    half = pick_half(device) if free_switches else None
    if free_switches:
        model.to(memory_format=torch.channels_last)

    def step(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last if free_switches else torch.contiguous_format)
        noise = torch.randn(1, len(x), model.config.latent_dim, device=device)
        with torch.autocast(device.type, dtype=half) if half else nullcontext():
            x_hat, mu, logvar = model(x, noise)
        loss = beta_vae_loss(x_hat, x, mu, logvar).total
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


class PlainRecipe(NamedTuple):
    """How the plain loop is trained; the defaults are the specification's."""

    epochs: int
    batch_size: int = 128
    lr: float = 0.005
    seed: int = 0


def plain_fit(
    pictures: PictureSet, recipe: PlainRecipe, device: torch.device, progress: bool = True
) -> tuple[PlainVAE, float]:
    """Train the plain model on the training part, decoded tensors in memory; returns it in eval mode, and the seconds.

    The learning rate is halved at each third, as the specification has it; a random half of each batch is mirrored.
    """
    epochs, batch_size, lr, seed = recipe
    with seeded(seed, device):
        model = PlainVAE(VAEConfig(image_size=pictures.pictures.shape[1]), own_start=True).to(device).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        step, rows, began = _step_of(model, optimizer, device), pictures.split.train, time.perf_counter()
        for epoch in tqdm(range(epochs), unit="epoch", desc="plain loop", disable=not progress):
            optimizer.param_groups[0]["lr"] = lr * 0.5 ** (3 * epoch // epochs)
            for part in torch.randperm(len(rows)).split(min(batch_size, len(rows))):
                if len(part) == min(batch_size, len(rows)):
                    x = to_float(np.ascontiguousarray(pictures.pictures[np.sort(rows[part.numpy()])]), device)
                    step(torch.where(torch.rand(len(x), 1, 1, 1, device=device) < 0.5, x.flip(3), x))
        return model.eval(), time.perf_counter() - began


class PictureFiles(Dataset):
    """Picture files read when they are asked for, as tutorials do: Pillow and torchvision's transforms, in [-1, 1]."""

    def __init__(self, files: Sequence[Path], image_size: int):
        self.files = list(files)
        self.transform = transforms.Compose(
            [
                transforms.Resize(image_size),
                transforms.CenterCrop(image_size),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> Tensor:
        with Image.open(self.files[i]) as picture:
            return self.transform(picture.convert("RGB"))


def file_batches(files: Sequence[Path], image_size: int, batch_size: int, workers: int) -> Iterator[Tensor]:
    """Shuffled full batches (N, 3, S, S) of picture files, decoded by `workers` processes."""
    yield from DataLoader(
        PictureFiles(files, image_size), batch_size, shuffle=True, drop_last=True, num_workers=workers
    )
