"""When a loss is no longer worth following: not a number, or running away."""

from __future__ import annotations

import math

import torch

from vae_helpers.errors import InputError
from vae_helpers.model import TERMS, BetaVAE, grey_level, held_out_loss, logged_terms
from vae_helpers.runs import Run
from vae_helpers.scores import Scores
from vae_helpers.settings import TrainConfig, beta_at

_RUNAWAY = 10.0
_NORMS = TERMS[2:]


class Guard:
    """Looks at the means of the steps since its last look, and stops the run with a sentence.

    Runaway means: the objective at the β in force is above 10 times the larger of two levels. One is that of the very
    first step; the other is at least what a mid-grey picture scores, which takes no learning at all: 3·S·S nats, unless
    the likelihood has another measure. It is above 0, so it also holds where a density makes the objective negative.
    """

    def __init__(self, run: Run, config: TrainConfig, image_size: int):
        self._run, self._config = run, config
        self._floor = grey_level(config.likelihood, 3 * image_size**2, config.scale)
        self._terms = TERMS + logged_terms(config.objective)
        self._steps, self._sums = 0, [0.0] * len(self._terms)

    def look(
        self,
        step: int,
        progress: float,
        steps: int,
        sums: list[float],
        first_loss: float | None,
        half_range: bool = False,
    ) -> float:
        """Check the sums over the epoch's first `steps` steps; returns the objective, mean since the last look.

        Raises InputError with the step, the term and the last good checkpoint. `half_range`: float16 gradients overflow
        now and then, which their scaler answers by leaving the step out.
        """
        if steps <= self._steps:  # a new epoch
            self._steps, self._sums = 0, [0.0] * len(self._terms)
        means = [(now - before) / (steps - self._steps) for now, before in zip(sums, self._sums)]
        self._steps, self._sums = steps, sums
        for name, value in zip(self._terms, means):
            if not math.isfinite(value) and not (half_range and name in _NORMS):
                self._stop(f"the {name}{'' if name in _NORMS else ' term'} became {value} by step {step}")
        reconstruction, others = means[0], len(means) > len(TERMS)
        penalty = means[len(TERMS)] if others else beta_at(self._config, progress) * means[1]
        objective = reconstruction + penalty
        if first_loss is None and others:
            # A weight such as γ = 1000 makes any beginning large, but β's warm-up hides it from the first step itself.
            loss = held_out_loss(vars(self._config))
            objective = first_loss = reconstruction + max(penalty, loss["beta"] * abs(means[1] - loss["capacity"]))
        if objective > _RUNAWAY * max(self._floor, first_loss or 0.0):
            name = "reconstruction" if reconstruction >= penalty else "penalty" if others else "KL"
            self._stop(
                f"the loss ran away to {objective:,.0f} nats by step {step}, most of it the {name} term "
                f"(it began at {first_loss or self._floor:,.0f})"
            )
        return objective

    def weights(self, step: int, model: BetaVAE) -> None:
        """Raises InputError if a weight or statistic is no finite number, which no checkpoint may hold."""
        total = torch.stack([t.detach().sum().float() for t in (*model.parameters(), *model.buffers())]).sum().item()
        if not math.isfinite(total):
            self._stop(f"the weights became {total} by step {step}")

    def held_out(self, epoch: int, scores: Scores) -> None:
        """Raises InputError for scores that are no finite numbers: weights may run away in an epoch's last step."""
        for name in ("reconstruction", "kl", "psnr"):
            value = getattr(scores, name)
            if not math.isfinite(value):
                self._stop(f"the {name} of held-out pictures became {value} in epoch {epoch}")

    def _stop(self, what: str) -> None:
        last = next((path for path in (self._run.last, self._run.previous) if path.is_file()), None)
        kept = f"the last good checkpoint is {last}" if last else "no checkpoint had been written yet"
        raise InputError(f"{what}, so training stopped ({kept}): try a learning rate below {self._config.lr}.")
