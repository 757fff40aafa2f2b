from dataclasses import replace

import numpy as np
import pytest

from vae_helpers.data import (
    PIXELS,
    Attribute,
    Attributes,
    Factor,
    attributes_of,
    embed,
    embed_all,
    find_name,
    from_factors,
    from_labels,
    from_marks,
    open_pictures,
    ranged,
    read_pixels,
    unembed,
    unembed_all,
)
from vae_helpers.data import attributes as module
from vae_helpers.errors import InputError

NUMBER, CIRCLE = Attribute("size", "cm", "number", 10.0, 30.0), Attribute("hue", "degrees", "circular", 0.0, 360.0)
KIND = Attribute("kind", "", "category", 0.0, 2.0, ("cat", "fox", "bear"))


def test_values_become_numbers_that_can_be_regressed_and_come_back():
    assert embed(np.array([10.0, 20, 35, np.nan]), NUMBER)[:3, 0].tolist() == [-1, 0, 1]
    assert np.allclose(embed(np.array([0.0, 90, 360]), CIRCLE), [[1, 0], [0, 1], [1, 0]])
    assert embed(np.array([2.0]), KIND).tolist() == [[0, 0, 1]]
    assert np.isnan(embed_all(np.full((1, 3), np.nan), (NUMBER, CIRCLE, KIND))).all()
    values = np.array([[12.0, 350.0, 1.0], [29.0, 10.0, 0.0]])
    assert np.allclose(unembed_all(embed_all(values, (NUMBER, CIRCLE, KIND)), (NUMBER, CIRCLE, KIND)), values)
    assert unembed(np.array([[3.0]]), NUMBER)[0] == 30 and CIRCLE.period == 360 and NUMBER.period is None


def test_a_table_chooses_columns_and_rows_and_joins_another():
    table = Attributes(np.arange(12.0).reshape(4, 3), (NUMBER, CIRCLE, Attribute("warm")))
    part = table.select(["warm", "size"]).rows(np.array([2, 0]))
    assert part.values.tolist() == [[8, 6], [2, 0]] and part.names == ("warm", "size") and len(part) == 2
    joined = table.with_more(Attributes(np.ones((4, 1)), (Attribute("hue", source="mine"),)))
    assert joined.names == ("size", "warm", "hue") and joined.values[:, 2].tolist() == [1] * 4
    assert table.column("WARM") == 2 and find_name("wing_hue", ["wing hue"]) == 0


def test_correlations_by_hand():
    rng = np.random.default_rng(0)
    a, noise, turn = rng.normal(size=(2, 4000)).tolist() + [rng.uniform(0, 360, 4000)]
    a, noise = np.array(a), np.array(noise)
    kind = (a > 0) + 1.0 * (a > 1)
    values = np.stack([20 + a, 20 - a + noise, turn, np.where(turn > 180, 1.0, 0.0), kind], axis=1)
    table = tuple(Attribute(n, low=0.0, high=40.0) for n in "ab") + (CIRCLE, KIND._replace(name="half"), KIND)
    values[::7, 0] = np.nan
    r = Attributes(values, table).correlation()
    assert np.allclose(r, r.T) and np.allclose(np.diag(r), 1)
    assert np.isclose(r[0, 1], -np.sqrt(0.5), atol=0.03)
    assert np.isclose(r[2, 3], np.sqrt(8) / np.pi, atol=0.02)  # 8/π² of a square wave's power
    means = [a[kind == k].mean() for k in range(3)]
    share = np.sqrt(sum((kind == k).mean() * m**2 for k, m in enumerate(means)))
    assert np.isclose(r[0, 4], share, atol=0.03) and abs(r[0, 2]) < 0.06


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda: Attributes(np.zeros((3, 2)), (NUMBER,)), "shape"),
        (lambda: Attributes(np.zeros((3, 2)), (NUMBER, NUMBER)), "two attributes are called 'size'"),
        (lambda: Attributes(np.full((3, 1), np.inf), (NUMBER,)), "neither finite nor NaN"),
        (lambda: Attributes(np.full((3, 1), 3.0), (KIND,)), "number of no choice"),
        (lambda: Attributes(np.zeros((3, 1)), (NUMBER,)).select(["sizes"]), "did you mean 'size'"),
        (
            lambda: Attributes(np.zeros((3, 1)), (NUMBER,)).with_more(Attributes(np.zeros((2, 1)), (CIRCLE,))),
            "same pictures",
        ),
        (lambda: from_marks({"smile": {"c.png": True}}, ["a.png"]), "'c.png'"),
    ],
)
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        wrong()


