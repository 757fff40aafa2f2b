import pytest
import torch

from vae_helpers.latent import lbfgs

minimise = lbfgs.minimise


def test_finds_the_bottom_of_a_stretched_bowl():
    stiffness = torch.tensor([1.0, 10.0, 100.0])
    bottom = torch.tensor([3.0, -2.0, 1.0])
    found = minimise(lambda x: 1 + (stiffness * (x - bottom).square()).sum(), torch.zeros(3), 60, tolerance=0)
    assert torch.allclose(found, bottom, atol=1e-3)


def test_finds_the_end_of_the_rosenbrock_valley():
    found = minimise(
        lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, torch.tensor([-1.2, 1.0]), 200, tolerance=0
    )
    assert torch.allclose(found, torch.ones(2), atol=1e-2)


@pytest.mark.parametrize("evaluations", [1, 2, 7])
def test_stays_within_its_evaluations_and_never_ends_worse(evaluations):
    calls = []

    def function(x):
        calls.append(x.detach().clone())
        return torch.sin(5 * x).sum() + x.square().sum()

    start = torch.full((4,), 2.0)
    found = minimise(function, start, evaluations)
    assert 1 <= len(calls) <= evaluations
    assert function(found) <= function(start)
    assert torch.equal(start, torch.full((4,), 2.0))


def test_stands_still_where_there_is_no_slope():
    assert torch.equal(minimise(lambda x: (0 * x).sum(), torch.ones(3), 10), torch.ones(3))


def test_survives_a_function_that_is_not_a_number_further_on():
    found = minimise(lambda x: torch.log(x).sum() ** 2 - 3 * x.sum(), torch.full((2,), 0.5), 30)
    assert torch.isfinite(found).all()


def test_works_in_inference_mode():
    with torch.inference_mode():
        found = minimise(lambda x: (x - 1).square().sum(), torch.zeros(2), 20)
    assert torch.allclose(found, torch.ones(2), atol=1e-3)
