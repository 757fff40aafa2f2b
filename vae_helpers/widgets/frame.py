"""The frame of every explorer: a private model, one lock for all callbacks, and a status line.

Callbacks run on another thread than the cells (ipykernel 7). There Output, pyplot and print lose or mix up what they
show, and torch's modes are those of that thread; so a callback only sets traits, under the lock and modes given here.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import html
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError, is_full, printable, reason
from vae_helpers.latent import encode_pictures, reconstruct
from vae_helpers.model import BetaVAE, in_float32, psnr_of
from vae_helpers.runs import Run
from vae_helpers.widgets.cells import ShownInCells, control_was_moved, inside
from vae_helpers.widgets.explorer_data import ExplorerData

Result = TypeVar("Result")
Watch: TypeAlias = Callable[..., None]
_STRANGE = (
    "{} comes back at {:.1f} dB, where 95 % of the set's pictures come back at {:.1f} dB or better: this model does "
    "not know such pictures, and paints what it knows."
)
_AHEAD = 32  # encoding one picture costs as much as this many (a chunk in latent.py), so neighbours come along


class Overtaken(Exception):
    """The browser has asked for something else meanwhile."""


class Explorer(ShownInCells):
    """A box of controls around a frozen private copy of a model; what goes wrong in a callback shows in `status`.

    The copy lives on `device` in eval mode, so a cell that trains the model can't disturb it, nor it the cell.
    `folder` is where its saved files go. Raises InputError where the parts of `data` do not fit.
    """

    stages: tuple[str, ...] = ()  # what can become stale, in drawing order; `_draw_<stage>` draws it

    def __init__(self, data: ExplorerData, device: str | torch.device = "cpu", folder: Path | str | None = None):
        super().__init__(layout=widgets.Layout(width="100%", max_width="960px"))
        self.add_class("vae-explorer")
        data.require_fitting()
        self.data, self.pictures = data, data.pictures
        self.names = [printable(str(name)) for name in data.names]  # and of one's own photos, as they come
        self._own_photos: list[np.ndarray] = []
        self.device = torch.device(device)
        self.folder = Run("explorer").plots if folder is None else Path(folder)
        self._model = frozen_copy(data.model, self.device)
        self._soundness = None if data.soundness is None else data.soundness.of(self._model)
        self._guard = threading.RLock()
        self._depth, self._stale, self._codes = 0, set(), {}
        self._photo_notes: dict[int, str] = {}
        self._wishes: Counter[str] = Counter()  # how often each slow thing was asked for
        self._threads: list[threading.Thread] = []
        self._working = threading.Lock()  # one at a time: two would both be slower
        self.status = widgets.HTML()
        self.stay()

    def arrange(self, *children: widgets.Widget) -> None:
        """Show these, from top to bottom, and let their controls answer while a cell runs."""
        self.children = children
        answer_beside_cells(self)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Set several controls and draw once, at the end. Every callback runs in here, one thread at a time."""
        with self._guard:
            self._depth += 1
            try:
                yield
                if self._depth == 1:
                    self._draw()
            finally:
                self._depth -= 1

    def redraw_on(self, control: widgets.Widget, *stages: str) -> None:
        """Draw these stages again whenever the control's value changes."""
        control.observe(lambda _: self.redraw(*stages), "value")

    def redraw(self, *stages: str) -> None:
        """Draw these stages again, at once or at the end of the `hold` around."""
        with self.hold():
            self._stale.update(stages)

    def act_on(self, button: widgets.Button, action: Callable[[], None]) -> None:
        """Run `action` when the button is pressed, and draw once what it made stale."""

        def pressed(_):
            with self.hold():
                self.attempt(action)

        button.on_click(pressed)

    def compute(self, wish: str, what: str, work: Callable[[Watch], Result], apply: Callable[[Result], None]) -> None:
        """Do slow `work`, and `apply` what it gives, unless the same `wish` was asked for again meanwhile.

        For a cell or a script it is done at once. A control in the browser is answered before: the status says that
        `what` is being computed, unless it is empty, and the work goes on in a thread, so that the next move of a
        control is heard and the newest wish wins. `work` gets a function to call now and then, which ends work that is
        no longer wanted and may say how far it has come; it may not touch widgets, which `apply` may, under the lock.
        """
        self._wishes[wish] += 1
        mine = self._wishes[wish]

        def watch(progress: str = "") -> None:
            if self._wishes[wish] != mine or self._model is None:
                raise Overtaken
            if progress:
                self.say(progress)

        if not control_was_moved():
            self.remove_class("vae-computing")  # what a control had asked for is overtaken
            return apply(work(watch))
        if what:
            self.say(f"Computing {what} …")
            self.add_class("vae-computing")
        task = partial(self._compute_apart, watch, work, apply)
        thread = threading.Thread(target=contextvars.copy_context().run, args=(task,), daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def settle(self) -> None:
        """Wait until nothing is being computed any more."""
        while alive := [each for each in self._threads if each.is_alive()]:
            alive[0].join()

    def _compute_apart(self, watch: Watch, work: Callable[[Watch], Result], apply: Callable[[Result], None]) -> None:
        with contextlib.suppress(Overtaken):
            try:
                with self._working:
                    watch()
                    with torch.inference_mode(), in_float32(self.device):
                        result = work(watch)
                with self.hold():
                    watch()
                    self.remove_class("vae-computing")
                    self.attempt(lambda: apply(result))
            except Overtaken:
                raise
            except Exception as problem:
                watch()
                self.remove_class("vae-computing")
                self.say(_in_words(problem), error=True)

    def say(self, sentence: str, error: bool = False) -> None:
        """Put a sentence into the status line."""
        self.status.value = (
            f'<div class="vae-status{" vae-error" * error}" role="status">{html.escape(printable(sentence))}</div>'
        )

    def new_file(self, name: str) -> Path:
        """Where to save under this name, or with a number added where a file of that name is kept already."""
        place, number = self.folder / name, 2
        while os.path.lexists(place):
            place, number = self.folder / f"{Path(name).stem}_{number}{Path(name).suffix}", number + 1
        return place

    @property
    def total(self) -> int:
        """How many pictures there are, one's own photos among them."""
        return len(self.pictures) + len(self._own_photos)

    def picture_of(self, index: int) -> np.ndarray:
        """The picture with this index, uint8 (H, W, 3); one's own photos come after the others."""
        known = len(self.pictures)
        return self.pictures[index] if index < known else self._own_photos[index - known]

    def add_photo(self, name: str, pixels: np.ndarray, code: Tensor | None = None) -> int:
        """Take one's own photo, uint8 (H, W, 3), among the pictures, or what a code shows; gives its index."""
        self._own_photos.append(pixels)
        self.names.append(printable(name))
        if code is not None:
            self._codes[self.total - 1], self._photo_notes[self.total - 1] = code, ""
        return self.total - 1

    @property
    def decoder(self) -> torch.nn.Module:
        """What makes pictures of codes."""
        return self._model.decoder

    def photo_note(self, index: int) -> str:
        """What to know of one's own photo that comes back worse than 95 % of the pictures do; else empty."""
        if index < len(self.pictures):
            return ""
        if index not in self._photo_notes:
            some = np.concatenate([self.picture_of(index)[None], self.pictures[:_AHEAD]])
            quality, *usual = psnr_of(reconstruct(self._model, some), some)
            least = float(np.quantile(usual, 0.05))
            self._photo_notes[index] = "" if quality >= least else _STRANGE.format(self.names[index], quality, least)
        return self._photo_notes[index]

    def codes(self, indices: Sequence[int], likely: Sequence[int] = ()) -> Tensor:
        """μ of the pictures with these indices, (len(indices), latent_dim); each is encoded once.

        When some must be encoded, `likely` next ones fill up the chunk, which takes no longer.
        """
        if not set(indices) <= self._codes.keys():
            missing = [i for i in dict.fromkeys([*indices, *likely]) if i not in self._codes][:_AHEAD]
            mu, _ = encode_pictures(self._model, np.stack([self.picture_of(i) for i in missing]))
            self._codes.update(zip(missing, mu))
        return torch.stack([self._codes[i] for i in indices])

    def _draw(self) -> None:
        while self._stale:
            stage = next(s for s in self.stages if s in self._stale)
            self._stale.discard(stage)
            self.attempt(getattr(self, f"_draw_{stage}"))

    def _draw_saved(self) -> None:
        self.update_saved_view()

    def close(self) -> None:
        """Take it off the page, with all its widgets, and let its copy of the model go; `frames` and the like stay."""
        if "_guard" not in vars(self):
            return super().close()  # refused before it was made: the garbage collector asks
        with self._guard:
            for widget in inside(self):
                widgets.Widget.close(widget)
            for name, value in list(vars(self).items()):
                if isinstance(value, torch.nn.Module):
                    setattr(self, name, None)
            self._codes, self._soundness = {}, None

    def attempt(self, action: Callable[[], None]) -> None:
        """Run it apart from this thread's grad and autocast modes; what goes wrong becomes the status line.

        An exception in a callback would reach nobody's eyes. Nothing is run for an explorer that was closed.
        """
        if self._model is None:
            return
        try:
            with torch.inference_mode(), in_float32(self.device):
                action()
        except Exception as problem:
            self.say(_in_words(problem), error=True)


def _in_words(problem: Exception) -> str:
    """What somebody at the controls can read and act on; what nobody foresaw keeps its name, to be reported."""
    if isinstance(problem, InputError):
        return str(problem)
    if isinstance(problem, MemoryError) or "out of memory" in str(problem) or "can't allocate memory" in str(problem):
        what = "memory is full: close other explorers and notebooks, or ask for fewer steps or smaller pictures"
    elif isinstance(problem, OSError):
        step = "free some space" if is_full(problem) else "try another file or folder"
        what = f"{problem.filename or 'a file'} cannot be used, because {reason(problem)}: {step}"
    elif isinstance(problem, UnicodeError):
        what = f"a name cannot be used, because {reason(problem)}: try another file or folder"
    elif isinstance(problem, (OverflowError, FloatingPointError, ZeroDivisionError)):
        what = f"a number is beyond what can be computed with ({problem}): try one nearer to 0"
    else:
        what = f"{type(problem).__name__}: {problem}"
    return f"{what}. The pictures below may be those from before."


def frozen_copy(model: BetaVAE, device: torch.device) -> BetaVAE:
    """A copy for looking at pictures: float32, eval mode, out of reach of whoever trains the model."""
    return copy.deepcopy(model).set_half(None).to(device).eval().requires_grad_(False)


def answer_beside_cells(widget: widgets.Widget) -> None:
    """Let the browser say which thread a message to this widget, or one inside it, is for.

    JupyterLab asks for one beside the cells. But ipykernel 7.4 takes the thread that last wrote to the widget, which is
    the cells' own for what a cell made: the first touch would wait until the training above it ends.
    """
    if widget.comm is not None:
        widget.comm._reply_subshell_for = lambda data, asked: asked
    for child in getattr(widget, "children", ()):
        answer_beside_cells(child)
