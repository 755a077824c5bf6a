"""How migration is judged: the checks of an error set, each with how well it is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from harness.config.document import Document, read_document
from harness.config.models import FileModel, Text
from harness.config.problems import Problems, nearest
from harness.config.validation import validate
from harness.domain.migration_rules import (
    Consequence,
    MigrationCheck,
    MigrationParty,
    MigrationRules,
    MigrationStage,
)
from harness.domain.words import DeviceType


class CheckFile(FileModel):
    """One check."""

    code: Text = Field(description="the code that is told when it refuses")
    party: MigrationParty = Field(description="who makes it")
    stage: MigrationStage = Field(description="the stage that is not reached where it refuses")
    consequence: Consequence = Field(description="what becomes of the installation")
    on: bool = Field(True, description="false: the check is removed")
    evidence: Literal["confirmed", "ours"] = Field(description="confirmed: a public source names it")
    title: Text = Field(description="what is wrong, in words")


class MigrationFile(FileModel):
    """An error set."""

    attempts: int = Field(description="failed attempts that exclude an installation", ge=1)
    configuration: dict[DeviceType, dict[str, int]] = Field(
        default_factory=dict, description="settings of a dormant meter, by device type"
    )
    uneconomic: list[Text] = Field(default_factory=list, description="DMCs that are not worth migrating")
    checks: dict[str, CheckFile] = Field(description="the checks, by their rule", min_length=1)


def read_migration(path: Path, dmcs: Collection[str], problems: Problems) -> MigrationRules | None:
    """The error set of a lab; or what is wrong with its file, written down."""
    document = read_document(path, problems)
    if document is None:
        return None
    file = validate(MigrationFile, document, (), problems)
    if file is None:
        return None
    for dmc in file.uneconomic:
        if dmc not in dmcs:
            line = document.line(("uneconomic",))
            problems.add(document.path, line, f"uneconomic: no DMC is called {dmc!r}", nearest(dmc, dmcs))
    _check_codes(document, file.checks, problems)
    return MigrationRules(
        attempts=file.attempts,
        checks={rule: MigrationCheck(rule=rule, **dict(check)) for rule, check in file.checks.items()},
        configuration=file.configuration,
        uneconomic=frozenset(file.uneconomic),
    )


def _check_codes(document: Document, checks: Mapping[str, CheckFile], problems: Problems) -> None:
    """A code is one check's alone, or nobody could tell what has happened."""
    first: dict[str, str] = {}
    for rule, check in checks.items():
        if check.code in first:
            line = document.line(("checks", rule, "code"))
            message = f"checks.{rule}: code {check.code} is that of {first[check.code]} already"
            problems.add(document.path, line, message, "give each check a code of its own")
        first.setdefault(check.code, rule)
