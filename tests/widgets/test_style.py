"""The style sheet: plain CSS that a parser takes, no rule for what no explorer has, and text that can be read."""

import re
from importlib import resources
from types import SimpleNamespace

import pytest

from vae_helpers.widgets import parts

tinycss2 = pytest.importorskip("tinycss2")  # comes with JupyterLab
PACKAGE = resources.files("vae_helpers.widgets")
CSS = PACKAGE.joinpath("style.css").read_text("utf-8")
LIGHT, DARK, COLAB_DARK = ".vae-explorer", 'body[data-jp-theme-light="false"]', '[theme="dark"]'
# The grounds that notebooks have, and the text colours of JupyterLab 4's themes where a variable asks for them.
GROUNDS = {LIGHT: ["#ffffff"], DARK: ["#111111", "#212121"], COLAB_DARK: ["#111111", "#383838"]}
THEME = {
    LIGHT: {"--jp-ui-font-color1": "rgba(0,0,0,.87)", "--jp-ui-font-color2": "rgba(0,0,0,.54)"},
    DARK: {"--jp-ui-font-color1": "rgba(255,255,255,.87)", "--jp-ui-font-color2": "rgba(255,255,255,.54)"},
    COLAB_DARK: {},
}
# Colours that are text on the page, and those that are text on another.
ON_PAGE = ("text", "soft", "a", "b", "wrong")
ON_OTHERS = [("on-mark", ground) for ground in ("a", "b", "start", "has", "not")] + [("on-pressed", "pressed")]


def rules_of(css):
    """The rules of a sheet with those inside its at-rules, as (selector, declarations)."""
    for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
        if rule.type == "at-rule":
            assert rule.at_keyword in ("container", "media"), rule.source_line
            yield from rules_of(tinycss2.serialize(rule.content))
        else:
            assert rule.type == "qualified-rule", rule
            parsed = tinycss2.parse_declaration_list(rule.content, skip_comments=True, skip_whitespace=True)
            yield tinycss2.serialize(rule.prelude).strip(), parsed


def test_every_rule_and_declaration_is_css():
    for selector, declarations in rules_of(CSS):
        assert declarations and {each.type for each in declarations} == {"declaration"}, selector


def test_every_class_and_variable_is_used():
    sources = "".join(each.read_text("utf-8") for each in PACKAGE.iterdir() if each.name.endswith(".py"))
    dynamic = {"vae-a", "vae-b", "vae-plain", "vae-edge-a", "vae-edge-b", "vae-error"}
    dynamic |= {"vae-sound", "vae-doubtful", "vae-broken"}
    for name in set(re.findall(r"\.(vae-[\w-]+)", CSS)) - dynamic:
        assert name in sources, name
    for variable in set(re.findall(r"(--vae-[\w-]+):", CSS)):
        used = f"var({variable}" in CSS + sources
        assert used or variable[6:] in ("has", "not", "start"), variable


def test_thumbnails_are_as_large_as_their_buttons():
    sheet = parts.style_sheet(SimpleNamespace(saved_key="vae-saved-1")).value
    assert f"--vae-thumb: {parts.THUMB}px" in CSS and CSS in sheet and ".vae-saved-1{display:none}" in sheet
    assert f"--vae-view: {parts.LARGE}px" in CSS


def variables(theme):
    """The explorers' colour variables under a theme, later rules over earlier ones."""
    found = {}
    for selector, declarations in rules_of(CSS):
        prefixes = [each.strip() for each in selector.split(",")]
        if LIGHT in prefixes or f"{theme} .vae-explorer" in prefixes:
            found |= {d.name: tinycss2.serialize(d.value).strip() for d in declarations if d.name.startswith("--vae-")}
    return found


def rgb(value, theme, ground=(255, 255, 255)):
    """A colour as three numbers from 0 to 255, over a ground where it is transparent."""
    if theme_variable := re.fullmatch(r"var\((--jp[\w-]+), (.+)\)", value):
        value = THEME[theme].get(theme_variable[1], theme_variable[2])
    if transparent := re.fullmatch(r"rgba\((\d+),(\d+),(\d+),([\d.]+)\)", value):
        *own, alpha = map(float, transparent.groups())
        return tuple(alpha * c + (1 - alpha) * g for c, g in zip(own, ground))
    digits = value.removeprefix("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))


def contrast(one, other):
    """The contrast ratio of WCAG 2.1: relative luminances, the lighter over the darker."""

    def luminance(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.478, abs=0.001)  # #777, which just fails


@pytest.mark.parametrize("theme", [LIGHT, DARK, COLAB_DARK])
def test_text_can_be_read(theme):
    colours = variables(theme)
    pairs = {(name, ground): ground for name in ON_PAGE for ground in GROUNDS[theme]}
    pairs |= {(text, ground): colours[f"--vae-{ground}"] for text, ground in ON_OTHERS}
    for (text, on), ground in pairs.items():
        below = rgb(ground, theme)
        ratio = contrast(rgb(colours[f"--vae-{text}"], theme, below), below)
        assert ratio >= 4.5, f"{text} on {on}: {ratio:.2f}"


def test_what_has_the_focus_is_outlined():
    outlined = [selector for selector, rules in rules_of(CSS) if any(rule.name == "outline" for rule in rules)]
    for part in ("button:focus-visible", "input:focus-visible", ".noUi-handle:focus", ".ui-slider-handle:focus"):
        assert any(f".vae-explorer {part}" in selector for selector in outlined), part
    assert "outline: none" not in CSS and "outline: 0" not in CSS
