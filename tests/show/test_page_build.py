"""The page as a file: what it holds, and that names in it stay text."""

import base64
import hashlib
import html
import re

import numpy as np
import pytest
import torch
from pages import CLOSING, HOSTILE, bytes_of, data_of, some_content, some_decoder

from vae_helpers.errors import InputError
from vae_helpers.show import pack_decoder, pack_encoder, page_html, save_page


@pytest.fixture(scope="module")
def content():
    return some_content(some_decoder())


def embedded(page):
    """The page's data, and its weights as bytes."""
    return data_of(page), bytes_of(page, "decoder")


def test_the_page_holds_the_decoder_the_pictures_and_the_chart(content):
    data, weights = embedded(page_html(content))
    inactive = np.setdiff1d(np.arange(12), content.summary.active)
    assert weights == pack_decoder(content.model, inactive).content
    assert np.allclose([each["code"] for each in data["pictures"]], content.codes, rtol=1e-5)
    assert [each["name"] for each in data["pictures"]] == content.names
    assert [each["name"] for each in data["chart"]["table"]] == list(content.chart.names)
    assert np.allclose(data["chart"]["weights"], content.chart.weights, rtol=1e-5)
    assert data["meter"]["unit"] > 0 and data["pair"] == [0, 1]


def test_names_are_text_and_the_policy_lets_nothing_else_run(content):
    page = page_html(content)
    assert page.count("<script") == 1 + 1 + len(re.findall('class="weights ', page)) and "<img src=x" not in page
    assert html.escape(HOSTILE) in page and html.escape(CLOSING) in page and CLOSING not in page
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    script, style = (
        re.findall(r"<script>(.*)</script>", page, re.S)[0],
        re.findall(r"<style>(.*?)</style>", page, re.S)[0],
    )
    for text in (script, style):
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "http" not in policy


def test_without_photos_no_picture_of_the_set_is_in_it(content):
    data, _ = embedded(page_html(content, photos=False))
    assert not any("thumb" in each for each in data["pictures"])
    assert all("thumb" in each for each in embedded(page_html(content))[0]["pictures"])


def test_a_small_page_is_smaller_and_leaves_out_what_never_moves(content):
    idle = np.where(np.arange(12) < 8, content.summary.variance, 0)
    few = content._replace(summary=content.summary._replace(variance=idle))
    small, whole = page_html(few, small=True), page_html(few)
    assert len(small) < len(whole)
    rows = {each["name"]: each.get("latents") for each in embedded(small)[0]["decoder"]["arrays"]}
    assert rows["affine coarse"] == list(range(8)) and "affine fine" not in rows


def test_a_set_without_a_chart_has_latents_only(content):
    data, _ = embedded(page_html(content._replace(chart=None, trust=[])))
    assert data["chart"] is None and len(data["latents"]) == len(content.summary.active)


def test_codes_that_are_not_finite_and_no_picture_are_refused(content, tmp_path):
    broken = content._replace(codes=content.codes * torch.nan)
    for bad in (broken, content._replace(pictures=content.pictures[:0])):
        with pytest.raises(InputError, match="at least one picture, and codes that are finite"):
            page_html(bad)
    with pytest.raises(InputError, match="cannot be written"):
        save_page("x", tmp_path / ("x" * 300 + ".html"))
    assert save_page("β", tmp_path / "page.html").read_text("utf-8") == "β"


def test_with_the_encoder_it_is_larger_by_its_weights(content):
    page = page_html(content, encoder=True)
    packed = pack_encoder(content.model)
    assert bytes_of(page, "encoder") == packed.content
    data, _ = embedded(page)
    assert data["encoder"] == packed.spec | {"fit": "crop"} and embedded(page_html(content))[0]["encoder"] is None
