"""The axes of an explorer with the controls of those that were ever shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from vae_helpers.latent import Axis, LatentAxis, decode_codes, move_together
from vae_helpers.model import Decoder
from vae_helpers.widgets.axis_kinds import KINDS, choices_of, in_order
from vae_helpers.widgets.axis_row import TILES, AxisRow, ChoiceRow, SliderRow, Value, label_of
from vae_helpers.widgets.axis_state import Key
from vae_helpers.widgets.frame import Explorer


class AxisRows:
    """`axes` by kind, and a row of controls for each that is asked for; all start from the code `base` (latent_dim,).

    An axis stays where it was moved to while others are shown.
    """

    def __init__(self, explorer: Explorer, axes: Mapping[str, Sequence[Axis]]):
        self._explorer = explorer
        self.axes = {kind: in_order(list(axes.get(kind, ()))) for kind in KINDS}
        self.base: Tensor | None = None
        self._rows: dict[Key, AxisRow] = {}
        self._limits, self._limits_of = {}, b""
        self._strips: dict[Key, tuple[tuple, np.ndarray]] = {}  # the base and places that are shown, and the frames

    def __contains__(self, key: Key | None) -> bool:
        return key in self._rows

    def row(self, key: Key) -> AxisRow:
        """The controls of an axis; made when they are first asked for."""
        if key not in self._rows:
            axis = next(axis for axis in self.axes[key[0]] if axis.name == key[1])
            self._rows[key] = self._made(axis)
            if self.base is not None:
                self._rows[key].begin(self.base, None)
        return self._rows[key]

    def controls(self, kind: str, part: str) -> dict:
        """The controls called `part` of the rows of a kind that have one, by axis."""
        rows = {name: each for (of, name), each in self._rows.items() if of == kind}
        return {name: getattr(each, part) for name, each in rows.items() if hasattr(each, part)}

    def set_axes(self, kind: str, axes: Sequence[Axis]) -> None:
        """Other axes of a kind; rows of those that are gone go too, with what was moved along them."""
        self.axes[kind] = list(axes)
        names = [axis.name for axis in axes]
        for key in [key for key in self._rows if key[0] == kind and key[1] not in names]:
            self._rows.pop(key).close()
            self._strips.pop(key, None)

    def moved(self) -> dict[Key, Value]:
        """The values that differ from the start's."""
        begun = self.base is not None
        return {key: each.value for key, each in self._rows.items() if each.moved and begun}

    def begin(self, base: Tensor, values: Mapping[Key, Value], limited: bool) -> None:
        """Set every control to a code (latent_dim,), or to their own value; `limited` keeps to known limits."""
        if self._limits_of != (bits := base.numpy().tobytes()):
            self._limits, self._limits_of = {}, bits
        self.base = base
        for key in values:
            self.row(key)
        for key, each in self._rows.items():
            each.begin(base, values.get(key), self._limits.get(key) if limited else None)

    def unchecked(self, keys: Sequence[Key]) -> list[Key]:
        """Those of which it is not known yet where frames break."""
        return [key for key in keys if key not in self._limits]

    def limit(self, key: Key, limits: object) -> None:
        """End an axis's range where its row's `find_limits` says for this base; None: nowhere."""
        self._limits[key] = limits
        self.row(key).limit(limits)

    def show_strips(self, decoder: Decoder, keys: Sequence[Key]) -> dict[Key, np.ndarray]:
        """Show what each axis does to the base alone: its frames from one end to the other, uint8 (n, H, W, 3).

        Strips that show the same places of the same base already stay.
        """
        base = self.base.numpy().tobytes()
        wanted = {key: (base, *self.row(key).places(TILES)) for key in keys}
        new = [key for key in keys if self._strips.get(key, ((), None))[0] != wanted[key]]
        codes = [self.row(key).codes(self.base, wanted[key][1:]) for key in new]
        if new:
            frames = decode_codes(decoder, torch.stack([code for each in codes for code in each]))
            for key, own in zip(new, np.split(frames, np.cumsum([len(each) for each in codes])[:-1])):
                self.row(key).show_strip(own)
                self._strips[key] = wanted[key], own
        return {key: self._strips[key][1] for key in keys}

    def find_limits(
        self, base: Tensor, strips: Mapping[Key, np.ndarray], sound: Callable[[np.ndarray | Tensor], np.ndarray]
    ) -> dict[Key, object]:
        """Where each axis ends that has a broken frame in its strip, None for the others.

        `sound` takes frames, or codes (n, latent_dim), to bool (n,).
        """
        return {
            key: None if sound(own).all() else self.row(key).find_limits(base, sound) for key, own in strips.items()
        }

    def code(self) -> Tensor:
        """The base moved to the values of all controls, (latent_dim,); the base itself where nothing was moved."""
        return self._code_at(self.moved())

    def sweep(self, key: Key, count: int) -> tuple[Sequence[Value], Tensor]:
        """Values of an axis from end to end, at most `count`, and codes (n, latent_dim) there, all else as it is."""
        values = self.row(key).places(count)
        return values, torch.stack([self._code_at(self.moved() | {key: value}) for value in values])

    def _code_at(self, values: Mapping[Key, Value]) -> Tensor:
        if not values:
            return self.base.clone()
        return move_together(self.base, [(self._rows[key].axis, value) for key, value in values.items()])

    def _made(self, axis: Axis) -> AxisRow:
        data = self._explorer.data
        if axis.choices:
            return ChoiceRow(self._explorer, axis, label_of(axis), choices_of(axis))
        if not isinstance(axis, LatentAxis):
            return SliderRow(self._explorer, axis, label_of(axis))
        name = data.labels.get(axis.latent, axis.name)
        return SliderRow(self._explorer, axis, label_of(axis, f"{name} · {data.summary.kl[axis.latent]:.1f} nats"))
