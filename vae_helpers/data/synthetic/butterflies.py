"""The butterflies: two pairs of patterned wings seen from above, every picture a function of its factors.

Butterfly coordinates: u across (mirrored, so only u >= 0 is drawn), v along the body, head up; at size 1 a unit is
half a picture. Each wing is polar about a pole near its root: rho is 0 there and 1 on the outline, so bands and
borders follow rho and veins follow the angle.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vae_helpers.data.synthetic import shapes as draw
from vae_helpers.data.synthetic.shapes import Factor

FACTORS = (
    Factor("wing_hue", 0.0, 300.0, "degrees on the wing palette, crimson to magenta"),
    Factor("pattern_hue", 0.0, 240.0, "degrees on the pale palette, cream to rose"),
    Factor("wing_length", 0.8, 1.0, "forewing length / the longest"),
    Factor("tail", 0.0, 1.0, "hindwing tail, 0 = round, 1 = swallowtail"),
    Factor("spread", 50.0, 90.0, "degrees between wing and body plane, 90 = flat"),
    Factor("spot_size", 0.09, 0.17, "spot radius / half wing span"),
    Factor("band_width", 0.12, 0.34, "band width / wing length"),
    Factor("size", 0.60, 0.77, "half wing span / half picture"),
    Factor("rotation", -30.0, 30.0, "degrees, positive turns the head left"),
    Factor("x", -0.06, 0.06, "half pictures, positive is right"),
    Factor("y", -0.06, 0.06, "half pictures, positive is up"),
    Factor("background_hue", 0.0, 300.0, "degrees on the backdrop palette, peach to rose"),
    Factor("background_light", 0.0, 1.0, "0 = dusk, 1 = bright day"),
    Factor("pattern", 0.0, 3.0, "family of wing patterns", ("monarch", "peacock", "morpho", "swallowtail")),
)
# fmt: off
_WING = [
    (206, 26, 58), (242, 92, 22), (250, 172, 18), (206, 204, 34), (70, 170, 62), (8, 158, 136), (18, 138, 220),
    (66, 74, 212), (140, 60, 204), (212, 46, 152)
]
# fmt: on
_PALE = [(255, 240, 172), (186, 246, 204), (164, 236, 252), (208, 204, 255), (255, 192, 220)]
_POLES = ((-0.04, 0.06), (-0.10, 0.03))  # hindwing, forewing
# fmt: off
_FORE = np.array([
    (-0.06, 0.16), (0.0, 0.20), (0.20, 0.46), (0.48, 0.68), (0.76, 0.76), (0.90, 0.66), (0.86, 0.40), (0.78, 0.13),
    (0.52, -0.03), (0.22, -0.05), (0.0, -0.06), (-0.06, -0.07)
])
_HIND = np.array([
    (-0.04, 0.22), (0.10, 0.17), (0.42, 0.14), (0.68, 0.06), (0.79, -0.16), (0.75, -0.40), (0.63, -0.60),
    (0.48, -0.71), (0.38, -0.735), (0.28, -0.70), (0.22, -0.65), (0.13, -0.54), (0.05, -0.40), (-0.02, -0.30)
])
# fmt: on
_TAIL = np.array(
    [(0, 0)] * 6
    + [(-0.03, 0.05), (-0.05, 0.03), (0.08, -0.18), (0.12, -0.25), (0.01, -0.08), (-0.01, -0.01), (0, 0), (0, 0)]
)  # what `tail` = 1 adds to _HIND
# One row per family.
_BAND_AT = np.array([0.50, 0.43, 0.54, 0.60])  # rho of the band's middle
_BAND_LOBES = np.array([0.5, 0.0, 0.0, 0.75])  # how deep the band is notched at the veins
_BAND_INK = np.array([0.0, 0.75, 0.0, 0.55])  # dark seams along the band
_VEIN_INK = np.array([0.85, 0.22, 0.34, 0.55])
_ROOT = np.array([0.35, -0.35, 0.55, -0.5])  # > 0 lightens the wing's root, < 0 darkens it
_BORDER = np.array([0.20, 0.11, 0.21, 0.15])  # width at the outer margin, in rho
_DOTS = np.array([0.030, -1.0, -1.0, 0.027])  # radius of the pale dots in the border, < 0 for none
# Eye-spots: (angle in degrees, rho, radius in spot sizes), two per wing (a family with one names it twice).
_FORE_SPOTS = np.array(
    [[(35, 0.64, 0.66), (12, 0.62, 0.66)], [(30, 0.67, 1.1)] * 2, [(33, 0.66, 0.8)] * 2, [(28, 0.42, 0.75)] * 2]
)
_HIND_SPOTS = np.array(
    [
        [(-20, 0.66, 0.66), (-44, 0.62, 0.66)],
        [(-27, 0.64, 1.2)] * 2,
        [(-19, 0.68, 0.7), (-46, 0.62, 0.9)],
        [(-40, 0.64, 1.0)] * 2,
    ]
)


class _Margin(NamedTuple):
    """What one wing's pattern looks like along the angle; angles in degrees."""

    veins: tuple[float, float, int]  # first and last vein, number of cells between them
    border: list[tuple[float, float]]  # (angle, share of the family's border width)
    dots: tuple[float, float]  # the range with dots in the border
    band: tuple[float, ...]  # the band fades in between the first two angles, out between the last two


