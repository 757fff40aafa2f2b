"""The end of an epoch and of a run: scores on held-out pictures, the log, the sheets, the best checkpoint."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import NamedTuple

from vae_helpers.latent import encode_pictures
from vae_helpers.model import BetaVAE, held_out_loss, logged_terms, standardise_latents
from vae_helpers.runs import draw, load_run, write_projector
from vae_helpers.scores import Scores, evaluate, spread_rows
from vae_helpers.settings import beta_at, beta_is_final, learning_rate
from vae_helpers.train.loss_monitor import LossMonitor
from vae_helpers.train.saving import save_best
from vae_helpers.train.state import Training

STANDARDISED_BY = 512  # training pictures, evenly spread: a mean is then known to about 0.05 standard deviations


class FitResult(NamedTuple):
    """A trained model in eval mode (the run's best), its held-out scores, and whether the run reached its end."""

    model: BetaVAE
    scores: Scores
    finished: bool


def close_epoch(training: Training, monitor: LossMonitor, images_per_second: float) -> None:
    """Log the epoch's means, score on held-out pictures, draw the sheets, keep the best; all processes call this."""
    state = training.state
    means = (state.totals() / training.steps_per_epoch).tolist()
    state.sums = None
    state.epochs_closed += 1

    def close() -> tuple[float, int]:
        _log_means(training, means, images_per_second)
        _score_and_draw(training, monitor)
        return state.best, state.best_epoch

    state.best, state.best_epoch = state.processes.on_first(close)
    state.model.train()


def score_result(training: Training, trained: bool) -> FitResult:
    """Score the model that the run kept; a finished run is also entered among those to compare."""
    run, config, pictures, state = training.run, training.config, training.pictures, training.state
    model, _ = load_run(run, state.processes.device)
    finished = state.finished(config)
    # Whoever sends SIGTERM gives half a minute or so: a stopped run is scored on a part.
    rows = pictures.split.validation[: 256 if training.stop.asked and not finished else None]
    scores = evaluate(model, pictures.pictures, rows, **held_out_loss(asdict(config)))
    if finished and (trained or not (run.tensorboard / "projector_config.pbtxt").is_file()):
        settings = asdict(config) | model.config.as_dict()
        training.book.hyper_parameters(state.epochs_closed, settings, scores.as_dict())
        write_projector(model, pictures, training.book)
    # Only a copy on the CPU can be handed to other processes.
    return FitResult(model if state.processes.size == 1 else model.cpu(), scores, finished)


def _log_means(training: Training, means: list[float], images_per_second: float) -> None:
    config, epoch = training.config, training.state.epochs_closed
    reconstruction, kl, encoder, decoder, *others = means
    middle = (epoch - 0.5) / config.epochs
    training.book.scalars(
        epoch,
        {
            "total/train": reconstruction + (others[0] if others else config.beta * kl),
            "reconstruction/train": reconstruction,
            "kl/train": kl,
            **{f"{name}/train": value for name, value in zip(logged_terms(config.objective), others)},
            "gradient_norm/encoder": encoder,
            "gradient_norm/decoder": decoder,
            "learning_rate": learning_rate(config, middle),
            "beta": beta_at(config, middle),
            "images_per_second": images_per_second,
        },
    )


def _kept_model(training: Training) -> BetaVAE:
    """What is scored, drawn and kept: the weights of now, with latents on the scale of their prior."""
    model, pictures = copy.deepcopy(training.state.eval_model).eval(), training.pictures
    rows = spread_rows(pictures.split.train, STANDARDISED_BY)
    if training.state.objective.standardises and len(rows) > 1:
        standardise_latents(model, *encode_pictures(model, pictures.pictures[rows]))
    return model


def _score_and_draw(training: Training, monitor: LossMonitor) -> None:
    config, pictures, state = training.config, training.pictures, training.state
    epoch, last, held_out = state.epochs_closed, state.finished(config), pictures.split.validation
    to_score, to_draw = (last or epoch % every == 0 for every in (config.evaluate_every, config.pictures_every))
    if not (to_score or to_draw):
        return
    model = _kept_model(training)
    if to_score:
        scores = evaluate(model, pictures.pictures, held_out, **held_out_loss(asdict(config)))
        monitor.check_scores(epoch, scores)
        names = ("total", "reconstruction", "kl", "psnr", "active_units")
        training.book.scalars(epoch, {f"{name}/held_out": getattr(scores, name) for name in names})
        training.book.histogram(epoch, "kl_per_dimension", scores.summary.kl)
        # Always scored at the run's own weights, but a model still trained at others is no candidate.
        progress = epoch / config.epochs
        comparable = beta_is_final(config, progress) and state.objective.schedule_ended(progress)
        if scores.total < state.best and comparable:
            state.best, state.best_epoch = scores.total, epoch
            save_best(training.run, state, config, pictures, scores.as_dict(), model)
    if to_draw:
        draw(model, pictures.pictures[held_out[:100]], training.run, epoch, config.seed, training.book)
