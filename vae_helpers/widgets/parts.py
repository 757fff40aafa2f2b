"""The parts of which explorers are put together: a gallery of thumbnails, captioned pictures, typed sliders, the looks.

Only core widgets and traits that ipywidgets 7.7 and 8 share.
"""

from __future__ import annotations

import base64
import html
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from vae_helpers.errors import InputError
from vae_helpers.settings import ENDINGS
from vae_helpers.show import tile, to_bytes
from vae_helpers.widgets.frame import Explorer

LARGE = 280  # CSS pixels: the main picture
_THUMB = 66  # side of a thumbnail on the screen, in CSS pixels
# Colours come from JupyterLab's theme where there is one. Blue stands for A, orange for B (safe for the colour-blind).
_CSS = f"""
.vae-explorer {{ --vae-a: #2f80d0; --vae-b: #dd7a1e; --vae-start: #2f80d0;
  --vae-text: var(--jp-ui-font-color1, #222); --vae-soft: var(--jp-ui-font-color2, #666);
  --vae-line: var(--jp-border-color2, #ccc);
  padding: 4px 8px 8px; color: var(--vae-text); }}
.vae-explorer .widget-box {{ overflow: visible; }}
.vae-explorer .widget-html-content {{ line-height: 1.35; }}
.vae-title {{ font-size: 14px; font-weight: 600; color: var(--vae-text); border-bottom: 1px solid var(--vae-line);
  padding: 8px 0 3px; margin-bottom: 4px; }}
.vae-title span {{ font-weight: 400; font-size: 12px; color: var(--vae-soft); padding-left: 8px; }}
.vae-note, .vae-caption {{ font-size: 12px; color: var(--vae-soft); }}
.vae-caption {{ text-align: center; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }}
.vae-caption b {{ color: var(--vae-text); }}
.vae-caption b.vae-a {{ color: var(--vae-a); }} .vae-caption b.vae-b {{ color: var(--vae-b); }}
.vae-status {{ font-size: 12px; color: var(--vae-soft); padding: 4px 8px; border-left: 3px solid var(--vae-line); }}
.vae-status.vae-error {{ color: var(--jp-error-color0, #b71c1c); border-color: var(--jp-error-color1, #d32f2f); }}
.vae-explorer .vae-map {{ position: relative; border: 1px solid var(--vae-line); border-radius: 4px; }}
.vae-explorer .vae-map > .widget-html {{ position: absolute; left: 0; top: 0; margin: 0; z-index: 1;
  pointer-events: none; }}
.vae-explorer .vae-map svg {{ display: block; }}
.vae-map .vae-dots {{ fill: var(--vae-soft); opacity: .35; }}
.vae-map polyline {{ fill: none; stroke: var(--vae-text); stroke-width: 2; }}
.vae-map .vae-stops {{ fill: #fff; stroke: var(--vae-text); stroke-width: 1.5; }}
.vae-map text {{ font: 700 14px sans-serif; text-anchor: middle; stroke: #fff; stroke-width: 3; paint-order: stroke; }}
.vae-map text.vae-a {{ fill: var(--vae-a); }} .vae-map text.vae-b {{ fill: var(--vae-b); }}
.vae-explorer .vae-map button.jupyter-button {{ position: absolute; margin: 0; padding: 0; border: 0;
  border-radius: 4px; background-size: cover; display: flex; align-items: flex-end; justify-content: center;
  font-size: 10px; line-height: 12px; color: #fff; text-shadow: 0 0 2px #000, 0 0 3px #000; }}
.vae-explorer .vae-map button:focus-visible {{ outline: 2px dashed var(--vae-text); outline-offset: 4px; z-index: 2; }}
.vae-run {{ font-size: 12px; border-left: 4px solid; padding-left: 6px; color: var(--vae-text); }}
.vae-curve text {{ font: 12px sans-serif; fill: var(--vae-text); }}
.vae-curve path, .vae-curve polyline {{ fill: none; stroke: var(--vae-soft); }}
.vae-meters {{ display: flex; }}
.vae-meters > div {{ flex: 1; padding: 2px 5px 0; text-align: center; font-size: 11px; color: var(--vae-soft); }}
.vae-meter {{ display: block; position: relative; height: 6px; border-radius: 3px; background: var(--vae-line);
  overflow: hidden; margin-bottom: 2px; }}
.vae-meter i {{ display: block; height: 100%; }}
.vae-meter::after {{ content: ''; position: absolute; left: 50%; top: 0; height: 100%; width: 1px;
  background: var(--vae-text); }}
body[data-jp-theme-light="true"] .vae-explorer iframe {{ color-scheme: light; }}
body[data-jp-theme-light="false"] .vae-explorer iframe {{ color-scheme: dark; }}
.vae-explorer button.mod-active {{ background-color: var(--jp-brand-color1, #1976d2); color: #fff; }}
.vae-explorer img.vae-picture {{ border-radius: 4px; margin: 2px; object-fit: fill; }}
.vae-explorer img.vae-edge-a {{ box-shadow: 0 0 0 2px var(--vae-a); }}
.vae-explorer img.vae-edge-b {{ box-shadow: 0 0 0 2px var(--vae-b); }}
.vae-explorer button.vae-thumb.vae-thumb {{ position: relative; margin: 3px; padding: {_THUMB}px 0 0; border: 0;
  width: {_THUMB}px; height: {_THUMB + 16}px; line-height: 16px; font-size: 11px; color: var(--vae-soft);
  border-radius: 4px; background-color: transparent; background-size: {_THUMB}px {_THUMB}px;
  background-repeat: no-repeat; background-position: top left; }}
.vae-explorer button.vae-thumb.vae-thumb:focus-visible {{ outline: 2px dashed var(--vae-text); outline-offset: 3px; }}
"""


