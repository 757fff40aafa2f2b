"""One pair under several runs, side by side, with the runs' places on the rate-distortion curve."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.files import say
from vae_helpers.latent import PathContext, encode_pictures, picture_length, summarise, walk
from vae_helpers.model import BetaVAE
from vae_helpers.runs import comparable_runs, describe, load_run
from vae_helpers.show import embedded, enlarged, save_frames, scrubber_html
from vae_helpers.widgets.explorer_data import ExplorerData
from vae_helpers.widgets.frame import Watch, frozen_copy
from vae_helpers.widgets.pair_picker import SAME_PICTURE, PairPicker
from vae_helpers.widgets.parts import (
    caption_text,
    captioned,
    choice,
    picture,
    row,
    show,
    show_strip,
    slider_and_number,
    strip,
    style_sheet,
    title,
)
from vae_helpers.widgets.save_row import SaveRow
from vae_helpers.widgets.saved import SavedView
from vae_helpers.widgets.walked import Wish

_VIEW, _STRIP_WIDTH, _MOST, _PAGE = 200, 640, 6, 12
_FILM = 240  # CSS pixels of a run in the saved view
_ABREAST = 3  # runs whose pictures shrink to stay beside each other; more wrap
_SHOWN_SCORES = ("kl", "reconstruction", "psnr")
_WITH_THIS_BETA = ("beta", "ada", "middle")  # objectives that weigh the KL alone, pictures one by one or in groups
_ENOUGH = 64  # pictures that tell which latents are active
_COLOURS = ("#2f80d0", "#dd7a1e", "#4c8c6b", "#8e5ea2", "#7f6a55", "#c8553d")


class DialRun(NamedTuple):
    """A trained run with its held-out scores: rate (the KL) and distortion (reconstruction loss), nats a picture."""

    name: str
    beta: float
    model: BetaVAE
    rate: float
    distortion: float
    psnr: float


def runs_on(pictures: PictureSet, out: Path | str = "VAE", device: str | torch.device = "cpu") -> list[DialRun]:
    """The runs below `out` that were trained on these pictures, by β, the shipped ones included where they fit.

    The same pictures are known by their contents (`runs.same_set`), however many of them a run asked for. Runs that
    cannot be used are left out and named, those for pictures of another size too, whose nats cannot be compared; so
    are, unnamed, runs with an objective or likelihood whose nats and β are not those of this curve, and weights without
    scores.
    """
    found, size = [], pictures.pictures.shape[1]
    for run, about in comparable_runs(describe(pictures), out):
        scores, settings = about.get("scores"), about.get("train_config", {})
        usual = (settings.get("likelihood", "gaussian"), settings.get("scale")) == ("gaussian", None)
        usual = usual and settings.get("objective", "beta") in _WITH_THIS_BETA
        if not usual or not scores or not set(_SHOWN_SCORES) <= set(scores):
            continue
        if about["config"]["image_size"] != size:
            say(
                f"The run {run.name!r} is left out: it takes these pictures at {about['config']['image_size']} pixels, "
                f"and nats a picture can be compared at one size only, here {size}."
            )
            continue
        try:
            model, _ = load_run(run, device)
        except InputError as problem:
            say(f"The run {run.name!r} is left out: {problem}")
            continue
        found.append(DialRun(run.name, settings["beta"], model, *(scores[key] for key in _SHOWN_SCORES)))
    return sorted(found, key=lambda run: (run.beta, run.name))


class BetaDial(PairPicker):
    """The same two pictures under up to six runs: a column each at the dial's place on the path, a strip each, a curve.

    `frames[k]` is run k's path, uint8 (steps, H, W, 3). Raises InputError for no runs, too many, or models that take
    pictures of different sizes.
    """

    stages = ("gallery", "paths", "frame", "saved")

    def __init__(
        self,
        runs: Sequence[DialRun],
        pictures: np.ndarray,
        names: Sequence[str],
        device: str | torch.device = "cpu",
        folder: Path | str | None = None,
        pair: Sequence[int] | None = None,
    ):
        if not 0 < len(runs) <= _MOST:
            raise InputError(f"a dial of {len(runs)} runs cannot be laid out: give 1 to {_MOST}, trained on one set.")
        if len({run.model.config.image_size for run in runs}) > 1:
            raise InputError(
                "these runs take pictures of different sizes, so they cannot share a pair: choose runs of "
                "one image size."
            )
        super().__init__(ExplorerData(runs[0].model, pictures, names), _PAGE, device, folder, pair)
        self.add_class("vae-dial")
        self.runs = list(runs)
        self._models = [self._model, *(frozen_copy(run.model, self.device) for run in runs[1:])]
        self._active = [summarise(*encode_pictures(model, pictures[:_ENOUGH])).active for model in self._models]
        self.method_row, self.method = choice(PathContext().kinds, "Path", 92)
        self.steps, self.typed_steps = slider_and_number(12, 2, 24, "Steps", 240)
        self.frame, self.typed_frame = slider_and_number(5, 0, 11, "Frame", None)
        self.frame.add_class("vae-dial-frame")
        self.walked: Wish | None = None  # what the frames on the screen were asked for by
        self.frames: list[np.ndarray] = []
        self.arrange(*self._lay_out())
        for control in (self.a, self.b, self.method, self.steps):
            self.redraw_on(control, "paths")
        self.redraw_on(self.frame, "frame")
        with self.hold():
            self.gallery.turn_to(self.a.value)
            self._stale.update(("gallery", "paths"))

    def __repr__(self) -> str:
        return f"BetaDial of {len(self.runs)} runs: A = {self.a.value}, B = {self.b.value}, {self.method.value}"

    def _lay_out(self) -> list[widgets.Widget]:
        betas = [f"β = {run.beta:g}" for run in self.runs]
        self.views = [picture(f"the frame under {beta}", _VIEW, f"vae-run-{k}") for k, beta in enumerate(betas)]
        columns, self.view_captions = zip(*(captioned(view, _VIEW) for view in self.views))
        ends = self.original_boxes
        pictures = row(ends[0], *columns, ends[1], gap="8px", align="flex-start", wrap=len(self.runs) > _ABREAST)
        self.strips = [strip(f"the frames under {beta}", f"vae-run-strip-{k}") for k, beta in enumerate(betas)]
        labelled = [
            row(widgets.HTML(_run_label(run, colour), layout=widgets.Layout(width="200px")), each)
            for run, each, colour in zip(self.runs, self.strips, _COLOURS)
        ]
        curve = widgets.HTML(_curve(self.runs))
        return [
            style_sheet(self),
            title("Pick two pictures", "click a thumbnail, or Tab to it and press Enter; or type a number"),
            row(self.target_row, self.a, self.b, self.swap, gap="8px"),
            self.gallery,
            title("The same walk under every run", "the slider moves all of them"),
            row(self.method_row, self.steps, self.typed_steps, gap="8px"),
            pictures,
            row(self.frame, self.typed_frame, wrap=False),
            *labelled,
            title(
                "What each run pays, and what it gets",
                "rate: the KL, nats; distortion: reconstruction loss, nats; both a held-out picture",
            ),
            curve,
            SaveRow(self, self._save),
            self.status,
        ]

    def _draw_paths(self) -> None:
        """Show A and B at once, and every run's walk between them when all are there."""
        self.show_originals()
        wish = Wish(*self.pair, self.steps.value, self.method.value)
        self.compute(
            "paths",
            f"the paths by {wish.method}",
            lambda watch: self._walk(wish, watch),
            lambda frames: self._take_paths(wish, frames),
        )

    def _walk(self, wish: Wish, watch: Watch) -> list[np.ndarray]:
        found = []
        for model, active in zip(self._models, self._active):
            mu, _ = encode_pictures(model, self.pictures[[wish.a, wish.b]])
            context = PathContext(active, watch=watch)
            found.append(walk(model, mu[0], mu[1], wish.steps, wish.method, context).frames)
        return found

    def _take_paths(self, wish: Wish, frames: list[np.ndarray]) -> None:
        self.walked, self.frames = wish, frames
        shown = np.linspace(0, wish.steps - 1, min(wish.steps, 10)).round().astype(int)
        for each, own in zip(self.strips, frames):
            show_strip(each, own[shown], _STRIP_WIDTH)
        self.frame.max = self.typed_frame.max = wish.steps - 1
        self._stale.update(("frame", "saved"))
        lengths = ", ".join(f"{picture_length(own):.0f} (β = {run.beta:g})" for run, own in zip(self.runs, frames))
        told = f"A is {self.names[wish.a]}, B is {self.names[wish.b]}; lengths in grey levels: {lengths}."
        self.say(SAME_PICTURE if wish.a == wish.b else told)

    def close(self) -> None:
        """Take it off the page and let its copies of the models go."""
        super().close()
        self._models = []

    def _draw_frame(self) -> None:
        at = self.frame.value
        for view, caption, run, frames in zip(self.views, self.view_captions, self.runs, self.frames):
            show(view, frames[at])
            caption.value = caption_text(f"β = {run.beta:g}", run.name)

    def saved_view(self) -> SavedView | None:
        """A film of all runs beside each other, and the first one's strip as a still."""
        if not self.frames:
            return None
        betas = ", ".join(f"{run.beta:g}" for run in self.runs)
        film = scrubber_html(np.concatenate(self.frames, axis=2), title=f"β = {betas}")
        return SavedView(embedded(film, _FILM * len(self.runs), _FILM + 120), self.strips[0].value)

    def _save(self, ending: str, scale: int = 1) -> Path:
        """All runs' frames beside each other; as a strip, under each other."""
        together = np.concatenate(self.frames, axis=1 if ending == ".png" else 2)
        betas = ", ".join(f"{run.beta:g}" for run in self.runs)
        return save_frames(
            enlarged(together, scale),
            self.new_file(f"dial_{self.walked.a}_{self.walked.b}_{self.walked.method}{ending}"),
            title=f"β = {betas}",
        )


