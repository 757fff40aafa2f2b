"""Between two pictures: pick A and B, choose the path, and move a slider along its frames."""

from __future__ import annotations

import time
from collections.abc import Sequence

import ipywidgets as widgets
import numpy as np

from vae_helpers.explorer import Explorer
from vae_helpers.export import tile
from vae_helpers.latent import METHODS, LatentSummary, decode_codes, path_between
from vae_helpers.model import BetaVAE
from vae_helpers.widget_parts import (LARGE, SIDE, Gallery, button, caption_text, captioned, choice, number, picture,
                                      row, short, show, slider_and_number, style_sheet, title)

_STRIP_COLUMNS, _STRIP_WIDTH = 12, 864


class PairExplorer(Explorer):
    """Pick two pictures and walk between them: thumbnails, lerp or slerp, a slider over frames decoded in one go.

    `pictures` uint8 (N, H, W, 3); with a `summary` slerp turns over the active latents only. `frames` holds the
    decoded path, uint8 (steps, H, W, 3); its ends equal `reconstructions` (2, H, W, 3) bit for bit.
    """

    stages = ("gallery", "path", "frame")

    def __init__(self, model: BetaVAE, pictures: np.ndarray, names: Sequence[str], summary: LatentSummary | None = None,
                 page_size: int = 24, device: str | torch.device = "cpu"):
        super().__init__(model, pictures, names, summary, device)
        self._active = None if summary is None else summary.active
        last = len(pictures) - 1
        self.a, self.b = number(0, 0, last, "A", 92), number(min(1, last), 0, last, "B", 92)
        self._target_row, self.target = choice("AB", "A click sets", 40)
        self.swap, self.random_pair = button("Swap", 72), button("Random pair", 104)
        self.seed = number(0, 0, 2**31 - 1, "seed", 112)
        self._method_row, self.method = choice(METHODS, "Path", 64)
        self.steps, self.typed_steps = slider_and_number(12, 2, 48, "Steps", 300)
        self.frame, self.typed_frame = slider_and_number(5, 0, 11, "Frame", _STRIP_WIDTH - 84)
        self.frame.add_class("vae-frame")
        self.gallery = Gallery(self, page_size, self._pick)
        self.view = picture(LARGE, "vae-view")
        self.strip = widgets.Image(format="jpeg", layout=widgets.Layout(max_width="99%"))
        self.strip.add_class("vae-picture")
        self.frames = self.reconstructions = None
        self.children = self._lay_out()
        self._connect()
        with self.hold():
            self._stale.update(("gallery", "path"))

    def __repr__(self) -> str:
        return (f"PairExplorer of {len(self.pictures)} pictures: A = {self.a.value}, B = {self.b.value}, "
                f"{self.steps.value} steps, {self.method.value}")

    def _lay_out(self) -> list[widgets.Widget]:
        self.originals = [picture(SIDE, f"vae-edge-{side}") for side in "ab"]
        self.ends = [picture(SIDE, f"vae-edge-{side}") for side in "ab"]
        boxes, self.captions = zip(*(captioned(image, SIDE) for image in (*self.originals, *self.ends)))
        middle, self.view_caption = captioned(self.view, LARGE)
        sides = [widgets.VBox([boxes[i], boxes[2 + i]], layout=widgets.Layout(grid_gap="4px")) for i in (0, 1)]
        pictures = row(sides[0], middle, sides[1], gap="24px", align="flex-start")
        pictures.layout.justify_content = "center"
        scrubber = row(self.frame, self.typed_frame, wrap=False)
        return [style_sheet(),
                title("Pick two pictures", "click a thumbnail, or Tab to it and press Enter; or type a number"),
                row(self._target_row, self.a, self.b, self.swap, self.random_pair, self.seed, gap="8px"),
                self.gallery,
                title("Walk from A to B", "every frame is decoded beforehand; the slider only turns the pages"),
                row(self._method_row, self.steps, self.typed_steps, gap="8px"),
                pictures,
                scrubber,
                self.strip, self.status]

    def _connect(self) -> None:
        for control in (self.a, self.b, self.method, self.steps):
            self.redraw_on(control, "path")
        self.redraw_on(self.frame, "frame")
        self.act_on(self.swap, self._swap)
        self.act_on(self.random_pair, self._draw_lots)
        self.seed.observe(lambda _: self._set_random_pair(), "value")

    def _pick(self, index: int) -> None:
        (self.a if self.target.value == "A" else self.b).value = index
        self.target.value = "B" if self.target.value == "A" else "A"

    def _swap(self) -> None:
        self.a.value, self.b.value = self.b.value, self.a.value

    def _draw_lots(self) -> None:
        self.seed.value = (self.seed.value + 1) % self.seed.max

    def _set_random_pair(self) -> None:
        """The pair hangs on the seed alone, so that the number shown brings it back."""
        with self.hold():
            pair = np.random.default_rng(self.seed.value).permutation(len(self.pictures))[:2]
            self.a.value, self.b.value = int(pair[0]), int(pair[-1])

    def _draw_gallery(self) -> None:
        self.gallery.draw()

    def _draw_path(self) -> None:
        started = time.perf_counter()
        pair, steps = (self.a.value, self.b.value), self.steps.value
        a, b = self.codes(pair, self.gallery.shown)
        codes = path_between(a, b, steps, self.method.value, self._active)
        self.frames = decode_codes(self._decoder, codes)
        self.reconstructions = self.frames[[0, -1]]  # a path is exact at its ends
        milliseconds = 1000 * (time.perf_counter() - started)
        for which, (index, label) in enumerate(zip(pair, "AB")):
            show(self.originals[which], self.pictures[index])
            show(self.ends[which], self.reconstructions[which])
            self.captions[which].value = caption_text(label, f"{index} · {short(self.names[index])}", label.lower())
            self.captions[2 + which].value = caption_text(label, "reconstructed", label.lower())
        self._show_strip()
        self.gallery.mark({"A": pair[0], "B": pair[1]})
        self.frame.max = self.typed_frame.max = steps - 1
        self._stale.add("frame")
        self.say(f"A is {self.names[pair[0]]}, B is {self.names[pair[1]]}: {steps} frames by {self.method.value}, "
                 f"decoded in {milliseconds:.0f} ms.")

    def _draw_frame(self) -> None:
        at, last = self.frame.value, len(self.frames) - 1
        show(self.view, self.frames[at])
        self.view_caption.value = caption_text(f"Frame {at}", f"{at / last:.0%} of the way from A to B")

    def _show_strip(self) -> None:
        columns = min(len(self.frames), _STRIP_COLUMNS)
        sheet = tile(self.frames, columns, gap=0)
        scale = min(1.0, 1.5 * _STRIP_WIDTH / sheet.shape[1])
        self.strip.layout.width = f"{min(_STRIP_WIDTH, columns * SIDE)}px"
        show(self.strip, sheet, scale)
