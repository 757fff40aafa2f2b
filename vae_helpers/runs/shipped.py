"""Weights that come with the project: packed small, where they lie, and how they come to where runs are looked for."""

from __future__ import annotations

import contextlib
import os
import shutil
import sysconfig
from pathlib import Path

from vae_helpers.errors import InputError
from vae_helpers.runs.checkpoint import Run, why_not_written

FILES = ("best.pt", "made.txt")
_CHART = "chart.npz"  # made by `scores.chart_of_run`, so that the explorers' named sliders are there at once


def shipped_folder(name: str) -> Path | None:
    """Where the weights of this name were installed; None where they were not."""
    return next((root / name for root in _roots() if (root / name / FILES[0]).is_file()), None)


def bring_shipped(name: str, out: Path | str = "VAE") -> Run | None:
    """The shipped run of this name below `out`, copied there if need be; None where it was not installed."""
    run, source = Run(name, out), shipped_folder(name)
    if run.exists():
        return run
    if source is None:
        return None
    for file in (_CHART, *reversed(FILES)):  # the weights last: once they are there, everything is
        if file != _CHART or (source / file).is_file():
            _copy(source / file, run.models / file)
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


def _roots() -> list[Path]:
    """Beside the package, and where pip puts data files."""
    project = Path(__file__).resolve().parents[2]
    return [project / "VAE" / "models", Path(sysconfig.get_path("data"), "share", "vae_helpers")]
