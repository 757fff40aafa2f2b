import ast
import errno
import re
from pathlib import Path

import pytest
import torch

from vae_helpers.errors import explain, naming_options, printable, quoted, ran_out_of_memory, worded
from vae_helpers.shell import build_parser

WORDS = {
    "allow_bad": "--allow-bad",
    "image_size": "--image-size",
    "DATASET": "--data",
    "resume": "--resume",
    "limit": "--limit",
}


@pytest.mark.parametrize(
    "said, read",
    [
        ("allow it with `allow_bad=0.05`.", "allow it with `--allow-bad 0.05`."),
        ("image_size 100 does not fit", "--image-size 100 does not fit"),
        ("open them with image_size=32.", "open them with --image-size 32."),
        ("use the built-in set (`DATASET=synthetic`).", "use the built-in set (`--data synthetic`)."),
        ("go on with it by `resume=True`, or", "go on with it by `--resume`, or"),
        ("there is no limit to `limit`", "there is no limit to `--limit`"),
        ("`cache_dir` and cache_dir", "`cache_dir` and cache_dir"),
        ("/data/image_size/a.png, 'image_size', my_image_size", "/data/image_size/a.png, 'image_size', my_image_size"),
    ],
)
def test_a_sentence_names_what_its_reader_has(said, read):
    assert worded(said) == said  # Python's reader
    with naming_options(WORDS):
        assert worded(said) == read
    assert worded(said) == said


def _said(node):
    """The words of a sentence in the source, without what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif not isinstance(node, ast.FormattedValue):
        for child in ast.iter_child_nodes(node):
            yield from _said(child)


def test_every_argument_that_a_sentence_names_is_an_option_of_the_shell():
    """Or can't be met there: names of Python's own, of a file's contents, or of what only notebooks have."""
    known = {"vae_helpers", "open_pictures", "sample_factors", "fit", "page_size", "latents_values"}
    for sub in build_parser()._subparsers._group_actions[0].choices.values():
        known |= set(sub.get_default("words"))
    named = re.compile(r"`(\w+)[=`]|(?<![\w/])([a-z]+(?:_[a-z]+)+)")
    for file in (Path(__file__).parents[1] / "vae_helpers").glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("InputError", "say"):
                text = "".join(_said(node))
                assert {marked or bare for marked, bare in named.findall(text)} <= known, (file.name, node.lineno)


def test_nothing_but_letters_reaches_a_terminal():
    assert printable("plain é 猫 \u3000 x") == "plain é 猫 \u3000 x"
    assert printable("a\x1b[31mb\x07\x9b\u202e\udce9\n") == r"a\x1b[31mb\x07\x9b\u202e\udce9\x0a"
    assert printable("a\n\x1b\t", keep="\n\t") == "a\n\\x1b\t"
    assert quoted("x" * 5000) == repr("x" * 60 + "…" + "x" * 19) and quoted("\x1b") == r"'\x1b'"


@pytest.mark.parametrize(
    "problem, words",
    [
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "a" * 9),
            "aaaaaaaaa cannot be used, because the name is too long: give a shorter",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/proc/x\x1b", None, "y"),
            r"/proc/x\x1b and y cannot be used, because the disk is read-only",
        ),
        (OSError("odd"), "a file or stream cannot be used, because odd:"),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), "because Broken pipe"),
        (
            UnicodeEncodeError("utf-8", "caf\udce9", 3, 4, "surrogates not allowed"),
            r"'caf\udce9' holds bytes that are no utf-8",
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "a file holds bytes"),
        (OverflowError("int too big to convert"), "too large for this machine (int too big"),
        (MemoryError(), "lower --limit"),
        (RuntimeError("can't start new thread"), "lower --limit"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "lower --limit"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "not enough memory"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "the package torch is not installed"),
    ],
)
def test_what_the_machine_refuses_is_one_sentence(problem, words):
    said = explain(problem, "--limit")
    assert words in said and said.endswith(".") and "\n" not in said


def test_a_fault_of_ours_is_not_explained_away():
    assert explain(ValueError("x")) is None and explain(RuntimeError("shapes differ")) is None
    assert explain(ModuleNotFoundError("x", name="vae_helpers.nothing")) is None


def test_memory_that_is_not_there_is_told_apart():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60)
    assert ran_out_of_memory(refused.value) and not ran_out_of_memory(RuntimeError("CUDA error: an illegal access"))
