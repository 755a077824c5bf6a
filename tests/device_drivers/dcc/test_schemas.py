"""Messages against the schemas that the lab names."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_drivers.dcc.schemas import Schemas, schemas
from device_drivers.dcc.tree import parse
from harness.domain.errors import ConfigurationError


def test_the_real_samples_are_valid(spec: Path) -> None:
    held = Schemas(spec / "schemas")
    samples = sorted((spec / "samples").iterdir())
    assert len(samples) == 18
    assert [(sample.name, held.problems(parse(sample.read_bytes()))) for sample in samples] == [
        (sample.name, ()) for sample in samples
    ]


def test_a_problem_names_the_element(spec: Path) -> None:
    sample = (spec / "samples" / "8.2_READ_INVENTORY_REQUEST_DUIS.XML").read_bytes()
    (problem, *_) = Schemas(spec / "schemas").problems(
        parse(sample.replace(b"ReadInventory>", b"ReadIventory>"))
    )
    assert "ReadIventory" in problem


def test_a_folder_is_compiled_once(spec: Path) -> None:
    assert schemas(spec / "schemas") is schemas(spec / "schemas")


def test_a_lab_without_schemas_validates_nothing() -> None:
    assert schemas(None) is None


def test_a_folder_without_a_schema_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one DUIS\*.xsd, found 0"):
        Schemas(tmp_path)


def test_a_schema_that_does_not_compile_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "DUIS_V5.4.xsd").write_text(
        "<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'><xs:x/></xs:schema>"
    )
    with pytest.raises(ConfigurationError, match="does not compile"):
        Schemas(tmp_path)
