"""Finds: codes with a name, kept from one explorer and taken up in another, or on another day."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import ipywidgets as widgets
import torch
from torch import Tensor

from vae_helpers.errors import InputError, printable
from vae_helpers.latent import Find, decode_codes, keep_find, list_finds, remove_find
from vae_helpers.widgets.frame import Explorer
from vae_helpers.widgets.parts import button, describe

_rows: weakref.WeakSet[FindsRow] = weakref.WeakSet()  # those of one run show the same finds


class FindsRow(widgets.HBox):
    """Keeps the code on the screen under a name, lists what was kept, and gives it to `take(index)` as a picture.

    `code()` is the code on the screen. Finds are kept in the data's folder `directions`, or else as long as its model
    lives; those of other weights are not listed. `verb` says what `take` does.
    """

    def __init__(self, explorer: Explorer, code: Callable[[], Tensor], take: Callable[[int], None], verb: str):
        layout = widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="8px")
        super().__init__(layout=layout)
        self._explorer, self._code, self._take = explorer, code, take
        self._places: dict[str, int] = {}  # by name, the number of the picture that it was taken as
        self.name = widgets.Text(placeholder="name what is shown", layout=widgets.Layout(width="180px"))
        describe(self.name, "name of the find")
        self.keep, self.remove = button("Keep", 64), button("Remove", 76)
        self.which = widgets.Dropdown(options=[], layout=widgets.Layout(width="180px"))
        describe(self.which, "finds that were kept")
        self.show = button(verb, 116)
        self._kept = [self.which, self.show, self.remove]
        explorer.act_on(self.keep, self._keep)
        explorer.act_on(self.show, self._show)
        explorer.act_on(self.remove, self._remove)
        self.refresh()
        _rows.add(self)

    @property
    def finds(self) -> list[Find]:
        """All finds of these weights, oldest first. InputError for a damaged file."""
        return [find for find in self._all() if self._fits(find)]

    def _all(self) -> list[Find]:
        data = self._explorer.data
        return data.finds if data.directions is None else list_finds(data.directions)

    def _fits(self, find: Find) -> bool:
        data = self._explorer.data
        others = find.weights and data.stamp and find.weights != data.stamp
        return len(find.code) == data.model.config.latent_dim and not others

    def refresh(self) -> None:
        """List what is kept now; in words where it cannot be read."""
        self.trouble = ""
        try:
            names = [find.name for find in self.finds]
            others = [find.name for find in self._all() if not self._fits(find)]
            self.trouble = f"Of other weights, so left out: {', '.join(others)}." if others else ""
        except InputError as problem:
            names, self.trouble = [], str(problem)
        chosen = self.which.value
        self.which.options = [(printable(name), name) for name in names]
        self.which.value = chosen if chosen in names else names[-1] if names else None
        kept = self._kept if names else []
        trouble = [widgets.Label(printable(self.trouble))] if self.trouble else []
        self.children = [widgets.Label("Find"), self.name, self.keep, *kept, *trouble]

    def _keep(self) -> None:
        data, name = self._explorer.data, self.name.value.strip()
        find = Find(name, torch.as_tensor(self._code()).detach().cpu().float(), data.stamp)
        if data.directions is not None:
            keep_find(data.directions, find)
        elif not name or any(other.name == name for other in data.finds):
            raise InputError(f"{name!r} cannot name a find: give another name, which none has yet.")
        else:
            data.finds.append(find)
        self.name.value = ""
        self._tell_all()
        self.which.value = name
        self._explorer.say(f"Kept {printable(name)!r}: explorers of this run list it.")

    def _show(self) -> None:
        """Take it up as a picture, whose code is the find's own."""
        find = self._chosen()
        place = self._places.get(find.name)
        if place is None or not torch.equal(self._explorer.codes([place])[0], find.code):
            pixels = decode_codes(self._explorer.decoder, find.code[None])[0]
            place = self._places[find.name] = self._explorer.add_photo(find.name, pixels, find.code)
        self._take(place)

    def _remove(self) -> None:
        find, data = self._chosen(), self._explorer.data
        if data.directions is not None:
            remove_find(data.directions, find.name)
        else:
            data.finds[:] = [other for other in data.finds if other.name != find.name]
        self._tell_all()

    def _chosen(self) -> Find:
        found = next((find for find in self.finds if find.name == self.which.value), None)
        if found is None:
            self._tell_all()
            raise InputError("that find is not there any more: choose one that is listed.")
        return found

    def _tell_all(self) -> None:
        own = self._explorer.data
        for other in list(_rows):
            data = other._explorer.data
            same = data.finds is own.finds if own.directions is None else data.directions == own.directions
            if same and other.which.comm is not None:
                other.refresh()
