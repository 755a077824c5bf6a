"""``run.json`` holds what the contract names, and its numbers are the record's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.cli.run import show
from harness.domain.lab import Lab
from harness.records.run import read_run
from harness.reports.summary import render


@pytest.fixture(scope="module")
def summary(fabricated_whole: tuple[Path, Lab]) -> dict[str, Any]:
    folder, lab = fabricated_whole
    (path,) = render(folder, lab)
    return json.loads(path.read_text())


def test_the_fields_of_the_contract_are_there(summary: dict[str, Any]) -> None:
    names = """run_id packs test_phase cycle dmcs epcl_entries environment seed started ended counts rigs ttm
               faults plan_digest strays problems"""
    assert set(names.split()) <= summary.keys()
    assert {"name", "version", "digest", "kind", "capability_release"} <= summary["packs"][0].keys()
    assert {"type", "model", "firmware", "device_id"} <= summary["rigs"][0]["devices"][0].keys()
    assert list(summary["counts"]) == ["planned", "passed", "failed", "blocked", "not_run", "descoped"]
    assert {"requirements", "covered", "passed", "failed", "incomplete", "uncovered"} <= summary["ttm"].keys()


def test_the_last_line_of_a_run_adds_up(
    summary: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    show(summary, tmp_path)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("TTM: ")]
    covered, requirements, *parts, uncovered = map(int, re.findall(r"\d+", line))
    assert parts == [summary["ttm"][name] for name in ("passed", "failed", "incomplete")]
    assert (sum(parts), covered + uncovered) == (covered, requirements)


def test_the_counts_are_those_of_its_own_list_of_tests(
    summary: dict[str, Any], fabricated_whole: tuple[Path, Lab]
) -> None:
    outcomes = [test["outcome"] for test in summary["tests"]]
    counts = dict(summary["counts"])
    assert counts.pop("planned") == len(outcomes)
    assert counts == {outcome: outcomes.count(outcome) for outcome in counts}
    record = read_run(fabricated_whole[0])
    assert sum(summary["attempts"].values()) == sum(map(len, record.attempts.values()))


def test_the_counts_of_the_packs_add_up(summary: dict[str, Any]) -> None:
    packs = [pack["counts"] for pack in summary["packs"]]
    assert len(packs) == 3
    assert {name: sum(counts[name] for counts in packs) for name in summary["counts"]} == summary["counts"]


def test_a_test_that_did_not_pass_says_why(summary: dict[str, Any]) -> None:
    wanting = [test for test in summary["tests"] if test["outcome"] != "passed"]
    assert wanting
    assert all(test["reason"] for test in wanting)


def test_packs_that_the_tag_has_not_agreed_to_are_named_at_its_top(summary: dict[str, Any]) -> None:
    names = ", ".join(pack["name"] for pack in summary["packs"])
    assert summary["notices"] == [f"not agreed with the TAG: {names}"]
    assert list(summary).index("notices") < list(summary).index("packs")


def test_the_environment_says_whether_it_matches_production(summary: dict[str, Any]) -> None:
    assert summary["environment"]["matches_production"] is False
    assert summary["environment"]["tag_agreement"] == "TAG 41/7"


def test_problems_of_the_records_are_told(fabricated: tuple[Path, Lab]) -> None:
    folder, lab = fabricated
    journal = folder / "journal" / "gw0.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"result":"passed"', b'"result":"failed"', 1))
    (path,) = render(folder, lab)
    assert "journal/gw0.jsonl line" in json.loads(path.read_text())["problems"][0]
