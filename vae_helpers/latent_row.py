"""One latent in an explorer: a slider, the same value typed, and three pictures that show what it does."""

from __future__ import annotations

import math

import ipywidgets as widgets
import numpy as np

from vae_helpers.explorer import Explorer
from vae_helpers.export import tile
from vae_helpers.latent import LatentSummary
from vae_helpers.widget_parts import row, show


class LatentRow:
    """The controls of latent j; `value.value` is in the units of z, `slider.value` counts whole steps from the start.

    `label` is what the slider is called, if not z and the latent's number.

    ipywidgets 8 rounds a FloatSlider's value to its grid in the browser and sends the rounded one back, so that a start
    which lies between two places would move by itself; whole numbers stay. A change makes `explorer` draw stage "live".
    """

    def __init__(self, explorer: Explorer, j: int, summary: LatentSummary, label: str | None = None):
        self._explorer, self._start = explorer, 0.0
        reach = 3 * summary.spread[j]
        self._range = summary.mean[j] - reach, summary.mean[j] + reach  # of the aggregate posterior
        step = max(0.001, float(f"{summary.spread[j] / 20:.0e}"))
        width = 112 if label is None else 176
        self.slider = widgets.IntSlider(description=f"{label or f'z{j}'} · {summary.kl[j]:.1f} nats", readout=False,
                                        style={"description_width": f"{width}px"},
                                        layout=widgets.Layout(width=f"{226 + width}px"))
        self.slider.add_class("vae-latent")
        self.slider.add_class(f"vae-z{j}")
        self.value = widgets.BoundedFloatText(step=step, layout=widgets.Layout(width="84px"))
        self.strip = widgets.Image(format="jpeg", layout=widgets.Layout(width="132px", height="44px"))
        self.strip.add_class("vae-picture")
        self.box = row(self.slider, self.value, self.strip, gap="4px")
        self.slider.observe(lambda _: self._follow_slider(), "value")
        self.value.observe(lambda _: self._follow_value(), "value")

    @property
    def moved(self) -> bool:
        """Whether the value differs from the start's."""
        return self.value.value != self._start

    @property
    def ends(self) -> tuple[float, float]:
        """The range of the aggregate posterior, mean ± 3 spreads."""
        return self._range

    def begin(self, start: float, own: float, value: float | None) -> None:
        """Lay the range around a start, wide enough for the picture's `own` value, 0 and `value`, and go to `value`.

        None goes to the start.
        """
        slider, typed, step = self.slider, self.value, self.value.step
        self._start = start = round(start, 3)
        held = (0.0, own, value or 0.0)
        low, high = min(self._range[0], *held), max(self._range[1], *held)
        first, last = math.floor((low - start) / step), math.ceil((high - start) / step)
        low, high = round(start + first * step, 3), round(start + last * step, 3)
        with typed.hold_sync(), slider.hold_sync():  # both ranges before the values, which follow each other
            for control, ends in ((typed, (low, high)), (slider, (first, last))):
                control.max = max(control.max, ends[1])  # first, for `min` may not pass it
                control.min, control.max = ends
            typed.value = start if value is None else value
            slider.value = self._place()

    def show_strip(self, three: np.ndarray) -> None:
        """What the latent does: uint8 (3, H, W, 3), at the slider's left end, middle and right end."""
        show(self.strip, tile(three, 3, gap=0), scale=min(1.0, 96 / three.shape[1]))

    def _place(self) -> int:
        """The slider's whole step that is nearest to the value."""
        return round((self.value.value - self._start) / self.value.step)

    def _follow_slider(self) -> None:
        """Only a slider that left the value's place moves the value: a typed one lies between two places.

        The picture goes to the browser before the value does, for somebody waits for it.
        """
        with self.value.hold_sync(), self._explorer.hold():
            if self.slider.value != self._place():
                self.value.value = round(self._start + self.slider.value * self.value.step, 3)

    def _follow_value(self) -> None:
        with self._explorer.hold():
            self.slider.value = self._place()
            self._explorer.redraw("live")
