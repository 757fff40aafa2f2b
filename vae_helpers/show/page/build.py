"""The page: everything that it holds, and its HTML."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from torch import Tensor

from vae_helpers.data import Attribute
from vae_helpers.errors import InputError
from vae_helpers.files import as_utf8, writing
from vae_helpers.latent import Chart, LatentSummary, Trust
from vae_helpers.model import BetaVAE
from vae_helpers.show.page.packing import Packed, Writer, pack_decoder, pack_encoder

_SCRIPTS = (
    "wasm_module.js",
    "decoder.js",
    "numbers.js",
    "paths.js",
    "chart.js",
    "encoder.js",
    "screen.js",
    "walk.js",
    "page.js",
)
FRAMES = 25  # of a walk, as in screen.js
_PIECE = 65_536  # letters of base64 in a script element: WebKit takes seconds over a single large one
_LATENTS, _SAMPLES, _KNOWN = 24, 256, 384  # sliders; training rows that samples are made of; codes of the meter
_DIGITS = 6


class PageContent(NamedTuple):
    """What a page shows: `pictures` uint8 (n, S, S, 3) with `names` (n,) and `codes` (n, latent_dim).

    `known` are training codes (M, latent_dim). Without a chart there are no attributes.
    """

    model: BetaVAE
    pictures: np.ndarray
    names: Sequence[str]
    codes: Tensor
    known: Tensor
    summary: LatentSummary
    chart: Chart | None = None
    trust: Sequence[Trust] = ()
    title: str = "Latent space"
    about: str = ""
    pair: tuple[int, int] = (0, 1)  # shown first
    geodesics: Sequence[tuple[int, int, Tensor]] = ()  # of some pairs of `pictures`: codes (FRAMES, latent_dim)
    fit: str = "crop"  # how the set's pictures became squares, for photos of one's own: "crop" or "pad"


def page_html(content: PageContent, small: bool = False, photos: bool = True, encoder: bool = False) -> str:
    """One HTML page that needs no kernel, no server and no network, and forbids itself to ask for any.

    `small` stores the first matrix in 8 bits, and leaves out the latents that never move, which stay at their mean;
    without `photos` thumbnails are drawn from the codes, so that no picture of the set is in the file; with the
    `encoder` readers can walk from a photo of their own. Raises InputError for weights or codes that are not finite, or
    no picture.
    """
    if not len(content.pictures) or not bool(content.codes.isfinite().all() and content.known.isfinite().all()):
        raise InputError("a page needs at least one picture, and codes that are finite numbers: train the model again.")
    packed, own, numbers = _packed(content, small), pack_encoder(content.model) if encoder else None, _Numbers()
    data = {
        "decoder": packed.spec,
        "encoder": None if own is None else own.spec | {"fit": content.fit},
        "pictures": _pictures(content, photos),
        "pair": [min(index, len(content.pictures) - 1) for index in content.pair],
    } | _codes_part(content, numbers)
    weights = {"decoder": packed.content, "numbers": numbers.content, "encoder": b"" if own is None else own.content}
    script, style = page_script(), _source("page.css")
    values = {
        "POLICY": _policy(script, style),
        "TITLE": html.escape(content.title),
        "ABOUT": html.escape(content.about),
        "STYLE": style,
        "DATA": json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "WEIGHTS": "\n".join(_pieces(found, kind) for kind, found in weights.items()),
        "SCRIPT": script,
    }
    parts = _source("page.html").split("§")  # one pass: a name that looks like a place to fill in stays as it is
    parts[1::2] = [values[name] for name in parts[1::2]]
    return "".join(parts)


def _packed(content: PageContent, small: bool) -> Packed:
    latents = np.arange(content.model.config.latent_dim)
    idle, mean = np.setdiff1d(latents, content.summary.active), content.known.mean(dim=0)
    if not small:
        return pack_decoder(content.model, idle)
    return pack_decoder(content.model, latents, {int(latent): float(mean[latent]) for latent in idle})


def _codes_part(content: PageContent, numbers: _Numbers) -> dict:
    """What is known of the codes."""
    active = content.summary.active
    return {
        "mean": _plain(content.known.mean(dim=0)),
        "active": active.tolist(),
        "latents": _latents(content.summary),
        "meter": _meter(content, active, numbers),
        "chart": None if content.chart is None else _chart_part(content.chart, content.trust, numbers),
        "geodesics": [{"a": a, "b": b, "codes": numbers.place(codes, "f32")} for a, b, codes in content.geodesics],
    }


def page_script() -> str:
    """All JavaScript of the page: its files one after the other, in one function."""
    return '(() => {\n"use strict";\n' + "\n".join(map(_source, _SCRIPTS)) + "\n})();"


def _source(name: str) -> str:
    return files("vae_helpers.show.page").joinpath(name).read_text("utf-8")


def save_page(page: str, path: Path) -> Path:
    """Write a page's HTML, all or nothing, and return where."""
    with writing(path) as file:
        file.write(as_utf8(page))
    return path


