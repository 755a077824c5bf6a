"""What nobody waited for is read back from the run folder, and shown by its exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lxml import html

from harness.domain.lab import Lab
from harness.records.strays import STRAYS, read_strays
from harness.reports import heatmap, summary

METER = "00-DB-12-34-56-78-90-A0"


def entry(why: str, **about: Any) -> str:
    known = {
        "at": "2026-11-23T10:00:00.123456+00:00",
        "kind": "response",
        "why": why,
        "request_id": f"user:{METER}:7",
        "response_id": f"{METER}:user:7",
        "code": "I0",
        "devices": [METER],
        "problems": [],
        "line": 12,
    }
    return json.dumps(known | about) + "\n"


def leave(folder: Path, *entries: str) -> None:
    path = folder / STRAYS
    path.parent.mkdir()
    path.write_text("".join(entries))


def test_a_run_without_strays_has_none(tmp_path: Path) -> None:
    assert read_strays(tmp_path) == ()


def test_a_stray_says_why_and_where_its_message_is(tmp_path: Path) -> None:
    leave(tmp_path, entry("late", kind="alert", request_id=""))
    (stray,) = read_strays(tmp_path)
    assert (stray.kind, stray.why, stray.devices, stray.line) == ("alert", "late", (METER,), 12)
    assert stray.message == f"{METER}:user:7"


def test_a_torn_last_line_costs_only_itself(tmp_path: Path) -> None:
    leave(tmp_path, entry("late"), entry("late")[:40])
    assert len(read_strays(tmp_path)) == 1


def test_a_line_that_was_torn_before_the_run_was_resumed_costs_only_itself(tmp_path: Path) -> None:
    leave(tmp_path, entry("late"), entry("late")[:40] + "\n", entry("again"))
    assert [stray.why for stray in read_strays(tmp_path)] == ["late", "again"]


def test_the_summary_counts_strays_by_reason(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    leave(folder, entry("late"), entry("again"), entry("late"))
    (path,) = summary.render(folder, lab)
    assert json.loads(path.read_text())["strays"] == {"count": 3, "by_reason": {"late": 2, "again": 1}}


def test_the_heatmap_lists_strays_where_there_are_any(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    assert page_of(folder, lab).find(".//section[@id='strays']") is None
    leave(folder, entry("late"), entry("<b>unread</b>", devices=[], request_id="", response_id=""))
    section = page_of(folder, lab).get_element_by_id("strays")
    assert "2 messages of the DCC" in section.find(".//summary").text_content()
    rows = [[cell.text_content().strip() for cell in row] for row in section.findall(".//tbody/tr")]
    assert rows[0][0] == "late"
    assert rows[0][2:] == [METER, "2026-11-23 10:00:00", "12"]
    assert rows[1][0] == "<b>unread</b>"
    assert rows[1][2] == "not told"


def page_of(folder: Path, lab: Lab) -> Any:
    (path,) = heatmap.render(folder, lab)
    return html.fromstring(path.read_bytes())
