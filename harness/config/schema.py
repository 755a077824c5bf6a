"""The JSON schema of a lab's files, for editors; made from the models."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from harness.config.bench_models import BenchFile, ModbusBenchFile, PointFile, RegisterMapFile
from harness.config.models import DeviceModelFile, DmcFile, EnvironmentFile, EpclFile, LabFile, RigFile

_DATA_FILES: Final[dict[str, type[BaseModel]]] = {
    "device_models": DeviceModelFile,
    "dmcs": DmcFile,
    "epcl": EpclFile,
    "environments": EnvironmentFile,
}


def json_schema() -> dict[str, Any]:
    """The lab file's schema; those of its data files stand under ``$defs`` as ``device_models`` and so on.

    An editor is told by a first line as
    ``# yaml-language-server: $schema=lab.schema.json#/$defs/device_models``.
    """
    benches = (ModbusBenchFile, BenchFile, RegisterMapFile, PointFile)
    models = [(model, "validation") for model in (LabFile, RigFile, *benches, *_DATA_FILES.values())]
    _, schema = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    definitions = schema["$defs"]
    rigs = definitions["LabFile"]["properties"]["rigs"]  # which the loader validates one by one
    rigs["additionalProperties"] = {"$ref": "#/$defs/RigFile"}
    definitions["RigFile"]["properties"]["bench"] = {
        "description": "the bench's I/O, by its kind",
        "if": {"properties": {"kind": {"const": "modbus"}}, "required": ["kind"]},
        "then": {"$ref": "#/$defs/ModbusBenchFile"},
        "else": {"$ref": "#/$defs/BenchFile"},
    }
    definitions["RegisterMapFile"]["properties"]["points"]["additionalProperties"] = {
        "$ref": "#/$defs/PointFile"
    }
    definitions["bench_map"] = {"$ref": "#/$defs/RegisterMapFile"}
    for name, model in _DATA_FILES.items():
        definitions[name] = {"type": "object", "additionalProperties": {"$ref": f"#/$defs/{model.__name__}"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A lab of the SMETS1 test-lab harness",
        "$ref": "#/$defs/LabFile",
        "$defs": definitions,
    }
