"""Every score of a run as one table and one file: picture quality, likelihood, latents, disentanglement."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vae_helpers.data import PictureSet, render
from vae_helpers.errors import InputError
from vae_helpers.files import as_utf8, say, writing
from vae_helpers.latent import decode_codes, encode_pictures, sample_prior, summarise
from vae_helpers.model import BetaVAE, held_out_loss, psnr_of
from vae_helpers.runs import Logbook, Run, load_latest, read_scalars
from vae_helpers.scores.bounds import latent_parts, likelihood
from vae_helpers.scores.disentanglement import dci, mig, modularity, sap
from vae_helpers.scores.held_factor import Drawn, Grouped, beta_vae_score, factor_vae_score, uniform_factors
from vae_helpers.scores.held_out import ssim_of
from vae_helpers.scores.picture_quality import distances, load_inception, lpips_of, ms_ssim_of
from vae_helpers.settings import PARTS


class Effort(NamedTuple):
    """How many pictures each kind of score takes, at most; goes into the file beside the scores."""

    pictures: int = 10_000  # of the part: reconstructed and encoded
    likelihood: int = 128  # of the part: each is decoded `samples` times
    codes: int = 10_000  # with known factors; as many again for each of the two scores that hold a factor
    networks: bool = True  # also LPIPS, FID and KID, whose networks take longest


QUICK = Effort(256, 16, 1_000)


def evaluate_run(
    model: BetaVAE,
    pictures: PictureSet,
    settings: Mapping[str, Any],
    part: str = "validation",
    samples: int = 64,
    effort: Effort = Effort(),
    seed: int = 0,
    progress: bool = False,
    fetch: bool = False,
) -> dict[str, Any]:
    """All scores of `model` on a part of its set, as nested plain types that `score_table` prints and JSON keeps.

    `settings` is the run's train_config: the likelihood is scored that the run was trained with. A score that cannot be
    had is `{"absent": one sentence}`. Of a built-in set, disentanglement is measured on pictures drawn anew; of a file
    on the part, or where it holds fewer than `effort.codes`, on the whole set. `fetch` lets networks be downloaded that
    are not here yet.
    """
    if part not in PARTS:
        raise InputError(f"the part {part!r} does not exist; choose one of {', '.join(PARTS)}.")
    rows = getattr(pictures.split, part)
    if len(rows) < 2:
        raise InputError(
            f"the {part} part of {pictures.name} holds {len(rows)} pictures, too few to score: take more "
            "pictures, or the other part."
        )
    rows = rows[np.sort(np.random.default_rng(seed).permutation(len(rows))[: effort.pictures])]
    originals = np.ascontiguousarray(pictures.pictures[rows])
    mu, logvar = encode_pictures(model, originals)
    summary = summarise(mu, logvar)
    loss = held_out_loss(settings)
    few = np.sort(np.random.default_rng(seed).permutation(len(rows))[: effort.likelihood])
    return {
        "set": pictures.name,
        "part": part,
        "pictures": len(rows),
        "seed": seed,
        "effort": effort._asdict(),
        "picture_quality": _quality(model, originals, decode_codes(model, mu), seed, progress, effort.networks, fetch),
        "likelihood": _scored(
            lambda: likelihood(model, originals, few, loss["likelihood"], loss["scale"], samples, seed, progress)
        ),
        "latents": {
            "kl": float(summary.kl.sum()),
            "active_units": len(summary.active),
            "latents": mu.shape[1],
            "parts": _scored(lambda: latent_parts(mu, logvar, seed, progress=progress)),
            "kl_per_latent": summary.kl.tolist(),
        },
        "disentanglement": _disentanglement(model, pictures, rows, summary.active, effort, seed, progress),
    }


def headline(result: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that runs are compared by, `{"mig": 0.31, …}`, of those that could be had."""
    quality, bounds, latents, factors = (
        result[key] for key in ("picture_quality", "likelihood", "latents", "disentanglement")
    )
    found = {name: quality[name] for name in ("psnr", "ssim", "ms_ssim", "lpips")}
    found |= {name: quality["reconstructions"].get(name) for name in ("fid", "kid")}
    found |= {name: bounds.get(name) for name in ("elbo", "iwae", "bits_per_dimension")}
    found |= {name: latents["parts"].get(name) for name in ("mutual_information", "total_correlation")}
    found |= {
        name: factors.get(name, {}).get("score") for name in ("mig", "modularity", "sap", "factor_vae", "beta_vae")
    }
    found |= {
        f"dci_{name}": factors.get("dci", {}).get(name)
        for name in ("disentanglement", "completeness", "informativeness")
    }
    return {name: value for name, value in found.items() if isinstance(value, (int, float))}


def save_scores(result: Mapping[str, Any], path: Path) -> Path:
    """Write the scores as JSON, all or nothing."""
    with writing(path) as file:
        file.write(as_utf8(json.dumps(result, indent=1, allow_nan=False) + "\n"))
    return path


