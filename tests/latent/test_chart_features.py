import numpy as np
from worlds import CURVED, curved_world

from vae_helpers.data import Attribute, embed_all
from vae_helpers.latent import Features, VectorReader, code_reader

TABLE = tuple(Attribute(name, low=-1.0, high=1.0) for name in "abcdef")


def _numbers(n, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 6))


def test_the_functions_by_hand():
    features = Features((CURVED[2], TABLE[0]), [2, 3], [[0, 3]])
    turn, x = np.radians(30.0), 0.5
    made = features(np.array([[np.cos(turn), np.sin(turn), x]]))[0]
    legendre = [x, (3 * x**2 - 1) / 2, (5 * x**3 - 3 * x) / 2]
    waves = [np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)]
    assert np.allclose(made, [*legendre, *waves, legendre[0] * waves[0]]) and features.width == 8
    assert features.owners()[0].tolist() == [1] * 3 + [0] * 4 and features.owners()[1].tolist() == [1, 2, 3, 1, 1, 2, 2]


def test_products_are_taken_where_there_are_any():
    values = _numbers(600)
    codes = np.stack([values[:, 0] * values[:, 1], values[:, 2], values[:, 3] * values[:, 4]], axis=1)
    features = Features.chosen(TABLE, values, codes)
    owner, degree = features.owners()
    best = {tuple(owner[pair]) for pair in features.pairs[:2]}
    assert best == {(0, 1), (3, 4)} and (degree[features.pairs[:2]] == 1).all()


def test_products_that_only_chance_finds_are_left():
    values = _numbers(600)
    codes = values[:, :3] + np.random.default_rng(1).normal(size=(600, 3))
    assert len(Features.chosen(TABLE, values, codes).pairs) == 0


def test_the_number_of_features_follows_that_of_the_codes():
    for count in (40, 120, 400):
        codes, attributes = curved_world(count, 0)
        features = Features.chosen(CURVED, embed_all(attributes.values, CURVED), codes.numpy().astype(float))
        assert features.width <= max(count // 3, 7)
    binary = np.sign(_numbers(300))
    assert set(Features.chosen(TABLE, binary, binary).degrees) == {1}


def test_gaps_of_many_kinds_are_learnt_together(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 4))
    targets = vectors @ rng.normal(size=(4, 7))
    true = targets.copy()
    targets[rng.random(targets.shape) < 0.25] = np.nan
    solved = []
    monkeypatch.setattr(code_reader, "_CENTRES", 20)
    plain = code_reader.ridge
    monkeypatch.setattr(code_reader, "ridge", lambda f, t: solved.append(t.shape) or plain(f, t))
    read = VectorReader.fit(vectors, targets).read(vectors)
    assert np.sqrt(np.square(read - true).mean()) < 0.1 * true.std() and set(solved) == {(300, 7)}
    targets[20:, 0] = np.nan  # few know this one: by itself
    solved.clear()
    assert np.isfinite(VectorReader.fit(vectors, targets).read(vectors)).all() and len(set(solved)) == 2
