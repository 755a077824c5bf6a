"""Outcomes read back from Allure results made by hand, as any tool may have copied or merged them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.domain.errors import ConfigurationError
from harness.domain.words import CapabilityRelease, DeviceType, Outcome
from harness.traceability.allure import read_outcomes

LABELS = {"ttm": ["A"], "dmc": ["d1"], "release": ["MOC"], "deviceType": ["GSME"]}


def write(folder: Path, name: str, status: str, *, start: int = 0, history: str = "", **labels: Any) -> None:
    given = {key: [str(each) for each in value] if isinstance(value, list) else [str(value)]
             for key, value in labels.items()}  # fmt: skip
    pairs = [(key, value) for key, values in (LABELS | given).items() for value in values]
    result = {"uuid": name, "historyId": history or name, "status": status, "start": start, "stop": start + 5,
              "labels": [{"name": key, "value": value} for key, value in pairs]}  # fmt: skip
    (folder / f"{name}-result.json").write_text(json.dumps(result))


def outcomes(folder: Path) -> list[Outcome]:
    return [test.outcome for test in read_outcomes(folder)]


def test_a_result_tells_its_ids_dmc_release_and_device_type(tmp_path: Path) -> None:
    write(tmp_path, "a", "passed", ttm=["A", "B"], test="t1", result="passed")
    (test,) = read_outcomes(tmp_path)
    assert test.ttm == ("A", "B")
    assert test.dmc == "d1"
    assert test.release is CapabilityRelease.MOC
    assert test.device_type is DeviceType.GSME


@pytest.mark.parametrize(
    ("status", "result", "outcome"),
    [
        ("passed", "passed", Outcome.PASSED),
        ("failed", "failed", Outcome.FAILED),
        ("broken", "blocked", Outcome.BLOCKED),
        ("unknown", "interrupted", Outcome.NOT_RUN),
        ("skipped", "not_run", Outcome.NOT_RUN),
        ("skipped", "descoped", Outcome.DESCOPED),
    ],
)
def test_the_label_says_the_result_in_our_own_words(
    tmp_path: Path, status: str, result: str, outcome: Outcome
) -> None:
    write(tmp_path, "a", status, result=result)
    assert outcomes(tmp_path) == [outcome]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("passed", Outcome.PASSED), ("failed", Outcome.FAILED), ("broken", Outcome.BLOCKED),
     ("skipped", Outcome.NOT_RUN), ("unknown", Outcome.NOT_RUN)],
)  # fmt: skip
def test_without_the_label_the_status_is_taken(tmp_path: Path, status: str, outcome: Outcome) -> None:
    write(tmp_path, "a", status)
    assert outcomes(tmp_path) == [outcome]


def test_of_several_attempts_the_one_with_the_highest_number_decides_whatever_the_clocks_say(
    tmp_path: Path,
) -> None:
    write(tmp_path, "a", "passed", test="t", attempt=2, start=100, result="passed")
    write(tmp_path, "b", "failed", test="t", attempt=1, start=900, result="failed")
    assert outcomes(tmp_path) == [Outcome.PASSED]


def test_an_interrupted_attempt_after_a_pass_leaves_the_test_not_run(tmp_path: Path) -> None:
    write(tmp_path, "a", "passed", test="t", attempt=1, result="passed")
    write(tmp_path, "b", "unknown", test="t", attempt=2, result="interrupted")
    assert outcomes(tmp_path) == [Outcome.NOT_RUN]


def test_a_descoping_is_the_last_word_whatever_was_tried(tmp_path: Path) -> None:
    write(tmp_path, "z", "failed", test="t", attempt=3, start=9, result="failed")
    write(tmp_path, "a", "skipped", test="t", result="descoped")
    assert outcomes(tmp_path) == [Outcome.DESCOPED]


def test_retries_of_other_tools_are_known_by_their_history_and_the_latest_decides(tmp_path: Path) -> None:
    write(tmp_path, "b", "failed", history="h", start=10)
    write(tmp_path, "a", "passed", history="h", start=20)
    write(tmp_path, "c", "passed", history="other", start=5)
    assert sorted(outcomes(tmp_path)) == [Outcome.PASSED, Outcome.PASSED]


def test_the_same_test_on_two_dmcs_counts_twice(tmp_path: Path) -> None:
    write(tmp_path, "a", "passed", test="t[d1]", dmc="d1")
    write(tmp_path, "b", "failed", test="t[d2]", dmc="d2")
    assert sorted(outcomes(tmp_path)) == [Outcome.FAILED, Outcome.PASSED]


def test_results_without_a_ttm_label_and_other_files_are_not_ours(tmp_path: Path) -> None:
    write(tmp_path, "a", "passed")
    write(tmp_path, "b", "failed", ttm=[])
    (tmp_path / "environment.properties").write_text("Run = 1\n")
    (tmp_path / "x-container.json").write_text("{")
    assert outcomes(tmp_path) == [Outcome.PASSED]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "is no Allure result"),
        ("[" * 100_000, "cannot be read: .*recursion"),
        ('{"labels": ["x"]}', "its labels are no list of name and value"),
        ('{"labels": 5}', "its labels are no list of name and value"),
        ('{"start": "soon"}', "it starts at 'soon', not at a millisecond"),
        (
            '{"status": "passed", "labels": [{"name": "ttm", "value": "A"}]}',
            "no usable label or status: 'dmc'",
        ),
    ],
)
def test_a_result_that_cannot_be_used_is_named_and_never_left_out(
    tmp_path: Path, content: str, message: str
) -> None:
    write(tmp_path, "a", "passed")
    (tmp_path / "bad-result.json").write_text(content)
    with pytest.raises(ConfigurationError, match=f"bad-result.json.*{message}"):
        read_outcomes(tmp_path)


def test_a_word_that_is_no_result_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a", "passed", result="fine")
    with pytest.raises(ConfigurationError, match="'fine'"):
        read_outcomes(tmp_path)
