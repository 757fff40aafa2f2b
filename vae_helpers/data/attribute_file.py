"""Attributes from a table in a text file: CSV of any delimiter, and CelebA's lists as they are."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from vae_helpers.data.attribute_table import Attribute, Attributes, ranged
from vae_helpers.errors import InputError
from vae_helpers.files import say

_MISSING = {"", "na", "n/a", "nan", "none", "null", "?", "-"}
_MOST_CHOICES = 200


class _Table(NamedTuple):
    """A file's cells: column names without the first, and `(line number, picture, cells)` per row."""

    columns: tuple[str, ...]
    rows: list[tuple[int, str, list[str]]]


def read_attributes(path: Path | str, names: Sequence[str]) -> Attributes:
    """The table in a file, one row for each of the pictures `names` (N,), unknown where the file says nothing.

    The first column is a picture's path, or its file name with or without the suffix; the others are numbers, ±1, or
    words, which make a category. Comma, semicolon, tab or spaces part the cells. CelebA's lists (a line with the count,
    a line of names without the first) open too, as do lists without a line of names. One line on stderr counts the
    pictures and rows without a partner. Raises InputError for a missing, empty or binary file, a ragged line, a cell
    that is no number in a column of numbers, a picture or a column named twice, and where no row names a picture.
    """
    path = Path(path).expanduser()
    table = _parse(path, _lines(path))
    found, unknown = _matched(path, table, names)
    if not found:
        raise InputError(
            f"none of the {len(table.rows):,} rows of {path.name} names a picture of this set (the first "
            f"row is {table.rows[0][1]!r}, the first picture {names[0] if names else 'missing'!r}): give "
            "paths below the folder, or file names."
        )
    columns = [
        _column(path, name, [(line, cells[i]) for line, _, cells in table.rows]) for i, name in enumerate(table.columns)
    ]
    rows = np.full(len(names), -1)
    for picture, row in found.items():
        rows[picture] = row
    values = np.stack([column for column, _ in columns], axis=1)
    values = np.where(rows[:, None] >= 0, values[rows], np.nan)
    _report(path, len(names) - len(found), unknown, int(np.isnan(values[rows >= 0]).sum()))
    made = [
        Attribute(name, "", "category" if choices else "number", 0.0, len(choices) - 1.0, choices, path.name)
        for name, (_, choices) in zip(table.columns, columns)
    ]
    return Attributes(values, tuple(ranged(each, column) for each, column in zip(made, values.T)))


def _lines(path: Path) -> list[str]:
    try:
        data = path.read_bytes()
    except OSError as problem:
        reason = "there is no such file" if isinstance(problem, FileNotFoundError) else problem.strerror
        raise InputError(f"the attributes in {path} cannot be read ({reason}): give the path of a CSV file.") from None
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f'{path} is not text in UTF-8: save it as "CSV UTF-8", as spreadsheets call it.') from None
    if "\0" in text:
        raise InputError(f"{path} is no text file: export the table as CSV, and give that.")
    if not text.strip():
        raise InputError(f"{path} is empty: its first column must name pictures, the others hold their attributes.")
    return text.splitlines()


def _parse(path: Path, lines: list[str]) -> _Table:
    """Cells by the delimiter of the first line that has one, with or without a line of names."""
    sample = next((line for line in lines if line.strip() and not line.strip().isdigit()), lines[0])
    delimiter = next((mark for mark in ("\t", ";", ",") if mark in sample), None)
    split = [line.split() for line in lines] if delimiter is None else _split(path, lines, delimiter)
    rows = [(number, [cell.strip() for cell in cells]) for number, cells in enumerate(split, 1) if any(cells)]
    if len(rows) > 1 and len(rows[0][1]) == 1 and rows[0][1][0].isdigit():
        rows = rows[1:]  # CelebA's count of the rows
    width = Counter(len(cells) for _, cells in rows[-1:] + rows[1:101]).most_common(1)[0][0]
    head = rows[0][1]
    if width < 2:
        raise InputError(f"{path} has one column: the first must name pictures, the others hold their attributes.")
    if len(head) == width - 1:
        columns, rows = head, rows[1:]
    elif all(_number(cell) is None for cell in head[1:]) and len(rows) > 1:
        columns, rows = head[1:], rows[1:]
    else:
        columns = [path.stem if width == 2 else f"{path.stem} {i}" for i in range(1, width)]
    for number, cells in rows:
        if len(cells) != width:
            raise InputError(
                f"line {number} of {path.name} has {len(cells)} cells, but the others have {width}: mend "
                "that line (put quotes around a name with a delimiter in it)."
            )
    if not rows:
        raise InputError(f"{path} has a line of names and no rows: add a row for each picture.")
    columns = [name or f"column {i}" for i, name in enumerate(columns, 2)]
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise InputError(f"{path} has two columns called {twice[0]!r}: rename one.")
    return _Table(tuple(columns), [(number, cells[0], cells[1:]) for number, cells in rows])


