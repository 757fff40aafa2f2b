"""The page in a browser, from a file and without a network: the same numbers as torch's, and every control."""

import time

import numpy as np
import pytest
import torch
from browser import chromium
from pages import HOSTILE, some_content, some_decoder
from PIL import Image

from vae_helpers.data import read_picture
from vae_helpers.latent import decode_codes, encode_pictures, lerp, slerp
from vae_helpers.show import page_html

playwright = pytest.importorskip("playwright.sync_api", reason="the browser tests need the package playwright")
CHROMIUM = chromium()
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium: apt-get install chromium, or playwright install chromium"
)
KINDS = [
    (16, "adaptive", "tanh", None),
    (32, "instance", "langevin", (12, 20, 30)),
    (64, "batch", "tanh", None),
    (128, "adaptive", "tanh", (8, 16, 24, 32, 40)),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def show(browser, tmp_path):
    """Opens a page from its file; nothing may be asked of a network, nor written to the console."""
    noise, contexts = [], []

    def show(page, query=""):
        (tmp_path / "page.html").write_text(page, "utf-8")
        context = browser.new_context(offline=True, viewport={"width": 1100, "height": 900}, accept_downloads=True)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: noise.append(message.text))
        tab.on("pageerror", lambda problem: noise.append(str(problem)))
        tab.on("dialog", lambda dialog: (noise.append(dialog.message), dialog.dismiss()))
        tab.on(
            "request",
            lambda request: None if request.url.startswith(("file:", "data:", "blob:")) else noise.append(request.url),
        )
        tab.goto(f"{(tmp_path / 'page.html').as_uri()}{query}")
        tab.wait_for_selector("body[data-ready]", timeout=30_000)
        return tab

    yield show
    for context in contexts:
        context.close()
    assert not noise


