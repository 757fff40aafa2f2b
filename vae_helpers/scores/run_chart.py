"""The chart of a run and the trust in its sliders: opened where they were kept, else made and kept beside the run."""

from __future__ import annotations

from vae_helpers.data import Attributes, PictureSet, attributes_of
from vae_helpers.errors import InputError
from vae_helpers.files import say
from vae_helpers.latent import Chart, Trust, encode_pictures, load_chart, save_chart, stamp_of
from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run
from vae_helpers.scores.trust import HELD_OUT, LEARNT, spread_rows, trust_of

CHART_FILE = "chart.npz"  # in the folder of the run's checkpoints


def chart_of_run(
    run: Run, model: BetaVAE, pictures: PictureSet, extra: Attributes | None = None, progress: bool = True
) -> tuple[Chart, list[Trust]]:
    """The chart of a run's codes over the attributes of its pictures, and the trust table of its sliders.

    Opened from `chart.npz` beside the run's checkpoints if weights and attributes are those it was made of; else made
    by `make_chart` and kept there, all or nothing. A folder that cannot be written costs one line: the chart is made
    again next time. `extra` are more attributes of the same pictures, one row each; a name that both have is taken
    from it. For other pictures than the run's own give `run.on(pictures.name)`, so that either chart stays.
    Raises InputError where no chart can be made.
    """
    attributes = attributes_of(pictures, extra)
    path, stamp = run.models / CHART_FILE, stamp_of(model, attributes)
    chart, trust = load_chart(path, stamp) or (None, None)
    if chart is not None and trust is not None:
        return chart, trust
    chart, trust = make_chart(model, pictures, attributes, progress)
    try:
        save_chart(path, chart, stamp, trust)
    except InputError as problem:
        say(f"{problem} It is made again next time.")
    return chart, trust


def make_chart(
    model: BetaVAE, pictures: PictureSet, attributes: Attributes, progress: bool = True
) -> tuple[Chart, list[Trust]]:
    """Fit a chart to up to 3,000 training pictures, and measure trust on up to 512 held-out ones, evenly spread.

    Raises InputError for fewer than 8 training pictures, no active latent, or no attribute that differs.
    """
    rows = spread_rows(pictures.split.train, LEARNT)
    if progress:
        held_out = min(HELD_OUT, len(pictures.split.validation) + len(pictures.split.test))
        say(
            f"Learning what the codes mean from {len(rows):,} training pictures of {pictures.name}, and measuring each "
            f"attribute's slider on {held_out:,} held-out ones."
        )
    codes, _ = encode_pictures(model, pictures.pictures[rows])
    chart = Chart.fit(codes, attributes.rows(rows))
    return chart, trust_of(model, chart, pictures, attributes)