class _Numbers(Writer):
    """Arrays that stand in the data as where they lie, and come back as nested lists (numbers.js)."""

    def place(self, values: np.ndarray | Tensor, kind: str) -> dict:
        array = np.asarray(values, np.float64)
        return {"numbers": list(array.shape)} | self.add("the chart", array, kind)


def _chart_part(chart: Chart, trust: Sequence[Trust], numbers: _Numbers) -> dict:
    """What the page's JavaScript needs of a chart."""
    trusts = {each.name: each for each in trust}
    rows = np.unique(np.linspace(0, len(chart.embedded) - 1, _SAMPLES).astype(int))
    reader = chart.reader
    return {
        "table": [_attribute(chart, attribute, trusts.get(attribute.name)) for attribute in chart.table],
        "degrees": chart.features.degrees.tolist(),
        "pairs": chart.features.pairs.tolist(),
        "active": chart.active.tolist(),
        "mean": _plain(chart.mean),
        "weights": numbers.place(chart.weights, "f32"),
        "offset": _plain(chart.offset),
        "covariance": _plain(chart.covariance),
        "reader": {
            "centre": _plain(reader.centre),
            "scale": float(reader.scale),
            "places": numbers.place(reader.places, "f16"),
            "weights": numbers.place(reader.weights, "f32"),
            "offset": _plain(reader.offset),
            "gamma": reader.gamma,
        },
        "samples": {
            "embedded": numbers.place(chart.embedded[rows], "f32"),
            "residues": numbers.place(chart.residues[rows], "f16"),
        },
    }


def _attribute(chart: Chart, attribute: Attribute, trust: Trust | None) -> dict:
    return {
        "name": attribute.name,
        "unit": attribute.unit,
        "kind": attribute.kind,
        "low": float(attribute.low),
        "high": float(attribute.high),
        "choices": list(attribute.choices),
        "width": attribute.width,
        "seen": chart.choices(attribute.name),
        "trust": 0.0 if trust is None else float(trust.value),
        "trusted": trust is not None and bool(trust.trusted),
    }


def _plain(values: np.ndarray | Tensor) -> list:
    """Nested lists with six significant digits."""
    array = np.asarray(values, np.float64)
    return np.vectorize(lambda x: float(f"{x:.{_DIGITS}g}"), otypes=[float])(array).tolist() if array.size else []


def _pictures(content: PageContent, photos: bool) -> list[dict]:
    return [
        {"name": str(name), "code": _plain(code)} | ({"thumb": _thumb(picture)} if photos else {})
        for name, picture, code in zip(content.names, content.pictures, content.codes)
    ]


def _thumb(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    image.thumbnail((96, 96), Image.Resampling.LANCZOS)
    image.save(buffer, "webp", quality=80, method=4)
    return base64.b64encode(buffer.getvalue()).decode()


def _latents(summary: LatentSummary) -> list[dict]:
    return [
        {
            "name": f"latent {latent}",
            "latent": int(latent),
            "kl": float(summary.kl[latent]),
            "mean": float(summary.mean[latent]),
            "spread": float(summary.spread[latent]),
        }
        for latent in summary.active[:_LATENTS]
    ]


def _meter(content: PageContent, active: np.ndarray, numbers: _Numbers) -> dict:
    """Some training codes, and how far from them the pictures that are shown lie, as a unit."""
    rows = np.unique(np.linspace(0, len(content.known) - 1, _KNOWN).astype(int))
    known, own = (np.asarray(codes, np.float64)[:, active] for codes in (content.known[rows], content.codes))
    nearest = np.sqrt(np.square(own[:, None] - known).sum(axis=2)).min(axis=1)
    return {"known": numbers.place(known, "f16"), "unit": float(np.median(nearest)) or 1.0}


def _pieces(content: bytes, kind: str) -> str:
    text = base64.b64encode(content).decode()
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    return "\n".join(f'<script type="text/plain" class="weights {kind}">{piece}</script>' for piece in pieces)


def _policy(script: str, style: str) -> str:
    """Only this script and this style, WebAssembly, and pictures that the page holds or makes."""

    def hashed(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {hashed(script)} 'wasm-unsafe-eval'; style-src {hashed(style)}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
