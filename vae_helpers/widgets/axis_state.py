"""What a latent explorer shows, as one line of text that brings it back, and the steps that can be undone."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vae_helpers.errors import InputError
from vae_helpers.latent import Axis

STARTS = ("picture", "mean", "random")
Key = tuple[str, str]  # an axis's kind, as a control shows it, and its name
_MOST = 1e6  # of a value without a range of its own; a code is float32
_SAME_GESTURE = 1.0  # seconds: moves of one axis that follow each other as fast are undone together
_USUAL = {"start": "picture", "seed": 0, "temperature": 1.0, "refined": 0}
_EXAMPLE = '{"picture": 0, "start": "picture", "latents": {"latent 17": 1.5}}'


class ExplorerState(NamedTuple):
    """A start, and the axes that were moved from it."""

    picture: int
    start: str = "picture"
    seed: int = 0  # of a random start
    temperature: float = 1.0
    refined: int = 0  # steps of refinement of the picture's code
    moved: dict[Key, float | str] = {}

    def as_text(self) -> str:
        """One line of JSON, with an entry per kind of axis."""
        plain = {"picture": self.picture, "start": self.start}
        if self.start == "random":
            plain |= {"seed": self.seed, "temperature": self.temperature}
        if self.refined:
            plain["refined"] = self.refined
        for (kind, name), value in self.moved.items():
            plain.setdefault(kind.lower(), {})[name] = value
        return json.dumps(plain)


def parse_state(text: str, pictures: int, axes: Mapping[str, Sequence[Axis]]) -> ExplorerState:
    """Read `as_text` back; InputError for what cannot be read, or fits other pictures or axes than these."""
    kinds = {kind.lower(): kind for kind in axes}
    try:
        plain = dict(json.loads(text).items())
        index = plain.pop("picture")
        start, seed, temperature, refined = (plain.pop(name, usual) for name, usual in _USUAL.items())
        moved = {(kinds.get(kind, kind), name): value for kind, named in plain.items() for name, value in named.items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InputError(f"this state cannot be read: it should look like {_EXAMPLE}.") from None
    _require(type(index) is int and 0 <= index < pictures, f"its picture must be 0 to {pictures - 1}")
    _require(start in STARTS, f"its start must be one of {', '.join(STARTS)}")
    _require(type(refined) is int and 0 <= refined <= 100, "its code can be refined by 0 to 100 steps")
    _require(type(seed) is int and 0 <= seed < 2**31, "its seed must be 0 to 2147483647")
    _require(_is_number(temperature) and 0 <= temperature <= 2, "its temperature must be 0 to 2")
    known = {(kind, axis.name): axis for kind, each in axes.items() for axis in each}
    for key, value in moved.items():
        _require(key in known, f"it moves {' '.join(map(str, key))!r}, which has no slider here")
        _require_value(known[key], value)
    return ExplorerState(index, start, seed, float(temperature), refined, moved)


class History:
    """The states before the one on the screen, one per gesture, and those that were undone."""

    def __init__(self):
        self._now, self._before, self._after, self._gesture = None, [], [], (None, 0.0)

    def note(self, state: ExplorerState) -> Key | None:
        """A state is on the screen now. Returns the axis that was moved, if nothing else was."""
        now, before = time.monotonic(), self._now
        self._now = state
        if before is None or before == state:
            return None
        self._after = []
        changed = {key for key in {*before.moved, *state.moved} if before.moved.get(key) != state.moved.get(key)}
        alone = len(changed) == 1 and before._replace(moved={}) == state._replace(moved={})
        turned = changed.pop() if alone else None
        if turned is None or turned != self._gesture[0] or now - self._gesture[1] > _SAME_GESTURE:
            self._before.append(before)
        self._gesture = turned, now
        return turned

    def back(self) -> ExplorerState:
        """The state before, which is no step to undo when it comes back. InputError where there is none."""
        if not self._before:
            raise InputError("there is nothing to undo: this is where you began.")
        self._after.append(self._now)
        self._now = None
        return self._before.pop()

    def forward(self) -> ExplorerState:
        """The state that was undone last. InputError where there is none."""
        if not self._after:
            raise InputError("there is nothing to do again: nothing was undone, or something else was done since.")
        self._before.append(self._now)
        self._now = None
        return self._after.pop()


def _require(fits: bool, what: str) -> None:
    if not fits:
        raise InputError(f"this state does not fit: {what}.")


def _require_value(axis: Axis, value: object) -> None:
    if axis.choices:
        _require(value in axis.choices, f"{axis.name!r} must be one of {', '.join(axis.choices[:8])}")
        return
    # A chart knows nothing beyond an attribute's range; other axes may lead further than their sliders.
    low, high = (axis.low, axis.high) if axis.kind == "attribute" else (-_MOST, _MOST)
    _require(
        _is_number(value) and low <= value <= high, f"{axis.name!r} must be moved to a number from {low:g} to {high:g}"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
