from dataclasses import replace

import numpy as np
import pytest
import torch

from vae_helpers.data import Attribute, Attributes, attributes_of, open_pictures
from vae_helpers.errors import InputError
from vae_helpers.latent import stamp_of
from vae_helpers.runs import Run, choose_run, load_run
from vae_helpers.scores import chart_of_run, run_chart, spread_rows


@pytest.fixture(scope="module")
def made(trained, small_set, tmp_path_factory):
    """`(run, model, chart, trust)` of the small run, kept in a folder of the module's own."""
    run, model = Run("small", tmp_path_factory.mktemp("charts")), trained[1].model
    return run, model, *chart_of_run(run, model, small_set, progress=False)


@pytest.fixture
def no_fitting(monkeypatch):
    """Making a chart fails the test."""

    def refuse(*_, **__):
        raise AssertionError("made again")

    monkeypatch.setattr(run_chart, "make_chart", refuse)


def test_a_chart_is_made_once_and_opened_from_then_on(made, small_set, no_fitting):
    run, model, chart, trust = made
    assert (run.models / "chart.npz").is_file() and [t.name for t in trust] == list(chart.names)
    again, same = chart_of_run(run, model, small_set)
    assert again.names == chart.names and np.array_equal(again.weights, chart.weights)
    assert np.array_equal([t[1:4] for t in same], [t[1:4] for t in trust], equal_nan=True)
    code = torch.zeros(8)
    assert torch.equal(again.move(code, "size", 20.0), chart.move(code, "size", 20.0))


def test_other_weights_or_attributes_get_another_chart(made, small_set, tmp_path, capsys):
    run, model, chart, _ = made
    run = Run(run.name, tmp_path)
    chart_of_run(run, model, small_set)
    assert f"{len(small_set.split.train)} training pictures" in capsys.readouterr().err
    first = (run.models / "chart.npz").read_bytes()
    extra = Attributes(small_set.factors[:, :1], (Attribute("by me", "", "number", 0.0, 360.0),))
    more, trust = chart_of_run(run, model, small_set, extra, progress=False)
    assert set(more.names) == {*chart.names, "by me"} and "by me" in [t.name for t in trust]
    assert (run.models / "chart.npz").read_bytes() != first
    attributes = attributes_of(small_set)
    stamp = stamp_of(model, attributes)
    values = attributes.values.copy()
    values[3, 0] += 1
    assert stamp_of(model, Attributes(values, attributes.table)) != stamp


def test_a_damaged_chart_is_made_anew(made, small_set, tmp_path):
    run, model, chart, _ = made
    run = Run(run.name, tmp_path)
    run.models.mkdir(parents=True)
    (run.models / "chart.npz").write_bytes(b"PK\3\4 and no more")
    again, _ = chart_of_run(run, model, small_set, progress=False)
    assert np.allclose(again.weights, chart.weights)
    assert (run.models / "chart.npz").stat().st_size > 1000


def test_a_folder_that_cannot_be_written_costs_one_line(made, small_set, tmp_path, capsys):
    run, model, chart, trust = made
    run = Run(run.name, tmp_path)
    (tmp_path / "models").mkdir()
    run.models.write_text("a file where the folder should be")
    again, same = chart_of_run(run, model, small_set, progress=False)
    assert again.names == chart.names and len(same) == len(trust)
    said = capsys.readouterr().err
    assert "could not be kept" in said and "made again next time" in said and "Traceback" not in said


def test_a_name_that_is_not_known_gets_a_sentence(made):
    chart = made[2]
    with pytest.raises(InputError, match="there is no attribute 'wing hu'; did you mean 'wing hue'"):
        chart.column("wing hu")
    with pytest.raises(InputError, match="no value of 'pattern'"):
        chart.move(torch.zeros(8), "pattern", "tartan")


def test_what_no_chart_can_be_made_of_gets_a_sentence(made, small_set, tmp_path):
    _, model, _, _ = made
    wrong = Attributes(np.zeros((3, 1)), (Attribute("by me"),))
    with pytest.raises(InputError, match="same pictures"):
        chart_of_run(Run("x", tmp_path), model, small_set, wrong)
    parts = np.ones(len(small_set), np.uint8)
    parts[:5] = 0  # in training
    with pytest.raises(InputError, match="5 pictures are too few for a chart"):
        chart_of_run(Run("x", tmp_path), model, replace(small_set, parts=parts), progress=False)
    assert not (tmp_path / "models").exists()


def test_rows_are_spread_over_the_whole_set():
    rows = np.arange(1000)
    assert len(spread_rows(rows, 10)) == 10 and spread_rows(rows, 10)[[0, -1]].tolist() == [0, 999]
    assert spread_rows(rows[:7], 10).tolist() == list(range(7)) and len(spread_rows(rows[:0], 10)) == 0


def test_the_shipped_chart_is_that_of_the_shipped_weights_and_comes_with_them(tmp_path, monkeypatch):
    """After a change of the weights, of the drawing or of the chart's format it must be made anew and committed."""
    run = choose_run("", tmp_path)
    model, _ = load_run(run)
    pictures = open_pictures("butterflies", 128, limit=1024, cache_dir=tmp_path, progress=False)
    monkeypatch.setattr(run_chart, "make_chart", lambda *_: pytest.fail("it is made again"))
    chart, trust = chart_of_run(run, model, pictures, progress=False)
    assert [t.name for t in trust if not t.trusted] == ["pattern hue"] and len(chart.table) == 14