def until(tab, expression):
    """Wait until it is true; the page's policy refuses the way that Playwright has for this."""
    ends = time.monotonic() + 10
    while not tab.evaluate(expression):
        assert time.monotonic() < ends, expression
        tab.wait_for_timeout(20)


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("size, norm, output, widths", KINDS)
def test_pictures_are_those_of_torch(show, say, size, norm, output, widths, plain):
    model = some_decoder(size, norm, output, widths)
    tab = show(page_html(some_content(model)), "?plain" if plain else "")
    assert tab.get_attribute("body", "data-ready") == ("plain" if plain else "fast")
    until(tab, "explorer.frames.every(Boolean)")
    assert tab.locator("#slow").is_visible() == plain
    codes = torch.randn(8 if plain else 64, 12, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = ((model.decoder(codes).permute(0, 2, 3, 1).numpy() + 1) * 127.5).reshape(len(codes), -1)
    found, took = tab.evaluate(
        """codes => { const times = []; const values = codes.map(code => { const start = performance.now();
        const drawn = explorer.decoder.values(code); times.push(performance.now() - start);
        return Array.from(drawn, value => (value + 1) * 127.5); }); return [values, times]; }""",
        codes.tolist(),
    )
    say(f"{size} px, {norm}, {'plain' if plain else 'WebAssembly'}: {np.median(took):.1f} ms a picture")
    # Rows of latents that tell nothing are stored in 8 bits; here all of them tell something.
    assert np.abs(np.array(found) - expected).max() < 0.2
    pixels = tab.evaluate("code => Array.from(explorer.decoder.picture(code).data)", codes[0].tolist())
    drawn = decode_codes(model, codes[:1])[0].astype(int)
    assert np.abs(np.array(pixels).reshape(size, size, 4)[..., :3] - drawn).max() <= 1


def test_the_chart_moves_reads_and_walks_as_in_python(show):
    content = some_content(some_decoder())
    chart, codes = content.chart, content.codes.double()
    tab = show(page_html(content))
    read = tab.evaluate("codes => codes.map(code => explorer.chart.read(code))", codes.tolist())
    assert np.allclose(read, chart.read(content.codes), atol=2e-3)
    for wanted in ({0: 1.5}, {2: 0.7}, {3: 1.0}, {0: -2.0, 3: 2.0}):
        moved = tab.evaluate(
            "([code, wanted]) => Array.from(explorer.chart.move(code, wanted))", [codes[0].tolist(), wanted]
        )
        named = {
            chart.names[k]: (chart.table[k].choices[int(v)] if chart.table[k].choices else v) for k, v in wanted.items()
        }
        assert np.allclose(moved, chart.move_all(content.codes[0], named), atol=2e-3), wanted
    shares = np.linspace(0, 1, 9).tolist()
    walked = tab.evaluate(
        "([a, b, shares]) => explorer.chart.path(a, b, shares).map(code => Array.from(code))",
        [codes[1].tolist(), codes[2].tolist(), shares],
    )
    assert np.allclose(walked, chart.path(content.codes[1], content.codes[2], 9), atol=2e-3)
    sample = tab.evaluate(
        "() => Array.from(explorer.chart.sample(() => 0))"
    )  # the attributes and the rest of the first
    expected = np.array(chart.mean)
    first = chart.features(chart.embedded[:1].astype(float)) @ chart.weights + chart.offset + chart.residues[:1]
    expected[chart.active] = first[0]
    assert np.allclose(sample, expected, atol=2e-3)


def test_the_arc_is_the_arc(show):
    content = some_content(some_decoder())
    tab = show(page_html(content))
    a, b = content.codes[1], content.codes[2]
    tab.locator("input[value=arc]").press("Space")
    codes = tab.evaluate("() => { explorer.setPair(1, 2); return explorer.codes().map(code => Array.from(code)); }")
    assert np.allclose(codes, slerp(a, b, 25, content.summary.active), atol=1e-4)


def test_a_geodesic_is_the_one_computed_and_a_pair_without_says_so(show):
    content = some_content(some_decoder())
    tab = show(page_html(content))
    tab.locator("input[value=geodesic]").press("Space")
    walked = "() => explorer.walk.map(code => Array.from(code))"
    for a, b, expected in ((0, 2, content.geodesics[0][2]), (2, 0, content.geodesics[0][2].flip(0))):
        tab.evaluate(f"explorer.setPair({a}, {b})")
        assert np.allclose(tab.evaluate(walked), expected, atol=1e-5) and not tab.inner_text("#status")
    tab.evaluate("explorer.setPair(1, 3)")
    named = " and ".join(name.rsplit("/")[-1] for name in (content.names[0], content.names[2]))
    assert f"computed for these pairs only: {named}. This one is shown straight" in tab.inner_text("#status")
    assert np.allclose(tab.evaluate(walked), lerp(content.codes[1], content.codes[3], 25), atol=1e-4)
    without = show(page_html(content._replace(geodesics=())))
    assert without.locator("input[value=geodesic]").count() == 0


def test_equal_steps_change_the_picture_by_as_much_each_time(show):
    """A walk to a far code and hardly on from there: most of the change is in the first frames."""
    content = some_content(some_decoder())
    codes = content.codes.clone()
    codes[1] = 30 * codes[1]
    tab = show(page_html(content._replace(codes=codes, pair=(0, 1))))
    tab.locator("input[value=straight]").press("Space")
    until(tab, "explorer.frames.every(Boolean)")
    change = """() => { const frames = explorer.frames.map(frame => frame.data);
      const between = (a, b) => Math.sqrt(a.reduce((sum, v, k) => sum + (v - b[k]) ** 2, 0));
      const steps = frames.slice(1).map((each, i) => between(each, frames[i]));
      return Math.max(...steps) / (steps.reduce((s, v) => s + v) / steps.length); }"""
    before = tab.evaluate(change)
    tab.locator("#even").press("Space")
    until(tab, "explorer.frames.every(Boolean) && Math.abs(explorer.walk[1][0] - explorer.codes()[1][0]) > 1e-9")
    after = tab.evaluate(change)
    assert before > 2 and after < 0.6 * before
    assert np.allclose(
        tab.evaluate("[explorer.walk[0], explorer.walk[24]].map(c => Array.from(c))"), codes[:2], rtol=1e-4
    )
    until(tab, "location.hash.includes('even=1')")
    again = show(page_html(content), "#even=1")
    assert again.is_checked("#even")


def test_every_control_by_keyboard(show):
    tab = show(page_html(some_content(some_decoder())))
    assert HOSTILE in tab.title() and tab.locator("img[src=x]").count() == 0
    for index, side in ((3, "a"), (5, "b")):
        tab.locator("#gallery button").nth(index).press("Enter")
        assert tab.locator(f"#gallery button.is-{side}").get_attribute("aria-label").startswith(f"picture {index},")
    until(tab, "explorer.frames.every(Boolean)")
    view = "document.getElementById('view').toDataURL()"
    before = tab.evaluate(view)
    tab.locator("#frame").press("End")
    assert tab.evaluate(view) != before and "100 %" in tab.inner_text("#view-name")
    tab.locator("#strip button").first.press("Enter")
    assert tab.input_value("#frame") == "0"
    tab.locator("input[value=straight]").press("Space")
    assert tab.evaluate("explorer.state.way") == "straight"
    tab.locator("#play").press("Enter")
    until(tab, "explorer.state.frame > 3")
    tab.locator("#play").press("Enter")
    for control in ("#swap", "#random-pair"):
        if control == "#random-pair":
            tab.evaluate(SAME_PAIR_FIRST)
        pair = tab.evaluate("[explorer.state.a, explorer.state.b]")
        tab.locator(control).press("Enter")
        assert tab.evaluate("[explorer.state.a, explorer.state.b]") != pair


# The first pair drawn is the one on the screen, the next one is not.
SAME_PAIR_FIRST = """() => { const { a, b } = explorer.state, n = explorer.data.pictures.length;
  const drawn = [(a + 0.5) / n, (((b - a - 1 + n) % n) + 0.5) / (n - 1), (((a + 1) % n) + 0.5) / n, 0];
  Math.random = () => drawn.shift(); }"""


def test_sliders_undo_random_pictures_and_the_address(show):
    content = some_content(some_decoder())
    tab = show(page_html(content))
    live = "document.getElementById('live').toDataURL()"
    start = tab.evaluate(live)
    slider = tab.get_by_role("slider", name="turn")
    slider.press("ArrowRight")
    moved = tab.evaluate(live)
    assert moved != start and "turn" in tab.evaluate("Object.keys(explorer.state.moved)")
    other = tab.locator("input[name='choice kind']:not(:checked)").first
    value = int(other.get_attribute("value"))
    other.press("Space")
    assert tab.evaluate("explorer.state.moved.kind") == value
    for expected in (moved, start):
        tab.locator("#undo").press("Enter")
        assert tab.evaluate(live) == expected
    tab.locator("#from-sample").press("Enter")
    sample = tab.evaluate(live)
    tab.locator("input[value=latents]").press("Space")
    tab.locator("#sliders input").first.press("Home")
    assert tab.evaluate(live) != sample
    shown = tab.evaluate(live)
    until(tab, "location.hash.includes('move.latent')")
    again = show(page_html(content), tab.evaluate("location.hash"))
    assert again.evaluate(live) == shown
    for junk in ("#a=99&b=-1&frame=x&way=teleport&move.turn=NaN&move.nothing=3", "#%E0%A4%A"):
        assert show(page_html(content), junk).evaluate("explorer.state.a") == 0


def test_another_a_under_moved_sliders_can_be_undone_and_the_next_click_is_told(show):
    tab = show(page_html(some_content(some_decoder())))
    live, pair = "document.getElementById('live').toDataURL()", "[explorer.state.a, explorer.state.b]"
    tab.get_by_role("slider", name="turn").press("ArrowRight")
    moved, before = tab.evaluate(live), tab.evaluate(pair)
    assert tab.inner_text("#turn") == "A"
    tab.locator("#gallery button").nth(3).press("Enter")
    assert tab.inner_text("#turn") == "B" and tab.evaluate(pair) == [3, before[1]] and tab.evaluate(live) != moved
    tab.locator("#gallery button").nth(4).press("Enter")  # B is no part of what the sliders move
    assert tab.inner_text("#turn") == "A" and tab.evaluate(pair) == [3, 4]
    tab.locator("#undo").press("Enter")
    assert tab.evaluate(live) == moved and tab.evaluate(pair) == before
    assert tab.inner_text("#name-a").startswith("A") and tab.locator("#gallery .is-a").count() == 1


def test_whoever_points_at_a_way_or_a_number_is_told_what_it_means(show):
    tab = show(page_html(some_content(some_decoder())))
    ways, notes = tab.locator("#kinds .choice").all(), tab.locator("#sliders .trust").all()
    assert len(ways) == 4 and all(label.get_attribute("title") for label in ways)
    assert notes and all(note.get_attribute("title") for note in notes)
    tab.locator("input[value=latents]").press("Space")
    assert "tells" in tab.locator("#sliders .trust").first.get_attribute("title")


@pytest.mark.parametrize("height", [640, 844])
def test_on_a_phone_sliders_are_wide_and_the_picture_leaves_room_for_them(show, height):
    tab = show(page_html(some_content(some_decoder())))
    tab.set_viewport_size({"width": 390, "height": height})
    tab.locator("#sliders").scroll_into_view_if_needed()
    assert tab.locator(".live").bounding_box()["height"] < 0.4 * height
    assert tab.get_by_role("slider", name="turn").bounding_box()["width"] > 220
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_frame_that_was_taken_comes_back_with_the_address(show):
    content = some_content(some_decoder())
    tab = show(page_html(content))
    tab.locator("#even").press("Space")
    until(tab, "explorer.frames.every(Boolean) && explorer.shares !== undefined")
    tab.wait_for_timeout(300)
    tab.evaluate("explorer.goTo(9)")
    code = tab.evaluate("Array.from(explorer.walk[9])")
    tab.locator("#take").press("Enter")
    tab.evaluate("explorer.setPair(3, 4)")
    until(tab, "location.hash.includes('taken=') && location.hash.includes('a=3')")
    again = show(page_html(content), tab.evaluate("location.hash"))
    assert np.allclose(again.evaluate("Array.from(explorer.base())"), code, atol=1e-3)
    assert again.inner_text("#live-name").startswith("from a frame")
    for junk in ("#start=frame", "#start=frame&taken=0 99 chart 0.5", "#start=frame&taken=0 1 fly 0.5"):
        assert show(page_html(content), junk).inner_text("#live-name").startswith("from A")
    tab.evaluate("explorer.rows.get('follows')(-0.0001)")
    written = [line for line in tab.locator("#sliders output").all_inner_texts() if line.strip("-0.") == ""]
    assert written and not any("-" in line for line in written)


def test_what_is_saved(show, tmp_path):
    tab = show(page_html(some_content(some_decoder())))
    until(tab, "explorer.frames.every(Boolean)")
    for button, name in (("#save-png", "walk.png"), ("#save-live", "live.png")):
        with tab.expect_download() as download:
            tab.locator(button).press("Enter")
        assert download.value.suggested_filename == name


def test_thumbnails_are_drawn_where_the_page_holds_no_photos(show):
    tab = show(page_html(some_content(some_decoder()), photos=False))
    assert tab.locator("#gallery canvas").count() == 6 and tab.locator("#gallery img").count() == 0


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_photo_of_ones_own_is_encoded_in_the_page(show, tmp_path, fit):
    model = some_decoder(64)
    with torch.no_grad():
        for block in model.encoder.blocks:
            block.norm.running_mean.normal_()
            block.norm.running_var.uniform_(0.5, 2)
    content = some_content(model)._replace(fit=fit)
    tab = show(page_html(content, encoder=True))
    wide = np.zeros((64, 96, 3), np.uint8)
    wide[:, 16:80] = content.pictures[0]
    Image.fromarray(wide).save(tmp_path / "photo.png")
    Image.fromarray(wide.transpose(1, 0, 2)[::-1]).save(
        tmp_path / "turned.jpg", quality=100, subsampling=0, exif=_turned()
    )
    (tmp_path / "none.png").write_text("no picture")
    tab.set_input_files("#photo", tmp_path / "none.png")
    until(tab, "document.getElementById('status').textContent.includes('none.png cannot be opened')")
    for k, name in enumerate(("photo.png", "turned.jpg")):
        tab.set_input_files("#photo", tmp_path / name)
        until(tab, f"explorer.data.pictures.length === {7 + k}")
        code = tab.evaluate(f"explorer.data.pictures[{6 + k}].code")
        if fit == "crop":
            expected = encode_pictures(model, read_picture(tmp_path / name, 64)[None])[0][0].numpy()
            assert np.abs(np.array(code) - expected).max() < (0.02 if k == 0 else 0.1) * np.abs(expected).max()
    assert tab.evaluate("[explorer.state.a, explorer.state.b]") == [6, 7]
    assert tab.locator("#gallery button").nth(6).get_attribute("title") == "photo.png"


def test_a_sentence_stays_while_the_frames_behind_it_are_drawn(show):
    tab = show(page_html(some_content(some_decoder())))
    tab.evaluate("explorer.drawWalk(); document.getElementById('status').textContent = 'no such photo'")
    until(tab, "explorer.frames.every(Boolean)")
    tab.wait_for_timeout(50)
    assert tab.locator("#status").inner_text() == "no such photo"


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side: to be turned by 90 degrees to the right
    return exif
