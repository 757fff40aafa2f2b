"""From one picture along the axes of its code: attributes, latents, components, or directions made by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from vae_helpers.data import to_uint8
from vae_helpers.errors import InputError, printable
from vae_helpers.latent import BROKEN, Axis, decode_codes, frozen_decoder
from vae_helpers.show import enlarged, save_frames
from vae_helpers.widgets.axis_kinds import BY_HAND, KINDS, axes_of, default_kind, random_values
from vae_helpers.widgets.axis_row import STRIP_WIDTH
from vae_helpers.widgets.axis_rows import AxisRows
from vae_helpers.widgets.axis_state import ExplorerState, History, Key, parse_state
from vae_helpers.widgets.by_hand import STARTS, DirectionMaker
from vae_helpers.widgets.explorer_data import ExplorerData
from vae_helpers.widgets.frame import Watch
from vae_helpers.widgets.latent_panel import LatentPanel
from vae_helpers.widgets.parts import LARGE, short, show
from vae_helpers.widgets.saved import SavedView, figure
from vae_helpers.widgets.starts import mean_code, random_code

_SWEEP, _STRIP = 25, 9  # frames of a saved animation, and of a saved strip


class LatentExplorer(LatentPanel):
    """Start from a picture, one's own photo, the mean picture or a random code, and move along axes; it follows live.

    `kind.value` says which axes are shown, the first `count.value` of `axes[kind.value]`; by default attributes where
    any can be trusted, else components where there are training codes, else latents, strongest first. `sliders`,
    `values` and `choices` are the controls of the kind shown, by axis. `code` (latent_dim,) and `picture` (H, W, 3) are
    what is on the screen. `axes` may be given, `{kind: axes}` with kinds as in `KINDS`, in place of those that can be
    made of the data. InputError where the data has no summary.
    """

    stages = ("gallery", "rows", "state", "start", "live", "marks", "strips", "ranges", "saved")

    def __init__(
        self,
        data: ExplorerData,
        axes: Mapping[str, Sequence[Axis]] | None = None,
        sliders: int = 8,
        page_size: int = 12,
        device: str | torch.device = "cpu",
        folder: Path | str | None = None,
    ):
        super().__init__(data, device, folder)
        self.add_class("vae-latents")
        if data.summary is None:
            raise InputError("a latent explorer needs to know which latents are active: give a summary.")
        if sliders < 1:
            raise InputError(f"a latent explorer with {sliders} sliders moves nothing: ask for at least 1.")
        self._decoder = frozen_decoder(self._model)
        self._rows = AxisRows(self, axes_of(data) if axes is None else axes)
        self.maker = DirectionMaker(self, self._directions_changed)
        self._given_directions = self.axes[BY_HAND]
        self._rows.set_axes(BY_HAND, [*self._given_directions, *self.maker.axes])
        self._start_kind, self._pasted, self._written, self._history = "picture", {}, "", History()
        self._counts, self._first_count, self._shown_kind = {}, sliders, ""
        self.picture = self.reconstruction = None
        kinds = [kind for kind in KINDS if self.axes[kind] or kind == BY_HAND]
        self.make_controls(kinds, default_kind(self.axes), page_size)
        self._swept = self._shown_keys()[0] if self.axes[self.kind.value] else None
        self._widgets = self.lay_out()
        self._connect()
        with self.hold():
            self._stale.update(("gallery", "rows"))

    def __repr__(self) -> str:
        return f"LatentExplorer of {len(self.pictures)} pictures: {self.state.value}"

    @property
    def axes(self) -> dict[str, list[Axis]]:
        """All that can be moved, by kind."""
        return self._rows.axes

    @property
    def code(self) -> Tensor:
        """The code on the screen, (latent_dim,): a copy, which a cell may change or take gradients through."""
        return torch.tensor(self._code)

    @property
    def axis_names(self) -> list[str]:
        """The names of the axes that are shown, from top to bottom."""
        return [axis.name for axis in self.axes[self.kind.value][: self.count.value]]

    @property
    def sliders(self) -> dict[str, widgets.IntSlider]:
        """The sliders of this kind that were ever shown, by axis."""
        return self._rows.controls(self.kind.value, "slider")

    @property
    def values(self) -> dict[str, widgets.BoundedFloatText]:
        """The typed values of this kind that were ever shown, by axis."""
        return self._rows.controls(self.kind.value, "typed")

    @property
    def choices(self) -> dict[str, widgets.ToggleButtons]:
        """The buttons of this kind that were ever shown, by axis: those of categories."""
        return self._rows.controls(self.kind.value, "buttons")

    def _shown_keys(self) -> list[Key]:
        return [(self.kind.value, name) for name in self.axis_names]

    def _connect(self) -> None:
        self.start.observe(lambda _: self._restart("picture"), "value")
        self.act_on(self.to_picture, lambda: self._restart("picture"))
        self.act_on(self.to_mean, lambda: self._restart("mean"))
        self.act_on(self.to_random, lambda: _next(self.start_seed))
        self.start_seed.observe(lambda _: self._restart("random"), "value")
        self.temperature.observe(lambda _: self._restart("random"), "value")
        self.act_on(self.undo, lambda: self._recall(self._history.back()))
        self.act_on(self.redo, lambda: self._recall(self._history.forward()))
        self.act_on(self.random_values, lambda: _next(self.seed))
        self.seed.observe(lambda _: self._set_random_values(), "value")
        self.act_on(self.refine, lambda: self._refine(self.refine_steps.value))
        self.redraw_on(self.count, "rows")
        self.redraw_on(self.kind, "rows")
        self.redraw_on(self.state, "state")
        self.keep_sound.observe(lambda _: self._lay_ranges_again(), "value")

    def _restart(self, start: str) -> None:
        self._start_kind = start
        self.redraw("start")

    def _lay_ranges_again(self) -> None:
        self._pasted = self._rows.moved()
        self.redraw("start")

    def _clicked(self, index: int) -> None:
        if self.kind.value == BY_HAND and self.maker.click.value != STARTS:
            self.maker.mark(index)
            self.redraw("marks")
        else:
            self.start.value = index

    def _directions_changed(self) -> None:
        self._rows.set_axes(BY_HAND, [*self._given_directions, *self.maker.axes])
        self._counts[BY_HAND], self._shown_kind = max(1, len(self.axes[BY_HAND])), ""
        self.redraw("rows")

    def _set_random_values(self) -> None:
        """Shown axes at random values, which hang on the seed alone."""
        with self.hold():
            values = random_values(self.axes[self.kind.value], self.data.chart, self.seed.value)
            for key in self._shown_keys():
                self._rows.row(key).go_to(values[key[1]])

    def _recall(self, state: ExplorerState) -> None:
        """Show a state again, as far as there still are its axes."""
        places = {(kind, axis.name): i for kind, axes in self.axes.items() for i, axis in enumerate(axes)}
        moved = {key: value for key, value in state.moved.items() if key in places}
        kinds = {kind for kind, _ in moved}
        if kinds and self.kind.value not in kinds:
            self.kind.value = next(kind for kind in KINDS if kind in kinds)
        kind = self.kind.value
        needed = max((1 + places[key] for key in moved if key[0] == kind), default=1)
        if kind == self._shown_kind:
            self.count.value = max(self.count.value, needed)
        self._counts[kind] = max(self._counts.get(kind, self._first_count), needed)
        self.start.value = state.picture
        if state.refined != self._refined.get(state.picture, 0) and state.start == "picture":
            if (state.picture, state.refined) not in self._better:
                self._look_for(state.picture, state.refined, lambda *_: None)
            self._take_refined(state.picture, state.refined)
        self.start_seed.value, self.temperature.value = state.seed, state.temperature
        self._pasted = moved
        self._restart(state.start)

    def _draw_gallery(self) -> None:
        self.gallery.draw()

    def _draw_rows(self) -> None:
        kind = self.kind.value
        most = max(1, len(self.axes[kind]))
        if kind != self._shown_kind:
            self.count.max = max(most, self.count.value)
            self.count.value = min(self._counts.get(kind, self._first_count), most)
            self.count.max, self._shown_kind = most, kind
        self._counts[kind] = self.count.value
        self.panel.children = [self._rows.row(key).box for key in self._shown_keys()]
        self.maker.layout.display = "" if kind == BY_HAND else "none"
        self.arrange(*self._widgets)
        self._pasted = self._pasted or self._rows.moved()
        self._stale.update(("start", "marks"))

    def _draw_start(self) -> None:
        """Show the picture and the code that it starts from, and set every control to that, or to a pasted value."""
        pasted, self._pasted = self._pasted, {}
        own = self._picture_code()
        self._base = {
            "picture": lambda: own,
            "mean": lambda: mean_code(self.data),
            "random": lambda: random_code(self.data, self.start_seed.value, self.temperature.value),
        }[self._start_kind]()
        self._begun, self._begun_verdict = decode_codes(self._decoder, self._base[None])[0], None
        self._show_originals(own)
        self._rows.begin(self._base, pasted, self.keep_sound.value)
        self._stale.update(("live", "marks", "strips", "ranges", "saved"))

    def _draw_live(self) -> None:
        """Decode one code. A value that still shows its rounded start stands for the exact one."""
        moved = self._rows.moved()
        code = self._rows.code()
        # One code alone takes half as long as the chunk that `decode_codes` would make of it.
        self.picture = to_uint8(self._decoder(code[None].to(self.device)))[0] if moved else self._begun
        show(self.live, self.picture)
        self._code = code.tolist()
        self._remember(moved)
        self._show_meter(code)
        self._say_where(len(moved))

    def _remember(self, moved: dict[Key, float | str]) -> None:
        """Write the state, and keep the one before for Undo."""
        index, kind = self.start.value, self._start_kind
        state = ExplorerState(index, kind, moved=moved)
        if kind == "random":
            state = state._replace(seed=self.start_seed.value, temperature=self.temperature.value)
        if kind == "picture":
            state = state._replace(refined=self._refined.get(index, 0))
        self._written = self.state.value = state.as_text()
        self._swept = self._history.note(state) or self._swept

    def _draw_marks(self) -> None:
        marks: dict = {"Start": self.start.value}
        if self.kind.value == BY_HAND:
            marks |= self.maker.marks
            self.maker.draw(self._base, self._decoder)
        self.gallery.mark(marks)

    def _draw_strips(self) -> None:
        self._strips = self._rows.show_strips(self._decoder, self._shown_keys())

    def _draw_ranges(self) -> None:
        """End the ranges where frames break. Only an axis whose strip holds a broken frame is looked at closely."""
        if self._soundness is None or not self.keep_sound.value or self._begun_verdict.level[0] == BROKEN:
            return
        base, strips = self._rows.base, {key: self._strips[key] for key in self._rows.unchecked(self._shown_keys())}

        def look(watch: Watch) -> dict[Key, object]:
            return self._rows.find_limits(base, strips, partial(self._are_sound, watch))

        if strips:
            self.compute("ranges", "", look, lambda limits: self._limit(base, limits))

    def _are_sound(self, watch: Watch, frames: np.ndarray | Tensor) -> np.ndarray:
        """Of frames uint8 (n, H, W, 3), or of codes (n, latent_dim)."""
        watch()
        decoded = decode_codes(self._decoder, frames) if isinstance(frames, Tensor) else frames
        return self._soundness.judge(decoded).level < BROKEN

    def _limit(self, base: Tensor, limits: Mapping[Key, object]) -> None:
        if not torch.equal(base, self._rows.base):
            return  # another start came meanwhile, and asks for its own
        for key, found in limits.items():
            self._rows.limit(key, found)
        self._rows.show_strips(self._decoder, [key for key, found in limits.items() if found is not None])
        self._say_where(len(self._rows.moved()))

    def saved_view(self) -> SavedView | None:
        """What each slider that is shown does to the start, and the live picture as a still."""
        if self.picture is None:
            return None
        rows = [figure(self._rows.row(key).strip.value, key[1], STRIP_WIDTH) for key in self._shown_keys()]
        return SavedView("".join([figure(self.live.value, "Live", LARGE), *rows]), self.live.value)

    def _draw_state(self) -> None:
        """Follow a state that someone typed or pasted."""
        if self.state.value != self._written:
            self._recall(parse_state(self.state.value, self.start.max + 1, self.axes))

    def _save(self, ending: str, scale: int = 1) -> Path:
        """Sweep the axis that was moved last, from one end to the other, all else as on the screen."""
        if self._swept not in self._rows:
            raise InputError("there is nothing to sweep: move a slider first.")
        name = printable(self._swept[1])
        values, codes = self._rows.sweep(self._swept, _STRIP if ending == ".png" else _SWEEP)
        told = [value if isinstance(value, str) else f"{value:.3g}" for value in values]
        stem = re.sub(r"[^\w-]+", "_", name)[:40]
        return save_frames(
            enlarged(decode_codes(self._decoder, codes), scale),
            self.new_file(f"sweep_{self.start.value}_{stem}{ending}"),
            title=f"{name} of {short(self.names[self.start.value])}",
            captions=[f"{name} = {value}" for value in told],
        )


def _next(seed: widgets.BoundedIntText) -> None:
    seed.value = (seed.value + 1) % seed.max
