"""The button that saves an explorer as a page."""

import json
import re

from explorers import NAMES, find_buttons, is_error

from vae_helpers.widgets import ExplorerData, LatentExplorer, PairExplorer


def _press(explorer):
    next(each for each in find_buttons(explorer) if each.description == "Save as page").click()


def test_both_explorers_save_a_page_of_their_pictures(model, pictures, summary, tmp_path):
    for number, kind in enumerate((PairExplorer, LatentExplorer), start=1):
        explorer = kind(ExplorerData(model, pictures, NAMES, summary), folder=tmp_path)
        _press(explorer)
        file = tmp_path / ("page.html" if number == 1 else "page_2.html")
        assert not is_error(explorer) and str(file) in explorer.status.value
        data = re.search(r'id="data">(.*?)</script>', file.read_text("utf-8"), re.S)[1]
        assert [each["name"] for each in json.loads(data)["pictures"]] == NAMES[:24]


def test_without_a_summary_it_says_what_is_missing(model, pictures, tmp_path):
    explorer = PairExplorer(ExplorerData(model, pictures, NAMES), folder=tmp_path)
    _press(explorer)
    assert is_error(explorer) and "which latents are active" in explorer.status.value
    assert not list(tmp_path.iterdir())
