"""One's own photo in an explorer: from a folder, and uploaded as ipywidgets 7 and 8 do it."""

import asyncio
import datetime
import os

import numpy as np
import pytest
from explorers import is_error, some_pictures
from PIL import Image

from vae_helpers.data import read_picture
from vae_helpers.latent import reconstruct
from vae_helpers.widgets import frame


@pytest.fixture
def photos(tmp_path):
    """Two photos, one of them lying on its side by its EXIF tag."""
    folder = tmp_path / "photos"
    folder.mkdir()
    wide = Image.fromarray(some_pictures(1, seed=5)[0].repeat(2, axis=1))
    wide.save(folder / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    wide.save(folder / "b.jpg", exif=exif, quality=95)
    return folder


def test_own_photos_come_from_a_folder_one_by_one(latents, photos, model):
    latents.photo.place.value = str(photos)
    latents.photo.opener.click()
    assert latents.start.value == 30 and "a.png" in latents.status.value
    seen = read_picture(photos / "a.png", 32)
    assert np.array_equal(latents.picture, reconstruct(model, seen[None])[0])
    latents.photo.opener.click()
    assert latents.start.value == latents.start.max == 31 and "b.jpg" in latents.status.value
    latents.start.value = 4
    latents.start.value = 30
    assert "a.png" in latents.status.value and np.array_equal(latents.reconstruction, reconstruct(model, seen[None])[0])


def test_ones_own_photo_is_a_or_b_and_stands_in_the_gallery(pair, photos, model):
    pair.photo.place.value = str(photos / "a.png")
    pair.photo.opener.click()
    seen = read_picture(photos / "a.png", 32)
    assert pair.pair == (30, 1) and pair.a.max == pair.b.max == 30
    assert np.array_equal(pair.frames[0], reconstruct(model, seen[None])[0]) and "A is a.png" in pair.status.value
    assert 30 in pair.gallery.on_page and pair.gallery.buttons[30 - pair.gallery.on_page.start].tooltip == "a.png"
    pair.photo.place.value = str(photos / "b.jpg")
    pair.photo.opener.click()
    assert pair.pair == (30, 31) and not is_error(pair)
    pair.pick(2)
    pair.pick(30)  # by a click in the gallery
    assert pair.pair == (2, 30)


def test_a_photo_that_the_model_does_not_know_is_said_to_be_one(latents, pair, photos, monkeypatch):
    usual = np.linspace(20, 30, 30)
    for quality, known in ((9.0, False), (25.0, True)):
        monkeypatch.setattr(frame, "psnr_of", lambda made, true, q=quality: np.array([q, *usual][: len(made)]))
        for explorer in (latents, pair):
            explorer._photo_notes.clear()
            explorer.photo.place.value = str(photos / "a.png")
            explorer.photo.opener.click()
            said = "a.png comes back at 9.0 dB, where 95 % of the set's pictures come back at 20.5 dB or better"
            assert (said in explorer.status.value.replace("&#x27;", "'")) == (not known), explorer
    latents.start.value = 0
    assert "comes back" not in latents.status.value


def test_ones_own_photo_may_be_marked_for_a_direction(latents, photos):
    latents.photo.place.value = str(photos / "a.png")
    latents.photo.opener.click()
    latents.kind.value, latents.maker.click.value = "By hand", "has it"
    latents._clicked(30)
    latents._clicked(4)
    latents.maker.click.value = "has it not"
    for index in (1, 2):
        latents._clicked(index)
    latents.maker.name.value = "mine"
    latents.maker.keep.click()
    assert latents.maker.kept[0].has == ("a.png", latents.names[4]) and not is_error(latents)


def upload(explorer, name, content):
    """What the browser does, in ipywidgets 7 and 8."""
    widget = explorer.photo.upload
    if hasattr(widget, "_counter"):
        widget.metadata, widget.data = [{"name": name}], [content]
        widget._counter += 1
    else:
        widget.value = (
            {
                "name": name,
                "type": "",
                "size": len(content),
                "content": memoryview(content),
                "last_modified": datetime.datetime(2026, 1, 1),
            },
        )


def test_an_uploaded_photo_is_shown_and_not_kept_in_the_widget(latents, photos, model):
    upload(latents, "b.jpg", (photos / "b.jpg").read_bytes())
    assert "b.jpg" in latents.status.value and not is_error(latents)
    assert np.array_equal(latents.reconstruction, reconstruct(model, read_picture(photos / "b.jpg", 32)[None])[0])
    assert not getattr(latents.photo.upload, "data", latents.photo.upload.value)
    upload(latents, "b.jpg", (photos / "b.jpg").read_bytes())  # the same once more
    assert latents.start.value == 31


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"%PDF-1.4"])
def test_a_bad_upload_is_a_sentence(latents, content):
    upload(latents, "notes.pdf", content)
    assert is_error(latents) and "the picture notes.pdf cannot be used" in latents.status.value
    assert latents.start.value == 0