_MARGINS = (
    _Margin(
        (-17.0, 56.0, 7),
        [(-35, 0.0), (-8, 0.1), (8, 0.85), (36, 1.15), (46, 0.8), (60, 0.7)],
        (3, 42),
        (-20, -10, 50, 58),
    ),  # forewing
    _Margin(
        (-74.5, 15.0, 7),
        [(-80, 0.0), (-66, 0.2), (-50, 1.0), (0, 1.0), (16, 0.5), (30, 0.3)],
        (-56, -8),
        (-80, -70, -4, 6),
    ),  # hindwing
)


@lru_cache(maxsize=1)
def _pattern_tables() -> dict[str, np.ndarray]:
    """Angular tables (2 wings * 4 families, TABLE) float32: what the pattern is made of along each angle."""
    angle = np.degrees(draw.table_angles())
    rows = {"vein": [], "cell": [], "border": [], "ray": [], "dot": [], "lobe": []}
    for wing in _MARGINS:
        low, high, cells = wing.veins
        step = np.radians(high - low) / cells
        phase = (angle - low) / (high - low) * cells
        from_vein = np.abs(phase - np.round(phase))  # 0 on a vein, 0.5 in the middle of a cell
        dotted = (angle > wing.dots[0]) & (angle < wing.dots[1])
        band = np.interp(angle, wing.band, (-0.4, 1.0, 1.0, -0.4))
        width = np.interp(angle, *np.array(wing.border).T) * (1.0 + 0.16 * np.cos(2 * np.pi * from_vein))
        for family in range(len(_BORDER)):
            rows["vein"].append(from_vein * step)
            rows["cell"].append((0.5 - from_vein) * step)
            rows["border"].append(1.0 - _BORDER[family] * width)
            rows["ray"].append((2 * from_vein) ** 2)
            rows["dot"].append(np.where(dotted, _DOTS[family], -1.0))
            rows["lobe"].append(np.minimum(band, 1.0 - _BAND_LOBES[family] * (1.0 - 2.0 * from_vein) ** 2))
    return {name: np.array(table, dtype=np.float32) for name, table in rows.items()}


@lru_cache(maxsize=1)
def _body_tables() -> dict[str, np.ndarray]:
    """Profiles over v in [-1, 1], (TABLE,) float32: half widths and edge slopes of body and antennae."""
    v = (np.arange(draw.TABLE) + 0.5) * (2.0 / draw.TABLE) - 1.0

    def bump(at, length, width):
        """An ellipse's half width, 0 beyond its ends."""
        return width * np.sqrt(np.maximum(1.0 - ((v - at) / length) ** 2, 0.0))

    body = np.maximum.reduce([bump(-0.20, 0.31, 0.055), bump(0.11, 0.16, 0.082), bump(0.30, 0.068, 0.062)])
    rings = 0.5 + 0.5 * np.cos((v + 0.04) * 60.0)
    reach = np.clip((v - 0.32) / 0.42, 0.0, 1.0)
    feeler = 0.02 + 0.13 * reach + 0.15 * reach**2
    tables = {
        "body": np.where(body > 0, body, -1.0),
        "body_slope": 1 / np.hypot(1.0, np.gradient(body, v)),
        "light": np.where(v < -0.05, 0.25 + 0.5 * rings, 0.6),
        "feeler": feeler,
        "feeler_slope": 1 / np.hypot(1.0, np.gradient(feeler, v)),
        "thick": np.where((v > 0.32) & (v < 0.70), 0.011, -1.0),
    }
    return {name: table.astype(np.float32) for name, table in tables.items()}


