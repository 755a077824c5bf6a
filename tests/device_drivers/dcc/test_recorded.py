"""The record of a run's messages, held once more against schema, signatures and counters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc.recorded import check_messages
from harness.domain.errors import ConfigurationError
from harness.domain.lab import Lab
from harness.hooks import MessageCheck

Lines = list[dict[str, Any]]


@pytest.fixture
def recorded(dcc: Any, spec: Path) -> Lines:
    """Two requests that were served, the DCC's and a device's, and one that was signed wrongly."""
    dcc.code("8.2", {"DeviceID": dcc.esme})
    for _ in range(2):
        dcc.code("7.4", None)
    dcc.code("7.4", None, signature="broken")
    dcc.settle()
    lines = (dcc.folder / "messages.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def check(dcc_lab: Lab, tmp_path: Path) -> Callable[[Lines], MessageCheck]:
    def checked(lines: Lines) -> MessageCheck:
        folder = tmp_path / "run" / "dcc"
        folder.mkdir(parents=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "messages.jsonl").write_text(text)
        return check_messages(dcc_lab, folder.parent)

    return checked


def of_kind(lines: Lines, kind: str, *, forged: bool = False) -> dict[str, Any]:
    return next(line for line in lines if line["kind"] == kind and bool(line.get("forged")) is forged)


def test_a_good_record_holds_and_is_counted(recorded: Lines, check: Callable[[Lines], MessageCheck]) -> None:
    found = check(recorded)
    assert found.problems == ()
    assert found.messages == {"request": 4, "answer": 4, "response": 2}
    assert found.forged == 1
    assert found.by_schema


@pytest.mark.parametrize("kind", ["request", "answer", "response"])
def test_a_changed_letter_breaks_a_signature_either_way(
    kind: str, recorded: Lines, check: Callable[[Lines], MessageCheck]
) -> None:
    line = of_kind(recorded, kind)
    line["xml"] = line["xml"].replace("00-DB-12-34-56-01-00-01", "00-DB-12-34-56-01-00-02", 1)
    assert any("signature" in problem for problem in check(recorded).problems)


def test_what_the_schema_does_not_allow_is_found_in_either_direction(
    recorded: Lines, check: Callable[[Lines], MessageCheck]
) -> None:
    for kind in ("request", "response"):
        line = of_kind(recorded, kind)
        line["xml"] = line["xml"].replace('schemaVersion="5.4"', 'schemaVersion="5.4" odd="1"', 1)
    found = [problem for problem in check(recorded).problems if "schema" in problem]
    assert any(", request" in problem or ", answer" in problem for problem in found)
    assert any(", response" in problem for problem in found)


def test_a_counter_that_does_not_rise_is_found(
    recorded: Lines, check: Callable[[Lines], MessageCheck]
) -> None:
    again = [line for line in recorded if line["kind"] in {"request", "answer"}][:2]
    assert any("does not rise" in problem for problem in check([*recorded, *again]).problems)


def test_a_response_that_comes_again_and_is_taken_for_another_is_found(
    recorded: Lines, check: Callable[[Lines], MessageCheck]
) -> None:
    assert any(
        "came before" in problem for problem in check([*recorded, of_kind(recorded, "response")]).problems
    )


def test_a_duplicate_that_was_seen_to_be_one_is_no_problem(
    recorded: Lines, check: Callable[[Lines], MessageCheck]
) -> None:
    again = {**of_kind(recorded, "response"), "stray": "came before"}
    assert check([*recorded, again]).problems == ()


def test_a_request_without_an_answer_and_an_answer_without_a_request_are_found(
    recorded: Lines, check: Callable[[Lines], MessageCheck]
) -> None:
    recorded.remove(of_kind(recorded, "answer"))
    recorded.remove([line for line in recorded if line["kind"] == "request"][1])
    problems = check(recorded).problems
    assert any("no answer to it" in problem for problem in problems)
    assert any("no request of the record" in problem for problem in problems)


def test_something_forged_that_nobody_saw_through_is_found(
    recorded: Lines, check: Callable[[Lines], MessageCheck]
) -> None:
    posted = {**of_kind(recorded, "response"), "forged": True}
    recorded[recorded.index(of_kind(recorded, "response"))] = posted
    assert any("nothing was seen to be wrong" in problem for problem in check(recorded).problems)


def test_a_line_that_a_kill_has_torn_off_is_left_out(dcc: Any, dcc_lab: Lab, tmp_path: Path) -> None:
    dcc.code("8.2", {"DeviceID": dcc.esme})
    folder = tmp_path / "run" / "dcc"
    folder.mkdir(parents=True)
    whole = (dcc.folder / "messages.jsonl").read_text()
    (folder / "messages.jsonl").write_text(whole + '{"kind": "requ')
    assert check_messages(dcc_lab, folder.parent).problems == ()


def test_a_folder_without_messages_is_refused(dcc_lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no messages"):
        check_messages(dcc_lab, tmp_path)
