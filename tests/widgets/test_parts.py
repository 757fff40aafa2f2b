"""The parts of explorers: names for what shows none, pictures that never lack bytes, buttons that can be used."""

import io

import ipywidgets as widgets
import pytest
from explorers import find_buttons
from PIL import Image
from traitlets import Unicode

from vae_helpers.errors import InputError
from vae_helpers.settings import ENDINGS
from vae_helpers.widgets import parts


def test_a_picture_is_never_without_bytes_and_has_a_name():
    for image in (parts.picture("live", 90), parts.strip("frames")):
        assert Image.open(io.BytesIO(image.value)).size == (1, 1)
    if hasattr(widgets.Image, "tooltip"):  # ipywidgets 8, whose browser part fails at a tooltip without a description
        assert image.tooltip == "frames" and "description" in image.get_state() and image.description == ""


class Seven(widgets.Widget):
    """A control as ipywidgets 7 has them: its tooltip is called otherwise."""

    description_tooltip = Unicode("").tag(sync=True)


def test_names_go_where_ipywidgets_7_and_8_have_them():
    control = Seven()
    parts.describe(control, "Frame")
    assert control.description_tooltip == "Frame"
    typed = parts.slider_and_number(1, 0, 5, "Frame", 100)[1]
    assert "Frame" in (typed.get_state().get("tooltip"), typed.get_state().get("description_tooltip"))
    parts.describe(widgets.Layout(), "what can bear no name is left as it is")


@pytest.mark.parametrize("lacking", [False, True])
def test_only_kinds_of_file_that_can_be_written_have_a_button(pair, monkeypatch, lacking):
    def encoder():
        if lacking:
            raise InputError("none here.")
        return "ffmpeg"

    monkeypatch.setattr(parts, "video_encoder", encoder)
    row = parts.save_row(pair, lambda ending: pair.folder / ending)
    offered = [press.tooltip.removeprefix("save as ") for press in find_buttons(row)]
    assert offered == [ending for ending in ENDINGS if not (lacking and ending == ".mp4")]


def test_a_picture_grows_and_shrinks_with_its_explorer(pair, latents):
    for explorer in (pair, latents):
        (enlarge,) = (b for b in find_buttons(explorer) if b.description == "Enlarge")
        before = explorer._dom_classes, explorer.layout.max_width
        enlarge.click()
        assert "vae-large" in explorer._dom_classes and enlarge.description == "Shrink"
        assert int(explorer.layout.max_width[:-2]) > int(before[1][:-2])
        enlarge.click()
        assert (explorer._dom_classes, explorer.layout.max_width) == before and enlarge.description == "Enlarge"
