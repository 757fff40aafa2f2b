"""A button that saves what an explorer shows as one page with the decoder inside."""

from __future__ import annotations

import ipywidgets as widgets

from vae_helpers.errors import InputError
from vae_helpers.show import PageContent, page_html, save_page
from vae_helpers.widgets.explorer_data import ExplorerData
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import button

_SHOWN = 24  # pictures on the page: the first ones


def page_button(explorer: Explorer) -> widgets.Button:
    """Saves `page.html` in the explorer's folder, with its first 24 pictures, its chart and its latents."""
    saving = button("Save as page", 116)
    saving.tooltip = "one HTML file that paints by itself: to be opened without a kernel, or sent to anybody"

    def save(page: str) -> None:
        place = explorer.new_file("page.html")
        explorer.say(f"Saved {save_page(page, place)}, {len(page) / 1e6:.1f} MB: open it in a browser, or send it.")

    explorer.act_on(
        saving, lambda: explorer.compute("page", "the page", lambda watch: page_html(_content(explorer)), save)
    )
    return saving


def _content(explorer: Explorer) -> PageContent:
    data: ExplorerData = explorer.data
    if data.summary is None:
        raise InputError("a page needs to know which latents are active: give the explorer a summary.")
    shown = range(min(_SHOWN, len(data.pictures)))
    codes = explorer.codes(shown)
    return PageContent(
        data.model,
        data.pictures[: len(shown)],
        explorer.names[: len(shown)],
        codes,
        codes if data.training_codes is None else data.training_codes,
        data.summary,
        data.chart,
        data.trust,
        title="Move through a latent space",
        about="A β-VAE turns pictures into numbers, and numbers into pictures. This page holds the half that paints. "
        "Every picture is painted here, by your browser; nothing is sent, and it works without a network.",
    )
