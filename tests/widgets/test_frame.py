"""What all explorers share: refusals, errors in the status line, a private model, threads."""

import errno
import os
import threading

import numpy as np
import pytest
import torch
from explorers import LATENTS, NAMES, everything, find_buttons, is_error

from vae_helpers.errors import InputError
from vae_helpers.latent import LatentSummary, reconstruct
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.widgets import ExplorerData, LatentExplorer, PairExplorer


@pytest.mark.parametrize(
    "arguments, problem",
    [
        (lambda p: (p[:, :16], NAMES), r"needs uint8 pictures of shape \(N, 32, 32, 3\).*image_size=32"),
        (lambda p: (p.astype(float), NAMES), "float64"),
        (lambda p: (p[:0], []), "at least 1"),
        (lambda p: (list(p), NAMES), "list"),
        (lambda p: (p, NAMES[:3]), "30 pictures but 3 names"),
    ],
)
@pytest.mark.parametrize("kind", [PairExplorer, LatentExplorer])
def test_what_does_not_fit_is_refused(model, pictures, summary, kind, arguments, problem):
    with pytest.raises(InputError, match=problem):
        kind(ExplorerData(model, *arguments(pictures), summary))


def test_bad_numbers_are_refused(model, pictures, summary):
    with pytest.raises(InputError, match="0 sliders"):
        LatentExplorer(ExplorerData(model, pictures, NAMES, summary), sliders=0)
    with pytest.raises(InputError, match="page_size is 0"):
        PairExplorer(ExplorerData(model, pictures, NAMES, summary), page_size=0)
    with pytest.raises(InputError, match="describes 3 latents, but this model has 8"):
        LatentExplorer(ExplorerData(model, pictures, NAMES, LatentSummary(*(field[:3] for field in summary))))
    with pytest.raises(InputError, match="describes 3 latents, but this model has 8"):
        PairExplorer(ExplorerData(model, pictures, NAMES, LatentSummary(*(field[:3] for field in summary))))


def test_an_error_lands_in_the_status_line_and_passes(pair, latents, monkeypatch):
    def broken(z):
        raise RuntimeError("out of <memory>")

    for explorer, move in (
        (pair, lambda v: setattr(pair.a, "value", v)),
        (latents, lambda v: setattr(latents.sliders["latent 7"], "value", v)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(getattr(explorer, "_decoder", explorer._model.decoder), "forward", broken)
            move(3)  # nothing is raised here: in a notebook nobody would see it
            assert is_error(explorer) and "RuntimeError: out of &lt;memory&gt;" in explorer.status.value
        move(4)
        assert not is_error(explorer)


@pytest.mark.parametrize("training", [True, False])
def test_the_given_model_stays_untouched(pictures, summary, training):
    torch.manual_seed(1)
    given = BetaVAE(VAEConfig(image_size=32, latent_dim=LATENTS)).train(training)
    before = {k: v.clone() for k, v in given.state_dict().items()}
    learnt = [p.requires_grad for p in given.parameters()]
    data = ExplorerData(given, pictures, NAMES, summary)
    for explorer in (PairExplorer(data), LatentExplorer(data)):
        getattr(explorer, "swap", getattr(explorer, "to_mean", None)).click()
        assert not explorer._model.training and not any(p.requires_grad for p in explorer._model.parameters())
    assert given.training is training
    assert any(learnt) and [p.requires_grad for p in given.parameters()] == learnt
    assert all(p.grad is None for p in given.parameters())
    assert all(torch.equal(v, before[k]) for k, v in given.state_dict().items())


def test_training_the_model_does_not_reach_the_explorer(pictures, summary):
    torch.manual_seed(1)
    given = BetaVAE(VAEConfig(image_size=32, latent_dim=LATENTS)).eval()
    explorer = PairExplorer(ExplorerData(given, pictures, NAMES, summary))
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
                latents.sliders["latent 7"].value = k
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
    assert pair.frame.value == 8 and latents.sliders["latent 7"].value == 8


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


def test_the_browser_says_which_thread_a_message_is_for(pair, latents):
    """Else ipykernel 7.4 leaves the first touch of a control to the cells' thread, where a training may run."""

    def walk(widget):
        yield widget
        for child in getattr(widget, "children", ()):
            yield from walk(child)

    for widget in (*walk(pair), *walk(latents)):
        assert widget.comm is None or widget.comm._reply_subshell_for({}, "beside") == "beside"


@pytest.mark.parametrize(
    "problem, words",
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "a.gif"),
            "a.gif cannot be used, because the disk is full: free some space",
        ),
        (OSError(errno.ENAMETOOLONG, "File name too long", "aa"), "aa cannot be used, because the name is too long"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), "a file cannot be used, because No such file"),
        (
            UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
            "characters that this system cannot store",
        ),
        (
            OverflowError("int too large to convert to float"),
            "a number is beyond what can be computed with (int too large",
        ),
        (MemoryError(), "memory is full: close other explorers"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            "memory is full: close other explorers",
        ),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "memory is full"),
    ],
)
def test_what_the_system_refuses_becomes_a_sentence(pair, latents, problem, words):
    def fails():
        raise problem

    for explorer in (pair, latents):
        explorer.attempt(fails)
        assert is_error(explorer) and words in explorer.status.value.replace("&#x27;", "'")
        assert type(problem).__name__ not in explorer.status.value


def test_saving_never_replaces_what_was_saved(pair, latents):
    for explorer, stem in ((pair, "path_0_1_lerp"), (latents, "sweep_0_latent_7")):
        explorer.folder = explorer.folder / type(explorer).__name__
        save = next(b for b in find_buttons(explorer) if b.tooltip == "save as .png")
        for name in (f"{stem}.png", f"{stem}_2.png", f"{stem}_3.png"):
            save.click()
            assert name in explorer.status.value and not is_error(explorer)
        assert len(list(explorer.folder.iterdir())) == 3


@pytest.mark.skipif(os.name == "nt", reason="names there are Unicode")
def test_names_that_are_not_utf8_are_shown_and_saved(model, pictures, summary, tmp_path):
    names = [os.fsdecode(b"caf\xe9.jpg")] * 30
    pair = PairExplorer(ExplorerData(model, pictures, names, summary), folder=tmp_path)
    for ending in (".html", ".gif"):
        next(b for b in find_buttons(pair) if b.tooltip == f"save as {ending}").click()
        assert not is_error(pair) and "Saved" in pair.status.value
    assert "caf\\udce9.jpg" in (tmp_path / "path_0_1_lerp.html").read_text("utf-8")
    latents = LatentExplorer(ExplorerData(model, pictures, names, summary), folder=tmp_path)
    latents._take_photo(names[0], pictures[0])
    for explorer in (pair, latents):
        for widget in everything(explorer):
            for value in widget.get_state().values():  # what goes to the browser, which takes UTF-8 only
                str(value).encode()
