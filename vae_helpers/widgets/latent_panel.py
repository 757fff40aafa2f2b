"""The controls of the latent explorer and where they stand, and the picture that it starts from."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from vae_helpers.latent import BROKEN, Verdict, decode_codes, refine
from vae_helpers.model import psnr_of
from vae_helpers.widgets.finds import FindsRow
from vae_helpers.widgets.frame import Explorer, Watch
from vae_helpers.widgets.gallery import Gallery
from vae_helpers.widgets.meters import meter_note, meters
from vae_helpers.widgets.own_photo import OwnPhoto
from vae_helpers.widgets.page_button import page_button
from vae_helpers.widgets.parts import (
    LARGE,
    button,
    caption_text,
    captioned,
    checkbox,
    choice,
    difference,
    enlarge_button,
    number,
    picture,
    row,
    short,
    show,
    style_sheet,
    title,
)
from vae_helpers.widgets.save_row import SaveRow

_SMALL = 90  # CSS pixels: three pictures under the live one


class LatentPanel(Explorer):
    """What of a latent explorer does not depend on the kind of axis: its controls, and the pictures to start from.

    `maker` makes directions by hand.
    """

    def make_controls(self, kinds: Sequence[str], kind: str, page_size: int) -> None:
        """The controls, with these kinds of axes to choose from, of which `kind` is shown first."""
        self._begun_verdict: Verdict | None = None
        self._refined: dict[int, int] = {}  # steps of the pictures whose code was refined
        self._better: dict[tuple[int, int], tuple[Tensor, str]] = {}  # by picture and steps: the code, and what to say
        self.gallery = Gallery(self, page_size, self._clicked)
        self.start = number(0, 0, len(self.pictures) - 1, "Picture", 124)
        self.photo = OwnPhoto(self, self._model.config.image_size, self._take_photo)
        self.finds = FindsRow(self, lambda: torch.tensor(self._code), self._take_find, "Start from it")
        self.kind_row, self.kind = choice(kinds, "Sliders for", 108)
        self.kind.value = kind
        self.count = number(1, 1, 10_000, "how many", 132)
        self.to_picture, self.to_mean = button("Reset to picture", 140), button("Mean picture", 124)
        self.to_random, self.start_seed = button("Random start", 128), number(0, 0, 2**31 - 1, "seed", 100)
        self.temperature = widgets.BoundedFloatText(
            value=1.0,
            min=0,
            max=2,
            step=0.1,
            description="temperature",
            style={"description_width": "initial"},
            layout=widgets.Layout(width="144px"),
        )
        self.undo, self.redo = button("Undo", 64), button("Redo", 64)
        self.random_values, self.seed = button("Random values", 136), number(0, 0, 2**31 - 1, "seed", 100)
        self.keep_sound = checkbox("ranges end where pictures break", self._soundness is not None)
        self.refine_steps, self.refine = number(20, 0, 100, "steps", 96), button("Refine", 72)
        self.state = widgets.Text(
            description="State",
            continuous_update=False,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="100%"),
        )
        self.live, self.meter, self.panel = (
            picture("live: the start with the sliders' values", None, "vae-live"),
            widgets.HTML(),
            widgets.VBox(),
        )
        self.panel.add_class("vae-axes")

    def lay_out(self) -> list[widgets.Widget]:
        """Everything, from top to bottom."""
        judged, placed = self._soundness is not None, self.data.support is not None
        pictures = self._lay_out_pictures([self.meter] * (judged or placed))
        moving = row(pictures, self.panel, gap="16px", align="flex-start", wrap=False)
        moving.add_class("vae-move")
        beside = [self.keep_sound] if self._soundness is not None else []
        return [
            style_sheet(self),
            title("Start from a picture", "click a thumbnail, or Tab to it and press Enter; or type a number"),
            self.gallery,
            row(self.start, widgets.Label("or your own photo"), self.photo, gap="8px", align="flex-start"),
            row(self.to_picture, self.to_mean, self.to_random, self.start_seed, self.temperature, gap="8px"),
            title("Move it", "the pictures beside a slider show what it does, from its left end to its right"),
            row(self.kind_row, self.count, gap="8px"),
            self.maker,
            row(self.undo, self.redo, self.random_values, self.seed, *beside, gap="8px"),
            moving,
            *([widgets.HTML(meter_note(judged, placed))] if judged or placed else []),
            row(SaveRow(self, self._save, "Save the sweep of what was moved last as"), page_button(self), gap="16px"),
            self.finds,
            self.state,
            self.status,
        ]

    def _lay_out_pictures(self, meter: Sequence[widgets.Widget]) -> widgets.VBox:
        self.original = picture("the start itself", _SMALL, "vae-edge-a", "vae-original")
        self.rebuilt = picture("the start, rebuilt from its code", _SMALL)
        self.lost = picture("what rebuilding lost: white is nothing", _SMALL)
        small = (self.original, self.rebuilt, self.lost)
        boxes, self.captions = zip(*(captioned(image, _SMALL) for image in small))
        live, caption = captioned(self.live, None)
        caption.value = caption_text("Live", "the start with the sliders' values")
        now = widgets.VBox([live, *meter])
        now.add_class("vae-live-now")
        beneath = row(self.refine, self.refine_steps, enlarge_button(self), gap="4px")
        start = widgets.VBox([row(*boxes, gap="2px", align="flex-start", wrap=False), beneath])
        start.add_class("vae-start")
        together = widgets.VBox([now, start])
        together.add_class("vae-live-box")
        return together

    def _take_photo(self, name: str, pixels: np.ndarray) -> None:
        self._take_find(self.add_photo(name, pixels))

    def _take_find(self, index: int) -> None:
        if index > self.start.max:
            self.gallery.grow()
            self.start.max = index
        self.start.value = index
        self._restart("picture")

    def _picture_code(self) -> Tensor:
        """The code of the picture to start from, (latent_dim,), with the gallery turned to it."""
        index = self.start.value
        self.gallery.turn_to(index)
        return self.codes([index], self.gallery.on_page)[0]

    def _show_originals(self, code: Tensor) -> None:
        """The picture, what is made of its code (latent_dim,), and what that lost."""
        name, pixels = self.names[self.start.value], self.picture_of(self.start.value)
        self.reconstruction = decode_codes(self._decoder, code[None])[0]
        for image, frame in (
            (self.original, pixels),
            (self.rebuilt, self.reconstruction),
            (self.lost, difference(pixels, self.reconstruction)),
        ):
            show(image, frame)
        quality = psnr_of(self.reconstruction[None], pixels[None])[0]
        self.captions[0].value = caption_text(str(self.start.value), short(name))
        self.captions[1].value = caption_text("Rebuilt", f"{quality:.1f} dB")
        self.captions[2].value = caption_text("Lost", "×2")

    def _refine(self, steps: int) -> None:
        """Put a better code in the place of the encoder's, or with 0 steps the encoder's again."""
        index = self.start.value

        def look(watch: Watch) -> None:
            if (index, steps) not in self._better:
                self._look_for(index, steps, watch)

        def take(_: None) -> None:
            self._take_refined(index, steps)
            self._restart("picture")

        self.compute("refine", "a better code", look, take)

    def _take_refined(self, index: int, steps: int) -> None:
        self._codes[index], _ = self._better[index, steps]
        self._refined[index] = steps

    def _look_for(self, index: int, steps: int, watch: Watch) -> None:
        """Find a better code, which must also be sounder: one may come nearer to a photo by leaving all known codes."""
        passes = itertools.count(1)
        better = refine(
            self._model,
            self.picture_of(index),
            steps,
            self.data.support,
            lambda: watch(f"Refining: pass {next(passes)} of {steps + 1} …"),
        )
        before, after = better.psnr
        told = f" (refined in {steps} steps: {before:.1f} to {after:.1f} dB, moved by {better.moved:.2f})"
        code = better.code
        if self._soundness is not None and steps:
            was, now = self._soundness.judge(better.pictures).error
            if now > was:
                code = better.start
                told = (
                    f" (not refined: it would come from {before:.1f} to {after:.1f} dB, but change more when it is "
                    f"encoded again, {now:.1f} in place of {was:.1f})"
                )
        self._better[index, 0] = better.start, ""
        self._better[index, steps] = code, told if steps else ""

    def _refine_note(self) -> str:
        key = self.start.value, self._refined.get(self.start.value, 0)
        return self._better[key][1] if key in self._better else ""

    def _show_meter(self, code: Tensor) -> None:
        verdict = distances = None
        if self._soundness is not None:
            if self._begun_verdict is None:
                self._begun_verdict = self._soundness.judge(self._begun[None])
            live = self._begun_verdict if self.picture is self._begun else self._soundness.judge(self.picture[None])
            verdict = Verdict(*map(np.concatenate, zip(self._begun_verdict, live)))
        if self.data.support is not None:
            distances = self.data.support.measure(torch.stack([self._base, code])).distance
        found = meters(LARGE, self._soundness, verdict, distances)
        self.meter.value = found and f'{found}<div class="vae-note">Left the start, right live.</div>'

    def _say_where(self, moved: int) -> None:
        start = {
            "picture": self.names[self.start.value] + self._refine_note(),
            "mean": "the mean picture, whose code is the mean of all",
            "random": f"a random code, seed {self.start_seed.value}, temperature {self.temperature.value:g}",
        }[self._start_kind]
        parts = [f"Start: {start}; {moved} moved."]
        if self._start_kind == "picture":
            parts += [note] if (note := self.photo_note(self.start.value)) else []
        if not len(self.data.summary.active):
            parts.append("No latent is active (variance of μ above 0.01), so those with the highest KL are shown.")
        if self._begun_verdict is not None and self._begun_verdict.level[0] == BROKEN:
            parts.append("The start is broken, so ranges do not end where pictures break.")
        self.say(" ".join([*parts, *([self.maker.trouble] if self.maker.trouble else [])]))
