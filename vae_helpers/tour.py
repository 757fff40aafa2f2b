"""The whole path in one call: pictures, training, reconstructions, samples, paths, sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.latent import (
    BROKEN,
    Axis,
    LatentSummary,
    PathContext,
    Soundness,
    chain,
    decode_codes,
    encode_pictures,
    frozen_decoder,
    pick_pairs,
    reconstruct,
    sample_fitted,
    sample_prior,
    sound_choices,
    sound_range,
    traversal_range,
    traverse,
    walk,
)
from vae_helpers.model import BetaVAE, psnr_of
from vae_helpers.runs import Run, read_scalars
from vae_helpers.scores import Scores
from vae_helpers.show import figures, save_frames


def save_reconstructions(model: BetaVAE, pictures: np.ndarray, path: Path, count: int = 10) -> Path:
    """Originals over reconstructions over differences of the first `count` uint8 pictures (N, H, W, 3)."""
    originals = pictures[:count]
    drawn = reconstruct(model, originals)
    figure = figures.show_reconstructions(originals, drawn, psnr_of(drawn, originals))
    return figures.save(figure, path)


def save_samples(model: BetaVAE, pictures: np.ndarray, run: Run) -> Path:
    """Samples from the prior, and from a Gaussian fitted to the codes of uint8 training pictures (N, H, W, 3)."""
    prior, fitted = sample_prior(model, 20), sample_fitted(model, *encode_pictures(model, pictures), 20)
    rows = [prior[:10], prior[10:], fitted[:10], fitted[10:]]
    return figures.save(
        figures.show_rows(rows, ["prior", "N(0, 1)", "fitted", "to the codes"]), run.plots / "samples.png"
    )


def save_paths(model: BetaVAE, pictures: np.ndarray, run: Run, active: np.ndarray, steps: int = 10) -> list[Path]:
    """Straight paths between four pairs of pictures, one pair both ways, and an animation through all of them."""
    pairs = pick_pairs(model, pictures, 4)
    stops, _ = encode_pictures(model, pictures[pairs.ravel()])
    ends = stops.unflatten(0, (-1, 2))
    paths = {f"pair {i + 1}": walk(model, a, b, steps).frames for i, (a, b) in enumerate(ends)}
    written = [figures.save(figures.show_rows(list(paths.values()), list(paths)), run.plots / "interpolations.png")]
    both = {
        kind: walk(model, ends[0, 0], ends[0, 1], steps, kind, PathContext(active)).frames for kind in ("lerp", "slerp")
    }
    written.append(figures.save(figures.show_paths(both, pictures[pairs[0]]), run.plots / "lerp_and_slerp.png"))
    loop = chain(model, stops, steps=13, even=True, closed=True)
    names = ("path.gif", "path.webp", "path.html")
    return written + [save_frames(loop.frames, run.plots / name, ping_pong=False) for name in names]


def save_traversals(
    model: BetaVAE, picture: np.ndarray, summary: LatentSummary, path: Path, rows: int = 8, steps: int = 9
) -> Path:
    """Sweeps of the `rows` latents with the highest KL, starting from one uint8 picture (H, W, 3)."""
    code = encode_pictures(model, picture[None])[0][0]
    if rows < 1:
        raise InputError(f"{rows} latents give no sweep: ask for at least 1.")
    dimensions = summary.active[:rows]
    if not len(dimensions):
        raise InputError("no latent is active, so there is nothing to sweep: train longer, or with a smaller beta.")
    swept = [traverse(model, code, d, traversal_range(summary, d, steps)) for d in dimensions]
    if path.suffix.lower() == ".png":
        return figures.save(figures.show_traversals(swept, dimensions, summary), path)
    return _save_film(swept, path)


def save_attribute_sweeps(
    model: BetaVAE, picture: np.ndarray, axes: Sequence[Axis], held_out: np.ndarray, path: Path, steps: int = 9
) -> Path:
    """A sweep along each axis from one uint8 picture (H, W, 3), as far as its frames are sound.

    What is sound is learnt from `held_out` pictures, uint8 (N, H, W, 3); of fewer than 20 nothing is: ranges are whole.
    """
    code, decoder = encode_pictures(model, picture[None])[0][0], frozen_decoder(model)
    soundness = Soundness(model, held_out) if len(held_out) >= 20 else None

    def is_sound(codes: Tensor) -> np.ndarray:
        frames = decode_codes(decoder, codes)
        return np.ones(len(frames), bool) if soundness is None else soundness.judge(frames).level < BROKEN

    swept, labels = [], []
    for axis in axes:
        if axis.choices:
            values = np.array(sound_choices(axis, code, is_sound) or [int(axis.start(code))])
            labels.append(f"{axis.name}\n{', '.join(axis.choices[int(v)] for v in values)}")
        else:
            low, high = sound_range(axis, code, is_sound)
            values = np.linspace(low, high, steps)
            labels.append(f"{axis.name}  {low:.3g} to {high:.3g}\n{axis.unit}".rstrip())
        swept.append(decode_codes(decoder, axis.move(code, values)))
    return figures.save(figures.show_rows(swept, labels), path) if path.suffix == ".png" else _save_film(swept, path)


def _save_film(swept: Sequence[np.ndarray], path: Path) -> Path:
    """One sweep after the other, each there and back."""
    return save_frames(np.concatenate([np.concatenate([s, s[-2:0:-1]]) for s in swept]), path, ping_pong=False)


def save_all(model: BetaVAE, pictures: PictureSet, run: Run, scores: Scores) -> list[Path]:
    """Every still and animation of a trained run, from its held-out pictures; returns the files written."""
    held_out = pictures.pictures[pictures.split.validation]
    written = [
        figures.save(figures.show_grid(pictures.pictures[pictures.split.train[:32]]), run.plots / "pictures.png"),
        figures.save(figures.show_losses(read_scalars(run.tensorboard)), run.plots / "losses.png"),
        save_reconstructions(model, held_out, run.plots / "reconstructions.png"),
        save_samples(model, pictures.pictures[pictures.split.train[:2048]], run),
        figures.save(figures.show_latent_use(scores.summary), run.plots / "latent_use.png"),
    ]
    if len(held_out) > 1:
        written += save_paths(model, held_out[:64], run, scores.summary.active)
    if len(scores.summary.active):
        written.append(save_traversals(model, held_out[0], scores.summary, run.plots / "traversals.png"))
    return written
