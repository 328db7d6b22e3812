"""Contrast of every pair of colours that pages use, computed from the tokens (WCAG 2.2: 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

STYLES = Path(__file__).parents[2] / "static/css"
PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
TOKENS = {name: (light, dark) for name, light, dark in PAIR.findall((STYLES / "tokens.css").read_text())}

SURFACES = ("page", "surface", "sunken")
TEXT = [(text, surface) for text in ("text", "muted", "accent", "good", "bad", "warn") for surface in SURFACES] + [
    ("on-accent", "accent-strong"),
    ("text", "accent-soft"),
    ("muted", "accent-soft"),
    ("accent", "accent-soft"),
    ("bad", "accent-soft"),
    ("good", "good-soft"),
    ("bad", "bad-soft"),
    ("warn", "warn-soft"),
]
SERIES = [*(f"c{index}" for index in range(10)), "c-other", "c-previous"]
SHAPES = [
    *((name, "surface") for name in SERIES),
    *(("control", surface) for surface in SURFACES[:2]),
    *(("focus", surface) for surface in SURFACES),
]


def luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "surface"), TEXT)
def test_text(text: str, surface: str, theme: int) -> None:
    assert contrast(TOKENS[text][theme], TOKENS[surface][theme]) >= 4.5


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("shape", "surface"), SHAPES)
def test_controls_and_series(shape: str, surface: str, theme: int) -> None:
    assert contrast(TOKENS[shape][theme], TOKENS[surface][theme]) >= 3


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_series_differ_from_each_other(theme: int) -> None:
    colors = [TOKENS[name][theme] for name in SERIES]
    assert len(set(colors)) == len(SERIES)


def test_every_token_that_is_used_exists() -> None:
    css = {path.name: path.read_text() for path in STYLES.glob("*.css")}
    defined = {name for text in css.values() for name in re.findall(r"(--[\w-]+):", text)}
    used = {name for text in css.values() for name in re.findall(r"var\((--[\w-]+)", text)}
    assert used
    assert used <= defined
