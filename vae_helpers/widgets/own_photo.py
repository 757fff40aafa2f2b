"""One's own photo for an explorer: uploaded, or from a file or folder on the kernel's machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from vae_helpers.data import find_folder, find_pictures, read_picture
from vae_helpers.errors import InputError, printable
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import button


class OwnPhoto(widgets.HBox):
    """An upload button, and a file or folder to open; `take(name, picture)` gets uint8 (H, W, 3) at the model's size.

    A folder gives its next picture at each press, new ones included. An upload goes to a temporary file and is taken
    out of the widget at once, so that it doesn't stay in a saved notebook.
    """

    def __init__(self, explorer: Explorer, size: int, take: Callable[[str, np.ndarray], None]):
        self.upload = widgets.FileUpload(accept="image/*", multiple=False, layout=widgets.Layout(width="112px"))
        self.place = widgets.Text(
            placeholder="or a file or folder", continuous_update=False, layout=widgets.Layout(width="260px")
        )
        self.opener = button("Open", 72)
        super().__init__(
            [self.upload, self.place, self.opener],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="4px"),
        )
        self._explorer, self._size, self._take, self._next = explorer, size, take, 0
        self.upload.observe(lambda _: self._uploaded(), "value")
        self.place.observe(lambda _: setattr(self, "_next", 0), "value")
        explorer.act_on(self.opener, self._open_place)

    def _uploaded(self) -> None:
        files = self.upload.value
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
                self.upload.data, self.upload.metadata = [], []
                self.upload.set_trait("value", {})
            else:
                self.upload.value = ()

    def _take_upload(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "photo"  # its own name may be none that a file can have
            file.write_bytes(content)
            try:
                picture = read_picture(file, self._size)
            except InputError as problem:
                raise InputError(str(problem).replace(str(file), printable(name) or "that was uploaded")) from None
        self._take(name, picture)

    def _open_place(self) -> None:
        place = self.place.value.strip()
        if not place:
            raise InputError("type the path of a photo, or of a folder of photos, before you press Open.")
        file = find_folder(place)
        if not os.path.isfile(file):
            folder = file
            files = find_pictures(folder)
            file = folder / files[self._next % len(files)].name
            self._next += 1
        self._take(file.name, read_picture(file, self._size))
