"""What an explorer shows, in one place: a model, pictures, and what was measured of their codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent import Chart, Find, LatentSummary, PathContext, Soundness, Support, Trust, weights_stamp
from vae_helpers.model import BetaVAE


@dataclass(frozen=True, eq=False)
class ExplorerData:
    """`pictures` uint8 (N, H, W, 3) of the model's size, and a name for each; the rest adds controls and meters.

    `summary` says which latents are active; with a `chart` attributes can be moved, as far as `trust` goes; with
    `training_codes` (M, latent_dim) components can. `soundness` marks broken frames, `support` measures distances, and
    `training_pictures` (indexed as the Support's `rows` say) are those to compare with. Directions made by hand and
    finds are kept in the folder `directions`, without one finds are `finds`; `stamp` names the weights they belong to,
    and is made of the model where it isn't given. `labels` call latents by name.
    """

    model: BetaVAE
    pictures: np.ndarray
    names: Sequence[str]
    summary: LatentSummary | None = None
    support: Support | None = None
    soundness: Soundness | None = None
    chart: Chart | None = None
    trust: Sequence[Trust] = ()
    training_codes: Tensor | None = None
    training_pictures: np.ndarray | None = None
    directions: Path | None = None
    stamp: str = ""
    labels: Mapping[int, str] = field(default_factory=dict)
    finds: list[Find] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.directions is not None and not self.stamp:
            object.__setattr__(self, "stamp", weights_stamp(self.model))

    def require_fitting(self) -> None:
        """InputError where the parts do not belong together."""
        size, latents = self.model.config.image_size, self.model.config.latent_dim
        kind = getattr(self.pictures, "dtype", type(self.pictures).__name__)
        if kind != np.uint8 or self.pictures.shape[1:] != (size, size, 3) or not len(self.pictures):
            raise InputError(
                f"an explorer of this model needs uint8 pictures of shape (N, {size}, {size}, 3), N at least "
                f"1, but these are {kind} of shape {np.shape(self.pictures)}: open them with image_size={size}."
            )
        if len(self.names) != len(self.pictures):
            raise InputError(
                f"there are {len(self.pictures)} pictures but {len(self.names)} names: give one name per picture."
            )
        for what, found in (
            ("summary", None if self.summary is None else len(self.summary.kl)),
            ("chart", None if self.chart is None else len(self.chart.mean)),
            ("table of training codes", None if self.training_codes is None else self.training_codes.shape[-1]),
        ):
            if found is not None and found != latents:
                raise InputError(
                    f"the {what} describes {found} latents, but this model has {latents}: make it from codes of the "
                    "same model."
                )


def path_context(data: ExplorerData) -> PathContext:
    """What paths between pictures may use of it."""
    active = None if data.summary is None else data.summary.active
    return PathContext(active, data.support, data.training_codes, data.chart)
