"""What was agreed with the TAG (Clauses 20.16, 20.17): each pack's version and digest, and what it covered.

``agreed_packs.yaml`` is written by ``harness packs agree`` and read at the start of every run. Beside the
digest it keeps that of every file and test, so that what has changed since can be named.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, StringConstraints

from harness.config.document import Document, read_document
from harness.config.models import FileModel, Text
from harness.config.pack_sources import tests_of
from harness.config.problems import Problems
from harness.config.validation import validate
from harness.domain.errors import ConfigurationError
from harness.domain.packs import Pack

_HEAD: Final = """\
# The Test Packs that were agreed with the TAG (Clauses 20.16 and 20.17), as `harness packs agree` writes it.
# A run says where a pack is not what stands here; a witnessed run does not start with it (Clause 13.15(a)).
"""
_SHORT: Final = 16  # hex digits of a test's digest: it names what changed, the pack's digest proves it

Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class AgreementFile(FileModel):
    """The agreement to one pack, under the pack's name."""

    version: Text = Field(description="the version that was agreed")
    digest: Sha256 = Field(description="the digest that was agreed")
    reference: Text = Field(description="the reference of the TAG's agreement")
    date: datetime.date = Field(description="when it was written here")
    by: str = Field("", description="who wrote it here")
    files: dict[str, Sha256] = Field(description="the digest of each file, from the packs folder")
    tests: dict[str, Text] = Field(description="the first digits of each test's digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What was agreed of one pack."""

    pack: str
    version: str
    digest: str
    reference: str
    date: datetime.date
    by: str
    files: Mapping[str, str]
    tests: Mapping[str, str]

    @classmethod
    def to(cls, pack: Pack, reference: str, day: datetime.date, by: str) -> Agreement:
        """An agreement to a pack as it stands."""
        return cls(
            pack=pack.name,
            version=pack.version,
            digest=pack.digest,
            reference=reference,
            date=day,
            by=by,
            files=pack.files,
            tests=_tests(pack),
        )

    def departures(self, pack: Pack) -> tuple[str, ...]:
        """In what a pack differs from what was agreed; none where their digests are the same."""
        return tuple(self._departures(pack)) if pack.digest != self.digest else ()

    def _departures(self, pack: Pack) -> Iterator[str]:
        if pack.version != self.version:
            yield f"its version is {pack.version}, and {self.version} was agreed"
        tests = _tests(pack)
        told: set[str] = set()
        for how, names in (
            ("is new", tests.keys() - self.tests.keys()),
            ("is gone", self.tests.keys() - tests.keys()),
            ("has changed", {name for name in tests if self.tests.get(name, tests[name]) != tests[name]}),
        ):
            for name in sorted(names):
                told.add(name.partition("::")[0])
                yield f"{name} {how}"
        for name in sorted({*self.files, *pack.files} - told):
            was, is_ = self.files.get(name), pack.files.get(name)
            if was != is_:
                yield f"{name} {'is new' if was is None else 'is gone' if is_ is None else 'has changed'}"


def _tests(pack: Pack) -> dict[str, str]:
    return {test.id: test.source.digest[:_SHORT] for test in tests_of(pack)}


def read_agreed(path: Path) -> dict[str, Agreement]:
    """The agreements of a file, by pack; none where there is no file, since then nothing was agreed."""
    if not path.exists():
        return {}
    problems = Problems()
    document = read_document(path, problems)
    if document is not None and not isinstance(document.content, Mapping):
        problems.add(path, 1, "found no keys", "write agreements below the names of packs")
    problems.tell()
    assert document is not None
    found = {str(name): _agreement(str(name), document, problems) for name in document.content}
    problems.tell()
    return {name: agreement for name, agreement in found.items() if agreement is not None}


def _agreement(name: str, document: Document, problems: Problems) -> Agreement | None:
    file = validate(AgreementFile, document, (name,), problems)
    return Agreement(pack=name, **dict(file)) if file else None


def write_agreed(path: Path, agreements: Mapping[str, Agreement]) -> None:
    """Write the file, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_text(
            _HEAD + "".join(map(_lines, sorted(agreements.values(), key=_name))), encoding="utf-8"
        )
        part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _name(agreement: Agreement) -> str:
    return agreement.pack


def _lines(agreement: Agreement) -> str:
    words: dict[str, Any] = {
        "version": agreement.version,
        "digest": agreement.digest,
        "reference": agreement.reference,
        "date": agreement.date.isoformat(),
        "by": agreement.by,
    }
    lines = [f"\n{_quoted(agreement.pack)}:", *(f"  {key}: {_quoted(value)}" for key, value in words.items())]
    for key, digests in (("files", agreement.files), ("tests", agreement.tests)):
        lines += [
            f"  {key}:",
            *(f"    {_quoted(name)}: {_quoted(digests[name])}" for name in sorted(digests)),
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A YAML scalar: JSON's strings are YAML's."""
    return json.dumps(text, ensure_ascii=False)
