"""Training: a recipe that makes the specified numbers work, and a run that ends cleanly whatever happens."""

from __future__ import annotations

import math
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm.auto import tqdm

from vae_helpers.checkpoint import Run, load_checkpoint, load_run, save_checkpoint
from vae_helpers.data import PictureSet, batches, to_float
from vae_helpers.errors import InputError
from vae_helpers.export import save_png, tile
from vae_helpers.latent import reconstruct, sample_prior
from vae_helpers.logbook import Logbook
from vae_helpers.losses import beta_vae_loss
from vae_helpers.metrics import Scores, evaluate
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.recipe import TrainConfig, learning_rate, pick_device, pick_half

_SAVE_EVERY = 120.0  # seconds between checkpoints: what a power cut may cost


@dataclass
class _State:
    """What changes while a run trains; all of it goes into last.pt."""

    model: BetaVAE
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler  # keeps float16 gradients in range; switched off for the other types
    step: int = 0
    best: float = math.inf  # lowest held-out loss so far
    sums: torch.Tensor | None = None  # this epoch's totals of reconstruction, KL and two gradient norms


class Fit(NamedTuple):
    """A trained model in eval mode (the run's best), its held-out scores, and whether the run reached its end."""

    model: BetaVAE
    scores: Scores
    finished: bool


def fit(pictures: PictureSet, run: Run, config: TrainConfig | None = None, model_config: VAEConfig | None = None, *,
        device: str | torch.device | None = None, resume: bool = False, progress: bool = True) -> Fit:
    """Train a β-VAE on `pictures`, leaving checkpoints, a TensorBoard log and picture sheets under the run's name.

    A run whose name exists is continued with `resume` (its own settings count, only `epochs` may be raised) and
    otherwise refused: nothing is overwritten. Ctrl-C and SIGTERM end it after the step in hand, with a checkpoint.
    Raises InputError for a name in use, a set that does not fit, a loss that is no longer a number, a full disk.
    """
    config, device = config or TrainConfig(), pick_device(device)
    if run.exists() and not resume:
        raise InputError(f"a run called {run.name!r} exists in {run.models}: resume it, or choose another name "
                         "(nothing was changed).")
    if resume:
        state, config = _resumed(run, config, pictures, device)
    else:
        state = _fresh(config, model_config or VAEConfig(image_size=pictures.pictures.shape[1]), device)
    size = state.model.config.image_size
    if pictures.pictures.shape[1:] != (size, size, 3):
        raise InputError(f"pictures of {pictures.pictures.shape[1:3]} pixels do not fit a model for {size}×{size}: "
                         f"open them with image_size={size}.")
    state.model.set_half(pick_half(device))
    with _Stop().listening() as stop:
        _epochs(state, pictures, run, config, stop, progress)
    _save(run.last, state, config, pictures)
    if not run.best.is_file():
        _save(run.best, state, config, pictures, with_optimizer=False)
    model, _ = load_run(run, device)
    scores = evaluate(model, pictures.pictures, pictures.split.validation, config.beta)
    return Fit(model, scores, finished=not stop.asked)


