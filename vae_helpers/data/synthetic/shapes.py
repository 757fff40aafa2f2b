"""Drawing tools of the built-in picture sets: pixel grids, outlines as polar tables, anti-aliased layers, palettes.

Pixels only ever see + - * / sqrt, comparisons and table look-ups, which IEEE 754 fixes to the last bit; sines and
curves live in small float64 tables. That is what makes a picture the same on every machine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TABLE = 2048  # entries per angular table: an error of 0.02 pixel at 128 px


class Factor(NamedTuple):
    """One column of a factor vector; `choices` non-empty means categorical with values 0..len(choices)-1."""

    name: str
    low: float
    high: float
    unit: str
    choices: tuple[str, ...] = ()


def palette(degrees: np.ndarray, knots: list[tuple[int, int, int]], span: float) -> np.ndarray:
    """Colours (k, 3) in [0, 1] on the path through `knots`, evenly spaced over 0..`span` degrees."""
    at = np.linspace(0.0, span, len(knots))
    table = np.array(knots, dtype=np.float64) / 255.0
    return np.stack([np.interp(degrees, at, table[:, c]) for c in range(3)], axis=1)


def mix(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """`a` moved the share `t` of the way to `b`."""
    return a + t * (np.asarray(b, dtype=np.float64) - a)


def per_picture(values: np.ndarray) -> np.ndarray:
    """(k,) values as float32 (k, 1, 1), ready to meet pixel arrays (k, h, w)."""
    return np.asarray(values, dtype=np.float32)[:, None, None]


def clamp(values: np.ndarray) -> np.ndarray:
    """Values cut to [0, 1], in place."""
    return np.clip(values, np.float32(0), np.float32(1), out=values)


def cover(distance: np.ndarray, sharpness: np.ndarray) -> np.ndarray:
    """Share of a pixel inside a shape; `distance` < 0 is inside, `sharpness` is 1 / width of the soft edge."""
    share = distance * -sharpness
    share += np.float32(0.5)
    return clamp(share)


def smooth(share: np.ndarray) -> np.ndarray:
    """Smoothstep 3t² - 2t³ of values in [0, 1]."""
    return share * share * (np.float32(3) - np.float32(2) * share)


def blend(canvas: np.ndarray, share: np.ndarray, colour: np.ndarray) -> None:
    """Blend `colour`, (k, 3) or (k, 3, h, w), over `canvas` (k, 3, h, w) where `share` (k, h, w) is 1; in place."""
    if colour.ndim == 2:
        colour = colour.astype(np.float32)[:, :, None, None]
    step = colour - canvas
    step *= share[:, None]
    canvas += step


def curve(points: np.ndarray, steps: int = 24) -> np.ndarray:
    """Catmull-Rom curve through `points` (k, m, 2): (k, (m - 1) * steps + 1, 2)."""
    before = np.concatenate([2 * points[:, :1] - points[:, 1:2], points[:, :-1]], axis=1)
    after = np.concatenate([points[:, 1:], 2 * points[:, -1:] - points[:, -2:-1]], axis=1)
    slope = 0.5 * (after - before)
    t = (np.arange(steps) / steps)[None, None, :, None]
    p0, p1 = points[:, :-1, None], points[:, 1:, None]
    m0, m1 = slope[:, :-1, None], slope[:, 1:, None]
    t2, t3 = t * t, t * t * t
    arc = (2 * t3 - 3 * t2 + 1) * p0 + (t3 - 2 * t2 + t) * m0 + (3 * t2 - 2 * t3) * p1 + (t3 - t2) * m1
    return np.concatenate([arc.reshape(len(points), -1, 2), points[:, -1:]], axis=1)


def table_angles() -> np.ndarray:
    """The angle in radians, -pi/2..pi/2, that each table entry stands for."""
    a = (np.arange(TABLE) + 0.5) * (2.0 / TABLE) - 1.0
    return np.arctan2(a, 1.0 - np.abs(a))


def radius_table(outline: np.ndarray, pole: tuple[float, float]) -> np.ndarray:
    """Distance (k, TABLE) from `pole` to the outline (k, m, 2) at each table angle; the outline goes round once."""
    du, dv = outline[..., 0] - pole[0], outline[..., 1] - pole[1]
    angle, radius = np.arctan2(dv, du), np.hypot(du, dv)
    grid = table_angles()
    rows = []
    for a, r in zip(angle, radius):
        order = np.argsort(a, kind="stable")
        rows.append(np.interp(grid, a[order], r[order]))
    return np.array(rows)


def slope_table(radius: np.ndarray, squeeze: np.ndarray) -> np.ndarray:
    """1 / |gradient| of r - R(angle) on the outline, for a plane whose u axis is squeezed by `squeeze` (k,)."""
    grid = table_angles()
    tangential = np.gradient(radius, grid, axis=1) / radius
    gu = np.cos(grid) + tangential * np.sin(grid)
    gv = np.sin(grid) - tangential * np.cos(grid)
    return np.maximum(1.0 / np.hypot(gu / squeeze[:, None], gv), 0.05)


class Shape(NamedTuple):
    """Pixels (k, h, w) seen from the pole of a shape.

    `r` distance from the pole, `index` into angular tables (k, TABLE), `edge` the outline's radius at that angle,
    `distance` the signed distance from the outline (< 0 inside), `rho` = r / edge (1 on the outline).
    """

    r: np.ndarray
    index: np.ndarray
    edge: np.ndarray
    distance: np.ndarray
    rho: np.ndarray


def polar(u: np.ndarray, v: np.ndarray, pole: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Distance from `pole` and table index, each (k, h, w), without a single arctangent; needs u > pole[0]."""
    du, dv = u - np.float32(pole[0]), v - np.float32(pole[1])
    r = np.sqrt(du * du + dv * dv)
    du += np.abs(dv)
    dv /= du
    dv *= np.float32(TABLE / 2 - 0.01)
    dv += np.float32(TABLE / 2)
    index = dv.astype(np.intp)
    index += (np.arange(len(u)) * TABLE)[:, None, None]
    return r, index


