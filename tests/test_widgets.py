"""The explorers, driven from Python as the browser drives them: by the values of their controls."""

import io
import json
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.export import to_bytes
from vae_helpers.latent import LatentSummary, encode_pictures, lerp, reconstruct, slerp, summarise
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.widgets import LatentExplorer, PairExplorer

LATENTS = 8
NAMES = [f"set/{i:06d}" for i in range(30)]


@pytest.fixture(scope="module")
def pictures():
    """Smooth random pictures: colour patches of 8×8 pixels."""
    patches = np.random.default_rng(0).integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    return patches.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return BetaVAE(VAEConfig(image_size=32, latent_dim=LATENTS)).eval()


@pytest.fixture(scope="module")
def summary(model, pictures):
    """As measured on the pictures, but with KLs that give a known order and two inactive latents."""
    measured = summarise(*encode_pictures(model, pictures))
    kl = np.array([0.5, 3.0, 0.0, 2.0, 1.0, 0.1, 0.2, 4.0])
    return LatentSummary(kl, np.where(kl < 0.15, 0.0, 1.0), measured.mean, measured.spread)


@pytest.fixture
def pair(model, pictures, summary):
    return PairExplorer(model, pictures, NAMES, summary, page_size=12)


@pytest.fixture
def latents(model, pictures, summary):
    return LatentExplorer(model, pictures, NAMES, summary, sliders=4)


def count_draws(explorer, stage):
    """A list that grows by one whenever the stage is drawn."""
    drawn, original = [], getattr(explorer, f"_draw_{stage}")
    setattr(explorer, f"_draw_{stage}", lambda: (drawn.append(stage), original()))
    return drawn


def is_error(explorer):
    return "vae-error" in explorer.status.value


# Between two pictures

def test_pair_shows_a_path_at_once(pair):
    assert pair.frames.shape == (12, 32, 32, 3) and pair.frames.dtype == np.uint8
    assert (pair.a.value, pair.b.value, pair.frame.max) == (0, 1, 11)
    for image in (pair.view, pair.strip, *pair.originals, *pair.ends):
        assert Image.open(io.BytesIO(image.value)).format == "JPEG"
    assert "12 frames by lerp" in pair.status.value and not is_error(pair)


@pytest.mark.parametrize("a, b", [(0, 1), (29, 3), (7, 7)])
@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_pair_ends_are_the_reconstructions_bit_for_bit(pair, model, pictures, a, b, method):
    pair.a.value, pair.b.value, pair.method.value = a, b, method
    for end, index in ((0, a), (-1, b)):
        expected = reconstruct(model, pictures[[index]])[0]
        assert np.array_equal(pair.frames[end], expected)
        assert np.array_equal(pair.reconstructions[end], expected)


@pytest.mark.parametrize("method", ["lerp", "slerp"])
def test_pair_frames_follow_the_named_path(pair, model, pictures, summary, method):
    with pair.hold():
        pair.a.value, pair.b.value, pair.steps.value, pair.method.value = 4, 9, 7, method
    mu, _ = encode_pictures(model, pictures[[4, 9]])
    codes = lerp(mu[0], mu[1], 7) if method == "lerp" else slerp(mu[0], mu[1], 7, summary.active)
    with torch.no_grad():
        middle = (model.decode(codes)[3].permute(1, 2, 0).numpy() + 1) * 127.5
    assert len(pair.frames) == 7
    assert np.abs(pair.frames[3] - middle).max() < 1


def test_every_frame_shows_its_own_picture(pair):
    for at in (11, 0, 6):
        before = pair.view.value
        pair.frame.value = at
        assert pair.view.value == to_bytes(pair.frames[at]) != before
    assert "Frame 6" in pair.view_caption.value and "55%" in pair.view_caption.value


