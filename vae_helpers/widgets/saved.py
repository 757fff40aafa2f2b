"""What a saved notebook shows in the place of an explorer to a reader without its kernel.

Jupyter shows a widget's own output only with a kernel that knows the widget. So a second output goes with it, which the
style sheet of the living explorer hides.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from IPython.display import publish_display_data
from PIL import Image, ImageDraw

from vae_helpers.show import to_bytes

_SENTENCE = "This is what the explorer showed last. To move it by hand, run the cells above and this one."


class SavedView(NamedTuple):
    """`page` is HTML that needs no kernel; `still` a JPEG for where the notebook's HTML is not trusted."""

    page: str
    still: bytes


def publish(view: SavedView, key: str, update: bool = False) -> None:
    """Write it to the running cell's output, or with `update` in the place of what has the same `key`."""
    # Where the explorer lives no more, Jupyter would say below it that it cannot display a widget.
    rule = f".jp-OutputArea-child:has(.{key}) + .jp-OutputArea-child:not(:has(.vae-explorer)){{display:none}}"
    page = f'<style>{rule}</style><div class="{key}"><p style="font: 13px sans-serif">{_SENTENCE}</p>{view.page}</div>'
    data = {"text/html": page, "image/jpeg": base64.b64encode(view.still).decode(), "text/plain": _SENTENCE}
    publish_display_data(data, transient={"display_id": key}, update=update)


def hiding(key: str) -> str:
    """CSS that hides it, for the page on which the explorer lives."""
    return f".{key}{{display:none}}"


def figure(still: bytes, text: str, width: int) -> str:
    """HTML of a JPEG at most `width` CSS pixels wide, with `text` in front of it and as its alternative text."""
    text = html.escape(text)
    return (
        f'<div style="font: 12px sans-serif">{text}</div><img alt="{text}" style="width: {width}px; max-width: 100%" '
        f'src="data:image/jpeg;base64,{base64.b64encode(still).decode()}">'
    )


def map_still(pictures: Sequence[np.ndarray], places: np.ndarray, size: tuple[int, int], side: int) -> bytes:
    """A JPEG of `size` (width, height) pixels with uint8 pictures (H, W, 3), `side` wide, centred at places (n, 2)."""
    sheet = Image.new("RGB", size, "white")
    for pixels, (x, y) in zip(pictures, places):
        sheet.paste(Image.fromarray(pixels).resize((side, side)), (round(x - side / 2), round(y - side / 2)))
    ImageDraw.Draw(sheet).rectangle((0, 0, size[0] - 1, size[1] - 1), outline="#cccccc")
    return to_bytes(np.asarray(sheet), "jpeg")
