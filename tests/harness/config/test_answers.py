"""Answers files: what is read, and that every wrong place is named with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.answers import load_answers
from harness.domain.errors import ConfigurationError


def wrong(path: Path, text: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_answers([path])
    return [
        line.strip().partition(f"{path}:")[2] for line in str(caught.value).splitlines() if str(path) in line
    ]


def test_yaml_and_json_lines_are_read_as_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "# of bench 3\n- question: which reading?\n  answer: 0012.30\n  rig: bench-3\n"
        "- {question: is it on?, answer: yes, test: test_on}\n"
        "- question: break the seal\n  cannot: not ours\n"
    )
    (tmp_path / "b.jsonl").write_text('{"question": "is it on?", "answer": false}\n\n')
    found = load_answers([tmp_path / "a.yaml", tmp_path / "b.jsonl"])
    assert [(each.question, each.text, each.rig, each.test, each.refused) for each in found] == [
        ("which reading?", "0012.30", "bench-3", "", False),
        ("is it on?", "yes", "", "test_on", False),
        ("break the seal", "not ours", "", "", True),
        ("is it on?", "no", "", "", False),
    ]
    assert [Path(each.place).name for each in found] == ["a.yaml:2", "a.yaml:5", "a.yaml:6", "b.jsonl:1"]


def test_every_wrong_place_of_a_yaml_file_is_named(tmp_path: Path) -> None:
    told = wrong(
        tmp_path / "a.yaml",
        "- question: one\n  anser: done\n- answer: done\n- question: x\n  answer: a\n  cannot: b\n"
        "- just text\n- question: y\n  answer: [1, 2]\n",
    )
    assert told == [
        "1: unknown key 'anser' (did you mean 'answer'?)",
        "3: no question (write its text as the test asks it)",
        "4: not one of answer and refusal (write either `answer` or `cannot`)",
        "7: not an answer (write a `question` and its `answer`)",
        "8: answer is ['1', '2'], and no text (put it in quotes)",
    ]


def test_every_wrong_line_of_json_lines_is_named(tmp_path: Path) -> None:
    told = wrong(
        tmp_path / "a.jsonl", '{"question": "one", "answer": 12.30}\n{"question"\n[]\n' + "[" * 100_000 + "\n"
    )
    assert told == [
        "1: answer is 12.3, and no text (put it in quotes)",
        "2: not JSON (a whole JSON object on each line)",
        "3: not an answer (write a `question` and its `answer`)",
        "4: not JSON (a whole JSON object on each line)",
    ]


@pytest.mark.parametrize("text", ["", "question: one\nanswer: done\n", "- [", "\x00"])
def test_a_file_that_holds_no_list_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"a\.yaml"):
        load_answers([path])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.jsonl: no such file"):
        load_answers([tmp_path / "none.jsonl"])
