"""When a loss is no longer worth following: not a number, or running away."""

from __future__ import annotations

import math

from vae_helpers.checkpoint import Run
from vae_helpers.errors import InputError
from vae_helpers.recipe import TrainConfig, beta_at

_RUNAWAY = 10.0
TERMS = ("reconstruction", "KL", "gradient norm of the encoder", "gradient norm of the decoder")


class Guard:
    """Looks at the means of the steps since its last look, and stops the run with a sentence.

    Runaway means: the objective at the β in force is above 10 times the larger of two levels. One is that of the very
    first step; the other is 3·S·S nats, at least what a mid-grey picture scores, which takes no learning at all.
    """

    def __init__(self, run: Run, config: TrainConfig, image_size: int):
        self._run, self._config = run, config
        self._floor = 3.0 * image_size**2
        self._steps, self._sums = 0, [0.0] * len(TERMS)

    def look(self, step: int, progress: float, steps: int, sums: list[float], first_loss: float | None,
             half_range: bool = False) -> float:
        """Check the sums over the epoch's first `steps` steps; returns the objective, mean since the last look.

        Raises InputError with the step, the term and the last good checkpoint. `half_range`: float16 gradients overflow
        now and then, which their scaler answers by leaving the step out.
        """
        if steps <= self._steps:  # a new epoch
            self._steps, self._sums = 0, [0.0] * len(TERMS)
        means = [(now - before) / (steps - self._steps) for now, before in zip(sums, self._sums)]
        self._steps, self._sums = steps, sums
        for name, value in list(zip(TERMS, means))[:2 if half_range else None]:
            if not math.isfinite(value):
                self._stop(f"the {name} term became {value} by step {step}" if name in TERMS[:2] else
                           f"the {name} became {value} by step {step}")
        reconstruction, kl = means[0], beta_at(self._config, progress) * means[1]
        objective, limit = reconstruction + kl, _RUNAWAY * max(self._floor, first_loss or 0.0)
        if objective > limit:
            name = "KL" if kl > reconstruction else "reconstruction"
            self._stop(f"the loss ran away to {objective:,.0f} nats by step {step}, most of it the {name} term "
                       f"(it began at {first_loss or self._floor:,.0f})")
        return objective

    def _stop(self, what: str) -> None:
        last = next((path for path in (self._run.last, self._run.previous) if path.is_file()), None)
        kept = f"the last good checkpoint is {last}" if last else "no checkpoint had been written yet"
        raise InputError(f"{what}, so training stopped ({kept}): try a learning rate below {self._config.lr}.")
