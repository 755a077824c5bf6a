"""The heatmap's colours hold up for everybody: text has contrast, states differ without red and green."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

import harness.reports.heatmap

CSS = (Path(harness.reports.heatmap.__file__).parent / "style.css").read_text()
STATES = ("passed", "failed", "blocked", "not_run", "descoped")
Rgb = tuple[float, float, float]

# Machado, Oliveira and Fernandes (2009), severity 1.0, applied to linear RGB
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
PROTANOPIA = (
    (0.152286, 1.052583, -0.204868),
    (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)
NORMAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def colour(name: str) -> Rgb:
    """A colour of the style sheet in linear RGB."""
    match = re.search(rf"--{name}: (#[0-9a-f]{{3,6}});", CSS)
    assert match, name
    digits = match[1].lstrip("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    red, green, blue = (linear(int(digits[at : at + 2], 16) / 255) for at in (0, 2, 4))
    return red, green, blue


def linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def luminance(rgb: Rgb) -> float:
    return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of WCAG 2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def seen(rgb: Rgb, matrix: tuple[Rgb, Rgb, Rgb]) -> tuple[float, float, float]:
    """CIE L*a*b* of a colour as somebody with that vision sees it."""
    red, green, blue = (max(0.0, sum(m * c for m, c in zip(line, rgb, strict=True))) for line in matrix)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(one: Rgb, other: Rgb, matrix: tuple[Rgb, Rgb, Rgb]) -> float:
    """Delta E (CIE 1976); 2.3 is just noticeable."""
    return sum((a - b) ** 2 for a, b in zip(seen(one, matrix), seen(other, matrix), strict=True)) ** 0.5


@pytest.mark.parametrize("state", STATES)
def test_text_on_a_cell_has_the_contrast_of_wcag_aa(state: str) -> None:
    assert contrast(colour(f"{state}-tint"), colour(f"{state}-ink")) >= 4.5


def test_no_text_of_a_cell_is_paler_than_its_ink() -> None:
    assert not re.search(r"\.cell[^{}]*\{[^}]*opacity", CSS)


@pytest.mark.parametrize("matrix", [NORMAL, DEUTERANOPIA, PROTANOPIA], ids=["normal", "deutan", "protan"])
@pytest.mark.parametrize("pair", list(combinations(STATES, 2)), ids="-".join)
def test_the_strips_of_two_states_are_told_apart(pair: tuple[str, str], matrix: tuple[Rgb, Rgb, Rgb]) -> None:
    assert distance(colour(pair[0]), colour(pair[1]), matrix) > 15


@pytest.mark.parametrize("matrix", [DEUTERANOPIA, PROTANOPIA], ids=["deutan", "protan"])
@pytest.mark.parametrize("other", [state for state in STATES if state != "failed"])
def test_a_failed_cell_stands_out_from_every_other(other: str, matrix: tuple[Rgb, Rgb, Rgb]) -> None:
    assert distance(colour("failed-tint"), colour(f"{other}-tint"), matrix) > 40
    assert contrast(colour("failed-tint"), colour(f"{other}-tint")) > 3, "in greyscale as well"


def test_every_state_but_passed_has_a_pattern_of_its_own() -> None:
    strips = {state: re.search(rf"^\.{state}\b[^{{]*{{[^}}]*--strip: var\((--[a-z-]+)\)", CSS, re.MULTILINE)
              for state in STATES[1:]}  # fmt: skip
    assert all(strips.values())
    assert len({match[1] for match in strips.values() if match}) == len(strips)
