"""A walk between two pictures: kinds of path, a slider over frames decoded beforehand, a film, meters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent import Path as CodePath
from vae_helpers.latent import PathReport, Verdict, inspect_path, walk
from vae_helpers.show import embedded, enlarged, save_frames, scrubber_html
from vae_helpers.widgets.explorer_data import ExplorerData, path_context
from vae_helpers.widgets.finds import FindsRow
from vae_helpers.widgets.frame import Watch
from vae_helpers.widgets.frame_strip import FrameStrip
from vae_helpers.widgets.meters import in_words, meter_note, meters
from vae_helpers.widgets.own_photo import OwnPhoto
from vae_helpers.widgets.page_button import page_button
from vae_helpers.widgets.pair_picker import SAME_PICTURE, SIDE, PairPicker, pair_by_lot, seed_of_another
from vae_helpers.widgets.parts import (
    button,
    caption_text,
    captioned,
    checkbox,
    choice,
    enlarge_button,
    number,
    picture,
    row,
    short,
    show,
    show_strip,
    slider_and_number,
    strip,
    style_sheet,
    title,
)
from vae_helpers.widgets.save_row import SaveRow
from vae_helpers.widgets.saved import SavedView
from vae_helpers.widgets.walked import Walked, Wish

_STRIP_COLUMNS, _STRIP_WIDTH, _FILM = 12, 912, 296  # frames of the strip; its and the film's width in CSS pixels
_JUDGED = 12  # frames that are judged between two looks whether they are still wanted


class PairExplorer(PairPicker):
    """Pick two pictures and walk between them: thumbnails, four kinds of path, a slider over frames decoded in one go.

    The kinds of path are those that the data allows, the soundest first chosen; they bend over the active latents only,
    with a summary. `frames` holds the decoded path, uint8 (steps, H, W, 3); its
    ends equal `reconstructions` (2, H, W, 3) bit for bit; `report` measures it. A meter under each frame says whether
    it is sound (`verdict`), with the data's `soundness`, and how far it lies from the training pictures, with its
    `support`; with its training pictures the nearest of them can be shown.
    """

    stages = ("gallery", "path", "frame", "verdict", "strips", "film", "saved")

    def __init__(
        self,
        data: ExplorerData,
        page_size: int = 24,
        device: str | torch.device = "cpu",
        folder: Path | str | None = None,
        pair: Sequence[int] | None = None,
    ):
        super().__init__(data, page_size, device, folder, pair)
        self.add_class("vae-pair")
        if data.training_pictures is not None and data.support is None:
            raise InputError("the nearest training pictures are not known without a Support: give one too.")
        self._context = path_context(data)
        self.photo = OwnPhoto(self, self._model.config.image_size, self._take_photo)
        self.finds = FindsRow(self, self._frame_code, self._take_find, "Take as A or B")
        self.random_pair = button("Random pair", 104)
        self.seed = number(0, 0, 2**31 - 1, "seed", 112)
        self._method_row, self.method = choice(self._context.kinds, "Path", 80)
        self.method.value = self._context.default_kind
        self.steps, self.typed_steps = slider_and_number(12, 2, 60, "Steps", 200)
        self.even = checkbox("equal steps")
        self.show_nearest = checkbox("nearest training pictures")
        self.frame, self.typed_frame = slider_and_number(5, 0, 11, "Frame", None)
        self.frame.add_class("vae-frame")
        self.view = picture("the frame that the slider chose", None, "vae-view")
        self.strip_box = FrameStrip(self, _STRIP_COLUMNS, self._go_to)
        self.nearest = strip("the training pictures nearest to those frames", "vae-nearest")
        self.meter, self.film = widgets.HTML(), widgets.HTML()
        self.film.add_class("vae-film")
        self._listeners = []
        self.walked: Wish | None = None  # what the frames on the screen were asked for by
        self.path: CodePath | None = None
        self.report: PathReport | None = None
        self.verdict: Verdict | None = None
        self.frames = self.reconstructions = None
        self.arrange(*self._lay_out())
        self._connect()
        with self.hold():
            self.gallery.turn_to(self.a.value)
            self._stale.update(("gallery", "path"))

    def __repr__(self) -> str:
        return (
            f"PairExplorer of {len(self.pictures)} pictures: A = {self.a.value}, B = {self.b.value}, "
            f"{self.steps.value} steps, {self.method.value}{', equal steps' * self.even.value}"
        )

    @property
    def strip(self) -> widgets.Image:
        """The frames beside each other."""
        return self.strip_box.picture

    def _lay_out(self) -> list[widgets.Widget]:
        measured = [self.meter] * (self.data.support is not None or self._soundness is not None)
        remembered = [self.show_nearest, self.nearest] * (self.data.training_pictures is not None)
        walking = row(self._lay_out_pictures(), self.film, gap="16px", align="flex-start")
        return [
            style_sheet(self),
            title("Pick two pictures", "click a thumbnail, or Tab to it and press Enter; or type a number"),
            row(self.target_row, self.a, self.b, self.swap, self.random_pair, self.seed, gap="8px"),
            self.gallery,
            row(widgets.Label("Your own photo as A or B"), self.photo, gap="8px", align="flex-start"),
            title("Walk from A to B", "every frame is decoded beforehand; the film beside it needs no kernel"),
            row(self._method_row, self.even, self.steps, self.typed_steps, gap="8px"),
            walking,
            self.strip_box,
            *measured,
            *remembered,
            self.finds,
            row(SaveRow(self, self.save), page_button(self), enlarge_button(self), gap="16px"),
            self.status,
        ]

    def _lay_out_pictures(self) -> widgets.VBox:
        """A, the frame and B beside each other, and the frame's slider right under them."""
        self.ends = [picture(f"{side}, reconstructed", SIDE, f"vae-edge-{side.lower()}") for side in "AB"]
        boxes, captions = zip(*(captioned(image, SIDE) for image in self.ends))
        for caption, label in zip(captions, "AB"):
            caption.value = caption_text(label, "reconstructed", label.lower())
        middle, self.view_caption = captioned(self.view, None, "vae-view-box")
        sides = [widgets.VBox(both) for both in zip(self.original_boxes, boxes)]
        for side in sides:
            side.add_class("vae-side")
        pictures = row(sides[0], middle, sides[1], gap="12px", align="flex-start", wrap=False)
        together = widgets.VBox([pictures, row(self.frame, self.typed_frame, wrap=False)])
        together.add_class("vae-walk")
        return together

    def _connect(self) -> None:
        for control in (self.a, self.b, self.method, self.steps, self.even):
            self.redraw_on(control, "path")
        self.redraw_on(self.show_nearest, "strips")
        self.redraw_on(self.frame, "frame")
        self.act_on(self.random_pair, self._next_pair)
        self.seed.observe(lambda _: self._set_random_pair(), "value")

    def on_path(self, heard: Callable[[], None]) -> None:
        """Call this after each new path."""
        self._listeners.append(heard)

    def stop_on_path(self, heard: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners = [each for each in self._listeners if each != heard]

    def _take_photo(self, name: str, pixels: np.ndarray) -> None:
        """One's own photo becomes A or B, whichever is due, and stands in the gallery from now on."""
        self._take_find(self.add_photo(name, pixels))

    def _take_find(self, index: int) -> None:
        if index > self.a.max:
            self.a.max = self.b.max = index
            self.gallery.grow()
        self.pick(index)

    def _go_to(self, frame: int) -> None:
        self.frame.value = frame

    def _frame_code(self) -> Tensor:
        return self.path.codes[self.frame.value]

    def _next_pair(self) -> None:
        self.seed.value = seed_of_another(self.pair, self.seed.value, len(self.pictures)) % self.seed.max

    def _set_random_pair(self) -> None:
        """The pair hangs on the seed alone, so that the number shown brings it back."""
        with self.hold():
            self.a.value, self.b.value = pair_by_lot(self.seed.value, len(self.pictures))
            self.gallery.turn_to(self.a.value)

    def _draw_path(self) -> None:
        """Show A and B at once, and the path between them when it is there."""
        self.show_originals()
        wish = Wish(*self.pair, self.steps.value, self.method.value, self.even.value)
        self.compute("path", f"the path by {wish.method}", lambda watch: self._walk(wish, watch), self._take_path)

    def _walk(self, wish: Wish, watch: Watch) -> Walked:
        started = time.perf_counter()
        a, b = self.codes([wish.a, wish.b], self.gallery.on_page)
        context = replace(self._context, watch=watch)
        path = walk(self._model, a, b, wish.steps, wish.method, context, wish.even)
        return Walked(wish, path, inspect_path(path, self._context), time.perf_counter() - started)

    def _take_path(self, walked: Walked) -> None:
        """Put a new path on the screen; the frame that is shown stays at its share of the way."""
        last = walked.wish.steps - 1
        if last != self.frame.max:  # else left alone: the browser may be moving it at this very moment
            share = self.frame.value / self.frame.max
            self.frame.max = self.typed_frame.max = last
            self.frame.value = round(share * last)
        self.walked, self.path, self.report = walked.wish, walked.path, walked.report
        self.frames = self.path.frames
        self.reconstructions = self.frames[[0, -1]]  # a path is exact at its ends
        self.verdict = None
        for image, end in zip(self.ends, self.reconstructions):
            show(image, end)
        self._stale.update(("frame", "verdict", "strips", "film", "saved"))
        self._tell(walked)
        for heard in self._listeners:
            heard()

    def _tell(self, walked: Walked) -> None:
        notes = [note for index in dict.fromkeys(self.pair) if (note := self.photo_note(index))]
        same = walked.wish.a == walked.wish.b
        self.say(" ".join([SAME_PICTURE if same else walked.in_words(self.names), *notes]))

    def _draw_frame(self) -> None:
        show(self.view, self.frames[self.frame.value])
        self._caption_frame()

    def _caption_frame(self) -> None:
        at, last = self.frame.value, len(self.frames) - 1
        found = in_words(self.verdict, self._distances, at)
        text = f"{at / last:.0%} of the way{', ' * bool(found)}{found}"
        self.view_caption.value = caption_text(f"Frame {at}", text)

    @property
    def _distances(self) -> np.ndarray | None:
        return None if self.report.support is None else self.report.support.distance

    def _draw_verdict(self) -> None:
        """Judge the frames once the picture stands, because it takes longer than to decode them."""
        if self._soundness is not None:
            frames, soundness = self.frames, self._soundness

            def judge(watch: Watch) -> list[Verdict]:
                found = []
                for few in np.array_split(frames, -(-len(frames) // _JUDGED)):
                    watch()
                    found.append(soundness.judge(few))
                return found

            self.compute("verdict", "", judge, self._take_verdict)

    def _take_verdict(self, found: list[Verdict]) -> None:
        self.verdict = Verdict(*map(np.concatenate, zip(*found)))
        self._caption_frame()
        self._stale.update(("strips", "film", "saved"))

    def _draw_film(self) -> None:
        self.film.value = embedded(scrubber_html(self.frames, captions=self._frame_captions()), _FILM, _FILM + 90)

    def _frame_captions(self) -> list[str]:
        captions = [in_words(self.verdict, self._distances, k) for k in range(len(self.frames))]
        return captions if any(captions) else []

    def saved_view(self) -> SavedView | None:
        """The film, and the strip of frames as a still."""
        return None if self.frames is None else SavedView(self.film.value, self.strip.value)

    def _draw_strips(self) -> None:
        """A frame per column, at most twelve, evenly chosen with both ends; the meters stand under them."""
        columns = min(len(self.frames), _STRIP_COLUMNS)
        chosen = np.linspace(0, len(self.frames) - 1, columns).round().astype(int)
        width = min(_STRIP_WIDTH, columns * SIDE)
        self.strip_box.draw(self.frames[chosen], chosen, width)
        verdict = None if self.verdict is None else Verdict(*(each[chosen] for each in self.verdict))
        distances = None if self._distances is None else self._distances[chosen]
        self.meter.value = meters(width, self._soundness, verdict, distances) + meter_note(
            verdict is not None, distances is not None
        )
        if self.data.training_pictures is not None:
            self.nearest.layout.display = "" if self.show_nearest.value else "none"
            if self.show_nearest.value:
                show_strip(self.nearest, self.data.training_pictures[self.report.support.nearest[chosen]], width)

    def save(self, ending: str, scale: int = 1) -> Path:
        """Write the frames as this kind of file, such as ".gif", `scale` times as large, and return where."""
        a, b, _, method, even = self.walked
        file = f"path_{a}_{b}_{method}{'_even' * even}{ending}"
        return save_frames(
            enlarged(self.frames, scale),
            self.new_file(file),
            captions=self._frame_captions(),
            title=f"From {short(self.names[a])} to {short(self.names[b])}, {method}",
        )
