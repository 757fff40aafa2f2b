"""The command `directions`: directions made of marked pictures, kept with a run, and axes that sweep along them."""

from __future__ import annotations

import argparse

from vae_helpers.errors import InputError, printable
from vae_helpers.shell.attribute_commands import chart_of, trusted_axes
from vae_helpers.shell.open_run import list_files, load, open_run, picture, picture_name, target
from vae_helpers.shell.options import animation, name
from vae_helpers.shell.options import picture as a_picture
from vae_helpers.shell.parser import Parser, add_run

_FEWEST = 2  # pictures of each group


def add_directions(sub: Parser) -> None:
    """The options of `directions`."""
    sub.take("--name", kind=name, metavar="NAME", help="make a direction of this name, of the marked pictures")
    for group, words in (("--has", "have"), ("--has-not", "do not have")):
        sub.take(
            group,
            kind=a_picture,
            nargs="+",
            metavar="PICTURE",
            help=f"pictures that {words} it, three or more: files, or numbers of held-out pictures",
        )
    sub.take("--image", kind=a_picture, default="0", metavar="PICTURE", help="the picture that is swept along it")
    sub.take("--remove", kind=name, metavar="NAME", help="remove this direction")
    sub.take("--save", kind=animation, metavar="FILE", help="where the sweep goes; default: VAE/plots/RUN")
    add_run(sub)


def run_directions(options: argparse.Namespace) -> None:
    """`directions`: list, make or remove directions of a run."""
    _require_one_task(options)
    if options.name is not None:
        _make(options)
        return
    from vae_helpers.latent import list_directions, remove_direction

    run, model, _ = load(options)
    if options.remove is not None:
        remove_direction(run.models, options.remove)
        print(printable(f"removed: {options.remove}"))
    kept = list_directions(run.models, model.config.latent_dim)
    print(f"{run.name}: {len(kept)} directions" + (", to be made with --name, --has and --has-not" * (not kept)))
    for each in kept:
        marked = f"{len(each.has)} have it, {len(each.has_not)} have it not"
        print(printable(f"{each.name}: p = {each.p_value:.3f}, expected cosine {each.cosine:.2f}; {marked}"))


def kept_axes(run, model) -> dict:
    """`{name: Axis}` of the directions that were made with these very weights."""
    from vae_helpers.latent import direction_axis, list_directions, weights_stamp

    stamp = weights_stamp(model)
    found = list_directions(run.models, model.config.latent_dim)
    return {kept.name: direction_axis(kept) for kept in found if kept.weights in ("", stamp)}


def named_axes(options: argparse.Namespace, run, model, saved: dict, pictures) -> list:
    """The axes of --attribute: directions that were kept under these names, and attributes of the chart."""
    kept = kept_axes(run, model)
    wanted = list(dict.fromkeys(options.attribute))
    others = [each for each in wanted if each not in kept]
    if not others:
        return [kept[each] for each in wanted]
    chart, trust = chart_of(options, run, model, saved, pictures)
    by_chart = iter(trusted_axes(chart, trust, others, "marginal" if options.alone else "conditional"))
    found = (kept[each] if each in kept else next(by_chart, None) for each in wanted)
    return [axis for axis in found if axis is not None]  # two spellings of an attribute are one


def _require_one_task(options: argparse.Namespace) -> None:
    if options.name is not None and options.remove is not None:
        raise InputError("--name makes a direction and --remove removes one: give one of the two.")
    if options.name is None and (options.has or options.has_not or options.save):
        raise InputError("--has, --has-not and --save belong to a new direction: give it a --name.")
    if options.name is not None:
        for group, marked in (("--has", options.has), ("--has-not", options.has_not)):
            if len(marked or ()) < _FEWEST:
                raise InputError(
                    f"{group} names {len(marked or ())} pictures, but a direction needs at least {_FEWEST} of each "
                    "group, and should have three or more."
                )


def _make(options: argparse.Namespace) -> None:
    import numpy as np

    from vae_helpers.latent import direction_axis, direction_by_hand, encode_pictures, keep_direction, weights_stamp
    from vae_helpers.tour import save_attribute_sweeps

    run, model, saved, pictures = open_run(options)
    words = list(dict.fromkeys([*options.has, *options.has_not]))  # a picture that is given twice is one
    start, *marked = (picture(text, model, pictures) for text in (options.image, *words))
    names = [picture_name(text, pictures) for text in words]
    codes, _ = encode_pictures(model, np.stack(marked))
    has, has_not = (sorted({words.index(text) for text in group}) for group in (options.has, options.has_not))
    made = direction_by_hand(options.name, codes, names, has, has_not, weights_stamp(model))
    place = target(options, options.save, run.plots / "direction.png")
    keep_direction(run.models, made)
    print(
        printable(
            f"{made.name}: p = {made.p_value:.3f} (the share of random groupings that lie as far apart), expected "
            f"cosine to the true direction {made.cosine:.2f}; sweep it again with traverse --attribute"
        )
    )
    held_out = pictures.pictures[pictures.split.validation[:64]]
    list_files([save_attribute_sweeps(model, start, [direction_axis(made)], held_out, place)])
