"""Times of this machine: kept, found again, and measured again where the file is not what it should be."""

import json

import pytest

from vae_helpers.train import StepTimes, recall_times, remember, remembered, times_file


def test_the_file_lies_in_the_folder_for_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert times_file() == tmp_path / "vae_helpers" / "step_times.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert times_file() == tmp_path / ".cache" / "vae_helpers" / "step_times.json"


def test_what_was_measured_is_found_again():
    assert recall_times("a") is None
    remember("a", StepTimes(0.2, 0.1))
    remember("b", StepTimes(0.3, 0.4))
    remember("a", StepTimes(0.5, 0.25))
    assert (
        recall_times("a") == StepTimes(0.5, 0.25)
        and recall_times("b") == StepTimes(0.3, 0.4)
        and recall_times("c") is None
    )


def test_what_was_found_of_other_steps_is_not_believed(monkeypatch):
    """A release whose steps take another time begins anew."""
    remember("a", StepTimes(0.2, 0.1))
    monkeypatch.setattr(remembered, "_STEPS", remembered._STEPS + 1)
    assert recall_times("a") is None
    remember("a", StepTimes(0.3, 0.2))
    assert recall_times("a") == StepTimes(0.3, 0.2)


@pytest.mark.parametrize(
    "content", ["", "[1]", "{", '{"a": 3}', '{"a": [1]}', '{"a": ["x", 1]}', '{"a": [-1, 1]}', '{"a": [NaN, 1]}']
)
def test_another_file_in_its_place_is_as_none(content):
    remember("a", StepTimes(0.2, 0.1))
    (key,) = json.loads(remembered.times_file().read_text())
    remembered.times_file().write_text(content.replace('"a"', json.dumps(key)))
    assert recall_times("a") is None
    remember("a", StepTimes(0.2, 0.1))
    assert recall_times("a") == StepTimes(0.2, 0.1)


def test_a_folder_that_cannot_be_written_costs_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr(remembered, "times_file", lambda: tmp_path / "file" / "step_times.json")
    remember("a", StepTimes(0.2, 0.1))
    assert recall_times("a") is None


def test_the_oldest_entries_go(monkeypatch):
    monkeypatch.setattr(remembered, "_MOST", 3)
    for name in "abcd":
        remember(name, StepTimes(0.2, 0.1))
    assert recall_times("a") is None and recall_times("b") and recall_times("d")
