"""Pages of thumbnails that are picked by mouse or keyboard."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets

from vae_helpers.errors import InputError
from vae_helpers.widgets.frame import Explorer, answer_beside_cells
from vae_helpers.widgets.parts import THUMB, button, data_uri, number, row

_COLOURS = {"A": "a", "B": "b", "Start": "start", "+": "has", "−": "not"}  # a mark's, in style.css


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
        self._pick = pick
        self.buttons = [self._button(slot) for slot in range(min(page_size, explorer.total))]
        self.page = number(1, 1, self.pages, "Page", 104)
        self.previous, self.next = button("Previous", 80), button("Next", 80)
        explorer.act_on(self.previous, lambda: self._turn(-1))
        explorer.act_on(self.next, lambda: self._turn(1))
        explorer.redraw_on(self.page, "gallery")
        self._grid = widgets.Box(self.buttons, layout=widgets.Layout(flex_flow="row wrap"))
        self._note = widgets.HTML()
        self._turning = row(self.previous, self.page, self.next, self._note)
        self.children = [self._drawn, self._marked, self._grid, *([self._turning] if self.pages > 1 else [])]

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return -(-self._explorer.total // self._size)

    def grow(self) -> None:
        """Make room for a picture that came to the others, and turn to it."""
        if len(self.buttons) < min(self._size, self._explorer.total):
            self.buttons.append(self._button(len(self.buttons)))
            answer_beside_cells(self.buttons[-1])
        self.page.max = self.pages
        self.children = [self._drawn, self._marked, self._grid, *([self._turning] if self.pages > 1 else [])]
        self.turn_to(self._explorer.total - 1)
        self._explorer.redraw("gallery")

    @property
    def on_page(self) -> range:
        """Indices of the pictures on the current page."""
        first = (self.page.value - 1) * self._size
        return range(first, min(first + self._size, self._explorer.total))

    def turn_to(self, index: int) -> None:
        """Turn to the page that holds the picture with this index."""
        self.page.value = index // self._size + 1

    def mark(self, marks: Mapping[str, int | Sequence[int]]) -> None:
        """Frame the pictures with these indices and label them, such as {"A": 3, "B": 7} or {"+": [1, 4]}."""
        self._marks = {label: [found] if isinstance(found, int) else list(found) for label, found in marks.items()}
        slots = {}
        for label, indices in self._marks.items():
            for index in indices:
                if index in self.on_page:
                    slots.setdefault(index - self.on_page.start, []).append(label)
        self._marked.value = f"<style>{''.join(self._frame(slot, labels) for slot, labels in slots.items())}</style>"

    def draw(self) -> None:
        """Put the current page on the buttons."""
        first, last = self.on_page.start, self.on_page.stop - 1
        pictures = [self._explorer.picture_of(index) for index in self.on_page]
        rules = (
            f'.{self._key}-{slot}{{background-image:url("{data_uri(each, THUMB)}")}}'
            for slot, each in enumerate(pictures)
        )
        self._drawn.value = f"<style>{''.join(rules)}</style>"
        for slot, thumb in enumerate(self.buttons[: len(pictures)]):
            with thumb.hold_sync():
                thumb.description, thumb.tooltip = str(first + slot), self._explorer.names[first + slot]
        self._grid.children = self.buttons[: len(pictures)]
        self._note.value = (
            f'<span class="vae-note">of {self.pages}; pictures {first} to {last} of {self._explorer.total}</span>'
        )
        self.mark(self._marks)

    def _button(self, slot: int) -> widgets.Button:
        thumb = widgets.Button(layout=widgets.Layout(width=f"{THUMB}px", height=f"{THUMB + 16}px"))
        thumb.add_class("vae-thumb")
        thumb.add_class(f"{self._key}-{slot}")
        self._explorer.act_on(thumb, lambda: self._pick(self.on_page[slot]))
        return thumb

    def _frame(self, slot: int, labels: list[str]) -> str:
        """CSS: one ring per label, side by side when both fall on one picture, and the label on the picture."""
        rings = ",".join(f"0 0 0 {3 * (i + 1)}px var(--vae-{_COLOURS[label]})" for i, label in enumerate(labels))
        place = f".vae-explorer button.vae-thumb.vae-thumb.{self._key}-{slot}"
        return (
            f"{place}{{box-shadow:{rings};font-weight:700;color:var(--vae-text)}}"
            f"{place}::after{{content:'{'='.join(labels)}';position:absolute;top:0;left:0;padding:0 6px;"
            f"color:var(--vae-on-mark);background:var(--vae-{_COLOURS[labels[0]]});border-radius:4px 0 4px 0}}"
        )

    def _turn(self, by: int) -> None:
        self.page.value = (self.page.value - 1 + by) % self.pages + 1
