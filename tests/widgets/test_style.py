"""The style sheet: plain CSS that a parser takes, and no rule for what no explorer has."""

import re
from importlib import resources

import pytest

from vae_helpers.widgets import parts

tinycss2 = pytest.importorskip("tinycss2")  # comes with JupyterLab
PACKAGE = resources.files("vae_helpers.widgets")
CSS = PACKAGE.joinpath("style.css").read_text("utf-8")


def test_every_rule_and_declaration_is_css():
    rules = tinycss2.parse_stylesheet(CSS, skip_comments=True, skip_whitespace=True)
    assert {rule.type for rule in rules} == {"qualified-rule"}
    for rule in rules:
        declarations = tinycss2.parse_declaration_list(rule.content, skip_comments=True, skip_whitespace=True)
        assert declarations and {each.type for each in declarations} == {"declaration"}, rule.source_line


def test_every_class_and_variable_is_used():
    sources = "".join(each.read_text("utf-8") for each in PACKAGE.iterdir() if each.name.endswith(".py"))
    dynamic = {"vae-a", "vae-b", "vae-plain", "vae-edge-a", "vae-edge-b", "vae-error"}
    dynamic |= {"vae-sound", "vae-doubtful", "vae-broken"}
    for name in set(re.findall(r"\.(vae-[\w-]+)", CSS)) - dynamic:
        assert name in sources, name
    for variable in set(re.findall(r"(--vae-[\w-]+):", CSS)):
        assert f"var({variable}" in CSS or variable[6:] in ("has", "not", "start"), variable


def test_thumbnails_are_as_large_as_their_buttons():
    assert f"--vae-thumb: {parts.THUMB}px" in CSS and CSS in parts.style_sheet().value
