"""The animals: friendly faces of cats, foxes and bears, every picture a function of its factors.

Face coordinates: u across, v up, the head about the origin; at size 1 a unit is half a picture. The face's features
live on (side, v), where `side` is u seen through the turn of the head; most of them are mirrored, |side|.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vae_helpers.data.synthetic import shapes as draw
from vae_helpers.data.synthetic.shapes import Factor

FACTORS = (
    Factor("fur_hue", 0.0, 300.0, "degrees on the fur palette, chocolate to rose"),
    Factor("muzzle_hue", 0.0, 240.0, "degrees on the pale palette, cream to ice"),
    Factor("eye_hue", 0.0, 240.0, "degrees on the iris palette, amber to violet"),
    Factor("eye_size", 0.11, 0.165, "eye radius / half head"),
    Factor("ear_length", 0.75, 1.2, "ear length, 1 = the plain ear"),
    Factor("face_width", 0.86, 1.12, "head width, 1 = the plain head"),
    Factor("muzzle_size", 0.75, 1.2, "muzzle width, 1 = the plain muzzle"),
    Factor("mark_size", 0.6, 1.4, "width of the coat's marks, 1 = plain"),
    Factor("turn", -30.0, 30.0, "degrees, positive looks to the right"),
    Factor("tilt", -20.0, 20.0, "degrees, positive leans to the left"),
    Factor("size", 0.72, 0.92, "half head / half picture"),
    Factor("background_hue", 0.0, 300.0, "degrees on the backdrop palette, peach to rose"),
    Factor("background_light", 0.0, 1.0, "0 = dusk, 1 = bright day"),
    Factor("species", 0.0, 2.0, "shape of head and ears", ("cat", "fox", "bear")),
    Factor("coat", 0.0, 2.0, "kind of marks", ("blaze", "stripes", "patches")),
)
# fmt: off
_FUR = [(130, 78, 54), (206, 92, 44), (246, 144, 44), (247, 196, 84), (156, 200, 128), (88, 184, 182), (96, 148, 226),
        (142, 120, 220), (206, 112, 190), (242, 120, 138)]
# fmt: on
_PALE = [(255, 244, 214), (255, 226, 204), (255, 216, 226), (232, 222, 255), (214, 240, 250)]
_IRIS = [(240, 164, 24), (150, 190, 40), (36, 176, 120), (40, 142, 226), (138, 88, 220)]
_POLE = (-0.01, -0.10)
# fmt: off
_HEADS = np.array([  # half outlines of cat, fox and bear, from the top down
    [(-0.01, 0.46), (0.24, 0.45), (0.48, 0.33), (0.64, 0.08), (0.68, -0.18), (0.55, -0.42), (0.28, -0.58),
     (-0.01, -0.62)],
    [(-0.01, 0.44), (0.26, 0.42), (0.48, 0.29), (0.63, 0.06), (0.76, -0.20), (0.50, -0.42), (0.22, -0.64),
     (-0.01, -0.72)],
    [(-0.01, 0.50), (0.28, 0.47), (0.54, 0.31), (0.67, 0.02), (0.69, -0.28), (0.53, -0.52), (0.26, -0.64),
     (-0.01, -0.67)],
])
# fmt: on
# Ears, mirrored about their own axis: half outlines, and per species the base (u, v) and the lean in degrees.
_EARS = np.array(
    [
        [(-0.01, 0.50), (0.035, 0.47), (0.10, 0.33), (0.185, 0.10), (0.235, -0.12), (0.16, -0.26), (-0.01, -0.30)],
        [(-0.01, 0.60), (0.03, 0.565), (0.10, 0.38), (0.185, 0.12), (0.225, -0.12), (0.16, -0.26), (-0.01, -0.30)],
        [(-0.01, 0.25), (0.10, 0.23), (0.20, 0.14), (0.24, 0.00), (0.20, -0.14), (0.10, -0.23), (-0.01, -0.25)],
    ]
)
_EAR_AT = np.array([(0.42, 0.33, 20.0), (0.40, 0.33, 17.0), (0.50, 0.36, 42.0)])
_TUFTS = np.array([0.055, 0.070, 0.000])  # depth of the tufts on the cheeks
_TIP = np.array([0.0, 0.85, 0.0])  # how dark the ear tips are
_CHEEK = np.array([0.0, 1.0, 0.0])  # the fox's pale cheeks
_WHISKER = np.array([0.65, 0.45, 0.0])  # how dark the whiskers are
_EYE_AT = np.array([0.285, 0.275, 0.255])
_SLIT = np.array([2.6, 1.8, 1.0])  # how narrow the pupils are
_NOSE = np.array([0.075, 0.085, 0.115])
_STRIPES = (90.0, 63.0, 38.0, -2.0, -24.0)  # degrees


@lru_cache(maxsize=1)
def _tables() -> dict[str, np.ndarray]:
    """Float32 (TABLE,): the angle to the nearest stripe, and the half width of a blaze over v in [-1, 1]."""
    angle = draw.table_angles()
    stripe = np.min([np.abs(angle - a) for a in np.radians(_STRIPES)], axis=0)
    v = (np.arange(draw.TABLE) + 0.5) * (2.0 / draw.TABLE) - 1.0
    line = draw.curve(
        np.array(
            [
                [
                    (-0.72, 0.20),
                    (-0.55, 0.34),
                    (-0.36, 0.36),
                    (-0.16, 0.23),
                    (0.06, 0.105),
                    (0.28, 0.115),
                    (0.46, 0.17),
                    (0.60, 0.20),
                ]
            ]
        )
    )[0]
    blaze = np.interp(v, line[:, 0], line[:, 1])
    return {"stripe": stripe.astype(np.float32), "blaze": blaze.astype(np.float32)}


def _colours(f: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    fur = draw.palette(f["fur_hue"], _FUR, 300.0)
    pale = draw.palette(f["muzzle_hue"], _PALE, 240.0)
    iris = draw.palette(f["eye_hue"], _IRIS, 240.0)
    ink = draw.mix(fur * 0.22, [0.10, 0.06, 0.08], 0.6)
    dark = draw.mix(fur * fur * 0.55, ink, 0.25)
    blaze = (f["coat"] == 0)[:, None]
    return {
        "fur": fur,
        "shade": draw.mix(fur * fur, fur, 0.35) * 0.92,
        "light": draw.mix(fur, [1.0, 0.97, 0.9], 0.30),
        "pale": pale,
        "muzzle": draw.mix(pale, 1.0, 0.4),
        "blush": draw.mix(pale, [0.96, 0.50, 0.52], 0.55),
        "dark": dark,
        "mark": np.where(blaze, pale, dark),
        "ink": ink,
        "iris": iris,
        "glow": draw.mix(iris, 1.0, 0.45),
        "nose": draw.mix(ink, [0.55, 0.26, 0.28], 0.35),
        "white": np.ones_like(fur),
    }


class _Shapes:
    """Tables of one chunk: head outline, ear outline, and where things are."""

    def __init__(self, f: dict[str, np.ndarray]):
        self.species = f["species"].astype(int)
        ones = np.ones(len(self.species))
        heads = _HEADS[self.species] * np.stack([f["face_width"], ones], axis=1)[:, None]
        angle = draw.table_angles()
        cheek = np.exp(-(((np.degrees(angle) + 22.0) / 20.0) ** 2))
        tufts = 1.0 + _TUFTS[self.species][:, None] * cheek * (0.7 - 1.4 * np.abs(np.sin(angle * 8.0)))
        self.head = draw.radius_table(draw.curve(heads), _POLE) * tufts
        self.head_slope = draw.slope_table(self.head, ones)
        ears = _EARS[self.species] * np.stack([ones, f["ear_length"]], axis=1)[:, None]
        self.ear = draw.radius_table(draw.curve(ears), (-0.01, 0.0))
        self.ear_slope = draw.slope_table(self.ear, ones)
        self.ear_at = _EAR_AT[self.species] * np.stack([f["face_width"], ones, ones], axis=1)


def _ear_frame(u, v, shapes):
    """Pixels in the frame of the nearer ear: across its axis (>= 0) and along it."""
    at_u, at_v, lean = shapes.ear_at.T
    du, dv = np.abs(u) - draw.per_picture(at_u), v - draw.per_picture(at_v)
    sin, cos = (draw.per_picture(w(np.radians(lean))) for w in (np.sin, np.cos))
    return np.abs(du * cos - dv * sin), du * sin + dv * cos


def paint(f: dict[str, np.ndarray], size: int) -> np.ndarray:
    """Pictures (k, 3, size, size) float32 in [0, 1] for factor columns `f`, each (k,)."""
    canvas = draw.backdrop(f["background_hue"], f["background_light"], size)
    tilt = np.radians(f["tilt"])
    drop = 0.15 * f["size"]  # ears reach higher than the chin: put the middle of both in the middle
    centre = drop * np.sin(tilt), -drop * np.cos(tilt)
    turn = np.sin(np.radians(f["turn"]))
    sharp = draw.per_picture(size * f["size"] / 2.6)  # 1 / (1.3 pixels), in face units
    colours, shapes = _colours(f), _Shapes(f)

    window = draw.Window(canvas, *centre, 1.10 * f["size"] + 0.06)
    part = window.read()
    u, v = window.local(tilt, f["size"])
    _cast_shadow(part, u, v, f, shapes)
    _paint_ears(part, u + draw.per_picture(0.10 * turn), v, sharp, colours, shapes)
    _paint_head(part, u, v, sharp, colours, f, shapes)
    window.write(part)

    # Eyes and muzzle fill a third of that window: paint them in one of their own.
    window = draw.Window(canvas, *centre, 0.86 * f["size"])
    part = window.read()
    u, v = window.local(tilt, f["size"])
    head = draw.from_pole(np.abs(u), v, _POLE, shapes.head, shapes.head_slope)
    side = _side(u, turn)
    _paint_muzzle(part, side, v, sharp, colours, f, shapes, draw.cover(head.distance, sharp))
    _paint_eyes(part, side, v, sharp, colours, f, shapes)
    window.write(part)
    return canvas


def _side(u, turn):
    """u on a head turned by asin(`turn`): the middle moves most, the edges stay."""
    return u - draw.per_picture(0.42 * turn) * draw.clamp(np.float32(1) - u * u * np.float32(1.9))


def _cast_shadow(part, u, v, f, shapes):
    tilt = np.radians(f["tilt"])
    u = u - draw.per_picture(0.05 * np.cos(tilt) - 0.09 * np.sin(tilt))
    v = v + draw.per_picture(0.05 * np.sin(tilt) + 0.09 * np.cos(tilt))
    r, index = draw.polar(np.abs(u), v, _POLE)
    draw.shadow(part, r / shapes.head.astype(np.float32).ravel().take(index), softness=4, strength=0.28)


def _paint_ears(part, u, v, sharp, colours, shapes):
    across, along = _ear_frame(u, v, shapes)
    shape = draw.from_pole(across, along, (-0.01, 0.0), shapes.ear, shapes.ear_slope)
    rho = shape.rho
    ear = np.empty_like(part)
    ear[:] = colours["fur"].astype(np.float32)[:, :, None, None]
    draw.blend(ear, draw.clamp(rho * np.float32(2.4) - np.float32(1.5)) * np.float32(0.6), colours["shade"])
    tip = draw.clamp(along * np.float32(7) - np.float32(1.3))
    draw.blend(ear, draw.smooth(tip) * draw.per_picture(_TIP[shapes.species]), colours["dark"])
    draw.blend(ear, draw.cover((rho - np.float32(0.66)) * np.float32(0.3), sharp), colours["pale"])
    deep = draw.clamp((np.float32(0.66) - rho) * np.float32(2.2))
    draw.blend(ear, deep * np.float32(0.9), colours["blush"])
    draw.blend(part, draw.cover(shape.distance, sharp), ear)


def _paint_head(part, u, v, sharp, colours, f, shapes):
    shape = draw.from_pole(np.abs(u), v, _POLE, shapes.head, shapes.head_slope)
    side = _side(u, np.sin(np.radians(f["turn"])))
    head = np.empty_like(part)
    head[:] = colours["fur"].astype(np.float32)[:, :, None, None]
    x, y = u + np.float32(0.15), v - np.float32(0.22)
    draw.blend(head, draw.clamp(np.float32(0.75) - (x * x + y * y) * np.float32(2.2)), colours["light"])
    rim = draw.smooth(draw.clamp(shape.rho * np.float32(2.6) - np.float32(1.7)))
    draw.blend(head, rim * np.float32(0.75), colours["shade"])
    away = np.abs(side)
    cheek = draw.clamp((np.float32(-0.22) - v + away * np.float32(0.40)) * np.float32(14))
    draw.blend(head, cheek * draw.per_picture(_CHEEK[shapes.species]), colours["pale"])
    draw.blend(head, _coat(side, v, sharp, f, shapes, shape), colours["mark"])
    x, y = away - np.float32(0.43), v + np.float32(0.25)
    blush = draw.clamp(np.float32(1) - (x * x + y * y * np.float32(1.6)) * np.float32(60))
    draw.blend(head, blush * np.float32(0.5), colours["blush"])
    draw.blend(part, draw.cover(shape.distance, sharp), head)


def _coat(side, v, sharp, f, shapes, shape):
    """Where the marks are: a pale blaze, dark stripes, or dark patches about the eyes."""
    away, mark = np.abs(side), draw.per_picture(f["mark_size"])
    index = draw.clamp(v * np.float32(0.5) + np.float32(0.5)) * np.float32(draw.TABLE - 0.01)
    blaze = away - _tables()["blaze"].take(index.astype(np.intp)) * mark
    first = (np.arange(len(side)) * draw.TABLE)[:, None, None]
    width = mark * draw.clamp(shape.rho * np.float32(1.5) - np.float32(0.85)) * np.float32(0.10)
    stripe = _tables()["stripe"].take(shape.index - first) * shape.r - width
    stripe += draw.clamp(np.float32(6) - shape.rho * np.float32(10))  # none near the middle of the face
    du, dv = away - draw.per_picture(_EYE_AT[shapes.species]), v - np.float32(0.03)
    dv += du * np.float32(0.5)
    patch = np.sqrt(du * du * np.float32(1.5) + dv * dv) - mark * np.float32(0.215)
    coat = f["coat"][:, None, None]
    return draw.cover(np.where(coat == 0, blaze, np.where(coat == 1, stripe, patch)), sharp * np.float32(0.6))


def _paint_muzzle(part, side, v, sharp, colours, f, shapes, inside):
    away, wide = np.abs(side), draw.per_picture(f["muzzle_size"])
    du, dv = away / wide - np.float32(0.11), v + np.float32(0.35)
    lobe = np.sqrt(du * du + dv * dv * np.float32(1.5)) - np.float32(0.215)
    # The soft shade about it keeps the muzzle visible where the fur is as pale as the muzzle itself.
    draw.blend(part, draw.clamp(np.float32(1) - lobe * np.float32(9)) * inside * np.float32(0.42), colours["fur"])
    draw.blend(part, draw.cover(lobe, sharp) * inside, colours["muzzle"])
    out = away - np.float32(0.20)
    fan = [np.abs(v + np.float32(0.34) - out * np.float32(slope)) for slope in (-0.22, 0.02, 0.26)]
    whisker = np.maximum(np.minimum.reduce(fan) - np.float32(0.008), np.abs(out - np.float32(0.31)) - np.float32(0.20))
    draw.blend(part, draw.cover(whisker, sharp) * draw.per_picture(_WHISKER[shapes.species]), colours["ink"])
    half = draw.per_picture(_NOSE[shapes.species])
    du, dv = away / half, (v + np.float32(0.235)) / (half * np.float32(0.72))
    du *= np.float32(1.08) - np.float32(0.22) * dv  # wider above than below
    nose = np.sqrt(du * du + dv * dv) - np.float32(1)
    reach = wide * np.float32(0.09)
    du, dv = away - reach, v + np.float32(0.375)
    mouth = np.maximum(np.abs(np.sqrt(du * du + dv * dv) - reach), dv) - np.float32(0.014)
    line = np.maximum(away, np.abs(v + np.float32(0.33)) - np.float32(0.04)) - np.float32(0.014)
    draw.blend(part, draw.cover(np.minimum(mouth, line), sharp), colours["nose"])
    draw.blend(part, draw.cover(nose * half * np.float32(0.8), sharp), colours["nose"])
    dv = v + np.float32(0.205)
    shine = draw.clamp(np.float32(1) - (away * away * np.float32(0.4) + dv * dv) * np.float32(1800))
    draw.blend(part, shine * np.float32(0.55), colours["white"])


def _paint_eyes(part, side, v, sharp, colours, f, shapes):
    eye = draw.per_picture(_EYE_AT[shapes.species])
    radius = draw.per_picture(f["eye_size"])
    du, dv = (np.abs(side) - eye) / radius, (v - np.float32(0.02)) / radius
    blur = sharp * radius
    q = np.sqrt(du * du * np.float32(1.08) + dv * dv)
    draw.blend(part, draw.cover(q - np.float32(1), blur), colours["ink"])
    draw.blend(part, draw.cover(q - np.float32(0.84), blur), colours["iris"])
    low = draw.clamp(-dv * np.float32(1.1)) * draw.cover(q - np.float32(0.84), blur)
    draw.blend(part, low, colours["glow"])
    narrow = du * draw.per_picture(_SLIT[shapes.species])
    pupil = np.sqrt(narrow * du + dv * dv * np.float32(0.7)) - np.float32(0.50)
    draw.blend(part, draw.cover(pupil, blur), colours["ink"])
    toward = np.copysign(du, du * side) + np.float32(0.30)
    shine = np.sqrt(toward * toward + (dv - np.float32(0.36)) ** 2) - np.float32(0.25)
    draw.blend(part, draw.cover(shine, blur), colours["white"])
