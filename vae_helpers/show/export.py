"""Pictures to disk: contact sheets, strips, animations, films, and pages with a slider."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vae_helpers.errors import InputError
from vae_helpers.files import as_utf8, writing
from vae_helpers.settings import ENDINGS
from vae_helpers.show.scrubber import scrubber_html

# What browsers play: H.264 with 4:2:0 colour of the BT.709 kind, the index in front.
_FILM = (
    "-an -vf scale=out_color_matrix=bt709:out_range=tv -c:v libx264 -preset medium -crf 18 -pix_fmt yuv420p "
    "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -movflags +faststart -f mp4"
)
# For the screen: no chroma subsampling, which smears the edges of small pictures.
_BYTES = {"jpeg": {"quality": 92, "subsampling": 0}, "webp": {"quality": 90, "method": 2}, "png": {"compress_level": 4}}


def tile(pictures: np.ndarray, columns: int, gap: int = 2) -> np.ndarray:
    """Lay uint8 pictures (N, H, W, 3) out row by row on white: one picture (H', W', 3)."""
    n, height, width, _ = pictures.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (height + gap), i % columns * (width + gap)
        sheet[y : y + height, x : x + width] = picture
    return sheet


def save_png(picture: np.ndarray, path: Path | str) -> Path:
    """Write one uint8 picture (H, W, 3) as PNG; folders are made as needed. InputError where that can't be."""
    with writing(path) as file:
        Image.fromarray(picture).save(file, "png")
    return Path(path)


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


def save_frames(
    frames: np.ndarray,
    path: Path | str,
    fps: float = 12,
    ping_pong: bool = True,
    title: str = "",
    captions: Sequence[str] = (),
) -> Path:
    """Write uint8 frames (N, H, W, 3) as the kind of file that `path` ends in.

    .png: a strip from left to right, with its caption under each frame. .gif and .webp: an animation that loops,
    running there and back if `ping_pong`. .mp4: the same as a film, when an encoder is there. .html: a page with a
    slider that needs neither kernel nor network, with `title` and a caption per frame. What was there before stays
    until the new file is whole. Raises InputError for another ending, no frames, no encoder, a full disk, a place that
    can't be written.
    """
    path, frames = Path(path), np.asarray(frames)
    _require_savable(frames, path, fps)
    ending = path.suffix.lower()
    if ending == ".png":
        return save_png(tile(_labelled(frames, captions) if any(captions) else frames, len(frames)), path)
    if ending == ".html":
        page = scrubber_html(frames, title or path.stem, captions, fps, ping_pong)
        with writing(path) as file:
            file.write(as_utf8(page))
        return path
    if ping_pong:
        frames = np.concatenate([frames, frames[-2:0:-1]])
    encoder = video_encoder() if ending == ".mp4" else ""
    with writing(path) as file:
        if encoder:
            _encode_film(frames, file.name, path.name, fps, encoder)
        else:
            _animate(frames, file, ending[1:], fps)
    return path


def enlarged(frames: np.ndarray, scale: int) -> np.ndarray:
    """uint8 frames (N, H, W, 3) `scale` times as large, by Lanczos. InputError for a scale under 1."""
    if scale < 1:
        raise InputError(f"frames cannot be made {scale} times as large: give a whole number from 1.")
    if scale == 1:
        return frames
    size = (frames.shape[2] * scale, frames.shape[1] * scale)
    return np.stack([np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)) for frame in frames])


def _labelled(frames: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Frames with their captions under them, black on white, wrapped and as many lines high as the longest."""
    width = frames.shape[2]
    letters = max(9, width // 12)
    from matplotlib.font_manager import findfont  # its font has the letters of many languages, Pillow's own has not

    font = ImageFont.truetype(findfont("DejaVu Sans"), letters)
    lines = [_wrapped(caption, font, width) for caption in captions]
    line = round(1.3 * letters)
    below = np.full((len(frames), line * max(map(len, lines)), width, 3), 255, np.uint8)
    for label, own in zip(below, lines):
        image = Image.fromarray(label)
        for k, text in enumerate(own):
            ImageDraw.Draw(image).text((width / 2, k * line), text, "black", font, anchor="ma")
        label[:] = np.asarray(image)
    return np.concatenate([frames, below], axis=1)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _require_savable(frames: np.ndarray, path: Path, fps: float) -> None:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise InputError(
            f"{path.name} cannot be written, because {ending or 'no ending'!r} is not a kind this can "
            f"save: end the name in {', '.join(ENDINGS)}."
        )
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise InputError(
            f"{path.name} cannot be written: frames must be uint8 of shape (N, H, W, 3), N at least 1, "
            f"but these are {frames.dtype} of shape {frames.shape}."
        )
    if not fps > 0:
        raise InputError(f"{path.name} cannot play at {fps} frames per second: give a number above 0.")


def _animate(frames: np.ndarray, file: BinaryIO, kind: str, fps: float) -> None:
    images, options = [Image.fromarray(f) for f in frames], {"quality": 80, "method": 2}
    if kind == "gif":
        images, options = _share_palette(images), {"optimize": False}
    images[0].save(file, kind, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, **options)


def video_encoder() -> str:
    """The ffmpeg to run: that of the package imageio-ffmpeg, else the one on the PATH. InputError if there is none."""
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # not installed; or installed without its binary
        found = shutil.which("ffmpeg")
    if not found:
        raise InputError(
            "an .mp4 needs a video encoder, and there is none here: `pip install imageio-ffmpeg`, or save "
            "as .webp, .gif or .html."
        )
    return found


def _encode_film(frames: np.ndarray, place: str, name: str, fps: float, encoder: str) -> None:
    # Players want 4:2:0 colour, which needs even sides: repeat the last row or column where one is odd.
    frames = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    height, width = frames.shape[1:3]
    source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i -"
    command = [encoder, *f"-y -loglevel error {source} {_FILM}".split(), place]
    try:
        done = subprocess.run(command, input=frames.tobytes(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except OSError as problem:
        raise InputError(
            f"{name} could not be encoded, because {encoder} does not run ({problem.strerror}): save "
            "as .webp, .gif or .html."
        ) from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        raise InputError(
            f"{name} could not be encoded by {encoder} ({said[-1]}): save as .webp, .gif or "
            ".html, or install another encoder with `pip install imageio-ffmpeg`."
        )


def _share_palette(images: list[Image.Image]) -> list[Image.Image]:
    """Quantise all frames of a GIF to one palette: one per frame would flicker.

    Of Pillow's ways the octree with dithering came nearest to the pictures, both pixel by pixel and seen from afar.
    """
    sample = [np.asarray(i)[::2, ::2] for i in images[:: max(1, len(images) // 16)]]
    palette = Image.fromarray(np.concatenate(sample)).quantize(256, Image.Quantize.FASTOCTREE)
    return [i.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG) for i in images]
