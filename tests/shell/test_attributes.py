"""Charts from the shell: the trust table, sweeps of attributes, paths by chart and through known codes."""

from pathlib import Path

import pytest
from PIL import Image
from spoken import said

from vae_helpers.errors import InputError
from vae_helpers.latent import Trust
from vae_helpers.runs import Run
from vae_helpers.scores import chart_of_run
from vae_helpers.shell import attribute_commands, direction_command, look_commands


@pytest.fixture(scope="module")
def chart(trained, small_set):
    run, fit = trained
    return chart_of_run(run, fit.model, small_set, progress=False)


@pytest.fixture
def at(trained, chart):
    """The options that name the small run, whose chart is there."""
    return ["--run", "small", "--out", str(trained[0].root), "--device", "cpu"]


@pytest.fixture
def all_trusted(monkeypatch, chart):
    """A chart all of whose sliders were measured to be perfect."""
    table = [Trust(name, 1.0, 1.0, 0.0, "test") for name in chart[0].names]
    for module in (look_commands, direction_command):
        monkeypatch.setattr(module, "chart_of", lambda *given: (chart[0], table))


def test_the_table_of_trust_is_printed_and_the_chart_kept(capsys, at, chart, trained):
    status, out, _ = said(capsys, "attributes", *at)
    assert status == 0 and all(name in out for name in chart[0].names) and "read-out" in out
    assert (trained[0].models / "chart.npz").is_file() and Image.open(trained[0].plots / "trust.png").width > 300


def test_attributes_are_swept_a_row_each(capsys, at, all_trusted, trained):
    status, out, error = said(capsys, "traverse", "--attribute", "pattern", "--attribute", "WING_HUE", *at)
    assert status == 0, error
    assert "attributes.png" in out and (trained[0].plots / "attributes.png").is_file()
    assert said(capsys, "traverse", "--attribute", "tail", "--save", "t.html", *at)[0] == 0
    assert Path("t.html").stat().st_size > 1000


def test_a_file_adds_attributes(capsys, at, small_set):
    rows = [f"{name},{i % 7}" for i, name in enumerate(small_set.names)]
    Path("more.csv").write_text("\n".join(["file,weight", *rows]))
    status, out, error = said(capsys, "attributes", "--attributes", "more.csv", *at)
    assert status == 0 and "weight" in out, error


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("traverse --attribute wing_hu", "did you mean 'wing hue'"),
        ("traverse --attribute=", "no name of an attribute"),
        ("traverse --attributes x.csv", "name one, or leave the table out"),
        ("traverse --alone", "name one, or leave it out"),
        ("traverse --attribute tail --attributes none.csv", "none.csv cannot be read, because"),
        ("interpolate 0 1 --method known --attributes x.csv", "--attributes is for --method chart"),
        ("interpolate 0 1 --method straight", "choose one of lerp, slerp, geodesic, known, chart"),
        ("attributes --attributes none.csv", "none.csv cannot be read, because"),
    ],
)
def test_what_cannot_be_moved_is_a_sentence(capsys, at, words, sentence):
    Path("x.csv").write_text("file,weight")
    status, _, error = said(capsys, *words.split(), *at)
    assert status == 2 and sentence in error.splitlines()[-1], error


def test_what_is_not_to_be_trusted_is_refused_by_name(chart):
    table = [Trust(name, 1.0, 1.0 if name != "tail" else 0.1, 0.0, "test") for name in chart[0].names]
    axes = attribute_commands.trusted_axes(chart[0], table, ["size", "x", "size"])
    assert [axis.name for axis in axes] == ["size", "x"]
    with pytest.raises(InputError, match="'tail' cannot be moved by this run: .*trust is 0.10.* choose one of wing"):
        attribute_commands.trusted_axes(chart[0], table, ["size", "tail"])


@pytest.mark.parametrize("method", ["chart", "known"])
def test_paths_that_need_the_training_pictures(capsys, at, method):
    status, _, error = said(capsys, "interpolate", 0, 1, "--method", method, "--steps", 4, "--save", "p.png", *at)
    assert status == 0, error
    assert Image.open("p.png").size == (4 * 34 - 2, 32)


def test_a_chart_of_other_pictures_leaves_the_run_its_own(capsys, at, trained, tmp_path):
    kept = (trained[0].models / "chart.npz").read_bytes()
    other = ["--data", "animals", "--other-pictures", "--cache-dir", tmp_path / "cache"]
    status, out, error = said(capsys, "attributes", *other, *at)
    assert status == 0 and "animals" in out, error
    assert (trained[0].models / "chart.npz").read_bytes() == kept
    assert (Run("small", trained[0].root).on("animals").models / "chart.npz").is_file()
