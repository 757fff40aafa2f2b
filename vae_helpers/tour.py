"""The whole path in one call: pictures, training, reconstructions, samples, paths, sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.files import say
from vae_helpers.latent import (
    BROKEN,
    Axis,
    Chart,
    LatentSummary,
    PathContext,
    Soundness,
    Trust,
    attribute_axes,
    chain,
    compare_paths,
    decode_codes,
    encode_pictures,
    frozen_decoder,
    pick_pairs,
    reconstruct,
    samples_by_kind,
    sound_choices,
    sound_range,
    traversal_range,
    traverse,
    walk,
)
from vae_helpers.model import BetaVAE, psnr_of
from vae_helpers.runs import Run, read_scalars
from vae_helpers.scores import Scores, chart_of_run
from vae_helpers.show import figures, save_frames, show_inspection, show_samples

_FEWEST, _JUDGED, _KNOWN = (
    20,
    200,
    1000,
)  # held-out pictures that say what is sound, training codes that paths go through


def save_reconstructions(model: BetaVAE, pictures: np.ndarray, path: Path, count: int = 10) -> Path:
    """Originals over reconstructions over differences of the first `count` uint8 pictures (N, H, W, 3)."""
    originals = pictures[:count]
    drawn = reconstruct(model, originals)
    figure = figures.show_reconstructions(originals, drawn, psnr_of(drawn, originals))
    return figures.save(figure, path)


def save_samples(
    model: BetaVAE, pictures: np.ndarray, run: Run, chart: Chart | None = None, soundness: Soundness | None = None
) -> Path:
    """Samples of every kind, with the verdict on each; `pictures` are uint8 training pictures (N, H, W, 3)."""
    samples = samples_by_kind(model, *encode_pictures(model, pictures), chart)
    return figures.save(show_samples(samples, soundness), run.plots / "samples.png")


def save_paths(
    model: BetaVAE,
    pictures: np.ndarray,
    run: Run,
    context: PathContext,
    soundness: Soundness | None = None,
    steps: int = 10,
) -> list[Path]:
    """Paths between four pairs of uint8 pictures (N, H, W, 3), one pair by several kinds, an animation through all.

    They are of the context's soundest kind; the straight line stands beside it in the comparison.
    """
    kind, pairs = context.default_kind, pick_pairs(model, pictures, 4)
    stops, _ = encode_pictures(model, pictures[pairs.ravel()])
    ends = stops.unflatten(0, (-1, 2))
    paths = {f"pair {i + 1}": walk(model, a, b, steps, kind, context).frames for i, (a, b) in enumerate(ends)}
    title = f"Paths of kind {kind}"
    written = [
        figures.save(figures.show_rows(list(paths.values()), list(paths), title), run.plots / "interpolations.png")
    ]
    kinds = tuple(dict.fromkeys(("lerp", "slerp", kind)))
    reports = compare_paths(model, ends[0, 0], ends[0, 1], steps, context, soundness, kinds=kinds)
    written.append(figures.save(show_inspection(reports), run.plots / "kinds_of_path.png"))
    loop = chain(model, stops, 13, kind, context, even=True, closed=True)
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
    soundness = Soundness(model, held_out) if len(held_out) >= _FEWEST else None

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
    held_out, train = pictures.validation, pictures.pictures[pictures.split.train[:2048]]
    soundness = Soundness(model, held_out[:_JUDGED]) if len(held_out) >= _FEWEST else None
    chart, trust = _chart(run, model, pictures)
    known, _ = encode_pictures(model, train[:_KNOWN])
    written = [
        figures.save(figures.show_grid(train[:32]), run.plots / "pictures.png"),
        figures.save(figures.show_losses(read_scalars(run.tensorboard)), run.plots / "losses.png"),
        save_reconstructions(model, held_out, run.plots / "reconstructions.png"),
        save_samples(model, train, run, chart, soundness),
        figures.save(figures.show_latent_use(scores.summary), run.plots / "latent_use.png"),
    ]
    if len(held_out) > 1:
        context = PathContext(scores.summary.active, known=known, chart=chart)
        written += save_paths(model, held_out[:64], run, context, soundness)
    if len(scores.summary.active):
        written.append(save_traversals(model, held_out[0], scores.summary, run.plots / "traversals.png"))
    axes = [axis for axis in attribute_axes(chart, trust) if axis.trusted] if chart else []
    if axes:
        path = run.plots / "attributes.png"
        written.append(save_attribute_sweeps(model, held_out[0], axes[:8], held_out[:_JUDGED], path))
    return written


def _chart(run: Run, model: BetaVAE, pictures: PictureSet) -> tuple[Chart | None, list[Trust]]:
    """The run's chart and what its sliders are worth; where none can be made, a line that says why."""
    try:
        return chart_of_run(run, model, pictures)
    except InputError as problem:
        say(f"No named sliders: {problem}")
        return None, []