def test_typed_numbers_and_sliders_follow_each_other(pair):
    pair.typed_frame.value = 2
    assert pair.frame.value == 2
    pair.typed_steps.value = 5
    assert pair.steps.value == 5 and len(pair.frames) == 5
    assert pair.frame.max == pair.typed_frame.max == 4


def test_fewer_steps_pull_the_frame_back_inside(pair):
    pair.frame.value = 11
    pair.steps.value = 3
    assert pair.frame.value == pair.typed_frame.value == 2
    assert not is_error(pair)


def test_swap_reverses_the_path(pair):
    pair.a.value, pair.b.value = 3, 8
    ends = pair.reconstructions
    drawn = count_draws(pair, "path")
    pair.swap.click()
    assert (pair.a.value, pair.b.value) == (8, 3) and drawn == ["path"]
    assert np.array_equal(pair.reconstructions, ends[::-1])


def test_random_pairs_come_back_with_their_seed(pair):
    seen = {}
    for _ in range(6):
        pair.random_pair.click()
        seen[pair.seed.value] = (pair.a.value, pair.b.value)
        assert pair.a.value != pair.b.value
    assert sorted(seen) == [1, 2, 3, 4, 5, 6] and len(set(seen.values())) > 3
    pair.seed.value = 2
    assert (pair.a.value, pair.b.value) == seen[2]


def test_thumbnails_set_a_and_b_in_turn(pair):
    pair.gallery.buttons[5].click()
    assert (pair.a.value, pair.b.value, pair.target.value) == (5, 1, "B")
    pair.gallery.buttons[8].click()
    assert (pair.a.value, pair.b.value, pair.target.value) == (5, 8, "A")
    pair.target.value = "B"
    pair.gallery.buttons[2].click()
    assert (pair.a.value, pair.b.value) == (5, 2)


def test_gallery_pages_through_all_pictures(pair):
    gallery, first_page = pair.gallery, pair.gallery._drawn.value
    assert gallery.pages == 3 and len(gallery.buttons) == 12
    gallery.next.click()
    assert gallery.page.value == 2 and gallery.buttons[0].description == "12" and gallery._drawn.value != first_page
    gallery.next.click()
    assert [b.description for b in gallery._grid.children] == ["24", "25", "26", "27", "28", "29"]
    assert gallery.buttons[5].tooltip == "set/000029"
    gallery._grid.children[5].click()
    assert pair.a.value == 29
    gallery.next.click()
    assert gallery.page.value == 1 and gallery._drawn.value == first_page
    gallery.previous.click()
    assert gallery.page.value == 3


def test_a_and_b_are_framed_only_on_their_page(pair):
    marks = pair.gallery._marked
    assert marks.value.count("content:'A'") == marks.value.count("content:'B'") == 1
    pair.gallery.page.value = 2
    assert "content" not in marks.value
    pair.a.value = pair.b.value = 13
    assert "content:'A=B'" in marks.value


def test_setting_several_controls_draws_once(pair):
    paths, frames = count_draws(pair, "path"), count_draws(pair, "frame")
    with pair.hold():
        pair.a.value, pair.b.value, pair.steps.value, pair.method.value, pair.frame.value = 2, 9, 20, "slerp", 1
        assert not paths
    assert paths == ["path"] and frames == ["frame"]
    assert len(pair.frames) == 20


def test_a_single_picture_and_no_summary_will_do(model, pictures):
    explorer = PairExplorer(model, pictures[:1], NAMES[:1])
    explorer.random_pair.click()
    explorer.method.value = "slerp"
    assert not is_error(explorer) and explorer.gallery.pages == 1
    assert np.array_equal(explorer.frames[0], explorer.frames[-1])


# Along the latents

def test_latents_are_the_active_ones_by_kl(latents, summary):
    assert latents.dimensions == [7, 1, 3, 4]
    assert latents.sliders[7].description == "z7 · 4.0 nats"
    for j in latents.dimensions:
        value, slider = latents.values[j], latents.sliders[j]
        assert value.min <= min(0, summary.mean[j] - 3 * summary.spread[j])
        assert value.max >= max(0, summary.mean[j] + 3 * summary.spread[j])
        assert slider.value == 0
        assert abs(value.value + slider.min * value.step - value.min) < 1e-9


