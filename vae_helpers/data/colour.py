"""A picture in any of Pillow's modes to 8-bit sRGB, and what had to be done for that."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from vae_helpers.data.kinds import Unreadable
from vae_helpers.errors import printable

WHITE = (255, 255, 255)
DARK_BITS = 14  # what uses no more than these of 16 bits comes out below a quarter of the brightness
BAD_PROFILE = "has a colour profile that cannot be used"
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}  # of a profile => Pillow's mode
_SRGB = 2  # levels: a profile that changes colours by no more says sRGB in other words


def flatten(picture: Image.Image) -> tuple[Image.Image, str | None]:
    """Load a picture as L, LA, RGB, RGBA, CMYK or LAB of 8 bits, and a note if its depth makes it dark."""
    tile = getattr(picture, "tile", ())  # Pillow forgets it once the picture is loaded
    raw = str(tile[0][3]) if tile else ""
    picture.load()
    mode, clear = picture.mode, picture.has_transparency_data
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _from_deep(picture)
    if mode in ("RGBa", "La"):
        picture = picture.convert(mode.upper())
    elif mode == "L" and clear:
        picture = picture.convert("LA")
    elif mode == "1" and not clear:
        picture = picture.convert("L")
    elif mode not in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB") or mode == "RGB" and clear:
        picture = picture.convert("RGBA" if clear else "RGB")
    # Pillow keeps the upper 8 of 16 bits of each colour.
    return picture, _dark(picture) if ";16" in raw else None


def to_srgb(picture: Image.Image, profile: bytes) -> tuple[Image.Image, str | None]:
    """What `flatten` gave to RGB: its ICC `profile` applied, then laid on white; and a note on the profile."""
    alpha = picture.getchannel("A") if picture.mode in ("LA", "RGBA") else None
    colours, note = picture.convert({"LA": "L", "RGBA": "RGB"}.get(picture.mode, picture.mode)), None
    if profile or colours.mode == "LAB":
        try:
            change, mode, note = _change(profile, colours.mode)
            if change is not None:
                colours = ImageCms.applyTransform(colours.convert(mode), change)
        except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
            if colours.mode == "LAB":
                raise Unreadable("has L*a*b* colours that cannot be converted") from None
            note = BAD_PROFILE
    colours = colours.convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", colours.size, WHITE)
        white.paste(colours, mask=alpha)
        colours = white
    return colours, note


@lru_cache(maxsize=16)
def _change(profile: bytes, mode: str) -> tuple[ImageCms.ImageCmsTransform | None, str, str | None]:
    """`(transform to sRGB or None, the mode it takes, note)` of a profile for pictures of `mode`."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile) if profile else ImageCms.createProfile("LAB"))
    space = source.profile.xcolor_space.strip()
    takes = _SPACES.get(space)
    if takes != mode and (takes, mode) != ("RGB", "L"):  # grey pictures often keep the profile they had in colour
        return None, mode, BAD_PROFILE
    change = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), takes, "RGB")
    if takes in ("RGB", "L"):
        probe = Image.fromarray(_probe()).convert(takes)
        after = np.asarray(ImageCms.applyTransform(probe, change), int)
        if np.abs(after - np.asarray(probe.convert("RGB"))).max() <= _SRGB:
            return None, mode, None
    name = printable(ImageCms.getProfileDescription(source).strip())[:40] if profile else "L*a*b*"
    return change, takes, f"was converted from {name or space} to sRGB"


def _probe() -> np.ndarray:
    """Colours over the whole range and all greys, uint8 `(1, N, 3)`."""
    steps = np.arange(0, 256, 51)
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(1, -1, 3)
    return np.concatenate([cube, np.arange(256)[None, :, None].repeat(3, 2)], 1).astype(np.uint8)


def _dark(picture: Image.Image) -> str | None:
    ranges = np.atleast_2d(picture.getextrema())[: {"RGB": 3, "RGBA": 3, "L": 1, "LA": 1}.get(picture.mode, 0)]
    # What was under 256 of 65,536 is 0 by now.
    return _dark_note(int(ranges.max()).bit_length() + 8) if len(ranges) else None


def _dark_note(bits: int) -> str | None:
    if bits > DARK_BITS:
        return None
    return f"uses at most {bits} of its 16 bits, so it is dark: spread its values over all 16 or save it with 8"


def _from_deep(picture: Image.Image) -> tuple[Image.Image, str | None]:
    """Grey of more than 8 bits to L by a fixed scale, so that equal values stay equal between pictures."""
    values = np.asarray(picture)
    low, high = float(values.min()), float(values.max())
    if picture.mode == "F":
        if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 255:
            raise Unreadable("has floating-point values outside 0 to 1 and 0 to 255")
        return _grey(values * (255.0 if high <= 1 else 1.0)), None
    if low < 0 or high > 65535:
        raise Unreadable("has 32-bit values; save it with 8 or 16 bits")
    tags = getattr(picture, "tag_v2", {})
    deep = 12 if tuple(tags.get(258, ())) == (12,) else 16
    grey = values.astype(np.float32) * (255.0 / (2**deep - 1))
    if picture.mode != "I" and tags.get(262) == 0:  # white is zero; Pillow minds that with 8 bits only
        return _grey(255 - grey), None
    return _grey(grey), _dark_note(int(high).bit_length()) if deep == 16 and high else None


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(values).astype(np.uint8))