def from_pole(u: np.ndarray, v: np.ndarray, pole: tuple[float, float], radius: np.ndarray, slope: np.ndarray) -> Shape:
    """The shape whose outline is `radius` (k, TABLE) about `pole`; `slope` comes from slope_table."""
    r, index = polar(u, v, pole)
    edge = radius.astype(np.float32).ravel().take(index)
    distance = (r - edge) * slope.astype(np.float32).ravel().take(index)
    return Shape(r, index, edge, distance, r / edge)


def shadow(part: np.ndarray, rho: np.ndarray, softness: float, strength: float) -> None:
    """Darken `part` (k, 3, h, w) where `rho` (k, h, w) is below about 1, fading over 1 / `softness`; in place."""
    share = smooth(clamp((np.float32(1.04) - rho) * np.float32(softness)))
    part *= np.float32(1) - share[:, None] * np.float32(strength)


def pixel_centres(size: int) -> np.ndarray:
    """Centres of `size` pixels along an axis from -1 to 1, float32."""
    return (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - np.float32(1)


class Window:
    """A square part of each canvas, just large enough for `reach` half pictures about (x, y)."""

    def __init__(self, canvas: np.ndarray, x: np.ndarray, y: np.ndarray, reach: np.ndarray):
        size = canvas.shape[-1]
        self.canvas, self.x, self.y = canvas, x, y
        self.side = min(size, int(np.ceil(reach.max() * size)) + 2)
        low = np.stack([(1.0 - y) * size / 2, (1.0 + x) * size / 2]) - self.side / 2
        self.first = np.clip(np.round(low), 0, size - self.side).astype(int)

    def _slices(self):
        for i, (row, column) in enumerate(self.first.T):
            yield i, slice(row, row + self.side), slice(column, column + self.side)

    def read(self) -> np.ndarray:
        """A copy (k, 3, side, side) of the parts."""
        return np.stack([self.canvas[i, :, rows, columns] for i, rows, columns in self._slices()])

    def write(self, part: np.ndarray) -> None:
        """Put the parts (k, 3, side, side) back."""
        for i, rows, columns in self._slices():
            self.canvas[i, :, rows, columns] = part[i]

    def local(self, turn: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(u, v), each (k, side, side): pixel centres about (x, y), turned by -`turn` radians, divided by `scale`."""
        at = pixel_centres(self.canvas.shape[-1])
        steps = np.arange(self.side)
        dy = -at[self.first[0][:, None] + steps] - self.y[:, None].astype(np.float32)
        dx = at[self.first[1][:, None] + steps] - self.x[:, None].astype(np.float32)
        cos, sin = ((w(turn) / scale)[:, None].astype(np.float32) for w in (np.cos, np.sin))
        u = (cos * dx)[:, None, :] + (sin * dy)[:, :, None]
        v = (cos * dy)[:, :, None] - (sin * dx)[:, None, :]
        return u, v


# fmt: off
_DAY = [
    (255, 216, 198), (254, 234, 188), (218, 240, 200), (192, 236, 230), (198, 224, 252), (224, 212, 252),
    (250, 208, 232), (255, 206, 204)
]
_DUSK = [
    (226, 138, 118), (222, 172, 98), (136, 178, 112), (74, 160, 156), (92, 140, 204), (136, 118, 196),
    (190, 112, 168), (214, 116, 128)
]
# fmt: on


def backdrop(hue: np.ndarray, light: np.ndarray, size: int) -> np.ndarray:
    """Backgrounds (k, 3, size, size) float32 in [0, 1]: a soft light that fades into the neighbouring hue.

    `hue` in degrees 0..300 on the backdrop palette, `light` 0 (dusk) to 1 (day).
    """
    at = pixel_centres(size)
    x, y = at[None, :] + np.float32(0.25), np.float32(-0.3) - at[:, None]
    glow = clamp(np.float32(1.05) - (x * x + y * y) * np.float32(0.30))
    light = light[:, None]
    heart, rim = (mix(palette(h, _DUSK, 350.0), palette(h, _DAY, 350.0), light) for h in (hue, hue + 50.0))
    heart, rim = mix(heart, 1.0, 0.30).astype(np.float32), (rim * 0.95).astype(np.float32)
    return rim[:, :, None, None] + (heart - rim)[:, :, None, None] * smooth(glow)
