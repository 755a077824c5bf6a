"""Plain words are kept as they were written, and read as the core schema of YAML 1.2 has it, not as 1.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config.document import Written, read_document
from harness.config.problems import Problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("no", "no"), ("Off", "Off"), ("y", "y"),
        ("9600", 9600), ("-1", -1), ("+1", 1), ("017", 17), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"),
        ("0b11", "0b11"), ("12:30:00", "12:30:00"), ("5.40", 5.4), (".5", 0.5), ("1e3", 1000.0),
        ("1.2.3", "1.2.3"),
        ("2025-03-03", "2025-03-03"), ("2025-03-03T08:00:00Z", "2025-03-03T08:00:00Z"), ("=", "="),
        ("word", "word"),
    ],
)  # fmt: skip
def test_a_plain_word_is_kept_and_read(tmp_path: Path, text: str, value: object) -> None:
    read = only(tmp_path, f"a: {{b: {text}}}\n")
    assert (type(read), read) == (Written, text)
    assert (type(read.value), read.value) == (type(value), value)


@pytest.mark.parametrize("text", ["", "~", "null", "Null"])
def test_nothing_is_none(tmp_path: Path, text: str) -> None:
    assert only(tmp_path, f"a:\n  b: {text}\n") is None


@pytest.mark.parametrize("text", ['"12"', "'true'", "|\n    12", '"~"'])
def test_what_is_quoted_is_text(tmp_path: Path, text: str) -> None:
    read = only(tmp_path, f"a:\n  b: {text}\n")
    assert isinstance(read, str)
    assert getattr(read, "value", read) == read


def only(folder: Path, content: str):
    (folder / "a.yaml").write_text(content)
    problems = Problems()
    document = read_document(folder / "a.yaml", problems)
    assert not problems.found, problems.found
    assert document is not None
    return document.at("a", "b")
