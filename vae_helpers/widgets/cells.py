"""Which notebook cells show which explorers. A cell that has run again lets go of those it showed before.

ipywidgets keeps every widget until it is closed, and a closed page in the browser closes none. An explorer holds a copy
of its model, so cells that are run again and again would fill the memory.
"""

from __future__ import annotations

import uuid
import weakref
from typing import NamedTuple

import ipywidgets as widgets
from IPython import get_ipython
from torch import nn

from vae_helpers.widgets.saved import SavedView, publish


class CellRun(NamedTuple):
    """One run of one cell."""

    cell: str
    run: str


_claims: weakref.WeakKeyDictionary[ShownInCells, dict[str, str]] = weakref.WeakKeyDictionary()  # by cell, its last run
_listening: weakref.WeakSet = weakref.WeakSet()  # to the ends of cells, of these shells


def current_run() -> CellRun | None:
    """The run of a cell in which this is called; None outside of notebooks, and where the page names no cells."""
    request = _cell_request()
    cell = request.get("metadata", {}).get("cellId")
    return CellRun(cell, request["header"]["msg_id"]) if cell else None


def _cell_request() -> dict:
    """The message that asked for the cell which runs now; empty outside of notebooks, and when a control was moved."""
    parent = getattr(get_ipython(), "get_parent", dict)()
    return parent if parent.get("header", {}).get("msg_type") == "execute_request" else {}


def control_was_moved() -> bool:
    """Whether this runs because somebody moved a control in the browser, and not by a cell or a script."""
    parent = getattr(get_ipython(), "get_parent", dict)() or {}
    return parent.get("header", {}).get("msg_type", "").startswith("comm_")


def claim(shown: ShownInCells) -> None:
    """The cell that runs now shows this."""
    now = current_run()
    if now is not None:
        _claims.setdefault(shown, {})[now.cell] = now.run
        shell = get_ipython()
        if shell not in _listening:
            shell.events.register("post_run_cell", lambda _: close_replaced())
            _listening.add(shell)


def close_replaced() -> None:
    """Close what only earlier runs of the cell that has just run have shown."""
    now = current_run()
    for shown, cells in list(_claims.items()) if now else ():
        if cells.get(now.cell, now.run) != now.run:
            del cells[now.cell]
            if not cells:
                del _claims[shown]
                shown.close()


def inside(root: object, without: object = None) -> list[widgets.Widget]:
    """Every widget that `root` holds, hidden ones and itself included, but not `without` and what that holds."""
    found, todo, seen = [], [root], {id(each) for each in (inside(without) if without is not None else ())}
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, nn.Module):
            continue
        seen.add(id(thing))
        if isinstance(thing, widgets.Widget):
            found.append(thing)
            todo += [*thing._trait_values.values(), *vars(thing).values()]
        elif isinstance(thing, (list, tuple, set)):
            todo += thing
        elif isinstance(thing, dict):
            todo += thing.values()
        elif type(thing).__module__.startswith(f"{__package__}."):
            todo += getattr(thing, "__dict__", {}).values()
    return found


class ShownInCells(widgets.VBox):
    """A box that is closed when the cells that showed it have all been run again.

    `saved_key` marks its saved view in the cells' outputs.
    """

    def __init__(self, *arguments, **options):
        self.saved_key, self._published = f"vae-saved-{uuid.uuid4().hex[:8]}", False
        super().__init__(*arguments, **options)

    def stay(self) -> None:
        """The cell that runs now shows this, and whatever it is made of."""
        claim(self)

    def saved_view(self) -> SavedView | None:
        """What readers of the saved notebook see without a kernel; None where there is nothing to see yet."""
        return None

    def update_saved_view(self) -> None:
        """Bring what the cells' outputs keep up to date."""
        view = self.saved_view() if self._published else None
        if view is not None:
            publish(view, self.saved_key, update=True)

    def _shown(self) -> None:
        self.stay()
        view = self.saved_view() if _cell_request() else None
        if view is not None:
            publish(view, self.saved_key)
            self._published = True

    if hasattr(widgets.VBox, "_repr_mimebundle_"):  # ipywidgets 8

        def _repr_mimebundle_(self, *arguments, **options):
            self._shown()
            return super()._repr_mimebundle_(*arguments, **options)
    else:

        def _ipython_display_(self, *arguments, **options):
            self._shown()
            return super()._ipython_display_(*arguments, **options)
