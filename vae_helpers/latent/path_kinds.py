"""The kinds of path between two codes, and what a model must know of its training set for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.chart import Chart
from vae_helpers.latent.curves import lerp, slerp
from vae_helpers.latent.geodesic import geodesic_curve
from vae_helpers.latent.known_path import known_curve
from vae_helpers.latent.support import Support
from vae_helpers.model import Decoder
from vae_helpers.settings import METHODS

KINDS = METHODS
Curve = Callable[[Tensor], Tensor]  # fractions of the way (n,) in [0, 1] => codes (n, latent_dim), exact at 0 and 1


@dataclass(frozen=True)
class PathContext:
    """What paths may use beside the two codes; every field may be left out."""

    active: np.ndarray | None = None  # latents that "slerp", "geodesic" and "known" bend over; None: all
    support: Support | None = None  # keeps a "geodesic" near the training codes
    known: Tensor | None = None  # training codes (N, latent_dim), which "known" goes through
    chart: Chart | None = None  # for "chart"
    watch: Callable[[], None] | None = None  # called before each pass through the decoder; may raise to end the search

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of path that can be drawn with this, in the order of `KINDS`."""
        missing = {"known": self.known is None, "chart": self.chart is None}
        return tuple(kind for kind in KINDS if not missing.get(kind))

    @property
    def default_kind(self) -> str:
        """The kind whose middles are soundest: "chart", else "known", else "lerp"."""
        return "chart" if self.chart is not None else "known" if self.known is not None else "lerp"


def candidate_curves(decoder: Decoder, a: Tensor, b: Tensor, kind: str, context: PathContext) -> tuple[Curve, ...]:
    """The curves from code a to code b, (latent_dim,) each, of which the shortest in pictures is the path.

    One for every kind but "geodesic", whose search may end on a detour: there the straight line is the second.
    Raises InputError for an unknown kind, one that the context cannot draw, or codes of different shapes.
    """
    require_kind(kind, context)
    if a.dim() != 1 or a.shape != b.shape:
        raise InputError(
            f"a path goes between two codes of one shape (latent_dim,), but these have shapes "
            f"{tuple(a.shape)} and {tuple(b.shape)}: encode both pictures with the same model."
        )
    straight = lambda t: lerp(a, b, t)  # noqa: E731
    if kind == "lerp":
        return (straight,)
    if kind == "slerp":
        return (lambda t: slerp(a, b, t, context.active),)
    if kind == "known":
        return (known_curve(context.known, a, b, context.active),)
    if kind == "chart":
        return (lambda t: context.chart.path(a, b, t),)
    remoteness = None if context.support is None else context.support.distance
    return (geodesic_curve(decoder, a, b, context.active, remoteness), straight)


def require_kind(kind: str, context: PathContext, kinds: tuple[str, ...] = KINDS) -> None:
    """Refuse a kind of path that is none of `kinds`, or that the context lacks something for."""
    if kind not in kinds:
        raise InputError(f"{kind!r} is not a way between two pictures; choose one of {', '.join(kinds)}.")
    if kind not in context.kinds:
        lacking = {"known": "the training pictures' codes", "chart": "a chart of the set's attributes"}[kind]
        raise InputError(
            f"a path of kind {kind!r} needs {lacking}, which this model was not given; choose one of "
            f"{', '.join(k for k in kinds if k in context.kinds)}."
        )
