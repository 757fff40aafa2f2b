"""What is drawn on a map and beside it, as HTML."""

from __future__ import annotations

import html

import numpy as np

from vae_helpers.show import PointColours

_LETTER = 9  # how wide a letter of a name is at most, on average, in the map's units
# Around a point that is A or B: x, y, and which of the two.
RING = '<circle cx="{0:.1f}" cy="{1:.1f}" r="8" style="fill:none;stroke-width:3;stroke:var(--vae-{2})"/>'


def drawing(width: int, height: int, label: str, content: str) -> str:
    """An SVG of these units that fills its place, with a name for screen readers."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{content}</svg>'


def line_through(places: np.ndarray) -> str:
    """SVG of a line through places (n, 2) with a ring at each."""
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    stops = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places)
    return f'<polyline points="{points}"/><g class="vae-stops">{stops}</g>'


def legend_html(colours: PointColours) -> str:
    """Which colour means what, as a line of dots with words."""
    entries = "".join(
        f'<span style="white-space:nowrap;margin-right:14px"><span style="display:inline-block;width:11px;height:11px;'
        f'border-radius:6px;background:{entry.colour};margin-right:5px"></span>{html.escape(entry.text)}</span>'
        for entry in colours.legend
    )
    return f'<div class="vae-note" style="line-height:1.7"><b>{html.escape(colours.title)}</b>&nbsp; {entries}</div>'


def inside_border(x: float, text: str, width: int) -> float:
    """Where the middle of a name stands, so that the border does not cut it; `x` as long as it does not."""
    half = min(width / 2, _LETTER / 2 * len(text))
    return min(max(x, half), width - half)


def note_html(thumbnails: int, in_view: int, total: int, others: int, zoom: float, explained: float | None) -> str:
    """What the map shows: how many pictures and how; `explained` is the axes' share of the variance, with PCA."""
    beside = f", and {others} other pictures as faint points" if others else ""
    kind = (
        "Neighbours stay neighbours."
        if explained is None
        else f"The two axes hold {explained:.0%} of the codes' variance."
    )
    return (
        f'<span class="vae-note">{thumbnails} of {total} pictures as thumbnails, {in_view - thumbnails} more in view '
        f"as points{beside}. Zoom {zoom:.1f}. {kind}</span>"
    )
