"""When training has failed: a loss, weight or score that is no number, or a loss that runs away."""

from __future__ import annotations

import math
from typing import NoReturn

import torch

from vae_helpers.errors import InputError
from vae_helpers.model import TERMS, BetaVAE, grey_level, held_out_loss, logged_terms
from vae_helpers.runs import Run
from vae_helpers.scores import Scores
from vae_helpers.settings import TrainConfig, beta_at
from vae_helpers.train.state import State

_RUNAWAY = 10.0
_NORMS = TERMS[2:]


class LossMonitor:
    """Checks the means of the steps since its last check; raises InputError if one is not finite or ran away.

    Runaway means: the objective at the β in force is above 10 times the larger of two levels. One is that of the very
    first step; the other is at least what a mid-grey picture scores, which takes no learning at all: 3·S·S nats, unless
    the likelihood has another measure. It is above 0, so it also holds where a density makes the objective negative.
    """

    def __init__(self, run: Run, config: TrainConfig, image_size: int):
        self._run, self._config = run, config
        self._floor = grey_level(config.likelihood, 3 * image_size**2, config.scale)
        self._terms = TERMS + logged_terms(config.objective)
        self._steps, self._sums = 0, [0.0] * len(self._terms)

    def check(self, state: State, progress: float, steps: int, sums: list[float]) -> float:
        """Check the sums over the epoch's first `steps` steps; returns the objective, mean since the last check.

        Raises InputError with the step, the term and the last good checkpoint.
        """
        means = self._means_since_last(steps, sums)
        self._require_finite(means, state)
        reconstruction = means[0]
        has_penalty = len(means) > len(TERMS)
        penalty = means[len(TERMS)] if has_penalty else beta_at(self._config, progress) * means[1]
        objective, first_loss = reconstruction + penalty, state.first_loss
        if first_loss is None and has_penalty:
            # A weight such as γ = 1000 makes any beginning large, but β's warm-up hides it from the first step itself.
            loss = held_out_loss(vars(self._config))
            objective = first_loss = reconstruction + max(penalty, loss["beta"] * abs(means[1] - loss["capacity"]))
        if objective > _RUNAWAY * max(self._floor, first_loss or 0.0):
            name = "reconstruction" if reconstruction >= penalty else "penalty" if has_penalty else "KL"
            self._stop(
                f"the loss ran away to {objective:,.0f} nats by step {state.step}, most of it the {name} term "
                f"(it began at {first_loss or self._floor:,.0f})"
            )
        return objective

    def check_weights(self, step: int, model: BetaVAE) -> None:
        """Raises InputError if a weight or statistic is no finite number, which no checkpoint may hold."""
        total = torch.stack([t.detach().sum().float() for t in (*model.parameters(), *model.buffers())]).sum().item()
        if not math.isfinite(total):
            self._stop(f"the weights became {total} by step {step}")

    def check_scores(self, epoch: int, scores: Scores) -> None:
        """Raises InputError for scores that are no finite numbers: weights may run away in an epoch's last step."""
        for name in ("reconstruction", "kl", "psnr"):
            value = getattr(scores, name)
            if not math.isfinite(value):
                self._stop(f"the {name} of held-out pictures became {value} in epoch {epoch}")

    def _means_since_last(self, steps: int, sums: list[float]) -> list[float]:
        if steps <= self._steps:  # a new epoch
            self._steps, self._sums = 0, [0.0] * len(self._terms)
        means = [(now - before) / (steps - self._steps) for now, before in zip(sums, self._sums)]
        self._steps, self._sums = steps, sums
        return means

    def _require_finite(self, means: list[float], state: State) -> None:
        # float16 gradients overflow now and then, which their scaler answers by leaving the step out.
        overflow_allowed = _NORMS if state.scaler.is_enabled() else ()
        for name, value in zip(self._terms, means):
            if not math.isfinite(value) and name not in overflow_allowed:
                self._stop(f"the {name}{'' if name in _NORMS else ' term'} became {value} by step {state.step}")

    def _stop(self, what: str) -> NoReturn:
        last = next((path for path in (self._run.last, self._run.previous) if path.is_file()), None)
        kept = f"the last good checkpoint is {last}" if last else "no checkpoint had been written yet"
        raise InputError(f"{what}, so training stopped ({kept}): try a learning rate below {self._config.lr}.")
