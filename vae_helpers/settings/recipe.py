"""How a run trains: `TrainConfig`, and its learning rate and β over time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from vae_helpers.errors import InputError
from vae_helpers.files import require_run_name
from vae_helpers.settings.choices import BETA_SCHEDULES, OPTIMIZERS, PAIRS, SCHEDULES
from vae_helpers.settings.ranges import RECIPE, one_of, require_likelihood, require_objective, short

_MAY_BE_NONE = ("batch_size", "beta_warmup")
QUICK_PICTURES = 20_000  # what the quick recipe shows the model in all: about two minutes on two fast cores
QUICK_EPOCHS = 40  # at most: of so few pictures that they would be seen more often, a longer run overfits
QUICK_MUON_FROM = 200  # training pictures: of 103 photos Muon learns less than Adam, of 246 more (README)
QUICK_PATIENCE = 8  # scores without a lower held-out loss, of about 25 in a run


@dataclass(frozen=True)
class TrainConfig:
    """The knobs of a run; the defaults are the specification's numbers with what they need to be stable."""

    epochs: int = 250
    batch_size: int | None = None  # None: 128, or 96 above 10 samples a picture, 64 above 15 (they share the memory)
    lr: float = 0.005
    objective: str = "beta"  # what is minimised besides the reconstruction term, see `objectives.OBJECTIVES`
    knobs: dict[str, float] | None = None  # the objective's own, where they are not its defaults
    pairs: str | None = None  # of objective "ada", see `data.Partners`; None: by factors, labels or views, as a set has
    likelihood: str = "gaussian"  # the reconstruction term, see `likelihoods.negative_log_likelihood`
    scale: float | None = None  # of that likelihood; None: its own default, for gaussian the plain Σ(x-x̂)²
    beta: float = 1.0  # weight of the KL against the plain Σ(x-x̂)² on [-1, 1] pixels; each objective says of what
    num_samples: int = 1  # K latent samples a picture; the loss is the mean of their losses
    seed: int = 0
    start_from: str | None = None  # a run whose weights this one begins with; None: the seed draws them
    optimizer: str = "adam"  # "muon" turns the gradients of kernels and matrices: a step teaches more, and costs more
    schedule: str = "thirds"  # halve at each third; "one-cycle" rises and falls once, which teaches more in few epochs
    warmup: float = 0.04  # share of the run over which the learning rate rises ("thirds") and β rises (both)
    clip: float = 1.0  # gradient norm of each half of the model, at most; the loss is per pixel value for this
    flip: bool = True  # mirror every other training picture
    pictures_every: int = 10  # epochs between the 100 samples and 100 reconstructions
    evaluate_every: int = 1  # epochs between scores on held-out pictures; a tiny set has epochs of a second
    beta_schedule: str = "linear"  # how β reaches `beta`, see `beta_at`
    beta_warmup: float | None = None  # share of the run over which "linear" and "cosine" rise; None: `warmup`
    beta_cycles: int = 4  # of "cyclical"
    early_stop: int = (
        0  # scores without a lower held-out loss (one every `evaluate_every` epochs) that end it; 0: never
    )
    ema: float = 0.0  # decay of a running average of the weights, such as 0.999, which is then the model kept; 0: none
    compile: bool | None = None  # torch.compile; None: where a run is long enough to earn back the time it takes
    exact: bool | None = None  # a resumed run equals an uninterrupted one bit for bit; None: yes on the CPU

    def __post_init__(self):
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("beta_schedule", BETA_SCHEDULES)):
            one_of(name, getattr(self, name), known)
        for name in ("flip", "compile", "exact"):
            if not isinstance(getattr(self, name), bool) and (name == "flip" or getattr(self, name) is not None):
                raise InputError(f"{name} is {short(getattr(self, name))}, but must be True or False.")
        require_objective(self.objective, self.knobs)
        if self.start_from is not None:
            if not isinstance(self.start_from, str):
                raise InputError(f"start_from is {short(self.start_from)}, but must be the name of a run.")
            require_run_name(self.start_from)
        if self.pairs is not None:
            one_of("pairs", self.pairs, PAIRS)
            if self.objective != "ada":
                raise InputError(f"objective {self.objective!r} takes no pairs: leave them out, or choose 'ada'.")
        require_likelihood(self.likelihood, self.scale)
        for name, allowed in RECIPE.items():
            if getattr(self, name) is not None or name not in _MAY_BE_NONE:
                object.__setattr__(self, name, allowed.take(name, getattr(self, name)))
        if self.batch_size is None:
            samples = self.num_samples
            object.__setattr__(self, "batch_size", 64 if samples > 15 else 96 if samples > 10 else 128)

    @classmethod
    def quick(cls, train_pictures: int, **changes) -> "TrainConfig":
        """The recipe for minutes on a CPU: small batches, so more steps, and one cycle of the learning rate.

        Unless `epochs` is given there are as many as it takes to see 20,000 pictures, at most 40: the rate falls over
        the run planned, and a run that is planned too long overfits while the rate is high. It ends early after
        8 scores without a lower held-out loss. From 200 training pictures on the optimizer is Muon.
        """
        epochs = changes.pop("epochs", None)
        epochs = quick_epochs(train_pictures) if epochs is None else RECIPE["epochs"].take("epochs", epochs)
        recipe = cls(
            epochs=epochs,
            batch_size=32,
            lr=0.002,
            optimizer="muon" if train_pictures >= QUICK_MUON_FROM else "adam",
            schedule="one-cycle",
            pictures_every=max(1, epochs // 3),
            evaluate_every=max(1, epochs // 25),
            early_stop=QUICK_PATIENCE,
        )
        return replace(recipe, **changes)


def quick_epochs(train_pictures: int) -> int:
    """How many epochs a quick run plans for."""
    return max(1, min(QUICK_EPOCHS, round(QUICK_PICTURES / max(1, train_pictures))))


def recommendation(config: TrainConfig) -> str:
    """A sentence on a better use of a long run's time, as measured (README); empty where there is none to say."""
    if config.schedule != "thirds" or config.epochs < 150 or config.early_stop:
        return ""
    return (
        "Of 3,608 photos at 64 pixels 250 such epochs had learnt all but 0.1 dB by epoch 90: fewer epochs, or "
        "--early-stop 20, end a run that learns no more."
    )


def learning_rate(config: TrainConfig, progress: float) -> float:
    """The learning rate at `progress` in [0, 1) of the run."""
    if config.schedule == "one-cycle":  # Smith 2018: up over the first fifth, then down a cosine to nothing
        rise = 0.2
        if progress < rise:
            return config.lr * (0.04 + 0.96 * progress / rise)
        return config.lr * 0.5 * (1 + math.cos(math.pi * (progress - rise) / (1 - rise)))
    rise = min(1.0, (progress + 1e-3) / config.warmup) if config.warmup else 1.0
    return config.lr * rise * 0.5 ** int(3 * progress)


def beta_at(config: TrainConfig, progress: float) -> float:
    """The weight of the KL at `progress` in [0, 1) of the run; it changes with every step, not once an epoch.

    "linear" and "cosine" rise from 0 over `beta_warmup` and stay; "constant" is `beta` from the first step;
    "cyclical" (Fu 2019, eq. 6 to 8) starts anew `beta_cycles` times, each time rising over half a cycle, then staying.
    """
    if config.beta_schedule == "constant":
        return config.beta
    if config.beta_schedule == "cyclical":
        return config.beta * min(1.0, 2 * (progress * config.beta_cycles % 1.0))
    warmup = config.warmup if config.beta_warmup is None else config.beta_warmup
    risen = min(1.0, progress / warmup) if warmup else 1.0
    return config.beta * (risen if config.beta_schedule == "linear" else 0.5 * (1 - math.cos(math.pi * risen)))


def beta_is_final(config: TrainConfig, progress: float) -> bool:
    """Whether β has reached its final value for good, so that models may be compared by their held-out loss."""
    if config.beta_schedule == "cyclical":
        return progress >= (config.beta_cycles - 0.5) / config.beta_cycles
    return beta_at(config, progress) == config.beta
