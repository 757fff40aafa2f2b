"""One picture file in, one uint8 RGB square out, or the reason why not. The only place that reads with Pillow."""
from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from os import PathLike
from os.path import join
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from vae_helpers.errors import within_limits

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF")  # MPO (many phones) opens as JPEG
SUFFIXES = frozenset(".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff".split())
KINDS = "JPEG, PNG, WebP, BMP, GIF or TIFF"

# A picture with more pixels than this after JPEG's own down-scaling is refused: 300 MB of RGB per thread.
MAX_PIXELS = 100_000_000
# Pictures above this are decoded one at a time, so that many threads cannot add up to more than memory.
BIG_PIXELS = 12_000_000
# JPEG may be decoded at 1/2, 1/4 or 1/8 as long as this many source pixels stay per target pixel and side.
JPEG_GAP = 1.15
WHITE = (255, 255, 255)
GREY = (128, 128, 128)
DECODER_VERSION = 1

_MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", b"GIF8": "GIF", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_one_big_one = threading.Lock()


class Unreadable(Exception):
    """This file gives no picture; the message is the reason, in a few words."""


def decode(path: str | PathLike[str], size: int, fit: str = "crop") -> np.ndarray:
    """Decode one file to uint8 RGB `(size, size, 3)`; raise `Unreadable` with the reason, and nothing else.

    `fit="crop"` takes the largest centred square; `"pad"` keeps the whole picture on neutral grey, which is 0 for
    the model and so pulls it nowhere. EXIF orientation is applied. Transparent pixels lie on white, as viewers and
    the makers of cut-outs assume. 16-bit grey is scaled by the full range (65,535 is white), never clipped.
    Animations give their first frame. ICC profiles are not applied.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            return _square(picture, size, fit)
    except Unreadable:
        raise
    except Exception as error:  # a mutated file can raise nearly anything from deep inside a codec
        raise Unreadable(_reason(path, error)) from None


def decode_blocks(
    folder: str | PathLike[str], names: Sequence[str], blocks: Sequence[np.ndarray], size: int, fit: str,
    workers: int,
) -> Iterator[tuple[np.ndarray, np.ndarray, list[str | None]]]:
    """Decode blocks of rows of `names` with threads; yield `(rows, uint8 block, reasons)` in order.

    Pillow releases the GIL. A row whose reason is not `None` has no picture. At most two blocks are held,
    whatever the number of files.
    """
    limits = within_limits("decoding pictures", "end other programs, or choose a smaller image size")
    with quiet(), limits, ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        def start(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[Future]]:
            block = np.zeros((len(rows), size, size, 3), np.uint8)
            parts = [slice(i, i + 8) for i in range(0, len(rows), 8)]
            return rows, block, [pool.submit(_decode_part, folder, names, rows[p], block[p], size, fit)
                                 for p in parts]

        def finish(rows, block, futures):
            return rows, block, [reason for future in futures for reason in future.result()]

        waiting = None
        try:
            for rows in blocks:
                following = start(rows)
                if waiting is not None:
                    yield finish(*waiting)
                waiting = following
            if waiting is not None:
                yield finish(*waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def is_candidate(name: str, path: str | PathLike[str]) -> bool:
    """Whether a file should be tried: it has a picture's suffix in any case, or none and a picture's first bytes."""
    suffix = Path(name).suffix.lower()
    return suffix in SUFFIXES or (not suffix and _magic(path) is not None)


def _decode_part(folder, names, rows, out, size, fit) -> list[str | None]:
    reasons: list[str | None] = []
    for place, row in enumerate(rows):
        try:
            out[place] = decode(join(folder, names[row]), size, fit)
            reasons.append(None)
        except Unreadable as error:
            reasons.append(str(error))
    return reasons


def _square(picture: Image.Image, size: int, fit: str) -> np.ndarray:
    if min(picture.size) < 1:
        raise Unreadable("has no pixels")
    # Only JPEG can decode smaller than it is; `draft` changes nothing for the other formats.
    shorter = min(picture.size) if fit == "crop" else max(picture.size)
    scale = size * JPEG_GAP / shorter
    if picture.format in ("JPEG", "MPO") and scale <= 0.5 and picture.mode in ("RGB", "L"):
        picture.draft(picture.mode, tuple(max(1, round(side * scale)) for side in picture.size))
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"{width}×{height} pixels is more than the {MAX_PIXELS / 1e6:.0f} million allowed")
    turn = _TURNS.get(_orientation(picture))
    with _one_big_one if width * height > BIG_PIXELS else nullcontext():
        return _fitted(_to_rgb(picture), size, fit, turn)


def _fitted(picture: Image.Image, size: int, fit: str, turn: Image.Transpose | None) -> np.ndarray:
    width, height = picture.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        picture = _resize(picture, (size, size), (left, top, left + side, top + side))
    else:
        shape = tuple(max(1, round(side * size / max(width, height))) for side in (width, height))
        whole = Image.new("RGB", (size, size), GREY)
        whole.paste(_resize(picture, shape, (0, 0, width, height)), tuple((size - side) // 2 for side in shape))
        picture = whole
    # Turning the small square is the same as turning the big picture first, and cheaper.
    return np.asarray(picture if turn is None else picture.transpose(turn))


def _resize(picture: Image.Image, shape: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    if picture.size == shape:
        return picture
    # Pillow's shrinking averages over all source pixels; Hamming is as sharp as bicubic there at half the cost.
    shrinks = box[2] - box[0] >= shape[0]
    return picture.resize(shape, Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC, box=box)


def _to_rgb(picture: Image.Image) -> Image.Image:
    mode = picture.mode
    if mode == "RGB" and "transparency" not in picture.info:
        picture.load()
        return picture
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _from_deep(picture)
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        if mode in ("RGBa", "La"):
            picture = picture.convert({"RGBa": "RGBA", "La": "LA"}[mode])
        picture = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", picture.size, (*WHITE, 255)), picture).convert("RGB")
    return picture.convert("RGB")


def _from_deep(picture: Image.Image) -> Image.Image:
    """Grey of more than 8 bits to RGB by a fixed scale, so that equal values stay equal between pictures."""
    values = np.asarray(picture)
    low, high = float(values.min()), float(values.max())
    if picture.mode == "F":
        if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 255:
            raise Unreadable("has floating-point values outside 0 to 1 and 0 to 255")
        grey = values * (255.0 if high <= 1 else 1.0)
    else:
        if low < 0 or high > 65535:
            raise Unreadable("has 32-bit values; save it with 8 or 16 bits")
        grey = values.astype(np.float32) / 257.0
    return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF beside a sound picture: show the picture as it lies
        return 1


def _magic(path: str | PathLike[str]) -> str | None:
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return None
    if head[:4] == b"RIFF" and head[8:] == b"WEBP":
        return "WEBP"
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def _reason(path: str | PathLike[str], error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "vanished, or is a link to nothing"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "claims more pixels than Pillow allows (a decompression bomb?)"
    if isinstance(error, MemoryError):
        return "does not fit in memory"
    if isinstance(error, UnidentifiedImageError):
        try:
            if not Path(path).stat().st_size:
                return "is empty (0 bytes)"
        except OSError:
            return "vanished, or is a link to nothing"
        kind = _magic(path)
        return f"is a {kind} file that Pillow cannot read (damaged, or a rare kind)" if kind else f"is not a {KINDS}"
    text = " ".join(str(error).split())[:120]
    return f"damaged: {text or type(error).__name__}"


@contextmanager
def quiet():
    """Pillow warns about odd EXIF, palettes and sizes; what matters here ends up as a reason instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def resize_square(picture: np.ndarray, size: int) -> np.ndarray:
    """A uint8 picture `(H, W)` or `(H, W, 1 or 3)` from a data file, as uint8 `(size, size, 3)`."""
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    whole = Image.fromarray(picture).convert("RGB")
    return np.asarray(_resize(whole, (size, size), (0, 0, *whole.size)))
