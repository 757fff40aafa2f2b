import json
import threading

import pytest
import torch

from vae_helpers.errors import InputError
from vae_helpers.latent import DIRECTIONS, direction_by_hand, keep_direction, list_directions, remove_direction

CODES = torch.randn(12, 5, generator=torch.Generator().manual_seed(0)) + 3 * (torch.arange(12) % 2)[:, None]
NAMES = [f"day/{i}.jpg" for i in range(12)]


def _made(name="smile"):
    return direction_by_hand(name, CODES, NAMES, [1, 3, 5], [0, 2, 4], weights="abc")


def test_a_direction_is_kept_found_and_removed(tmp_path):
    assert list_directions(tmp_path / "run") == []
    first, second = _made(), _made("dark wings")
    for kept in (first, second):
        keep_direction(tmp_path / "run", kept)
    found = list_directions(tmp_path / "run", latents=5)
    assert [kept.name for kept in found] == ["smile", "dark wings"]
    assert torch.equal(found[0].vector, first.vector) and torch.equal(found[0].origin, CODES[[0, 2, 4]].mean(dim=0))
    assert found[0][3:] == first[3:] and found[0].has == ("day/1.jpg", "day/3.jpg", "day/5.jpg")
    remove_direction(tmp_path / "run", "smile")
    assert [kept.name for kept in list_directions(tmp_path / "run")] == ["dark wings"]
    with pytest.raises(InputError, match="no direction 'smile' .*there are dark wings"):
        remove_direction(tmp_path / "run", "smile")


def test_a_name_is_taken_once(tmp_path):
    keep_direction(tmp_path, _made())
    before = (tmp_path / DIRECTIONS).read_bytes()
    with pytest.raises(InputError, match="'smile' already"):
        keep_direction(tmp_path, _made())
    assert (tmp_path / DIRECTIONS).read_bytes() == before


def test_keeping_at_the_same_time_loses_none(tmp_path):
    threads = [threading.Thread(target=keep_direction, args=(tmp_path, _made(f"d{i}"))) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {kept.name for kept in list_directions(tmp_path)} == {f"d{i}" for i in range(8)}


def _changed(**change):
    return lambda content: content["directions"][0].update(change)


@pytest.mark.parametrize(
    "spoil",
    [
        _changed(vector=[1.0]),
        _changed(vector=["a"] * 5),
        _changed(origin=[float("nan")] * 5),
        _changed(p_value=2),
        _changed(p_value=float("nan")),
        _changed(name=3),
        _changed(has=None),
        lambda c: c.update(format="other"),
        lambda c: c.pop("directions"),
        lambda c: c["directions"].append(c["directions"][0]),
    ],
)
def test_a_damaged_file_gets_a_sentence_and_stays(tmp_path, spoil):
    keep_direction(tmp_path, _made())
    content = json.loads((tmp_path / DIRECTIONS).read_text())
    spoil(content)
    (tmp_path / DIRECTIONS).write_text(json.dumps(content))
    before = (tmp_path / DIRECTIONS).read_bytes()
    for action in (lambda: list_directions(tmp_path), lambda: keep_direction(tmp_path, _made("new"))):
        with pytest.raises(InputError, match="does not hold directions"):
            action()
    assert (tmp_path / DIRECTIONS).read_bytes() == before


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda p: (p / DIRECTIONS).write_bytes(b"\xff\xfe") and list_directions(p), "damaged"),
        (lambda p: (p / DIRECTIONS).write_text("[]") and list_directions(p), "damaged"),
        (lambda p: (p / DIRECTIONS).mkdir() or list_directions(p), "cannot be read"),
        (lambda p: keep_direction(p, _made()) or list_directions(p, latents=8), "has 5 latents, but this model has 8"),
        (lambda p: keep_direction(p, _made()._replace(vector=torch.full((5,), float("inf")))), "not finite"),
        (lambda p: keep_direction(p, _made()._replace(name=" ")), "cannot name a direction"),
        (lambda p: direction_by_hand("x" * 99, CODES, NAMES, [1, 3], [0, 2]), "cannot name a direction"),
        (lambda p: direction_by_hand("x", CODES, NAMES, [1, 3], [0, 3]), "'day/3.jpg' is marked both"),
        (lambda p: direction_by_hand("x", CODES, NAMES, [1], [0, 3]), "at least 2 into each"),
        (lambda p: (p / f".{DIRECTIONS}.lock").mkdir() or keep_direction(p, _made()), "cannot be kept"),
        (lambda p: (p / "file").write_text("x") and keep_direction(p / "file", _made()), "cannot be kept"),
    ],
)
def test_bad_input_gets_a_sentence(tmp_path, wrong, word):
    with pytest.raises(InputError, match=word):
        wrong(tmp_path)
