"""Which axes an explorer offers, by kind."""

from __future__ import annotations

import numpy as np

from vae_helpers.data import unembed_all
from vae_helpers.latent import AttributeAxis, Axis, Chart, attribute_axes, by_trust, component_axes, latent_axes
from vae_helpers.widgets.explorer_data import ExplorerData

KINDS = ("Attributes", "Attributes alone", "Latents", "Components", "By hand")
ATTRIBUTES, ALONE, LATENTS, COMPONENTS, BY_HAND = KINDS


def axes_of(data: ExplorerData) -> dict[str, list[Axis]]:
    """The axes that can be made of what is known, `{kind: axes}`; most trusted, strongest or largest first.

    Where no latent is active, all are offered. Attributes move with what goes along with them in the set; where any do,
    they are offered alone too, of which no trust was measured.
    """
    summary = data.summary
    if not len(summary.active):
        summary = summary._replace(variance=np.ones_like(summary.variance))
    return {
        ATTRIBUTES: [] if data.chart is None else attribute_axes(data.chart, data.trust),
        ALONE: attribute_axes(data.chart, way="marginal") if data.chart is not None and data.chart.correlated else [],
        LATENTS: latent_axes(summary),
        COMPONENTS: [] if data.training_codes is None else component_axes(data.training_codes, len(summary.active)),
        BY_HAND: [],
    }


def default_kind(axes: dict[str, list[Axis]]) -> str:
    """Attributes where any can be trusted, else components, else latents."""
    if any(axis.trust is not None and axis.trusted for axis in axes[ATTRIBUTES]):
        return ATTRIBUTES
    return next((kind for kind in (COMPONENTS, LATENTS, ATTRIBUTES) if axes[kind]), BY_HAND)


def in_order(axes: list[Axis]) -> list[Axis]:
    """As given, but those that are not to be trusted last."""
    return by_trust(axes) if any(axis.trust is not None for axis in axes) else list(axes)


def choices_of(axis: Axis) -> list[str]:
    """The choices of a category that training pictures have; none for a number."""
    known = axis.chart.choices(axis.name) if isinstance(axis, AttributeAxis) else range(len(axis.choices))
    return [axis.choices[k] for k in known]


def random_values(axes: list[Axis], chart: Chart | None, seed: int) -> dict[str, float | str]:
    """A value for each axis, by name: an attribute's from one training picture, others about the middle of the range.

    A range of a latent or a component is the mean ± 3 spreads, so these are normal with that mean and spread.
    """
    rng = np.random.default_rng(seed)
    noise = dict(zip([axis.name for axis in axes], rng.standard_normal(len(axes)).clip(-3, 3)))
    found = {axis.name: (axis.low + axis.high) / 2 + noise[axis.name] * (axis.high - axis.low) / 6 for axis in axes}
    if chart is not None and any(axis.kind == "attribute" for axis in axes):
        one = chart.embedded[[rng.integers(len(chart.embedded))]].astype(np.float64)
        for attribute, value in zip(chart.table, unembed_all(one, chart.table)[0]):
            found[attribute.name] = attribute.choices[int(value)] if attribute.choices else float(value)
    return found
