"""What a run draws while it learns: samples, reconstructions, one fixed path, and its codes for the projector."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vae_helpers.checkpoint import Run
from vae_helpers.data import PictureSet
from vae_helpers.disk import write_aside
from vae_helpers.export import tile, to_bytes
from vae_helpers.latent import encode_pictures, interpolate, reconstruct, sample_prior
from vae_helpers.logbook import Logbook
from vae_helpers.model import BetaVAE

_CODES, _THUMBNAIL = 512, 64


def draw(model: BetaVAE, originals: np.ndarray, run: Run, epoch: int, seed: int, book: Logbook) -> None:
    """100 samples from the prior and up to 100 reconstructions, one file each and a sheet of either, and one path.

    The path runs between the first two held-out pictures, the same ones every time.
    """
    folder = run.generated_images / f"epoch_{epoch:04d}"
    sets = {"generated": sample_prior(model, 100, seed), "reconstructed": reconstruct(model, originals[:100])}
    for name, drawn in sets.items():
        sheet = tile(drawn, columns=10)
        with book.or_go_without():
            for i, picture in enumerate(drawn):
                _keep(picture, folder / name / f"{i:03d}.png")
            _keep(sheet, folder / f"{name}.png")
        book.picture(epoch, name, sheet)
    if len(originals) > 1:
        path = tile(interpolate(model, originals[0], originals[1], steps=8).frames, columns=8)
        with book.or_go_without():
            _keep(path, folder / "interpolation.png")
        book.picture(epoch, "interpolation", path)


def _keep(picture: np.ndarray, path: Path) -> None:
    """One picture (H, W, 3) as PNG; an OSError is the logbook's to survive."""
    write_aside(path, to_bytes(picture, "png"))


def write_projector(model: BetaVAE, pictures: PictureSet, book: Logbook) -> None:
    """The codes of up to 512 held-out pictures with names and thumbnails, for TensorBoard's projector."""
    rows = pictures.split.validation[:_CODES]
    originals = np.asarray(pictures.pictures[rows])
    step = max(1, originals.shape[1] // _THUMBNAIL)
    height = originals.shape[1] // step
    thumbnails = originals.reshape(len(rows), height, step, height, step, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    book.projector(encode_pictures(model, originals)[0].numpy(), [pictures.names[row] for row in rows], thumbnails)
