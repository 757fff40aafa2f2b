"""One axis in an explorer: a slider with its value typed, or buttons for a category, and pictures of what it does."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from vae_helpers.errors import printable
from vae_helpers.latent import AttributeAxis, Axis, sound_choices, sound_range
from vae_helpers.show import tile
from vae_helpers.widgets.cells import inside
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import describe, row, show, strip

Value = float | str  # of a category: the choice's name
TILES = 5  # pictures of a strip
_LABEL, _TILE = 204, 40  # CSS pixels: a label's width, a tile's side
STRIP_WIDTH = TILES * _TILE
_BUTTONS = 12  # choices that are buttons, at most
_PLACES = 9  # values of a range that are checked


def label_of(axis: Axis, more: str = "") -> str:
    """What stands beside an axis's control: name, unit, trust; `more` takes the place of its name."""
    parts = [printable(more or axis.name) + (f", {axis.unit}" if axis.unit else "")]
    if isinstance(axis, AttributeAxis) and axis.way == "marginal":
        parts.append("alone")
    if axis.trust is not None:
        parts.append(f"trust {axis.trust:.2f}" if axis.trusted else f"not to be trusted ({axis.trust:.2f})")
    return " · ".join(parts)


class AxisRow:
    """The controls of one axis. A change makes `explorer` draw stage "live".

    `value` is the axis's value on the screen, `start` that of the code it began with, rounded to what a control shows.
    """

    start: Value

    def __init__(self, explorer: Explorer, axis: Axis, label: str):
        self.axis, self._explorer = axis, explorer
        self.strip = strip(f"what {printable(axis.name)} does", "vae-does")
        self.strip.layout.width = f"{STRIP_WIDTH}px"
        self.box = self._controls(label)
        self.box.add_class("vae-axis")

    @property
    def value(self) -> Value:
        """The value on the screen."""
        raise NotImplementedError

    @property
    def moved(self) -> bool:
        """Whether the value differs from the start's."""
        return self.value != self.start

    def begin(self, code: Tensor, value: Value | None, limits: object = None) -> None:
        """Go to a start, a code (latent_dim,), or to another `value`; `limits` are what `find_limits` gave for it."""
        raise NotImplementedError

    def limit(self, limits: object) -> None:
        """Keep within what `find_limits` gave; the start and the value on the screen stay within reach."""
        raise NotImplementedError

    def find_limits(self, code: Tensor, sound: Callable[[Tensor], np.ndarray]) -> object:
        """Where the axis can move a code (latent_dim,) without breaking it; `sound` as in `sound_range`."""
        raise NotImplementedError

    def go_to(self, value: Value) -> None:
        """Move to a value, or to the nearest one that the controls can show."""
        raise NotImplementedError

    def places(self, count: int) -> Sequence[Value]:
        """At most `count` values from one end to the other."""
        raise NotImplementedError

    def codes(self, code: Tensor, values: Sequence[Value]) -> list[Tensor]:
        """The code (latent_dim,) moved to each of the values."""
        return [self.axis.move(code, value) for value in values]

    def show_strip(self, frames: np.ndarray) -> None:
        """What the axis does: uint8 (n, H, W, 3), at places from one end to the other."""
        self.strip.layout.width = f"{len(frames) * _TILE}px"
        show(self.strip, tile(frames, len(frames), gap=0), scale=min(1.0, 96 / frames.shape[1]))

    def close(self) -> None:
        """Take its widgets away for good."""
        for widget in inside(self.box):
            widget.close()

    def _controls(self, label: str) -> widgets.HBox:
        raise NotImplementedError