def test_known_factors_become_attributes(small_set):
    found = attributes_of(small_set)
    assert np.array_equal(found.values, small_set.factors) and found.names[0] == "wing hue"
    assert found.table[-1].choices == ("monarch", "peacock", "morpho", "swallowtail")
    table = (
        Factor("orientation", 0, 2 * np.pi, "radians"),
        Factor("wall_hue", 0, 0.9, "of the colour circle"),
        Factor("rotation", -30, 30, "degrees"),
    )
    kinds = from_factors(np.zeros((1, 3)), table).table
    assert [a.kind for a in kinds] == ["circular", "circular", "number"]
    assert np.isclose(kinds[0].period, 2 * np.pi) and kinds[1].period == 1


def test_labels_and_marks():
    labels = from_labels(["b", "", "a", "b"])
    assert labels.table[0].choices == ("a", "b") and labels.values[[0, 2, 3], 0].tolist() == [1, 0, 1]
    assert np.isnan(labels.values[1, 0]) and from_labels(["", "a"]) is None
    assert from_labels([f"{i}" for i in range(300)]) is None
    marks = from_marks({"smile": {"b": True, "c": False}}, ["a", "b", "c"])
    assert marks.values[1:, 0].tolist() == [1, -1] and np.isnan(marks.values[0, 0])


def test_a_range_leaves_out_the_outliers():
    column = np.concatenate([np.linspace(0, 1, 999), [1000.0]])
    assert ranged(Attribute("x"), column).high < 1.1
    binary = ranged(Attribute("x"), np.array([-1.0, 1, np.nan, 1]))
    assert (binary.low, binary.high) == (-1, 1)
    assert ranged(Attribute("x", low=0, high=5), np.full(3, np.nan)).high == 5


@pytest.fixture
def folder(tmp_path, noise_pictures):
    """Twelve pictures in two folders, opened."""
    from PIL import Image

    for i, picture in enumerate(noise_pictures):
        place = tmp_path / "photos" / ("day" if i % 3 else "night")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture // (1 if i % 3 else 4)).save(place / f"{i}.png")
    return open_pictures(tmp_path / "photos", 32, cache_dir=tmp_path / "cache", progress=False)


def test_a_folder_has_pixels_and_labels_and_what_is_added(folder):
    extra = Attributes(np.arange(12.0)[:, None], (Attribute("brightness", source="mine"),))
    found = attributes_of(folder)
    assert found.names == (*(p.name for p in PIXELS), "label")
    assert np.array_equal(found.values[:, :-1], read_pixels(folder.pictures).values, equal_nan=True)
    assert found.correlation()[0, -1] > 0.9  # night is dark
    mine = attributes_of(folder, extra)
    assert mine.names[-1] == "brightness" and mine.values[:, -1].tolist() == list(range(12)) and len(mine.names) == 17


def test_pixels_are_measured_once(folder, monkeypatch):
    first = attributes_of(folder)
    monkeypatch.setattr(module, "measure_pixels", lambda pictures: pytest.fail("measured again"))
    assert np.array_equal(attributes_of(folder).values, first.values, equal_nan=True)
    kept = folder.cache / "pixels.npy"
    for damaged in (b"", kept.read_bytes()[:100], np.lib.format.magic(1, 0)):
        monkeypatch.undo()
        kept.write_bytes(damaged)
        assert np.array_equal(attributes_of(folder).values, first.values, equal_nan=True)
    monkeypatch.setattr(module, "PIXELS_VERSION", 99)
    calls = []
    monkeypatch.setattr(module, "measure_pixels", lambda pictures: calls.append(1) or first.values[:, :-1])
    attributes_of(folder)
    attributes_of(replace(folder, cache=None))
    assert len(calls) == 2
