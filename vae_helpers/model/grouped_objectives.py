"""Objectives that learn from what pictures of a batch have to do with each other: pairs and triples of rows.

What puts such rows side by side is `data.Partners` and `data.Middles`.
"""

from __future__ import annotations

from vae_helpers.model.divergences import average_between, average_shared
from vae_helpers.model.objectives import Beta


class Ada(Beta):
    """Ada-GVAE: `β·KL` on pairs of pictures, rows 2i and 2i + 1, whose shared latents are one (Locatello 2020, sec. 4).

    What a pair has in common is not told, see `average_shared`. Knob `k` is of pairs by known factors: how many differ.
    """

    name = "ada"
    posterior = staticmethod(average_shared)
    group = 2


class Middle(Beta):
    """`β·KL` on triples of pictures, rows 3i to 3i + 2, the third half-way between the other two by known factors.

    The third's posterior is the mean of theirs (`average_between`), so straight lines between codes are learnt to be
    paths that keep to pictures. Supervised, and this project's own.
    """

    name = "middle"
    posterior = staticmethod(average_between)
    group = 3
