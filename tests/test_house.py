"""How the package is built: the order of its sub-packages, the size of files and functions, one address."""

import ast
import importlib.util
import re
import shutil
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "vae_helpers"
ORDER = ("errors", "files", "settings", "data", "model", "latent", "show", "runs", "scores", "train", "widgets")
ORDER += ("experiments", "tour", "shell", "__main__")
APART = {"train", "widgets"}  # neither imports the other
MOST_LINES, MOST_LINES_OF_A_FUNCTION, MOST_PARAMETERS = 300, 40, 6
# What may have more parameters, and why.
MANY_PARAMETERS = {
    "data/opening.py:open_pictures": "the one call that every notebook begins with: keywords, each with a default",
    "data/synthetic/animals.py:_paint_muzzle": "a drawing function: pixel grids, colours and tables, all different",
    "data/synthetic/animals.py:_paint_head": "as above",
    "data/synthetic/animals.py:_paint_eyes": "as above",
    "data/synthetic/butterflies.py:_paint_wings": "as above",
    "data/synthetic/butterflies.py:_paint_pattern": "as above",
    "latent/paths.py:walk": "what a path is made of: model, ends, number, kind, context, re-timed or not",
    "latent/paths.py:chain": "as above, and closed or not",
    "latent/path_report.py:compare_paths": "as above, and what measures each path",
    "scores/held_out.py:evaluate": "the loss's own settings are given by name, as `held_out_loss` makes them",
    "scores/bounds.py:likelihood": "as above",
    "train/loop.py:fit": "what a notebook says of a run: keywords, each with a default",
    "train/launch.py:launch": "as above",
}
# What a library or Python calls by this name, and so has documented.
OF_A_LIBRARY = {"forward", "backward", "write", "close", "error", "display", "state_dict", "load_state_dict"}
# To be emptied: files and functions that are too large, functions with too many parameters, definitions without a
# docstring, and imports past what a sub-package exports.
UNFINISHED: set[str] = set()


