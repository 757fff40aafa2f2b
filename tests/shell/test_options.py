from dataclasses import fields

import pytest

from vae_helpers.data import open_pictures, read_picture
from vae_helpers.errors import InputError
from vae_helpers.files import expand, require_run_name
from vae_helpers.model import OBJECTIVES
from vae_helpers.runs import Run
from vae_helpers.settings import TrainConfig, choices
from vae_helpers.shell import RECIPE, Number, OneOf, Whole, device, image_size, is_number, knob, path, picture


@pytest.mark.parametrize(
    "kind, good, bad",
    [
        (Whole(1, 100), "1 100 +7", ["0", "101", "-1", "²", "１", "1e1", "1_0", "9" * 5000, "", " ", "nan", "many"]),
        (Number(0, 10, above=True), "0.1 10 1e-9", ["0", "10.1", "-1", "inf", "nan", "1e400", "", "²", "x"]),
        (Number(0, 1, below=True), "0 0.999", ["1", "-0.1", "nan"]),
        (OneOf(("a", "b")), "a b", ["", "c", "A"]),
        (image_size, "8 64 4096", ["0", "7", "100", "8192"]),
        (device, "cpu cuda cuda:1 mps", ["", "meta", "cuda:", "cpu:0", "gpu", "\x1b"]),
        (knob, "gamma=10 a=-1e3", ["gamma", "gamma=", "a=nan", "a=inf", "="]),
        (path, "a ./b ~/x é", ["", " ", "a\0b", "x" * 256, "x/" * 3000, "\ud800", "~nosuchuser/x"]),
        (
            require_run_name,
            "a b.c-d_é",
            ["", " ", ".", "..", "a/b", "a\\b", "a\nb", "a\x1b", "a\0", "x" * 201, "é" * 101, "caf\udce9"],
        ),
    ],
)
def test_every_kind_of_value_has_its_range(kind, good, bad):
    for text in good.split():
        kind(text)
    for text in bad:
        with pytest.raises(InputError) as refused:
            kind(text)
        assert len(str(refused.value)) < 400 and str(refused.value).isprintable()


def test_every_field_of_the_recipe_is_an_option_and_its_default_is_in_range():
    assert set(RECIPE) == {field.name for field in fields(TrainConfig)}
    for field in fields(TrainConfig):
        kind = RECIPE[field.name].kind
        if kind is None:
            assert "bool" in field.type
        elif field.default is not None:
            assert kind(str(field.default)) == field.default


def test_names_are_those_of_the_things():
    assert choices.OBJECTIVES == tuple(OBJECTIVES)


def test_a_home_folder_is_found_wherever_a_path_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expand("~/x") == tmp_path / "x" == Run("a", "~/x").root and picture("~/p.png") == str(tmp_path / "p.png")
    for opened in (
        lambda: open_pictures("~nosuchuser/x"),
        lambda: read_picture("~nosuchuser/x"),
        lambda: Run("a", "~nosuchuser").root,
    ):
        with pytest.raises(InputError, match="a user who is not on this machine"):
            opened()


def test_digits_are_a_number_and_nothing_else_is():
    assert is_number("12") and not any(map(is_number, ("²", "１", "-1", "1.5", "", "9" * 10)))
