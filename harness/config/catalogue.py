"""The Service Request catalogue: a CSV file that a lab may replace, each row with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from harness.config.problems import Problems, nearest
from harness.config.tables import Row, read_table
from harness.domain.lab import ServiceRequest
from harness.domain.words import DeviceType, UserRole

COLUMNS: Final = (
    "srv", "name", "service_reference", "body_element", "command_variant", "critical", "on_demand",
    "future_dated", "dcc_scheduled", "non_device", "user_roles", "smets1_esme", "smets1_gsme", "smets1_ch",
    "evidence",
)  # fmt: skip
_DEVICE_COLUMNS: Final = {DeviceType(name): f"smets1_{name.lower()}" for name in DeviceType}
_HELD_BY: Final = {
    "No": frozenset[str](),
    "DSP": frozenset({"DSP"}),
    "Device": frozenset({"Device"}),
    "DSP & Device": frozenset({"DSP", "Device"}),
}
_GRADES: Final = ("confirmed", "supported", "inferred", "unknown")


def load_catalogue(path: Path) -> Mapping[str, ServiceRequest]:
    """The catalogue by SRV, in the order of the file.

    Raises :class:`~harness.domain.errors.ConfigurationError` naming file and line of every wrong cell.
    """
    problems = Problems()
    catalogue = read_catalogue(path, problems)
    problems.tell()
    return catalogue


def read_catalogue(path: Path, problems: Problems) -> Mapping[str, ServiceRequest]:
    """The rows that are right; what is wrong with the others is written down."""
    catalogue: dict[str, ServiceRequest] = {}
    lines: dict[str, int] = {}
    for row in read_table(path, COLUMNS, problems):
        if row["srv"] in lines:
            first = lines[row["srv"]]
            problems.add(
                path, row.line, f"SRV {row['srv']!r} stands twice, first on line {first}", "remove one"
            )
            continue
        lines[row["srv"]] = row.line
        before = len(problems.found)
        _check(path, row, problems)
        if len(problems.found) == before:
            catalogue[row["srv"]] = _request(row)
    return catalogue


def _check(path: Path, row: Row, problems: Problems) -> None:
    srv = row["srv"]
    reference = ".".join(srv.split(".")[:2])
    if row["service_reference"] != reference:
        found = row["service_reference"]
        remedy = "spreadsheets drop the last zero of 6.20: format the column as text"
        problems.add(
            path, row.line, f"SRV {srv}: found service reference {found!r}, expected {reference!r}", remedy
        )
    if not row["command_variant"].isdecimal() or not 1 <= int(row["command_variant"]) <= 8:
        found = row["command_variant"]
        problems.add(
            path, row.line, f"SRV {srv}: found command variant {found!r}, expected 1 to 8", "correct it"
        )
    for column in ("critical", "non_device", "dcc_scheduled"):
        _one_of(path, row, column, ("Yes", "No"), problems)
    _one_of(path, row, "future_dated", tuple(_HELD_BY), problems)
    for column in _DEVICE_COLUMNS.values():
        _one_of(path, row, column, ("Y", "N", "?"), problems)
    for role in row["user_roles"].split():
        if role not in set(UserRole):
            problems.add(
                path, row.line, f"SRV {srv}: unknown User Role {role!r}", nearest(role, list(UserRole))
            )
    if not row["evidence"].startswith(_GRADES):
        message = f"SRV {srv}: the evidence does not begin with its grade"
        problems.add(path, row.line, message, nearest(row["evidence"].split(":")[0], _GRADES))
    for column in ("name", "body_element"):
        if not row[column]:
            problems.add(path, row.line, f"SRV {srv}: no {column}", "fill it in")


def _one_of(path: Path, row: Row, column: str, words: tuple[str, ...], problems: Problems) -> None:
    if row[column] not in words:
        message = f"SRV {row['srv']}: found {column} {row[column]!r}, expected one of {', '.join(words)}"
        problems.add(path, row.line, message, "correct it")


def _request(row: Row) -> ServiceRequest:
    return ServiceRequest(
        srv=row["srv"],
        name=row["name"],
        service_reference=row["service_reference"],
        body_element=row["body_element"],
        critical=row["critical"] == "Yes",
        command_variant=int(row["command_variant"]),
        non_device=row["non_device"] == "Yes",
        roles=tuple(UserRole(role) for role in row["user_roles"].split()),
        device_types=frozenset(each for each, column in _DEVICE_COLUMNS.items() if row[column] == "Y"),
        unknown_for=frozenset(each for each, column in _DEVICE_COLUMNS.items() if row[column] == "?"),
        evidence=row["evidence"],
        future_dated=_HELD_BY[row["future_dated"]],
        dcc_scheduled=row["dcc_scheduled"] == "Yes",
    )
