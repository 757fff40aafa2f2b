"""What moves along a slider, on decoders whose answer is known."""

import numpy as np
import pytest
import torch
from worlds import curved_read, curved_world, linear_world

from vae_helpers.errors import InputError
from vae_helpers.latent import Chart, attribute_axes, latent_axes, summarise
from vae_helpers.scores import Judge, Measured, what_moves


def _measured(world, read, score=1.0, gain=1.0, decode=np.asarray):
    codes, attributes = world
    chart = Chart.fit(codes, attributes)
    count = len(chart.table)
    judge = Judge(("known",) * count, np.full(count, score), np.full(count, gain), read)
    return Measured(decode, chart, codes[:200], attributes.rows(slice(200)), judge)


def test_a_slider_of_a_chart_moves_its_own_attribute_alone():
    measured = _measured(curved_world(800, 0), curved_read)
    axes = sorted(attribute_axes(measured.chart), key=lambda axis: measured.chart.column(axis.name))
    found = what_moves(measured, axes)
    own = np.diag(found)
    assert (own > 0.7).all() and (own < 1.6).all()
    assert (found[~np.eye(len(axes), dtype=bool)] < 0.12).all()


def test_by_hand_a_latent_that_carries_two():
    """Latent 0 moves a and a third as much of c, each measured in its own spread."""

    def decode(z):
        z = np.asarray(z, np.float64)
        return np.stack([z[:, 0], z[:, 1], z[:, 2] + z[:, 0] / 3], axis=1)

    measured = _measured(linear_world(600, 0), np.asarray, decode=decode)
    codes = measured.codes
    axis = min(latent_axes(summarise(codes, torch.full_like(codes, -3))), key=lambda axis: axis.latent)
    assert axis.latent == 0
    low, high = np.quantile(codes[:, 0].numpy(), (0.1, 0.9))
    sweep, spread = np.linspace(low, high, 5).std(), measured.attributes.values.std(axis=0)
    expected = [sweep / spread[0], 0, sweep / 3 / spread[2]]
    assert np.allclose(what_moves(measured, [axis])[0], expected, atol=1e-6)
    halved = measured._replace(judge=measured.judge._replace(gain=np.full(3, 0.5), read=lambda frames: 0.5 * frames))
    assert np.allclose(what_moves(halved, [axis])[0], expected, atol=1e-6)


def test_what_cannot_be_read_is_not_known_and_nothing_is_not_swept():
    measured = _measured(linear_world(300, 0), lambda z: np.asarray(z)[:, :3], score=0.1)
    assert np.isnan(what_moves(measured, attribute_axes(measured.chart))).all()
    with pytest.raises(InputError, match="at least one axis"):
        what_moves(measured, [])
