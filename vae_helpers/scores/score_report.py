"""The scores of `evaluate_run` for a person, a file and TensorBoard; for those that could not be had the reason."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vae_helpers.errors import InputError
from vae_helpers.files import as_utf8, say, writing
from vae_helpers.latent import Trust
from vae_helpers.model import BetaVAE
from vae_helpers.runs import Logbook, Run, load_latest, read_scalars
from vae_helpers.scores.trust import trust_lines

Rows = list[tuple[str, str]]  # label and text of each line


def score_table(result: Mapping[str, Any]) -> str:
    """What `evaluate_run` found, as lines of text."""
    sections = {
        "Picture quality, reconstructions from μ": _quality(result["picture_quality"]),
        "Likelihood, nats a picture": _likelihood(result["likelihood"]),
        "Latents, nats a picture": _latents(result["latents"]),
        "Disentanglement": _disentanglement(result["disentanglement"]),
        "Drawability: PSNR to the best picture that the set's renderer can draw": _traversal(result["traversal"]),
    }
    lines = [f"{result['set']}, {result['part']} part, {result['pictures']:,} pictures"]
    for title, rows in sections.items():
        lines += ["", title] + [f"  {label:<22} {text}" for label, text in rows]
    lines += ["", "Sliders of the chart: how far each can be trusted, on held-out pictures"]
    return "\n".join(lines + [f"  {line}" for line in _trust(result["trust"])])


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


def _quality(found: Mapping[str, Any]) -> Rows:
    forms = {"psnr": ("PSNR", "{:.2f} dB"), "ssim": ("SSIM", "{:.3f}"), "ms_ssim": ("MS-SSIM", "{:.3f}")}
    forms["lpips"] = ("LPIPS", "{:.3f}")
    rows = [(label, _score_or_reason(found[name], form.format)) for name, (label, form) in forms.items()]
    return rows + [
        (f"FID, KID {label}", _score_or_reason(found[name], _distances))
        for name, label in (("reconstructions", "reconstructed"), ("samples", "of samples"))
    ]


def _distances(found: Mapping[str, Any]) -> str:
    return f"{found['fid']:.1f}, {found['kid']:.4f} ± {found['kid_spread']:.4f}   {found['remark']}"


def _likelihood(found: Mapping[str, Any]) -> Rows:
    if "absent" in found:
        return [("ELBO, IWAE", _score_or_reason(found, str))]
    scale = "" if found["scale"] is None else f" of scale {found['scale']:.3g}"
    return [
        ("ELBO", f"{_with_error(found, 'elbo')}   {found['likelihood']}{scale}, n = {found['pictures']:,}"),
        ("IWAE bound", f"{_with_error(found, 'iwae')}   {found['samples']:,} samples a picture"),
        ("distortion + rate", f"{found['distortion']:,.1f} + {found['rate']:,.1f}"),
        ("bits per dimension", f"{found['bits_per_dimension']:.3f}   of 8-bit values, no noise added to them"),
    ]


def _with_error(found: Mapping[str, Any], name: str) -> str:
    error = found[f"{name}_error"]
    return f"{found[name]:,.1f}" + ("" if error is None else f" ± {error:,.1f}")


def _latents(found: Mapping[str, Any]) -> Rows:
    parts = found["parts"]
    rows = [("KL", f"{found['kl']:,.2f}"), ("active", f"{found['active_units']} of {found['latents']}")]
    if "absent" in parts:
        return rows + [("parts of the KL", _score_or_reason(parts, str))]
    least, most = (", at least", ", at most") if parts["saturated"] else ("", "")
    return rows + [
        (
            "mutual information",
            f"{parts['mutual_information']:.2f}{least}   {parts['pictures']:,} pictures can show "
            f"{math.log(parts['pictures']):.2f}",
        ),
        ("total correlation", f"{parts['total_correlation']:.2f}{most}"),
        ("dimension-wise KL", f"{parts['dimension_wise_kl']:.2f}"),
    ]


def _disentanglement(found: Mapping[str, Any]) -> Rows:
    if "absent" in found:
        return [("all scores", _score_or_reason(found, str))]
    labels = {
        "mig": "MIG",
        "modularity": "modularity",
        "sap": "SAP",
        "factor_vae": "FactorVAE score",
        "beta_vae": "β-VAE score",
    }
    rows = [(label, _with_basis(found[name], "score")) for name, label in labels.items()]
    rows += [
        (f"DCI {name}", _with_basis(found["dci"], name))
        for name in ("disentanglement", "completeness", "informativeness")
    ]
    return rows + [("measured on", found["pictures"])]


def _with_basis(score: Mapping[str, Any], name: str) -> str:
    """A number and what it was measured on: n, codes, latents, factors, and bins or batches where there are any."""
    if "absent" in score:
        return _score_or_reason(score, str)
    basis = score["basis"]
    more = [f"{basis['bins']} bins"] if basis["bins"] else []
    more += [f"batches of {score['batch']}"] if "batch" in score else []
    parts = [
        f"n = {basis['n']:,}",
        f"{basis['code']} codes",
        f"{basis['latents']} latents",
        f"{len(basis['factors'])} factors",
    ]
    return f"{score[name]:.3f}   {', '.join(parts + more)}"


def _traversal(found: Mapping[str, Any]) -> Rows:
    if "absent" in found:
        return [("all kinds", _score_or_reason(found, str))]
    return [
        (
            kind,
            f"{each['median']:.1f} dB   {100 * each['share']:.0f} % within 3 dB of reconstructions, "
            f"n = {each['frames']}",
        )
        for kind, each in found.items()
    ]


def _trust(found: Any) -> list[str]:
    if "absent" in found:
        return [_score_or_reason(found, str)]
    fields = [{name: each[name] for name in Trust._fields} for each in found]
    return trust_lines([Trust(**{n: math.nan if v is None else v for n, v in each.items()}) for each in fields])


def _score_or_reason(score: Any, form: Callable[[Any], str]) -> str:
    """A score as `form` has it, or why it is absent."""
    return f"-  {score['absent']}" if isinstance(score, Mapping) and "absent" in score else form(score)