@pytest.mark.parametrize("place", ["", "nowhere", "empty", "a" * 300, "~nosuchuser"])
def test_a_bad_place_is_a_sentence(latents, tmp_path, place):
    (tmp_path / "empty").mkdir()
    latents.photo.place.value = place if place in ("", "~nosuchuser") else str(tmp_path / place)
    latents.photo.opener.click()
    assert is_error(latents) and "Error" not in latents.status.value


@pytest.mark.parametrize("place", ["nowhere.jpg", "no/such/folder", "photos/c.png"])
def test_a_mistyped_place_is_called_missing(latents, photos, place):
    latents.photo.place.value = str(photos.parent / place)
    latents.photo.opener.click()
    assert is_error(latents) and "there is no file or folder" in latents.status.value
    assert place in latents.status.value and "check its name" in latents.status.value


def press_enter(explorer, text):
    """What the browser sends for Enter, in ipywidgets 7 and 8: the key at first, then the text if it is another one."""
    explorer.photo.place._handle_custom_msg({"event": "submit"}, [])
    explorer.photo.place.value = text


def test_enter_opens_what_was_typed(latents, photos):
    async def type_in():
        press_enter(latents, str(photos / "a.png"))

    asyncio.run(type_in())
    assert latents.start.value == 30 and "a.png" in latents.status.value


def test_enter_opens_the_next_of_a_folder_each_time(latents, photos, monkeypatch):
    monkeypatch.setattr("vae_helpers.widgets.own_photo._LET_VALUE_COME", 0)

    async def type_in():
        for _ in range(3):
            press_enter(latents, str(photos))
            await asyncio.sleep(0.01)

    asyncio.run(type_in())
    assert latents.start.value == 32 and latents.names[30:] == ["a.png", "b.jpg", "a.png"]


def test_leaving_the_field_opens_nothing(latents, photos):
    latents.photo.place.value = str(photos / "a.png")
    assert latents.start.value == 0
    latents.photo.opener.click()
    assert latents.start.value == latents.start.max == 30


def ask_again(upload):
    """What a browser does that has connected again, in ipywidgets 7 and 8: it asks for the whole state."""

    async def answer():
        upload.send_state()

    asyncio.run(answer())


def test_the_upload_button_is_a_new_one_once_the_page_has_connected_again(latents, photos):
    stuck = latents.photo.upload
    ask_again(stuck)
    fresh = latents.photo.upload
    assert fresh is not stuck and stuck.comm is None and fresh in latents.photo._row.children
    assert stuck not in latents.photo._row.children and "connected again" in latents.status.value
    upload(latents, "b.jpg", (photos / "b.jpg").read_bytes())
    assert "b.jpg" in latents.status.value and latents.start.value == 30
    ask_again(fresh)
    assert latents.photo.upload is not fresh


def test_a_change_of_the_upload_button_alone_renews_nothing(latents):
    before = latents.photo.upload
    before.send_state("description")
    assert latents.photo.upload is before


def test_a_closed_explorer_renews_nothing(latents):
    last = latents.photo.upload

    async def answer():
        last.asked_again()
        latents.close()

    asyncio.run(answer())
    assert latents.photo.upload is last


def test_the_limit_of_uploads_is_told_beforehand(latents):
    note = latents.photo.children[-1].value
    assert "about 10 MB" in note and "press Enter" in note


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes there")
def test_a_pipe_is_a_sentence_and_does_not_block(latents, tmp_path):
    (tmp_path / "only").mkdir()
    for name in ("pipe", "only/pipe", "only/pipe.jpg"):
        os.mkfifo(tmp_path / name)
    for place, word in (
        ("pipe", "is a pipe or a device"),
        ("only", "holds no JPEG"),
        ("/dev/zero", "is a pipe or a device"),
    ):
        latents.photo.place.value = str(tmp_path / place)
        latents.photo.opener.click()
        assert is_error(latents) and word in latents.status.value


@pytest.mark.parametrize("name", ["x" * 400 + ".jpg", "..", "a\0b.jpg", "\x1b[31m.jpg"])
def test_an_upload_may_have_a_name_that_no_file_can_have(latents, photos, name):
    upload(latents, name, (photos / "b.jpg").read_bytes())
    assert not is_error(latents) and latents.start.value == 30
    upload(latents, name, b"words")
    assert is_error(latents) and "cannot be used, because it is not a JPEG" in latents.status.value
    assert "/photo" not in latents.status.value


@pytest.mark.parametrize("place", ["~nobody_of_this_name/x", "y" * 300])
def test_a_place_that_cannot_be_is_a_sentence(latents, place):
    latents.photo.place.value = place
    latents.photo.opener.click()
    assert is_error(latents) and "Error" not in latents.status.value


@pytest.mark.parametrize("name", ["a" * 300 + ".jpg", "", "..", "/", "a\0b.jpg", "\udce9.jpg", "\ud800.jpg"])
def test_an_uploads_name_is_no_file_of_ours(latents, photos, name):
    upload(latents, name, (photos / "b.jpg").read_bytes())
    assert not is_error(latents) and latents.start.value == 30
    latents.status.value.encode()
    upload(latents, name, b"no picture")
    assert is_error(latents) and "cannot be used" in latents.status.value and "/photo" not in latents.status.value
