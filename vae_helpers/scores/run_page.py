"""What the page of a run shows: its best pictures to walk between, its chart, and how good it is."""

from __future__ import annotations

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError, printable
from vae_helpers.files import say
from vae_helpers.latent import PathContext, encode_pictures, pick_pairs, summarise, walk
from vae_helpers.model import BetaVAE
from vae_helpers.runs import Run, difference
from vae_helpers.scores.run_chart import chart_of_run
from vae_helpers.show import FRAMES, PageContent

_MEASURED, _KNOWN = 300, 1000  # held-out pictures that say which latents are active, and training codes
_GEODESICS = 3  # pairs that a browser would search too long for


def content_of_run(run: Run, model: BetaVAE, saved: dict, pictures: PictureSet, count: int = 24) -> PageContent:
    """The first `count` held-out pictures of a run's set, and what is known of the run.

    Without a chart if none can be made, which is said. InputError for a set without held-out pictures.
    """
    rows = pictures.split.validation[:_MEASURED]
    if not len(rows):
        raise InputError(f"{pictures.name} has no held-out pictures to show on a page: give more pictures.")
    mu, logvar = encode_pictures(model, pictures.pictures[rows])
    known, _ = encode_pictures(model, pictures.pictures[pictures.split.train[:_KNOWN]])
    chart, trust = None, []
    try:
        own = run.on(pictures.name) if difference(pictures, saved["data"]) else run
        chart, trust = chart_of_run(own, model, pictures)
    except InputError as problem:
        say(f"The page has no sliders with a name: {problem}")
    shown, summary = pictures.pictures[rows[:count]], summarise(mu, logvar)
    pairs = [(int(a), int(b)) for a, b in pick_pairs(model, shown, _GEODESICS)] if len(shown) > 1 else []
    context = PathContext(summary.active)
    geodesics = [(a, b, walk(model, mu[a], mu[b], FRAMES, "geodesic", context).codes) for a, b in pairs]
    return PageContent(
        model,
        shown,
        [pictures.names[row] for row in rows[:count]],
        mu[:count],
        known,
        summary,
        chart,
        trust,
        title=f"Move through the latent space of {printable(run.name)}",
        about=_about(run, model, saved, pictures.name),
        pair=pairs[0] if pairs else (0, 0),
        geodesics=geodesics,
        fit=(saved["data"].get("request") or {}).get("fit", "crop"),
    )


def _about(run: Run, model: BetaVAE, saved: dict, set_name: str) -> str:
    """What the page is, of which run, and how good."""
    psnr = saved.get("scores", {}).get("psnr")
    size, latents = model.config.image_size, model.config.latent_dim
    quality = f" It gives held-out pictures back at {psnr:.1f} dB (PSNR)." if psnr else ""
    return (
        f"A β-VAE turns each picture of {size} × {size} pixels into {latents} numbers, and numbers into pictures. This "
        f"page holds the half that paints, of the run {printable(run.name)} on {printable(set_name)}.{quality} Every "
        "picture is painted here, by your browser; nothing is sent, and it works without a network."
    )
