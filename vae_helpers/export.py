"""Pictures to disk: contact sheets, strips, and animations."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from vae_helpers.errors import InputError

_STILL, _MOVING = (".png",), (".gif", ".webp")
# For the screen: no chroma subsampling, which smears the edges of small pictures.
_BYTES = {"jpeg": {"quality": 92, "subsampling": 0}, "webp": {"quality": 90, "method": 2}, "png": {"compress_level": 4}}


def tile(pictures: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lay uint8 pictures (N, H, W, 3) out row by row on white: one picture (H', W', 3)."""
    n, height, width, _ = pictures.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        sheet[y:y + height, x:x + width] = picture
    return sheet


def save_png(picture: np.ndarray, path: Path | str) -> Path:
    """Write one uint8 picture (H, W, 3); folders are made as needed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)
    return path


def to_bytes(picture: np.ndarray, kind: str = "jpeg", scale: float = 1) -> bytes:
    """One uint8 picture (H, W, 3) as the bytes of a "jpeg", "webp" or "png" file, made `scale` times as large.

    Raises InputError for another kind, or a scale that is not positive.
    """
    if kind not in _BYTES:
        raise InputError(f"{kind!r} is not a kind of picture this can encode: choose one of {', '.join(_BYTES)}.")
    if not scale > 0:
        raise InputError(f"a picture cannot be made {scale} times as large: give a scale above 0.")
    image = Image.fromarray(picture)
    if scale != 1:
        image = image.resize([max(1, round(side * scale)) for side in image.size], Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, kind, **_BYTES[kind])
    return buffer.getvalue()


def save_frames(frames: np.ndarray, path: Path | str, fps: float = 12, ping_pong: bool = True) -> Path:
    """Write uint8 frames (N, H, W, 3) as the kind of file that `path` ends in.

    .png: a strip from left to right. .gif and .webp: an animation that loops, running there and back if `ping_pong`.
    Raises InputError for another ending.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in _STILL:
        return save_png(tile(frames, len(frames)), path)
    if ending not in _MOVING:
        raise InputError(f"{path.name} cannot be written, because {ending or 'no ending'!r} is not a kind it can save: "
                         f"end the name in {', '.join(_STILL + _MOVING)}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    if ping_pong:
        frames = np.concatenate([frames, frames[-2:0:-1]])
    images = [Image.fromarray(f) for f in frames]
    options = {"quality": 80}
    if ending == ".gif":
        images, options = _share_palette(images), {"optimize": False}
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, **options)
    return path


def _share_palette(images: list[Image.Image]) -> list[Image.Image]:
    """Quantise all frames of a GIF to one palette: one per frame would flicker."""
    sample = Image.fromarray(tile(np.stack([np.asarray(i) for i in images[::max(1, len(images) // 8)]]), 3, gap=0))
    palette = sample.quantize(256)
    return [i.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for i in images]
