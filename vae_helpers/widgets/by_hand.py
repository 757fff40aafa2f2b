"""Directions made by hand: mark pictures that have something and pictures that have it not, and give it a name."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
import torch

from vae_helpers.errors import InputError, printable
from vae_helpers.latent import (
    Axis,
    KeptDirection,
    decode_codes,
    direction_axis,
    direction_by_hand,
    keep_direction,
    list_directions,
    remove_direction,
)
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import button, choice, row, show_strip, strip

STARTS, HAS, HAS_NOT = CLICKS = ("starts there", "has it", "has it not")  # what a click on a thumbnail means
_FEWEST, _TRY = 2, 3  # pictures of each group: for a direction at all, and to be worth a try
_FRAMES, _WIDTH = 7, 490  # of the strip, in frames and CSS pixels


class DirectionMaker(widgets.VBox):
    """The controls that make, keep and remove directions; `changed()` hears of a new list of `axes`.

    They are kept in the data's folder `directions`, or else as long as the explorer lives. `trouble` says what is wrong
    with that folder's file.
    """

    def __init__(self, explorer: Explorer, changed: Callable[[], None]):
        super().__init__()
        self._explorer, self._changed = explorer, changed
        self._has, self._has_not = [], []  # pictures, in the order in which they were marked
        self.kept, self.trouble = [], ""
        self.click_row, self.click = choice(CLICKS, "A click", 96)
        self.name = widgets.Text(placeholder="what they have, such as smile", layout=widgets.Layout(width="220px"))
        self.keep, self.unmark = button("Keep", 64), button("Unmark all", 96)
        self.found, self.strip = widgets.HTML(), strip("what the direction does", "vae-direction")
        self.which = widgets.Dropdown(options=[], layout=widgets.Layout(width="180px"))
        self.remove = button("Remove", 76)
        self._removing = row(widgets.Label("Kept"), self.which, self.remove, gap="8px")
        making = row(self.click_row, self.name, self.keep, self.unmark, gap="8px")
        self.children = [making, self.found, self.strip, self._removing]
        explorer.act_on(self.keep, self._keep)
        explorer.act_on(self.remove, self._remove)
        explorer.act_on(self.unmark, self._unmark)
        try:
            self._read()
        except InputError as problem:
            self.trouble = str(problem)
        self._list()

    @property
    def axes(self) -> list[Axis]:
        """A slider for each direction that was kept."""
        return [direction_axis(kept) for kept in self.kept]

    @property
    def marks(self) -> dict[str, list[int]]:
        """The marked pictures, as a gallery marks them."""
        return {"+": self._has, "−": self._has_not}

    def mark(self, index: int) -> None:
        """A picture was clicked: mark it, move its mark to the other group, or take the mark away."""
        mine, other = (self._has, self._has_not) if self.click.value == HAS else (self._has_not, self._has)
        if index in other:
            other.remove(index)
        mine.remove(index) if index in mine else mine.append(index)

    def draw(self, code: torch.Tensor, decoder: torch.nn.Module) -> None:
        """Say what the marks give, and show it on a code (latent_dim,)."""
        counts = len(self._has), len(self._has_not)
        text = f"{counts[0]} have it, {counts[1]} have it not"
        ready = min(counts) >= _FEWEST
        self.strip.layout.display = "" if ready else "none"
        if ready:
            made = self._made("direction")
            axis = direction_axis(made)
            codes = axis.move(code, np.linspace(axis.low, axis.high, _FRAMES))
            show_strip(self.strip, decode_codes(decoder, codes), _WIDTH)
            text += (
                f": p = {made.p_value:.3f} (the share of random groupings that lie as far apart), expected cosine to "
                f"the true direction {made.cosine:.2f}"
            )
        if min(counts) < _TRY:
            text += f"; mark {_TRY} of each or more"
        self.found.value = f'<span class="vae-note">{text}.</span>'

    def _made(self, name: str) -> KeptDirection:
        marked = [*self._has, *self._has_not]
        groups = range(len(self._has)), range(len(self._has), len(marked))
        names = [self._explorer.names[index] for index in marked]
        return direction_by_hand(name, self._explorer.codes(marked), names, *groups, self._explorer.data.stamp)

    def _keep(self) -> None:
        made = self._made(self.name.value.strip())
        folder = self._explorer.data.directions
        if folder is not None:
            keep_direction(folder, made)
            self._read()
        elif any(kept.name == made.name for kept in self.kept):
            raise InputError(f"There is a direction {made.name!r} already: remove it first, or take another name.")
        else:
            self.kept = [*self.kept, made]
        self._has, self._has_not, self.name.value = [], [], ""
        self._list()
        self._changed()

    def _remove(self) -> None:
        name = self.which.value
        if name is None:
            raise InputError("there is no direction to remove: none was kept yet.")
        folder = self._explorer.data.directions
        if folder is not None:
            remove_direction(folder, name)
            self._read()
        else:
            self.kept = [kept for kept in self.kept if kept.name != name]
        self._list()
        self._changed()

    def _unmark(self) -> None:
        self._has, self._has_not = [], []
        self._explorer.redraw("marks")

    def _read(self) -> None:
        """Directions of other weights are left out: along those codes they mean nothing."""
        data = self._explorer.data
        if data.directions is not None:
            found = list_directions(data.directions, data.model.config.latent_dim)
            fits = [not (kept.weights and data.stamp and kept.weights != data.stamp) for kept in found]
            self.kept = [kept for kept, good in zip(found, fits) if good]
            left_out = [printable(kept.name) for kept, good in zip(found, fits) if not good]
            self.trouble = f"Made with other weights, so left out: {', '.join(left_out)}." if left_out else ""

    def _list(self) -> None:
        self.which.options = [(printable(kept.name), kept.name) for kept in self.kept]
        self.which.value = self.kept[-1].name if self.kept else None
        self._removing.layout.display = "" if self.kept else "none"
