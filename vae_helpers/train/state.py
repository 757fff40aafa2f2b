"""What changes while a run trains: made anew, saved whole, found again."""

from __future__ import annotations

import contextlib
import copy
import math
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.files import only_user, say
from vae_helpers.model import OBJECTIVES, BetaVAE, Objective, VAEConfig, output_for, own_dice, pick_half
from vae_helpers.runs import (
    Logbook,
    Run,
    as_in_run,
    describe,
    load_latest,
    remove_leftovers,
    save_checkpoint,
    why_not_written,
)
from vae_helpers.settings import TrainConfig
from vae_helpers.train.compiling import decide_compile
from vae_helpers.train.processes import World, lost

_COUNTS = ("step", "epochs_closed", "best", "best_epoch", "first_loss")
MAY_CHANGE = ("epochs", "compile", "pictures_every", "evaluate_every")  # of a run that goes on; two follow the epochs


@dataclass
class State:
    """A run at one step; all but `world` and `network` goes into last.pt."""

    model: BetaVAE
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler  # keeps float16 gradients in range; switched off for the other types
    world: World
    network: nn.Module  # the model as a step calls it: itself, or wrapped for several processes
    objective: Objective  # with what it has learnt itself
    average: BetaVAE | None = None  # running average of the weights, in eval mode
    step: int = 0
    epochs_closed: int = 0  # epochs whose scores are written
    best: float = math.inf  # lowest held-out loss so far
    best_epoch: int = 0  # its epoch, counted from 1; 0: none yet
    first_loss: float | None = None  # what the run began with, to tell a runaway
    sums: torch.Tensor | None = None  # this process's part of the epoch's totals, see guard.TERMS

    @property
    def shown(self) -> BetaVAE:
        """The model to score, keep and look at."""
        return self.model if self.average is None else self.average

    def follow(self, decay: float) -> None:
        """Move the average a little towards the weights; in a run's first steps it moves faster."""
        if self.average is None:
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            get_ema_multi_avg_fn(decay)(list(self.average.parameters()), list(self.model.parameters()), self.step)
            for own, new in zip(self.average.buffers(), self.model.buffers()):
                own.copy_(new)

    def totals(self) -> torch.Tensor | None:
        """The epoch's totals over all processes, which all must ask for."""
        return None if self.sums is None else self.world.total(self.sums)

    def finished(self, config: TrainConfig) -> bool:
        """Whether the run has reached its end, the planned one or an early one."""
        waited = self.epochs_closed - self.best_epoch if self.best_epoch else 0
        return self.epochs_closed >= config.epochs or 0 < config.early_stop <= waited


@contextlib.contextmanager
def claimed(run: Run, resume: bool) -> Iterator[None]:
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
    if not resume and begun(run):
        raise InputError(
            f"a run called {run.name!r} exists in {run.models}: go on with it by `resume=True`, or choose "
            "another name (nothing was changed)."
        )


def begun(run: Run) -> bool:
    """Whether the run has left more than the checkpoint that is written before its first step."""
    if not run.exists() or run.best.is_file() or run.previous.is_file():
        return run.exists()
    try:
        return load_latest(run)[1].get("step") != 0
    except InputError:  # damaged or foreign: not ours to replace
        return True


def fresh(config: TrainConfig, model_config: VAEConfig, world: World, pictures: int = 0) -> State:
    """A run at step 0, with `pictures` to train on; the seed decides its weights, and nothing else in the session."""
    with own_dice(config.seed):
        model = BetaVAE(replace(model_config, output=output_for(config.likelihood)))
    return _state(model, config, world, pictures)


