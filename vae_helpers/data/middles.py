"""Pictures that lie half-way between two others, for the objective that learns from them."""

from __future__ import annotations

import numpy as np

from vae_helpers.data.pictures import PictureSet
from vae_helpers.data.synthetic import SETS, render
from vae_helpers.errors import InputError
from vae_helpers.settings import BUILT_IN


def not_drawn(name: str) -> InputError:
    """What to say of a set that has no middles."""
    return InputError(
        f"nothing draws what lies between two pictures of {name}, which objective 'middle' learns from: take a "
        f"built-in set ({', '.join(sorted(BUILT_IN))}), or another objective."
    )


class Middles:
    """`middles(first, second)` is a picture half-way between each two rows, uint8 (n, H, W, 3), of a built-in set.

    It is drawn from the mean of their factors; a category, which has no middle, is the lower-numbered one of the two.
    Raises InputError for a set that nobody draws.
    """

    def __init__(self, pictures: PictureSet):
        if pictures.source != "built-in" or pictures.factors is None:
            raise not_drawn(pictures.name)
        self._set, self._size = BUILT_IN[pictures.name], pictures.pictures.shape[1]
        self._factors = pictures.factors
        self._categories = [j for j, factor in enumerate(SETS[self._set]) if factor.choices]

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        one, other = self._factors[first], self._factors[second]
        middle = (one + other) / 2
        middle[:, self._categories] = np.minimum(one, other)[:, self._categories]
        return render(middle, self._size, self._set)
