"""Every score of a run: picture quality, likelihood, latents, disentanglement, what lies between pictures, trust."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from vae_helpers.data import Factor, PictureSet, attributes_of, render
from vae_helpers.errors import InputError
from vae_helpers.latent import Chart, LatentSummary, Trust, decode_codes, encode_pictures, sample_prior, summarise
from vae_helpers.model import BetaVAE, held_out_loss, psnr_of
from vae_helpers.runs import Run
from vae_helpers.scores.bounds import latent_parts, likelihood
from vae_helpers.scores.disentanglement import dci, mig, modularity, sap
from vae_helpers.scores.held_factor import (
    FactorSampler,
    GroupedCodes,
    beta_vae_score,
    factor_vae_score,
    uniform_factors,
)
from vae_helpers.scores.picture_quality import distances, load_inception, lpips_of, ms_ssim_of, ssim_of
from vae_helpers.scores.run_chart import chart_of_run, make_chart
from vae_helpers.scores.traversal_quality import frames_by_kind, traversal_quality
from vae_helpers.settings import PARTS

NOT_ASKED = {"absent": "not asked for."}


class ScoreOptions(NamedTuple):
    """Which pictures are scored, and how many each kind of score takes at most; kept in the file beside the scores."""

    part: str = "validation"
    seed: int = 0
    pictures: int = 10_000  # of the part: reconstructed and encoded
    likelihood: int = 128  # of the part: each is decoded `samples` times
    samples: int = 64  # of the IWAE bound
    codes: int = 10_000  # with known factors; as many again for each of the two scores that hold a factor
    frames: int = 64  # of each kind of path and sample, of a built-in set: 0.3 s each; 0: neither these nor the trust
    networks: bool = True  # also LPIPS, FID and KID, whose networks take longest
    fetch: bool = False  # download the weights of these networks where they are not here yet


QUICK = ScoreOptions(pictures=256, likelihood=16, codes=1_000, frames=8)


@dataclass(frozen=True)
class _Scored:
    """What is scored: the pictures of a part, encoded."""

    model: BetaVAE
    pictures: PictureSet
    rows: np.ndarray  # of the part
    mu: Tensor
    logvar: Tensor
    summary: LatentSummary
    options: ScoreOptions
    progress: bool

    @property
    def originals(self) -> np.ndarray:
        return np.ascontiguousarray(self.pictures.pictures[self.rows])


def evaluate_run(
    model: BetaVAE,
    pictures: PictureSet,
    settings: Mapping[str, Any],
    options: ScoreOptions = ScoreOptions(),
    run: Run | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """All scores of `model` on a part of its set, as nested plain types that `score_table` prints and JSON keeps.

    `settings` is the run's train_config: the likelihood is scored that the run was trained with. The chart is that of
    the `run`; without one it is made for this and not kept. A score that cannot be had is `{"absent": one sentence}`.
    Of a built-in set, disentanglement is measured on pictures drawn anew; of a file on the part, or where it holds
    fewer than `options.codes`, on the whole set. Raises InputError for a part that does not exist or has no 2 pictures.
    """
    scored = _encoded(model, pictures, options, progress)
    trust, traversal = _chart_scores(scored, run)
    return {
        "set": pictures.name,
        "part": options.part,
        "pictures": len(scored.rows),
        "seed": options.seed,
        "options": options._asdict(),
        "picture_quality": _quality(scored),
        "likelihood": _or_absent(lambda: _likelihood(scored, held_out_loss(settings))),
        "latents": _latents(scored),
        "disentanglement": _disentanglement(scored),
        "traversal": traversal,
        "trust": trust,
    }


def _encoded(model: BetaVAE, pictures: PictureSet, options: ScoreOptions, progress: bool) -> _Scored:
    if options.part not in PARTS:
        raise InputError(f"the part {options.part!r} does not exist; choose one of {', '.join(PARTS)}.")
    rows = getattr(pictures.split, options.part)
    if len(rows) < 2:
        raise InputError(
            f"the {options.part} part of {pictures.name} holds {len(rows)} pictures, too few to score: take more "
            "pictures, or the other part."
        )
    rows = rows[_some(len(rows), options.pictures, options.seed)]
    mu, logvar = encode_pictures(model, pictures.pictures[rows])
    return _Scored(model, pictures, rows, mu, logvar, summarise(mu, logvar), options, progress)


def _some(count: int, most: int, seed: int) -> np.ndarray:
    """Up to `most` of `count` rows, chosen by `seed`, in order."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def _quality(scored: _Scored) -> dict[str, Any]:
    """Reconstructions against originals; FID and KID also of samples from the prior, as many."""
    model, options, originals = scored.model, scored.options, scored.originals
    decoded = decode_codes(model, scored.mu)
    found = {
        name: _or_absent(lambda score=score: float(score(decoded, originals).mean()))
        for name, score in (("psnr", psnr_of), ("ssim", ssim_of), ("ms_ssim", ms_ssim_of))
    }
    if not options.networks:
        return found | dict.fromkeys(("lpips", "reconstructions", "samples"), NOT_ASKED)
    found["lpips"] = _or_absent(lambda: float(lpips_of(decoded, originals, fetch=options.fetch).mean()))
    try:
        extractor = load_inception(next(model.parameters()).device, options.fetch)
    except InputError as problem:
        return found | dict.fromkeys(("reconstructions", "samples"), {"absent": str(problem)})
    sampled = sample_prior(model, len(originals), options.seed)
    return found | {
        name: _or_absent(lambda some=some: distances(some, originals, extractor, options.seed, scored.progress))
        for name, some in (("reconstructions", decoded), ("samples", sampled))
    }


