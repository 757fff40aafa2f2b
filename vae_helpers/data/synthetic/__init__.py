"""The built-in picture sets: butterflies and animal faces drawn from known factors.

A picture is a pure function of its factor vector, and row i of the factors depends on (set, seed, i) alone.
"""

from __future__ import annotations

import numpy as np

from vae_helpers.data.synthetic import animals, butterflies
from vae_helpers.data.synthetic.shapes import Factor
from vae_helpers.errors import InputError

DRAWING_VERSION = 1  # to be raised with every change of what is drawn, so that no cache keeps the old pictures
_DRAWN_BY = {"butterflies": butterflies, "animals": animals}
SETS: dict[str, tuple[Factor, ...]] = {name: module.FACTORS for name, module in _DRAWN_BY.items()}
_PIXELS_AT_ONCE = 4 * 128 * 128  # keeps the working arrays of a chunk inside a core's cache


def _table(set_name: str) -> tuple[Factor, ...]:
    if set_name not in SETS:
        raise InputError(f"there is no built-in picture set {set_name!r}: choose one of: {', '.join(SETS)}.") from None
    return SETS[set_name]


def sample_factors(set_name: str, n: int, seed: int = 0) -> np.ndarray:
    """Independent, uniform factor vectors, float64 (n, F); row i depends on (set_name, seed, i) alone.

    The bits are PCG64's raw stream, which numpy promises not to change. Raises InputError for an unknown set, a
    negative n or a negative seed.
    """
    table = _table(set_name)
    for label, value in (("n", n), ("seed", seed)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise InputError(f"{label} must be a whole number of at least 0, not {value!r}.") from None
    bits = np.random.PCG64(np.random.SeedSequence([int(seed), *set_name.encode()]))
    raw = bits.random_raw(int(n) * len(table)).reshape(int(n), len(table))
    share = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53
    for column, factor in zip(share.T, table):
        if factor.choices:
            column[:] = np.floor(column * len(factor.choices))
        else:
            column[:] = factor.low + column * (factor.high - factor.low)
    return share


def _checked(factors: np.ndarray, table: tuple[Factor, ...], set_name: str) -> np.ndarray:
    try:
        rows = np.asarray(factors, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"the factors of {set_name!r} must be an array of numbers, one row per picture.") from None
    if rows.ndim != 2 or rows.shape[1] != len(table):
        raise InputError(
            f"the factors of {set_name!r} must have shape (n, {len(table)}), not {rows.shape}; "
            "sample_factors gives the right one."
        ) from None
    for column, factor in zip(rows.T, table):
        bad = ~((column >= factor.low) & (column <= factor.high))
        if factor.choices:
            bad |= column != np.floor(column)
        if bad.any():
            row = int(np.argmax(bad))
            kind = "a whole number from" if factor.choices else "in"
            raise InputError(
                f"factor {factor.name!r} of row {row} is {column[row]:g} but must be {kind} "
                f"{factor.low:g} to {factor.high:g} ({factor.unit})."
            ) from None
    return rows


def render(factors: np.ndarray, size: int = 128, set_name: str = "butterflies") -> np.ndarray:
    """Pictures uint8 (n, size, size, 3) of factor rows (n, F); n may be 0.

    Pixels see only exactly rounded float32 operations; the small tables behind them hold float64 sines, where two
    machines, and batches of under 8 rows, may differ in the last bit. A channel that lands on a rounding tie may then
    differ by one level, and one of a few thousand, at an edge, by more.
    Raises InputError for an unknown set, a wrong number of columns, values out of range or NaN, and size < 16.
    """
    table = _table(set_name)
    rows = _checked(factors, table, set_name)
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 16:
        raise InputError(f"size must be a whole number of pixels of at least 16, not {size!r}.") from None
    pictures = np.empty((len(rows), size, size, 3), dtype=np.uint8)
    # Allocated and freed untouched: from then on glibc keeps freed blocks up to this size for the next step instead of
    # handing them back to the kernel, which otherwise costs half of the time in page faults.
    np.empty(1 << 24, dtype=np.uint8)
    chunk = max(1, _PIXELS_AT_ONCE // (size * size))
    for first in range(0, len(rows), chunk):
        canvas = _painted(rows[first : first + chunk], size, set_name)
        canvas *= np.float32(255)
        canvas += np.float32(0.5)
        pictures[first : first + chunk] = canvas.transpose(0, 2, 3, 1)
    return pictures


def paint(factors: np.ndarray, size: int = 128, set_name: str = "butterflies") -> np.ndarray:
    """Like `render`, before rounding: float32 (n, 3, size, size) in [0, 1], n at least 1."""
    rows = _checked(factors, _table(set_name), set_name)
    chunk = max(1, _PIXELS_AT_ONCE // (size * size))
    return np.concatenate(
        [_painted(rows[first : first + chunk], size, set_name) for first in range(0, len(rows), chunk)]
    )


def _painted(rows: np.ndarray, size: int, set_name: str) -> np.ndarray:
    columns = {factor.name: rows[:, j] for j, factor in enumerate(_table(set_name))}
    return _DRAWN_BY[set_name].paint(columns, size)
