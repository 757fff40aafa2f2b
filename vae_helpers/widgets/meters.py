"""Meters under frames: whether each is a sound picture, and how far it lies from the training pictures."""

from __future__ import annotations

from collections.abc import Sequence

from vae_helpers.latent import Soundness, Verdict

WORDS = ("sound", "doubtful", "broken")  # by level
_MARKS = ("✓", "?", "✗")  # so that colour is not all that tells them apart


def meters(
    width: int,
    soundness: Soundness | None = None,
    verdict: Verdict | None = None,
    distances: Sequence[float] | None = None,
) -> str:
    """HTML of a meter for each of n frames, `width` CSS pixels in all; empty where nothing was measured.

    A bar reaches its middle where 5 % of the held-out pictures have a larger re-encode error, and three quarters where
    1 % have. The distance stands as a number.
    """
    count = len(verdict.error) if verdict is not None else len(distances) if distances is not None else 0
    cells = []
    for k in range(count):
        bar = "" if verdict is None else _bar(float(verdict.error[k]), int(verdict.level[k]), soundness.marks)
        number = "" if distances is None else f'<span class="vae-distance">{distances[k]:.2f}</span>'
        cells.append(f"<div>{bar}{number}</div>")
    return f'<div class="vae-meters" style="width:{width}px">{"".join(cells)}</div>' if cells else ""


def meter_note(soundness: bool, distance: bool) -> str:
    """HTML that says how to read the meters."""
    parts = []
    if soundness:
        parts.append(
            "How much a frame changes when it is encoded and decoded again, in units of a held-out picture's change: "
            "✓ sound, as 95 % of the held-out pictures; ? doubtful; ✗ broken, more than 99 % of them."
        )
    if distance:
        parts.append(
            f"{'Below, the' if soundness else 'The'} distance to the nearest training picture; 1 is typical of a new "
            "picture of the set."
        )
    return f'<div class="vae-note">{" ".join(parts)}</div>' if parts else ""


def in_words(verdict: Verdict | None, distances: Sequence[float] | None, k: int) -> str:
    """What is known of frame k, such as "broken, distance 1.24"; empty where nothing was measured."""
    parts = [] if verdict is None else [WORDS[int(verdict.level[k])]]
    return ", ".join([*parts, *([] if distances is None else [f"distance {distances[k]:.2f}"])])


def _bar(error: float, level: int, marks: tuple[float, float]) -> str:
    doubtful, broken = marks
    if error <= doubtful:
        share = 0.5 * error / max(doubtful, 1e-9)
    elif error <= broken:
        share = 0.5 + 0.25 * (error - doubtful) / max(broken - doubtful, 1e-9)
    else:
        share = min(1.0, 0.75 + 0.25 * (error / max(broken, 1e-9) - 1) / 3)
    word = WORDS[level]
    return (
        f'<span class="vae-meter vae-{word}" title="{word}"><i style="width:{share:.0%}"></i></span>'
        f'<b class="vae-{word}">{_MARKS[level]}</b> {error:.1f} '
    )
