"""The set on a plane, where two clicks pick a pair."""

from __future__ import annotations

import html
import uuid
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
from torch import Tensor

from vae_helpers.data import Attributes
from vae_helpers.errors import InputError
from vae_helpers.latent import choose_apart, pca_map, tsne_map
from vae_helpers.show import PointColours, colour_points
from vae_helpers.widgets.cells import ShownInCells, claim, inside
from vae_helpers.widgets.frame import answer_beside_cells
from vae_helpers.widgets.map_drawing import RING, drawing, inside_border, legend_html, line_through, note_html
from vae_helpers.widgets.map_view import MOVES, MapView
from vae_helpers.widgets.nearest import NearestPictures
from vae_helpers.widgets.pair import PairExplorer
from vae_helpers.widgets.parts import button, choice, data_uri, row, short, style_sheet, title
from vae_helpers.widgets.save_row import SaveRow
from vae_helpers.widgets.saved import SavedView, figure, map_still

_WIDTH, _HEIGHT, _THUMB, _EDGE = 912, 520, 48, 30  # CSS pixels
_PLAIN = "nothing"
_SMALL = ' style="font-size:10px;font-weight:400"'


class MapExplorer(ShownInCells):
    """A map of a pair explorer's pictures by their codes (N, latent_dim): click two, and it walks between them.

    PCA shows the path too; t-SNE is computed when first asked for. Every picture is a point, those that fit are
    thumbnails; zooming in makes room for more, and *Show others* takes those that had none. With `attributes` of the
    same pictures points can be coloured; the nearest pictures of A or B by their codes are listed, and a click picks
    one. `others`, codes (M, latent_dim) of further pictures, are faint points that cannot be picked.
    """

    def __init__(
        self, pair: PairExplorer, codes: Tensor, attributes: Attributes | None = None, others: Tensor | None = None
    ):
        super().__init__(layout=widgets.Layout(width="100%", max_width="960px"))
        self.add_class("vae-explorer")
        for what, found in (("codes", codes), ("rows of attributes", attributes)):
            if found is not None and len(found) != len(pair.pictures):
                raise InputError(
                    f"there are {len(pair.pictures)} pictures but {len(found)} {what}: give those of the same pictures."
                )
        if others is not None and others.shape[1:] != codes.shape[1:]:
            raise InputError(
                f"codes of other pictures have shape {tuple(others.shape)}, but need {codes.shape[1]} latents: encode "
                "them by the same model."
            )
        self.pair, self._codes, self._attributes, self._others = pair, codes, attributes, others
        self._key = f"vae-{uuid.uuid4().hex[:8]}"
        self._plane = pca_map(codes)
        self._points, self._laid_out = {"PCA": self._plane.points}, "PCA"
        self._view = MapView(self._plane.points, _WIDTH, _HEIGHT, _EDGE)
        self._colours: PointColours | None = None
        self._drawn, self._dots, self._back, self._marked = (widgets.HTML() for _ in range(4))
        self._dots.add_class(f"{self._key}-dots")
        self._hidden: set[int] = set()
        self.buttons: dict[int, widgets.Button] = {}  # by picture
        self._field = widgets.Box(layout=widgets.Layout(width="100%", max_width=f"{_WIDTH}px", overflow="hidden"))
        self._field.add_class("vae-map")
        self._make_controls()
        self._lay_out()
        self._act(self._draw)
        pair.on_path(self._show_path)
        answer_beside_cells(self)
        self.stay()

    def _make_controls(self) -> None:
        self.layout_row, self.kind = choice(("PCA", "t-SNE"), "Map", 72)
        self.others = button("Show others", 104)
        self.moves = {text: button(text, 64 if len(text) > 1 else 36) for text, *_ in MOVES}
        for text, tooltip, move in MOVES:
            self.moves[text].tooltip = tooltip
            self.moves[text].on_click(lambda _, move=move: self._act(lambda: self._move(move)))
        for label in "AB":
            self.moves[label] = button(f"To {label}", 52)
            self.moves[label].tooltip = f"bring {label} into the middle, as far as the border allows"
            self.moves[label].on_click(lambda _, label=label: self._act(lambda: self._go_to(label)))
        names = () if self._attributes is None else self._attributes.names
        self.colour = widgets.Dropdown(
            options=[_PLAIN, *names], description="Colour by", layout=widgets.Layout(width="260px")
        )
        self.nearest = NearestPictures(self.pair, self._codes)
        self.note, self.legend = widgets.HTML(), widgets.HTML()
        self.kind.observe(lambda _: self._act(self._change_kind), "value")
        self.others.on_click(lambda _: self._act(self._show_others))
        self.colour.observe(lambda _: self._act(self._recolour), "value")
        self.nearest.of.observe(lambda _: self._act(self._show_path), "value")

    def _lay_out(self) -> None:
        pair = self.pair
        self.children = [
            style_sheet(self),
            self._drawn,
            self._marked,
            title("Pick two pictures on the map", "click, or Tab and Enter: A and B in turn; or type two numbers"),
            row(self.layout_row, self.others, pair.target_row, pair.a, pair.b, pair.swap, gap="8px"),
            row(*self.moves.values(), *([self.colour] if self._attributes is not None else []), gap="4px"),
            self._field,
            self.legend,
            self.note,
            self.nearest,
            pair.strip_box,
            SaveRow(pair, pair.save),
            pair.status,
        ]

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
        return f"MapExplorer of {len(self._codes)} pictures by {self._laid_out}"

    @property
    def with_thumbnail(self) -> list[int]:
        """The pictures on the map that are no dots."""
        return [i for i, thumb in self.buttons.items() if thumb in self._field.children]

    def _act(self, action) -> None:
        with self.pair.hold():
            self.pair.attempt(action)

    def _change_kind(self) -> None:
        """Show the other kind of map, once it is laid out; thousands of pictures take t-SNE a while."""
        if self.kind.value in self._points:
            self._show_kind()
            return
        self.pair.say("Laying out by t-SNE …")
        self.pair.compute("map", "", lambda _: self._lay_out_points(), self._take_points)

    def _lay_out_points(self) -> np.ndarray | InputError:
        try:
            return tsne_map(self._codes, min(30, (len(self._codes) - 1) / 3))
        except InputError as problem:
            return problem

    def _take_points(self, found: np.ndarray | InputError) -> None:
        if isinstance(found, InputError):
            self.kind.value = "PCA"
            raise found
        self._points["t-SNE"] = found
        if self.kind.value != "PCA":  # to which somebody may have gone back meanwhile
            self.pair.say(
                "t-SNE keeps neighbours together; distances between groups mean little, and a path has no place."
            )
            self._show_kind()

    def _show_kind(self) -> None:
        self._laid_out, self._hidden = self.kind.value, set()
        self._view = MapView(self._points[self._laid_out], _WIDTH, _HEIGHT, _EDGE)
        self._draw()

    def _move(self, move: Callable[[MapView], None]) -> None:
        move(self._view)
        self._hidden = set()
        self._draw()

    def _go_to(self, label: str) -> None:
        index, points = self.pair.pair["AB".index(label)], self._points[self._laid_out]
        if index >= len(points):
            raise InputError(
                f"{label} is your own photo, which has no place on this map: it is made of the set's pictures."
            )
        point = points[index]
        self._move(lambda view: view.centre_on(point))

    def _show_others(self) -> None:
        self._hidden |= set(self.with_thumbnail)
        if self._hidden.issuperset(self._thumbnail_places()[0]):
            self._hidden = set()
        self._draw()

    def _recolour(self) -> None:
        self._colours = None
        if self.colour.value != _PLAIN:
            column = self._attributes.column(self.colour.value)
            self._colours = colour_points(self._attributes.table[column], self._attributes.values[:, column])
        self._draw()

    def _places(self) -> np.ndarray:
        """Where each picture's centre lies on the field, (N, 2) in CSS pixels from the top left."""
        return self._view.place(self._points[self._laid_out])

    def _thumbnail_places(self) -> tuple[np.ndarray, np.ndarray]:
        """The pictures whose thumbnail would be whole, and where they all lie."""
        places = self._places()
        return np.flatnonzero(self._view.in_view(places, _THUMB / 2)), places

    def _draw(self) -> None:
        whole, places = self._thumbnail_places()
        free = np.array([i for i in whole if i not in self._hidden], int)
        chosen = free[choose_apart(places[free], _THUMB + 2)] if len(free) else free
        for i in chosen:
            if i not in self.buttons:
                self.buttons[i] = self._button(int(i))
        beneath = f".vae-explorer .vae-map > .widget-html.{self._key}-dots{{z-index:0}}"  # the path is over thumbnails
        self._drawn.value = f"<style>{beneath}{''.join(self._rule(i, places[i]) for i in chosen)}</style>"
        self._field.children = [self._dots, self._back, *(self.buttons[i] for i in chosen)]
        shown = (len(chosen), int(self._view.in_view(places).sum()), len(places))
        planar = self._laid_out == "PCA"
        others = len(self._others) if self._others is not None and planar else 0
        self.note.value = note_html(*shown, others, self._view.zoom, self._plane.explained.sum() if planar else None)
        self.legend.value = "" if self._colours is None else legend_html(self._colours)
        self._show_path()
        self.update_saved_view()

    def _rule(self, i: int, place: np.ndarray) -> str:
        """CSS of one thumbnail: where it lies, its picture, its colour."""
        left, top = (f"calc({x:.0f}*var(--vae-u))" for x in place)
        ring = "" if self._colours is None else f";outline:3px solid {self._colours.colours[i]}"
        image = data_uri(self.pair.pictures[i], _THUMB)
        return f'.{self._key}-{i}{{left:{left};top:{top};background-image:url("{image}"){ring}}}'

    def _show_path(self) -> None:
        """Points, the path of the pair explorer, where A and B lie, and what is nearest to one of them."""
        places = self._places()
        ends = [(i, label) for i, label in zip(self.pair.pair, "AB") if i < len(places)]  # one's own photo has no place
        self.nearest.draw()
        names = self._names(places, ends, self.nearest.rows)
        self._dots.value = drawing(_WIDTH, _HEIGHT, "a point for each picture", self._draw_dots(places))
        self._back.value = drawing(_WIDTH, _HEIGHT, "the path from A to B", self._line() + names)
        rings = [
            f".vae-explorer .vae-map button.{self._key}-{i}{{box-shadow:0 0 0 3px var(--vae-{label.lower()})}}"
            for i, label in ends
        ]
        self._marked.value = f"<style>{''.join(rings)}</style>"

    def saved_view(self) -> SavedView | None:
        """The map as a picture."""
        shown = self.with_thumbnail
        still = map_still(self.pair.pictures[shown], self._places()[shown], (_WIDTH, _HEIGHT), _THUMB)
        return SavedView(figure(still, f"{len(shown)} pictures on a map by {self._laid_out}", _WIDTH), still)

    def _draw_dots(self, places: np.ndarray) -> str:
        """A point for each picture in view that has no thumbnail, which tells its name where the pointer rests."""
        drawn = self._view.in_view(places)
        drawn[self.with_thumbnail] = False
        faint = ""
        if self._others is not None and self._laid_out == "PCA":
            far = self._view.place(self._plane.place(self._others))
            dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.5"/>' for x, y in far[self._view.in_view(far)])
            faint = f'<g class="vae-dots vae-others">{dots}</g>'
        own = "".join(self._dot(i, *places[i]) for i in np.flatnonzero(drawn))
        return f'{faint}<g class="{"vae-dots" if self._colours is None else "vae-coloured"}">{own}</g>'

    def _dot(self, i: int, x: float, y: float) -> str:
        look = ' r="3"' if self._colours is None else f' r="4" fill="{self._colours.colours[i]}"'
        name = f"<title>{html.escape(self._name(i))}</title>"
        return f'<circle cx="{x:.1f}" cy="{y:.1f}"{look} style="pointer-events:auto">{name}</circle>'

    def _line(self) -> str:
        if self._laid_out != "PCA" or self.pair.path is None:
            return ""
        return line_through(self._view.place(self._plane.place(self.pair.path.codes)))

    def _names(self, places: np.ndarray, ends: list[tuple[int, str]], near: np.ndarray) -> str:
        """The names of A and B over their places, with a ring where there is a point only, and of what is nearest."""
        shown, thumbs = self._view.in_view(places), set(self.with_thumbnail)
        texts, rings = [], []
        for i, label in ends:
            over = _THUMB / 2 + 4 if i in thumbs else 12
            texts.append((i, f"{label} {short(self.pair.names[i])}", f'class="vae-{label.lower()}"', -over))
            rings += [RING.format(*places[i], label.lower())] if shown[i] and i not in thumbs else []
        for i in set(near) - {i for i, _ in ends}:
            below = _THUMB / 2 + 11 if i in thumbs else 14
            texts.append((i, short(self.pair.names[i]), f'class="vae-near"{_SMALL}', below))
        return "".join(rings) + "".join(
            f'<text {kind} x="{inside_border(places[i, 0], text, _WIDTH):.1f}" y="{places[i, 1] + away:.1f}">'
            f"{html.escape(text)}</text>"
            for i, text, kind, away in texts
            if shown[i]
        )

    def _name(self, i: int) -> str:
        value = "" if self._colours is None else f", {self._colours.name} {self._colours.words[i]}"
        return f"{i}: {self.pair.names[i]}{value}"

    def _button(self, index: int) -> widgets.Button:
        thumb = widgets.Button(description=str(index), tooltip=str(self.pair.names[index]))
        thumb.add_class(f"{self._key}-{index}")
        self.pair.act_on(thumb, lambda: self.pair.pick(index))
        answer_beside_cells(thumb)
        return thumb