def sources():
    """Every file of the package, as its path below it."""
    return sorted(str(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py"))


@cache
def tree_of(path):
    return ast.parse(path.read_text("utf-8"))


def room_of(module):
    """The sub-package or top-level file that `vae_helpers.data.cache` or `data/cache.py` belongs to."""
    return module.removeprefix("vae_helpers").lstrip(".").replace("/", ".").removesuffix(".py").partition(".")[0]


def imports(path):
    """`(line, module, names)` of each import of this package, wherever in the file it stands."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} is a relative import: give the whole name"
            if (node.module or "").partition(".")[0] == "vae_helpers":
                yield node.lineno, node.module, [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "vae_helpers":
                    yield node.lineno, alias.name, []


def is_module(name):
    """Whether `vae_helpers.data.cache` is a file or a folder of the package."""
    place = ROOT.joinpath(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").is_file()


def defined(path):
    """`(name, node)` of every class and function outside of functions: `fit`, `Run`, `Run.best`."""

    def inside(body, prefix):
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from inside(node.body, f"{prefix}{node.name}.")

    yield from inside(tree_of(path).body, "")


def functions(path):
    """Every function of a file, nested ones too."""
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def parameters(function):
    """Their names, without `self` and `cls`."""
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [each.arg for each in every if each is not None and each.arg not in ("self", "cls")]


def test_every_file_has_its_place_in_the_order():
    assert {room_of(source) for source in sources()} - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("source", sources())
def test_imports_go_one_way(source):
    here = room_of(source)
    for line, module, names in imports(PACKAGE / source):
        for there in {room_of(module)} if room_of(module) else {name for name in names if name in ORDER}:
            where = f"{source}:{line} imports {there}"
            assert there == here or ORDER.index(there) < ORDER.index(here), f"{where}, which comes after {here}"
            assert {here, there} != APART, where


@pytest.mark.parametrize("source", sources())
def test_other_sub_packages_are_imported_by_what_they_export_and_the_own_by_its_files(source):
    here = room_of(source)
    for line, module, names in imports(PACKAGE / source):
        there, depth = room_of(module), module.count(".")
        if there != here and depth and f"{source} imports {', '.join(names)}" not in UNFINISHED:
            assert depth == 1, f"{source}:{line}: from vae_helpers.{there} import {', '.join(names)}"
        elif there == here and depth == 1 and (PACKAGE / here).is_dir():
            others = [name for name in names if not is_module(f"{module}.{name}")]
            assert not others, f"{source}:{line}: import {', '.join(others)} from the file that has it"


def test_tests_and_notebooks_import_by_what_is_exported_but_for_private_names():
    for file in [*(ROOT / "tests").rglob("*.py"), *(ROOT / "notebooks").glob("*.py")]:
        for line, module, names in imports(file):
            private = names and all(name.startswith("_") for name in names) and file.is_relative_to(ROOT / "tests")
            assert module.count(".") <= 1 or private, f"{file.name}:{line}: from {'.'.join(module.split('.')[:2])}"


@pytest.mark.parametrize("room", [name for name in ORDER if (PACKAGE / name).is_dir()])
def test_a_sub_package_says_what_is_in_it_and_exports_it(room):
    tree = tree_of(PACKAGE / room / "__init__.py")
    assert ast.get_docstring(tree)
    listed = next(ast.literal_eval(node.value) for node in tree.body if _assigns(node, "__all__"))
    there = {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    there |= {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    there |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    assert len(set(listed)) == len(listed) and set(listed) <= there
    assert not [name for name in listed if name.startswith("_")]


def _assigns(node, name):
    return isinstance(node, ast.Assign) and [getattr(target, "id", "") for target in node.targets] == [name]


@pytest.mark.parametrize("source", sources())
def test_files_and_functions_are_short_and_take_few_parameters(source):
    lines = len((PACKAGE / source).read_text("utf-8").splitlines())
    too_much = {source: f"{lines} lines"} if lines > MOST_LINES else {}
    for function in functions(PACKAGE / source):
        name, lines = f"{source}:{function.name}", function.end_lineno - function.lineno + 1
        if lines > MOST_LINES_OF_A_FUNCTION:
            too_much[name] = f"{lines} lines"
        if len(parameters(function)) > MOST_PARAMETERS and name not in MANY_PARAMETERS:
            too_much[name] = f"{len(parameters(function))} parameters"
    assert not {name: why for name, why in too_much.items() if name not in UNFINISHED}


def test_what_may_have_many_parameters_has():
    having = {
        f"{source}:{function.name}"
        for source in sources()
        for function in functions(PACKAGE / source)
        if len(parameters(function)) > MOST_PARAMETERS
    }
    assert set(MANY_PARAMETERS) <= having


def test_every_file_and_everything_public_says_what_it_is():
    documented = {}  # class => its methods with a docstring, which need none where they are overridden
    for source in sources():
        for name, node in defined(PACKAGE / source):
            if "." in name and ast.get_docstring(node):
                documented.setdefault(name.rpartition(".")[0].rpartition(".")[2], set()).add(node.name)
    missing = [source for source in sources() if not ast.get_docstring(tree_of(PACKAGE / source))]
    for source in sources():
        bases = {name: _bases(node) for name, node in defined(PACKAGE / source) if isinstance(node, ast.ClassDef)}
        for name, node in defined(PACKAGE / source):
            if any(part.startswith("_") for part in name.split(".")) or ast.get_docstring(node):
                continue
            inherited = {
                method for base in bases.get(name.rpartition(".")[0], ()) for method in documented.get(base, ())
            }
            if not ("." in name and node.name in OF_A_LIBRARY | inherited):
                missing.append(f"{source}:{name}")
    assert not [name for name in missing if name not in UNFINISHED]


def _bases(node):
    return [base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "") for base in node.bases]


def load_set_address():
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("set_address", ROOT / "tools" / "set_address.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def addresses(root):
    """`{file: the repositories on GitHub that it names, by address or badge}`."""
    found = {}
    for path in [*root.glob("*.md"), *root.glob("*.cff"), *root.glob("*.toml"), *root.glob("notebooks/*.*")]:
        if path.suffix in (".md", ".cff", ".toml", ".py", ".ipynb"):
            named = re.findall(r"(?:github\.com|google\.com/github)/([\w-]+/[\w.-]*\w)", path.read_text("utf-8"))
            found[path.relative_to(root).as_posix()] = set(named)
    return {file: named for file, named in found.items() if named}


def test_one_address_everywhere():
    own = load_set_address().current(ROOT)
    found = addresses(ROOT)
    assert {"README.md", "CITATION.cff", "pyproject.toml"} < set(found) and len(found) >= 13  # five notebooks, as pairs
    assert set().union(*found.values()) == {own}, found


def test_a_fork_changes_every_address_by_one_command(tmp_path):
    for name in ("README.md", "CITATION.cff", "CONTRIBUTING.md", "pyproject.toml"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks", ignore=shutil.ignore_patterns("figures"))
    before, tool = addresses(tmp_path), load_set_address()
    changed = tool.set_address("https://github.com/some-one/a.fork.git", tmp_path)
    assert {file.relative_to(tmp_path).as_posix() for file in changed} == set(before)
    assert addresses(tmp_path) == {file: {"some-one/a.fork"} for file in before}
    assert "https://some-one.github.io/a.fork/" in (tmp_path / "README.md").read_text("utf-8")
    assert tool.set_address("some-one/a.fork", tmp_path) == []
    tool.set_address(tool.current(ROOT), tmp_path)
    assert all((tmp_path / file).read_bytes() == (ROOT / file).read_bytes() for file in before)
    with pytest.raises(SystemExit, match="is not the address of a repository"):
        tool.set_address("https://example.org/nowhere", tmp_path)
