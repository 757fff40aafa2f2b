"""The commands that look at a trained run: `reconstruct`, `interpolate`, `traverse`."""

from __future__ import annotations

import argparse

from vae_helpers.errors import InputError
from vae_helpers.settings import METHODS
from vae_helpers.shell.attribute_commands import add_attribute_file, chart_of
from vae_helpers.shell.direction_command import named_axes
from vae_helpers.shell.open_run import list_files, load, names_number, open_run, picture, pictures_of, report, target
from vae_helpers.shell.options import LATENTS, OneOf, Whole, animation, name
from vae_helpers.shell.options import picture as a_picture
from vae_helpers.shell.parser import Parser, add_run

_KNOWN, _JUDGED = 1000, 64  # training pictures that a path goes through, held-out ones that say what is sound
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
        metavar="NAME",
        help="chart (each attribute goes straight), known (through codes of training pictures), lerp (straight line), "
        "slerp (arc) or geodesic (the shortest way in pictures); default: chart, or else known",
    )
    sub.add_argument("--even", action="store_true", help="the picture changes by the same amount at each step")
    add_attribute_file(sub)
    add_run(sub)
    _add_save(sub)


def add_traverse(sub: Parser) -> None:
    """The options of `traverse`."""
    sub.take("--image", kind=a_picture, default="0", metavar="PICTURE", help=_ONE)
    sub.take("--rows", kind=LATENTS, default=8, metavar="N", help="how many latents, highest KL first")
    sub.take(
        "--attribute",
        kind=name,
        action="append",
        metavar="NAME",
        help="sweep this attribute (`attributes` lists them) or direction made by hand (`directions` does) instead of "
        "latents; may be given several times",
    )
    sub.add_argument(
        "--alone",
        action="store_true",
        help="an attribute moves alone, and not with what goes along with it in the set (marginal, not conditional)",
    )
    add_attribute_file(sub)
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
    place = target(options, None, run.plots / "reconstructions.png")
    list_files([save_reconstructions(model, pictures.pictures[held_out], place)])


def _summary(model, pictures):
    from vae_helpers.latent import encode_pictures, summarise

    return summarise(*encode_pictures(model, pictures.pictures[pictures.split.validation]))


def run_interpolate(options: argparse.Namespace) -> None:
    """`interpolate`: the path between two pictures."""
    import numpy as np

    from vae_helpers.latent import encode_pictures, walk
    from vae_helpers.show import save_frames

    if options.attributes is not None and options.method not in (None, "chart"):
        raise InputError(f"--attributes is for --method chart, and a {options.method} needs none: leave it out.")
    run, model, saved = load(options)
    pictures, context, kind = _what_a_path_needs(options, run, model, saved)
    ends = [picture(text, model, pictures) for text in options.pictures]
    (a, b), _ = encode_pictures(model, np.stack(ends))
    way = walk(model, a, b, options.steps, kind, context, options.even)
    list_files([save_frames(way.frames, target(options, options.save, run.plots / f"{kind}.png"))])


def _what_a_path_needs(options: argparse.Namespace, run, model, saved: dict):
    """`(pictures, PathContext, kind)`: the run's pictures, what the path needs of them, and its kind.

    Pictures and context are None where they are not to be had and not needed.
    """
    from vae_helpers.files import say
    from vae_helpers.latent import PathContext, encode_pictures

    kind, numbers = options.method, any(map(names_number, options.pictures))
    if kind == "lerp" and not numbers:  # a straight line needs its two ends only
        return None, None, kind
    try:
        pictures = pictures_of(options, run, saved)
    except InputError as problem:
        if options.data or options.attributes or numbers or kind in ("known", "chart"):
            raise
        if kind is None:
            say(f"A straight line: other kinds of path need the run's pictures, and {problem}")
            return None, None, "lerp"
        say(f"Active latents are known from the run's pictures only, and {problem} The path counts all latents.")
        return None, None, kind
    if kind in (None, "chart"):
        try:
            return pictures, PathContext(chart=chart_of(options, run, model, saved, pictures)[0]), "chart"
        except InputError as problem:
            if kind or options.attributes:
                raise
            say(f"A path through codes of training pictures: {problem}")
            kind = "known"
    known = None
    if kind == "known":
        known, _ = encode_pictures(model, pictures.pictures[pictures.split.train[:_KNOWN]])
    return pictures, PathContext(_summary(model, pictures).active, known=known), kind


def run_traverse(options: argparse.Namespace) -> None:
    """`traverse`: one latent, or one attribute, swept after the other."""
    from vae_helpers.tour import save_attribute_sweeps, save_traversals

    if options.attributes is not None and not options.attribute:
        raise InputError("--attributes is a table to take an --attribute from: name one, or leave the table out.")
    if options.alone and not options.attribute:
        raise InputError("--alone says how an --attribute moves: name one, or leave it out.")
    run, model, saved, pictures = open_run(options)
    image = picture(options.image, model, pictures)
    if not options.attribute:
        place = target(options, options.save, run.plots / "traversals.png")
        list_files([save_traversals(model, image, _summary(model, pictures), place, options.rows)])
        return
    axes = named_axes(options, run, model, saved, pictures)
    place = target(options, options.save, run.plots / "attributes.png")
    held_out = pictures.pictures[pictures.split.validation[:_JUDGED]]
    list_files([save_attribute_sweeps(model, image, axes, held_out, place)])
