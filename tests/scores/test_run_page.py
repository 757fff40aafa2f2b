"""What a run's page shows, and that the one in `docs` is of the weights that come with the project."""

from pathlib import Path

import numpy as np
from pages import bytes_of, data_of

from vae_helpers.errors import InputError
from vae_helpers.runs import Run, load_run, open_for_run
from vae_helpers.scores import content_of_run, run_page
from vae_helpers.show import page_html

DOCS = Path(__file__).parents[2] / "docs" / "index.html"


def _parts(page):
    return data_of(page), bytes_of(page, "decoder"), page.split("<script>")[-1]


def test_the_page_in_docs_is_of_the_shipped_weights_and_todays_code():
    """Made by `python -m vae_helpers page --run shipped_butterflies --save docs/index.html --force`."""
    run = Run("shipped_butterflies", DOCS.parents[1] / "VAE")
    model, saved = load_run(run)
    fresh = page_html(content_of_run(run, model, saved, open_for_run(run.name, saved)))
    (data, weights, script), (kept, kept_weights, kept_script) = (
        _parts(each) for each in (fresh, DOCS.read_text("utf-8"))
    )
    assert weights == kept_weights and script == kept_script, "docs/index.html is old: make it anew"
    assert kept["decoder"] == data["decoder"] and kept["pair"] == data["pair"]
    for name in ("weights", "offset", "mean"):
        assert np.allclose(kept["chart"][name], data["chart"][name], atol=1e-4), name
    codes, kept_codes = ([each["code"] for each in part["pictures"]] for part in (data, kept))
    assert np.allclose(codes, kept_codes, atol=0.02)  # encoders round differently on other processors
    assert DOCS.stat().st_size <= 8_000_000


def test_a_run_without_a_chart_has_a_page_and_says_why(trained, small_set, monkeypatch, capsys):
    run, fit = trained

    def none(*_):
        raise InputError("nothing differs.")

    monkeypatch.setattr(run_page, "chart_of_run", none)
    saved = load_run(run)[1]
    content = content_of_run(run, fit.model, saved, small_set, 5)
    assert content.chart is None and len(content.pictures) == 5 and content.pair[0] != content.pair[1]
    assert "no sliders with a name: nothing differs" in capsys.readouterr().err
    assert run.name in content.title and "dB (PSNR)" in content.about
