"""What explorers of pairs share: a gallery whose clicks set A and B in turn, their numbers, and Swap."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from vae_helpers.errors import InputError
from vae_helpers.explorer import Explorer
from vae_helpers.latent import LatentSummary
from vae_helpers.model import BetaVAE
from vae_helpers.widget_parts import Gallery, button, caption_text, captioned, choice, number, picture, short, show

SIDE = 128  # CSS pixels: the originals


class PairPicker(Explorer):
    """An explorer of the pictures `a.value` and `b.value`; `pair` are both, `originals` shows them.

    It begins with the `pair` given, or with the first two. Raises InputError for a picture that is not among them.
    """

    def __init__(self, model: BetaVAE, pictures: np.ndarray, names: Sequence[str], summary: LatentSummary | None,
                 page_size: int, device: str | torch.device, folder: Path | str | None,
                 pair: Sequence[int] | None = None):
        super().__init__(model, pictures, names, summary, device, folder)
        last = len(pictures) - 1
        a, b = (0, min(1, last)) if pair is None else map(int, pair)
        if not (0 <= a <= last and 0 <= b <= last):
            raise InputError(f"the pair {a}, {b} is not among these pictures: give two numbers from 0 to {last}.")
        self.a, self.b = number(a, 0, last, "A", 92), number(b, 0, last, "B", 92)
        self.target_row, self.target = choice("AB", "A click sets", 40)
        self.swap = button("Swap", 72)
        self.gallery = Gallery(self, page_size, self.pick)
        self.originals = [picture(SIDE, f"vae-edge-{side}") for side in "ab"]
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