def _run_label(run: DialRun, colour: str) -> str:
    return (
        f'<div class="vae-run" style="border-color:{colour}"><b>β = {run.beta:g}</b> {html.escape(run.name)}<br>'
        f"{run.rate:.0f} nats, {run.psnr:.1f} dB</div>"
    )


def _curve(runs: Sequence[DialRun], width: int = 620, height: int = 220) -> str:
    """The runs on the rate-distortion plane, as SVG: left costs few nats, low reconstructs well."""
    rates, distortions = (np.array([getattr(run, field) for run in runs]) for field in ("rate", "distortion"))
    places = []
    for values, length in ((rates, width - 310), (distortions, height - 70)):
        span = values.max() - values.min()
        places.append((values - values.min()) / (span or 1) * length if span else np.full(len(values), length / 2))
    x, y = 70 + places[0], height - 45 - places[1]
    order = np.argsort(x)
    line = " ".join(f"{x[i]:.1f},{y[i]:.1f}" for i in order)
    dots = "".join(
        f'<circle cx="{x[i]:.1f}" cy="{y[i]:.1f}" r="6" fill="{_COLOURS[i]}"/>'
        f'<text x="{x[i] + 10:.1f}" y="{y[i] - 6:.1f}">β = {run.beta:g}: rate {run.rate:,.0f}, '
        f"distortion {run.distortion:,.0f}</text>"
        for i, run in enumerate(runs)
    )
    return (
        f'<svg class="vae-curve" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        'aria-label="rate against distortion">'
        f'<path d="M50 10V{height - 25}H{width - 10}"/><polyline points="{line}"/>{dots}'
        f'<text x="{width - 10}" y="{height - 8}" text-anchor="end">rate (KL), nats</text>'
        f'<text x="14" y="{height - 30}" transform="rotate(-90 14 {height - 30})">distortion, nats</text></svg>'
    )
