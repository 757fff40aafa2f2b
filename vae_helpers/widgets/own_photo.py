"""One's own photo for an explorer: uploaded, or from a file or folder on the kernel's machine."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from vae_helpers.data import find_folder, find_pictures, read_picture
from vae_helpers.errors import InputError, printable
from vae_helpers.widgets.frame import Explorer, answer_beside_cells
from vae_helpers.widgets.parts import button, describe

_NOTE = (
    "Uploads work up to about 10 MB, the most that Jupyter takes in one message. Type the path of a larger photo "
    "and press Enter; it is looked for where the kernel runs."
)
_LET_VALUE_COME = 0.3  # seconds: the browser reports Enter just before the text that was typed


class _Upload(widgets.FileUpload):
    """A FileUpload that hears when a browser asks for its whole state: the page was loaded anew, or connected again.

    A file above the server's limit for a message (tornado's `websocket_max_message_size`, 10 MiB) ends the connection.
    The kernel never hears of the file, and the browser's part of the control waits for its answer for ever.
    """

    asked_again: Callable[[], None] | None = None

    def get_state(self, key=None, drop_defaults=False):
        if key is None and self.asked_again is not None:
            self.asked_again()
        return super().get_state(key, drop_defaults)


class OwnPhoto(widgets.VBox):
    """An upload button, and a file or folder to open; `take(name, picture)` gets uint8 (H, W, 3) at the model's size.

    A folder gives its next picture at each press of Open or Enter, new ones included. An upload goes to a temporary
    file and is taken out of the widget at once, so that it doesn't stay in a saved notebook. Where the connection was
    lost `upload` is a new one.
    """

    def __init__(self, explorer: Explorer, size: int, take: Callable[[str, np.ndarray], None]):
        super().__init__(layout=widgets.Layout(flex="1 1 470px"))
        self._explorer, self._size, self._take, self._next = explorer, size, take, 0
        self._entered, self._renewing = False, False
        self.place = widgets.Text(
            placeholder="or the path of a file or folder", continuous_update=False, layout=widgets.Layout(width="260px")
        )
        describe(self.place, "path of a photo or of a folder of photos")
        self.opener = button("Open", 72)
        self._row = widgets.HBox(layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="4px"))
        self.children = [self._row, widgets.HTML(f'<div class="vae-note">{_NOTE}</div>')]
        self.upload = self._new_upload()
        self.place.observe(lambda _: self._place_changed(), "value")
        self.place.on_msg(lambda _, content, buffers: self._place_entered(content))
        explorer.act_on(self.opener, self._open_place)

    def _new_upload(self) -> _Upload:
        upload = _Upload(accept="image/*", multiple=False, layout=widgets.Layout(width="112px"))
        upload.observe(lambda _: self._uploaded(upload), "value")
        upload.asked_again = self._renew_soon
        self._row.children = [upload, self.place, self.opener]
        return upload

    def _renew_soon(self) -> None:
        """Put a new upload button in place once the browser has its answer: a new widget would be in its way."""
        if not self._renewing:
            self._renewing = True
            _soon(0, self._renew)

    def _renew(self) -> None:
        with self._explorer.hold():
            self._renewing = False
            if self.upload.comm is None:
                return  # the explorer was closed
            old, self.upload = self.upload, self._new_upload()
            answer_beside_cells(self.upload)
            old.asked_again = None
            old.close()
            self._explorer.say(
                "The page has connected again. If an upload came to nothing, the file was too large: type its path."
            )

    def _uploaded(self, upload: _Upload) -> None:
        files = upload.value
        if not files:
            return  # it was emptied below
        # ipywidgets 7 has {name: {"content": …}}, 8 a tuple of {"name": …, "content": …}.
        name, content = (
            next((name, file["content"]) for name, file in files.items())
            if isinstance(files, dict)
            else (files[0]["name"], files[0]["content"])
        )
        with self._explorer.hold():
            self._explorer.attempt(lambda: self._take_upload(Path(name).name, bytes(content)))
            if isinstance(files, dict):
                upload.data, upload.metadata = [], []
                upload.set_trait("value", {})
            else:
                upload.value = ()

    def _take_upload(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "photo"  # its own name may be none that a file can have
            file.write_bytes(content)
            try:
                picture = read_picture(file, self._size)
            except InputError as problem:
                raise InputError(str(problem).replace(str(file), printable(name) or "that was uploaded")) from None
        self._take(name, picture)

    def _place_changed(self) -> None:
        self._next = 0
        if self._entered:
            self._open_entered()

    def _place_entered(self, content: object) -> None:
        """Enter was pressed: open what was typed, or the next of the folder that stands there already."""
        if isinstance(content, dict) and content.get("event") == "submit":
            self._entered = True
            _soon(_LET_VALUE_COME, self._open_entered)

    def _open_entered(self) -> None:
        if self._entered:
            self._entered = False
            with self._explorer.hold():
                self._explorer.attempt(self._open_place)

    def _open_place(self) -> None:
        place = self.place.value.strip()
        if not place:
            raise InputError("type the path of a photo, or of a folder of photos, before you press Open.")
        file = find_folder(place)
        if not os.path.lexists(file):
            raise InputError(
                f"there is no file or folder {printable(str(place))}: check its name; it is looked for on the kernel's "
                f"machine, below {printable(os.getcwd())} or by its whole path."
            )
        if not os.path.isfile(file):
            folder = file
            files = find_pictures(folder)
            file = folder / files[self._next % len(files)].name
            self._next += 1
        self._take(file.name, read_picture(file, self._size))


def _soon(seconds: float, action: Callable[[], None]) -> None:
    """Call it after the message that is being answered; at once where no messages come, outside of notebooks."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        action()
    else:
        loop.call_later(seconds, action)
