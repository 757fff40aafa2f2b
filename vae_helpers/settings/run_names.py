"""Which runs there are, as their folders tell it: for refusals before torch is loaded, and for whoever opens runs."""

from __future__ import annotations

import contextlib
from pathlib import Path

from vae_helpers.errors import InputError
from vae_helpers.files import require_run_name

SHIPPED = "shipped_butterflies"
SHIPPED_RUNS = (SHIPPED, "shipped_butterflies_beta16")  # the second is there to be compared with the first
CHECKPOINTS = ("last.pt", "previous.pt", "best.pt")


def runs_in(models: Path) -> list[str]:
    """Names of the runs in a folder of checkpoints, newest first; folders that cannot be runs are left out."""
    found: dict[str, float] = {}
    for file in (file for name in CHECKPOINTS for file in models.glob(f"*/{name}")):
        with contextlib.suppress(OSError, InputError):  # a link to nothing, or just gone; no name for a run
            require_run_name(file.parent.name)
            if file.is_file():
                found[file.parent.name] = max(found.get(file.parent.name, 0.0), file.stat().st_mtime)
    return sorted(found, key=lambda name: found[name], reverse=True)


def no_such_run(name: str, models: Path) -> InputError:
    """What to say of a run that is not there."""
    known = ", ".join(runs_in(models)[:5]) or "none yet"
    return InputError(
        f"there is no run {name!r} in {models} (found: {known}): train it with "
        f"notebook 02 or `python -m vae_helpers train --name {name}`."
    )


def name_taken(name: str, folder: Path) -> InputError:
    """What to say of a new run whose name another has."""
    return InputError(
        f"a run called {name!r} exists in {folder}: go on with it by `resume=True`, or choose another name (nothing "
        "was changed)."
    )


def has_learnt(folder: Path) -> bool:
    """Whether a run's folder holds more than the checkpoint that is written before the first step, by its files."""
    return any((folder / name).is_file() for name in CHECKPOINTS[1:])