def _likelihood(scored: _Scored, loss: Mapping[str, Any]) -> NamedTuple:
    options = scored.options
    few = _some(len(scored.rows), options.likelihood, options.seed)
    name, scale = loss["likelihood"], loss["scale"]
    return likelihood(scored.model, scored.originals, few, name, scale, options.samples, options.seed, scored.progress)


def _latents(scored: _Scored) -> dict[str, Any]:
    mu, summary = scored.mu, scored.summary
    return {
        "kl": float(summary.kl.sum()),
        "active_units": len(summary.active),
        "latents": mu.shape[1],
        "parts": _or_absent(lambda: latent_parts(mu, scored.logvar, scored.options.seed, progress=scored.progress)),
        "kl_per_latent": summary.kl.tolist(),
    }


def _disentanglement(scored: _Scored) -> dict[str, Any]:
    """The six scores, on means of the active latents by KL: one that carries nothing would be judged by its noise."""
    active = scored.summary.active
    if scored.pictures.factors is None:
        return {
            "absent": f"{scored.pictures.name} does not know its factors, so disentanglement has no score: train on a "
            "built-in set, dSprites or Shapes3D for one."
        }
    if len(active) < 2:
        return {
            "absent": f"{len(active)} of the latents are active, so there is nothing to disentangle: train longer, "
            "or with a smaller beta."
        }
    known, most, seed = _factor_codes(scored), scored.options.codes, scored.options.seed
    codes, factors, table = known.codes, known.factors, known.table
    batch = max(4, min(24, most // (30 * len(table))))
    votes = max(4 * len(table), most * 2 // (3 * batch))

    def source() -> FactorSampler | GroupedCodes:
        return known.sampler or GroupedCodes(codes, factors, table)

    scores = {
        "mig": lambda: mig(codes, factors, table),
        "modularity": lambda: modularity(codes, factors, table),
        "sap": lambda: sap(codes, factors, table),
        "dci": lambda: dci(codes, factors, table, progress=scored.progress),
        "factor_vae": lambda: factor_vae_score(source(), codes.std(axis=0), votes, batch, seed),
        "beta_vae": lambda: beta_vae_score(source(), votes, max(2, batch // 2), seed),
    }
    found = {name: _or_absent(score) for name, score in scores.items()}
    return {"pictures": known.origin, "active_latents": active.tolist()} | found


class _FactorCodes(NamedTuple):
    codes: np.ndarray  # (n, active latents)
    factors: np.ndarray  # (n, F), of which none is constant
    table: tuple[Factor, ...]
    sampler: FactorSampler | None  # of a built-in set
    origin: str  # which pictures these are


def _factor_codes(scored: _Scored) -> _FactorCodes:
    """Codes of pictures with known factors: drawn for this, or those that the file has."""
    model, pictures, most = scored.model, scored.pictures, scored.options.codes
    table, active, rng = pictures.factor_table, scored.summary.active, np.random.default_rng(scored.options.seed)
    if pictures.source == "built-in":

        def encode(factors: np.ndarray) -> np.ndarray:
            return encode_pictures(model, render(factors, model.config.image_size, pictures.name))[0].numpy()[:, active]

        sampler = FactorSampler(table, encode, scored.progress)
        factors = uniform_factors(table, most, rng)
        return _FactorCodes(sampler.encode(factors), factors, table, sampler, "pictures drawn for this")
    rows, origin = scored.rows, "this part"
    if len(rows) < most:
        rows = np.sort(rng.permutation(len(pictures))[:most])
        origin = "the whole set, training part included"
    factors = pictures.factors[rows]
    varies = np.ptp(factors, axis=0) > 0
    table = tuple(factor for factor, kept in zip(table, varies) if kept)
    codes = encode_pictures(model, pictures.pictures[rows])[0].numpy()[:, active]
    return _FactorCodes(codes, factors[:, varies], table, None, origin)


def _chart_scores(scored: _Scored, run: Run | None) -> tuple[Any, Any]:
    """The trust table, a dict per attribute, and drawability by kind of path and sample; either may be absent."""
    if not scored.options.frames:
        return NOT_ASKED, NOT_ASKED
    chart = None
    try:
        chart, table = _chart(scored, run)
        trust = [_plain(each) | {"value": each.value} for each in table]
    except InputError as problem:
        trust = {"absent": str(problem)}
    return trust, _or_absent(lambda: _traversal(scored, chart))


def _traversal(scored: _Scored, chart: Chart | None) -> dict[str, Any]:
    pictures, options = scored.pictures, scored.options
    if pictures.source != "built-in":
        raise InputError(
            f"how {pictures.name} is drawn is not known, so nothing can be said of drawability: take a built-in set "
            "for it."
        )
    codes = scored.mu, scored.logvar
    frames = frames_by_kind(scored.model, pictures, codes, chart, options.frames, options.seed)
    return traversal_quality(frames, pictures.name, scored.progress)


def _chart(scored: _Scored, run: Run | None) -> tuple[Chart, list[Trust]]:
    model, pictures, progress = scored.model, scored.pictures, scored.progress
    if run is None:
        return make_chart(model, pictures, attributes_of(pictures), progress)
    return chart_of_run(run, model, pictures, progress=progress)


def _or_absent(score: Callable[[], Any]) -> Any:
    """The score as plain types, or why there is none."""
    try:
        return _plain(score())
    except InputError as problem:
        return {"absent": str(problem)}


def _plain(value: Any) -> Any:
    """Named tuples, arrays and NaN as JSON has them."""
    if hasattr(value, "_asdict"):
        said = {name: getattr(value, name) for name in ("saturated", "remark") if hasattr(value, name)}
        return {name: _plain(part) for name, part in (value._asdict() | said).items()}
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
