"""One process of those that `launch` starts: `python -m vae_helpers.train.child JOB` under torchrun."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.files import only_user
from vae_helpers.model import VAEConfig
from vae_helpers.runs import Run
from vae_helpers.settings import TrainConfig
from vae_helpers.train.interrupt import stop_when
from vae_helpers.train.launch import MARK
from vae_helpers.train.loop import fit


def _alone(lock: Path) -> bool:
    """Whether the process that holds `lock` for its life has gone."""
    try:
        with only_user(lock) as ours:
            return bool(ours)
    except OSError:
        return True


def train(file: str) -> int:
    """Train as the JSON file `file` says, for as long as its starter lives; returns the exit status."""
    job, lock = json.loads(Path(file).read_text()), Path(file).with_name("alive")
    stop_when(lambda: _alone(lock))
    try:
        model_config = job["model"] and VAEConfig(**job["model"])
        config = job["config"] and TrainConfig(**job["config"])
        fit(
            open_pictures(**job["request"]),
            Run(job["name"], job["out"]),
            config,
            model_config,
            device=job["device"],
            resume=job["resume"],
            progress=job["progress"],
            other_pictures=job["other_pictures"],
        )
    except InputError as problem:
        print(f"{MARK}{problem}", file=sys.stderr, flush=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(train(sys.argv[1]))
