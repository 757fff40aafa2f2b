"""What changes while a run trains: made anew, saved whole, found again."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vae_helpers.checkpoint import Run, load_latest, remove_leftovers, save_checkpoint
from vae_helpers.data import PictureSet
from vae_helpers.distributed import World
from vae_helpers.engine import decide_compile
from vae_helpers.errors import InputError
from vae_helpers.likelihoods import output_for
from vae_helpers.logbook import Logbook
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.objectives import OBJECTIVES, Objective
from vae_helpers.recipe import TrainConfig, pick_half

_COUNTS = ("step", "epochs_closed", "best", "best_epoch", "first_loss")


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


def require_free(run: Run, resume: bool) -> bool:
    """Refuse the name of a run that exists unless it is to be resumed; sweep up after processes killed while saving."""
    if run.exists() and not resume:
        raise InputError(f"a run called {run.name!r} exists in {run.models}: resume it, or choose another name "
                         "(nothing was changed).")
    remove_leftovers(run)
    return resume


def fresh(config: TrainConfig, model_config: VAEConfig, world: World, pictures: int = 0) -> State:
    """A run at step 0, with `pictures` to train on; the seed decides its weights, and nothing else in the session."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = BetaVAE(replace(model_config, output=output_for(config.likelihood)))
    return _state(model, config, world, pictures)


def resumed(run: Run, epochs: int, pictures: PictureSet, world: World) -> tuple[State, TrainConfig, int]:
    """The run as its newest checkpoint has it, its settings (epochs raised to `epochs` if lower), its CPU threads."""
    model, saved = world.first(lambda: load_latest(run))
    if saved["data"] != describe(pictures):
        raise InputError(f"the run {run.name!r} was trained on {saved['data']}, but these pictures are "
                         f"{describe(pictures)}: resume it with the same data.")
    try:
        kept = TrainConfig(**saved["train_config"])
        kept = replace(kept, compile=decide_compile(kept, 0, world.device))  # another machine may have no compiler
        state = _state(model, kept, world, len(pictures.split.train))
        state.optimizer.load_state_dict(saved["optimizer"])
        state.scaler.load_state_dict(saved["scaler"])
        state.objective.load_state_dict(saved.get("objective", {}))
        for name in _COUNTS:
            setattr(state, name, saved[name])
        if saved["sums"] is not None and world.rank == 0:  # the others' parts are in it
            state.sums = saved["sums"].to(world.device)
        if state.average is not None:
            state.average.load_state_dict(saved["ema"])
    except (TypeError, KeyError, ValueError):
        raise InputError(f"the run {run.name!r} was started by another version of this project, whose settings do not "
                         "fit: resume it with that version, or start a run with another name.") from None
    _require_place(run, saved, max(1, len(pictures.split.train) // kept.batch_size))
    return state, replace(kept, epochs=max(kept.epochs, epochs)), saved["threads"]


def _require_place(run: Run, saved: dict, per_epoch: int) -> None:
    """Refuse a step outside of the epoch it should be in, and an epoch begun without its sums, or the reverse."""
    into = saved["step"] - saved["epochs_closed"] * per_epoch
    if not 0 <= into <= per_epoch or (into == 0) != (saved["sums"] is None):
        raise InputError(f"the run {run.name!r} cannot go on, because its checkpoint is at step {saved['step']:,} "
                         f"after {saved['epochs_closed']:,} epochs of {per_epoch:,} steps, "
                         f"{'without' if saved['sums'] is None else 'with'} sums of an epoch begun, which no run "
                         "reaches: start a run with another name.")


def save_last(run: Run, state: State, config: TrainConfig, pictures: PictureSet, book: Logbook | None = None) -> None:
    """Write last.pt, the one before it becoming previous.pt; all processes must call this."""
    totals = state.totals()

    def write():
        if book is not None:
            book.flush()
        average = None if state.average is None else state.average.state_dict()
        save_checkpoint(run.last, state.model, keep=run.previous, **_entries(state, config, pictures), ema=average,
                        optimizer=state.optimizer.state_dict(), scaler=state.scaler.state_dict(), sums=totals,
                        objective=state.objective.state_dict(), threads=torch.get_num_threads(),
                        finished=state.finished(config))

    state.world.first(write)


def save_best(run: Run, state: State, config: TrainConfig, pictures: PictureSet, scores: dict[str, float]) -> None:
    """Write best.pt: what people look at, without what only training needs."""
    save_checkpoint(run.best, state.shown, **_entries(state, config, pictures), scores=scores)


def describe(pictures: PictureSet) -> dict:
    """What tells one picture set from another, in plain types."""
    return {"name": pictures.name, "pictures": len(pictures), "request": pictures.request}


def _state(model: BetaVAE, config: TrainConfig, world: World, pictures: int) -> State:
    half = pick_half(world.device)
    model.to(world.device).train().set_half(half)
    average = copy.deepcopy(model).eval().requires_grad_(False) if config.ema else None
    # The usual 0.999 averages over 1,000 steps, more than a quick run has. Measured only together with the
    # initialisation (see model.py), not by itself.
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, betas=(0.9, 0.99),
                                 fused=world.device.type in ("cpu", "cuda"))
    scaler = torch.amp.GradScaler(world.device.type, enabled=half == torch.float16)
    if config.compile:
        model.compile()  # in place: parameters keep their names, and only calls of the whole model are compiled
    objective = OBJECTIVES[config.objective](model.config.latent_dim, config.knobs, pictures, config.seed, world.device)
    return State(model, optimizer, scaler, world, world.wrap(model), objective, average)


def _entries(state: State, config: TrainConfig, pictures: PictureSet) -> dict:
    return dict(train_config=asdict(config), data=describe(pictures)) | {name: getattr(state, name) for name in _COUNTS}
