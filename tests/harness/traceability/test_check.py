"""Orphans on both sides of the matrix."""

from __future__ import annotations

from pathlib import Path

from harness.config.ttm import Ttm, load_ttm
from harness.traceability.check import UnknownId, orphans

REPO = Path(__file__).resolve().parents[3]


def shipped() -> Ttm:
    return load_ttm(REPO / "lab_config" / "ttm.csv")


def test_a_requirement_that_no_test_names_is_untested() -> None:
    ttm = shipped()
    first, *others = ttm.rows
    found = orphans(ttm, {"t1": [row.id for row in others]})
    assert found.untested == (first,)
    assert found.sound, "an untested requirement is a gap, not an error"


def test_an_id_that_the_matrix_lacks_is_named_with_the_nearest() -> None:
    found = orphans(shipped(), {"packs/test_x.py::test_y": ["TTM-7.2-E-01", "TTM-7.2-E-1"]})
    assert found.unknown == (
        UnknownId("packs/test_x.py::test_y", "TTM-7.2-E-1", "did you mean 'TTM-7.2-E-01'?"),
    )
    assert not found.sound


def test_an_id_like_no_other_is_to_be_added() -> None:
    (unknown,) = orphans(shipped(), {"t": ["OUR-42"]}).unknown
    assert unknown.remedy == "add it to ttm.csv, or correct the test"


def test_a_test_without_an_id_is_untraceable() -> None:
    found = orphans(shipped(), {"t1": [], "t2": ["TTM-7.2-E-01"]})
    assert found.unnamed == ("t1",)
    assert not found.sound
