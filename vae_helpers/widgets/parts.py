"""The parts of which explorers are put together: captioned pictures, typed sliders, rows, the style sheet.

Only core widgets and traits that ipywidgets 7.7 and 8 share.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from vae_helpers.settings import ENDINGS
from vae_helpers.show import tile, to_bytes
from vae_helpers.widgets.frame import Explorer

LARGE = 280  # CSS pixels: the main picture
THUMB = 66  # CSS pixels: side of a thumbnail; --vae-thumb in style.css


def style_sheet() -> widgets.HTML:
    """The style sheet of an explorer; put it among its children."""
    css = resources.files(__package__).joinpath("style.css").read_text("utf-8")
    return widgets.HTML(f"<style>{css}</style>", layout=widgets.Layout(display="none"))


def title(text: str, hint: str = "") -> widgets.HTML:
    """A section's caption over a thin line."""
    return widgets.HTML(
        f'<div class="vae-title">{html.escape(text)}<span>{html.escape(hint)}</span></div>',
        layout=widgets.Layout(width="100%"),
    )


def row(*children: widgets.Widget, gap: str = "0", align: str = "center", wrap: bool = True) -> widgets.HBox:
    """Controls beside each other, which wrap (or else shrink) when the page is narrow."""
    flow = "row wrap" if wrap else "row nowrap"
    return widgets.HBox(children, layout=widgets.Layout(align_items=align, flex_flow=flow, grid_gap=gap))


def choice(options: Sequence[str], text: str, width: int) -> tuple[widgets.HBox, widgets.ToggleButtons]:
    """Buttons of which one is down, after a label; returns the row and the control."""
    control = widgets.ToggleButtons(
        options=list(options),
        style={"button_width": f"{width}px"},
        layout=widgets.Layout(width=f"{(width + 4) * len(options) + 8}px"),
    )
    return row(widgets.Label(text), control, gap="8px"), control


def button(text: str, width: int) -> widgets.Button:
    """A plain button, `width` CSS pixels wide."""
    return widgets.Button(description=text, layout=widgets.Layout(width=f"{width}px"))


def number(value: int, low: int, high: int, text: str, width: int) -> widgets.BoundedIntText:
    """A typed whole number with its label."""
    return widgets.BoundedIntText(
        value=value,
        min=low,
        max=high,
        description=text,
        style={"description_width": "initial"},
        layout=widgets.Layout(width=f"{width}px"),
    )


def picture(width: int, *classes: str) -> widgets.Image:
    """An empty square picture, `width` CSS pixels wide, whose bytes are set with `show`."""
    image = widgets.Image(format="jpeg", layout=widgets.Layout(width=f"{width}px", height=f"{width}px"))
    for name in ("vae-picture", *classes):
        image.add_class(name)
    return image


def show(image: widgets.Image, pixels: np.ndarray, scale: float = 1) -> None:
    """Put uint8 pixels (H, W, 3) into an Image widget."""
    image.value = to_bytes(pixels, "jpeg", scale)


def strip(name: str) -> widgets.Image:
    """An empty strip of frames, whose pictures are set with `show_strip`."""
    image = widgets.Image(format="jpeg", layout=widgets.Layout(max_width="99%"))
    for each in ("vae-picture", name):
        image.add_class(each)
    return image


def show_strip(image: widgets.Image, frames: np.ndarray, width: int) -> None:
    """Put uint8 frames (N, H, W, 3) beside each other, `width` CSS pixels wide in all."""
    sheet = tile(frames, len(frames), gap=0)
    image.layout.width = f"{width}px"
    show(image, sheet, min(1.0, 1.5 * width / sheet.shape[1]))


def captioned(image: widgets.Image, width: int) -> tuple[widgets.VBox, widgets.HTML]:
    """A picture with visible text under it (Image has no alt text); returns the box and its caption."""
    caption = widgets.HTML(layout=widgets.Layout(width=f"{width}px", margin="0"))
    return widgets.VBox([image, caption], layout=widgets.Layout(align_items="center")), caption


def caption_text(label: str, text: str = "", colour: str = "") -> str:
    """HTML of a caption: the label in bold (colour "a" or "b" for that picture's), the text after it."""
    return (
        f'<div class="vae-caption" title="{html.escape(text)}"><b class="vae-{colour or "plain"}">'
        f"{html.escape(label)}</b> {html.escape(text)}</div>"
    )


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What two uint8 pictures (H, W, 3) do not share: |a - b|, doubled and dark on white; white means "equal"."""
    return (255 - np.minimum(255, 2 * np.abs(a.astype(int) - b.astype(int)))).astype(np.uint8)


def save_row(explorer: Explorer, save: Callable[[str], Path], text: str = "Save as") -> widgets.HBox:
    """A button per kind of file; `save(ending)` writes it and returns where, which the status line tells."""
    buttons = []
    for ending in ENDINGS:
        press = button({".webp": "WebP"}.get(ending, ending[1:].upper()), 64)
        press.tooltip = f"save as {ending}"
        explorer.act_on(press, lambda ending=ending: explorer.say(f"Saved {_from_here(save(ending))}"))
        buttons.append(press)
    return row(widgets.Label(text), *buttons, gap="4px")


def enlarge_button(image: widgets.Image, caption: widgets.HTML, small: int, large: int) -> widgets.Button:
    """Makes a picture large, and small again."""
    press = button("Enlarge", 84)

    def pressed(_):
        width = small if press.description == "Shrink" else large
        press.description = "Enlarge" if width == small else "Shrink"
        image.layout.width = image.layout.height = caption.layout.width = f"{width}px"

    press.on_click(pressed)
    return press


def _from_here(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def data_uri(pixels: np.ndarray, side: int) -> str:
    """A picture (H, W, 3) as an address that holds it, sharp at `side` CSS pixels."""
    data = to_bytes(np.asarray(pixels), "jpeg", min(1.0, 1.5 * side / pixels.shape[0]))
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def slider_and_number(value: int, low: int, high: int, text: str, width: int):
    """A slider and a typed value that follow each other (Notebook 7 takes the arrow keys from sliders)."""
    slider = widgets.IntSlider(
        value=value,
        min=low,
        max=high,
        description=text,
        readout=False,
        style={"description_width": "48px"},
        layout=widgets.Layout(width=f"{width}px"),
    )
    typed = widgets.BoundedIntText(value=value, min=low, max=high, layout=widgets.Layout(width="68px"))
    widgets.link((slider, "value"), (typed, "value"))
    return slider, typed


def short(name: str) -> str:
    """The last part of a picture's name, which fits under it."""
    return name.rsplit("/", 1)[-1]
