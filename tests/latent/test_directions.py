import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import analogy, direction_between


def test_analogy_by_hand():
    a, b, c = torch.tensor([3.0, 1.0]), torch.tensor([1.0, 1.0]), torch.tensor([0.0, 5.0])
    assert analogy(a, b, c).tolist() == [2, 5]
    assert torch.equal(analogy(a, a, c), c)


def test_direction_and_standard_error_by_hand():
    without = torch.tensor([[0.0, 1.0], [2.0, 1.0]])  # mean (1, 1), variances (2, 0)
    with_ = torch.tensor([[4.0, 1.0], [5.0, 4.0], [6.0, 1.0]])  # mean (5, 2), variances (1, 3)
    direction = direction_between(without, with_)
    assert torch.allclose(direction.vector, torch.tensor([4.0, 1.0]))
    assert torch.allclose(direction.standard_error, torch.tensor([2 / 2 + 1 / 3, 3 / 3]).sqrt())
    noise = 2 / 2 + 1 / 3 + 1
    assert np.isclose(direction.signal_to_noise, 17 / noise) and np.isclose(direction.cosine, np.sqrt(1 - noise / 17))


def test_the_expected_cosine_comes_true():
    """Over many draws the stated cosine agrees with that to the true direction."""
    generator = torch.Generator().manual_seed(0)
    true = torch.zeros(32)
    true[0] = 1.5
    stated, measured = [], []
    for _ in range(60):
        direction = direction_between(
            torch.randn(40, 32, generator=generator), true + torch.randn(60, 32, generator=generator)
        )
        stated.append(direction.cosine)
        measured.append(torch.cosine_similarity(direction.vector, true, dim=0).item())
    assert abs(np.mean(stated) - np.mean(measured)) < 0.03 and 0.6 < np.mean(measured) < 0.9


def test_nothing_but_chance_looks_like_chance():
    generator = torch.Generator().manual_seed(1)
    found = [
        direction_between(torch.randn(15, 8, generator=generator), torch.randn(12, 8, generator=generator), seed=i)
        for i in range(60)
    ]
    assert 0.35 < np.mean([d.p_value for d in found]) < 0.65  # uniform
    assert 0.8 < np.mean([d.signal_to_noise for d in found]) < 1.25
    strong = direction_between(torch.randn(15, 8, generator=generator), 2 + torch.randn(12, 8, generator=generator))
    assert strong.p_value == 1 / 1000 and strong.cosine > 0.95


def test_equal_groups_have_no_direction():
    codes = torch.ones(3, 4)
    direction = direction_between(codes, codes)
    assert direction.signal_to_noise == 0 and direction.cosine == 0 and direction.p_value == 1


def test_apply_walks_along_the_direction():
    direction = direction_between(torch.tensor([[0.0, 0.0], [0.0, 2.0]]), torch.tensor([[4.0, 1.0], [4.0, 3.0]]))
    assert direction.apply(torch.tensor([1.0, 1.0]), [-0.5, 0, 1]).tolist() == [[-1, 0.5], [1, 1], [5, 2]]


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda: analogy(torch.zeros(2), torch.zeros(3), torch.zeros(2)), "three codes of one shape"),
        (lambda: direction_between(torch.zeros(1, 2), torch.zeros(5, 2)), "at least 2 into each"),
        (lambda: direction_between(torch.zeros(4, 2), torch.zeros(5, 3)), "two groups"),
        (lambda: direction_between(torch.zeros(4), torch.zeros(5)), "two groups"),
    ],
)
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        wrong()


def test_few_pictures_are_regrouped_in_every_way():
    """Of the 10 ways to choose 2 of 5 codes none but that at hand sets the means as far apart."""
    without, with_ = torch.tensor([[0.0, 0.0], [0.1, 0.0]]), torch.tensor([[5.0, 0.0], [5.1, 0.0], [5.2, 0.0]])
    assert np.isclose(direction_between(without, with_).p_value, 1 / 10)
