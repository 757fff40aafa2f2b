"""Attributes that any picture has, measured from its pixels: light, colour, what stands in the middle, detail."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from vae_helpers.errors import InputError

PIXELS_VERSION = 1
_SIDE = 32  # pictures are shrunk to this many pixels a side, for all but detail
_AT_ONCE = 128
_GREY = 2.0  # levels: a mean colour nearer to grey has no hue
_LUMA = np.array([0.299, 0.587, 0.114])


class Pixel(NamedTuple):
    """What is measured; `low` and `high` are the ends that the definition allows, or a circle's turn."""

    name: str
    unit: str
    low: float
    high: float
    kind: str = "number"


_LEVELS, _MORE = "grey levels", "grey levels, middle less border"
PIXELS = (
    Pixel("brightness", _LEVELS, 0, 255),
    Pixel("contrast", _LEVELS, 0, 127.5),
    Pixel("colourfulness", _LEVELS, 0, 300),
    Pixel("warmth", "grey levels, red less blue", -255, 255),
    Pixel("green", "grey levels, green less red and blue", -255, 255),
    Pixel("hue", "degrees", 0, 360, "circular"),
    Pixel("subject brightness", _MORE, -255, 255),
    Pixel("subject contrast", _MORE, -127.5, 127.5),
    Pixel("subject colourfulness", _MORE, -300, 300),
    Pixel("subject warmth", _MORE, -510, 510),
    Pixel("subject green", _MORE, -510, 510),
    Pixel("subject hue", "degrees", 0, 360, "circular"),
    Pixel("subject x", "half pictures, positive is right", -1, 1),
    Pixel("subject y", "half pictures, positive is up", -1, 1),
    Pixel("subject size", "half pictures", 0, 1),
    Pixel("detail", "grey levels per pixel", 0, 255),
)


def measure_pixels(frames: np.ndarray) -> np.ndarray:
    """uint8 frames (N, H, W, 3) => float64 (N, 16), the columns of `PIXELS`; a hue is NaN where all is grey.

    Brightness, contrast: mean and standard deviation of the luma. Colourfulness: Hasler & Süsstrunk 2003, sec. 7.
    Warmth: red - blue; green: green - (red + blue) / 2. Hue: the angle of the mean colour on the colour circle, so that
    vivid pixels count more. Subject: the same of the middle (half the width and height) less that of the border; its
    hue is the middle's. Position and size: centre and root mean square distance of what differs from the border's
    median colour, weighted by how much. Detail: mean difference of neighbouring pixels' luma.
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.dtype != np.uint8 or frames.shape[3] != 3:
        raise InputError(
            f"pictures must be uint8 of shape (N, H, W, 3), but these are {frames.dtype} of shape {frames.shape}."
        )
    parts = [_measure(frames[start : start + _AT_ONCE]) for start in range(0, len(frames), _AT_ONCE)]
    return np.concatenate([np.empty((0, len(PIXELS))), *parts])


def _measure(frames: np.ndarray) -> np.ndarray:
    import torch  # here, so that a folder that is not there is refused before torch is loaded
    from torch.nn.functional import adaptive_avg_pool2d

    full = torch.from_numpy(np.array(frames)).permute(0, 3, 1, 2).float()
    small = adaptive_avg_pool2d(full, (min(_SIDE, full.shape[2]), min(_SIDE, full.shape[3]))).double().numpy()
    height, width = small.shape[2:]
    y, x = (1 - (2 * np.arange(height) + 1) / height)[:, None], (2 * np.arange(width) + 1) / width - 1
    middle = (np.abs(x) < 0.5) & (np.abs(y) < 0.5)
    colours = small.reshape(len(small), 3, -1)
    inside, outside = colours[:, :, middle.ravel()], colours[:, :, ~middle.ravel()]
    whole, subject, border = (_colour(part) for part in (colours, inside, outside))
    luma = torch.einsum("ncyx,c->nyx", full, torch.from_numpy(_LUMA).float())
    detail = [
        luma.diff(dim=dim).abs().mean(dim=(1, 2)) if luma.shape[dim] > 1 else torch.zeros(len(luma)) for dim in (1, 2)
    ]
    return np.column_stack(
        [
            whole,
            _hue(colours),
            subject - border,
            _hue(inside),
            _place(colours, outside, x, y),
            (detail[0] + detail[1]).numpy() / 2,
        ]
    )


def _colour(pixels: np.ndarray) -> np.ndarray:
    """Brightness, contrast, colourfulness, warmth and green of pixels (N, 3, P): (N, 5)."""
    red, green, blue = pixels.transpose(1, 0, 2)
    luma = np.einsum("ncp,c->np", pixels, _LUMA)
    first, second = red - green, (red + green) / 2 - blue
    spread = np.sqrt(first.var(axis=1) + second.var(axis=1))
    mean = np.hypot(first.mean(axis=1), second.mean(axis=1))
    return np.stack(
        [
            luma.mean(axis=1),
            luma.std(axis=1),
            spread + 0.3 * mean,
            (red - blue).mean(axis=1),
            (green - (red + blue) / 2).mean(axis=1),
        ],
        axis=1,
    )


def _hue(pixels: np.ndarray) -> np.ndarray:
    """Degrees on the colour circle of the mean of pixels (N, 3, P), red 0, green 120, blue 240: (N,)."""
    red, green, blue = pixels.mean(axis=2).T
    across, up = red - (green + blue) / 2, np.sqrt(3) / 2 * (green - blue)
    return np.where(np.hypot(across, up) < _GREY, np.nan, np.degrees(np.arctan2(up, across)) % 360)


def _place(pixels: np.ndarray, border: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Centre (x, y) and size of what stands out of the border's median colour: (N, 3)."""
    apart = np.square(pixels - np.median(border, axis=2, keepdims=True)).sum(axis=1)
    weight = (apart + 1e-6).reshape(len(pixels), len(y), len(x))  # where nothing stands out, everything does
    weight /= weight.sum(axis=(1, 2), keepdims=True)
    at_x, at_y = (weight * x).sum(axis=(1, 2)), (weight * y).sum(axis=(1, 2))
    square = np.square(x - at_x[:, None, None]) + np.square(y - at_y[:, None, None])
    return np.stack([at_x, at_y, np.sqrt((weight * square).sum(axis=(1, 2)))], axis=1)
