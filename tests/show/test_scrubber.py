"""The page is taken apart again: its frames, its words, and what it may ask for. A browser moves it in one test."""

import base64
import html
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from vae_helpers.errors import InputError
from vae_helpers.show import embedded, scrubber_html

FRAMES = np.stack([np.full((16, 24, 3), level, np.uint8) for level in (0, 60, 120, 180, 240)])


class Page(HTMLParser):
    """Tags with their attributes, and the text of each script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self._inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._inside = tag == "script"

    def handle_endtag(self, tag):
        self._inside = False

    def handle_data(self, data):
        if self._inside:
            self.scripts.append(data)


def frames_of(text):
    (script,) = Page(text).scripts
    values = json.loads(re.search(r"const frames = (\[.*?\])\.map", script).group(1))
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(v))).convert("RGB")) for v in values]


def test_all_frames_are_inside():
    for frame, level in zip(frames_of(scrubber_html(FRAMES)), (0, 60, 120, 180, 240), strict=True):
        assert frame.shape == (16, 24, 3) and np.abs(frame.astype(int) - level).max() <= 3


def test_nothing_is_asked_of_the_network():
    text = scrubber_html(FRAMES, "A page")
    for tag, attributes in Page(text).tags:
        assert tag not in ("link", "iframe", "object") and not {"src", "href"} & set(attributes)
    assert "http" not in re.sub(r'http-equiv="Content-Security-Policy"', "", text)
    assert "default-src 'none'" in text


def test_hostile_words_stay_words():
    words = '</script><img src=x onerror="alert(1)"> §TITLE§ @ & "quotes" \u2028'
    page = Page(scrubber_html(FRAMES, words, [words] * 5))
    assert len(page.scripts) == 1 and [tag for tag, _ in page.tags].count("img") == 1
    captions = re.search(r"const captions = (\[.*?\]);\n", page.scripts[0]).group(1)
    assert json.loads(captions) == [words] * 5
    assert html.escape(words) in scrubber_html(FRAMES, words)


def test_embedded_page_comes_back_whole():
    text = scrubber_html(FRAMES, 'Tom & "Jerry"')
    ((tag, attributes),) = Page(embedded(text)).tags
    assert tag == "iframe" and attributes["srcdoc"] == text and attributes["sandbox"] == "allow-scripts"


@pytest.mark.parametrize(
    "wrong, word",
    [
        (lambda: scrubber_html(FRAMES[:0]), "N at least 1"),
        (lambda: scrubber_html(FRAMES / 255), "uint8"),
        (lambda: scrubber_html(FRAMES, captions=["one"]), "one per frame"),
        (lambda: scrubber_html(FRAMES, fps=0), "above 0"),
    ],
)
def test_bad_input_gets_a_sentence(wrong, word):
    with pytest.raises(InputError, match=word):
        wrong()


def test_a_browser_moves_through_the_frames(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium here")
    text = scrubber_html(FRAMES, "Five greys", [f"grey {i}" for i in range(5)], fps=30)
    outer = tmp_path / "notebook.html"
    outer.write_text(f"<!doctype html><p>A cell</p>{embedded(text)}", encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(outer.as_uri())
        frame = page.frames[1]
        frame.wait_for_selector("body[data-ready]")
        frame.click("#picture")
        seen = []
        for key in ("Home", "ArrowRight", "ArrowRight", "End", "ArrowRight", "ArrowLeft"):
            page.keyboard.press(key)
            seen.append(frame.get_attribute("#picture", "alt"))
        assert seen == [f"grey {i}, frame {i + 1} of 5" for i in (0, 1, 2, 4, 4, 3)]
        frame.fill("#slider", "1")
        assert frame.inner_text("#count") == "2 / 5" and frame.inner_text("#caption") == "grey 1"
        page.keyboard.press("Space")
        assert frame.inner_text("#play") == "Pause"
        frame.locator("#count", has_not_text="2 / 5").wait_for()
        frame.click("#play")
        assert frame.inner_text("#play") == "Play"
        assert said == [] and all(url.startswith(("file:", "data:", "about:")) for url in asked)
        browser.close()
