"""The command `page`: a run's explorer as one HTML file that needs no kernel and no network."""

from __future__ import annotations

import argparse
from pathlib import Path

from vae_helpers.errors import InputError
from vae_helpers.shell.open_run import list_files, open_run, target
from vae_helpers.shell.options import Whole, path
from vae_helpers.shell.parser import Parser, add_run


def add_page(sub: Parser) -> None:
    """The options of `page`."""
    sub.take("--pictures", kind=Whole(1, 200), default=24, metavar="N", help="held-out pictures to choose from")
    sub.add_argument(
        "--small", action="store_true", help="the largest matrix in 8 bits: a smaller file, a little coarser"
    )
    sub.add_argument(
        "--no-photos",
        action="store_true",
        help="no picture of the set goes into the file: thumbnails are drawn from codes (which still tell of them)",
    )
    sub.add_argument(
        "--encoder", action="store_true", help="readers can walk from a photo of their own: 10 MB more at 128 px"
    )
    sub.take("--save", kind=_page, metavar="FILE.html", help="where the page goes; default: VAE/plots/RUN/page.html")
    add_run(sub)


def _page(text: str) -> Path:
    """A file that ends in .html."""
    found = path(text)
    if found.suffix.lower() != ".html":
        raise InputError(f"a page is a file whose name ends in .html, not {text!r}")
    return found


def run_page(options: argparse.Namespace) -> None:
    """`page`: write the page."""
    from vae_helpers.scores import content_of_run
    from vae_helpers.show import page_html, save_page

    run, model, saved, pictures = open_run(options)
    content = content_of_run(run, model, saved, pictures, options.pictures)
    place = target(options, options.save, run.plots / "page.html")
    list_files([save_page(page_html(content, options.small, not options.no_photos, options.encoder), place)])
