"""Attributes on the shell: the command `attributes`, and the chart that `interpolate` and `traverse` move by."""

from __future__ import annotations

import argparse

from vae_helpers.errors import InputError, printable
from vae_helpers.shell.open_run import list_files, open_run, target
from vae_helpers.shell.options import path
from vae_helpers.shell.parser import Parser, add_run


def add_attribute_file(sub: Parser) -> None:
    """A table of attributes beside the pictures: for every command that makes a chart."""
    sub.take(
        "--attributes",
        kind=path,
        metavar="FILE.csv",
        help="more attributes of the pictures: a first column of paths or file names, then numbers, ±1 or words",
    )


def add_attributes(sub: Parser) -> None:
    """The options of `attributes`."""
    add_attribute_file(sub)
    add_run(sub)


def run_attributes(options: argparse.Namespace) -> None:
    """`attributes`: what can be moved by name, and how far that can be trusted."""
    from vae_helpers.data import attributes_of
    from vae_helpers.scores import trust_lines
    from vae_helpers.show import figures, show_trust

    run, model, saved, pictures = open_run(options)
    chart, trust = chart_of(options, run, model, saved, pictures)
    trusted = sum(each.trusted for each in trust)
    print(
        f"{run.name}: {trusted} of {len(trust)} attributes of {pictures.name} can be moved, by what held-out ones show"
    )
    print(*trust_lines(trust), sep="\n")
    for name, reason in chart.left_out.items():
        print(printable(f"left out: {name}, which {reason}"))
    related = attributes_of(pictures, _extra(options, pictures)).select(chart.names).correlation()
    figure = show_trust(trust, related, f"{run.name} on {pictures.name}")
    list_files([figures.save(figure, target(options, None, run.plots / "trust.png"))])


def chart_of(options: argparse.Namespace, run, model, saved: dict, pictures):
    """`(Chart, list[Trust])` of a run and its pictures, with what --attributes names."""
    from vae_helpers.runs import difference
    from vae_helpers.scores import chart_of_run

    own = run if not difference(pictures, saved["data"]) else run.on(pictures.name)
    return chart_of_run(own, model, pictures, _extra(options, pictures))


def _extra(options: argparse.Namespace, pictures):
    from vae_helpers.data import read_attributes

    return None if options.attributes is None else read_attributes(options.attributes, pictures.names)


def trusted_axes(chart, trust, names, way="conditional"):
    """The axes of these attributes, in this order. InputError for one that is unknown, or moves something else.

    Trust was measured of the conditional way, but an attribute that the code does not hold moves in neither.
    """
    from vae_helpers.latent import TRUSTED, attribute_axes

    axes = {axis.name: axis for axis in attribute_axes(chart, trust, way)}
    wanted = [chart.names[chart.column(name)] for name in names]
    for each in trust:
        if each.name in wanted and not each.trusted:
            raise InputError(
                f"{each.name!r} cannot be moved by this run: measured on held-out pictures, its trust is "
                f"{each.value:.2f}, and a sweep needs {TRUSTED:g}: choose one of "
                f"{', '.join(t.name for t in trust if t.trusted) or 'the latents, without --attribute'}."
            )
    return [axes[name] for name in dict.fromkeys(wanted)]