def log_scores(run: Run, result: Mapping[str, Any], settings: Mapping[str, Any], model: BetaVAE) -> bool:
    """Enter the scores in TensorBoard's HPARAMS page, at the last epoch of the run's log; whether that was possible.

    Scores on the test part are curves `test/…` beside it: the page compares runs on what chose them. A run without a
    log gets none, nor does one that may still be training: TensorBoard follows the newest file of a folder, and would
    miss what the older one gets from then on.
    """
    try:
        log = read_scalars(run.tensorboard)
        finished = load_latest(run)[1].get("finished")
    except InputError:
        return False
    if not finished:
        say(f"The run {run.name!r} has not reached its end, so its scores stay out of TensorBoard's HPARAMS page.")
        return False
    last = int(max((steps[-1] for steps, _ in log.values()), default=0))
    with Logbook(run.tensorboard) as book:
        if result["part"] != "validation":
            book.scalars(last, {f"{result['part']}/{name}": value for name, value in headline(result).items()})
            return True
        book.hyper_parameters(last, dict(settings) | model.config.as_dict(), headline(result))
    return True


def _quality(
    model: BetaVAE, originals: np.ndarray, drawn: np.ndarray, seed: int, progress: bool, networks: bool, fetch: bool
) -> dict[str, Any]:
    """Reconstructions against originals; FID and KID also of samples from the prior, as many."""
    found = {
        name: _scored(lambda score=score: float(score(drawn, originals).mean()))
        for name, score in (("psnr", psnr_of), ("ssim", ssim_of), ("ms_ssim", ms_ssim_of))
    }
    if not networks:
        absent = {"absent": "not asked for."}
        return found | dict.fromkeys(("lpips", "reconstructions", "samples"), absent)
    found["lpips"] = _scored(lambda: float(lpips_of(drawn, originals, fetch=fetch).mean()))
    try:
        extractor = load_inception(next(model.parameters()).device, fetch)
    except InputError as problem:
        absent = {"absent": str(problem)}
        return found | {"reconstructions": absent, "samples": absent}
    sampled = sample_prior(model, len(originals), seed)
    return found | {
        name: _scored(lambda some=some: distances(some, originals, extractor, seed, progress))
        for name, some in (("reconstructions", drawn), ("samples", sampled))
    }


def _disentanglement(
    model: BetaVAE,
    pictures: PictureSet,
    rows: np.ndarray,
    active: np.ndarray,
    effort: Effort,
    seed: int,
    progress: bool,
) -> dict[str, Any]:
    """The six scores, on means of the active latents by KL: one that carries nothing would be judged by its noise."""
    if pictures.factors is None:
        return {
            "absent": f"{pictures.name} does not know its factors, so disentanglement has no score: train on a "
            "built-in set, dSprites or Shapes3D for one."
        }
    if len(active) < 2:
        return {
            "absent": f"{len(active)} of the latents are active, so there is nothing to disentangle: train longer, "
            "or with a smaller beta."
        }
    table, rng = pictures.factor_table, np.random.default_rng(seed)
    if pictures.source == "built-in":

        def sampler(factors: np.ndarray) -> np.ndarray:
            return encode_pictures(model, render(factors, model.config.image_size, pictures.name))[0].numpy()[:, active]

        where, source = "pictures drawn for this", Drawn(table, sampler, progress)
        factors = uniform_factors(table, effort.codes, rng)
        codes = source.encode(factors)
    else:
        where, source = "this part", None
        if len(rows) < effort.codes:
            rows = np.sort(rng.permutation(len(pictures))[: effort.codes])
            where = "the whole set, training part included"
        factors = pictures.factors[rows]
        varies = np.ptp(factors, axis=0) > 0
        factors, table = factors[:, varies], tuple(factor for factor, kept in zip(table, varies) if kept)
        codes = encode_pictures(model, pictures.pictures[rows])[0].numpy()[:, active]
    batch = max(4, min(24, effort.codes // (30 * len(table))))
    votes = max(4 * len(table), effort.codes * 2 // (3 * batch))
    scores = {
        "mig": lambda: mig(codes, factors, table),
        "modularity": lambda: modularity(codes, factors, table),
        "sap": lambda: sap(codes, factors, table),
        "dci": lambda: dci(codes, factors, table, progress=progress),
        "factor_vae": lambda: factor_vae_score(
            source or Grouped(codes, factors, table), codes.std(axis=0), votes, batch, seed
        ),
        "beta_vae": lambda: beta_vae_score(source or Grouped(codes, factors, table), votes, max(2, batch // 2), seed),
    }
    found = {name: _scored(score) for name, score in scores.items()}
    return {"pictures": where, "active_latents": active.tolist()} | found


def _scored(score: Callable[[], Any]) -> Any:
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
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
