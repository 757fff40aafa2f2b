"""A chart and its trust table as one file beside the run, so that an explorer opens at once."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from vae_helpers.data import KINDS, Attribute, Attributes
from vae_helpers.errors import InputError
from vae_helpers.files import write_aside
from vae_helpers.latent.axes import Trust
from vae_helpers.latent.chart import Chart
from vae_helpers.latent.chart_features import Features
from vae_helpers.latent.code_reader import VectorReader
from vae_helpers.model import BetaVAE

CHART_FORMAT = "vae_helpers-chart-1"
_OWN = ("mean", "active", "weights", "offset", "covariance", "seen", "embedded", "residues")
_READER = VectorReader._fields


def stamp_of(model: BetaVAE, attributes: Attributes) -> str:
    """Hex digits that change when the weights or the attributes do: a chart made of others is no longer right."""
    state = _hashed(model)
    state.update(json.dumps([list(a) for a in attributes.table]).encode())
    state.update(np.ascontiguousarray(attributes.values).tobytes())
    return state.hexdigest()


def weights_stamp(model: BetaVAE) -> str:
    """Hex digits that change when the weights do: codes of other weights mean nothing to them."""
    return _hashed(model).hexdigest()


def _hashed(model: BetaVAE) -> hashlib.blake2b:
    state = hashlib.blake2b(digest_size=16)
    for name, tensor in model.state_dict().items():
        state.update(name.encode() + np.ascontiguousarray(tensor.detach().float().cpu().numpy()).tobytes())
    return state


def chart_as_dict(chart: Chart) -> dict:
    """Plain types and arrays, from which `chart_from_dict` makes the same chart."""
    about = {
        "table": [a._asdict() for a in chart.table],
        "left_out": chart.left_out,
        "degrees": chart.features.degrees.tolist(),
    }
    arrays = {name: getattr(chart, name) for name in _OWN} | {"pairs": chart.features.pairs}
    return about | arrays | {f"reader_{name}": getattr(chart.reader, name) for name in _READER}


def chart_from_dict(content: dict) -> Chart:
    """The chart of a dictionary that `chart_as_dict` made. ValueError where parts are missing or don't fit together."""
    try:
        table = tuple(Attribute(**{**a, "choices": tuple(a["choices"])}) for a in content["table"])
        features = Features(table, np.array(content["degrees"]), np.asarray(content["pairs"]))
        arrays = {name: np.asarray(content[name]) for name in _OWN}
        reader = VectorReader(*(np.asarray(content[f"reader_{name}"], np.float64) for name in _READER))
        left_out = {str(name): str(why) for name, why in content["left_out"].items()}
        _require_fitting(table, features, arrays, reader)
    except (KeyError, TypeError, AttributeError, IndexError) as problem:
        raise ValueError(f"not a chart: {problem}") from None
    return Chart(
        table,
        left_out,
        arrays["mean"],
        arrays["active"],
        features,
        arrays["weights"],
        arrays["offset"],
        reader,
        arrays["covariance"],
        arrays["seen"],
        arrays["embedded"],
        arrays["residues"],
    )


def _require_fitting(
    table: tuple[Attribute, ...], features: Features, arrays: dict[str, np.ndarray], reader: VectorReader
) -> None:
    if len(features.degrees) != len(table) or any(a.kind not in KINDS for a in table):
        raise ValueError("a chart whose table does not fit")
    width, active = sum(a.width for a in table), len(arrays["active"])
    count, kept = len(reader.places), len(arrays["embedded"])
    shapes = {
        "weights": (features.width, active),
        "offset": (active,),
        "covariance": (width, width),
        "seen": (width,),
        "embedded": (kept, width),
        "residues": (kept, active),
    }
    reader_shapes = ((active,), (), (count, active), (count + active, width), (width,))
    whole = (arrays["active"], features.pairs)
    fits = (
        all(arrays[name].shape == shape for name, shape in shapes.items())
        and table
        and active
        and kept
        and all(part.shape == shape for part, shape in zip(reader, reader_shapes))
        and arrays["mean"].ndim == 1
        and all(part.dtype.kind == "i" and (part >= 0).all() for part in whole)
        and arrays["seen"].dtype == bool
        and features.pairs.ndim == 2
        and features.pairs.shape[1:] == (2,)
        and arrays["active"].max() < len(arrays["mean"])
        and (not features.pairs.size or features.pairs.max() < len(features.owners()[0]))
    )
    numbers = [part for part in (*arrays.values(), *reader) if part.dtype.kind == "f"]
    if not fits or not all(np.isfinite(part).all() for part in numbers):
        raise ValueError("a chart whose parts do not fit together")


def save_chart(path: Path, chart: Chart, stamp: str, trust: list[Trust] | None = None) -> None:
    """Write a chart, what it was made of and its trust table, all or nothing. InputError where the disk won't."""
    parts = chart_as_dict(chart)
    arrays = {name: part for name, part in parts.items() if isinstance(part, np.ndarray)}
    about = {name: part for name, part in parts.items() if name not in arrays}
    about |= {"format": CHART_FORMAT, "stamp": stamp, "trust": None if trust is None else [list(t) for t in trust]}
    file = io.BytesIO()
    np.savez(file, about=np.array(json.dumps(about)), **arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, file.getvalue())
    except OSError as problem:
        full = problem.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1))
        raise InputError(
            f"the chart could not be kept in {path} ({'the disk is full' if full else problem.strerror}): "
            "free some space, or make the folder writable."
        ) from None


def load_chart(path: Path, stamp: str) -> tuple[Chart, list[Trust] | None] | None:
    """The chart and trust table in a file; None where there is none, or it is damaged or made of something else."""
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        about = json.loads(str(content.pop("about")))
        if about["format"] != CHART_FORMAT or about["stamp"] != stamp:
            return None
        trust = None if about["trust"] is None else [Trust(*row) for row in about["trust"]]
        return chart_from_dict(about | content), trust
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, NotImplementedError):
        return None
