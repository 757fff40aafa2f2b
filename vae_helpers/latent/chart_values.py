"""A chart's attributes as embedded numbers (N, E): which can be learnt, what is unknown, how they vary together."""

from __future__ import annotations

import numpy as np

from vae_helpers.data import Attribute, Attributes, canonical_correlation, embed_all, split_embedded, unembed_all

FEWEST = 8  # pictures that must know an attribute
_PER_CHOICE = 3  # pictures for each choice of a category, on average
_LEAST, _CHANCE = 0.1, 1e-3  # a correlation smaller, or likelier by chance, is none


def fill_unknown(embedded: np.ndarray, read: np.ndarray, table: tuple[Attribute, ...]) -> np.ndarray:
    """Unknown cells become what was read, as an embedding that a value can have."""
    return np.where(np.isnan(embedded), embed_all(unembed_all(read, table), table), embedded)


def clip_embedded(embedded: np.ndarray, attribute: Attribute) -> np.ndarray:
    """Bring (n, E) back to where values can be; a category may be partly one and partly another."""
    if attribute.kind == "number":
        return embedded.clip(-1, 1)
    if attribute.kind == "circular":
        return embedded / np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), 1e-9)
    shares = embedded.clip(0, 1)
    return shares / shares.sum(axis=1, keepdims=True)


def interpolated(ends: np.ndarray, attribute: Attribute, share: np.ndarray) -> np.ndarray:
    """Between two embedded values (2, E) at shares of the way (n, 1): (n, E); see `Chart.path`."""
    if attribute.kind == "number":
        return (1 - share) * ends[0] + share * ends[1]
    if attribute.kind == "category":
        return np.where(share < 0.5, ends[0], ends[1])
    start, turn = np.arctan2(ends[0, 1], ends[0, 0]), np.arctan2(ends[1, 1], ends[1, 0])
    angle = start + share * ((turn - start + np.pi) % (2 * np.pi) - np.pi)
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=1)


def unlearnable(attributes: Attributes) -> dict[str, str]:
    """The attributes that cannot be learnt, each with the reason."""
    why = {}
    for attribute, column in zip(attributes.table, attributes.values.T):
        known = column[~np.isnan(column)]
        if len(known) < FEWEST:
            why[attribute.name] = f"is known of {len(known)} training pictures only, and {FEWEST} are needed"
        elif len(different := np.unique(known)) < 2 or attribute.low == attribute.high:
            why[attribute.name] = "is the same in every training picture"
        elif attribute.choices and len(known) < _PER_CHOICE * len(different):
            why[attribute.name] = f"has {len(different)} choices in {len(known)} training pictures, too many to learn"
    return why


def shared_covariance(embedded: np.ndarray, table: tuple[Attribute, ...]) -> np.ndarray:
    """Covariance of embedded attributes (N, E); blocks of two attributes that chance explains are 0."""
    from scipy.stats import chi2

    covariance = np.atleast_2d(np.cov(embedded.T))
    places = np.split(np.arange(embedded.shape[1]), np.cumsum([a.width for a in table])[:-1])
    for i, a in enumerate(places):
        for b in places[:i]:
            r = canonical_correlation(embedded[:, a], embedded[:, b])
            likely = chi2.sf(len(embedded) * r**2, len(a) * len(b)) > _CHANCE
            if likely or abs(r) < _LEAST:
                covariance[np.ix_(a, b)] = covariance[np.ix_(b, a)] = 0
    return covariance


def seen_columns(embedded: np.ndarray, table: tuple[Attribute, ...]) -> np.ndarray:
    """Of embedded attributes (N, E): the choices that a picture has, and True for numbers; bool (E,)."""
    parts = zip(table, split_embedded(embedded, table))
    return np.concatenate([part.any(axis=0) if a.choices else np.ones(a.width, bool) for a, part in parts])
