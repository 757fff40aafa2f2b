"""One optimiser step, from a batch of bytes to new weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from vae_helpers.data import to_float
from vae_helpers.model import BetaVAE, Codes, StepInfo, distortion, kl_per_dimension, wants_activation
from vae_helpers.settings import TrainConfig, beta_at, learning_rate
from vae_helpers.train.batches import Batch, noise_for
from vae_helpers.train.processes import Processes
from vae_helpers.train.state import State


def train_step(state: State, batch: Batch, config: TrainConfig, progress: float) -> None:
    """One step on this process's share of a global batch; `progress` in [0, 1) is that of the run."""
    model, objective, processes = state.model, state.objective, state.processes
    info = StepInfo(beta_at(config, progress), progress, state.step)

    # Batch: floats in [-1, 1] on the device, and the noise of the latent samples.
    x = to_float(batch.pictures, processes.device)
    noise = noise_for(batch, config.num_samples, model.config.latent_dim, config.seed, state.step, processes.device)

    # Forward: encode, sample, decode. Some objectives also need the codes of all processes.
    output, mu, logvar = state.network(x, noise, wants_activation(config.likelihood), objective.infer)
    codes = _codes_of_all(processes, batch, mu, logvar, noise) if objective.mixes else None

    # Loss: reconstruction + penalty, in nats a picture.
    reconstruction = distortion(config.likelihood, output, x, config.scale, processes.total).mean()
    kl = kl_per_dimension(*(codes[:2] if codes else (mu, logvar))).sum(dim=-1).mean()
    penalty, terms = objective.penalty(codes, kl, info)
    loss = reconstruction + penalty

    # Backward: per pixel value, so that the clip fits every picture size, and weighted by the share of the batch, since
    # gradients are averaged over processes whose shares may differ by a picture.
    share = len(x) / batch.total
    state.optimizer.zero_grad()
    state.scaler.scale(loss * (share * processes.size) / x[0].numel()).backward()

    # Clip: each half by itself, so that a burst in the encoder does not stop the decoder from learning.
    state.scaler.unscale_(state.optimizer)
    norms = [clip_grad_norm_(half.parameters(), config.clip) for half in (model.encoder, model.decoder)]

    # Step, at the rate that the schedule has here. What the objective learns by itself, such as FactorVAE's
    # discriminator, comes before: processes wait for each other there, and weights must not have moved by then.
    terms = terms + objective.learn(codes, info, processes.mean)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(config, progress)
    state.scaler.step(state.optimizer)
    state.scaler.update()

    # Log: sums on the device, read back only now and then.
    state.add_to_sums([reconstruction, kl, *norms, *([penalty] if terms else []), *terms], share)
    state.step += 1


def _codes_of_all(processes: Processes, batch: Batch, mu: Tensor, logvar: Tensor, noise: Tensor) -> Codes:
    """The codes of all processes' pictures, for a loss that mixes them."""
    z = BetaVAE.reparameterize(mu, logvar, noise)
    rows = processes.gather(torch.cat([mu[None], logvar[None], z]).transpose(0, 1), batch.first, batch.total)
    mu, logvar, *z = rows.unbind(1)
    return Codes(mu, logvar, torch.stack(z))
