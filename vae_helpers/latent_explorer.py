"""Along the latents of one picture: a live slider for each one that carries something."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.explorer import Explorer
from vae_helpers.export import tile
from vae_helpers.latent import LatentSummary, decode_codes
from vae_helpers.model import BetaVAE
from vae_helpers.widget_parts import (LARGE, SIDE, Gallery, button, caption_text, captioned, number, picture, row,
                                      short, show, style_sheet, title)


class LatentExplorer(Explorer):
    """Start from a picture and turn its latents one by one, strongest first; the picture follows live.

    Shown are at most `sliders` of the summary's active latents, by KL; a range is mean ± 3 spreads of the aggregate
    posterior, widened to hold the start and 0. `values[j].value` is latent j; `sliders[j].value` counts steps from the
    start. `code` (latent_dim,) and `picture` (H, W, 3) are what is on the screen.
    """

    stages = ("gallery", "state", "start", "live")

    def __init__(self, model: BetaVAE, pictures: np.ndarray, names: Sequence[str], summary: LatentSummary,
                 sliders: int = 8, page_size: int = 12, device: str | torch.device = "cpu"):
        super().__init__(model, pictures, names, summary, device)
        if sliders < 1:
            raise InputError(f"a latent explorer with {sliders} sliders moves nothing: ask for at least 1.")
        self._summary, self._inactive = summary, not len(summary.active)
        chosen = np.argsort(-summary.kl, kind="stable") if self._inactive else summary.active
        self.dimensions = [int(j) for j in chosen[:sliders]]
        self.start = number(0, 0, len(pictures) - 1, "Picture", 124)
        self.to_picture, self.to_zero = button("Reset to picture", 132), button("Reset to zero", 116)
        self.sliders, self.values, self.strips = {}, {}, {}
        for j in self.dimensions:
            self.sliders[j], self.values[j] = _latent_controls(j, summary)
            self.strips[j] = widgets.Image(format="jpeg", layout=widgets.Layout(width="132px", height="44px"))
            self.strips[j].add_class("vae-picture")
        self.state = widgets.Text(description="State", continuous_update=False, style={"description_width": "initial"},
                                  layout=widgets.Layout(width="100%"))
        self.gallery = Gallery(self, page_size, lambda index: setattr(self.start, "value", index))
        self.live = picture(LARGE, "vae-live")
        self.picture = self.reconstruction = None
        self._from_zero, self._pasted, self._written = False, {}, ""
        self.children = self._lay_out()
        self._connect()
        with self.hold():
            self._stale.update(("gallery", "start"))

    def __repr__(self) -> str:
        return f"LatentExplorer of {len(self.pictures)} pictures: {self.state.value}"

    @property
    def code(self) -> Tensor:
        """The code on the screen, (latent_dim,): a copy, which a cell may change or take gradients through."""
        return torch.tensor(self._code)

    def _lay_out(self) -> list[widgets.Widget]:
        self.original, self.rebuilt = picture(SIDE, "vae-edge-a"), picture(SIDE)
        boxes, self.captions = zip(*(captioned(image, SIDE) for image in (self.original, self.rebuilt)))
        live, live_caption = captioned(self.live, LARGE)
        live_caption.value = caption_text("Live", "the start with the sliders' values")
        left = widgets.VBox([live, row(*boxes, gap="12px")], layout=widgets.Layout(width=f"{LARGE + 4}px"))
        rows = [row(self.sliders[j], self.values[j], self.strips[j], gap="4px") for j in self.dimensions]
        return [style_sheet(),
                title("Start from a picture", "click a thumbnail, or Tab to it and press Enter; or type a number"),
                self.gallery,
                row(self.start, self.to_picture, self.to_zero, gap="8px"),
                title("Move along its latents",
                      "the more nats (KL), the more a latent tells; on the right its slider's two ends and middle"),
                row(left, widgets.VBox(rows), gap="24px", align="flex-start"),
                self.state, self.status]

    def _connect(self) -> None:
        self.start.observe(lambda _: self._restart(False), "value")
        self.act_on(self.to_picture, lambda: self._restart(False))
        self.act_on(self.to_zero, lambda: self._restart(True))
        for j in self.dimensions:
            self.sliders[j].observe(lambda _, j=j: self._follow_slider(j), "value")
            self.values[j].observe(lambda _, j=j: self._follow_value(j), "value")
        self.redraw_on(self.state, "state")

    def _restart(self, from_zero: bool) -> None:
        with self.hold():
            self._from_zero = from_zero
            self._stale.add("start")

    def _draw_gallery(self) -> None:
        self.gallery.draw()

    def _draw_start(self) -> None:
        """Show the picture, lay the sliders' ranges around its code, and set them to it (or to zero)."""
        index, pasted = self.start.value, self._pasted
        self._pasted = {}
        self.gallery.turn_to(index)
        own = self.codes([index], self.gallery.shown)[0]
        self.reconstruction = decode_codes(self._decoder, own[None])[0]
        self._base = torch.zeros_like(own) if self._from_zero else own
        show(self.original, self.pictures[index])
        show(self.rebuilt, self.reconstruction)
        self.captions[0].value = caption_text("Original", f"{index} · {short(self.names[index])}")
        self.captions[1].value = caption_text("Reconstruction")
        self.gallery.mark({"Start": index})
        for j in self.dimensions:
            self._set_slider(j, own[j].item(), pasted.get(j))
        self._show_strips()
        self._stale.add("live")

    def _set_slider(self, j: int, own: float, pasted: float | None) -> None:
        value, slider, start, step = self.values[j], self.sliders[j], self._start_value(j), self.values[j].step
        low, high = _range(self._summary, j, own, pasted or 0.0)
        first, last = math.floor((low - start) / step), math.ceil((high - start) / step)
        low, high = round(start + first * step, 3), round(start + last * step, 3)
        with value.hold_sync(), slider.hold_sync():  # both ranges before the values, which follow each other
            for control, ends in ((value, (low, high)), (slider, (first, last))):
                control.max = max(control.max, ends[1])  # first, for `min` may not pass it
                control.min, control.max = ends
            value.value = start if pasted is None else pasted
            slider.value = self._place(j)

    def _start_value(self, j: int) -> float:
        """Where latent j starts, as shown."""
        return round(self._base[j].item(), 3)

    def _place(self, j: int) -> int:
        """The slider's whole step that is nearest to the value."""
        return round((self.values[j].value - self._start_value(j)) / self.values[j].step)

    def _follow_slider(self, j: int) -> None:
        """Only a slider that left the value's place moves the value: a typed one lies between two places."""
        with self.hold():
            if self.sliders[j].value != self._place(j):
                self.values[j].value = round(self._start_value(j) + self.sliders[j].value * self.values[j].step, 3)

    def _follow_value(self, j: int) -> None:
        with self.hold():
            self.sliders[j].value = self._place(j)
            self._stale.add("live")

    def _show_strips(self) -> None:
        ends = [np.linspace(self.values[j].min, self.values[j].max, 3) for j in self.dimensions]
        codes = self._base.repeat(3 * len(self.dimensions), 1)
        for k, (j, values) in enumerate(zip(self.dimensions, ends)):
            codes[3 * k:3 * k + 3, j] = torch.as_tensor(values, dtype=codes.dtype)
        for j, three in zip(self.dimensions, decode_codes(self._decoder, codes).reshape(-1, 3, *self.pictures.shape[1:])):
            show(self.strips[j], tile(three, 3, gap=0), scale=min(1.0, 96 / three.shape[1]))

    def _draw_live(self) -> None:
        """Decode one code. A value that still shows its rounded start stands for the exact one."""
        code = self._base.clone()
        for j, value in self._moved().items():
            code[j] = value
        self.picture = decode_codes(self._decoder, code[None])[0]
        self._code = code.tolist()
        show(self.live, self.picture)
        self._written = self.state.value = self._state()
        start = "all latents at 0, the prior's mean" if self._from_zero else self.names[self.start.value]
        note = "" if not self._inactive else (
            " No latent is active (variance of μ above 0.01), so those with the highest KL are shown.")
        self.say(f"Start: {start}; {len(self._moved())} of {len(self.dimensions)} shown latents moved.{note}")

    def _moved(self) -> dict[int, float]:
        return {j: self.values[j].value for j in self.dimensions if self.values[j].value != self._start_value(j)}

    def _state(self) -> str:
        z = {str(j): value for j, value in self._moved().items()}
        return json.dumps({"picture": self.start.value, "start": "zero" if self._from_zero else "picture", "z": z})

    def _draw_state(self) -> None:
        """Follow a state that someone typed or pasted."""
        if self.state.value != self._written:
            index, from_zero, self._pasted = _parse_state(self.state.value, len(self.pictures), self.dimensions)
            self.start.value = index
            self._restart(from_zero)


