"""A run's place on the disk while it trains: its name locked, its checkpoints written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict

import torch

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.files import only_user
from vae_helpers.model import BetaVAE
from vae_helpers.runs import Logbook, Run, describe, load_latest, remove_leftovers, save_checkpoint, why_not_written
from vae_helpers.settings import TrainConfig, name_taken
from vae_helpers.train.arithmetic import machine_of
from vae_helpers.train.exact import is_exact
from vae_helpers.train.state import COUNTS, State


@contextlib.contextmanager
def lock_run(run: Run, resume: bool) -> Iterator[None]:
    """Hold the run's name while it trains: raise InputError where another process does, or as `require_free`.

    The lock is given back by the system when its process dies. A folder that cannot be written is found here, too.
    """
    with contextlib.ExitStack() as held:
        try:
            run.models.mkdir(parents=True, exist_ok=True)
            alone = held.enter_context(only_user(run.models / ".lock"))
        except OSError as problem:
            reason, advice = why_not_written(problem)
            raise InputError(
                f"the run {run.name!r} cannot be kept in {run.models}, because {reason}: {advice}."
            ) from None
        if alone is False:
            raise InputError(
                f"another process is training the run {run.name!r} in {run.models} right now: wait for its "
                "end, stop it, or choose another name."
            )
        require_free(run, resume)
        remove_leftovers(run)
        yield


def require_free(run: Run, resume: bool) -> None:
    """Refuse the name of a run that exists and has learnt anything, unless it is to be resumed."""
    if not resume and has_steps(run):
        raise name_taken(run.name, run.models)


def has_steps(run: Run) -> bool:
    """Whether the run has left more than the checkpoint that is written before its first step."""
    if not run.exists() or run.best.is_file() or run.previous.is_file():
        return run.exists()
    try:
        return load_latest(run)[1].get("step") != 0
    except InputError:  # damaged or foreign: not ours to replace
        return True


def save_last(run: Run, state: State, config: TrainConfig, pictures: PictureSet, book: Logbook | None = None) -> None:
    """Write last.pt, the one before it becoming previous.pt; all processes must call this."""
    totals = state.totals()
    state.processes.on_first(lambda: _write_last(run, state, config, pictures, totals, book))


def save_alone(run: Run, state: State, config: TrainConfig, pictures: PictureSet) -> None:
    """Write last.pt from the first process alone, when others are lost in the middle of a step.

    No process waits for another after its weights have moved, so they are those after `state.step` steps; BatchNorm's
    statistics may be one step ahead. The epoch's totals are estimated from this process's part, which is as large as
    each of the others.
    """
    sums = state.sums
    if state.processes.rank == 0 and (sums is None or torch.isfinite(sums).all()):
        _write_last(run, state, config, pictures, None if sums is None else sums * state.processes.size)


def _write_last(
    run: Run,
    state: State,
    config: TrainConfig,
    pictures: PictureSet,
    totals: torch.Tensor | None,
    book: Logbook | None = None,
) -> None:
    if book is not None:
        book.flush()
    average = None if state.average is None else state.average.state_dict()
    keep = run.previous if state.step else None  # nothing that lies there belongs to a run that begins
    save_checkpoint(
        run.last,
        state.model,
        keep=keep,
        **_entries(state, config, pictures),
        ema=average,
        optimizer=state.optimizer.state_dict(),
        scaler=state.scaler.state_dict(),
        sums=totals,
        objective=state.objective.state_dict(),
        **({"threads": torch.get_num_threads()} if is_exact(config, state.processes) else {}),
        arithmetic={**state.arithmetic.as_dict(), "machine": machine_of(state.processes.device)},
        finished=state.finished(config),
    )


def save_best(
    run: Run, state: State, config: TrainConfig, pictures: PictureSet, scores: dict[str, float], model: BetaVAE
) -> None:
    """Write best.pt, `model`: what people look at, without what only training needs."""
    save_checkpoint(run.best, model, **_entries(state, config, pictures), scores=scores)


def _entries(state: State, config: TrainConfig, pictures: PictureSet) -> dict:
    return {"train_config": asdict(config), "data": describe(pictures)} | {
        name: getattr(state, name) for name in COUNTS
    }