class Gallery(widgets.VBox):
    """Pages of thumbnails picked by mouse, Enter or Space: `pick(index)` hears of it; `page` counts from 1."""

    def __init__(self, explorer: Explorer, page_size: int, pick: Callable[[int], None]):
        super().__init__()
        if page_size < 1:
            raise InputError(f"page_size is {page_size}, but a page of thumbnails needs at least 1.")
        self._explorer, self._size, self._marks = explorer, page_size, {}
        self._key = f"vae-{uuid.uuid4().hex[:8]}"
        self._drawn = widgets.HTML(layout=widgets.Layout(display="none"))  # the thumbnails, as a style sheet
        self._marked = widgets.HTML(layout=widgets.Layout(display="none"))
        self.buttons = [self._button(slot, pick) for slot in range(min(page_size, len(explorer.pictures)))]
        self.pages = -(-len(explorer.pictures) // page_size)
        self.page = number(1, 1, self.pages, "Page", 104)
        self.previous, self.next = button("Previous", 80), button("Next", 80)
        explorer.act_on(self.previous, lambda: self._turn(-1))
        explorer.act_on(self.next, lambda: self._turn(1))
        explorer.redraw_on(self.page, "gallery")
        self._grid = widgets.Box(self.buttons, layout=widgets.Layout(flex_flow="row wrap"))
        self._note = widgets.HTML()
        turning = row(self.previous, self.page, self.next, self._note)
        self.children = [self._drawn, self._marked, self._grid, *([turning] if self.pages > 1 else [])]

    @property
    def shown(self) -> range:
        """Indices of the pictures on the current page."""
        first = (self.page.value - 1) * self._size
        return range(first, min(first + self._size, len(self._explorer.pictures)))

    def turn_to(self, index: int) -> None:
        """Turn to the page that holds the picture with this index."""
        self.page.value = index // self._size + 1

    def mark(self, marks: dict[str, int]) -> None:
        """Frame the pictures with these indices and label them, such as {"A": 3, "B": 7}."""
        self._marks = marks
        slots = {}
        for label, index in marks.items():
            if index in self.shown:
                slots.setdefault(index - self.shown.start, []).append(label)
        self._marked.value = f"<style>{''.join(self._frame(slot, labels) for slot, labels in slots.items())}</style>"

    def draw(self) -> None:
        """Put the current page on the buttons."""
        first, last = self.shown.start, self.shown.stop - 1
        pictures = self._explorer.pictures[first : last + 1]
        rules = (
            f'.{self._key}-{slot}{{background-image:url("{data_uri(each, _THUMB)}")}}'
            for slot, each in enumerate(pictures)
        )
        self._drawn.value = f"<style>{''.join(rules)}</style>"
        for slot, thumb in enumerate(self.buttons[: len(pictures)]):
            with thumb.hold_sync():
                thumb.description, thumb.tooltip = str(first + slot), self._explorer.names[first + slot]
        self._grid.children = self.buttons[: len(pictures)]
        self._note.value = (
            f'<span class="vae-note">of {self.pages}; pictures {first} to {last} '
            f"of {len(self._explorer.pictures)}</span>"
        )
        self.mark(self._marks)

    def _button(self, slot: int, pick: Callable[[int], None]) -> widgets.Button:
        thumb = widgets.Button(layout=widgets.Layout(width=f"{_THUMB}px", height=f"{_THUMB + 16}px"))
        thumb.add_class("vae-thumb")
        thumb.add_class(f"{self._key}-{slot}")
        self._explorer.act_on(thumb, lambda: pick(self.shown[slot]))
        return thumb

    def _frame(self, slot: int, labels: list[str]) -> str:
        """CSS: one ring per label, side by side when both fall on one picture, and the label on the picture."""
        rings = ",".join(f"0 0 0 {3 * (i + 1)}px var(--vae-{label.lower()})" for i, label in enumerate(labels))
        place = f".vae-explorer button.vae-thumb.vae-thumb.{self._key}-{slot}"
        return (
            f"{place}{{box-shadow:{rings};font-weight:700;color:var(--vae-text)}}"
            f"{place}::after{{content:'{'='.join(labels)}';position:absolute;top:0;left:0;padding:0 6px;color:#fff;"
            f"background:var(--vae-{labels[0].lower()});border-radius:4px 0 4px 0}}"
        )

    def _turn(self, by: int) -> None:
        self.page.value = (self.page.value - 1 + by) % self.pages + 1


def style_sheet() -> widgets.HTML:
    """The style sheet of an explorer; put it among its children."""
    return widgets.HTML(f"<style>{_CSS}</style>", layout=widgets.Layout(display="none"))


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


def meters(distances: Sequence[float], width: int) -> str:
    """HTML of support meters beside each other, `width` CSS pixels in all, their numbers under them.

    A meter's line in the middle is 1, as far from the training pictures as a new picture typically lies.
    """
    cells = []
    for distance in distances:
        colour = "#4c8c6b" if distance <= 1 else "#e0a030" if distance <= 1.5 else "#c8553d"
        cells.append(
            f'<div><span class="vae-meter"><i style="width:{min(distance, 2) / 2:.0%};background:{colour}">'
            f"</i></span>{distance:.2f}</div>"
        )
    return f'<div class="vae-meters" style="width:{width}px">{"".join(cells)}</div>'


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
