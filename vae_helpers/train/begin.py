"""The state in which a new run begins: with weights that its seed draws, or with those of another run."""

from __future__ import annotations

from dataclasses import asdict, replace

import torch

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE, VAEConfig, output_for
from vae_helpers.runs import Run, as_in_run, choose_run, load_run
from vae_helpers.settings import TrainConfig
from vae_helpers.train.compiling import decide_compile
from vae_helpers.train.exact import exact_results
from vae_helpers.train.fastest import choose_arithmetic
from vae_helpers.train.processes import Processes
from vae_helpers.train.state import State, new_state


def begun_state(
    run: Run, config: TrainConfig | None, model_config: VAEConfig | None, pictures: PictureSet, processes: Processes
) -> tuple[State, TrainConfig, PictureSet]:
    """A new run at step 0, its settings with `compile` decided, and its pictures.

    With `config.start_from` weights and statistics are that run's, the kept ones of its best epoch; the optimiser is
    new. Pictures that it was trained on are then trained on here too, so that no held-out score is of one that the
    weights have seen. Raises InputError where there is no such run, or its model has another shape than asked for.
    """
    config = config or TrainConfig()
    _require_used(config)
    if config.start_from:
        start, saved = processes.on_first(lambda: load_run(choose_run(config.start_from, run.root)))
        pictures = as_in_run(pictures, config.start_from, saved["data"], other_pictures=True)
        model_config = _require_shape(config, model_config or start.config, start)
    train = len(pictures.split.train)
    config = replace(config, compile=decide_compile(config, config.epochs * train, processes.device))
    model_config = model_config or VAEConfig(image_size=pictures.pictures.shape[1])
    with exact_results(config, processes, torch.get_num_threads()):  # timed are the kernels that the run will have
        arithmetic = choose_arithmetic(model_config, config, config.epochs * train, processes)
    state = new_state(config, model_config, processes, train, arithmetic)
    if config.start_from:
        for model in filter(None, (state.model, state.average)):
            model.load_state_dict(start.state_dict())
    return state, config, pictures


def _require_used(config: TrainConfig) -> None:
    """Refuse numbers of another schedule of β than the run's, which would do nothing."""
    schedule, usual = config.beta_schedule, TrainConfig()
    if schedule != "cyclical" and config.beta_cycles != usual.beta_cycles:
        raise InputError(f"beta_schedule {schedule!r} has no cycles: leave beta_cycles out, or take 'cyclical'.")
    if schedule not in ("linear", "cosine") and config.beta_warmup is not None:
        raise InputError(
            f"beta_schedule {schedule!r} has no warm-up: leave beta_warmup out, or take 'linear' or 'cosine'."
        )


def _require_shape(config: TrainConfig, asked: VAEConfig, start: BetaVAE) -> VAEConfig:
    """The config of the model to start from; InputError for another shape, and for another kind of output."""
    theirs, ours = asdict(start.config), asdict(replace(asked, output=output_for(config.likelihood)))
    differ = [name for name in ours if ours[name] != theirs[name]]
    if differ:
        its, other = (", ".join(f"{name} {values[name]}" for name in differ) for values in (theirs, ours))
        raise InputError(
            f"the weights of the run {config.start_from!r} cannot be started from, because its model has {its}, "
            f"not {other}: leave these as that run has them, or leave start_from out."
        )
    return start.config