def resumed(
    run: Run, epochs: int, pictures: PictureSet, world: World, other_pictures: bool = False
) -> tuple[State, TrainConfig, int, PictureSet]:
    """The run as its newest checkpoint has it, its settings (epochs raised to `epochs` if lower), its CPU threads.

    Also the pictures, each in the part that the run had it in; others than its own are refused, see `as_in_run`.
    Where only best.pt is left the run goes on from there, but its optimiser begins anew.
    """
    model, saved = world.first(lambda: load_latest(run))
    pictures = as_in_run(pictures, run.name, saved["data"], other_pictures)
    kept = kept_config(run, saved)
    try:
        kept = replace(kept, compile=decide_compile(kept, 0, world.device))  # another machine may have no compiler
        state = _state(model, kept, world, len(pictures.split.train))
        for name in _COUNTS:
            setattr(state, name, saved[name])
        if "optimizer" in saved:
            _restore(state, saved)
        elif world.rank == 0:
            say(
                f"{run.best} alone is left of the run {run.name!r}, so it goes on from epoch {state.epochs_closed} with an "
                "optimiser that begins anew."
            )
    except (TypeError, KeyError, ValueError):
        raise _of_another_version(run) from None
    _require_place(run, saved, max(1, len(pictures.split.train) // kept.batch_size))
    kept = replace(kept, epochs=max(kept.epochs, epochs))
    return state, kept, saved.get("threads", torch.get_num_threads()), pictures


def _require_place(run: Run, saved: dict, per_epoch: int) -> None:
    """Refuse a step outside of the epoch it should be in, and an epoch begun without its sums, or the reverse."""
    into = saved["step"] - saved["epochs_closed"] * per_epoch
    if not 0 <= into <= per_epoch or (into == 0) != (saved.get("sums") is None):
        raise InputError(
            f"the run {run.name!r} cannot go on, because its checkpoint is at step {saved['step']:,} "
            f"after {saved['epochs_closed']:,} epochs of {per_epoch:,} steps, "
            f"{'without' if saved['sums'] is None else 'with'} sums of an epoch begun, which no run "
            "reaches: start a run with another name."
        )


def kept_config(run: Run, saved: dict) -> TrainConfig:
    """The settings in a checkpoint's entries `saved`."""
    try:
        return TrainConfig(**saved["train_config"])
    except (TypeError, KeyError, ValueError):
        raise _of_another_version(run) from None


def _of_another_version(run: Run) -> InputError:
    return InputError(
        f"the run {run.name!r} was started by another version of this project, whose settings do not fit: "
        "resume it with that version, or start a run with another name."
    )


def require_same(
    run: Run, kept: TrainConfig, own: VAEConfig, config: TrainConfig | None, model_config: VAEConfig | None
) -> None:
    """Refuse to go on with a run under other settings than its own (`kept`, `own`), which it would ignore."""
    pairs = [(asdict(kept), asdict(config))] if config else []
    if model_config:
        pairs.append((own.as_dict(), replace(model_config, output=own.output).as_dict()))
    differ = [
        (name, theirs[name], value)
        for theirs, asked in pairs
        for name, value in asked.items()
        if name not in MAY_CHANGE and theirs[name] != value
    ]
    if differ:
        its, asked = (", ".join(f"{name} {values[place]}" for name, *values in differ) for place in (0, 1))
        raise InputError(
            f"the run {run.name!r} was started with {its}, which it keeps, not {asked}: leave these as they "
            "were to go on with it, or choose another name."
        )


def require_equal(world: World, pictures: PictureSet) -> None:
    """Every machine opens its own copy of the pictures: stop where they are not those of the first process."""
    names = "\n".join(pictures.names).encode("utf-8", "backslashreplace")
    own = len(pictures), len(pictures.split.train), zlib.crc32(names)
    if any(world.any(own != world.first(lambda: own))):
        raise _once(
            world,
            "the processes do not see the same pictures, by number or by name: give every machine the same "
            "folder (and its cache anew).",
        )


@contextlib.contextmanager
def together(world: World, run: Run, rescue: Callable[[], object]) -> Iterator[None]:
    """Where another process is lost inside the block, save what this one can and say so instead of a traceback."""
    try:
        yield
    except RuntimeError as problem:
        if not lost(problem):
            raise
        rescue()
        new = world.rank == 0 and not run.exists()
        again = "start it again" if new else f"resume the run {run.name!r} from {run.last}"
        # Two speak, since one of them may be the one that was lost.
        raise _once(
            world,
            f"another process of this training has ended or is silent, so it stopped: look above for what "
            f"happened, then {again}.",
            speakers=2,
        ) from None


def _once(world: World, sentence: str, speakers: int = 1) -> BaseException:
    """What to raise in every process so that the first ones alone say it."""
    return InputError(sentence) if world.rank < speakers else SystemExit(2)


def _restore(state: State, saved: dict) -> None:
    """Put back what only last.pt has."""
    state.optimizer.load_state_dict(saved["optimizer"])
    if saved["scaler"]:  # empty where the run has not been in float16 yet: its scale then starts anew
        state.scaler.load_state_dict(saved["scaler"])
    state.objective.load_state_dict(saved.get("objective", {}))
    if saved["sums"] is not None:
        sums = saved["sums"].to(state.world.device)
        state.sums = sums if state.world.rank == 0 else torch.zeros_like(sums)  # the others' parts are in it
    if state.average is not None:
        state.average.load_state_dict(saved["ema"])


def save_last(run: Run, state: State, config: TrainConfig, pictures: PictureSet, book: Logbook | None = None) -> None:
    """Write last.pt, the one before it becoming previous.pt; all processes must call this."""
    totals = state.totals()
    state.world.first(lambda: _write_last(run, state, config, pictures, totals, book))


def rescue(run: Run, state: State, config: TrainConfig, pictures: PictureSet) -> None:
    """Write last.pt from the first process alone, when others are lost in the middle of a step.

    Weights move at a step's very end, so they are those after `state.step` steps. The epoch's totals are estimated from
    this process's part, which is as large as each of the others.
    """
    sums = state.sums
    if state.world.rank == 0 and (sums is None or torch.isfinite(sums).all()):
        _write_last(run, state, config, pictures, None if sums is None else sums * state.world.size)


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
        threads=torch.get_num_threads(),
        finished=state.finished(config),
    )


def save_best(run: Run, state: State, config: TrainConfig, pictures: PictureSet, scores: dict[str, float]) -> None:
    """Write best.pt: what people look at, without what only training needs."""
    save_checkpoint(run.best, state.shown, **_entries(state, config, pictures), scores=scores)


def _state(model: BetaVAE, config: TrainConfig, world: World, pictures: int) -> State:
    half = pick_half(world.device)
    model.to(world.device).train().set_half(half)
    average = copy.deepcopy(model).eval().requires_grad_(False) if config.ema else None
    # The usual 0.999 averages over 1,000 steps, more than a quick run has. Measured only together with the
    # initialisation (see model.py), not by itself.
    optimizer = torch.optim.Adam(
        model.parameters(), lr=config.lr, betas=(0.9, 0.99), fused=world.device.type in ("cpu", "cuda")
    )
    scaler = torch.amp.GradScaler(world.device.type, enabled=half == torch.float16)
    objective = OBJECTIVES[config.objective](model.config.latent_dim, config.knobs, pictures, config.seed, world.device)
    return State(model, optimizer, scaler, world, world.wrap(model), objective, average)


def _entries(state: State, config: TrainConfig, pictures: PictureSet) -> dict:
    return dict(train_config=asdict(config), data=describe(pictures)) | {name: getattr(state, name) for name in _COUNTS}
