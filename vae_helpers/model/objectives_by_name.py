"""Every objective by its name, and what a run with it logs."""

from __future__ import annotations

from vae_helpers.model.grouped_objectives import Ada, Middle
from vae_helpers.model.objectives import DIP1, DIP2, TC, Beta, Capacity, Factor, Info, Objective, StratifiedTC

OBJECTIVES: dict[str, type[Objective]] = {
    kind.name: kind for kind in (Beta, Capacity, TC, StratifiedTC, Factor, DIP1, DIP2, Info, Ada, Middle)
}
TERMS = ("reconstruction", "KL", "gradient norm of the encoder", "gradient norm of the decoder")  # then logged_terms


def logged_terms(name: str) -> tuple[str, ...]:
    """What a run logs besides reconstruction and KL: penalty at the weights in force, its terms; for "beta" nothing."""
    return ("penalty", *OBJECTIVES[name].terms) if OBJECTIVES[name].terms else ()
