"""A strip of frames whose parts are buttons: a click goes to that frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets
import numpy as np

from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import button, show_strip, strip


class FrameStrip(widgets.VBox):
    """The `picture` of some frames beside each other, under as many see-through buttons, at most `most`.

    A button calls `go` with the number of its frame.
    """

    def __init__(self, explorer: Explorer, most: int, go: Callable[[int], None]):
        self.picture = strip("frames from A to B", "vae-strip")
        self.buttons = [button("", 24) for _ in range(most)]
        self._numbers = [0] * most
        self._over = widgets.HBox(self.buttons)
        self._over.add_class("vae-strip-buttons")
        super().__init__([self.picture, self._over])
        self.add_class("vae-strip-box")
        for place, press in enumerate(self.buttons):
            press.layout.flex, press.layout.width = "1 1 0", "auto"
            explorer.act_on(press, lambda place=place: go(self._numbers[place]))

    def draw(self, frames: np.ndarray, numbers: Sequence[int], width: int) -> None:
        """Show frames uint8 (n, H, W, 3), which have these numbers, `width` CSS pixels wide in all."""
        show_strip(self.picture, frames, width)
        self._over.layout.width = f"{width}px"
        self._numbers[: len(numbers)] = map(int, numbers)
        for press, at in zip(self.buttons, numbers):
            press.tooltip = f"go to frame {at}"
        self._over.children = self.buttons[: len(numbers)]
