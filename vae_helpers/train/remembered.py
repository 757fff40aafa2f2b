"""What was measured on this machine, kept for the next run on it."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from vae_helpers.files import write_aside

_MOST = 200  # entries of the file: the oldest go first
_STEPS = 2  # raised where a step computes, or is timed, in another way: what was found before says nothing then


class StepTimes(NamedTuple):
    """Seconds of a step forward and back, run as it is written and compiled."""

    eager: float
    compiled: float

    @property
    def compiling_pays(self) -> bool:
        """Whether the compiled step is faster by more than what two measurements differ by."""
        return self.compiled < 0.98 * self.eager


def times_file() -> Path:
    """Where they are kept: `vae_helpers/step_times.json` in the user's folder for caches."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vae_helpers" / "step_times.json"


def recall_times(key: str) -> StepTimes | None:
    """What was measured for this machine and shape of step; None where nothing was, or the file cannot be read."""
    try:
        times = StepTimes(*map(float, recall(key)))
    except (TypeError, ValueError):
        return None
    return times if all(math.isfinite(seconds) and seconds > 0 for seconds in times) else None


def recall(key: str) -> Any:
    """What is kept under this key; None where nothing is, or the file cannot be read."""
    return _content().get(_named(key))


def remember(key: str, found: Any) -> bool:
    """Keep plain values for the next run, and say whether that was possible."""
    content = {name: value for name, value in _content().items() if name != _named(key)} | {_named(key): found}
    try:
        times_file().parent.mkdir(parents=True, exist_ok=True)
        write_aside(times_file(), json.dumps(dict(list(content.items())[-_MOST:]), indent=1))
    except OSError:
        return False
    return True


def _named(key: str) -> str:
    return f"steps {_STEPS} | {key}"


def _content() -> dict:
    try:
        found = json.loads(times_file().read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
