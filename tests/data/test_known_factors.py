"""dSprites and Shapes3D files, made small here, through the same door as everything else."""

import numpy as np
import pytest

from vae_helpers.data import open_known_factors, open_pictures
from vae_helpers.errors import InputError


def opened(path, tmp_path, **options):
    return open_pictures(path, cache_dir=tmp_path / "cache", progress=False, **options)


@pytest.fixture
def dsprites(tmp_path):
    """Three shapes at eight positions: a block whose column is the position and whose height is the shape."""
    shape, position = (grid.ravel() for grid in np.meshgrid(np.arange(1, 4), np.arange(8), indexing="ij"))
    images = np.zeros((24, 64, 64), np.uint8)
    for row in range(24):
        images[row, : shape[row] * 16, position[row] * 8 : position[row] * 8 + 8] = 1
    values = np.stack([np.ones(24), shape, np.full(24, 0.5), np.zeros(24), position / 7, np.zeros(24)], 1)
    np.savez_compressed(tmp_path / "dsprites.npz", imgs=images, latents_values=values, metadata=np.arange(3))
    return tmp_path / "dsprites.npz"


def test_dsprites(dsprites, tmp_path):
    pictures = opened(dsprites, tmp_path, image_size=64)
    assert pictures.name == "dsprites" and len(pictures) == 24 and pictures.duplicates == ()
    names = [factor.name for factor in pictures.factor_table]
    assert names == ["shape", "scale", "orientation", "position_x", "position_y"]
    assert pictures.factors.shape == (24, 5) and pictures.factor_table[0].choices == ("square", "ellipse", "heart")
    assert set(pictures.factors[:, 0]) == {0, 1, 2}
    for shown, (shape, _, _, x, _) in zip(pictures.pictures, pictures.factors):
        expected = np.zeros((64, 64, 3), np.uint8)
        column = round(x * 7) * 8
        expected[: int(shape + 1) * 16, column : column + 8] = 255
        assert (shown == expected).all()


def test_a_limit_takes_the_same_rows_every_time(dsprites, tmp_path):
    part = opened(dsprites, tmp_path, image_size=32, limit=10)
    assert part.pictures.shape == (10, 32, 32, 3) and len(set(part.names)) == 10
    assert part.names == opened(dsprites, tmp_path, image_size=32, limit=10).names
    whole = opened(dsprites, tmp_path, image_size=32)
    rows = [whole.names.index(name) for name in part.names]
    assert (whole.pictures[rows] == part.pictures).all() and (whole.factors[rows] == part.factors).all()


def test_shapes3d(tmp_path):
    h5py = pytest.importorskip("h5py")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (100, 64, 64, 3), np.uint8)
    labels = rng.random((100, 6))
    labels[:, 4] = rng.integers(0, 4, 100)
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file["images"], file["labels"] = images, labels
    pictures = opened(tmp_path / "3dshapes.h5", tmp_path, image_size=64)
    assert pictures.name == "shapes3d" and pictures.factor_table[4].choices[2] == "sphere"
    rows = [int(name.split("/")[1]) for name in pictures.names]
    assert (pictures.pictures == images[rows]).all() and (pictures.factors == labels[rows]).all()


def test_without_h5py_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    (tmp_path / "3dshapes.h5").write_bytes(b"\x89HDF\r\n")
    with pytest.raises(InputError, match="needs the package h5py: install it with `pip install h5py`"):
        open_known_factors(tmp_path / "3dshapes.h5")


@pytest.mark.parametrize("name", ["missing.npz", "words.npz", "other.npz", "torn.npz"])
def test_other_files_are_one_sentence(tmp_path, dsprites, name):
    if name == "words.npz":
        (tmp_path / name).write_text("not an archive")
    elif name == "other.npz":
        np.savez(tmp_path / name, weights=np.zeros(3))
    elif name == "torn.npz":
        (tmp_path / name).write_bytes(dsprites.read_bytes()[:-200])
    with pytest.raises(InputError, match=name) as caught:
        opened(tmp_path / name, tmp_path)
    assert "\n" not in str(caught.value)


def test_damage_in_the_middle_of_the_pictures(tmp_path, dsprites):
    content = bytearray(dsprites.read_bytes())
    place = content.index(b"imgs.npy") + 120
    content[place : place + 40] = bytes(40)
    (tmp_path / "hurt.npz").write_bytes(content)
    with pytest.raises(InputError, match="hurt.npz.*damaged"):
        opened(tmp_path / "hurt.npz", tmp_path)
