"""What a run minimises besides the reconstruction term, by name: one small class each.

Every loss is `-log p(x|z) + penalty`, in nats per picture. Each class says what `TrainConfig.beta`, with its schedules,
weights in it, and has knobs of its own with their defaults. A published weight belongs to its paper's reconstruction
term: with another one it needs the same factor as a β, see `losses.translate_beta`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call

from vae_helpers.model.device import seeded
from vae_helpers.model.divergences import (
    Discriminator,
    decompose,
    minibatch_weights,
    mmd,
    permute_latents,
    stratified_weights,
)
from vae_helpers.settings import as_seed, default_knobs


class Codes(NamedTuple):
    """q(z|x) of B pictures and K samples of each: mu and logvar (B, Z), z (K, B, Z)."""

    mu: Tensor
    logvar: Tensor
    z: Tensor


Encode: TypeAlias = Callable[[Tensor], tuple[Tensor, Tensor]]
Infer: TypeAlias = Callable[[Encode, Tensor], tuple[Tensor, Tensor]]


class StepInfo(NamedTuple):
    """A step of a run: the β in force, progress in [0, 1), and its number, from which random numbers follow."""

    beta: float = 1.0
    progress: float = 0.0
    step: int = 0


class Objective:
    """What all have in common. `pictures` is the size N of the training set; `knobs` replaces some of the defaults."""

    name: str  # as settings call it, see `ranges.KNOBS`
    terms: tuple[str, ...] = ()  # what it logs besides reconstruction and KL: those of `penalty`, then those of `learn`
    infer: Infer | None = None  # `(mu, logvar)` of pictures, given what encodes them; None: each picture by itself
    group = 1  # rows of a batch that belong together
    standardises = True  # whether it is no larger once latents have mean 0 and variance 1, see `standardise_latents`
    mixes = True  # whether a picture's loss depends on the others of its batch, which processes must then share

    def __init__(
        self,
        latent_dim: int,
        knobs: Mapping[str, float] | None = None,
        pictures: int = 0,
        seed: int = 0,
        device: str | torch.device = "cpu",
    ):
        self.knobs = default_knobs(self.name) | dict(knobs or {})
        self.pictures, self.seed, self.device = pictures, seed, torch.device(device)

    def penalty(self, codes: Codes | None, kl: Tensor, info: StepInfo) -> tuple[Tensor, list[Tensor]]:
        """What is added to the reconstruction term, given the batch's mean `kl`; also the terms to log.

        `codes` are those of the whole batch, of all processes; None where the objective does not mix them.
        """
        raise NotImplementedError

    def learn(self, codes: Codes | None, info: StepInfo, mean: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Learn from the batch, once the model's gradients are taken; `mean` is over processes. More terms to log."""
        return []

    def schedule_ended(self, progress: float) -> bool:
        """Whether the penalty's own schedule has ended, so that models may be compared; β's schedule aside."""
        return True

    @staticmethod
    def held_out(knobs: Mapping[str, float], beta: float) -> tuple[float, float]:
        """`(w, C)` of `recon + w·|KL - C|`, by which the best model is told on held-out pictures.

        Unless an objective is made of these two terms, it's the negative ELBO, w = 1: estimates from a batch depend on
        its size, and a discriminator's on how far it has come, so neither compares from epoch to epoch.
        """
        return 1.0, 0.0

    def state_dict(self) -> dict:
        """What `learn` has learnt, for a checkpoint."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a checkpoint."""

    def _generator(self, info: StepInfo) -> torch.Generator:
        """Random numbers that follow from (seed, step), and are not those of the latent noise."""
        return torch.Generator(self.device).manual_seed(as_seed(2**40 + self.seed * 1_000_003 + info.step))


class Beta(Objective):
    """β-VAE-H: `β·KL` (Higgins 2017, eq. 4)."""

    name = "beta"
    mixes = False

    def penalty(self, codes, kl, info):
        return info.beta * kl, []

    @staticmethod
    def held_out(knobs, beta):
        return beta, 0.0


class Capacity(Objective):
    """β-VAE-B: `β·γ·|KL - C|` (Burgess 2018, eq. 8), KL the mean over the batch; β is 1 unless it should warm γ up.

    C grows linearly with every step over the first `rise` of the run to `capacity` nats, and stays. The defaults are
    the paper's for dSprites (γ 1000, 25 nats; a third of the run as in disentanglement_lib): photos need more nats.
    """

    name = "capacity"
    standardises = False
    terms = ("capacity", "capacity_gap")

    def capacity(self, progress: float) -> float:
        """C in nats at `progress` of the run."""
        rise = self.knobs["rise"]
        return self.knobs["capacity"] * (min(1.0, progress / rise) if rise else 1.0)

    def penalty(self, codes, kl, info):
        capacity = self.capacity(info.progress)
        gap = (kl - capacity).abs()
        return info.beta * self.knobs["gamma"] * gap, [kl.new_full((), capacity), gap]

    def schedule_ended(self, progress):
        return progress >= self.knobs["rise"]

    @staticmethod
    def held_out(knobs, beta):
        return beta * knobs["gamma"], knobs["capacity"]


