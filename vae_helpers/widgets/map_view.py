"""The part of a map that is in view: zoom, pan, and where points of the plane lie on the field."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

LARGEST_ZOOM = 32.0


class MapView:
    """A window on points (N, 2), `width` by `height` CSS pixels with `edge` free on each side at zoom 1.

    `zoom` is 1 for the whole map; `centre` is the middle of the view as shares (0 to 1) of the points' range.
    """

    def __init__(self, points: np.ndarray, width: int, height: int, edge: int):
        self._low, high = points.min(axis=0), points.max(axis=0)
        self._span = np.where(high > self._low, high - self._low, 1)
        self._size, self._edge = np.array([width, height]), edge
        self.show_all()

    def show_all(self) -> None:
        """Show the whole map."""
        self.zoom, self.centre = 1.0, np.array([0.5, 0.5])

    def zoom_by(self, factor: float) -> None:
        """Make everything larger by this factor, about the middle of the view."""
        self.zoom = float(np.clip(self.zoom * factor, 1.0, LARGEST_ZOOM))
        self.move_to(self.centre)

    def pan(self, right: float, up: float) -> None:
        """Move the view by these shares of its own width and height."""
        self.move_to(self.centre + np.array([right, up]) / self.zoom)

    def centre_on(self, point: np.ndarray) -> None:
        """Bring a point (2,) of the plane into the middle, as far as the map's border allows."""
        self.move_to((point - self._low) / self._span)

    def move_to(self, centre: np.ndarray) -> None:
        """Put the middle of the view there, or as near as the map's border allows."""
        half = 0.5 / self.zoom
        self.centre = np.clip(centre, half, 1 - half)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Where points (n, 2) of the plane lie on the field: (n, 2) CSS pixels from the top left."""
        share = ((points - self._low) / self._span - self.centre) * self.zoom + 0.5
        return self._edge + np.stack([share[:, 0], 1 - share[:, 1]], axis=1) * (self._size - 2 * self._edge)

    def in_view(self, places: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """Which places (n, 2) lie on the field, `margin` CSS pixels from its border at least: bool (n,)."""
        return ((places >= margin) & (places <= self._size - margin)).all(axis=1)


# What the buttons say, what they do, and do.
MOVES: tuple[tuple[str, str, Callable[[MapView], None]], ...] = (
    ("+", "zoom in", lambda view: view.zoom_by(1.5)),
    ("−", "zoom out", lambda view: view.zoom_by(1 / 1.5)),
    ("←", "move the view left", lambda view: view.pan(-0.25, 0)),
    ("→", "move the view right", lambda view: view.pan(0.25, 0)),
    ("↑", "move the view up", lambda view: view.pan(0, 0.25)),
    ("↓", "move the view down", lambda view: view.pan(0, -0.25)),
    ("Whole", "show the whole map", MapView.show_all),
)
