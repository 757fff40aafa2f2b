"""Decoded paths: between two codes, through several, over a grid; in even steps of time, or of picture.

A path is decoded in the constant chunks of `codes.decode_codes`, so its stops equal their reconstructions bit for bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vae_helpers.errors import InputError
from vae_helpers.latent.codes import decode_codes, encode_pictures, frozen_decoder, watched_decoder
from vae_helpers.latent.curves import lerp
from vae_helpers.latent.path_kinds import KINDS, Curve, PathContext, candidate_curves, require_kind
from vae_helpers.latent.soundness import SOUND, Soundness
from vae_helpers.model import BetaVAE, Decoder

_EVEN = 1.08  # largest step over mean step at which re-timing stops: within the promised 1.1, with some to spare
_ROUNDS = 12
_REFUSALS, _OF_ONE = 16, 8  # middles that are not sound, per pair wanted and per picture, until the search ends


class Path(NamedTuple):
    """A path between two pictures: codes (steps, latent_dim) and their decoded frames, uint8 (steps, H, W, 3)."""

    codes: Tensor
    frames: np.ndarray


def picture_change(frames: np.ndarray) -> np.ndarray:
    """How much the picture changes at each step: uint8 frames (n, H, W, 3) => float (n - 1,).

    The root of the mean squared difference over pixels and channels, in grey levels of 0 to 255.
    """
    frames = np.asarray(frames).astype(np.float32)
    return np.sqrt(np.square(np.diff(frames, axis=0)).mean(axis=(1, 2, 3), dtype=np.float64))


def picture_length(frames: np.ndarray) -> float:
    """The length of a path in pictures: the sum of its changes, in grey levels."""
    return float(picture_change(frames).sum())


def walk(
    model: BetaVAE,
    a: Tensor,
    b: Tensor,
    steps: int = 12,
    kind: str = "lerp",
    context: PathContext | None = None,
    even: bool = False,
) -> Path:
    """The path from code a to code b, (latent_dim,) each, in `steps` frames, ends included.

    `kind` is one of the `context`'s kinds: "lerp", the straight line; "slerp", the arc over the active latents;
    "geodesic", never longer in pictures than the straight line of as many frames, and near the training codes if there
    is a Support; "known", through training codes; "chart", along which attributes go straight. With `even` the frames
    are moved along the path until the picture changes by the same amount at each step: the largest step within 10 % of
    the mean, unless a chart's category switches. Raises InputError for another kind or too few steps.
    """
    _require_steps(steps)
    context = context or PathContext()
    decoder = watched_decoder(model, context.watch)
    return _decoded(decoder, candidate_curves(decoder, a, b, kind, context), steps, even)


def chain(
    model: BetaVAE,
    stops: Tensor,
    steps: int = 12,
    kind: str = "lerp",
    context: PathContext | None = None,
    even: bool = False,
    closed: bool = False,
) -> Path:
    """A path through several codes (k, latent_dim), `steps` frames between two neighbouring stops, both included.

    The frames are `(k - 1)·(steps - 1) + 1`; `closed` adds the way back to the first stop, but not that stop again, so
    that the animation loops without a pause. With `even` each part gets frames in proportion to its length in pictures.
    """
    _require_steps(steps)
    if stops.dim() != 2 or len(stops) < 2:
        raise InputError(f"a chain needs at least 2 codes, (k, latent_dim), but got shape {tuple(stops.shape)}.")
    context = context or PathContext()
    decoder = watched_decoder(model, context.watch)
    pairs = zip(stops, [*stops[1:], stops[0]] if closed else stops[1:])
    parts = [candidate_curves(decoder, a, b, kind, context) for a, b in pairs]
    paths = [_decoded(decoder, curves, steps, even) for curves in parts]
    if even and len(parts) > 1:
        shares = _shares([picture_length(p.frames) for p in paths], len(parts) * (steps - 1))
        paths = [
            path if share == steps - 1 else _decoded(decoder, curves, share + 1, even)
            for curves, path, share in zip(parts, paths, shares)
        ]
    last = [] if closed else [Path(paths[-1].codes[-1:], paths[-1].frames[-1:])]
    joined = [Path(p.codes[:-1], p.frames[:-1]) for p in paths] + last
    return Path(torch.cat([p.codes for p in joined]), np.concatenate([p.frames for p in joined]))


def four_corners(
    model: BetaVAE,
    corners: Tensor,
    rows: int = 7,
    columns: int = 7,
    kind: str = "lerp",
    context: PathContext | None = None,
) -> Path:
    """A grid between four codes (4, latent_dim): top left, top right, bottom left, bottom right.

    The left and right edges are paths of `rows` frames, and every row is a path from edge to edge. Codes
    (rows, columns, latent_dim), frames uint8 (rows, columns, H, W, 3); the corners equal their reconstructions.
    `kind` is as in `walk`, but not "geodesic", whose search in every row would take too long.
    """
    context = context or PathContext()
    if corners.dim() != 2 or len(corners) != 4:
        raise InputError(f"a grid needs 4 codes, one per corner, but got shape {tuple(corners.shape)}.")
    require_kind(kind, context, tuple(k for k in KINDS if k != "geodesic"))
    _require_steps(min(rows, columns))
    decoder = watched_decoder(model, context.watch)
    down, across = torch.linspace(0, 1, rows), torch.linspace(0, 1, columns)
    left, right = (candidate_curves(decoder, corners[i], corners[i + 2], kind, context)[0](down) for i in (0, 1))
    codes = torch.stack([candidate_curves(decoder, a, b, kind, context)[0](across) for a, b in zip(left, right)])
    frames = decode_codes(decoder, codes.flatten(0, 1))
    return Path(codes, frames.reshape(rows, columns, *frames.shape[1:]))


def pick_pairs(model: BetaVAE, pictures: np.ndarray, count: int, soundness: Soundness | None = None) -> np.ndarray:
    """`count` pairs of rows, (count, 2), that lie far apart in latent space, so that a path has something to show.

    With a `soundness` pairs whose straight path has a sound middle come first, then doubtful ones; a broken one is
    taken only if there are too few others. Each picture is used once.
    """
    if len(pictures) < 2:
        raise InputError(f"{len(pictures)} picture makes no pair: a path needs two.")
    mu, _ = encode_pictures(model, pictures)
    count = min(count, len(mu) // 2)
    distance = torch.cdist(mu, mu).fill_diagonal_(-1)
    pairs = [] if soundness is None else _sound_pairs(model, mu, distance, count, soundness)
    return np.array(pairs + _far_pairs(distance, count - len(pairs)))


def _far_pairs(distance: Tensor, count: int) -> list[tuple[int, int]]:
    """The farthest pairs by distance (N, N), which loses the pictures that are used."""
    pairs = []
    for _ in range(count):
        a, b = divmod(int(distance.argmax()), len(distance))
        pairs.append((a, b))
        distance[[a, b]] = distance[:, [a, b]] = -1
    return pairs


def _sound_pairs(
    model: BetaVAE, mu: Tensor, distance: Tensor, count: int, soundness: Soundness
) -> list[tuple[int, int]]:
    """Up to `count` far pairs, those with a sound middle first; `distance` (N, N) loses the pictures that are used.

    A picture with too many middles that are not sound is not tried again: it may be an outlier, whose pairs all break.
    """
    decoder, untried = frozen_decoder(model), distance.clone()
    pairs, spare, refused = [], [], Counter()
    while len(pairs) < count and len(spare) < _REFUSALS * count and untried.max() >= 0:
        a, b = divmod(int(untried.argmax()), len(mu))
        untried[a, b] = untried[b, a] = -1
        level = int(soundness.judge(decode_codes(decoder, lerp(mu[a], mu[b], 3)[1:2])).level[0])
        used = [a, b]
        if level == SOUND:
            pairs.append((a, b))
        else:
            spare.append((level, len(spare), (a, b)))
            refused.update((a, b))
            used = [i for i in (a, b) if refused[i] == _OF_ONE]
        untried[used] = -1
        untried[:, used] = -1
    for *_, pair in sorted(spare):
        if len(pairs) < count and not {*pair} & {i for other in pairs for i in other}:
            pairs.append(pair)
    used = [i for pair in pairs for i in pair]
    distance[used] = -1
    distance[:, used] = -1
    return pairs


def _decoded(decoder: Decoder, curves: Sequence[Curve], steps: int, even: bool) -> Path:
    paths = [
        _in_even_steps(decoder, curve, steps) if even else _at(decoder, curve, torch.linspace(0, 1, steps))
        for curve in curves
    ]
    return min(paths, key=lambda path: picture_length(path.frames))  # the first of equals


def _at(decoder: Decoder, curve: Curve, t: Tensor) -> Path:
    codes = curve(t)
    return Path(codes, decode_codes(decoder, codes))


def _in_even_steps(decoder: Decoder, curve: Curve, steps: int) -> Path:
    """Move the frames by the inverse of the picture length covered so far, until every step is about as long.

    Equal steps are the fixed point. Should the rounds run out, the most even frames seen are taken.
    """
    t = np.linspace(0, 1, steps)
    best, unevenness = None, np.inf
    for _ in range(_ROUNDS):
        path = _at(decoder, curve, torch.from_numpy(t).float())
        covered = np.concatenate([[0], np.cumsum(picture_change(path.frames))])
        if covered[-1] == 0:
            return path  # the picture never changes
        largest = np.diff(covered).max() * (steps - 1) / covered[-1]
        if largest < unevenness:
            best, unevenness = path, largest
        if largest <= _EVEN:
            break
        t = np.interp(np.linspace(0, covered[-1], steps), covered, t)
        t[0], t[-1] = 0, 1
    return best


def _shares(lengths: Sequence[float], total: int) -> list[int]:
    """Divide `total` steps among parts in proportion to their lengths, at least 1 each."""
    positive = np.maximum(lengths, 1e-9)
    wanted = 1 + (total - len(positive)) * positive / positive.sum()
    shares = np.floor(wanted).astype(int)
    most_missed = np.argsort(shares - wanted, kind="stable")
    shares[most_missed[: total - shares.sum()]] += 1
    return shares.tolist()


def _require_steps(steps: int) -> None:
    if steps < 2:
        raise InputError(f"a path of {steps} step has no two ends: ask for at least 2.")
