"""What a latent explorer shows, as a line of text that can be copied, pasted and undone."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from vae_helpers.errors import InputError


_MOST = 1e6  # of a latent's value; a code is float32


class LatentState(NamedTuple):
    """A start and the latents that were moved from it, `{latent: value}`."""

    picture: int
    from_zero: bool = False
    z: dict[int, float] = {}
    refined: int = 0  # steps of refinement of the picture's code

    def as_text(self) -> str:
        """One line of JSON."""
        z = {str(j): value for j, value in self.z.items()}
        refined = {"refined": self.refined} if self.refined else {}
        start = "zero" if self.from_zero else "picture"
        return json.dumps({"picture": self.picture, "start": start, **refined, "z": z})


def parse_state(text: str, pictures: int, latents: Collection[int]) -> LatentState:
    """Read `as_text` back; InputError for what cannot be read, or fits other pictures or latents than these."""
    try:
        state = json.loads(text)
        index, start, refined = state["picture"], state.get("start", "picture"), state.get("refined", 0)
        z = {int(j): float(value) for j, value in state.get("z", {}).items()}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise InputError('this state cannot be read: it should look like {"picture": 0, "start": "picture", '
                         '"z": {"17": 1.5}}.') from None
    if type(index) is not int or not 0 <= index < pictures or start not in ("picture", "zero"):
        raise InputError(f'this state does not fit: its picture must be 0 to {pictures - 1} and its '
                         'start "picture" or "zero".')
    if type(refined) is not int or not 0 <= refined <= 100:
        raise InputError("this state does not fit: its code can be refined by 0 to 100 steps.")
    if not set(z) <= set(latents) or not all(abs(value) <= _MOST for value in z.values()):
        raise InputError("this state does not fit: it moves latents that have no slider here "
                         f"({list(latents)} have one), or not to a number from -{_MOST:g} to {_MOST:g}.")
    return LatentState(index, start == "zero", z, refined)