class TC(Objective):
    """β-TCVAE: `α·I(x; z) + β·TC + γ·Σ_j KL(q(z_j) ‖ p)` (Chen 2018, eq. 4), minibatch-weighted; there α = γ = 1.

    The estimates leave out Chen's ln N in each log q (sec. 3.1), which no gradient sees and whose 127-fold would stand
    in the logged TC of 128 latents; so I(x; z) is at most ln B here, and what it lacks stands in the other two parts.
    """

    name = "tc"
    terms = ("mutual_information", "total_correlation", "dimension_wise_kl")

    _uploaded: Tensor | None = None  # on the device; all batches of a run have one size

    def weights(self, batch: int) -> Tensor:
        """Log-weights of a batch's pictures in q(z), (batch, batch)."""
        return minibatch_weights(batch, pictures=1)

    def penalty(self, codes, kl, info):
        if self._uploaded is None or len(self._uploaded) != len(codes.mu):
            self._uploaded = self.weights(len(codes.mu)).to(codes.mu.device)
        parts = decompose(codes.z, codes.mu, codes.logvar, self._uploaded)
        factors = self.knobs["alpha"], info.beta, self.knobs["gamma"]
        return sum(factor * part for factor, part in zip(factors, parts)), list(parts)


class StratifiedTC(TC):
    """β-TCVAE as `tc`, with the weights that make q(z) unbiased (Chen 2018, App. C.2), so I(x; z) is at most ln N."""

    name = "tc-stratified"

    def weights(self, batch: int) -> Tensor:
        return stratified_weights(batch, max(self.pictures, batch))


class Factor(Objective):
    """FactorVAE: `β·KL + γ·TC`, TC by a discriminator (Kim & Mnih 2018, eq. 2 and Alg. 2); the paper has β = 1.

    γ = 6.4 is what reimplementations take for photos (the paper swept it; 35 on dSprites). The discriminator tells real
    codes from the same batch's codes permuted, where Alg. 2 would encode a second batch for it. `layers`, `width`,
    `learning_rate` and Adam's moments are the paper's. Its loss begins at ln 2 = 0.69 nats: it knows nothing.
    """

    name = "factor"
    terms = ("total_correlation", "discriminator_loss")

    def __init__(self, latent_dim, knobs=None, pictures=0, seed=0, device="cpu"):
        super().__init__(latent_dim, knobs, pictures, seed, device)
        with seeded(as_seed(2**40 + seed)):
            self.discriminator = Discriminator(latent_dim, int(self.knobs["layers"]), int(self.knobs["width"]))
        self.discriminator.to(device)
        rate = self.knobs["learning_rate"]
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), rate, betas=(0.5, 0.9))

    def penalty(self, codes, kl, info):
        # With constant weights: this step teaches the encoder, and must leave no gradient in the discriminator.
        constant = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        tc = functional_call(self.discriminator, constant, codes.z.float()).mean()
        return info.beta * kl + self.knobs["gamma"] * tc, [tc]

    def discriminator_loss(self, z: Tensor, info: StepInfo) -> Tensor:
        """Cross entropy in nats of telling codes (K, B, Z) from permuted ones; no gradient reaches their encoder."""
        real, generator = z.detach().float(), self._generator(info)
        permuted = torch.stack([permute_latents(sample, generator) for sample in real])
        odds = torch.stack([self.discriminator(real), -self.discriminator(permuted)])
        return F.softplus(-odds).mean()

    def learn(self, codes, info, mean):
        loss = self.discriminator_loss(codes.z, info)
        self.optimizer.zero_grad()
        loss.backward()
        for weight in self.discriminator.parameters():
            weight.grad = mean(weight.grad)  # equal up to rounding: this keeps the processes from drifting apart
        self.optimizer.step()
        return [loss]

    def state_dict(self):
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])


class DIP1(Objective):
    """DIP-VAE-I: `β·KL + λ_od·Σ_{i≠j} C_ij² + λ_d·Σ_i (C_ii - 1)²`, C the covariance of μ (Kumar 2018, eq. 6).

    `off_diagonal` is λ_od, `diagonal` λ_d, ten times it as in the paper. The two logged sums are squares of
    covariances, not nats.
    """

    name = "dip-1"
    standardises = False
    terms = ("covariance_off_diagonal", "covariance_diagonal")

    def covariance(self, codes: Codes) -> Tensor:
        """The matrix (Z, Z) that should be the identity."""
        centred = codes.mu.float() - codes.mu.float().mean(dim=0)
        return centred.T @ centred / len(centred)

    def penalty(self, codes, kl, info):
        covariance = self.covariance(codes)
        diagonal = covariance.diagonal()
        off = (covariance - torch.diag_embed(diagonal)).square().sum()
        on = (diagonal - 1).square().sum()
        return info.beta * kl + self.knobs["off_diagonal"] * off + self.knobs["diagonal"] * on, [off, on]


class DIP2(DIP1):
    """DIP-VAE-II: the same with `Cov_q(z) = E[diag(σ²)] + Cov(μ)`, the codes' own covariance (Kumar 2018, eq. 7)."""

    name = "dip-2"
    standardises = True

    def covariance(self, codes: Codes) -> Tensor:
        return super().covariance(codes) + torch.diag_embed(codes.logvar.float().exp()).mean(dim=0)


class Info(Objective):
    """InfoVAE: `β·(1-α)·KL + (α+λ-1)·MMD²(q(z), p(z))` (Zhao 2019, eq. 6), the MMD estimated without bias.

    α = 0 and λ = 1000 is this project's choice: the MMD² is no nats but at most 2, and 0.1 of it then costs 100. The
    kernel is Gaussian, or the inverse multiquadric with `imq` = 1 (Tolstikhin 2018); see `mmd` for `bandwidth`.
    """

    name = "info"
    terms = ("mmd",)

    def penalty(self, codes, kl, info):
        prior = torch.randn(codes.mu.shape, generator=self._generator(info), device=self.device)
        distance = torch.stack(
            [mmd(sample.float(), prior, self.knobs["bandwidth"], self.knobs["imq"] == 1) for sample in codes.z]
        ).mean()
        alpha, weight = self.knobs["alpha"], self.knobs["lambda"]
        return info.beta * (1 - alpha) * kl + (alpha + weight - 1) * distance, [distance]
