"""What a pair explorer was asked for, and the path that came of it."""

from __future__ import annotations

from typing import NamedTuple

from vae_helpers.latent import Path, PathReport


class Wish(NamedTuple):
    """What the controls ask for."""

    a: int
    b: int
    steps: int
    method: str
    even: bool = False


class Walked(NamedTuple):
    """What came of it."""

    wish: Wish
    path: Path
    report: PathReport
    seconds: float

    def in_words(self, names: list[str]) -> str:
        """What the status says of it; `names` are the pictures'."""
        wish, seconds = self.wish, self.seconds
        took = f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
        return (
            f"A is {names[wish.a]}, B is {names[wish.b]}: {wish.steps} frames by {wish.method}, found and decoded in "
            f"{took}; the picture changes by {self.report.picture_length:.0f} grey levels in all, its largest step is "
            f"{self.report.unevenness:.2f} × the mean."
        )
