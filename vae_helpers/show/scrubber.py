"""One HTML file that holds a path's frames and a slider over them: no kernel, no network, no library.

Works from disk, in an `<iframe srcdoc>` of a notebook, and on Colab.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence

import numpy as np
from PIL import Image

from vae_helpers.errors import InputError

_QUALITY = 80
# Swapping `src` to a picture that is already decoded shows it at once (HTML standard, "list of available images"), and
# an <img>, unlike a canvas, has an alt text and can be saved or dragged.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>§TITLE§</title>
<style>
:root { color-scheme: light dark; --text: #222; --soft: #5c6670; --paper: #fff; --line: #cfd6dc; --accent: #2468b0; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8eaed; --soft: #a6afb8; --paper: #16191d; --line: #3c444c; --accent: #7ab4f0; } }
* { box-sizing: border-box; }
body { margin: 0; padding: 12px; background: var(--paper); color: var(--text); font: 14px/1.4 system-ui, sans-serif; }
main { width: min(§WIDTH§px, 100%, max(160px, 100vh - 116px)); margin: 0 auto; }
h1 { font-size: 15px; margin: 0 0 6px; font-weight: 600; overflow-wrap: anywhere; }
img { display: block; width: 100%; aspect-ratio: §ASPECT§; border-radius: 4px; background: var(--line); }
.caption { min-height: 1.4em; margin: 6px 0 2px; display: flex; justify-content: space-between; gap: 12px; }
.count { color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums; }
.controls { display: flex; gap: 10px; align-items: center; }
input { flex: 1; min-width: 0; height: 24px; margin: 0; accent-color: var(--accent); }
button { flex: none; width: 64px; font: inherit; padding: 3px 0; color: var(--text); background: transparent;
  border: 1px solid var(--line); border-radius: 4px; cursor: pointer; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.hint { color: var(--soft); font-size: 12px; margin: 4px 0 0; }
</style>
</head>
<body>
<main>
<h1§HIDDEN§>§TITLE§</h1>
<img id="picture" alt="" draggable="true">
<div class="caption"><span id="caption"></span><span class="count" id="count"></span></div>
<div class="controls">
<button id="play" type="button">Play</button>
<input id="slider" type="range" min="0" max="§LAST§" value="0" step="1" aria-label="Frame">
</div>
<p class="hint">Arrow keys step, Home and End jump, Space plays.</p>
<noscript>This page needs JavaScript to move through its §COUNT§ frames.</noscript>
</main>
<script>
"use strict";
const frames = §FRAMES§.map(data => "data:image/webp;base64," + data);
const captions = §CAPTIONS§, interval = §INTERVAL§, pingPong = §PINGPONG§, last = frames.length - 1;
const kept = frames.map(src => { const image = new Image(); image.src = src; return image; });
const [picture, caption, count, slider, play] =
  ["picture", "caption", "count", "slider", "play"].map(id => document.getElementById(id));
let at = 0, step = 1, timer = null;
function show(frame) {
  at = Math.max(0, Math.min(last, frame));
  const text = captions[at] || "";
  picture.src = kept[at].src;
  picture.alt = (text ? text + ", f" : "F") + "rame " + (at + 1) + " of " + frames.length;
  caption.textContent = text;
  count.textContent = (at + 1) + " / " + frames.length;
  slider.value = at;
  slider.setAttribute("aria-valuetext", picture.alt);
}
function stop() { clearInterval(timer); timer = null; play.textContent = "Play"; }
function start() {
  if (!last) return;
  if (pingPong && at === last) step = -1;
  timer = setInterval(() => {
    if (pingPong) { if (at + step < 0 || at + step > last) step = -step; show(at + step); }
    else show(at === last ? 0 : at + 1);
  }, interval);
  play.textContent = "Pause";
}
function toggle() { timer === null ? start() : stop(); }
const moves = { ArrowRight: () => at + 1, ArrowUp: () => at + 1, ArrowLeft: () => at - 1, ArrowDown: () => at - 1,
  PageUp: () => at + 10, PageDown: () => at - 10, Home: () => 0, End: () => last };
slider.addEventListener("input", () => { stop(); show(+slider.value); });
play.addEventListener("click", toggle);
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key in moves) { stop(); show(moves[event.key]()); event.preventDefault(); }
  else if (event.key === " " && event.target !== play) { toggle(); event.preventDefault(); }
});
show(0);
Promise.all(kept.map(image => image.decode().catch(() => {}))).then(() => document.body.dataset.ready = "yes");
</script>
</body>
</html>
"""


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
    parts = _PAGE.split("§")  # one pass: a title that looks like a place to fill in stays as it is
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
