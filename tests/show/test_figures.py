import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.latent import LatentSummary
from vae_helpers.runs import read_scalars
from vae_helpers.show import figures

SUMMARY = LatentSummary(np.array([1.0, 9.0, 0.0]), np.array([1.0, 1.0, 0.0]), np.zeros(3), np.ones(3))


def _saved(figure, tmp_path):
    return np.asarray(Image.open(figures.save(figure, tmp_path / "deep" / "figure.png")).convert("RGB"))


@pytest.mark.parametrize(
    "draw",
    [
        lambda p: figures.show_grid(p),
        lambda p: figures.show_grid(p, 4, "title", [str(i) for i in range(12)]),
        lambda p: figures.show_rows([p, p[:5]], ["one", "two"]),
        lambda p: figures.show_reconstructions(p, p[::-1], np.arange(12.0)),
        lambda p: figures.show_paths({"lerp": p, "slerp": p}, (p[0], p[1])),
        lambda p: figures.show_traversals([p, p], [1, 0], SUMMARY),
        lambda p: figures.show_latent_use(SUMMARY),
        lambda p: figures.show_gaussians(1.0, 0.5),
        lambda p: figures.show_histogram(p, "value"),
        lambda p: figures.show_curves({"a": ([0, 1], [1, 2])}, "x", "y"),
    ],
)
def test_every_figure_draws_something_and_stays_closed(draw, noise_pictures, tmp_path):
    picture = _saved(draw(noise_pictures), tmp_path)
    assert picture.std() > 5 and plt.get_fignums() == []


def test_grid_shows_the_pictures_themselves(tmp_path):
    red = np.zeros((4, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    picture = _saved(figures.show_grid(red, 2), tmp_path).astype(int)
    assert (np.abs(picture - [255, 0, 0]).max(axis=2) < 10).mean() > 0.6  # the rest is gap and margin


def test_equal_pictures_have_a_white_difference(noise_pictures):
    figure = figures.show_reconstructions(noise_pictures, noise_pictures)
    assert (figure.axes[-1].images[0].get_array() == 255).all()


def test_loss_curves_read_the_tensorboard_log(trained):
    run, _ = trained
    figure = figures.show_losses(read_scalars(run.tensorboard))
    train, held_out = figure.axes[0].lines
    assert np.array_equal(train.get_ydata(), read_scalars(run.tensorboard)["total/train"][1])
    assert len(held_out.get_xdata()) == 3


def test_latent_use_counts_the_active_ones():
    assert "2 of 3 latents are active and carry 10 of 10 nats" in figures.show_latent_use(SUMMARY).axes[0].get_title()


def test_nothing_to_show_and_no_log_get_a_sentence(tmp_path):
    with pytest.raises(InputError, match="nothing to show"):
        figures.show_grid(np.zeros((0, 8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="no rows"):
        figures.show_traversals([], [], SUMMARY)
    with pytest.raises(InputError, match="no training log"):
        read_scalars(tmp_path)
