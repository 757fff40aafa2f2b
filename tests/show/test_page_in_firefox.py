"""The page in Firefox, from a file and without a network: the same numbers as torch's, and a slider by keyboard."""

import json

import numpy as np
import pytest
import torch
from firefox import firefox, firefox_tab
from pages import some_content, some_decoder

from vae_helpers.show import page_html

pytestmark = pytest.mark.skipif(firefox() is None, reason="no Firefox: apt-get install firefox-esr")


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with firefox_tab(tmp_path_factory.mktemp("firefox")) as tab:
        yield tab
        assert not tab.heard


@pytest.mark.parametrize("plain", [False, True])
def test_firefox_draws_what_torch_draws_and_a_slider_moves_it(tab, tmp_path, plain):
    model = some_decoder(64)
    (tmp_path / "page.html").write_text(page_html(some_content(model)), "utf-8")
    tab.open(f"{(tmp_path / 'page.html').as_uri()}{'?plain' if plain else ''}")
    assert tab.evaluate("document.body.dataset.ready") == ("plain" if plain else "fast")
    codes = torch.randn(8, 12, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = model.decoder(codes).permute(0, 2, 3, 1).reshape(8, -1).numpy()
    found = tab.evaluate(f"{json.dumps(codes.tolist())}.map(code => Array.from(explorer.decoder.values(code)))")
    assert np.abs(np.array(found) - expected).max() * 127.5 < 0.2
    live = "document.getElementById('live').toDataURL()"
    before = tab.evaluate(live)
    assert tab.evaluate("(document.querySelector('#sliders input[type=range]').focus(), 1)")
    tab.press("End")
    assert tab.evaluate(live) != before and tab.evaluate("Object.keys(explorer.state.moved).length") == 1
    tab.evaluate("(document.getElementById('undo').click(), 1)")  # without a window there are no keys for buttons
    assert tab.evaluate(live) == before