def _split(path: Path, lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error as problem:
        raise InputError(f"{path} cannot be read as a table ({problem}): export it again as CSV.") from None


def _number(cell: str) -> float | None:
    """A cell as a number, also with a decimal comma; NaN where it says that nothing is known, None for words."""
    if cell.lower() in _MISSING:
        return math.nan
    try:
        number = float(cell.replace(",", ".") if cell.count(",") == 1 and "." not in cell else cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _column(path: Path, name: str, cells: list[tuple[int, str]]) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column's values, and its choices if it holds words only."""
    numbers = [_number(cell) for _, cell in cells]
    words = sorted({cell for (_, cell), number in zip(cells, numbers) if number is None})
    if not words:
        return np.array(numbers, np.float64), ()
    line, wrong = next(cell for cell, number in zip(cells, numbers) if number is None)
    if any(number is not None and not math.isnan(number) for number in numbers):
        raise InputError(
            f"line {line} of {path.name} has {wrong!r} for {name!r}, where other rows have numbers: "
            "correct it, or leave the cell empty."
        )
    if len(words) > _MOST_CHOICES:
        raise InputError(
            f"the column {name!r} of {path.name} has {len(words):,} different words (the first is "
            f"{wrong!r}): give numbers or at most {_MOST_CHOICES} categories, or remove it."
        )
    return np.array(
        [words.index(cell) if number is None else np.nan for (_, cell), number in zip(cells, numbers)], np.float64
    ), tuple(words)


def _matched(path: Path, table: _Table, names: Sequence[str]) -> tuple[dict[int, int], list[str]]:
    """`{picture: row}`, and the names that no picture has."""
    exact = {name: i for i, name in enumerate(names)}
    loose: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        for key in {name.rpartition("/")[2], PurePosixPath(name).stem}:
            loose.setdefault(key, []).append(i)
    found: dict[int, int] = {}
    unknown: list[str] = []
    for row, (line, given, cells) in enumerate(table.rows):
        picture = _picture(path, line, given, exact, loose, names)
        if picture is None:
            unknown.append(given)
        elif picture in found and table.rows[found[picture]][2] != cells:
            raise InputError(
                f"lines {table.rows[found[picture]][0]} and {line} of {path.name} both name "
                f"{names[picture]!r}, with different values: remove one."
            )
        else:
            found[picture] = row
    return found, unknown


def _picture(
    path: Path, line: int, given: str, exact: dict[str, int], loose: dict[str, list[int]], names: Sequence[str]
) -> int | None:
    """By the path, or its longest end that is one, or the file's name, or that without suffix."""
    parts = [part for part in given.replace("\\", "/").split("/") if part not in ("", ".")]
    for start in range(len(parts)):
        if (tail := "/".join(parts[start:])) in exact:
            return exact[tail]
    if not parts:
        return None
    there = loose.get(parts[-1]) or loose.get(PurePosixPath(parts[-1]).stem) or []
    if len(parts) > 1:  # a folder that was given must be the picture's own
        there = [i for i in there if PurePosixPath(names[i]).parent.name in ("", parts[-2])]
    if len(there) > 1:
        raise InputError(
            f"line {line} of {path.name} names {given!r}, which could be {names[there[0]]!r} or "
            f"{names[there[1]]!r}: give paths below the folder."
        )
    return there[0] if there else None


def _report(path: Path, without_row: int, unknown: list[str], empty: int) -> None:
    parts = []
    if without_row:
        parts.append(f"{without_row:,} pictures have no row and stay unknown")
    if unknown:
        parts.append(f"{len(unknown):,} rows name no picture of this set (the first: {unknown[0]!r})")
    if empty:
        parts.append(f"{empty:,} cells are empty")
    if parts:
        say(f"{os.fspath(path.name)}: {'; '.join(parts)}.")
