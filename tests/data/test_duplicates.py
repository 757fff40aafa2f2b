"""Near-duplicates: copies that differ in size, quality, light or by mirroring are found; different pictures are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from vae_helpers.data import fingerprints, near_duplicates, synthetic


@pytest.fixture(scope="module")
def photos():
    """Pictures with structure at every scale, as photos have: smooth random fields of three colours."""
    rng = np.random.default_rng(0)
    waves = np.fft.rfftfreq(128)[None] ** 2 + np.fft.fftfreq(128)[:, None] ** 2
    noise = rng.normal(size=(60, 3, 128, 128))
    fields = np.fft.irfft2(np.fft.rfft2(noise) / (waves + 1e-4) ** 0.75, s=(128, 128))
    fields /= fields.std((2, 3), keepdims=True)
    return np.clip(127 + 55 * fields, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def saved(picture, quality):
    memory = io.BytesIO()
    picture.save(memory, "JPEG", quality=quality)
    return Image.open(memory)


CHANGES = {
    "quality": lambda p: saved(p, 30),
    "size": lambda p: p.resize((50, 50)).resize((128, 128)),
    "brightness": lambda p: ImageEnhance.Brightness(p).enhance(1.06),
    "a little crop": lambda p: p.resize((128, 128), box=(1, 1, 127, 127)),
    "mirrored": lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "mirrored, worse": lambda p: saved(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 40),
}


@pytest.mark.parametrize("change", CHANGES)
def test_altered_copies_are_found_and_nothing_else(photos, change):
    copies = np.stack([np.asarray(CHANGES[change](Image.fromarray(photo))) for photo in photos[:30]])
    assert near_duplicates(np.concatenate([photos, copies])) == tuple((i, 60 + i) for i in range(30))


def test_different_pictures_are_left_alone(photos):
    assert near_duplicates(photos) == ()
    assert near_duplicates(photos[:1]) == near_duplicates(photos[:0]) == ()


def test_links_join_into_one_group(photos):
    mixed = np.concatenate([photos[:5], photos[2:3], photos[2:3, :, ::-1], photos[4:5]])
    assert near_duplicates(mixed) == ((2, 5, 6), (4, 7))


def test_plain_pictures_of_different_colours_are_different():
    colours = np.array([[200, 30, 30], [30, 200, 30], [30, 30, 200], [200, 30, 30]], np.uint8)
    assert near_duplicates(np.broadcast_to(colours[:, None, None], (4, 64, 64, 3))) == ((0, 3),)


def test_a_set_of_one_picture_does_not_explode():
    (group,) = near_duplicates(np.full((3000, 16, 16, 3), 90, np.uint8))
    assert group == tuple(range(3000))


def test_the_mirrored_hash_is_the_hash_of_the_mirrored_picture(photos):
    plain, turned = fingerprints(photos[:20]), fingerprints(np.ascontiguousarray(photos[:20, :, ::-1]))
    differing = np.unpackbits((plain.mirrored ^ turned.bits).view(np.uint8), axis=1).sum(1)
    assert differing.max() <= 1  # rounding at the threshold
    assert np.abs(plain.thumbnails[:, :, ::-1].astype(int) - turned.thumbnails).max() <= 1


@pytest.mark.parametrize("size", [12, 30, 100])
def test_sizes_that_eight_does_not_divide(photos, size):
    small = np.stack([np.asarray(Image.fromarray(photo).resize((size, size))) for photo in photos[:10]])
    assert near_duplicates(np.concatenate([small, small[:3]])) == ((0, 10), (1, 11), (2, 12))


def test_drawn_butterflies_rarely_count_as_copies():
    drawn = synthetic.render(synthetic.sample_factors("butterflies", 60, 0), 64, "butterflies")
    assert len(near_duplicates(drawn)) <= 3
