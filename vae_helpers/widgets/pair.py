"""What explorers of pairs share: a gallery whose clicks set A and B in turn, their numbers, and Swap."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import Path as CodePath
from vae_helpers.latent import PathReport, Verdict, inspect_path, walk
from vae_helpers.show import embedded, save_frames, scrubber_html
from vae_helpers.widgets.explorer_data import ExplorerData, path_context
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.gallery import Gallery
from vae_helpers.widgets.meters import in_words, meter_note, meters
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
    save_row,
    short,
    show,
    show_strip,
    slider_and_number,
    strip,
    style_sheet,
    title,
)
from vae_helpers.widgets.saved import SavedView

SIDE = 128  # CSS pixels: the originals
SAME_PICTURE = "A and B are the same picture, so nothing changes on the way: pick another A or B."


class PairPicker(Explorer):
    """An explorer of the pictures `a.value` and `b.value`; `pair` are both, `originals` shows them.

    It begins with the `pair` given, or with the first two. Raises InputError for a picture that is not among them.
    """

    def __init__(
        self,
        data: ExplorerData,
        page_size: int = 24,
        device: str | torch.device = "cpu",
        folder: Path | str | None = None,
        pair: Sequence[int] | None = None,
    ):
        super().__init__(data, device, folder)
        last = len(data.pictures) - 1
        a, b = (0, min(1, last)) if pair is None else map(int, pair)
        if not (0 <= a <= last and 0 <= b <= last):
            raise InputError(f"the pair {a}, {b} is not among these pictures: give two numbers from 0 to {last}.")
        self.a, self.b = number(a, 0, last, "A", 92), number(b, 0, last, "B", 92)
        self.target_row, self.target = choice("AB", "A click sets", 40)
        self.swap = button("Swap", 72)
        self.gallery = Gallery(self, page_size, self.pick)
        self.originals = [picture(f"{side}, the picture itself", SIDE, f"vae-edge-{side.lower()}") for side in "AB"]
        self.original_boxes, self.original_captions = zip(*(captioned(image, SIDE) for image in self.originals))
        self.act_on(self.swap, self._swap)

    @property
    def pair(self) -> tuple[int, int]:
        """The numbers of A and B."""
        return self.a.value, self.b.value

    def pick(self, index: int) -> None:
        """Make this picture A or B, whichever is due."""
        (self.a if self.target.value == "A" else self.b).value = index
        self.target.value = "B" if self.target.value == "A" else "A"

    def show_originals(self) -> None:
        """Show A and B, and mark them in the gallery."""
        for image, caption, index, label in zip(self.originals, self.original_captions, self.pair, "AB"):
            show(image, self.pictures[index])
            caption.value = caption_text(label, f"{index} · {short(self.names[index])}", label.lower())
        self.gallery.mark(dict(zip("AB", self.pair)))

    def _swap(self) -> None:
        self.a.value, self.b.value = self.b.value, self.a.value

    def _draw_gallery(self) -> None:
        self.gallery.draw()


_STRIP_COLUMNS, _STRIP_WIDTH, _FILM = 12, 912, 296  # frames of the strip; its and the film's width in CSS pixels


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
        self.strip = strip("frames from A to B", "vae-strip")
        self.nearest = strip("the training pictures nearest to those frames", "vae-nearest")
        self.meter, self.film = widgets.HTML(), widgets.HTML()
        self.film.add_class("vae-film")
        self._listeners = []
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

    def _lay_out(self) -> list[widgets.Widget]:
        measured = [self.meter] * (self.data.support is not None or self._soundness is not None)
        remembered = [self.show_nearest, self.nearest] * (self.data.training_pictures is not None)
        walking = row(self._lay_out_pictures(), self.film, gap="16px", align="flex-start")
        return [
            style_sheet(self),
            title("Pick two pictures", "click a thumbnail, or Tab to it and press Enter; or type a number"),
            row(self.target_row, self.a, self.b, self.swap, self.random_pair, self.seed, gap="8px"),
            self.gallery,
            title("Walk from A to B", "every frame is decoded beforehand; the film beside it needs no kernel"),
            row(self._method_row, self.even, self.steps, self.typed_steps, gap="8px"),
            walking,
            self.strip,
            *measured,
            *remembered,
            row(save_row(self, self.save), enlarge_button(self), gap="16px"),
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

    def _next_pair(self) -> None:
        self.seed.value = (self.seed.value + 1) % self.seed.max

    def _set_random_pair(self) -> None:
        """The pair hangs on the seed alone, so that the number shown brings it back."""
        with self.hold():
            pair = np.random.default_rng(self.seed.value).permutation(len(self.pictures))[:2]
            self.a.value, self.b.value = int(pair[0]), int(pair[-1])
            self.gallery.turn_to(self.a.value)

    def _draw_path(self) -> None:
        started = time.perf_counter()
        steps = self.steps.value
        if self.method.value == "geodesic":
            self.say("Looking for the geodesic …")
        a, b = self.codes(self.pair, self.gallery.on_page)
        self.path = walk(self._model, a, b, steps, self.method.value, self._context, self.even.value)
        self.frames = self.path.frames
        self.reconstructions = self.frames[[0, -1]]  # a path is exact at its ends
        self.verdict = None
        milliseconds = 1000 * (time.perf_counter() - started)
        self.report = inspect_path(self.path, self._context)
        self.show_originals()
        for image, end in zip(self.ends, self.reconstructions):
            show(image, end)
        self.frame.max = self.typed_frame.max = steps - 1
        self._stale.update(("frame", "verdict", "strips", "film", "saved"))
        a, b = (self.names[index] for index in self.pair)
        told = (
            f"A is {a}, B is {b}: {steps} frames by {self.method.value}, decoded in {milliseconds:.0f} ms; the "
            f"picture changes by {self.report.picture_length:.0f} grey levels in all, its largest step is "
            f"{self.report.unevenness:.2f} × the mean."
        )
        self.say(SAME_PICTURE if self.a.value == self.b.value else told)
        for heard in self._listeners:
            heard()

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
            self.verdict = self._soundness.judge(self.frames)
            self._caption_frame()

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
        show_strip(self.strip, self.frames[chosen], width)
        verdict = None if self.verdict is None else Verdict(*(each[chosen] for each in self.verdict))
        distances = None if self._distances is None else self._distances[chosen]
        self.meter.value = meters(width, self._soundness, verdict, distances) + meter_note(
            verdict is not None, distances is not None
        )
        if self.data.training_pictures is not None:
            self.nearest.layout.display = "" if self.show_nearest.value else "none"
            if self.show_nearest.value:
                show_strip(self.nearest, self.data.training_pictures[self.report.support.nearest[chosen]], width)

    def save(self, ending: str) -> Path:
        """Write the frames as this kind of file, such as ".gif", and return where."""
        file = f"path_{self.a.value}_{self.b.value}_{self.method.value}{'_even' * self.even.value}{ending}"
        return save_frames(
            self.frames,
            self.new_file(file),
            captions=self._frame_captions(),
            title=f"From {short(self.names[self.a.value])} to {short(self.names[self.b.value])}, {self.method.value}",
        )