def _epochs(state: _State, pictures: PictureSet, run: Run, config: TrainConfig, stop: "_Stop", progress: bool) -> None:
    """Run from wherever `state` stands to the last epoch, or to the step at which a stop is asked for."""
    train, held_out = pictures.split.train, pictures.split.validation
    per_epoch = max(1, len(train) // config.batch_size)
    total = per_epoch * config.epochs
    first = state.step // per_epoch
    book = Logbook(run.tensorboard, first_epoch=first + 1)
    saved = time.monotonic()
    with tqdm(total=total, initial=state.step, unit="step", disable=not progress, mininterval=0.5) as bar:
        for epoch in range(first, config.epochs):
            began, first_step = time.monotonic(), state.step
            for batch in batches(pictures.pictures, train, config.batch_size, config.seed, epoch,
                                 start=state.step - epoch * per_epoch, flip=config.flip):
                _step(state, batch, config, state.step / total)
                bar.update()
                if state.step % 20 == 0 or stop.asked:  # reading a number back makes a GPU wait, so only now and then
                    _show(bar, state, epoch, per_epoch, config, run)
                    if time.monotonic() - saved > _SAVE_EVERY:
                        _save(run.last, state, config, pictures)
                        saved = time.monotonic()
                if stop.asked:
                    bar.write(f"Stopped after step {state.step:,} of {total:,}; resume the run {run.name!r} to go on.")
                    book.close()
                    return
            _show(bar, state, epoch, per_epoch, config, run)
            speed = (state.step - first_step) * config.batch_size / (time.monotonic() - began)
            _close_epoch(state, epoch + 1, book, pictures, held_out, run, config, per_epoch, speed)
    book.close()


def _step(state: _State, batch: torch.Tensor, config: TrainConfig, progress: float) -> None:
    """One optimiser step on a batch of uint8 pictures (N, H, W, 3)."""
    model, device = state.model, next(state.model.parameters()).device
    x = to_float(batch, device)
    # The noise is a function of (seed, step) alone, so a resumed run draws what the uninterrupted one would have.
    generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + state.step)
    noise = torch.randn(config.num_samples, len(x), model.config.latent_dim, generator=generator, device=device)
    x_hat, mu, logvar = model(x, noise)
    loss = beta_vae_loss(x_hat, x, mu, logvar, config.beta * min(1.0, progress / config.warmup if config.warmup else 1.0))
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, progress)
    state.optimizer.zero_grad()
    state.scaler.scale(loss.total / x[0].numel()).backward()  # per pixel value: the clip then fits every picture size
    state.scaler.unscale_(state.optimizer)
    # Each half is clipped by itself: a burst in the encoder must not stop the decoder from learning.
    norms = [torch.nn.utils.clip_grad_norm_(half.parameters(), config.clip) for half in (model.encoder, model.decoder)]
    state.scaler.step(state.optimizer)
    state.scaler.update()
    values = torch.stack([loss.reconstruction, loss.kl, *norms]).detach()
    state.sums = values if state.sums is None else state.sums + values
    state.step += 1


def _show(bar: tqdm, state: _State, epoch: int, per_epoch: int, config: TrainConfig, run: Run) -> None:
    """Put the epoch's mean loss on the bar, and stop a run whose loss is no longer a number."""
    steps = state.step - epoch * per_epoch
    reconstruction, kl, *_ = (state.sums / steps).tolist()
    for name, value in (("reconstruction", reconstruction), ("KL", kl)):
        if not math.isfinite(value):
            kept = f"the last good checkpoint is {run.last}" if run.last.is_file() else "no checkpoint had been written yet"
            raise InputError(f"the {name} term became {value} by step {state.step}, so training stopped ({kept}): "
                             f"try a learning rate below {config.lr}.")
    bar.set_description(f"epoch {epoch + 1}/{config.epochs}")
    bar.set_postfix_str(f"reconstruction {reconstruction:,.0f}, KL {kl:,.0f} nats")


