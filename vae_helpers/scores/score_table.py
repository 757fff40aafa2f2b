"""The scores of `evaluation` for a person: one line each, and for those that could not be had the reason."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any


def score_table(result: Mapping[str, Any]) -> str:
    """What `evaluate_run` found, as lines of text."""
    sections = {
        "Picture quality, reconstructions from μ": _quality(result["picture_quality"]),
        "Likelihood, nats a picture": _likelihood(result["likelihood"]),
        "Latents, nats a picture": _latents(result["latents"]),
        "Disentanglement": _disentanglement(result["disentanglement"]),
    }
    lines = [f"{result['set']}, {result['part']} part, {result['pictures']:,} pictures"]
    for title, rows in sections.items():
        lines += ["", title] + [f"  {label:<22} {text}" for label, text in rows]
    return "\n".join(lines)


def _quality(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = [
        (label, _said(found[name], lambda value: f"{value:.{digits}f}{unit}"))
        for name, label, digits, unit in (
            ("psnr", "PSNR", 2, " dB"),
            ("ssim", "SSIM", 3, ""),
            ("ms_ssim", "MS-SSIM", 3, ""),
            ("lpips", "LPIPS", 3, ""),
        )
    ]
    return rows + [
        (f"FID, KID {label}", _said(found[name], _distances))
        for name, label in (("reconstructions", "reconstructed"), ("samples", "of samples"))
    ]


def _distances(found: Mapping[str, Any]) -> str:
    return f"{found['fid']:.1f}, {found['kid']:.4f} ± {found['kid_spread']:.4f}   {found['remark']}"


def _likelihood(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "absent" in found:
        return [("ELBO, IWAE", _said(found, str))]
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


def _latents(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = found["parts"]
    rows = [("KL", f"{found['kl']:,.2f}"), ("active", f"{found['active_units']} of {found['latents']}")]
    if "absent" in parts:
        return rows + [("parts of the KL", _said(parts, str))]
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


def _disentanglement(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    if "absent" in found:
        return [("all scores", _said(found, str))]
    rows = [
        (label, _said(found[name], lambda score: f"{score['score']:.3f}   {_basis(score)}"))
        for name, label in (
            ("mig", "MIG"),
            ("modularity", "modularity"),
            ("sap", "SAP"),
            ("factor_vae", "FactorVAE score"),
            ("beta_vae", "β-VAE score"),
        )
    ]
    rows += [
        (f"DCI {name}", _said(found["dci"], lambda score: f"{score[name]:.3f}   {_basis(score)}"))
        for name in ("disentanglement", "completeness", "informativeness")
    ]
    return rows + [("measured on", found["pictures"])]


def _basis(score: Mapping[str, Any]) -> str:
    """What a number was measured on: n, codes, latents, factors, and bins or batches where there are any."""
    basis = score["basis"]
    more = [f"{basis['bins']} bins"] if basis["bins"] else []
    more += [f"batches of {score['batch']}"] if "batch" in score else []
    return ", ".join(
        [
            f"n = {basis['n']:,}",
            f"{basis['code']} codes",
            f"{basis['latents']} latents",
            f"{len(basis['factors'])} factors",
            *more,
        ]
    )


def _said(score: Any, form: Callable[[Any], str]) -> str:
    """A score as `form` has it, or why it is absent."""
    return f"-  {score['absent']}" if isinstance(score, Mapping) and "absent" in score else form(score)
