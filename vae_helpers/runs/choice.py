"""Which run to look at where none was named, and which runs may be compared with each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vae_helpers.errors import InputError
from vae_helpers.files import say
from vae_helpers.runs.checkpoint import Run, list_runs, newest_run, read_about
from vae_helpers.runs.pictures import same_set
from vae_helpers.runs.shipped import FILES, bring_shipped, shipped_folder
from vae_helpers.settings import SHIPPED_RUNS

PREFIX = "sweep_"  # of the names of a sweep's runs: small and many, so they are taken by name only
_NAMED = 5  # other runs that are named in a line, at most


class Rival(NamedTuple):
    """A run that may be compared with others on its pictures; `about` is its checkpoint without weights."""

    run: Run
    about: Mapping[str, Any]

    @property
    def psnr(self) -> float:
        """Held-out, in dB; -inf where the run was not scored yet."""
        found = (self.about.get("scores") or {}).get("psnr", -math.inf)
        return found if isinstance(found, (int, float)) and math.isfinite(found) else -math.inf

    def in_words(self) -> str:
        """Its name and score."""
        score = f"{self.psnr:.1f} dB" if math.isfinite(self.psnr) else "not scored yet"
        return f"{self.run.name} ({score})"


def comparable_runs(data: Mapping[str, Any], out: Path | str = "VAE") -> list[Rival]:
    """The runs below `out` on the pictures that a checkpoint's entry `data` tells of, newest first, shipped ones last.

    See `same_set`. Shipped runs are brought to `out` where they fit. A run whose checkpoint cannot be read is left out,
    and named.
    """
    names = [name for name in list_runs(out) if name not in SHIPPED_RUNS]
    found = []
    for run in (Run(name, out) for name in (*names, *SHIPPED_RUNS)):
        try:
            about = _about(run)
            if about and same_set(data, about.get("data") or {}) and (run.exists() or bring_shipped(run.name, out)):
                found.append(Rival(run, about))
        except InputError as problem:
            say(f"The run {run.name!r} is left out: {problem}")
    return found


def choose_run(name: str = "", out: Path | str = "VAE") -> Run:
    """The run of that name; without a name the best on the pictures of the newest of one's own, else the shipped one.

    The best is the one with the highest held-out PSNR of all runs on the same pictures, the shipped ones included
    (`comparable_runs`). Which one was chosen and how to see another is said in one line, unless there is one only.
    Shipped weights are brought to `out` if they are not there. Raises InputError where there is no run at all.
    """
    if name:
        return (bring_shipped(name, out) if name in SHIPPED_RUNS else None) or Run(name, out)
    own = [run for run in list_runs(out) if run not in SHIPPED_RUNS and not run.startswith(PREFIX)]
    if own:
        return _best_on_the_pictures_of(Run(own[0], out))
    run = [bring_shipped(each, out) for each in SHIPPED_RUNS][0]  # the second one for whoever compares
    if run is None:
        return Run(newest_run(out), out)  # says what to do
    print(
        f"No run of your own in {run.models.parent} yet, so these are the weights that come with the project "
        f"(how they were made: {run.models / FILES[1]})."
    )
    return run


def how_to_see(run: Run) -> str:
    """What notebooks open without a name, now that `run` is the newest, and how to see this one: a sentence."""
    rivals = _rivals(run)
    best = max(rivals, key=lambda each: each.psnr, default=None)
    if best is None or best.run == run:
        return f"They open {run.name}, the best of the runs on these pictures by its held-out score."
    return (
        f"They open {best.in_words()}, the best on these pictures by its held-out score: to see this run, set "
        f'`RUN = "{run.name}"` there.'
    )


def _best_on_the_pictures_of(newest: Run) -> Run:
    rivals = _rivals(newest)
    if len(rivals) < 2:
        return newest
    best = max(rivals, key=lambda each: each.psnr)  # of equals the first, so the newest
    others = [each.in_words() for each in rivals if each is not best]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    print(
        f"Chosen by held-out score among {len(rivals)} runs on the same pictures: {best.in_words()}. "
        f"To see another, name it (RUN, --run): {', '.join(others[:_NAMED])}{more}."
    )
    return best.run


def _rivals(run: Run) -> list[Rival]:
    """The run itself and those that may be compared with it, but no sweep's; empty where it cannot be read."""
    try:
        about = _about(run)
        rivals = comparable_runs(about["data"], run.out) if about and about.get("data") else []
    except InputError:
        return []  # whoever loads it is told
    return [each for each in rivals if not each.run.name.startswith(PREFIX)]


def _about(run: Run) -> Mapping[str, Any] | None:
    """What its checkpoint says, as `load_run` takes it; of a shipped run perhaps where it was installed."""
    if run.exists():
        return read_about(run.best, run.last, run.previous)
    folder = shipped_folder(run.name) if run.name in SHIPPED_RUNS else None
    return read_about(folder / FILES[0]) if folder else None
