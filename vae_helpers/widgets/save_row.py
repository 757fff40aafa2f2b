"""Saving what is on the screen: a button per kind of file, its size, and a link that downloads what was written."""

from __future__ import annotations

import base64
import html
import mimetypes
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets

from vae_helpers.errors import InputError
from vae_helpers.settings import ENDINGS
from vae_helpers.show import video_encoder
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import button, choice, row

_SCALES = {"1×": 1, "2×": 2, "4×": 4}
_LARGEST = 24 * 1024**2  # bytes of a file that a link may hold: it goes to the browser as text


class SaveRow(widgets.HBox):
    """A button per kind of file that can be written here; `save(ending, scale)` writes it and returns where.

    `scale.value` says how many times as large as the model's pictures. Where it was saved is told, and a link beside
    the buttons downloads it to where the browser runs.
    """

    def __init__(self, explorer: Explorer, save: Callable[[str, int], Path], text: str = "Save as"):
        super().__init__(layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="8px"))
        self._explorer, self._save = explorer, save
        buttons = [self._button(ending) for ending in _writable()]
        scale_row, self.scale = choice(list(_SCALES), "Size", 44)
        self.link = widgets.HTML()
        self.children = [row(widgets.Label(text), *buttons, gap="4px"), scale_row, self.link]

    def _button(self, ending: str) -> widgets.Button:
        press = button({".webp": "WebP"}.get(ending, ending[1:].upper()), 64)
        press.tooltip = f"save as {ending}"
        self._explorer.act_on(press, lambda: self._pressed(ending))
        return press

    def _pressed(self, ending: str) -> None:
        self.link.value = ""
        place = self._save(ending, _SCALES[self.scale.value])
        self.link.value = _download_link(place)
        self._explorer.say(f"Saved {_from_here(place)}")


def _writable() -> list[str]:
    """The kinds of file without those that lack their encoder."""
    try:
        video_encoder()
    except InputError:
        return [ending for ending in ENDINGS if ending != ".mp4"]
    return list(ENDINGS)


def _download_link(place: Path) -> str:
    """A link that holds the file, and so works wherever the browser is; empty for a file too large for that."""
    if place.stat().st_size > _LARGEST:
        return ""
    kind = mimetypes.guess_type(place.name)[0] or {".webp": "image/webp"}.get(place.suffix, "application/octet-stream")
    data = base64.b64encode(place.read_bytes()).decode()
    name = html.escape(place.name, quote=True)
    return f'<a class="vae-download" download="{name}" href="data:{kind};base64,{data}">Download {name}</a>'


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
