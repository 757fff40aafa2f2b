"""Small picture files for the tests."""

import io

import numpy as np
from PIL import Image

RED, GREEN, BLUE = (200, 30, 40), (20, 180, 60), (30, 50, 190)


def quarters(width=64, height=64):
    """Red top left, green top right, blue bottom left, white bottom right."""
    picture = Image.new("RGB", (width, height), (255, 255, 255))
    picture.paste(RED, (0, 0, width // 2, height // 2))
    picture.paste(GREEN, (width // 2, 0, width, height // 2))
    picture.paste(BLUE, (0, height // 2, width // 2, height))
    return picture


def picture_bytes(kind="JPEG"):
    """A sound file of that format."""
    memory = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(memory, kind)
    return memory.getvalue()


def fill(folder, rows):
    """A picture of 40 pixels for each number, the same whenever it is asked for."""
    folder.mkdir(exist_ok=True)
    for row in rows:
        small = np.random.default_rng(row).integers(0, 256, (6, 6, 3), np.uint8)
        Image.fromarray(small).resize((40, 40), Image.Resampling.BICUBIC).save(folder / f"{row}.png")
    return folder