def test_at_the_start_the_live_picture_is_the_reconstruction(latents, model, pictures):
    for index in (0, 17):
        latents.start.value = index
        expected = reconstruct(model, pictures[[index]])[0]
        assert np.array_equal(latents.picture, expected) and np.array_equal(latents.reconstruction, expected)
        assert torch.equal(latents.code, encode_pictures(model, pictures[[index]])[0][0])
        assert latents.live.value == latents.rebuilt.value


def test_a_slider_moves_its_latent_alone_and_back(latents):
    start, before, live = latents.code, latents.picture, latents.live.value
    latents.sliders[3].value = 10
    moved = latents.values[3].value
    assert moved == pytest.approx(start[3].item() + 10 * latents.values[3].step, abs=6e-4)
    assert (latents.code != start).nonzero().tolist() == [[3]] and latents.code[3].item() == pytest.approx(moved)
    assert latents.live.value != live and not np.array_equal(latents.picture, before)
    latents.sliders[3].value = 0
    assert torch.equal(latents.code, start) and np.array_equal(latents.picture, before)


def test_a_typed_value_stays_as_typed(latents):
    step = latents.values[1].step
    typed = latents.values[1].value + 2.3 * step
    latents.values[1].value = typed
    assert latents.values[1].value == typed and latents.sliders[1].value == 2
    assert latents.code[1].item() == pytest.approx(typed)
    latents.sliders[1].value = 3
    assert latents.values[1].value == pytest.approx(typed + 0.7 * step, abs=6e-4)


@pytest.mark.parametrize("end", ["min", "max"])
def test_sliders_reach_both_ends_of_the_range(latents, end):
    slider, value = latents.sliders[7], latents.values[7]
    slider.value = getattr(slider, end)
    assert value.value == pytest.approx(getattr(value, end)) and slider.value == getattr(slider, end)


