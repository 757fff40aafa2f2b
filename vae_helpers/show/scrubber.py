"""One HTML file that holds a path's frames and a slider over them: no kernel, no network, no library.

Works from disk, in an `<iframe srcdoc>` of a notebook, and on Colab.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from importlib.resources import files

import numpy as np
from PIL import Image

from vae_helpers.errors import InputError

_QUALITY = 80


def scrubber_html(
    frames: np.ndarray, title: str = "", captions: Sequence[str] = (), fps: float = 12, ping_pong: bool = True
) -> str:
    """uint8 frames (N, H, W, 3) as one HTML page with a slider, arrow keys and a play button.

    `captions`, one per frame if given, stand under the picture and in its alt text. Playing runs there and back if
    `ping_pong`. The page asks the network for nothing, and forbids itself to.
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not len(frames):
        raise InputError(
            f"a scrubber needs uint8 frames of shape (N, H, W, 3), N at least 1, but these are "
            f"{frames.dtype} of shape {frames.shape}."
        )
    if len(captions) not in (0, len(frames)):
        raise InputError(f"there are {len(frames)} frames but {len(captions)} captions: give one per frame, or none.")
    if not fps > 0:
        raise InputError(f"frames cannot play at {fps} per second: give a number above 0.")
    height, width = frames.shape[1:3]
    values = {
        "TITLE": html.escape(title),
        "HIDDEN": "" if title else " hidden",
        "WIDTH": str(max(384, width)),
        "ASPECT": f"{width} / {height}",
        "LAST": str(len(frames) - 1),
        "COUNT": str(len(frames)),
        "INTERVAL": json.dumps(1000 / fps),
        "PINGPONG": json.dumps(ping_pong),
        "CAPTIONS": _script_text([str(c) for c in captions]),
        "FRAMES": _script_text([_webp(frame) for frame in frames]),
    }
    page = files("vae_helpers.show").joinpath("scrubber.html").read_text("utf-8")
    parts = page.split("§")  # one pass: a title that looks like a place to fill in stays as it is
    parts[1::2] = [values[name] for name in parts[1::2]]
    return "".join(parts)


def embedded(page: str, width: int = 440, height: int = 560) -> str:
    """A page as an `<iframe srcdoc>` for a notebook's output, where it keeps its styles and keys to itself."""
    return (
        f'<iframe srcdoc="{html.escape(page)}" width="{width}" height="{height}" sandbox="allow-scripts" '
        'title="Frames with a slider" style="border:0; max-width:100%"></iframe>'
    )


def _script_text(values: Sequence[str]) -> str:
    """JSON that can stand inside <script>: no text in it can close the element."""
    return json.dumps(values).replace("<", "\\u003c")


def _webp(frame: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "webp", quality=_QUALITY, method=2)
    return base64.b64encode(buffer.getvalue()).decode()
