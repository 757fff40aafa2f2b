"""Point the badges, notebooks and citation of a fork at its own repository: `python tools/set_address.py URL`.

The address stands once, in `[project.urls]` of pyproject.toml; every other place that names it is rewritten from there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_LINE = re.compile(r'^Repository = "https://github\.com/([\w.-]+/[\w.-]+?)"$', re.MULTILINE)
_GIVEN = re.compile(r"(?:https://github\.com/)?([\w.-]+/[\w.-]+?)(?:\.git)?/?")


def current(root: Path = ROOT) -> str:
    """OWNER/NAME of the repository, as pyproject.toml has it."""
    found = _LINE.search((root / "pyproject.toml").read_text("utf-8"))
    if found is None:
        raise SystemExit('pyproject.toml has no line `Repository = "https://github.com/OWNER/NAME"` in [project.urls].')
    return found[1]


def places(root: Path = ROOT) -> list[Path]:
    """The files in which the address stands."""
    notebooks = sorted([*(root / "notebooks").glob("*.py"), *(root / "notebooks").glob("*.ipynb")])
    return [root / "pyproject.toml", root / "README.md", root / "CITATION.cff", root / "CONTRIBUTING.md", *notebooks]


def pages(repository: str) -> str:
    """Where GitHub Pages serves the `docs` of OWNER/NAME."""
    owner, name = repository.split("/")
    return f"{owner.lower()}.github.io/{name}"


def set_address(address: str, root: Path = ROOT) -> list[Path]:
    """Replace the repository's address everywhere; returns the files that changed. SystemExit for no GitHub address."""
    given = _GIVEN.fullmatch(address)
    if given is None:
        raise SystemExit(f"{address!r} is not the address of a repository, such as https://github.com/OWNER/NAME.")
    old, new, changed = current(root), given[1], []
    for file in places(root):
        text = file.read_text("utf-8") if file.exists() else ""
        renamed = text.replace(old, new).replace(pages(old), pages(new))
        if renamed != text:
            file.write_text(renamed, "utf-8")
            changed.append(file)
    return changed


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python tools/set_address.py https://github.com/OWNER/NAME")
    for path in set_address(sys.argv[1]):
        print(path.relative_to(ROOT))
