"""One picture file in, one uint8 RGB square out, or the reason why not. The only place that reads with Pillow."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from os import PathLike
from os.path import join
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from vae_helpers.data.chunks import jp2_profile, jpeg_scans, without_text
from vae_helpers.data.colour import flatten, to_srgb
from vae_helpers.data.kinds import HEIF_ADVICE, KINDS, Unreadable, formats, head_of, kind_of, open_regular
from vae_helpers.errors import printable, within_limits

# A picture with more pixels than this after JPEG's own down-scaling is refused: 300 MB of RGB per thread.
MAX_PIXELS = 100_000_000
# Pictures above this are decoded one at a time, so that many threads cannot add up to more than memory.
BIG_PIXELS = 12_000_000
# Each scan of a JPEG goes over the whole picture. Encoders write about 10; thousands would take minutes.
MAX_SCANS = 100
# JPEG may be decoded at 1/2, 1/4 or 1/8 as long as this many source pixels stay per target pixel and side.
JPEG_GAP = 1.15
GREY = (128, 128, 128)
DECODER_VERSION = 2
NO_PERMISSION = "may not be read (no permission)"
NO_MEMORY = "does not fit in memory"
NOT_NOW = "cannot be read now"
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_one_big_one = threading.Lock()


def is_temporary(reason: str) -> bool:
    """Whether a file left out for this reason may be readable next time although it was not changed."""
    return reason.startswith((NO_PERMISSION, NO_MEMORY, NOT_NOW))


class Square(NamedTuple):
    """What a picture becomes: `size` pixels a side, by `fit`.

    "crop" takes the largest centred square; "pad" keeps the whole picture on neutral grey, which is 0 for the model and
    so pulls it nowhere.
    """

    size: int
    fit: str = "crop"


def decode(path: str | PathLike[str], size: int, fit: str = "crop") -> np.ndarray:
    """Decode one file to uint8 RGB `(size, size, 3)`; raise `Unreadable` with the reason, and nothing else.

    `fit` as in `Square`. EXIF orientation is applied. Colours of an embedded ICC profile become sRGB.
    Transparent pixels lie on white, as viewers and the makers of cut-outs assume. 16-bit grey is scaled by the full
    range (65,535 is white), never clipped. Animations and files of several pages give their first one.
    """
    return _decode(path, Square(size, fit), threading.Event())[0]


def _decode(path: str | PathLike[str], square: Square, stop: threading.Event) -> tuple[np.ndarray, str | None]:
    """The square, and what was done to it that is worth telling."""
    try:
        with open_regular(path) as file:
            try:
                return _open_square(file, b"", square, stop)
            except Unreadable:
                raise
            except Exception:
                if (bare := without_text(file)) is None:
                    raise
            return _open_square(*bare, square, stop)
    except Unreadable:
        raise
    except Exception as error:  # a mutated file can raise nearly anything from deep inside a codec
        raise Unreadable(_reason(path, error)) from None


def decode_blocks(
    folder: str | PathLike[str],
    names: Sequence[str],
    blocks: Sequence[np.ndarray],
    square: Square,
    workers: int,
    notes: MutableMapping[str, str] | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray, list[str | None]]]:
    """Decode blocks of rows of `names` with threads; yield `(rows, uint8 block, reasons)` in order.

    Pillow releases the GIL. A row whose reason is not `None` has no picture. At most two blocks are held,
    whatever the number of files. `notes` gets, by name, what was done to a picture that is worth telling.
    """
    decoder = _Decoder(folder, names, square, {} if notes is None else notes, threading.Event())
    limits = within_limits("decoding pictures", "end other programs, or choose a smaller image size")
    with quiet(), limits, ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        waiting = None
        try:
            for rows in blocks:
                following = decoder.start(pool, rows)
                if waiting is not None:
                    yield waiting.result()
                waiting = following
            if waiting is not None:
                yield waiting.result()
        finally:
            decoder.stop.set()  # after Ctrl-C each thread ends its picture, not its part
            pool.shutdown(wait=True, cancel_futures=True)


class _Block(NamedTuple):
    """Rows that are being decoded into `pictures` by parts."""

    rows: np.ndarray
    pictures: np.ndarray
    parts: list[Future]

    def result(self) -> tuple[np.ndarray, np.ndarray, list[str | None]]:
        """Wait for all parts."""
        return self.rows, self.pictures, [reason for part in self.parts for reason in part.result()]


class _Decoder(NamedTuple):
    """Which files are decoded and to what; `stop` set, each thread ends with the picture that it is at."""

    folder: str | PathLike[str]
    names: Sequence[str]
    square: Square
    notes: MutableMapping[str, str]
    stop: threading.Event

    def start(self, pool: ThreadPoolExecutor, rows: np.ndarray) -> _Block:
        """Hand out the rows of a block to the threads, eight at a time."""
        block = np.zeros((len(rows), self.square.size, self.square.size, 3), np.uint8)
        parts = [slice(i, i + 8) for i in range(0, len(rows), 8)]
        return _Block(rows, block, [pool.submit(self.decode_part, rows[part], block[part]) for part in parts])

    def decode_part(self, rows: np.ndarray, out: np.ndarray) -> list[str | None]:
        """Decode rows into `out`; the reason of each that has no picture."""
        reasons: list[str | None] = []
        for place, row in enumerate(rows):
            name, note, reason = self.names[row], None, None
            try:
                out[place], note = _decode(join(self.folder, name), self.square, self.stop)
            except Unreadable as error:
                reason = str(error)
            reasons.append(reason)
            if note:
                self.notes[name] = note
            else:
                self.notes.pop(name, None)
        return reasons


def _open_square(file, profile: bytes, square: Square, stop: threading.Event) -> tuple[np.ndarray, str | None]:
    """As `_decode`, from an open file; `profile` is the colour profile, where it is not in the file."""
    file.seek(0)
    with Image.open(file, formats=formats()) as picture:
        if min(picture.size) < 1:
            raise Unreadable("has no pixels")
        scans = jpeg_scans(file) if picture.format in ("JPEG", "MPO") else 1
        if scans > MAX_SCANS:
            raise Unreadable(f"is a JPEG of {scans:,} scans, more than the {MAX_SCANS} allowed")
        declared = picture.size
        whole = _draft(picture, square) if picture.format in ("JPEG", "MPO") else None
        width, height = picture.size if scans == 1 else declared  # several scans are held at full size
        if width * height > MAX_PIXELS:
            raise Unreadable(f"{width}×{height} pixels is more than the {MAX_PIXELS / 1e6:.0f} million allowed")
        # Whatever reads pixels stands below: EXIF of a PNG does too.
        with _one_big_one if width * height > BIG_PIXELS else nullcontext():
            if stop.is_set():
                raise Unreadable(f"{NOT_NOW}: interrupted")
            profile = profile or picture.info.get("icc_profile") or b""
            if picture.format == "JPEG2000":
                profile = jp2_profile(file)
            return _to_square(picture, whole, profile, square)


def _draft(picture: Image.Image, square: Square) -> tuple[float, float] | None:
    """Let a JPEG be decoded smaller than it is; the width and height of the whole in pixels of that, not rounded."""
    shorter = min(picture.size) if square.fit == "crop" else max(picture.size)
    scale = square.size * JPEG_GAP / shorter
    if scale > 0.5 or picture.mode not in ("RGB", "L", "CMYK"):
        return None
    drafted = picture.draft(picture.mode, tuple(max(1, round(side * scale)) for side in picture.size))
    return drafted and drafted[1][2:]


def _to_square(picture: Image.Image, whole, profile: bytes, square: Square) -> tuple[np.ndarray, str | None]:
    """Decode, shrink, convert and turn; `whole` are the sides of a JPEG that is decoded smaller than it is."""
    size = square.size
    flat, dark = flatten(picture)
    # Colours and transparency are cheaper to settle on the small picture, and come out the same.
    small, colours = to_srgb(_shrink(flat, whole or flat.size, square), profile)
    if square.fit != "crop":
        padded = Image.new("RGB", (size, size), GREY)
        padded.paste(small, tuple((size - side) // 2 for side in small.size))
        small = padded
    # Turning the small square is the same as turning the big picture first, and cheaper. Pillow itself turns a TIFF
    # while it loads, and then says so: so the tag is looked at afterwards.
    turn = _TURNS.get(_orientation(picture))
    pages = "has several pages, of which the first is taken" if _has_pages(picture) else None
    notes = [note for note in (colours, dark, pages) if note]
    return np.asarray(small if turn is None else small.transpose(turn)), "; ".join(notes) or None


def _shrink(picture: Image.Image, whole: tuple[float, float], square: Square) -> Image.Image:
    """The centred square, or everything, of a picture whose sides are `whole`.

    `ImageOps.fit` cuts by whole sides, but those of a JPEG that is decoded smaller than it is are fractions.
    """
    (width, height), size = whole, square.size
    if square.fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        return _resize(picture, (size, size), (left, top, left + side, top + side))
    shape = tuple(max(1, round(side * size / max(width, height))) for side in (width, height))
    return _resize(picture, shape, (0, 0, width, height))


def _has_pages(picture: Image.Image) -> bool:
    try:
        return picture.format == "TIFF" and getattr(picture, "n_frames", 1) > 1
    except Exception:  # damaged behind a sound first page
        return False


def _resize(picture: Image.Image, shape: tuple[int, int], box: tuple[float, float, float, float]) -> Image.Image:
    if picture.size == shape:
        return picture
    # Pillow's shrinking averages over all source pixels; Hamming is as sharp as bicubic there at half the cost.
    shrinks = box[2] - box[0] >= shape[0]
    return picture.resize(shape, Image.Resampling.HAMMING if shrinks else Image.Resampling.BICUBIC, box=box)


def _orientation(picture: Image.Image) -> int:
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF beside a sound picture: show the picture as it lies
        return 1


def _reason(path: str | PathLike[str], error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "vanished, or is a link to nothing"
    if isinstance(error, PermissionError):
        return NO_PERMISSION
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return "claims more pixels than Pillow allows (a decompression bomb?)"
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, UnidentifiedImageError):
        kind = kind_of(head_of(path) or b"")
        if kind == "HEIF" and kind not in formats():
            return f"is a HEIC picture: {HEIF_ADVICE}"
        return f"is a {kind} file that Pillow cannot read (damaged, or a rare kind)" if kind else f"is not a {KINDS}"
    if isinstance(error, OSError) and error.errno:  # from the disk; Pillow's own have no number
        return f"{NOT_NOW}: {error.strerror}"
    text = printable(" ".join(str(error).split())[:120])
    return f"is damaged: {text or type(error).__name__}"


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
