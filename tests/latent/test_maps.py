import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import choose_apart, nearest_codes, pca_map, tsne_map


def test_pca_finds_the_plane_that_codes_lie_in():
    rng = np.random.default_rng(0)
    wide, narrow = rng.normal(size=(2, 200))
    axes = np.array([[0.6, 0, -0.8, 0], [0, -1, 0, 0]])
    codes = torch.from_numpy(np.outer(5 * wide, axes[0]) + np.outer(narrow, axes[1]) + [1, 2, 3, 4])
    found = pca_map(codes)
    assert abs(found.explained.sum() - 1) < 1e-9 and 0.9 < found.explained[0] < 1
    assert np.allclose(np.abs(found.axes @ axes.T), np.eye(2), atol=0.05)
    assert np.allclose(found.points.mean(axis=0), 0) and np.allclose(found.place(codes), found.points)
    assert np.allclose(found.points @ found.axes + found.centre, codes.numpy())


def test_the_sign_of_an_axis_does_not_hang_on_the_solver():
    codes = torch.from_numpy(np.random.default_rng(1).normal(size=(50, 6)))
    first, second = pca_map(codes), pca_map(codes.flip(0))
    assert np.allclose(first.points, second.points[::-1])
    for axis in first.axes:
        assert axis[np.abs(axis).argmax()] > 0


def test_the_nearest_come_first_with_their_distances():
    codes = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0], [-1.0, 0.0]])
    rows, distances = nearest_codes(codes, 0, 2)
    assert rows.tolist() == [2, 3] and distances.tolist() == [1.0, 1.0]  # of equals the first
    rows, distances = nearest_codes(codes, 1, 9)
    assert rows.tolist() == [2, 0, 3] and np.allclose(distances, [np.sqrt(18), 5, np.sqrt(32)])
    assert len(nearest_codes(codes, 1, 0)[0]) == len(nearest_codes(codes[:1], 0, 3)[0]) == 0
    for row in (-1, 4):
        with pytest.raises(InputError, match=f"no code {row} among 4"):
            nearest_codes(codes, row, 1)


def test_chosen_points_do_not_overlap_and_no_other_would_fit():
    points = np.random.default_rng(0).uniform(size=(300, 2))
    chosen = choose_apart(points, 0.1)
    gaps = np.abs(points[chosen][:, None] - points[chosen]).max(axis=2)
    assert (gaps[~np.eye(len(chosen), dtype=bool)] >= 0.1).all() and len(chosen) > 20
    assert (np.abs(points[:, None] - points[chosen]).max(axis=2).min(axis=1) < 0.1).all()
    assert np.array_equal(chosen, choose_apart(points, 0.1))


def test_equal_codes_make_a_map_of_one_point():
    found = pca_map(torch.ones(5, 3))
    assert (found.points == 0).all() and found.explained.tolist() == [0, 0]


def test_tsne_keeps_clusters_apart():
    codes = torch.randn(80, 5, generator=torch.Generator().manual_seed(0))
    codes[40:] += 20
    points = tsne_map(codes, perplexity=10)
    assert points.shape == (80, 2) and np.array_equal(points, tsne_map(codes, perplexity=10))
    centres = points[:40].mean(axis=0), points[40:].mean(axis=0)
    assert np.linalg.norm(centres[0] - centres[1]) > points[:40].std() + points[40:].std()


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda: pca_map(torch.zeros(2, 4)), "at least 3 codes"),
        (lambda: pca_map(torch.zeros(5, 1)), "at least 2 latents"),
        (lambda: pca_map(torch.zeros(5)), "latent_dim"),
        (lambda: tsne_map(torch.zeros(20, 4)), "more codes than"),
        (lambda: choose_apart(np.zeros((3, 2)), 0), "above 0"),
    ],
)
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        wrong()
