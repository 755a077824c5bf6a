"""Every message of a run as it passed, kept for evidence and for checks that come later."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any


class MessageBook:
    """``messages.jsonl`` in a run's folder: one JSON object a line, with ``at``, ``kind`` and ``xml``.

    ``kind`` is ``request`` or ``answer`` (with its HTTP ``status``), ``response`` or ``alert`` (with its
    ``problems`` and, where nobody waited for it, why it is a ``stray``). Safe for threads.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (folder / "messages.jsonl").open("a", encoding="utf-8")
        self._lock = threading.Lock()

    def write(self, kind: str, xml: bytes, **fields: Any) -> None:
        """Keep one message; bytes that are not UTF-8 are kept with escapes."""
        entry = {"at": datetime.now(UTC).isoformat(), "kind": kind, **fields}
        entry["xml"] = xml.decode("utf-8", "backslashreplace")
        with self._lock:
            self._file.write(json.dumps(entry) + "\n")
            self._file.flush()

    def close(self) -> None:
        """End the book; closing twice is fine."""
        self._file.close()
