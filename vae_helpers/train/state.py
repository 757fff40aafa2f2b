"""What changes while a run trains: made anew, or found again in its newest checkpoint."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.files import say
from vae_helpers.model import OBJECTIVES, BetaVAE, Muon, Objective, VAEConfig, output_for, seeded
from vae_helpers.runs import Logbook, Run, as_in_run, load_latest
from vae_helpers.settings import TrainConfig
from vae_helpers.train.arithmetic import Arithmetic, arithmetic_from, machine_of, usual_arithmetic
from vae_helpers.train.compiling import decide_compile
from vae_helpers.train.exact import exact_results
from vae_helpers.train.fastest import choose_arithmetic
from vae_helpers.train.interrupt import Stop
from vae_helpers.train.processes import Processes

COUNTS = ("step", "epochs_closed", "best", "best_epoch", "first_loss")
MAY_CHANGE = ("epochs", "early_stop", "compile", "pictures_every", "evaluate_every")  # the last two follow the epochs


@dataclass
class State:
    """A run at one step; all but `processes` and `network` goes into last.pt, `arithmetic` with the machine's name."""

    model: BetaVAE
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler  # keeps float16 gradients in range; switched off for the other types
    processes: Processes
    network: nn.Module  # the model as a step calls it: itself, or wrapped for several processes
    objective: Objective  # with what it has learnt itself
    arithmetic: Arithmetic  # how this session computes
    average: BetaVAE | None = None  # running average of the weights, in eval mode
    step: int = 0
    epochs_closed: int = 0  # epochs whose scores are written
    best: float = math.inf  # lowest held-out loss so far
    best_epoch: int = 0  # its epoch, counted from 1; 0: none yet
    first_loss: float | None = None  # what the run began with, to tell a runaway
    sums: Tensor | None = None  # this process's part of the epoch's totals: TERMS, then logged_terms

    @property
    def eval_model(self) -> BetaVAE:
        """The model to score, keep and look at: the average if there is one."""
        return self.model if self.average is None else self.average

    def update_average(self, decay: float) -> None:
        """Update the average of the weights with decay min(`decay`, (1 + t) / (10 + t)) at step t."""
        if self.average is None:
            return
        decay = min(decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            get_ema_multi_avg_fn(decay)(list(self.average.parameters()), list(self.model.parameters()), self.step)
            for own, new in zip(self.average.buffers(), self.model.buffers()):
                own.copy_(new)

    def add_to_sums(self, values: list[Tensor], share: float) -> None:
        """Add a step's means over this process's `share` of the batch to the epoch's sums, without gradients."""
        weighted = torch.stack(values).detach() * share
        self.sums = weighted if self.sums is None else self.sums + weighted

    def totals(self) -> Tensor | None:
        """The epoch's totals over all processes, which all must ask for."""
        return None if self.sums is None else self.processes.total(self.sums)

    def finished(self, config: TrainConfig) -> bool:
        """Whether the run has reached its end, the planned one or an early one."""
        return self.epochs_closed >= config.epochs or self.stopped_early(config)

    def stopped_early(self, config: TrainConfig) -> bool:
        """Whether `early_stop` scores in a row, up to now, were not lower than the lowest."""
        if not (config.early_stop and self.best_epoch):
            return False
        return (
            self.epochs_closed // config.evaluate_every - self.best_epoch // config.evaluate_every >= config.early_stop
        )


@dataclass
class Training:
    """What training a run works with, from the first step of a session to its last."""

    run: Run
    config: TrainConfig
    pictures: PictureSet
    state: State
    book: Logbook
    stop: Stop
    progress: bool = False  # whether this process shows a bar
    stop_after: int | None = None  # an epoch, counted from 1
    save_every: float = math.inf  # seconds between checkpoints

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in the training pictures, at least 1."""
        return max(1, len(self.pictures.split.train) // self.config.batch_size)


def new_state(
    config: TrainConfig,
    model_config: VAEConfig,
    processes: Processes,
    pictures: int = 0,
    arithmetic: Arithmetic | None = None,
) -> State:
    """A run at step 0, with `pictures` to train on; the seed decides its weights, and nothing else in the session."""
    with seeded(config.seed):
        model = BetaVAE(replace(model_config, output=output_for(config.likelihood)))
    return _state(model, config, processes, pictures, arithmetic or usual_arithmetic(processes.device))


def resumed_state(
    run: Run, config: TrainConfig | None, pictures: PictureSet, processes: Processes, other_pictures: bool = False
) -> tuple[State, TrainConfig, PictureSet]:
    """The run as its newest checkpoint has it, and its settings; a `config` may raise its epochs.

    Its `early_stop` counts from now on, too.

    Also the pictures, each in the part that the run had it in; others than its own are refused, see `as_in_run`.
    Where only best.pt is left the run goes on from there, but its optimiser begins anew.
    """
    model, saved = processes.on_first(lambda: load_latest(run))
    pictures = as_in_run(pictures, run.name, saved["data"], other_pictures)
    kept = saved_config(run, saved)
    try:
        kept = replace(kept, compile=decide_compile(kept, 0, processes.device))  # another machine may have no compiler
        train = len(pictures.split.train)
        state = _state(model, kept, processes, train, _resumed_arithmetic(saved, kept, model.config, processes, train))
        for name in COUNTS:
            setattr(state, name, saved[name])
        if "optimizer" in saved:
            _restore(state, saved)
        elif processes.rank == 0:
            say(
                f"{run.best} alone is left of the run {run.name!r}, so it goes on from epoch {state.epochs_closed} "
                "with an optimiser that begins anew."
            )
    except (TypeError, KeyError, ValueError):
        raise _of_another_version(run) from None
    _require_consistent_step(run, saved, max(1, len(pictures.split.train) // kept.batch_size))
    if config:
        kept = replace(kept, epochs=max(kept.epochs, config.epochs), early_stop=config.early_stop)
    return state, kept, pictures


def _resumed_arithmetic(
    saved: dict, config: TrainConfig, model_config: VAEConfig, processes: Processes, pictures: int
) -> Arithmetic:
    """That of the run until now if it is on the machine that it was on, else what is fastest here.

    The threads of an exact run, which alone are kept, stay wherever it goes on: without 16 bits its sums hang on
    nothing else. Those of another are this session's.
    """
    own = arithmetic_from(saved.get("arithmetic"))
    if own and saved["arithmetic"].get("machine") != machine_of(processes.device):
        own = None
    left = max(0, config.epochs - saved["epochs_closed"]) * pictures
    with exact_results(config, processes, torch.get_num_threads()):
        here = choose_arithmetic(model_config, config, 0 if own else left, processes)
    threads = here.threads if config.exact is False else saved.get("threads", here.threads)
    return (here if own is None or processes.size > 1 else own)._replace(threads=threads)


def _require_consistent_step(run: Run, saved: dict, per_epoch: int) -> None:
    """Refuse a step outside of the epoch it should be in, and an epoch begun without its sums, or the reverse."""
    into = saved["step"] - saved["epochs_closed"] * per_epoch
    if not 0 <= into <= per_epoch or (into == 0) != (saved.get("sums") is None):
        raise InputError(
            f"the run {run.name!r} cannot go on, because its checkpoint is at step {saved['step']:,} "
            f"after {saved['epochs_closed']:,} epochs of {per_epoch:,} steps, "
            f"{'without' if saved['sums'] is None else 'with'} sums of an epoch begun, which no run "
            "reaches: start a run with another name."
        )


def saved_config(run: Run, saved: dict) -> TrainConfig:
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


def _restore(state: State, saved: dict) -> None:
    """Put back what only last.pt has."""
    state.optimizer.load_state_dict(saved["optimizer"])
    _match_layouts(state.optimizer)
    if saved["scaler"]:  # empty where the run has not been in float16 yet: its scale then starts anew
        state.scaler.load_state_dict(saved["scaler"])
    state.objective.load_state_dict(saved.get("objective", {}))
    if saved["sums"] is not None:
        sums = saved["sums"].to(state.processes.device)
        state.sums = sums if state.processes.rank == 0 else torch.zeros_like(sums)  # the others' parts are in it
    if state.average is not None:
        state.average.load_state_dict(saved["ema"])


def _match_layouts(optimizer: torch.optim.Optimizer) -> None:
    """Lay moments out in memory as their weights: fused Adam goes through both in the order of memory, unasked."""
    adam = optimizer.adam if isinstance(optimizer, Muon) else optimizer
    for weight, moments in adam.state.items():
        for name, moment in moments.items():
            if moment.shape == weight.shape and moment.stride() != weight.stride():
                moments[name] = torch.empty_like(weight).copy_(moment)


def _state(model: BetaVAE, config: TrainConfig, processes: Processes, pictures: int, arithmetic: Arithmetic) -> State:
    half = arithmetic.half
    arithmetic.apply_to(model.to(processes.device).train())
    average = copy.deepcopy(model).eval().requires_grad_(False) if config.ema else None
    # The usual 0.999 averages over 1,000 steps, more than a quick run has. Measured only together with the
    # initialisation (see model.py), not by itself.
    usual: dict = {"lr": config.lr, "betas": (0.9, 0.99), "fused": processes.device.type in ("cpu", "cuda")}
    optimizer: torch.optim.Optimizer
    if config.optimizer == "muon":
        optimizer = Muon(model.parameters(), **usual)
    else:
        optimizer = torch.optim.Adam(model.parameters(), **usual)
    scaler = torch.amp.GradScaler(processes.device.type, enabled=half == torch.float16)
    objective = OBJECTIVES[config.objective](
        model.config.latent_dim, config.knobs, pictures, config.seed, processes.device
    )
    return State(model, optimizer, scaler, processes, processes.wrap(model), objective, arithmetic, average)
