"""The parts of which explorers are put together: captioned pictures, typed sliders, rows, the style sheet.

Only core widgets and traits that ipywidgets 7.7 and 8 share.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from importlib import resources

import ipywidgets as widgets
import numpy as np
from traitlets import Unicode

from vae_helpers.show import tile, to_bytes
from vae_helpers.widgets.cells import ShownInCells
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.saved import hiding

LARGE = 280  # CSS pixels: the main picture where there is space; --vae-view in style.css
THUMB = 66  # CSS pixels: side of a thumbnail; --vae-thumb in style.css
_WIDE, _WIDER = "960px", "1240px"  # the most that an explorer takes, also with its picture enlarged
_BLANK = to_bytes(np.full((1, 1, 3), 232, np.uint8), "jpeg")  # without bytes the browser shows a torn page


def style_sheet(explorer: ShownInCells) -> widgets.HTML:
    """The style sheet of an explorer, which also hides its saved view; put it among its children."""
    css = resources.files(__package__).joinpath("style.css").read_text("utf-8")
    return widgets.HTML(f"<style>{css}{hiding(explorer.saved_key)}</style>", layout=widgets.Layout(display="none"))


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
        layout=widgets.Layout(width=f"{(width + 4) * len(options) + 8}px", max_width="100%"),
    )
    describe(control, text)
    return row(widgets.Label(text), control, gap="8px", wrap=False), control


def button(text: str, width: int) -> widgets.Button:
    """A plain button, `width` CSS pixels wide."""
    return widgets.Button(description=text, layout=widgets.Layout(width=f"{width}px"))


def checkbox(text: str, value: bool = False) -> widgets.Checkbox:
    """A box to tick, with its text right of it."""
    return widgets.Checkbox(value=value, description=text, indent=False, layout=widgets.Layout(width="auto"))


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


def picture(text: str, width: int | None, *classes: str) -> widgets.Image:
    """A blank square picture for `show`, at most `width` CSS pixels wide, or as wide as its class; `text` names it."""
    layout = widgets.Layout(width=f"{width}px") if width else widgets.Layout()
    return _image(layout, text, "vae-square", *classes)


class _Picture(widgets.Image):
    """An Image that can bear a tooltip: for one, the browser's part of ipywidgets 8 asks for a description too."""

    description = Unicode("").tag(sync=True)


def _image(layout: widgets.Layout, text: str, *classes: str) -> widgets.Image:
    image = _Picture(value=_BLANK, format="jpeg", layout=layout)
    describe(image, text)
    for each in ("vae-picture", *classes):
        image.add_class(each)
    return image


def show(image: widgets.Image, pixels: np.ndarray, scale: float = 1) -> None:
    """Put uint8 pixels (H, W, 3) into an Image widget."""
    image.value = to_bytes(pixels, "jpeg", scale)


def strip(text: str, *classes: str) -> widgets.Image:
    """A blank strip of frames, whose pictures are set with `show_strip`; `text` names it."""
    return _image(widgets.Layout(height="auto"), text, *classes)


def show_strip(image: widgets.Image, frames: np.ndarray, width: int) -> None:
    """Put uint8 frames (N, H, W, 3) beside each other, `width` CSS pixels wide in all."""
    sheet = tile(frames, len(frames), gap=0)
    image.layout.width = f"{width}px"
    show(image, sheet, min(1.0, 1.5 * width / sheet.shape[1]))


def captioned(image: widgets.Image, width: int | None, alone: str = "") -> tuple[widgets.VBox, widgets.HTML]:
    """A picture with visible text under it (Image has no alt text); returns the box and its caption.

    The box is at most `width` CSS pixels wide, or as wide as its class `alone`, and shrinks where the page is narrow.
    """
    caption = widgets.HTML(layout=widgets.Layout(width="100%", margin="0"))
    layout = widgets.Layout(align_items="center", flex=f"0 1 {width}px") if width else widgets.Layout()
    box = widgets.VBox([image, caption], layout=layout)
    for each in ("vae-captioned", *filter(None, [alone])):
        box.add_class(each)
    return box, caption


def caption_text(label: str, text: str = "", colour: str = "") -> str:
    """HTML of a caption: the label in bold (colour "a" or "b" for that picture's), the text after it."""
    return (
        f'<div class="vae-caption" title="{html.escape(text)}"><b class="vae-{colour or "plain"}">'
        f"{html.escape(label)}</b> {html.escape(text)}</div>"
    )


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What two uint8 pictures (H, W, 3) do not share: |a - b|, doubled and dark on white; white means "equal"."""
    return (255 - np.minimum(255, 2 * np.abs(a.astype(int) - b.astype(int)))).astype(np.uint8)


def enlarge_button(explorer: Explorer) -> widgets.Button:
    """Makes an explorer's main picture large, and small again; what stands beside it gives way (style.css)."""
    press = button("Enlarge", 84)

    def pressed(_):
        grow = press.description == "Enlarge"
        press.description = "Shrink" if grow else "Enlarge"
        (explorer.add_class if grow else explorer.remove_class)("vae-large")
        explorer.layout.max_width = _WIDER if grow else _WIDE

    press.on_click(pressed)
    return press


def describe(control: widgets.Widget, text: str) -> None:
    """A name for what shows none: by its tooltip, which screen readers take (`description_tooltip` in ipywidgets 7)."""
    for trait in ("tooltip", "description_tooltip"):
        if control.has_trait(trait):
            control.set_trait(trait, text)
            return


def data_uri(pixels: np.ndarray, side: int) -> str:
    """A picture (H, W, 3) as an address that holds it, sharp at `side` CSS pixels."""
    data = to_bytes(np.asarray(pixels), "jpeg", min(1.0, 1.5 * side / pixels.shape[0]))
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


def slider_and_number(value: int, low: int, high: int, text: str, width: int | None):
    """A slider and a typed value that follow each other (Notebook 7 takes the arrow keys from sliders).

    The slider is `width` CSS pixels wide, or fills its row.
    """
    slider = widgets.IntSlider(
        value=value,
        min=low,
        max=high,
        description=text,
        readout=False,
        style={"description_width": "48px"},
        layout=widgets.Layout(width=f"{width}px" if width else "auto", flex="" if width else "1 1 auto"),
    )
    typed = widgets.BoundedIntText(value=value, min=low, max=high, layout=widgets.Layout(width="68px"))
    describe(typed, text)
    widgets.link((slider, "value"), (typed, "value"))
    return slider, typed


def short(name: str) -> str:
    """The last part of a picture's name, which fits under it."""
    return name.rsplit("/", 1)[-1]
