"""One way to write a value as JSON, so that equal content has equal bytes and one digest.

>>> digest({"b": 1, "a": Decimal("1.50")}) == digest({"a": "1.50", "b": 1})
True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final

_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:
    """The value as JSON knows it: bytes as hex, decimals and times as text, records as mappings.

    What JSON cannot say at all is written as its ``repr``: a record never fails for what it holds.
    """
    kind: type = type(value)  # first what most values are: this is a good part of what an attempt costs
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        return {name if type(name) is str else str(plain(name)): plain(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return [plain(item) for item in value]
    if names := _field_names(kind):
        return {name: plain(getattr(value, name)) for name in names}
    return _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case Enum():
            return plain(value.value)
        case None | bool() | int() | str():
            return value
        case float():
            return value if value == value and abs(value) != float("inf") else repr(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case datetime():
            return moment(value) if value.tzinfo else value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal() | Path():
            return str(value)
        case Mapping():
            return {str(plain(name)): plain(item) for name, item in value.items()}
        case set() | frozenset():
            return sorted((plain(item) for item in value), key=repr)
        case Iterable():
            return [plain(item) for item in value]
        case _:
            return repr(value)


@cache
def _field_names(kind: type) -> tuple[str, ...]:
    """Of a record; a mapping is one by its items, whatever else it is."""
    is_record = is_dataclass(kind) and not issubclass(kind, Mapping | Enum)
    return tuple(field.name for field in fields(kind)) if is_record else ()


def canonical(value: Any) -> bytes:
    """Canonical JSON: keys sorted, no white space, UTF-8."""
    return canonical_of_plain(plain(value))


def canonical_of_plain(value: Any) -> bytes:
    """The same for a value that is JSON already, such as one that was read: three times as fast."""
    return _ENCODER.encode(value).encode("utf-8", "backslashreplace")


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def digest_of_plain(value: Any) -> str:
    """The same for a value that is JSON already."""
    return hashlib.sha256(canonical_of_plain(value)).hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex, as ``sha256sum`` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def moment(time: datetime) -> str:
    """A moment in UTC, ISO 8601 with microseconds: texts sort as the moments do."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def now() -> str:
    """The wall clock now, as :func:`moment` writes it."""
    return moment(datetime.now(UTC))