def test_resets(latents, model):
    latents.start.value = 5
    start = latents.code
    with latents.hold():
        for j in latents.dimensions:
            latents.sliders[j].value = 4
    assert (latents.code != start).sum() == 4
    latents.to_picture.click()
    assert torch.equal(latents.code, start)
    assert all(s.value == 0 for s in latents.sliders.values())
    latents.to_zero.click()
    assert (latents.code == 0).all() and "prior" in latents.status.value
    with torch.no_grad():
        zero = (model.decode(torch.zeros(1, LATENTS))[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(latents.picture - zero).max() < 1
    latents.to_picture.click()
    assert torch.equal(latents.code, start)


def test_many_sliders_draw_once(latents):
    drawn = count_draws(latents, "live")
    with latents.hold():
        for j in latents.dimensions:
            latents.sliders[j].value = -2
    assert drawn == ["live"]
    latents.start.value = 8
    assert drawn == ["live", "live"]


def test_thumbnails_choose_the_start(latents):
    latents.gallery.buttons[9].click()
    assert latents.start.value == 9 and "9 · 000009" in latents.captions[0].value
    assert "content:'Start'" in latents.gallery._marked.value


def test_the_gallery_turns_to_a_start_typed_by_number(latents):
    assert latents.gallery.page.value == 1
    latents.start.value = 25
    assert latents.gallery.page.value == 3 and "content:'Start'" in latents.gallery._marked.value
    latents.gallery.page.value = 1  # looking around moves nothing
    assert latents.start.value == 25 and "content" not in latents.gallery._marked.value


def test_a_state_brings_the_picture_back(latents, model, pictures, summary):
    latents.start.value = 6
    latents.sliders[7].value, latents.values[4].value = 5, latents.values[4].max + 0.0
    state, picture = latents.state.value, latents.picture
    other = LatentExplorer(model, pictures, NAMES, summary, sliders=4)
    drawn = count_draws(other, "live")
    other.state.value = state
    assert np.array_equal(other.picture, picture) and other.state.value == state and drawn == ["live"]
    other.to_picture.click()
    assert json.loads(other.state.value) == {"picture": 6, "start": "picture", "z": {}}


def test_a_state_may_lie_outside_the_range(latents):
    latents.state.value = '{"picture": 2, "start": "zero", "z": {"3": 40.25, "7": -31}}'
    assert latents.code.tolist() == [0, 0, 0, 40.25, 0, 0, 0, -31]
    assert latents.sliders[3].value == round(40.25 / latents.values[3].step) and not is_error(latents)


@pytest.mark.parametrize("text, problem", [
    ("not json", "cannot be read"), ("[]", "cannot be read"), ('{"z": {}}', "cannot be read"),
    ('{"picture": 0, "z": {"7": "far"}}', "cannot be read"),
    ('{"picture": 30}', "0 to 29"), ('{"picture": -1}', "0 to 29"), ('{"picture": 1.5}', "0 to 29"),
    ('{"picture": 0, "start": "b"}', "its start"),
    ('{"picture": 0, "z": {"2": 1}}', "no slider"), ('{"picture": 0, "z": {"7": NaN}}', "no finite number")])
def test_a_bad_state_is_a_sentence_and_moves_nothing(latents, text, problem):
    code = latents.code
    latents.state.value = text
    assert is_error(latents) and problem in latents.status.value
    assert torch.equal(latents.code, code)
    latents.sliders[7].value = 1
    assert not is_error(latents) and json.loads(latents.state.value)["z"]


def test_without_an_active_latent_it_says_so(model, pictures, summary):
    collapsed = summary._replace(variance=np.zeros(LATENTS))
    explorer = LatentExplorer(model, pictures, NAMES, collapsed, sliders=3)
    assert explorer.dimensions == [7, 1, 3] and "No latent is active" in explorer.status.value


# What both share

@pytest.mark.parametrize("arguments, problem", [
    (lambda p: (p[:, :16], NAMES), r"needs uint8 pictures of shape \(N, 32, 32, 3\).*image_size=32"),
    (lambda p: (p.astype(float), NAMES), "float64"),
    (lambda p: (p[:0], []), "at least 1"),
    (lambda p: (list(p), NAMES), "list"),
    (lambda p: (p, NAMES[:3]), "30 pictures but 3 names")])
@pytest.mark.parametrize("kind", [PairExplorer, LatentExplorer])
def test_what_does_not_fit_is_refused(model, pictures, summary, kind, arguments, problem):
    with pytest.raises(InputError, match=problem):
        kind(model, *arguments(pictures), summary)


def test_bad_numbers_are_refused(model, pictures, summary):
    with pytest.raises(InputError, match="0 sliders"):
        LatentExplorer(model, pictures, NAMES, summary, sliders=0)
    with pytest.raises(InputError, match="page_size is 0"):
        PairExplorer(model, pictures, NAMES, summary, page_size=0)
    with pytest.raises(InputError, match="describes 3 latents, but this model has 8"):
        LatentExplorer(model, pictures, NAMES, LatentSummary(*(field[:3] for field in summary)))
    with pytest.raises(InputError, match="describes 3 latents, but this model has 8"):
        PairExplorer(model, pictures, NAMES, LatentSummary(*(field[:3] for field in summary)))


def test_an_error_lands_in_the_status_line_and_passes(pair, latents, monkeypatch):
    def broken(z):
        raise RuntimeError("out of <memory>")
    for explorer, move in ((pair, lambda v: setattr(pair.a, "value", v)),
                           (latents, lambda v: setattr(latents.sliders[7], "value", v))):
        with monkeypatch.context() as patch:
            patch.setattr(explorer._decoder, "forward", broken)
            move(3)  # nothing is raised here: in a notebook nobody would see it
            assert is_error(explorer) and "RuntimeError: out of &lt;memory&gt;" in explorer.status.value
        move(4)
        assert not is_error(explorer)


@pytest.mark.parametrize("training", [True, False])
def test_the_given_model_stays_untouched(pictures, summary, training):
    torch.manual_seed(1)
    given = BetaVAE(VAEConfig(image_size=32, latent_dim=LATENTS)).train(training)
    before = {k: v.clone() for k, v in given.state_dict().items()}
    for explorer in (PairExplorer(given, pictures, NAMES, summary), LatentExplorer(given, pictures, NAMES, summary)):
        getattr(explorer, "swap", getattr(explorer, "to_zero", None)).click()
        assert not explorer._model.training and not any(p.requires_grad for p in explorer._model.parameters())
    assert given.training is training
    assert all(p.requires_grad and p.grad is None for p in given.parameters())
    assert all(torch.equal(v, before[k]) for k, v in given.state_dict().items())


def test_training_the_model_does_not_reach_the_explorer(pictures, summary):
    torch.manual_seed(1)
    given = BetaVAE(VAEConfig(image_size=32, latent_dim=LATENTS)).eval()
    explorer = PairExplorer(given, pictures, NAMES, summary)
    path = explorer.frames
    with torch.no_grad():
        for parameter in given.parameters():
            parameter.add_(0.1)
    given.train()
    explorer.swap.click()
    explorer.swap.click()
    assert np.array_equal(explorer.frames, path)


def test_callbacks_work_on_another_thread_while_this_one_trains(pair, latents, model, pictures):
    """ipykernel 7 runs them concurrently with cells; grad mode and autocast belong to a thread."""
    given = BetaVAE(VAEConfig(image_size=32, latent_dim=LATENTS)).train().set_half(torch.bfloat16)
    failures = []

    def drag():
        try:
            for k in range(1, 9):
                pair.frame.value, pair.a.value = k, 10 + k
                latents.sliders[7].value = k
        except BaseException as problem:
            failures.append(problem)
    thread = threading.Thread(target=drag)
    thread.start()
    with torch.enable_grad():
        for _ in range(3):
            x = torch.rand(4, 3, 32, 32)
            x_hat, _, _ = given(x, torch.randn(1, 4, LATENTS))
            x_hat.float().square().sum().backward()
        pair.b.value = 22  # and a cell may drive them at the same time
    thread.join(30)
    assert not thread.is_alive() and not failures and not is_error(pair) and not is_error(latents)
    assert given.training and torch.is_grad_enabled()
    assert np.array_equal(pair.frames[[0, -1]], reconstruct(model, pictures[[18, 22]]))
    assert pair.frame.value == 8 and latents.sliders[7].value == 8


def test_autocast_of_the_calling_cell_changes_no_picture(pair):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pair.a.value, pair.b.value = 20, 21
        inside = pair.frames
    assert not is_error(pair)
    pair.swap.click()
    pair.swap.click()
    assert np.array_equal(pair.frames, inside)


def test_gradients_pass_through_a_code_taken_from_the_explorer(latents):
    code = latents.code.requires_grad_()
    (code * code).sum().backward()
    assert code.grad is not None


def test_it_displays_itself(pair, latents):
    """As the last line of a cell: ipywidgets 8 asks _repr_mimebundle_, 7 _ipython_display_."""
    for explorer in (pair, latents):
        assert explorer._view_name == "VBoxView" and explorer.children
        if hasattr(explorer, "_repr_mimebundle_"):
            bundle = explorer._repr_mimebundle_()
            data = bundle[0] if isinstance(bundle, tuple) else bundle
            assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
        else:
            assert callable(explorer._ipython_display_)
    assert repr(pair) == "PairExplorer of 30 pictures: A = 0, B = 1, 12 steps, lerp"
    assert repr(latents).startswith('LatentExplorer of 30 pictures: {"picture": 0')