def _latent_controls(j: int, summary: LatentSummary) -> tuple[widgets.IntSlider, widgets.BoundedFloatText]:
    """A slider labelled such as `z17 · 3.2 nats`, and the value in the units of z.

    The slider counts whole steps: ipywidgets 8 rounds a FloatSlider's value to its grid in the browser and sends the
    rounded one back, so that a start which lies between two places would move by itself.
    """
    step = max(0.001, float(f"{summary.spread[j] / 20:.0e}"))
    slider = widgets.IntSlider(description=f"z{j} · {summary.kl[j]:.1f} nats", readout=False,
                               style={"description_width": "104px"}, layout=widgets.Layout(width="330px"))
    slider.add_class("vae-latent")
    slider.add_class(f"vae-z{j}")
    return slider, widgets.BoundedFloatText(step=step, layout=widgets.Layout(width="84px"))


def _range(summary: LatentSummary, j: int, *values: float) -> tuple[float, float]:
    """mean ± 3 spreads of the aggregate posterior, widened to hold `values` and 0."""
    centre, reach = summary.mean[j], 3 * summary.spread[j]
    return min(centre - reach, 0.0, *values), max(centre + reach, 0.0, *values)


def _parse_state(text: str, pictures: int, dimensions: list[int]) -> tuple[int, bool, dict[int, float]]:
    """Picture number, whether it starts from zero, and the moved latents of a state's text."""
    try:
        state = json.loads(text)
        index, start = state["picture"], state.get("start", "picture")
        z = {int(j): float(value) for j, value in state.get("z", {}).items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError('this state cannot be read: it should look like {"picture": 0, "start": "picture", '
                         '"z": {"17": 1.5}}.') from None
    if not isinstance(index, int) or not 0 <= index < pictures or start not in ("picture", "zero"):
        raise InputError(f'this state does not fit: its picture must be 0 to {pictures - 1} and its '
                         'start "picture" or "zero".')
    if not set(z) <= set(dimensions) or not all(math.isfinite(value) for value in z.values()):
        raise InputError(f"this state does not fit: it moves latents that have no slider here ({dimensions} have one), "
                         "or to no finite number.")
    return index, start == "zero", z
