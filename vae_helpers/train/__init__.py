"""Training: batches, the step, the loop, one process or many, checkpoints, how long a run takes.

Start at `fit` with a `TrainConfig`; `launch` does the same on all GPUs from a notebook. `train_step` is one step."""

from vae_helpers.train.arithmetic import Arithmetic, arithmetic_from, usual_arithmetic
from vae_helpers.train.batches import Batch, Between, Paired, epoch_batches, noise_for
from vae_helpers.train.compiling import can_compile, compile_network, decide_compile, describe_setup, hardware
from vae_helpers.train.fastest import choose_arithmetic
from vae_helpers.train.interrupt import Stop
from vae_helpers.train.launch import launch
from vae_helpers.train.loop import fit
from vae_helpers.train.loss_monitor import LossMonitor
from vae_helpers.train.processes import Processes, open_processes, require_on_first
from vae_helpers.train.remembered import StepTimes, recall, recall_times, remember, times_file
from vae_helpers.train.saving import has_steps, lock_run, save_best, save_last
from vae_helpers.train.scoring import FitResult
from vae_helpers.train.state import new_state, resumed_state, saved_config
from vae_helpers.train.step import train_step
from vae_helpers.train.synchronise import synchronise_batch_norm
from vae_helpers.train.time_budget import (
    TOUR_EVALUATIONS,
    Speed,
    TimeBudget,
    TimeLeft,
    evaluations_after,
    measure,
    seconds_for,
)
from vae_helpers.train.trial import Trial, Way

__all__ = [
    "StepTimes",
    "recall",
    "recall_times",
    "Trial",
    "Way",
    "remember",
    "times_file",
    "Arithmetic",
    "Batch",
    "Between",
    "FitResult",
    "LossMonitor",
    "Processes",
    "Speed",
    "Stop",
    "TOUR_EVALUATIONS",
    "TimeBudget",
    "TimeLeft",
    "arithmetic_from",
    "can_compile",
    "choose_arithmetic",
    "compile_network",
    "decide_compile",
    "describe_setup",
    "Paired",
    "epoch_batches",
    "evaluations_after",
    "fit",
    "hardware",
    "has_steps",
    "launch",
    "lock_run",
    "measure",
    "new_state",
    "noise_for",
    "open_processes",
    "require_on_first",
    "resumed_state",
    "save_best",
    "save_last",
    "saved_config",
    "seconds_for",
    "synchronise_batch_norm",
    "train_step",
    "usual_arithmetic",
]
