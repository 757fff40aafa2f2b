"""The pictures nearest to A or B by their codes, as buttons that pick one."""

from __future__ import annotations

import html
import uuid

import ipywidgets as widgets
import numpy as np
import torch
from torch import Tensor

from vae_helpers.latent import nearest_codes
from vae_helpers.widgets.pair import PairExplorer
from vae_helpers.widgets.parts import THUMB, choice, data_uri, row, short

_COUNT = 6


class NearestPictures(widgets.VBox):
    """Lists the six pictures nearest to A or B (`of`) of a pair explorer, and their distances by codes (N, latent_dim).

    `rows` are their numbers, nearest first; a click on one picks it.
    """

    def __init__(self, pair: PairExplorer, codes: Tensor):
        self.of_row, self.of = choice("AB", "Nearest to", 40)
        self._pair, self._codes = pair, codes
        self._key = f"vae-{uuid.uuid4().hex[:8]}"
        self._drawn, self.note = widgets.HTML(layout=widgets.Layout(display="none")), widgets.HTML()
        self.rows = np.empty(0, int)
        self.buttons = [self._button(place) for place in range(min(_COUNT, len(codes) - 1))]
        thumbs = widgets.Box(self.buttons, layout=widgets.Layout(flex_flow="row wrap", grid_gap="6px"))
        super().__init__([self._drawn, row(self.of_row, thumbs, gap="8px"), self.note])

    def draw(self) -> None:
        """Put the nearest pictures on the buttons, and say how near they are."""
        names, label = self._pair.names, self.of.value
        index = self._pair.pair["AB".index(label)]
        codes = self._codes
        if index >= len(codes):  # one's own photo
            codes, place = torch.cat([codes, self._pair.codes([index])]), len(codes)
        else:
            place = index
        self.rows, distances = nearest_codes(codes, place, len(self.buttons))
        rules = []
        for place, (thumb, i) in enumerate(zip(self.buttons, self.rows)):
            thumb.description, thumb.tooltip = str(i), names[i]
            image = data_uri(self._pair.pictures[i], THUMB)
            rules.append(f'.{self._key}-{place}{{background-image:url("{image}")}}')
        self._drawn.value = f"<style>{''.join(rules)}</style>"
        listed = ", ".join(f"{i} {short(names[i])} ({far:.2f})" for i, far in zip(self.rows, distances))
        self.note.value = (
            f'<span class="vae-note">Nearest to {label}, which is {index} {html.escape(short(names[index]))}, by the '
            f"distance of codes: {html.escape(listed)}.</span>"
        )

    def _button(self, place: int) -> widgets.Button:
        thumb = widgets.Button(layout=widgets.Layout(width=f"{THUMB}px", height=f"{THUMB + 16}px"))
        thumb.add_class("vae-thumb")
        thumb.add_class(f"{self._key}-{place}")
        self._pair.act_on(thumb, lambda: self._pair.pick(int(self.rows[place])))
        return thumb
