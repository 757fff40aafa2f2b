"""Several objectives, several seeds each, on the same pictures: trained, scored, and set side by side."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.model import VAEConfig
from vae_helpers.runs import PREFIX, Run, in_short
from vae_helpers.scores import ScoreOptions, evaluate_run, headline, save_scores
from vae_helpers.settings import TrainConfig
from vae_helpers.train import fit

# A sweep compares disentanglement: the bounds are looked at in passing.
SWEEP_OPTIONS = ScoreOptions(pictures=500, likelihood=8, samples=16, codes=2000, frames=0, networks=False)
WIDTHS = (32, 32, 64, 64)  # the encoder of the disentanglement studies (Locatello 2019, tab. 1), for 64-pixel pictures
SHOWN = {
    "mig": "MIG",
    "dci_disentanglement": "DCI D",
    "dci_completeness": "DCI C",
    "sap": "SAP",
    "factor_vae": "FactorVAE",
    "beta_vae": "β-VAE",
    "modularity": "modularity",
    "total_correlation": "TC, nats",
    "kl": "KL, nats",
    "psnr": "PSNR, dB",
}
# With scale 2 the default term is ½Σ(x-x̂)² on [0, 1] pixels, to which published weights belong (maths: translate_beta).
_PUBLISHED = {"scale": 2.0}
OBJECTIVES: dict[str, dict[str, Any]] = {  # by the names of a table's rows
    "β = 1 (this project's)": {},
    "β-VAE, β = 4": _PUBLISHED | {"beta": 4.0},
    "β-VAE-B, 25 nats": _PUBLISHED | {"objective": "capacity", "knobs": {"gamma": 100.0, "capacity": 25.0}},
    "β-TCVAE, β = 6": _PUBLISHED | {"objective": "tc", "beta": 6.0},
    "β-TCVAE stratified, β = 6": _PUBLISHED | {"objective": "tc-stratified", "beta": 6.0},
    "FactorVAE, γ = 10": _PUBLISHED | {"objective": "factor", "knobs": {"gamma": 10.0}},
    "DIP-VAE-I": _PUBLISHED | {"objective": "dip-1"},
    "DIP-VAE-II": _PUBLISHED | {"objective": "dip-2"},
    "InfoVAE": _PUBLISHED | {"objective": "info"},
    "Ada-GVAE, one factor differs": {"objective": "ada", "knobs": {"k": 1.0}},
    "Ada-GVAE, some factors differ": {"objective": "ada"},
}


def betas(values: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Variants that differ in β alone, for `sweep`."""
    return {f"β = {value:g}": {"beta": float(value)} for value in values}


@dataclass(frozen=True)
class SweepSettings:
    """What all runs of a sweep have in common; `widths` None: `WIDTHS` for 64-pixel pictures, else the model's own."""

    epochs: int
    latent_dim: int = 10
    widths: tuple[int, ...] | None = None
    scores: ScoreOptions = SWEEP_OPTIONS
    out: str = "VAE"
    device: str | None = None

    def model_config(self, image_size: int) -> VAEConfig:
        """The model of every run."""
        widths = self.widths or (WIDTHS if image_size == 64 else None)
        return VAEConfig(image_size, self.latent_dim, widths, decoder_norm="batch")

    def recipe(self, train_pictures: int, changes: Mapping[str, Any], seed: int) -> TrainConfig:
        """The quick recipe with a variant's changes."""
        common = {"epochs": self.epochs, "batch_size": 64, "flip": False, "evaluate_every": self.epochs, "seed": seed}
        common |= {"early_stop": 0, "optimizer": "adam"}  # equal pictures for all, and what the studies took
        return TrainConfig.quick(train_pictures, **common | dict(changes))


