"""Along the latents of one picture: a live slider for each one that carries something."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import to_uint8
from vae_helpers.errors import InputError, printable
from vae_helpers.latent import LatentSummary, Support, decode_codes, encode_pictures, frozen_decoder, refine
from vae_helpers.model import BetaVAE, psnr_of
from vae_helpers.show import save_frames
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.latent_row import LatentRow, LatentState, parse_state
from vae_helpers.widgets.own_photo import OwnPhoto
from vae_helpers.widgets.parts import (
    LARGE,
    Gallery,
    button,
    caption_text,
    captioned,
    difference,
    enlarge_button,
    meters,
    number,
    picture,
    row,
    save_row,
    short,
    show,
    style_sheet,
    title,
)

_SMALL = 90  # CSS pixels: three pictures under the live one
_SAME_GESTURE = 1.0  # seconds: moves of one latent that follow each other as fast are undone together
_SWEEP, _STRIP = 25, 9  # frames of a saved animation, and of a saved strip


class LatentExplorer(Explorer):
    """Start from a picture, or one's own photo, and turn its latents one by one, strongest first; it follows live.

    Shown are the first `sliders` of the summary's active latents, by KL; a range is mean ± 3 spreads of the aggregate
    posterior, widened to hold the start and 0. `values[j].value` is latent j; `sliders[j].value` counts steps from the
    start. `code` (latent_dim,) and `picture` (H, W, 3) are what is on the screen. With a `support` two meters say how
    far the start and the live code lie from the training pictures. `labels` calls the sliders of some latents by name.
    """

    stages = ("gallery", "rows", "state", "start", "live")

    def __init__(
        self,
        model: BetaVAE,
        pictures: np.ndarray,
        names: Sequence[str],
        summary: LatentSummary,
        support: Support | None = None,
        sliders: int = 8,
        page_size: int = 12,
        device: str | torch.device = "cpu",
        folder: Path | str | None = None,
        labels: Mapping[int, str] | None = None,
    ):
        super().__init__(model, pictures, names, summary, device, folder)
        self.add_class("vae-latents")
        self._labels = dict(labels or {})
        self._decoder = frozen_decoder(self._model)
        if sliders < 1:
            raise InputError(f"a latent explorer with {sliders} sliders moves nothing: ask for at least 1.")
        self._summary, self._support, self._inactive = summary, support, not len(summary.active)
        chosen = np.argsort(-summary.kl, kind="stable") if self._inactive else summary.active
        self.latents = [int(j) for j in chosen]  # those that can be shown, strongest first
        self._rows: dict[int, LatentRow] = {}
        self._own_photos, self._refined, self._note = [], {}, ""
        self._from_zero, self._pasted, self._swept = False, {}, self.latents[0]
        self._state, self._written, self._history, self._gesture = None, "", [], (None, 0.0)
        self.picture = self.reconstruction = None
        self._make_controls(min(sliders, len(chosen)), page_size)
        self._lay_out()
        self._connect()
        with self.hold():
            self._stale.update(("gallery", "rows"))

    def __repr__(self) -> str:
        return f"LatentExplorer of {len(self.pictures)} pictures: {self.state.value}"

    @property
    def code(self) -> Tensor:
        """The code on the screen, (latent_dim,): a copy, which a cell may change or take gradients through."""
        return torch.tensor(self._code)

    @property
    def dimensions(self) -> list[int]:
        """The latents that are shown, strongest first."""
        return self.latents[: self.count.value]

    @property
    def sliders(self) -> dict[int, widgets.IntSlider]:
        """The sliders that were ever shown, by latent."""
        return {j: each.slider for j, each in self._rows.items()}

    @property
    def values(self) -> dict[int, widgets.BoundedFloatText]:
        """The typed values that were ever shown, by latent."""
        return {j: each.value for j, each in self._rows.items()}

    def _make_controls(self, count: int, page_size: int) -> None:
        self.start = number(0, 0, len(self.pictures) - 1, "Picture", 124)
        self.to_picture, self.to_zero = button("Reset to picture", 132), button("Reset to zero", 116)
        self.undo = button("Undo", 72)
        self.count = number(count, 1, len(self.latents), "Latents shown", 156)
        self.seed, self.lots = number(0, 0, 2**31 - 1, "seed", 112), button("Random values", 132)
        self.refine_steps, self.refine = number(20, 0, 100, "steps", 104), button("Refine", 80)
        self.photo = OwnPhoto(self, self._model.config.image_size, self._take_photo)
        self.state = widgets.Text(
            description="State",
            continuous_update=False,
            style={"description_width": "initial"},
            layout=widgets.Layout(width="100%"),
        )
        self.gallery = Gallery(self, page_size, lambda index: setattr(self.start, "value", index))
        self.live, self.meter = picture(LARGE, "vae-live"), widgets.HTML()

    def _lay_out(self) -> None:
        self.original = picture(_SMALL, "vae-edge-a", "vae-original")
        self.rebuilt, self.lost = picture(_SMALL), picture(_SMALL)
        boxes, self.captions = zip(*(captioned(image, _SMALL) for image in (self.original, self.rebuilt, self.lost)))
        live, live_caption = captioned(self.live, LARGE)
        live_caption.value = caption_text("Live", "the start with the sliders' values")
        enlarge = enlarge_button(self.live, live_caption, LARGE, 2 * LARGE)
        left = widgets.VBox(
            [
                live,
                row(*boxes, gap="2px"),
                *([self.meter] * (self._support is not None)),
                row(self.refine, self.refine_steps, enlarge, gap="4px"),
            ]
        )
        self._panel = widgets.VBox()
        self._saving = save_row(self, self._save, "Save the sweep of the last latent turned as")
        self._widgets = [
            style_sheet(),
            title("Start from a picture", "click a thumbnail, or Tab to it and press Enter; or type a number"),
            self.gallery,
            row(self.start, widgets.Label("or your own photo"), self.photo, gap="8px"),
            title(
                "Move along its latents",
                "the more nats (KL), the more a latent tells; on the right its slider's two ends and middle",
            ),
            row(self.to_picture, self.to_zero, self.undo, self.count, self.lots, self.seed, gap="8px"),
            row(left, self._panel, gap="16px", align="flex-start"),
            self._saving,
            self.state,
            self.status,
        ]

    def _connect(self) -> None:
        self.start.observe(lambda _: self._restart(False), "value")
        self.act_on(self.to_picture, lambda: self._restart(False))
        self.act_on(self.to_zero, lambda: self._restart(True))
        self.act_on(self.undo, self._undo)
        self.act_on(self.lots, lambda: setattr(self.seed, "value", (self.seed.value + 1) % self.seed.max))
        self.act_on(self.refine, lambda: self._refine(self.refine_steps.value))
        self.seed.observe(lambda _: self._set_random_values(), "value")
        self.redraw_on(self.count, "rows")
        self.redraw_on(self.state, "state")

    def _restart(self, from_zero: bool) -> None:
        with self.hold():
            self._from_zero = from_zero
            self._stale.add("start")

    def _take_photo(self, name: str, pixels: np.ndarray) -> None:
        index = len(self.pictures) + len(self._own_photos)
        self._own_photos.append((printable(name), pixels))
        self.start.max = index
        self.start.value = index

    def _start_picture(self) -> tuple[str, np.ndarray]:
        index, known = self.start.value, len(self.pictures)
        return (self.names[index], self.pictures[index]) if index < known else self._own_photos[index - known]

    def _refine(self, steps: int) -> None:
        """Put a better code in the place of the encoder's, or with 0 steps the encoder's again."""
        _, pixels = self._start_picture()
        self.say("Refining …")
        better = refine(self._model, pixels, steps, self._support)
        self._codes[self.start.value] = better.code
        self._refined[self.start.value] = steps
        self._note = (
            (
                f" (refined in {steps} steps: {better.psnr[0]:.1f} to {better.psnr[1]:.1f} dB, moved by "
                f"{better.moved:.2f})"
            )
            if steps
            else ""
        )
        self._restart(False)

    def _set_random_values(self) -> None:
        """Shown latents at a random point of the aggregate posterior's ranges, which hangs on the seed alone."""
        noise = np.random.default_rng(self.seed.value).standard_normal(len(self.latents)).clip(-3, 3)
        with self.hold():
            for j, lot in zip(self.dimensions, noise):
                self.values[j].value = round(self._summary.mean[j] + lot * self._summary.spread[j], 3)

    def _undo(self) -> None:
        if not self._history:
            raise InputError("there is nothing to undo: this is where you began.")
        self._state = None  # what comes back is no step to undo
        self._recall(self._history.pop())

    def _recall(self, state: LatentState) -> None:
        self.count.value = max([self.count.value, *(self.latents.index(j) + 1 for j in state.z)])
        self._pasted = dict(state.z)
        self.start.value = state.picture
        if state.refined != self._refined.get(state.picture, 0) and not state.from_zero:
            self._refine(state.refined)
        self._restart(state.from_zero)

    def _draw_gallery(self) -> None:
        self.gallery.draw()

    def _draw_rows(self) -> None:
        for j in self.dimensions:
            if j not in self._rows:
                self._rows[j] = LatentRow(self, j, self._summary, self._labels.get(j))
        self._panel.children = [self._rows[j].box for j in self.dimensions]
        self.arrange(*self._widgets)
        self._pasted = self._pasted or self._moved()
        self._stale.add("start")

    def _draw_start(self) -> None:
        """Show the picture, lay the sliders' ranges around its code, and set them to it (or to zero)."""
        index, pasted = self.start.value, self._pasted
        self._pasted = {}
        name, pixels = self._start_picture()
        if index < len(self.pictures):
            self.gallery.turn_to(index)
            own = self.codes([index], self.gallery.shown)[0]
        else:
            if index not in self._codes:
                self._codes[index] = encode_pictures(self._model, pixels[None])[0][0]
            own = self._codes[index]
        if not self._refined.get(index):
            self._note = ""
        self.reconstruction = decode_codes(self._decoder, own[None])[0]
        self._base = torch.zeros_like(own) if self._from_zero else own
        self._begun = decode_codes(self._decoder, self._base[None])[0]
        for image, shown in (
            (self.original, pixels),
            (self.rebuilt, self.reconstruction),
            (self.lost, difference(pixels, self.reconstruction)),
        ):
            show(image, shown)
        quality = psnr_of(self.reconstruction[None], pixels[None])[0]
        for caption, text in zip(
            self.captions,
            (
                caption_text(str(index), short(name)),
                caption_text("Rebuilt", f"{quality:.1f} dB"),
                caption_text("Lost", "×2"),
            ),
        ):
            caption.value = text
        self.gallery.mark({"Start": index} if index < len(self.pictures) else {})
        for j, each in self._rows.items():
            each.begin(self._base[j].item(), own[j].item(), pasted.get(j))
        self._show_strips()
        self._stale.add("live")

    def _show_strips(self) -> None:
        rows = [self._rows[j] for j in self.dimensions]
        codes = self._base.repeat(3 * len(rows), 1)
        for k, (j, each) in enumerate(zip(self.dimensions, rows)):
            ends = np.linspace(each.value.min, each.value.max, 3)
            codes[3 * k : 3 * k + 3, j] = torch.as_tensor(ends, dtype=codes.dtype)
        drawn = decode_codes(self._decoder, codes).reshape(-1, 3, *self.pictures.shape[1:])
        for each, three in zip(rows, drawn):
            each.show_strip(three)

    def _draw_live(self) -> None:
        """Decode one code. A value that still shows its rounded start stands for the exact one."""
        code, moved = self._base.clone(), self._moved()
        for j, value in moved.items():
            code[j] = value
        # One code alone takes half as long as the chunk that `decode_codes` would make of it.
        self.picture = to_uint8(self._decoder(code[None].to(self.device)))[0] if moved else self._begun
        show(self.live, self.picture)
        self._code = code.tolist()
        self._remember(moved)
        if self._support is not None:
            self.meter.value = (
                meters(self._support.measure(torch.stack([self._base, code])).distance, LARGE)
                + '<div class="vae-note">Start and live: distance to the training pictures;<br>1 is '
                "typical of a new picture.</div>"
            )
        start = "all latents at 0, the prior's mean" if self._from_zero else self._start_picture()[0] + self._note
        note = (
            ""
            if not self._inactive
            else (" No latent is active (variance of μ above 0.01), so those with the highest KL are shown.")
        )
        self.say(f"Start: {start}; {len(moved)} of {len(self.dimensions)} shown latents moved.{note}")

    def _remember(self, moved: dict[int, float]) -> None:
        """Write the state, and keep the one before for Undo, once per gesture."""
        index, now, before = self.start.value, time.monotonic(), self._state
        self._state = LatentState(index, self._from_zero, moved, 0 if self._from_zero else self._refined.get(index, 0))
        self._written = self.state.value = self._state.as_text()
        if before is None or before == self._state:
            return
        changed = {j for j in {*before.z, *moved} if before.z.get(j) != moved.get(j)}
        turned = changed.pop() if len(changed) == 1 and before._replace(z={}) == self._state._replace(z={}) else None
        if turned is None or turned != self._gesture[0] or now - self._gesture[1] > _SAME_GESTURE:
            self._history.append(before)
        self._gesture = turned, now
        if turned is not None:
            self._swept = turned

    def _draw_state(self) -> None:
        """Follow a state that someone typed or pasted."""
        if self.state.value != self._written:
            self._recall(parse_state(self.state.value, self.start.max + 1, self.latents))

    def _save(self, ending: str) -> Path:
        """Sweep the latent that was turned last, from one end of its slider to the other, all else as on the screen."""
        typed, steps = self.values[self._swept], _STRIP if ending == ".png" else _SWEEP
        values = np.linspace(typed.min, typed.max, steps)
        codes = self.code.repeat(steps, 1)
        codes[:, self._swept] = torch.as_tensor(values, dtype=codes.dtype)
        name = f"sweep_{self.start.value}_z{self._swept}{ending}"
        return save_frames(
            decode_codes(self._decoder, codes),
            self.new_file(name),
            title=f"Latent {self._swept} of {short(self._start_picture()[0])}",
            captions=[f"z{self._swept} = {value:.2f}" for value in values],
        )

    def _moved(self) -> dict[int, float]:
        return {j: each.value.value for j, each in self._rows.items() if each.moved}
