"""Objectives that learn from what pictures of a batch have to do with each other: pairs and triples of rows.

What puts such rows side by side is `data.Partners` and `data.Middles`.
"""

from __future__ import annotations

from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.model.divergences import average_between, average_shared
from vae_helpers.model.objectives import Beta, Encode


class Ada(Beta):
    """Ada-GVAE: `β·KL` on pairs of pictures, rows 2i and 2i + 1, whose shared latents are one (Locatello 2020, sec. 4).

    What a pair has in common is not told, see `average_shared`. Knob `k` is of pairs by known factors: how many differ.
    """

    name = "ada"
    group = 2

    @staticmethod
    def infer(encode: Encode, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posteriors of pairs. Raises InputError for an odd number of pictures."""
        return average_shared(*encode(x))


class Middle(Beta):
    """`β·KL` on triples of pictures, rows 3i to 3i + 2, the third half-way between the other two by known factors.

    The third's posterior is the mean of theirs (`average_between`), so straight lines between codes are learnt to be
    paths that keep to pictures. Supervised, and this project's own.
    """

    name = "middle"
    group = 3

    @staticmethod
    def infer(encode: Encode, x: Tensor) -> tuple[Tensor, Tensor]:
        """The posteriors of triples, whose third is not encoded. Raises InputError for rows that are no triples."""
        if len(x) % 3:
            raise InputError(f"{len(x)} pictures are not triples: give a multiple of three.")
        return average_between(*encode(x.unflatten(0, (-1, 3))[:, :2].flatten(0, 1)))
