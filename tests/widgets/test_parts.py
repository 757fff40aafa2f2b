"""The parts of explorers: names for what shows none, pictures that never lack bytes, buttons that can be used."""

import base64
import io
import re

import ipywidgets as widgets
import pytest
from explorers import NAMES, everything, find_buttons
from PIL import Image
from traitlets import Unicode

from vae_helpers.errors import InputError
from vae_helpers.settings import ENDINGS
from vae_helpers.show import save_png
from vae_helpers.widgets import ExplorerData, PairExplorer, parts, save_row


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

    monkeypatch.setattr(save_row, "video_encoder", encoder)
    row = save_row.SaveRow(pair, pair.save)
    offered = [press.tooltip.removeprefix("save as ") for press in find_buttons(row)]
    assert offered == [ending for ending in ENDINGS if not (lacking and ending == ".mp4")]


@pytest.mark.parametrize("scale, side", [("1×", 32), ("4×", 128)])
def test_what_is_saved_can_be_larger_and_is_downloaded_by_a_link(model, pictures, summary, tmp_path, scale, side):
    explorer = PairExplorer(ExplorerData(model, pictures, NAMES, summary), folder=tmp_path)
    row = next(each for each in everything(explorer) if isinstance(each, save_row.SaveRow))
    row.scale.value = scale
    next(press for press in find_buttons(row) if press.tooltip == "save as .gif").click()
    (file,) = tmp_path.glob("*.gif")
    assert Image.open(file).size == (side, side) and "Saved" in explorer.status.value
    data = re.fullmatch(
        rf'<a class="vae-download" download="{file.name}" href="data:image/gif;base64,(.*)">.*', row.link.value
    )
    assert base64.b64decode(data[1]) == file.read_bytes()


def test_a_file_too_large_for_a_link_has_none(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(save_row, "_LARGEST", 10)
    row = save_row.SaveRow(pair, lambda ending, scale: save_png(pair.frames[0], tmp_path / "a.png"))
    find_buttons(row)[0].click()
    assert row.link.value == "" and (tmp_path / "a.png").exists()


def test_a_picture_grows_and_shrinks_with_its_explorer(pair, latents):
    for explorer in (pair, latents):
        (enlarge,) = (b for b in find_buttons(explorer) if b.description == "Enlarge")
        before = explorer._dom_classes, explorer.layout.max_width
        enlarge.click()
        assert "vae-large" in explorer._dom_classes and enlarge.description == "Shrink"
        assert int(explorer.layout.max_width[:-2]) > int(before[1][:-2])
        enlarge.click()
        assert (explorer._dom_classes, explorer.layout.max_width) == before and enlarge.description == "Enlarge"