def _close_epoch(state: _State, epoch: int, book: Logbook, pictures: PictureSet, held_out: np.ndarray, run: Run,
                 config: TrainConfig, per_epoch: int, speed: float) -> None:
    """Score on held-out pictures, write the log and the sheets, keep the best; `epoch` counts from 1."""
    reconstruction, kl, encoder, decoder = (state.sums / per_epoch).tolist()
    state.sums = None
    book.scalars(epoch, {
        "total/train": reconstruction + config.beta * kl, "reconstruction/train": reconstruction, "kl/train": kl,
        "gradient_norm/encoder": encoder, "gradient_norm/decoder": decoder,
        "learning_rate": learning_rate(config, (epoch - 0.5) / config.epochs), "images_per_second": speed})
    state.model.eval()
    if epoch % config.evaluate_every == 0 or epoch == config.epochs:
        scores = evaluate(state.model, pictures.pictures, held_out, config.beta)
        book.scalars(epoch, {f"{name}/held_out": getattr(scores, name)
                             for name in ("total", "reconstruction", "kl", "psnr", "active_units")})
        if scores.total < state.best:
            state.best = scores.total
            _save(run.best, state, config, pictures, with_optimizer=False, scores=scores.as_dict())
    if epoch % config.pictures_every == 0 or epoch == config.epochs:
        _draw(state.model, pictures.pictures[held_out[:100]], run, epoch, config.seed, book)
    book.flush()
    state.model.train()


def _draw(model: BetaVAE, originals: np.ndarray, run: Run, epoch: int, seed: int, book: Logbook) -> None:
    """100 samples from the prior and up to 100 reconstructions, one file each, and a sheet of either."""
    for name, drawn in (("generated", sample_prior(model, 100, seed)), ("reconstructed", reconstruct(model, originals))):
        folder = run.generated_images / f"epoch_{epoch:04d}"
        for i, picture in enumerate(drawn):
            save_png(picture, folder / name / f"{i:03d}.png")
        sheet = tile(drawn, columns=10)
        save_png(sheet, folder / f"{name}.png")
        book.picture(epoch, name, sheet)


def _fresh(config: TrainConfig, model_config: VAEConfig, device: torch.device) -> _State:
    with torch.random.fork_rng(devices=[]):  # the seed decides this model, and nothing else in the session
        torch.manual_seed(config.seed)
        model = BetaVAE(model_config)
    return _state(model.to(device), config, device)


def _state(model: BetaVAE, config: TrainConfig, device: torch.device) -> _State:
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, fused=device.type in ("cpu", "cuda"))
    scaler = torch.amp.GradScaler(device.type, enabled=pick_half(device) == torch.float16)
    return _State(model.train(), optimizer, scaler)


def _resumed(run: Run, config: TrainConfig, pictures: PictureSet, device: torch.device) -> tuple[_State, TrainConfig]:
    """The state in last.pt, and its settings with `epochs` raised if asked for."""
    model, saved = load_checkpoint(run.last, device)
    if saved["data"] != _describe(pictures):
        raise InputError(f"the run {run.name!r} was trained on {saved['data']}, but these pictures are "
                         f"{_describe(pictures)}: resume it with the same data.")
    kept = TrainConfig(**saved["train_config"])
    state = _state(model, kept, device)
    state.optimizer.load_state_dict(saved["optimizer"])
    state.scaler.load_state_dict(saved["scaler"])
    state.step, state.best, state.sums = saved["step"], saved["best"], saved["sums"]
    return state, replace(kept, epochs=max(kept.epochs, config.epochs))


def _save(path: Path, state: _State, config: TrainConfig, pictures: PictureSet, with_optimizer: bool = True, **entries) -> None:
    if with_optimizer:
        entries |= {"optimizer": state.optimizer.state_dict(), "scaler": state.scaler.state_dict(), "sums": state.sums}
    save_checkpoint(path, state.model, train_config=asdict(config), data=_describe(pictures), step=state.step,
                    best=state.best, **entries)


def _describe(pictures: PictureSet) -> dict:
    """What tells one picture set from another, in plain types."""
    return {"name": pictures.name, "pictures": len(pictures), "request": pictures.request}


class _Stop:
    """Remembers Ctrl-C and SIGTERM, so that the step in hand ends and a checkpoint is written."""

    def __init__(self):
        self.asked = False

    @contextmanager
    def listening(self):
        if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
            yield self
            return
        previous = {s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _ask(self, number, frame):
        if self.asked and number == signal.SIGINT:  # a second Ctrl-C means it
            raise KeyboardInterrupt
        self.asked = True