def _outlines(f: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    shrink = (f["wing_length"] - 1.0)[:, None]
    fore = np.repeat(_FORE[None], len(shrink), axis=0)
    reach = np.clip(_FORE[:, 0] / 0.6, 0.0, 1.0)
    fore[..., 0] *= 1.0 + reach * shrink
    fore[..., 1] *= 1.0 + reach * 0.6 * shrink
    return draw.curve(fore), draw.curve(_HIND + f["tail"][:, None, None] * _TAIL)


def _colours(f: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    wing = draw.palette(f["wing_hue"], _WING, 300.0)
    root = _ROOT[f["pattern"].astype(int)][:, None]
    ink = draw.mix(wing * 0.27, [0.08, 0.03, 0.07], 0.45)
    light, dark = draw.mix(wing, [1.0, 0.97, 0.86], np.abs(root)), draw.mix(wing, ink, np.abs(root))
    return {
        "wing": wing,
        "deep": wing * wing * 0.72,
        "ink": ink,
        "light": draw.mix(wing, [1.0, 0.98, 0.9], 0.45),
        "pale": draw.palette(f["pattern_hue"], _PALE, 240.0),
        "root": np.where(root > 0, light, dark),
        "fur": draw.mix(ink, [0.80, 0.62, 0.48], 0.6),
    }


def paint(f: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Pictures (k, 3, size, size) float32 in [0, 1] for factor columns `f`, each (k,)."""
    canvas = draw.backdrop(f["background_hue"], f["background_light"], size)
    fore, hind = _outlines(f)
    squeeze = np.sin(np.radians(f["spread"]))
    outline = np.concatenate([fore, hind], axis=1)
    reach = np.hypot(outline[..., 0] * squeeze[:, None], outline[..., 1]).max(axis=1)
    window = draw.Window(canvas, f["x"], f["y"], (reach * 1.04 + 0.11) * f["size"] + 0.02)
    part = window.read()
    u, v = window.local(np.radians(f["rotation"]), f["size"])
    sharp = draw.per_picture(size * f["size"] / 2.6)  # 1 / (1.3 pixels), in butterfly units
    colours = _colours(f)
    radius = [draw.radius_table(line, pole) for line, pole in zip((hind, fore), _POLES)]
    _paint_wings(part, u, v, sharp, squeeze, colours, f, radius)
    _paint_body(part, np.abs(u), v, sharp, colours)
    window.write(part)
    return canvas


def _paint_wings(part, u, v, sharp, squeeze, colours, f, radius):
    """Shadow, hindwings, forewings and all that is drawn on them."""
    _cast_shadow(part, u, v, squeeze, f, radius)
    u = np.abs(u) / draw.per_picture(squeeze)
    hind, fore = (
        draw.from_pole(u, v, pole, table, draw.slope_table(table, squeeze)) for pole, table in zip(_POLES, radius)
    )
    # Each pixel belongs to one wing, which is painted once; the seam lies under the forewing's dark rim.
    front = fore.distance < 0
    own = draw.Shape(*(np.where(front, *pair) for pair in zip(fore, hind)))
    first = (np.arange(len(u)) * draw.TABLE)[:, None, None]
    family = (f["pattern"].astype(int) * draw.TABLE)[:, None, None]
    index = own.index - first + family + np.where(front, 0, len(_BORDER) * draw.TABLE)
    angular = {name: table.ravel().take(index) for name, table in _pattern_tables().items()}
    under = draw.clamp(np.float32(6) - fore.rho * np.float32(5)) * np.float32(0.5)  # the forewing's shade on the other
    under[front] = 0
    spots = [_spots(u, v, f, *of_wing) for of_wing in zip(radius, _POLES, (_HIND_SPOTS, _FORE_SPOTS))]
    wing = np.empty_like(part)
    wing[:] = colours["root"].astype(np.float32)[:, :, None, None]
    _paint_pattern(wing, own, angular, under, np.where(front, spots[1], spots[0]), sharp, colours, f)
    draw.blend(part, draw.cover(np.minimum(fore.distance, hind.distance), sharp), wing)


def _paint_pattern(wing, own, angular, under, spots, sharp, colours, f):
    """The scales of a wing, from its root to its border, over `wing` (k, 3, h, w); in place."""
    family, rho = f["pattern"].astype(int), own.rho
    blur, spot_blur = sharp * own.edge, sharp * draw.per_picture(f["spot_size"])
    draw.blend(wing, draw.smooth(draw.clamp(rho * np.float32(1.9) - np.float32(0.25))), colours["wing"])
    draw.blend(wing, angular["ray"] * draw.clamp(np.float32(1.15) - rho) * np.float32(0.5), colours["light"])
    draw.blend(wing, draw.clamp(rho * np.float32(2.2) - np.float32(1.25)) * np.float32(0.55), colours["deep"])
    off = np.abs(rho - draw.per_picture(_BAND_AT[family])) - angular["lobe"] * draw.per_picture(f["band_width"] / 2)
    draw.blend(wing, draw.cover(off, blur * np.float32(0.7)), colours["pale"])
    ink = draw.cover(np.abs(off) - np.float32(0.02), blur) * draw.per_picture(_BAND_INK[family])
    veins = draw.cover(angular["vein"] * own.r - np.float32(0.010), sharp) * draw.per_picture(_VEIN_INK[family])
    for more in (
        veins,
        draw.cover(angular["border"] - rho, blur),
        draw.cover(np.float32(-0.018) - own.distance, sharp),
        draw.cover(spots - np.float32(1), spot_blur),
        under,
    ):
        np.maximum(ink, more, out=ink)
    draw.blend(wing, ink, colours["ink"])
    along, across = angular["cell"] * own.r, (np.float32(0.5) * angular["border"] + np.float32(0.5) - rho) * own.edge
    pale = draw.cover(np.sqrt(along * along + across * across) - angular["dot"], sharp)
    np.maximum(pale, draw.cover(np.abs(spots - np.float32(0.62)) - np.float32(0.2), spot_blur), out=pale)
    draw.blend(wing, pale, colours["pale"])


def _cast_shadow(part, u, v, squeeze, f, radius):
    """A soft shadow down and to the right of the wings, wherever the head points."""
    turn = np.radians(f["rotation"])
    u = np.abs(u - draw.per_picture(0.05 * np.cos(turn) - 0.09 * np.sin(turn))) / draw.per_picture(squeeze)
    v = v + draw.per_picture(0.05 * np.sin(turn) + 0.09 * np.cos(turn))
    rho = np.float32(9)
    for table, pole in zip(radius, _POLES):
        r, index = draw.polar(u, v, pole)
        rho = np.minimum(rho, r / table.astype(np.float32).ravel().take(index))
    draw.shadow(part, rho, softness=3.2, strength=0.30)


def _spots(u, v, f, radius, pole, spots):
    """Distance to the nearest eye-spot of one wing in spot radii, (k, h, w)."""
    angles, family = draw.table_angles(), f["pattern"].astype(int)
    near = []
    for slot in range(2):
        angle, share, radii = spots[family, slot].T
        angle = np.radians(angle)
        out = share * np.array([np.interp(a, angles, row) for a, row in zip(angle, radius)])
        du = u - draw.per_picture(pole[0] + out * np.cos(angle))
        dv = v - draw.per_picture(pole[1] + out * np.sin(angle))
        near.append(np.sqrt(du * du + dv * dv) * draw.per_picture(1.0 / (radii * f["spot_size"])))
    return np.minimum(*near)


def _paint_body(part, u, v, sharp, colours):
    """Body with a soft sheen and rings, then the antennae."""
    index = draw.clamp(v * np.float32(0.5) + np.float32(0.5))
    index = (index * np.float32(draw.TABLE - 0.01)).astype(np.intp)
    tables = {name: table.take(index) for name, table in _body_tables().items()}
    inside = (u - tables["body"]) * tables["body_slope"]
    draw.blend(part, draw.cover(inside, sharp), colours["ink"])
    sheen = draw.clamp(inside * np.float32(-22) - np.float32(0.15)) * tables["light"]
    draw.blend(part, sheen, colours["fur"])
    line = np.abs(u - tables["feeler"]) * tables["feeler_slope"] - tables["thick"]
    du, dv = u - np.float32(0.276), v - np.float32(0.716)  # the clubs, leaning outwards by 45 degrees
    along, across = (du + dv) * np.float32(0.34), (du - dv) * np.float32(0.7)
    club = np.sqrt(along * along + across * across) - np.float32(0.025)
    draw.blend(part, draw.cover(np.minimum(line, club), sharp), colours["ink"])
