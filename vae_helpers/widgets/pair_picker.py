"""What explorers of pairs share: a gallery whose clicks set A and B in turn, their numbers, and Swap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vae_helpers.errors import InputError
from vae_helpers.widgets.explorer_data import ExplorerData
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.gallery import Gallery
from vae_helpers.widgets.parts import button, caption_text, captioned, choice, number, picture, short, show

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
        self._marked = self.pair
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
        """Show A and B, and mark them in the gallery, which turns to the one that has changed."""
        changed = [new for new, old in zip(self.pair, self._marked) if new != old]
        if changed and not set(changed) & set(self.gallery.on_page):
            self.gallery.turn_to(changed[0])
        self._marked = self.pair
        for image, caption, index, label in zip(self.originals, self.original_captions, self.pair, "AB"):
            show(image, self.picture_of(index))
            caption.value = caption_text(label, f"{index} · {short(self.names[index])}", label.lower())
        self.gallery.mark(dict(zip("AB", self.pair)))

    def _swap(self) -> None:
        self.a.value, self.b.value = self.b.value, self.a.value

    def _draw_gallery(self) -> None:
        self.gallery.draw()


def pair_by_lot(seed: int, count: int) -> tuple[int, int]:
    """Two of `count` pictures, another for each seed; of one picture that one twice."""
    pair = np.random.default_rng(seed).permutation(count)[:2]
    return int(pair[0]), int(pair[-1])


def seed_of_another(pair: tuple[int, int], seed: int, count: int) -> int:
    """The next seed whose pair is not this one: with few pictures the same comes often."""
    later = range(seed + 1, seed + 100)
    return next((other for other in later if pair_by_lot(other, count) != pair), seed + 1)
