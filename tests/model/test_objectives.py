import copy
import math

import numpy as np
import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.model import (
    DIP1,
    DIP2,
    OBJECTIVES,
    TC,
    Beta,
    Capacity,
    Codes,
    Factor,
    Info,
    Middle,
    StepInfo,
    StratifiedTC,
    average_between,
    average_shared,
    held_out_loss,
    kl_per_dimension,
    logged_terms,
    mmd,
)
from vae_helpers.settings import require_objective

AT = StepInfo(beta=2.0, progress=0.5, step=3)


@pytest.fixture
def codes():
    """Two samples of 48 pictures' codes with 5 latents, leaves that take gradients, and their KL."""
    torch.manual_seed(0)
    mu, logvar = torch.randn(48, 5, requires_grad=True), torch.randn(48, 5, requires_grad=True)
    z = mu + torch.exp(0.5 * logvar) * torch.randn(2, 48, 5)
    return Codes(mu, logvar, z), kl_per_dimension(mu, logvar).sum(-1).mean()


def test_beta_weighs_the_kl(codes):
    penalty, terms = Beta(5).penalty(None, codes[1], AT)
    assert penalty == 2 * codes[1] and terms == [] and logged_terms("beta") == ()


def test_ada_finds_what_a_hand_made_pair_shares():
    """Symmetric divergences of (0.005, 0.3333, 8) and (0, 2, 4.5) nats: those below half of the greatest are shared."""
    mu = torch.tensor([[0.0, 1.0, 2.0], [0.1, 1.0, -2.0], [1.0, 1.0, 3.0], [1.0, -1.0, 0.0]], requires_grad=True)
    logvar = torch.zeros(4, 3)
    logvar[1, 1] = math.log(3)  # (3 + 1/3 - 2) / 4 = 1/3
    mean, log = average_shared(mu, logvar)
    assert torch.allclose(mean[:2], torch.tensor([[0.05, 1.0, 2.0], [0.05, 1.0, -2.0]]))
    assert torch.allclose(log[:2].exp(), torch.tensor([[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]))
    assert torch.allclose(mean[2:], torch.tensor([[1.0, 0.0, 3.0], [1.0, 0.0, 0.0]])) and not log[2:].any()
    mean[0].sum().backward()
    assert mu.grad.tolist() == [[0.5, 0.5, 1.0], [0.5, 0.5, 0.0], [0, 0, 0], [0, 0, 0]]


def test_ada_leaves_equal_pictures_and_the_order_of_a_pair_alone(codes):
    mu, logvar = codes[0].mu.detach(), codes[0].logvar.detach()
    twice = mu.repeat_interleave(2, 0), logvar.repeat_interleave(2, 0)
    assert all(torch.equal(*each) for each in zip(average_shared(*twice), twice))  # the β-VAE's own
    swapped = torch.arange(48).reshape(-1, 2).flip(1).flatten()
    straight, turned = average_shared(mu, logvar), average_shared(mu[swapped], logvar[swapped])
    assert all(torch.allclose(a[swapped], b) for a, b in zip(straight, turned))
    assert not torch.equal(straight[0], mu)
    with pytest.raises(InputError, match="47 pictures are not pairs"):
        average_shared(mu[1:], logvar[1:])


def test_the_third_of_a_triple_is_drawn_from_the_mean_of_the_other_two():
    mu = torch.tensor([[1.0, -2.0], [3.0, 4.0], [0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    logvar = torch.tensor([1.0, 3.0, 1.0, 1.0]).log()[:, None].repeat(1, 2)
    mean, log = average_between(mu, logvar)
    assert mean.tolist() == [[1, -2], [3, 4], [2, 1], [0, 0], [1, 0], [0.5, 0]]
    assert torch.allclose(log.exp()[:, 0], torch.tensor([1.0, 3.0, 2.0, 1.0, 1.0, 1.0]))
    mean[2].sum().backward()
    assert mu.grad.tolist() == [[0.5, 0.5], [0.5, 0.5], [0, 0], [0, 0]]


def test_the_third_of_a_triple_is_not_encoded():
    encoded = []

    def encode(x):
        encoded.append(x)
        return x, torch.zeros_like(x)

    mean, _ = Middle.infer(encode, torch.arange(6.0)[:, None])
    assert encoded[0].flatten().tolist() == [0, 1, 3, 4] and mean.flatten().tolist() == [0, 1, 0.5, 3, 4, 3.5]
    with pytest.raises(InputError, match="5 pictures are not triples"):
        Middle.infer(encode, torch.zeros(5, 1))


@pytest.mark.parametrize("progress, capacity", [(0.0, 0.0), (0.1, 4.0), (0.25, 10.0), (0.5, 20.0), (0.9, 20.0)])
def test_capacity_grows_with_every_step_and_stays(codes, progress, capacity):
    objective = Capacity(5, {"capacity": 20.0, "rise": 0.5, "gamma": 30.0})
    for kl in (7.0, 13.0):  # on either side of C
        penalty, (logged, gap) = objective.penalty(codes[0], torch.tensor(kl), StepInfo(1.0, progress, 0))
        assert (logged.item(), gap.item()) == pytest.approx((capacity, abs(kl - capacity)))
        assert penalty.item() == pytest.approx(30 * abs(kl - capacity))
    assert objective.schedule_ended(progress) == (progress >= 0.5)
    assert Capacity(5, {"rise": 0.0}).capacity(0.0) == 25


def test_a_kl_below_the_capacity_is_pulled_up(codes):
    gradients = []
    for capacity in (0.0, 1000.0):
        objective = Capacity(5, {"capacity": capacity})
        gradients.append(torch.autograd.grad(objective.penalty(*codes, AT)[0], codes[0].mu, retain_graph=True)[0])
    assert torch.allclose(gradients[0], -gradients[1]) and gradients[0].abs().sum() > 0


def test_tc_with_equal_weights_is_the_kl_and_beta_weighs_its_middle(codes):
    for objective in (TC(5), StratifiedTC(5, pictures=200)):
        parts = objective.penalty(*codes, StepInfo(1.0))[1]
        assert objective.penalty(*codes, StepInfo(1.0))[0].item() == pytest.approx(sum(parts).item())
        assert objective.penalty(*codes, StepInfo(3.0))[0].item() == pytest.approx(
            (parts[0] + 3 * parts[1] + parts[2]).item()
        )
        assert 0 <= parts[0] <= math.log(200)
    weighed = TC(5, {"alpha": 0.0, "gamma": 5.0}).penalty(*codes, StepInfo(0.0))
    assert weighed[0].item() == pytest.approx(5 * weighed[1][2].item())
    # Chen's ln N, which `tc` leaves out, moves between the parts and is no gradient.
    assert TC(5).penalty(*codes, AT)[1][0] <= math.log(48)


def test_tc_of_independent_latents_is_about_zero_and_of_tied_ones_not():
    torch.manual_seed(0)
    noise = torch.randn(1, 1000, 2)
    for tied in (False, True):
        x = torch.randn(1000, 2)
        mu = 0.9 * (x[:, :1].expand(-1, 2) if tied else x)
        z, logvar = mu + 0.5 * noise, torch.full_like(mu, 2 * math.log(0.5))
        for objective in (TC(2), StratifiedTC(2, pictures=10**6)):
            tc = objective.penalty(Codes(mu, logvar, z), torch.tensor(0.0), AT)[1][1].item()
            r = 0.9**2 / (0.9**2 + 0.25) if tied else 0.0
            assert tc == pytest.approx(-0.5 * math.log(1 - r**2), abs=0.06)


def test_the_discriminators_step_gives_the_encoder_a_gradient_of_exactly_zero(codes):
    objective = Factor(5, {"width": 16})
    before = [w.clone() for w in objective.discriminator.parameters()]
    loss = objective.discriminator_loss(codes[0].z, AT)
    assert all(
        g is None
        for g in torch.autograd.grad(
            loss, [codes[0].mu, codes[0].logvar, codes[0].z], allow_unused=True, retain_graph=True
        )
    )
    objective.learn(codes[0], AT, lambda v: v)
    assert codes[0].mu.grad is None and codes[0].logvar.grad is None
    assert not any(torch.equal(a, b) for a, b in zip(before, objective.discriminator.parameters()))
    # The other way round: the encoder's step reaches the encoder, and leaves nothing in the discriminator.
    objective.optimizer.zero_grad()
    objective.penalty(*codes, AT)[0].backward()
    assert codes[0].mu.grad.abs().sum() > 0
    assert all(w.grad is None for w in objective.discriminator.parameters())


def test_the_discriminator_finds_the_total_correlation_of_a_gaussian():
    objective = Factor(2, {"width": 32, "layers": 3, "learning_rate": 5e-3})
    generator, r, logs = torch.Generator().manual_seed(0), 0.8, []
    losses = []
    for step in range(300):
        z = torch.randn(1, 512, 2, generator=generator)
        z[..., 1] = r * z[..., 0] + (1 - r**2) ** 0.5 * z[..., 1]
        codes = Codes(z[0], z[0], z)
        logs.append(objective.penalty(codes, torch.tensor(0.0), StepInfo(0.0, 0.0, step))[1][0].item())
        losses += [loss.item() for loss in objective.learn(codes, StepInfo(0.0, 0.0, step), lambda v: v)]
    assert losses[0] == pytest.approx(math.log(2), abs=0.02) and abs(logs[0]) < 0.2
    assert np.mean(logs[-50:]) == pytest.approx(-0.5 * math.log(1 - r**2), abs=0.1)


def test_the_discriminator_learns_with_the_papers_optimiser():
    """Kim & Mnih 2018, appendix A: Adam at 1e-4 with moments 0.5 and 0.9, leaky slopes of 0.2."""
    objective = Factor(5, {"width": 16})
    (group,) = objective.optimizer.param_groups
    assert isinstance(objective.optimizer, torch.optim.Adam) and (group["lr"], group["betas"]) == (1e-4, (0.5, 0.9))
    weight = next(objective.discriminator.parameters())
    for gradient in (1.0, -3.0):
        before = weight.detach().clone()
        weight.grad = torch.full_like(weight, gradient)
        objective.optimizer.step()
    mean, square = (0.5 * 0.5 - 0.5 * 3) / (1 - 0.5**2), (0.9 * 0.1 + 0.1 * 9) / (1 - 0.9**2)
    assert torch.allclose(weight - before, torch.tensor(-1e-4 * mean / square**0.5), rtol=1e-2)
    layers = [layer for linear in objective.discriminator.layers for layer in (linear, torch.nn.LeakyReLU(0.2))][:-1]
    z = torch.randn(7, 5)
    assert torch.allclose(objective.discriminator(z), torch.nn.Sequential(*layers)(z)[:, 0], atol=1e-6)


def test_factor_draws_by_seed_and_step_and_comes_back_from_its_state(codes):
    one, other = Factor(5, {"width": 16}, seed=1), Factor(5, {"width": 16}, seed=1)
    assert one.discriminator_loss(codes[0].z, AT) == other.discriminator_loss(codes[0].z, AT)
    assert one.discriminator_loss(codes[0].z, AT) != one.discriminator_loss(codes[0].z, AT._replace(step=4))
    assert Factor(5, {"width": 16}, seed=2).discriminator_loss(codes[0].z, AT) != one.discriminator_loss(codes[0].z, AT)
    one.learn(codes[0], AT, lambda v: v)
    other.load_state_dict(copy.deepcopy(one.state_dict()))  # as from a file: an optimiser would share the tensors
    for objective in (one, other):
        objective.learn(codes[0], AT._replace(step=4), lambda v: v)
    assert all(torch.equal(a, b) for a, b in zip(one.discriminator.parameters(), other.discriminator.parameters()))
    torch.manual_seed(9)
    expected = torch.rand(2)
    torch.manual_seed(9)
    Factor(5, {"width": 16})
    assert torch.equal(torch.rand(2), expected)  # it costs the session no dice


def test_dip_covariances_are_numpys(codes):
    (mu, logvar, _), kl = codes
    of_mu = np.cov(mu.detach().numpy().T, bias=True)
    of_z = of_mu + np.diag(np.exp(logvar.detach().numpy()).mean(0))
    for objective, expected, knobs in ((DIP1(5), of_mu, (10, 100)), (DIP2(5), of_z, (10, 10))):
        assert np.allclose(objective.covariance(codes[0]).detach(), expected, atol=1e-5)
        off = (expected**2).sum() - (np.diag(expected) ** 2).sum()
        on = ((np.diag(expected) - 1) ** 2).sum()
        penalty, terms = objective.penalty(*codes, AT)
        assert [t.item() for t in terms] == pytest.approx([off, on], rel=1e-4)
        assert penalty.item() == pytest.approx(2 * kl.item() + knobs[0] * off + knobs[1] * on, rel=1e-4)


@pytest.mark.parametrize("imq", [False, True])
def test_mmd_is_unbiased_and_tells_distributions_apart(imq):
    generator = torch.Generator().manual_seed(0)
    equal = [mmd(*torch.randn(2, 20, 3, generator=generator), imq=imq).item() for _ in range(400)]
    assert min(equal) < 0 and abs(np.mean(equal)) < 3 * np.std(equal) / 20  # biased, it would be about 2·(1-0.4)/20
    assert np.std(equal) / 20 < 0.003
    assert mmd(torch.randn(500, 3, generator=generator), torch.randn(500, 3, generator=generator), imq=imq).abs() < 0.01
    shifted = mmd(torch.randn(200, 3, generator=generator) + 1, torch.randn(200, 3, generator=generator), imq=imq)
    assert shifted > 0.1


def test_mmd_by_hand():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [1.0]])  # Z = 1: the scale is 2
    assert mmd(a, b).item() == pytest.approx(math.exp(-2) + 1 - 2 * math.exp(-0.5))
    assert mmd(a, b, imq=True).item() == pytest.approx(2 / 6 + 1 - 2 * 2 / 3)
    assert mmd(a, b, bandwidth=2.0).item() == pytest.approx(math.exp(-1) + 1 - 2 * math.exp(-0.25))


def test_info_weighs_kl_and_mmd(codes):
    objective = Info(5, {"alpha": 0.25, "lambda": 50.0})
    penalty, (distance,) = objective.penalty(*codes, AT)
    assert penalty.item() == pytest.approx(2 * 0.75 * codes[1].item() + 49.25 * distance.item(), rel=1e-5)
    assert objective.penalty(*codes, AT)[1][0] == distance  # the prior's draws follow from (seed, step)
    assert objective.penalty(*codes, AT._replace(step=4))[1][0] != distance
    assert Info(5, {"imq": 1}).penalty(*codes, AT)[1][0] != distance


@pytest.mark.parametrize("name", OBJECTIVES)
def test_each_objective_logs_what_it_names(codes, name):
    objective = OBJECTIVES[name](5, {"width": 16} if name == "factor" else None, pictures=100)
    penalty, terms = objective.penalty(*codes, AT)
    terms += objective.learn(codes[0], AT, lambda v: v)
    assert torch.isfinite(torch.stack([penalty, *terms])).all() and len(terms) == len(objective.terms)
    assert logged_terms(name) == (("penalty", *objective.terms) if terms else ())


def test_held_out_losses():
    assert held_out_loss({"beta": 3.0}) == {"beta": 3.0, "capacity": 0.0, "likelihood": "gaussian", "scale": None}
    settings = {"beta": 2.0, "objective": "capacity", "knobs": {"capacity": 9.0}, "likelihood": "laplace", "scale": 0.1}
    assert held_out_loss(settings) == {"beta": 2000.0, "capacity": 9.0, "likelihood": "laplace", "scale": 0.1}
    for name in ("tc", "tc-stratified", "factor", "dip-1", "dip-2", "info"):
        assert held_out_loss({"beta": 6.0, "objective": name, "knobs": None})["beta"] == 1.0  # the negative ELBO


@pytest.mark.parametrize(
    "name, knobs, words",
    [
        ("vae", None, "objective 'vae' is unknown; choose one of beta, capacity, tc, tc-stratified, factor"),
        ("beta", {"gamma": 1.0}, "no knob 'gamma': leave knobs out"),
        ("tc", {"gama": 1.0}, "no knob 'gama': choose one of alpha, gamma"),
        ("capacity", {"rise": 1.5}, "rise .*from 0 to 1"),
        ("capacity", {"gamma": math.nan}, "gamma .* is nan"),
        ("dip-1", {"diagonal": -1.0}, "diagonal"),
        ("info", {"alpha": 2.0}, "alpha"),
        ("info", {"alpha": math.inf}, "alpha .* is inf"),
        ("ada", {"k": -1.0}, "k .*from 0 to 64"),
        ("factor", {"width": "wide"}, "'wide'"),
        ("factor", {"layers": 0}, "layers"),
        ("factor", {"gamma": True}, "True"),
    ],
)
def test_unknown_names_knobs_and_values_get_a_sentence(name, knobs, words):
    with pytest.raises(InputError, match=words):
        require_objective(name, knobs)
