"""Training: a recipe that makes the specified numbers work, and a run that ends cleanly whatever happens."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import NamedTuple

import torch
from torch import Tensor

from vae_helpers.data import PictureSet, to_float
from vae_helpers.errors import InputError, within_limits
from vae_helpers.files import say
from vae_helpers.model import (
    OBJECTIVES,
    BetaVAE,
    Codes,
    Moment,
    VAEConfig,
    distortion,
    held_out_loss,
    kl_per_dimension,
    logged_terms,
    wants_activation,
)
from vae_helpers.runs import Logbook, Run, draw, load_run, write_projector
from vae_helpers.scores import Scores, evaluate
from vae_helpers.settings import TrainConfig, beta_at, beta_is_final, learning_rate
from vae_helpers.train.batches import Batch, feed, noise_for, resident
from vae_helpers.train.compiling import compile_network, decide_compile, describe_engine
from vae_helpers.train.guard import Guard
from vae_helpers.train.interrupt import Bar, Stop
from vae_helpers.train.pace import TimeLeft
from vae_helpers.train.processes import World, open_world
from vae_helpers.train.state import (
    State,
    claimed,
    fresh,
    require_equal,
    require_same,
    rescue,
    resumed,
    save_best,
    save_last,
    together,
)

_SAVE_EVERY = float(os.environ.get("VAE_SAVE_EVERY", 120.0))  # seconds between checkpoints: what a power cut may cost
# tqdm's own time left knows of steps only; ours, at the end of the line, of scores and sheets too.
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}, {rate_fmt}{postfix}]"
_LOOK_EVERY = 20  # steps: reading a number back makes a GPU wait, so only now and then


class Fit(NamedTuple):
    """A trained model in eval mode (the run's best), its held-out scores, and whether the run reached its end."""

    model: BetaVAE
    scores: Scores
    finished: bool


def fit(
    pictures: PictureSet,
    run: Run,
    config: TrainConfig | None = None,
    model_config: VAEConfig | None = None,
    *,
    device: str | torch.device | None = None,
    resume: bool = False,
    progress: bool = True,
    stop_after: int | None = None,
    other_pictures: bool = False,
) -> Fit:
    """Train a β-VAE on `pictures`, leaving checkpoints, a TensorBoard log and picture sheets under the run's name.

    A run whose name exists is continued with `resume` (under its own settings: others are refused, but `config.epochs`
    may raise its length) and otherwise refused: nothing is overwritten. Ctrl-C, SIGTERM and SIGHUP end it after the step
    in hand, with a checkpoint; `stop_after` ends it after that epoch. In `exact` mode such a run, resumed, equals an
    uninterrupted one bit for bit.
    A run goes on with its own pictures only, wherever they lie, unless `other_pictures` insists.
    Raising `epochs` is something else, an extension: the schedules are spread over the new length, and the run goes on
    from where it stands in them, so the learning rate rises again. Under `torchrun` every process calls this.
    Raises InputError for a name or run in use, a set that does not fit, a loss that runs away, a full disk.
    """
    if stop_after is not None and stop_after < 1:
        raise InputError(f"stop_after is {stop_after}, but must be 1 or above: one epoch is the least.")
    world, state = open_world(device), None
    with (
        Stop(patient=world.size > 1).listening() as stop,
        ExitStack() as held,
        together(world, run, lambda: state and rescue(run, state, config, pictures)),
    ):
        resume = world.first(lambda: held.enter_context(claimed(run, resume)) or resume)
        require_equal(world, pictures)
        state, config, threads, pictures = _prepared(pictures, run, config, model_config, resume, world, other_pictures)
        _require_fitting(state, pictures, config)
        book = Logbook(run.tensorboard, first_epoch=state.epochs_closed + 1)
        limits = within_limits(
            f"training with {config.num_samples} × {config.batch_size} pictures a step",
            "start a run with a smaller batch_size (--batch-size), num_samples or image size",
        )
        with book, _exactly(config, world, threads), limits:
            if not resume:  # a run that cannot be saved ends here, and one that is killed can be resumed from here on
                save_last(run, state, config, pictures, book)
            found = state.step, state.epochs_closed
            _epochs(state, pictures, run, config, book, stop, stop_after, progress and world.rank == 0)
            trained = (state.step, state.epochs_closed) != found
            if trained:
                with stop.saving():
                    save_last(run, state, config, pictures, book)
            result = world.first(lambda: _result(state, pictures, run, config, book, stop, trained))
        return result._replace(model=result.model.to(world.device))


def _prepared(
    pictures: PictureSet,
    run: Run,
    config: TrainConfig | None,
    model_config: VAEConfig | None,
    resume: bool,
    world: World,
    other_pictures: bool,
) -> tuple[State, TrainConfig, int, PictureSet]:
    """The run as it begins or goes on, its settings, the CPU threads to sum with, and the pictures in their parts."""
    if resume:
        state, kept, threads, pictures = resumed(run, config.epochs if config else 0, pictures, world, other_pictures)
        require_same(run, kept, state.model.config, config, model_config)
        return state, kept, threads, pictures
    config = config or TrainConfig()
    to_see = config.epochs * len(pictures.split.train)
    config = replace(config, compile=decide_compile(config, to_see, world.device))
    model_config = model_config or VAEConfig(image_size=pictures.pictures.shape[1])
    return fresh(config, model_config, world, len(pictures.split.train)), config, torch.get_num_threads(), pictures


def _epochs(
    state: State,
    pictures: PictureSet,
    run: Run,
    config: TrainConfig,
    book: Logbook,
    stop: Stop,
    stop_after: int | None,
    progress: bool,
) -> None:
    """Run from wherever `state` stands to the last epoch, or to the step at which a stop is asked for."""
    train, world = pictures.split.train, state.world
    per_epoch = max(1, len(train) // config.batch_size)
    total = per_epoch * config.epochs
    guard = Guard(run, config, state.model.config.image_size)
    # Processes must agree on the step they stop at. Agreeing is cheap beside a CPU's step, not beside a GPU's.
    agree_every = 1 if world.size == 1 or world.device.type == "cpu" else _LOOK_EVERY
    held = resident(pictures.pictures, world.device)
    compiled = _compile(state, config, len(train), progress)
    saved = time.monotonic()
    left = TimeLeft(config, per_epoch, len(pictures.split.validation))
    with Bar(
        total=total, initial=state.step, unit="step", disable=not progress, mininterval=0.5, bar_format=_BAR
    ) as bar:
        if progress and state.step < total:
            bar.write(describe_engine(config, config.epochs * len(train), world.device, held is not None, compiled))
        while not state.finished(config) and not (stop_after and state.epochs_closed >= stop_after):
            epoch, began, first_step = state.epochs_closed, time.monotonic(), state.step
            shown = pictures.pictures if held is None else held
            for batch in feed(shown, train, config, epoch, state.step - epoch * per_epoch, world):
                _step(state, batch, config, state.step / total)
                state.follow(config.ema)
                bar.update()
                left.stepped()
                asked = due = False
                if state.step % agree_every == 0:
                    asked, due = world.any(stop.asked, time.monotonic() - saved > _SAVE_EVERY)
                if state.step == 1 or state.step % _LOOK_EVERY == 0 or asked or due:
                    _look(bar, guard, left, state, epoch, per_epoch, config)
                if asked:
                    if world.rank == 0:
                        bar.write(
                            f"Stopped after step {state.step:,} of {total:,}; resume the run {run.name!r} to go on."
                        )
                    return
                if due:
                    with stop.saving():
                        save_last(run, state, config, pictures, book)
                    saved = time.monotonic()
            _look(bar, guard, left, state, epoch, per_epoch, config)
            speed = (state.step - first_step) * config.batch_size / (time.monotonic() - began)
            _close_epoch(state, pictures, run, config, book, guard, per_epoch, speed)
            left.closed(state.epochs_closed)


def _compile(state: State, config: TrainConfig, pictures: int, progress: bool) -> bool:
    """Whether the run's steps are compiled from now on."""
    if not config.compile or state.finished(config):
        return False
    if progress:
        say("Compiling the network takes a minute or two …")
    return compile_network(state.model, config, pictures, state.world)


def _step(state: State, batch: Batch, config: TrainConfig, progress: float) -> None:
    """One optimiser step on this process's share of a batch; `progress` in [0, 1) is that of the run."""
    model, world, objective = state.model, state.world, state.objective
    at = Moment(beta_at(config, progress), progress, state.step)
    x = to_float(batch.pictures, world.device)
    noise = noise_for(batch, config.num_samples, model.config.latent_dim, config.seed, state.step, world.device)

    drawn, mu, logvar = state.network(x, noise, wants_activation(config.likelihood))
    codes = _whole_batch(world, batch, mu, logvar, noise) if objective.mixes else None

    reconstruction = distortion(config.likelihood, drawn, x, config.scale, world.total).mean()
    kl = kl_per_dimension(*(codes or (mu, logvar))[:2]).sum(dim=-1).mean()
    penalty, terms = objective.penalty(codes, kl, at)
    # Per pixel value, so that the clip fits every picture size. Gradients are averaged over the processes, whose shares
    # may differ by a picture: weighted like this the average is that of the whole batch.
    share = len(x) / batch.total
    loss = (reconstruction + penalty) * (share * world.size) / x[0].numel()

    state.optimizer.zero_grad()
    state.scaler.scale(loss).backward()

    state.scaler.unscale_(state.optimizer)
    # Each half is clipped by itself: a burst in the encoder must not stop the decoder from learning.
    norms = [torch.nn.utils.clip_grad_norm_(half.parameters(), config.clip) for half in (model.encoder, model.decoder)]

    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, progress)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    terms += objective.learn(codes, at, world.mean)

    values = torch.stack([reconstruction, kl, *norms, *([penalty] if terms else []), *terms]).detach() * share
    state.sums = values if state.sums is None else state.sums + values
    state.step += 1


def _whole_batch(world: World, batch: Batch, mu: Tensor, logvar: Tensor, noise: Tensor) -> Codes:
    """The codes of all processes' pictures, for a loss that mixes them."""
    z = BetaVAE.reparameterize(mu, logvar, noise)
    rows = world.gather(torch.cat([mu[None], logvar[None], z]).transpose(0, 1), batch.first, batch.total)
    mu, logvar, *z = rows.unbind(1)
    return Codes(mu, logvar, torch.stack(z))


def _look(
    bar: Bar, guard: Guard, left: TimeLeft, state: State, epoch: int, per_epoch: int, config: TrainConfig
) -> None:
    """Put the epoch's mean loss on the bar, and stop a run whose loss is no longer worth following."""
    steps, sums = state.step - epoch * per_epoch, state.totals().tolist()
    loss = guard.look(
        state.step,
        state.step / (per_epoch * config.epochs),
        steps,
        sums,
        state.first_loss,
        half_range=state.scaler.is_enabled(),
    )
    guard.weights(state.step, state.model)
    if state.first_loss is None:  # an epoch of one step is looked at twice, the second time with β's warm-up seen
        state.first_loss = loss
    bar.set_description(f"epoch {epoch + 1}/{config.epochs}")
    bar.set_postfix_str(
        f"reconstruction {sums[0] / steps:,.0f}, KL {sums[1] / steps:,.0f} nats, {left.words(state.step, epoch)}"
    )


def _close_epoch(
    state: State,
    pictures: PictureSet,
    run: Run,
    config: TrainConfig,
    book: Logbook,
    guard: Guard,
    per_epoch: int,
    speed: float,
) -> None:
    """Score on held-out pictures, write the log and the sheets, keep the best."""
    reconstruction, kl, encoder, decoder, *others = (state.totals() / per_epoch).tolist()
    state.sums, epoch = None, state.epochs_closed + 1  # epochs count from 1 wherever people look
    state.epochs_closed = epoch
    middle = (epoch - 0.5) / config.epochs

    def close() -> tuple[float, int]:
        book.scalars(
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
                "images_per_second": speed,
            },
        )
        last = state.finished(config)
        held_out = pictures.split.validation
        state.shown.eval()
        if epoch % config.evaluate_every == 0 or last:
            scores = evaluate(state.shown, pictures.pictures, held_out, **held_out_loss(asdict(config)))
            guard.held_out(epoch, scores)
            book.scalars(
                epoch,
                {
                    f"{name}/held_out": getattr(scores, name)
                    for name in ("total", "reconstruction", "kl", "psnr", "active_units")
                },
            )
            book.histogram(epoch, "kl_per_dimension", scores.summary.kl)
            # Always scored at the run's own weights, but a model still trained at others is no candidate.
            progress = epoch / config.epochs
            settled = beta_is_final(config, progress) and state.objective.settled(progress)
            if scores.total < state.best and settled:
                state.best, state.best_epoch = scores.total, epoch
                save_best(run, state, config, pictures, scores.as_dict())
        if epoch % config.pictures_every == 0 or last:
            draw(state.shown, pictures.pictures[held_out[:100]], run, epoch, config.seed, book)
        return state.best, state.best_epoch

    state.best, state.best_epoch = state.world.first(close)
    state.model.train()


