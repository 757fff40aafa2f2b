"""Weights that come with the project: packed small, found where no run of one's own is, and how they were made."""

from __future__ import annotations

import contextlib
import os
import shutil
import sysconfig
from pathlib import Path

from vae_helpers.errors import InputError
from vae_helpers.runs.checkpoint import Run, list_runs, newest_run, why_not_written

SHIPPED = "shipped_butterflies"
PREFIX = "sweep_"  # of the names of a sweep's runs
FILES = ("best.pt", "made.txt")
_CHART = "chart.npz"  # made by `scores.chart_of_run`, so that the explorers' named sliders are there at once


def choose_run(name: str = "", out: Path | str = "VAE") -> Run:
    """The run of that name; without a name the newest of one's own, and where there is none the shipped one.

    That is said in one line. Runs of a sweep are small and many, so they are taken by name only. The shipped weights
    are looked for below `out`, beside the package and where pip puts data files, and brought to `out` if they are not
    there. Raises InputError where they were not installed either.
    """
    own = [run for run in list_runs(out) if run != SHIPPED and not run.startswith(PREFIX)]
    if not name and own:
        return Run(own[0], out)
    run = Run(name or SHIPPED, out)
    if run.name == SHIPPED and not run.exists():
        source = next((folder for folder in _places() if (folder / "best.pt").is_file()), None)
        if source is None:
            return Run(newest_run(out), out)  # says what to do
        for file in (_CHART, *reversed(FILES)):  # the weights last: once they are there, everything is
            if file != _CHART or (source / file).is_file():
                _copy(source / file, run.models / file)
    if not name:
        print(
            f"No run of your own in {run.models.parent} yet, so these are the weights that come with the project "
            f"(how they were made: {run.models / 'made.txt'})."
        )
    return run


def _copy(source: Path, target: Path) -> None:
    """Copy a file, all or nothing."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, aside)
        with open(aside, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(aside, target)
    except OSError as problem:
        reason, advice = why_not_written(problem)
        raise InputError(
            f"the weights that come with the project could not be copied to {target.parent}, because {reason}: "
            f"{advice.replace('resume the run', 'run this again')}."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def _places() -> list[Path]:
    root = Path(__file__).resolve().parents[2]
    return [root / "VAE" / "models" / SHIPPED, Path(sysconfig.get_path("data"), "share", "vae_helpers", SHIPPED)]
