"""One latent in an explorer: a slider, the same value typed, and three pictures that show what it does."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from vae_helpers.errors import InputError
from vae_helpers.latent import LatentSummary
from vae_helpers.show import tile
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import row, show


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
        self.slider = widgets.IntSlider(
            description=f"{label or f'z{j}'} · {summary.kl[j]:.1f} nats",
            readout=False,
            style={"description_width": f"{width}px"},
            layout=widgets.Layout(width=f"{226 + width}px"),
        )
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


_MOST = 1e6  # of a latent's value; a code is float32


class LatentState(NamedTuple):
    """A start and the latents that were moved from it, `{latent: value}`."""

    picture: int
    from_zero: bool = False
    z: dict[int, float] = {}
    refined: int = 0  # steps of refinement of the picture's code

    def as_text(self) -> str:
        """One line of JSON."""
        z = {str(j): value for j, value in self.z.items()}
        refined = {"refined": self.refined} if self.refined else {}
        start = "zero" if self.from_zero else "picture"
        return json.dumps({"picture": self.picture, "start": start, **refined, "z": z})


def parse_state(text: str, pictures: int, latents: Collection[int]) -> LatentState:
    """Read `as_text` back; InputError for what cannot be read, or fits other pictures or latents than these."""
    try:
        state = json.loads(text)
        index, start, refined = state["picture"], state.get("start", "picture"), state.get("refined", 0)
        z = {int(j): float(value) for j, value in state.get("z", {}).items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InputError(
            'this state cannot be read: it should look like {"picture": 0, "start": "picture", "z": {"17": 1.5}}.'
        ) from None
    if type(index) is not int or not 0 <= index < pictures or start not in ("picture", "zero"):
        raise InputError(
            f'this state does not fit: its picture must be 0 to {pictures - 1} and its start "picture" or "zero".'
        )
    if type(refined) is not int or not 0 <= refined <= 100:
        raise InputError("this state does not fit: its code can be refined by 0 to 100 steps.")
    if not set(z) <= set(latents) or not all(abs(value) <= _MOST for value in z.values()):
        raise InputError(
            "this state does not fit: it moves latents that have no slider here "
            f"({list(latents)} have one), or not to a number from -{_MOST:g} to {_MOST:g}."
        )
    return LatentState(index, start == "zero", z, refined)
