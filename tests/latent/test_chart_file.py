import numpy as np
import pytest
import torch
from worlds import curved_world

from vae_helpers.data import Attributes
from vae_helpers.errors import InputError
from vae_helpers.latent import Chart, Trust, chart_as_dict, chart_from_dict, load_chart, save_chart, stamp_of


@pytest.fixture(scope="module")
def chart():
    """A small one."""
    return Chart.fit(*curved_world(200, 0))


def test_what_comes_back_is_the_same_chart(chart, tmp_path):
    trust = [Trust("size", 0.9, 1.0, 0.1, "pixels"), Trust("bend", 0.1, float("nan"), 0.0, "pixels")]
    save_chart(tmp_path / "run" / "chart.npz", chart, "abc", trust)
    again, kept = load_chart(tmp_path / "run" / "chart.npz", "abc")
    code = curved_world(3, 1)[0]
    for name, value in (("size", 12.0), ("turn", 100.0), ("kind", "bear")):
        assert torch.equal(again.move(code[0], name, value), chart.move(code[0], name, value))
    assert np.array_equal(again.read(code), chart.read(code)) and torch.equal(again.sample(4), chart.sample(4))
    assert again.table == chart.table and kept[0] == trust[0] and np.isnan(kept[1].slope)
    save_chart(tmp_path / "chart.npz", chart, "abc")
    assert load_chart(tmp_path / "chart.npz", "abc")[1] is None
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["chart.npz"]


def test_a_chart_of_something_else_or_none_is_not_taken(chart, tmp_path):
    path = tmp_path / "chart.npz"
    assert load_chart(path, "abc") is None
    save_chart(path, chart, "abc")
    assert load_chart(path, "other") is None
    whole = path.read_bytes()
    for damaged in (b"", b"hello", whole[:5000], whole[:-400], whole[:3000] + bytes(2000) + whole[5000:]):
        path.write_bytes(damaged)
        assert load_chart(path, "abc") is None
    np.savez(path, about=np.array('{"format": "vae_helpers-chart-1", "stamp": "abc", "trust": null}'))
    assert load_chart(path, "abc") is None


@pytest.mark.parametrize(
    "change",
    [
        {"weights": np.zeros((3, 3))},
        {"active": np.array([0, 1, 2, 3, 4, 5, 6, 99])},
        {"pairs": np.array([[0, 9999]])},
        {"offset": np.full(8, np.nan)},
        {"degrees": [5, 5]},
        {"table": []},
        {"table": [{"name": "x"}]},
        {"seen": None},
        {"left_out": None},
        {"reader_weights": np.zeros(3)},
        {"mean": np.zeros((2, 2))},
    ],
)
def test_parts_that_do_not_fit_are_refused(chart, change):
    assert isinstance(chart_from_dict(chart_as_dict(chart)), Chart)
    with pytest.raises(ValueError):
        chart_from_dict(chart_as_dict(chart) | change)


def test_the_stamp_knows_the_weights_and_the_attributes(small_model):
    attributes = curved_world(20, 0)[1]
    stamp = stamp_of(small_model, attributes)
    assert stamp == stamp_of(small_model, attributes)
    other = Attributes(attributes.values + 0.001 * (np.arange(4) == 0), attributes.table)
    assert stamp_of(small_model, other) != stamp
    with torch.no_grad():
        next(small_model.parameters()).add_(1)
    assert stamp_of(small_model, attributes) != stamp


def test_a_folder_that_cannot_be_written_gets_a_sentence(chart, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="could not be kept"):
        save_chart(tmp_path / "file" / "chart.npz", chart, "abc")
