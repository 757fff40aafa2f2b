"""The set on a plane, where two clicks pick a pair."""

from __future__ import annotations

import uuid

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent import choose_apart, pca_map, tsne_map
from vae_helpers.widgets.cells import ShownInCells, claim, inside
from vae_helpers.widgets.frame import answer_beside_cells
from vae_helpers.widgets.pair import PairExplorer
from vae_helpers.widgets.parts import button, choice, data_uri, row, save_row, style_sheet, title
from vae_helpers.widgets.saved import SavedView, figure, map_still

_WIDTH, _HEIGHT, _THUMB, _EDGE = 912, 520, 48, 30  # CSS pixels


class MapExplorer(ShownInCells):
    """A map of a pair explorer's pictures by their codes (N, latent_dim): click two, and it walks between them.

    PCA shows the path too; t-SNE is computed when first asked for. Pictures that would overlap are dots; *Show others*
    puts dots in the place of the pictures that are shown.
    """

    def __init__(self, pair: PairExplorer, codes: Tensor):
        super().__init__(layout=widgets.Layout(width="100%", max_width="960px"))
        self.add_class("vae-explorer")
        if len(codes) != len(pair.pictures):
            raise InputError(
                f"there are {len(pair.pictures)} pictures but {len(codes)} codes: encode the same pictures."
            )
        self.pair, self._codes = pair, codes
        self._key = f"vae-{uuid.uuid4().hex[:8]}"
        self._plane = pca_map(codes)
        self._points = {"PCA": self._plane.points}
        self.layout_row, self.kind = choice(("PCA", "t-SNE"), "Map", 72)
        self.others = button("Show others", 104)
        self._drawn, self._back, self._marked = (widgets.HTML() for _ in range(3))
        self._hidden = set()
        self.buttons: dict[int, widgets.Button] = {}  # by picture
        self._field = widgets.Box(layout=widgets.Layout(width="100%", max_width=f"{_WIDTH}px"))
        self._field.add_class("vae-map")  # its --vae-u is a pixel of _WIDTH, so that it shrinks with the page
        self.note = widgets.HTML()
        self.children = [
            style_sheet(self),
            self._drawn,
            self._marked,
            title("Pick two pictures on the map", "click, or Tab and Enter: A and B in turn; or type two numbers"),
            row(self.layout_row, self.others, pair.target_row, pair.a, pair.b, pair.swap, gap="8px"),
            self._field,
            self.note,
            pair.strip,
            save_row(pair, pair.save),
            pair.status,
        ]
        self.kind.observe(lambda _: self._act(self._change_kind), "value")
        self.others.on_click(lambda _: self._act(self._show_others))
        self._act(self._draw)
        pair.on_path(self._show_path)
        answer_beside_cells(self)
        self.stay()

    def stay(self) -> None:
        """The pair explorer's controls are on the map's page, so it lives as long as the map."""
        claim(self)
        claim(self.pair)

    def close(self) -> None:
        """Take it off the page; the pair explorer stays where it is shown."""
        if "pair" not in vars(self):
            return super().close()  # refused before it was made: the garbage collector asks
        self.pair.stop_on_path(self._show_path)
        for widget in inside(self, without=self.pair):
            widgets.Widget.close(widget)

    def __repr__(self) -> str:
        return f"MapExplorer of {len(self._codes)} pictures by {self.kind.value}"

    @property
    def with_thumbnail(self) -> list[int]:
        """The pictures on the map that are no dots."""
        return [i for i, thumb in self.buttons.items() if thumb in self._field.children]

    def _act(self, action) -> None:
        with self.pair.hold():
            self.pair.attempt(action)

    def _change_kind(self) -> None:
        if self.kind.value not in self._points:
            self.pair.say("Laying out by t-SNE …")
            try:
                self._points["t-SNE"] = tsne_map(self._codes, min(30, (len(self._codes) - 1) / 3))
            except InputError:
                self.kind.value = "PCA"
                raise
            self.pair.say(
                "t-SNE keeps neighbours together; distances between groups mean little, and a path has no place."
            )
        self._hidden = set()
        self._draw()

    def _show_others(self) -> None:
        self._hidden |= set(self.with_thumbnail)
        if len(self._hidden) == len(self._codes):
            self._hidden = set()
        self._draw()

    def _places(self) -> np.ndarray:
        """Where each picture's centre lies on the field, (N, 2) in CSS pixels from the top left."""
        return self._to_field(self._points[self.kind.value])

    def _to_field(self, points: np.ndarray) -> np.ndarray:
        all_points = self._points[self.kind.value]
        low, high = all_points.min(axis=0), all_points.max(axis=0)
        share = (points - low) / np.where(high > low, high - low, 1)
        space = np.array([_WIDTH, _HEIGHT]) - 2 * _EDGE
        return _EDGE + np.stack([share[:, 0], 1 - share[:, 1]], axis=1) * space

    def _draw(self) -> None:
        places = self._places()
        free = np.array([i for i in range(len(places)) if i not in self._hidden])
        chosen = free[choose_apart(places[free], _THUMB + 2)]
        for i in chosen:
            if i not in self.buttons:
                self.buttons[i] = self._button(int(i))
        rules = [
            f".{self._key}-{i}{{left:calc({places[i, 0]:.0f}*var(--vae-u));top:calc({places[i, 1]:.0f}*var(--vae-u));"
            f'background-image:url("{data_uri(self.pair.pictures[i], _THUMB)}")}}'
            for i in chosen
        ]
        self._drawn.value = f"<style>{''.join(rules)}</style>"
        self._field.children = [self._back, *(self.buttons[i] for i in chosen)]
        self.note.value = (
            f'<span class="vae-note">{len(chosen)} of {len(places)} pictures, dots for the others. '
            + (
                f"The two axes hold {self._plane.explained.sum():.0%} of the codes' variance."
                if self.kind.value == "PCA"
                else "Neighbours stay neighbours."
            )
            + "</span>"
        )
        self._show_path()
        self.update_saved_view()

    def _show_path(self) -> None:
        """Dots, the path of the pair explorer, and where A and B lie."""
        places, ends = self._places(), self.pair.pair
        dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)
        line = ""
        if self.kind.value == "PCA" and self.pair.path is not None:
            along = self._to_field(self._plane.place(self.pair.path.codes))
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in along)
            stops = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in along)
            line = f'<polyline points="{points}"/><g class="vae-stops">{stops}</g>'
        names = "".join(
            f'<text class="vae-{label.lower()}" x="{places[i, 0]:.1f}" '
            f'y="{places[i, 1] - _THUMB / 2 - 4:.1f}">{label}</text>'
            for i, label in zip(ends, "AB")
        )
        drawing = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="the path from A to B">'
        self._back.value = f'{drawing}<g class="vae-dots">{dots}</g>{line}{names}</svg>'
        rings = [
            f".vae-explorer .vae-map button.{self._key}-{i}{{box-shadow:0 0 0 3px var(--vae-{label})}}"
            for i, label in zip(ends, "ab")
        ]
        self._marked.value = f"<style>{''.join(rings)}</style>"

    def saved_view(self) -> SavedView | None:
        """The map as a picture."""
        shown = self.with_thumbnail
        still = map_still(self.pair.pictures[shown], self._places()[shown], (_WIDTH, _HEIGHT), _THUMB)
        return SavedView(figure(still, f"{len(shown)} pictures on a map by {self.kind.value}", _WIDTH), still)

    def _button(self, index: int) -> widgets.Button:
        thumb = widgets.Button(description=str(index), tooltip=str(self.pair.names[index]))
        thumb.add_class(f"{self._key}-{index}")
        self.pair.act_on(thumb, lambda: self.pair.pick(index))
        answer_beside_cells(thumb)
        return thumb
