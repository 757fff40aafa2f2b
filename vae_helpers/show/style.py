"""What all figures share: colours, plain axes, figures that are closed before they are returned."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, ACCENT, QUIET = "#333333", "#c8553d", "#9aa5b1"
FAINT, LINES = "#66707a", "#e8ebee"  # text of less weight, and grids
GOOD, FAIR, BAD = "#4c8c6b", "#d99a2b", ACCENT
COLOURS = (ACCENT, "#3d6d9e", "#5b8c5a", "#8c6bb1", "#c9962f", "#4aa3a2", "#a0527f", "#6b6b6b", "#2b3f66", "#b07a5a")


def subplots(*shape: int, **settings: Any) -> tuple[Figure, Any]:
    """`pyplot.subplots` with a constrained layout; pyplot is slow to import, so only a figure imports it."""
    import matplotlib.pyplot as plt

    return plt.subplots(*shape, layout="constrained", **settings)


def plain(axis: Axes) -> None:
    """Without the upper and right border."""
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(colors=INK, labelsize=8)


def bare(axis: Axes) -> None:
    """Without borders and ticks."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def closed(figure: Figure, title: str) -> Figure:
    """The figure under its title; pyplot must not show it a second time, nor keep it for ever."""
    import matplotlib.pyplot as plt

    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    plt.close(figure)
    return figure