def _result(
    state: State, pictures: PictureSet, run: Run, config: TrainConfig, book: Logbook, stop: Stop, trained: bool
) -> Fit:
    """Score the model that the run kept; a finished run is also entered among those to compare."""
    model, _ = load_run(run, state.world.device)
    finished = state.finished(config)
    # Whoever sends SIGTERM gives half a minute or so: a stopped run is scored on a part.
    rows = pictures.split.validation[: 256 if stop.asked and not finished else None]
    scores = evaluate(model, pictures.pictures, rows, **held_out_loss(asdict(config)))
    if finished and (trained or not (run.tensorboard / "projector_config.pbtxt").is_file()):
        settings = asdict(config) | model.config.as_dict()
        book.hyper_parameters(state.epochs_closed, settings, scores.as_dict())
        write_projector(model, pictures, book)
    # Only a copy on the CPU can be handed to other processes.
    return Fit(model if state.world.size == 1 else model.cpu(), scores, finished)


def _require_fitting(state: State, pictures: PictureSet, config: TrainConfig) -> None:
    size, shape = state.model.config.image_size, pictures.pictures.shape[1:]
    if shape != (size, size, 3):
        raise InputError(
            f"pictures of {shape[:2]} pixels do not fit a model for {size}×{size}: open them with image_size={size}."
        )
    smallest = min(config.batch_size, len(pictures.split.train))
    if smallest < state.world.size:
        raise InputError(
            f"a batch of {smallest} pictures cannot be shared by {state.world.size} processes: "
            "start fewer, or use a larger batch."
        )
    if smallest < 2 and OBJECTIVES[config.objective].mixes:
        raise InputError(
            f"objective {config.objective!r} looks at a batch as a whole, but there is {smallest} picture to "
            "train on: give it at least 2, or take the objective 'beta'."
        )


@contextmanager
def _exactly(config: TrainConfig, world: World, threads: int) -> Iterator[None]:
    """Let equal steps give equal bits inside the block: deterministic GPU kernels, and as many CPU threads as before.

    A sum is rounded differently when another number of threads shares it. Over processes nothing of this would hold.
    """
    exact = world.size == 1 and (world.device.type == "cpu" if config.exact is None else config.exact)
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    try:
        if exact:
            torch.set_num_threads(threads)
        if world.device.type == "cuda":
            torch.backends.cudnn.benchmark = not exact  # batches of one shape: worth a search for the fastest kernel
            if exact:
                torch.use_deterministic_algorithms(True)
                _require_exact_products(world.device)
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = before[2]


def _require_exact_products(device: torch.device) -> None:
    try:
        torch.ones(1, 1, device=device) @ torch.ones(1, 1, device=device)
    except RuntimeError:
        raise InputError(
            "exact results on a GPU ask for CUBLAS_WORKSPACE_CONFIG=:4096:8 before its first use, which this "
            "session has behind it: restart the notebook and train first, or leave exact out."
        ) from None
