"""A run's files: checkpoints checked before use, the TensorBoard log, the weights that come with the project."""

from vae_helpers.runs.archive import Archive, DamagedFile
from vae_helpers.runs.checkpoint import (
    Run,
    Saved,
    list_runs,
    load_checkpoint,
    load_latest,
    load_run,
    newest_run,
    read_about,
    remove_leftovers,
    run_name,
    save_checkpoint,
    why_not_written,
)
from vae_helpers.runs.choice import PREFIX, Rival, choose_run, comparable_runs, how_to_see
from vae_helpers.runs.log import LATER_SCORES, Logbook, draw, read_scalars, write_projector
from vae_helpers.runs.pictures import NoPictures, as_in_run, describe, difference, in_short, open_for_run, same_set
from vae_helpers.runs.shipped import FILES

__all__ = [
    "FILES",
    "Archive",
    "LATER_SCORES",
    "Logbook",
    "NoPictures",
    "PREFIX",
    "Rival",
    "Run",
    "Saved",
    "DamagedFile",
    "as_in_run",
    "choose_run",
    "comparable_runs",
    "describe",
    "difference",
    "draw",
    "how_to_see",
    "in_short",
    "list_runs",
    "load_checkpoint",
    "load_latest",
    "load_run",
    "newest_run",
    "open_for_run",
    "read_about",
    "read_scalars",
    "remove_leftovers",
    "run_name",
    "same_set",
    "save_checkpoint",
    "why_not_written",
    "write_projector",
]
