"""Slow work behind a control: the newest wish wins, and nothing else waits for it."""

import sys
import threading

import numpy as np
import pytest
from explorers import NAMES, count_draws, is_error

from vae_helpers.errors import InputError
from vae_helpers.latent import Soundness, encode_pictures, walk
from vae_helpers.widgets import ExplorerData, LatentExplorer, PairExplorer, frame


@pytest.fixture
def by_hand(monkeypatch):
    """Controls are moved in a browser."""
    monkeypatch.setattr(frame, "control_was_moved", lambda: True)


class Gate:
    """Work that waits to be let through."""

    def __init__(self):
        self.begun, self.through, self.ended = threading.Event(), threading.Event(), []

    def work(self, name):
        def work(watch):
            self.begun.set()
            assert self.through.wait(10)
            watch()
            return name

        return work


def test_a_wish_that_was_overtaken_is_dropped(pair, by_hand):
    gate, taken = Gate(), []
    pair.compute("x", "something", gate.work("first"), taken.append)
    assert "Computing something" in pair.status.value and gate.begun.wait(10)
    assert "vae-computing" in pair._dom_classes
    for name in ("second", "third"):
        pair.compute("x", "something", gate.work(name), taken.append)
    gate.through.set()
    pair.settle()
    assert taken == ["third"] and not any("computing" in each for each in pair._dom_classes)


def test_controls_answer_while_something_is_computed(pair, by_hand):
    gate = Gate()
    pair.compute("x", "something", gate.work("first"), lambda _: None)
    assert gate.begun.wait(10)
    drawn = count_draws(pair, "frame")
    pair.frame.value = 3  # in this thread: it would wait for ever if the work held the lock
    assert drawn == ["frame"]
    gate.through.set()
    pair.settle()


def test_a_move_of_the_frame_slider_while_a_path_arrives_is_kept(pair, by_hand, monkeypatch):
    """The browser's message sets the slider without the lock, between any two lines of what applies the path."""
    module = sys.modules[PairExplorer.__module__]
    seen = module.show

    def show(image, pixels):
        if image is pair.ends[1]:
            pair.frame.value = 1
        seen(image, pixels)

    monkeypatch.setattr(module, "show", show)
    pair.frame.value = 6
    for control, value in ((pair.b, 9), (pair.steps, 20)):
        control.value = value
        pair.settle()
        assert pair.frame.value == 1 and not is_error(pair)


def test_what_goes_wrong_is_said_and_the_next_wish_works(pair, by_hand):
    def fails(watch):
        raise InputError("there is no such path.")

    pair.compute("x", "something", fails, lambda _: pytest.fail("applied"))
    pair.settle()
    assert (
        is_error(pair)
        and "no such path" in pair.status.value
        and not any("computing" in each for each in pair._dom_classes)
    )
    taken = []
    pair.compute("x", "something", lambda watch: 1, taken.append)
    pair.settle()
    assert taken == [1]


def test_an_explorer_that_is_closed_takes_nothing_any_more(model, pictures, summary, by_hand):
    pair, gate = PairExplorer(ExplorerData(model, pictures, NAMES, summary)), Gate()
    pair.settle()
    pair.compute("x", "something", gate.work("late"), lambda _: pytest.fail("applied"))
    assert gate.begun.wait(10)
    pair.close()
    gate.through.set()
    pair.settle()


def test_progress_is_said(pair, by_hand):
    said = []
    pair.status.observe(lambda change: said.append(change["new"]), "value")
    pair.compute("x", "something", lambda watch: watch("half-way …"), lambda _: None)
    pair.settle()
    assert any("half-way" in each for each in said)


def test_for_a_cell_it_is_done_at_once(pair):
    taken, here = [], threading.get_ident()
    pair.compute("x", "something", lambda watch: threading.get_ident(), taken.append)
    assert taken == [here] and not pair._threads


def test_of_four_quick_pairs_the_last_is_shown_and_most_are_never_finished(
    model, pictures, summary, by_hand, monkeypatch
):
    finished, original = [], PairExplorer._walk

    def counted(self, wish, watch):
        walked = original(self, wish, watch)
        finished.append(wish)
        return walked

    monkeypatch.setattr(PairExplorer, "_walk", counted)
    data = ExplorerData(model, pictures, NAMES, summary, soundness=Soundness(model, pictures))
    pair = PairExplorer(data)
    pair.settle()
    before, old = len(finished), pair.walked
    with pair._working:  # the computer is busy
        pair.method.value = "geodesic"
        for _ in range(4):
            pair.random_pair.click()
        assert pair.walked == old and pair.save(".png").name.startswith("path_0_1_lerp")  # what is on the screen
        wanted = pair.pair
    pair.settle()
    assert len(finished) - before == 1 and pair.walked[:2] == wanted and pair.walked.method == "geodesic"
    a, b = encode_pictures(model, pictures[list(wanted)])[0]
    expected = walk(model, a, b, 12, "geodesic", pair._context)
    assert np.array_equal(pair.frames, expected.frames) and len(pair.verdict.error) == 12
    assert "frames by geodesic, found and decoded in" in pair.status.value
    assert "vae-broken" in pair.meter.value or "vae-sound" in pair.meter.value or "vae-doubtful" in pair.meter.value


def test_a_search_ends_in_the_middle_when_it_is_overtaken(model, pictures, summary, by_hand):
    pair = PairExplorer(ExplorerData(model, pictures, NAMES, summary))
    pair.settle()
    passes = []
    wish = pair.walked._replace(method="geodesic")

    def watch():
        passes.append(1)
        if len(passes) == 3:
            raise frame.Overtaken

    with pytest.raises(frame.Overtaken):
        pair._walk(wish, watch)
    assert len(passes) == 3


def test_another_number_of_steps_keeps_the_share_of_the_way(pair):
    pair.frame.value = pair.frame.max  # the end
    pair.steps.value = 7
    assert pair.frame.value == 6
    pair.frame.value = 3
    pair.steps.value = 21
    assert pair.frame.value == 10


def test_a_cell_overtakes_a_control(pair, monkeypatch):
    monkeypatch.setattr(frame, "control_was_moved", lambda: True)
    gate, taken = Gate(), []
    pair.compute("x", "something", gate.work("control"), taken.append)
    assert gate.begun.wait(10) and "vae-computing" in pair._dom_classes
    monkeypatch.setattr(frame, "control_was_moved", lambda: False)
    pair.compute("x", "something", lambda watch: "cell", taken.append)
    gate.through.set()
    pair.settle()
    assert taken == ["cell"] and "vae-computing" not in pair._dom_classes


def test_ranges_of_an_older_start_are_not_taken(model, pictures, summary, by_hand):
    data = ExplorerData(model, pictures, NAMES, summary, soundness=Soundness(model, pictures))
    latents = LatentExplorer(data, sliders=3)
    latents.settle()
    base = latents._rows.base.clone()
    latents.start.value = 5
    latents.settle()
    key = latents._shown_keys()[0]
    before = latents._rows._limits.get(key)
    latents._limit(base, {key: (0.0, 0.1)})
    assert latents._rows._limits.get(key) == before
