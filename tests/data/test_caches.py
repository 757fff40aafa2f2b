"""One cache a folder: what changed is decoded, the rest taken along; what is old is listed and cleared."""

import json
import os
import stat

import numpy as np
import pytest
from picture_files import fill

from vae_helpers.__main__ import main
from vae_helpers.data import (
    CacheSpec,
    cache_folder,
    clear_caches,
    list_caches,
    open_cache,
    open_pictures,
    read_picture,
    verify,
)
from vae_helpers.data import folder_cache as folders
from vae_helpers.files import only_builder


@pytest.fixture
def photos(tmp_path):
    return fill(tmp_path / "photos", range(30))


@pytest.fixture
def decoded(monkeypatch):
    """The names of all files that were decoded."""
    seen, decode_blocks = [], folders.decode_blocks

    def watched(folder, names, blocks, *options):
        seen.extend(names[row] for rows in blocks for row in rows)
        return decode_blocks(folder, names, blocks, *options)

    monkeypatch.setattr(folders, "decode_blocks", watched)
    return seen


def opened(source, **options):
    return open_pictures(source, 16, progress=False, **options)


def assert_as_if_new(source, tmp_path):
    """The cache equals one that is made from nothing, order and all, and is the only one of its folder."""
    found, anew = opened(source), opened(source, cache_dir=tmp_path / "anew")
    assert found.names == anew.names and (found.pictures == anew.pictures).all() and (found.prints == anew.prints).all()
    assert verify(found.cache) and len(list(cache_folder().glob("*/pictures.npy"))) == 1


def test_an_added_photo_alone_is_decoded_and_no_second_copy_stays(photos, decoded, tmp_path):
    before = opened(photos)
    del decoded[:]
    fill(photos, [100, 101])
    after = opened(photos)
    assert sorted(decoded) == ["100.png", "101.png"] and len(after) == 32
    assert (before.pictures[0] == read_picture(photos / before.names[0], 16)).all()  # whoever has it open keeps it
    assert_as_if_new(photos, tmp_path)


def test_what_went_changed_or_was_renamed_is_followed(photos, decoded, tmp_path):
    opened(photos)
    del decoded[:]
    (photos / "3.png").unlink()
    (photos / "4.png").rename(photos / "four.png")
    os.utime(photos / "5.png")  # touched, not changed
    fill(photos, [200]).joinpath("200.png").replace(photos / "6.png")
    assert len(opened(photos)) == 29 and decoded == ["6.png"]
    assert_as_if_new(photos, tmp_path)


def test_a_folder_that_moved_takes_its_cache_along(photos, decoded, tmp_path):
    opened(photos)
    del decoded[:]
    photos.rename(tmp_path / "album")
    opened(tmp_path / "album")
    assert decoded == []
    assert_as_if_new(tmp_path / "album", tmp_path)


def test_two_folders_of_one_name_and_two_requests_have_caches_of_their_own(photos, tmp_path):
    (tmp_path / "other").mkdir()
    (
        opened(photos),
        opened(photos, fit="pad"),
        opened(photos, limit=10),
        opened(fill(tmp_path / "other" / "photos", range(9))),
    )
    assert len(list_caches(cache_folder())) == 4 and not any(kept.old for kept in list_caches(cache_folder()))


def test_a_stopped_extension_goes_on_and_the_cache_before_it_stays_until_then(photos, monkeypatch):
    opened(photos)
    fill(photos, range(100, 130))
    decode_blocks = folders.decode_blocks

    def stopped(*arguments):
        yield next(iter(decode_blocks(*arguments)))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(folders, "decode_blocks", stopped)
        opened(photos)
    assert {kept.old for kept in list_caches(cache_folder())} == {"", "unfinished"}
    again = opened(photos)
    assert len(again) == 60 and (again.prints != 0).all() and len(list_caches(cache_folder())) == 1


@pytest.mark.skipif(os.name == "nt", reason="no such rights there")
def test_caches_are_for_their_owner_only(photos):
    (photos / "bad.png").write_text("no picture")
    before = os.umask(0)
    try:
        assert len(opened(photos, allow_bad=0.1).duplicates) == 0
    finally:
        os.umask(before)
    made = [cache_folder(), *cache_folder().rglob("*")]
    assert len(made) > 6 and not [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_old_caches_are_listed_and_cleared_with_their_size(photos, tmp_path, capsys):
    opened(photos)
    opened(fill(tmp_path / "gone", range(50, 60)))
    for picture in (tmp_path / "gone").iterdir():
        picture.unlink()
    (tmp_path / "gone").rmdir()
    (cache_folder() / "earlier-16-0123456789abcdef").mkdir()
    (cache_folder() / "earlier-16-0123456789abcdef" / "pictures.npy").write_bytes(bytes(2_000_000))
    (cache_folder() / "mine").mkdir()  # whatever else lies there is none of ours
    (cache_folder() / "mine" / "notes.txt").write_text("keep")
    assert main(["data", "--clear"]) == 0
    said = capsys.readouterr().out
    assert (
        "2.0 MB  earlier-16" in said
        and "its pictures are gone" in said
        and "2 caches of decoded pictures cleared" in said
    )
    assert [kept.source for kept in list_caches(cache_folder())] == [str(photos)] and "1 kept" in said
    assert main(["data", "--clear", "all"]) == 0 and "1 caches" in capsys.readouterr().out
    assert list_caches(cache_folder()) == [] and (cache_folder() / "mine" / "notes.txt").is_file()
    assert main(["data", "--clear"]) == 0 and "0 caches" in capsys.readouterr().out


def test_a_cache_that_is_being_built_is_not_cleared(tmp_path):
    kept = []

    def fill(blocks):
        kept.extend(clear_caches(tmp_path, everything=True))
        for rows in blocks:
            yield rows, np.zeros((len(rows), 8, 8, 3), np.uint8), [None] * len(rows)

    open_cache(CacheSpec(tmp_path, "set-1", ["a"], 8, family="set-"), fill, progress=False)
    assert kept == []
    with only_builder(tmp_path / "set.lock", progress=False):
        assert clear_caches(tmp_path, everything=True) == []
    assert len(clear_caches(tmp_path, everything=True)) == 1


def test_what_is_said_about_a_cache_cannot_be_more_than_text(photos):
    about = opened(photos).cache / "about.json"
    for content in ("[]", "{", json.dumps({"version": 2, "source": 7, "files": True}), json.dumps({"source": "/etc"})):
        about.write_text(content)
        assert list_caches(cache_folder())[0].old
