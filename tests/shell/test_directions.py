"""Directions by hand from the shell: made, listed, swept, removed, and what is refused."""

import pytest
from PIL import Image
from spoken import said

from vae_helpers.latent import direction_by_hand, encode_pictures, keep_direction, list_directions, weights_stamp
from vae_helpers.shell import direction_command

MARKED = ["--has", "1", "2", "3", "--has-not", "5", "6", "7"]


@pytest.fixture
def at(trained):
    """The options that name the small run, which has no directions before and after."""
    file = trained[0].models / "directions.json"
    file.unlink(missing_ok=True)
    yield ["--run", "small", "--out", str(trained[0].root), "--device", "cpu"]
    file.unlink(missing_ok=True)


def test_made_listed_swept_and_removed(capsys, at, trained, small_set):
    run, fit = trained
    status, out, error = said(capsys, "directions", "--name", "bright", *MARKED, "--save", "d.png", *at)
    assert status == 0 and "bright: p = " in out and "d.png" in out, error
    assert Image.open("d.png").width > 100
    kept = list_directions(run.models)[0]
    rows = small_set.split.validation
    assert kept.has == tuple(small_set.names[rows[i]] for i in (1, 2, 3))
    codes, _ = encode_pictures(fit.model, small_set.pictures[rows[1:8]])
    expected = codes[:3].mean(dim=0) - codes[4:].mean(dim=0)
    cosine = float((kept.vector @ expected) / (kept.vector.norm() * expected.norm()))
    assert cosine == pytest.approx(1, abs=1e-4)  # those with it less those without, not the other way round

    status, out, _ = said(capsys, "directions", *at)
    assert status == 0 and "1 directions" in out and "3 have it, 3 have it not" in out
    assert said(capsys, "traverse", "--attribute", "bright", "--save", "t.png", *at)[0] == 0
    status, out, _ = said(capsys, "directions", "--remove", "bright", *at)
    assert status == 0 and "removed: bright" in out and "0 directions" in out
    status, _, error = said(capsys, "traverse", "--attribute", "bright", *at)
    assert status == 2 and "bright" in error.splitlines()[-1]


def test_directions_and_attributes_are_swept_in_the_order_given(monkeypatch, at, trained, small_set):
    run, fit = trained
    codes, _ = encode_pictures(fit.model, small_set.pictures[:6])
    for name, stamp in (("bright", weights_stamp(fit.model)), ("old", "of other weights")):
        keep_direction(run.models, direction_by_hand(name, codes, list("abcdef"), [0, 1], [2, 3], stamp))
    assert set(direction_command.kept_axes(run, fit.model)) == {"bright"}
    monkeypatch.setattr(direction_command, "chart_of", lambda *given: (None, None))
    monkeypatch.setattr(
        direction_command, "trusted_axes", lambda chart, trust, names, way: [name.lower() for name in names[:2]]
    )

    class options:
        attribute, alone = ["size", "bright", "tail", "TAIL"], False

    axes = direction_command.named_axes(options, run, fit.model, {}, small_set)
    assert [getattr(axis, "name", axis) for axis in axes] == ["size", "bright", "tail"]


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("--name a --remove b", "give one of the two"),
        ("--has 1 2", "give it a --name"),
        ("--save x.png", "give it a --name"),
        ("--name a --has 1 2 3", "--has-not names 0 pictures"),
        ("--name a --has 1 --has-not 2 3", "--has names 1 pictures"),
        ("--name a --has 1 2 --has-not 2 3", "marked both as having"),
        ("--name a --has 1 1 --has-not 2 3", "at least 2"),
        ("--name a --has 1 2 --has-not 3 9999", "no held-out picture 9999"),
        ("--name a --has 1 2 --has-not 3 none.jpg", "none.jpg"),
        ("--remove nothing", "no direction 'nothing'"),
        (f"--name {'x' * 61} --has 1 2 --has-not 3 4", "60"),
    ],
)
def test_what_makes_no_direction_is_a_sentence(capsys, at, trained, words, sentence):
    status, _, error = said(capsys, "directions", *words.split(), *at)
    assert status == 2 and sentence in error.splitlines()[-1], error
    assert not list_directions(trained[0].models)


def test_a_name_is_made_once(capsys, at, trained):
    assert said(capsys, "directions", "--name", "twice", *MARKED, *at)[0] == 0
    status, _, error = said(capsys, "directions", "--name", "twice", *MARKED, *at)
    assert status == 2 and "there is a direction 'twice' already" in error
    assert len(list_directions(trained[0].models)) == 1
