"""However a lab file is damaged, a lab or a ConfigurationError comes of it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.config import load_lab
from harness.config.document import read_document
from harness.config.problems import Problems
from harness.domain.errors import ConfigurationError

PIECES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["{}", "[]", "~", "[[", "!!set ", "&a ", "*a", "0x", "1e999", "2025-13-45", "'", '"', "{a:{b:[c]}}"]
    ),
    st.sampled_from(["? ", "- ", ": ", "|\n", "\t", "%YAML 9.9\n", "---\n", "\u2028", "\x00"]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 900), length=st.integers(0, 120), piece=PIECES)
def test_a_lab_file_with_a_piece_replaced_is_a_lab_or_a_configuration_error(
    lab_folder: Path, start: int, length: int, piece: str
) -> None:
    whole = lab_folder.parent / "whole.yaml"
    if not whole.exists():
        whole.write_bytes((lab_folder / "lab.yaml").read_bytes())
    text = whole.read_text()
    damaged = text[:start] + piece + text[start + length :]
    (lab_folder / "lab.yaml").write_text(damaged, encoding="utf-8", errors="surrogatepass")
    with suppress(ConfigurationError):
        load_lab(lab_folder / "lab.yaml")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.lists(PIECES, max_size=12).map(lambda p: "".join(p).encode("utf-8", "surrogatepass")),
    )
)
def test_any_bytes_are_a_document_or_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(content)
    problems = Problems()
    assert read_document(path, problems) is not None or problems.found


@pytest.mark.parametrize("name", ["device_models.yaml", "dmcs.yaml", "epcl.yaml", "environments.yaml"])
@pytest.mark.parametrize("content", ["5", "x: 5", "x: []", "x: {}", "5: {}", "x: ~", "[1]: 2"])
def test_a_data_file_of_another_shape_is_a_configuration_error(
    lab_folder: Path, name: str, content: str
) -> None:
    (lab_folder / name).write_text(content)
    with pytest.raises(ConfigurationError):
        load_lab(lab_folder / "lab.yaml")
