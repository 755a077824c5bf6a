"""The JSON schema that editors check lab files with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from harness.config import json_schema


def parts(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from parts(child)
    elif isinstance(node, list):
        for child in node:
            yield from parts(child)


def test_it_is_plain_json_and_every_reference_in_it_leads_somewhere() -> None:
    schema = json.loads(json.dumps(json_schema()))
    references = {part["$ref"] for part in parts(schema) if isinstance(part.get("$ref"), str)}
    assert references
    assert {reference.removeprefix("#/$defs/") for reference in references} <= schema["$defs"].keys()


def test_every_key_of_a_lab_file_has_its_meaning_and_no_other_is_allowed() -> None:
    models = {name: part for name, part in json_schema()["$defs"].items() if "properties" in part}
    assert {"LabFile", "RigFile", "RigDeviceFile", "DccFile", "DmcFile"} <= models.keys()
    for name, model in models.items():
        assert model["additionalProperties"] is False, name
        assert all(key.get("description") for key in model["properties"].values()), name


def test_it_covers_the_data_files_as_well() -> None:
    definitions = json_schema()["$defs"]
    for name in ("device_models", "dmcs", "epcl", "environments"):
        assert definitions[name]["type"] == "object"


def test_it_offers_the_words_of_appendix_ak() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["CapabilityRelease"]["enum"] == ["IOC", "MOC", "FOC"]
    assert definitions["InstallationType"]["enum"] == ["dormant", "active", "mixed"]