def sweep(
    pictures: PictureSet,
    variants: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    settings: SweepSettings,
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Train and score every variant (changes to the quick recipe, by name) with every seed, all on equal pictures.

    Returns a row each: `variant`, `seed`, `run`, `kl` and the numbers of `headline`. Each run and its scores
    are kept under its own name, so a sweep that was stopped goes on, and one that is done is read back.
    Raises InputError for pictures whose factors are not known, and for runs of the same name with other settings.
    """
    if pictures.factors is None:
        raise InputError(
            f"{pictures.name} does not know its factors, so disentanglement cannot be compared on it: take a "
            "built-in set, dSprites or Shapes3D."
        )
    todo = [(name, changes, seed) for name, changes in variants.items() for seed in seeds]
    rows = []
    with tqdm(todo, unit="run", desc="sweep", disable=not progress) as bar:
        for name, changes, seed in bar:
            bar.set_postfix_str(f"{name}, seed {seed}")
            config = settings.recipe(len(pictures.split.train), changes, seed)
            run = Run(f"{PREFIX}{pictures.name}_{_slug(name)}_{seed}", settings.out)
            scores = _scores(pictures, run, config, settings)
            rows.append({"variant": name, "seed": seed, "run": run.name} | scores)
    return rows


def medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """`{variant: {score: median over its seeds}}` of the scores in `SHOWN` that every seed has."""
    variants = dict.fromkeys(row["variant"] for row in rows)
    own = {variant: [row for row in rows if row["variant"] == variant] for variant in variants}
    return {
        variant: {
            score: statistics.median(row[score] for row in its) for score in SHOWN if all(score in row for row in its)
        }
        for variant, its in own.items()
    }


def by_score(rows: Sequence[Mapping[str, Any]], scores: Mapping[str, str] = SHOWN) -> dict[str, dict[str, list[float]]]:
    """`{label: {variant: one value per seed}}` of the named scores, as `show_scores` takes them."""
    found: dict[str, dict[str, list[float]]] = {}
    for score, label in scores.items():
        for row in rows:
            if score in row:
                found.setdefault(label, {}).setdefault(row["variant"], []).append(row[score])
    return found


def rate_distortion(rows: Sequence[Mapping[str, Any]]) -> dict[float, list[tuple[float, float]]]:
    """`{β: [(rate, distortion) of each seed]}` in nats a picture on held-out pictures.

    The distortion is Σ(x-x̂)² of z sampled.
    """
    points: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        points.setdefault(row["beta"], []).append((row["rate"], row["distortion"]))
    return points


def sweep_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Medians over seeds as a Markdown table, with the lowest and the highest seed in brackets."""
    lines = ["| | " + " | ".join(SHOWN.values()) + " |", "|---" * (len(SHOWN) + 1) + "|"]
    for variant, middle in medians(rows).items():
        cells = []
        for score in SHOWN:
            own = [row[score] for row in rows if row["variant"] == variant and score in row]
            form = "{:.1f}" if max(own, default=0) > 1.5 else "{:.3f}"
            cells.append(
                "–"
                if score not in middle
                else form.format(middle[score])
                if len(own) == 1
                else f"{form} ({form} to {form})".format(middle[score], min(own), max(own))
            )
        lines.append(f"| {variant} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _scores(pictures: PictureSet, run: Run, config: TrainConfig, settings: SweepSettings) -> dict[str, float]:
    """The run's numbers: read back if they are there for these very settings, else trained and scored."""
    model_config = settings.model_config(pictures.pictures.shape[1])
    made_of = {
        "config": asdict(config),
        "model": model_config.as_dict(),
        "scores": settings.scores._asdict(),
        "data": in_short(pictures),
    }
    made_of = json.loads(json.dumps(made_of))
    kept = run.plots / "sweep.json"
    found = _read_back(kept, made_of, run)
    if "scores" in found:
        return found["scores"]
    save_scores(found, kept)  # before training: a run that is stopped must not be resumed with other settings
    result = fit(pictures, run, config, model_config, device=settings.device, resume=run.exists(), progress=False)
    if not result.finished:
        raise InputError(f"the sweep was stopped in the run {run.name!r}: start it again to go on from there.")
    scored = evaluate_run(result.model, pictures, asdict(config), settings.scores)
    scores = headline(scored) | {
        "kl": scored["latents"]["kl"],
        "active_units": scored["latents"]["active_units"],
        "beta": config.beta,
        "rate": result.scores.kl,
        "distortion": result.scores.reconstruction,
    }
    save_scores({"made_of": made_of, "scores": scores}, kept)
    return scores


def _read_back(kept: Path, made_of: dict, run: Run) -> dict[str, Any]:
    """What the sweep's file of a run says, or would say before training; InputError for one of other settings."""
    try:
        found = json.loads(kept.read_text("utf-8")) if kept.is_file() else {"made_of": made_of}
        same = found["made_of"] == made_of
    except (ValueError, TypeError, KeyError):
        raise InputError(
            f"{kept} cannot be read as what this sweep wrote: delete it and the run's other folders, or "
            "give another --out."
        ) from None
    if not same:
        raise InputError(
            f"the run {run.name!r} in {run.root} was made with other settings: delete its folders, or give "
            "another --out."
        )
    return found


def _slug(name: str) -> str:
    kept = "".join(
        letter if letter.isascii() and letter.isalnum() else "-"
        for letter in name.replace("β", "beta").replace("γ", "gamma")
    )
    return "-".join(part for part in kept.split("-") if part).lower()
