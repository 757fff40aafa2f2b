"""The commands that look at a trained run: `reconstruct`, `interpolate`, `traverse`."""

from __future__ import annotations

import argparse

from vae_helpers.errors import InputError
from vae_helpers.settings import METHODS
from vae_helpers.shell.open_run import list_files, load, names_number, open_run, picture, pictures_of, report, target
from vae_helpers.shell.options import LATENTS, OneOf, Whole, animation
from vae_helpers.shell.options import picture as a_picture
from vae_helpers.shell.parser import Parser, add_run

_ONE = "a picture file, or the number of a held-out picture of the run's own set"


def add_reconstruct(sub: Parser) -> None:
    """The options of `reconstruct`."""
    add_run(sub)


def add_interpolate(sub: Parser) -> None:
    """The options of `interpolate`."""
    sub.take("pictures", kind=a_picture, nargs=2, metavar="PICTURE", help=_ONE)
    sub.take("--steps", kind=Whole(2, 1000), default=12, metavar="N", help="frames on the path, both ends included")
    sub.take(
        "--method",
        kind=OneOf(METHODS),
        default="lerp",
        metavar="NAME",
        help="lerp (straight line), slerp (arc), or geodesic (the shortest way in pictures)",
    )
    sub.add_argument("--even", action="store_true", help="the picture changes by the same amount at each step")
    add_run(sub)
    _add_save(sub)


def add_traverse(sub: Parser) -> None:
    """The options of `traverse`."""
    sub.take("--image", kind=a_picture, default="0", metavar="PICTURE", help=_ONE)
    sub.take("--rows", kind=LATENTS, default=8, metavar="N", help="how many latents, highest KL first")
    add_run(sub)
    _add_save(sub)


def _add_save(sub: Parser) -> None:
    sub.take(
        "--save",
        kind=animation,
        metavar="FILE",
        help="where to, by its ending: .png (stills), .gif, .webp, .mp4 or .html (a page with a slider); "
        "default: VAE/plots/RUN",
    )


def run_reconstruct(options: argparse.Namespace) -> None:
    """`reconstruct`: scores, and originals over reconstructions."""
    from vae_helpers.model import held_out_loss
    from vae_helpers.runs import difference
    from vae_helpers.scores import evaluate
    from vae_helpers.tour import save_reconstructions
    from vae_helpers.train import FitResult

    run, model, saved, pictures = open_run(options)
    held_out = pictures.split.validation
    if difference(pictures, saved["data"]):
        run = run.on(pictures.name)
    scores = evaluate(model, pictures.pictures, held_out, **held_out_loss(saved["train_config"]))
    report(run, FitResult(model, scores, True))
    path = target(options, None, run.plots / "reconstructions.png")
    list_files([save_reconstructions(model, pictures.pictures[held_out], run, path=path)])


def _summary(model, pictures):
    from vae_helpers.latent import encode_pictures, summarise

    return summarise(*encode_pictures(model, pictures.pictures[pictures.split.validation]))


def run_interpolate(options: argparse.Namespace) -> None:
    """`interpolate`: the path between two pictures."""
    import numpy as np

    from vae_helpers.latent import PathContext, encode_pictures, walk
    from vae_helpers.show import save_frames

    run, model, saved = load(options)
    pictures, active = None, None
    if options.method != "lerp" or any(map(names_number, options.pictures)):  # a straight line needs its two ends only
        pictures, active = _pictures_and_active(options, run, model, saved)
    ends = [picture(text, model, pictures) for text in options.pictures]
    (a, b), _ = encode_pictures(model, np.stack(ends))
    path = walk(model, a, b, options.steps, options.method, PathContext(active), options.even)
    list_files([save_frames(path.frames, target(options, options.save, run.plots / f"{options.method}.png"))])


def _pictures_and_active(options: argparse.Namespace, run, model, saved: dict):
    """The run's pictures and active latents; None twice (all latents) where they are not to be had and not needed."""
    from vae_helpers.files import say

    try:
        pictures = pictures_of(options, run, saved)
    except InputError as problem:
        if options.data or any(map(names_number, options.pictures)):
            raise
        say(f"Active latents are known from the run's pictures only, and {problem} The path counts all latents.")
        return None, None
    return pictures, _summary(model, pictures).active


def run_traverse(options: argparse.Namespace) -> None:
    """`traverse`: one latent swept after the other."""
    from vae_helpers.tour import save_traversals

    run, model, _, pictures = open_run(options)
    image = picture(options.image, model, pictures)
    path = target(options, options.save, run.plots / "traversals.png")
    list_files([save_traversals(model, image, run, _summary(model, pictures), path, options.rows)])
