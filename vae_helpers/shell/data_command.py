"""The command `data`: fetch a public picture set, look at a folder, clear caches."""

from __future__ import annotations

import argparse

from vae_helpers.errors import InputError
from vae_helpers.shell.open_run import opening
from vae_helpers.shell.options import OneOf, Whole, source
from vae_helpers.shell.parser import Parser, add_opening


def add_data(sub: Parser) -> None:
    """The options of `data`."""
    sub.take(
        "--download",
        kind=OneOf(("butterfly", "animal")),
        metavar="NAME",
        help="fetch this set from Kaggle: butterfly or animal (needs kagglehub)",
    )
    sub.take("--data", kind=source, metavar="DIR|NAME", help="the folder or set to decode and report on")
    sub.add_argument(
        "--clear",
        nargs="?",
        const="old",
        choices=("old", "all"),
        help="delete old caches of decoded pictures (or all) and list what they took",
    )
    sub.take("--image-size", kind=Whole(4, 4096), default=128, metavar="PX", help="side of the squares")
    add_opening(sub)


def run_data(options: argparse.Namespace) -> None:
    """`data`: fetch a public set, or report on a folder."""
    source = options.data or options.download
    if not source and not options.clear:
        raise InputError(
            "say which pictures: --data DIR to look at a folder, or --download butterfly|animal; or --clear."
        )
    from vae_helpers.data import download, open_pictures

    if options.clear:
        _clear(options.clear == "all")
        return
    if options.download:
        print(f"Downloaded to {download(options.download)}")
    pictures = open_pictures(source, options.image_size, **opening(options))
    expectation = pictures.expectation()
    print(
        f"{pictures.name}: {pictures.in_words()}\nCache: {pictures.cache}",
        *pictures.remarks(),
        *[expectation] * bool(expectation),
        sep="\n",
    )


def _clear(everything: bool) -> None:
    """Delete old caches, or all, and list what went and what stays."""
    from vae_helpers.data import cache_folder, clear_caches, list_caches

    where = cache_folder()
    cleared, left = clear_caches(where, everything), list_caches(where)
    for word, caches in (("cleared", cleared), ("kept   ", left)):
        for cache in caches:
            why = cache.old and f" ({cache.old})"
            print(f"  {word} {cache.size / 1e6:8,.1f} MB  {cache.folder.name}  {cache.source}{why}")
    print(
        f"{len(cleared):,} caches of decoded pictures cleared ({sum(kept.size for kept in cleared) / 1e6:,.1f} MB), "
        f"{len(left):,} kept ({sum(kept.size for kept in left) / 1e6:,.1f} MB) in {where}"
        f"{'; `--clear all` clears these too, and opening pictures makes them again' if left else ''}."
    )