class SliderRow(AxisRow):
    """A slider and the same value typed: `typed.value` in the axis's unit, `slider.value` in whole steps from `start`.

    ipywidgets 8 rounds a FloatSlider's value to its grid in the browser and sends the rounded one back, so that a start
    which lies between two places would move by itself; whole numbers stay.
    """

    start = 0.0

    def _controls(self, label: str) -> widgets.HBox:
        step = float(f"{(self.axis.high - self.axis.low) / 120:.0e}") or 1.0
        self._digits = max(0, 1 - math.floor(math.log10(step)))
        self.slider = widgets.IntSlider(
            description=label,
            readout=False,
            style={"description_width": f"{_LABEL}px"},
            layout=widgets.Layout(width=f"{_LABEL + 120}px"),
        )
        self.slider.add_class("vae-latent")
        self.typed = widgets.BoundedFloatText(step=step, layout=widgets.Layout(width="84px"))
        describe(self.typed, label)
        self.slider.observe(lambda _: self._follow_slider(), "value")
        self.typed.observe(lambda _: self._follow_typed(), "value")
        return row(self.slider, self.typed, self.strip, gap="4px")

    @property
    def value(self) -> float:
        return self.typed.value

    def begin(self, code: Tensor, value: Value | None, limits: object = None) -> None:
        self.start = round(self.axis.start(code), self._digits)
        self._lay_out(limits, self.start if value is None else value)

    def limit(self, limits: object) -> None:
        self._lay_out(limits, self.value)

    def find_limits(self, code: Tensor, sound: Callable[[Tensor], np.ndarray]) -> tuple[float, float]:
        return sound_range(self.axis, code, sound, _PLACES)

    def go_to(self, value: Value) -> None:
        self.typed.value = min(max(round(value, self._digits), self.typed.min), self.typed.max)

    def places(self, count: int) -> list[float]:
        return np.linspace(self.typed.min, self.typed.max, count).tolist()

    def codes(self, code: Tensor, values: Sequence[Value]) -> list[Tensor]:
        return list(self.axis.move(code, np.array(values)))

    def _lay_out(self, limits: tuple[float, float] | None, value: float) -> None:
        low, high = limits or (self.axis.low, self.axis.high)
        low, high = min(low, self.start, value), max(high, self.start, value)
        first = math.floor((low - self.start) / self.typed.step + 1e-9)
        last = math.ceil((high - self.start) / self.typed.step - 1e-9)
        with self.typed.hold_sync(), self.slider.hold_sync():  # both ranges before the values, which follow each other
            for control, ends in ((self.typed, (low, high)), (self.slider, (first, last))):
                control.max = max(control.max, ends[1])  # first, for `min` may not pass it
                control.min, control.max = ends
            self.typed.value = value
            self.slider.value = self._place()

    def _place(self) -> int:
        """The slider's whole step that is nearest to the value; at an end of the range that of the end."""
        if self.value in (self.typed.min, self.typed.max) and self.value != self.start:
            return self.slider.min if self.value == self.typed.min else self.slider.max
        return round((self.value - self.start) / self.typed.step)

    def _follow_slider(self) -> None:
        """Only a slider that left the value's place moves the value: a typed one lies between two places.

        The picture goes to the browser before the value does, for somebody waits for it.
        """
        with self.typed.hold_sync(), self._explorer.hold():
            if self.slider.value != self._place():
                value = round(self.start + self.slider.value * self.typed.step, self._digits)
                self.typed.value = min(max(value, self.typed.min), self.typed.max)

    def _follow_typed(self) -> None:
        with self._explorer.hold():
            self.slider.value = self._place()
            self._explorer.redraw("live")


class ChoiceRow(AxisRow):
    """Buttons for the choices of a category, those that the training pictures have; `buttons.value` is one's name.

    More than a dozen choices are a drop-down list.
    """

    start = ""

    def __init__(self, explorer: Explorer, axis: Axis, label: str, choices: Sequence[str]):
        self._choices = tuple(choices)
        super().__init__(explorer, axis, label)

    def _controls(self, label: str) -> widgets.HBox:
        options = [(printable(name), name) for name in self._choices]
        if len(options) > _BUTTONS:  # 75 classes as buttons would fill the screen
            self.buttons = widgets.Dropdown(options=options, layout=widgets.Layout(width="200px"))
        else:
            self.buttons = widgets.ToggleButtons(
                options=options, style={"button_width": "auto"}, layout=widgets.Layout(width="200px")
            )
        self._setting = False
        self.buttons.observe(lambda _: self._chosen(), "value")
        describe(self.buttons, label)
        written = widgets.Label(label, layout=widgets.Layout(width=f"{_LABEL}px"))
        return row(written, self.buttons, self.strip, gap="4px")

    @property
    def value(self) -> str:
        return self.buttons.value

    @property
    def offered(self) -> list[str]:
        """The choices that have a button."""
        return [name for _, name in self.buttons.options]

    def begin(self, code: Tensor, value: Value | None, limits: object = None) -> None:
        self.start = self.axis.choices[round(self.axis.start(code))]
        self._lay_out(limits, self.start if value is None else value)

    def limit(self, limits: object) -> None:
        self._lay_out(limits, self.value)

    def find_limits(self, code: Tensor, sound: Callable[[Tensor], np.ndarray]) -> list[str]:
        return [self.axis.choices[k] for k in sound_choices(self.axis, code, sound)]

    def go_to(self, value: Value) -> None:
        if value in self.offered:
            self.buttons.value = value

    def places(self, count: int) -> list[str]:
        names = self.offered
        return [names[k] for k in np.unique(np.linspace(0, len(names) - 1, count).round().astype(int))]

    def _lay_out(self, limits: Sequence[str] | None, value: str) -> None:
        wanted = self._choices if limits is None else limits
        names = [name for name in self.axis.choices if name in wanted or name in (self.start, value)]
        self._setting = True  # new options choose the first of them for a moment
        try:
            if names != self.offered:
                self.buttons.options = [(printable(name), name) for name in names]
            self.buttons.value = value
        finally:
            self._setting = False

    def _chosen(self) -> None:
        if not self._setting:
            self._explorer.redraw("live")
