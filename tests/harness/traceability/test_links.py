"""Links between tests and requirements: stamped, suspect when a text changes, and cleared by somebody."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from harness.config.ttm import Requirement, Ttm
from harness.config.ttm_links import Link, Links, links_file, read_links, write_links
from harness.domain.errors import ConfigurationError, UsageError
from harness.domain.words import CapabilityRelease, DeviceType
from harness.traceability.links import cleared, linked, news

ONE, TWO = "packs/test_x.py::test_one", "packs/test_x.py::test_two"
TESTS = {ONE: ["R-1"], TWO: ["R-1", "R-2"]}


def requirement(id_: str, text: str = "it holds") -> Requirement:
    return Requirement(
        id=id_,
        requirement=text,
        source="SEC",
        clause="",
        srv="",
        scenario="look",
        functional_group="g",
        device_types=frozenset(DeviceType),
        releases=frozenset(CapabilityRelease),
        evidence="inferred",
        line=2,
    )


@pytest.fixture
def ttm(tmp_path: Path) -> Ttm:
    return Ttm(tmp_path / "ttm.csv", (requirement("R-1"), requirement("R-2")))


@pytest.fixture
def links(ttm: Ttm) -> Links:
    """Every link of the tests, kept in a file."""
    write_links(links_file(ttm.file), linked(ttm, read_links(ttm.file), TESTS).values())
    return read_links(ttm.file)


def changed(ttm: Ttm, id_: str) -> Ttm:
    rows = (replace(row, requirement="it holds at night") if row.id == id_ else row for row in ttm.rows)
    return Ttm(ttm.file, tuple(rows))


def test_links_come_back_as_they_were_written(ttm: Ttm, links: Links) -> None:
    assert links.kept
    assert list(links.links) == [(ONE, "R-1"), (TWO, "R-1"), (TWO, "R-2")]
    told = Link(test=ONE, id="R-1", stamp="x", cleared_by="=Ann", cleared_on="2026-03-02", reason="a,\nb")
    write_links(links.file, [told])
    assert read_links(ttm.file).links == {(ONE, "R-1"): told}


def test_while_no_file_keeps_links_none_is_suspect_and_none_is_missing(ttm: Ttm) -> None:
    found = news(ttm, read_links(ttm.file), TESTS)
    assert (found.suspect, found.unstamped, found.sound) == ((), (), True)


def test_a_test_of_a_text_that_has_changed_is_suspect(ttm: Ttm, links: Links) -> None:
    assert news(ttm, links, TESTS).sound
    found = news(changed(ttm, "R-1"), links, TESTS)
    assert {(link.test, link.id) for link in found.suspect} == {(ONE, "R-1"), (TWO, "R-1")}
    assert not found.sound
    assert links.suspect_ids(changed(ttm, "R-1")) == {"R-1"}


def test_a_new_test_has_no_stamp_until_it_is_linked(ttm: Ttm, links: Links) -> None:
    tests = TESTS | {"packs/test_y.py::test_new": ["R-2", "R-of-no-matrix"]}
    found = news(ttm, links, tests)
    assert found.unstamped == (("packs/test_y.py::test_new", "R-2"),)
    assert not found.sound
    assert news(ttm, replace(links, links=linked(ttm, links, tests)), tests).sound


def test_linking_leaves_a_suspect_as_it_is(ttm: Ttm, links: Links) -> None:
    new = changed(ttm, "R-1")
    again = replace(links, links=linked(new, links, TESTS))
    assert len(again.suspects(new)) == 2


def test_linking_drops_what_is_gone(ttm: Ttm, links: Links) -> None:
    assert news(ttm, links, {ONE: ["R-1"]}).gone == ((TWO, "R-1"), (TWO, "R-2"))
    assert list(linked(ttm, links, {ONE: ["R-1"]})) == [(ONE, "R-1")]


def test_somebody_clears_a_suspect_and_it_is_written_down(ttm: Ttm, links: Links) -> None:
    new = changed(ttm, "R-1")
    day = date(2026, 3, 2)
    all_ = cleared(new, links, ["R-1"], test=ONE, by="Ann", reason="it was looked at at night", on=day)
    now = replace(links, links=all_)
    assert [link.test for link in now.suspects(new)] == [TWO], "only the one that was named"
    link = now.links[ONE, "R-1"]
    assert (link.cleared_by, link.cleared_on, link.reason) == (
        "Ann",
        "2026-03-02",
        "it was looked at at night",
    )
    whole = cleared(new, now, ["R-1"], test="", by="Ann", reason="the other too", on=day)
    assert not replace(links, links=whole).suspects(new)


@pytest.mark.parametrize(
    ("ids", "test", "by", "reason", "message"),
    [
        (["R-2"], "", "Ann", "seen", "R-2 is no suspect of any test"),
        (["R-1"], "packs/test_x.py::test_on", "Ann", "seen", "R-1 is no suspect of packs/test_x.py::test_on"),
        (["R-1"], "", " ", "seen", "a link is cleared by a named person, with a reason"),
        (["R-1"], "", "Ann", "", "a link is cleared by a named person, with a reason"),
    ],
)
def test_nothing_is_cleared_that_is_not_suspect_or_by_nobody(
    ttm: Ttm, links: Links, ids: list[str], test: str, by: str, reason: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        cleared(changed(ttm, "R-1"), links, ids, test=test, by=by, reason=reason, on=date(2026, 3, 2))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a,R-1,,,,", r"ttm\.links\.csv:2: a link needs test, id and stamp"),
        ("a,R-1,x,,,\na,R-1,y,,,", r"ttm\.links\.csv:3: a is linked to R-1 twice"),
        ("a,R-1,x", r"ttm\.links\.csv:2: found 3 cells, expected 6"),
    ],
)
def test_a_wrong_link_is_told_with_its_line(ttm: Ttm, line: str, message: str) -> None:
    links_file(ttm.file).write_text(f"test,id,stamp,cleared_by,cleared_on,reason\n{line}\n")
    with pytest.raises(ConfigurationError, match=message):
        read_links(ttm.file)
