"""Every message of a run as it passed, kept for evidence and for checks that come later."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from device_drivers.dcc.mailbox import Received

MESSAGES: Final = "messages.jsonl"
STRAYS: Final = "strays.jsonl"


class MessageBook:
    """Two files in a run's folder, of one JSON object a line. Safe for threads.

    ``messages.jsonl`` has every message with ``at``, ``kind`` and ``xml``. ``kind`` is ``request`` or
    ``answer`` (with its HTTP ``status``), ``response`` or ``alert`` (with its ``problems`` and, where nobody
    waited for it, why it is a ``stray``). What a test has made wrong on purpose, or posted itself in the
    DCC's place, is ``forged``.

    ``strays.jsonl``, which is there only if there are any, says of each stray ``at``, ``kind``, ``why``,
    ``devices``, ``request_id``, ``response_id``, ``code``, ``problems``, and its ``line`` in the other file.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._strays = folder / STRAYS
        self._lines = _lines_of(folder / MESSAGES)
        _lines_of(self._strays)
        self._file = (folder / MESSAGES).open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def write(self, kind: str, xml: bytes, **fields: Any) -> int:
        """Keep one message, and return its line, from 1. Bytes that are not UTF-8 are kept with escapes."""
        entry = {"kind": kind, **fields, "xml": xml.decode("utf-8", "backslashreplace")}
        with self._lock:
            self._file.write(_line(entry))
            self._file.flush()
            self._lines += 1
            return self._lines

    def received(self, message: Received, *, forged: bool = False) -> None:
        """Keep one that came from the DCC, and note it among the strays if it is one."""
        kind = "alert" if message.is_alert else "response"
        about: dict[str, Any] = {"request_id": message.request_id, "problems": message.problems}
        where = {"number": message.number, "stray": message.stray, "forged": forged}
        line = self.write(kind, message.xml, **about, **where)
        if message.stray:
            about |= {"response_id": message.response_id, "code": message.code}
            about |= {"devices": sorted(message.devices), "line": line}
            with self._lock, self._strays.open("a", encoding="utf-8") as file:
                file.write(_line({"kind": kind, "why": message.stray, **about}))

    def close(self) -> None:
        """End the book; closing twice is fine."""
        self._file.close()


def _lines_of(path: Path) -> int:
    """How many lines an earlier part of the same run left; one that a kill has torn off is ended here."""
    if not path.is_file():
        return 0
    with path.open("rb+") as file:
        count, whole = 0, True
        for line in file:
            count, whole = count + 1, line.endswith(b"\n")
        if not whole:
            file.write(b"\n")
    return count


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps({"at": datetime.now(UTC).isoformat(), **entry}) + "\n"
