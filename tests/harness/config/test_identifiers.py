"""Identifiers as the field writes them; their check digits; references to secrets."""

from __future__ import annotations

import doctest

import pytest

from harness.config import identifiers, tables
from harness.domain import names, references


@pytest.mark.parametrize("text", ["00-DB-12-34-56-00-00-01", "ff-ff-ff-ff-ff-ff-ff-fe"])
def test_an_eui_is_eight_pairs_of_hexadecimal_digits_in_either_case(text: str) -> None:
    assert identifiers.eui(text) == text.upper()


@pytest.mark.parametrize("text", ["", "00DB123456000001", "00-DB-12-34-56-00-00", "00-DB-12-34-56-00-00-0G"])
def test_anything_else_is_no_eui(text: str) -> None:
    with pytest.raises(ValueError, match="EUI-64"):
        identifiers.eui(text)


@pytest.mark.parametrize("place", range(13))
def test_an_mpan_with_any_one_digit_changed_is_refused(place: int) -> None:
    right = "1200010345677"
    wrong = right[:place] + str((int(right[place]) + 1) % 10) + right[place + 1 :]
    with pytest.raises(ValueError, match="check digit fits"):
        identifiers.mpan(wrong)


@pytest.mark.parametrize("text", ["120001034567", "12000103456777", "12 00010 345677", "١٢٠٠٠١٠٣٤٥٦٧٧"])
def test_anything_but_thirteen_plain_digits_is_no_mpan(text: str) -> None:
    with pytest.raises(ValueError, match="13 digits"):
        identifiers.mpan(text)


def test_an_mprn_checks_with_its_last_two_digits() -> None:
    assert identifiers.mprn("3938424403") == "3938424403"
    with pytest.raises(ValueError, match="39384244 is followed by 03"):
        identifiers.mprn("3938424404")


@pytest.mark.parametrize("text", ["env:KEY", "file:secrets/key.pem", "file:/etc/key"])
def test_a_reference_names_where_a_secret_is_kept(text: str) -> None:
    assert references.is_reference(text)


@pytest.mark.parametrize("text", ["hunter2", "env:", "file:", "ENV:KEY", "https://vault/key", ""])
def test_anything_else_would_be_the_secret_itself(text: str) -> None:
    assert not references.is_reference(text)


@pytest.mark.parametrize("module", [identifiers, tables, names])
def test_the_examples_in_the_documentation_are_true(module: object) -> None:
    results = doctest.testmod(module)  # type: ignore[arg-type]
    assert results.attempted
    assert not results.failed
