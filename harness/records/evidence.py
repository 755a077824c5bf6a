"""The evidence of an attempt: every step with what was expected and found, every message, every file.

One folder an attempt, ``evidence/<test>/<number>/``. ``steps.jsonl`` has a line for each step in the order in
which it happened; files stand beside it, named after their step; of large ones, what several attempts keep is
stored once (:mod:`harness.records.large`). A step's ``kind`` is

- ``note`` (title, detail);
- ``file`` (title, path, media_type, size): something that the test kept;
- ``expect`` (title, expected or low and high, found, held);
- ``event`` (source, title, detail): something that a driver did;
- ``message`` (source, title, media_type, size, and path or hex): something that passed over a port.

The secrets that this process knows (:mod:`harness.records.redaction`) are in none of it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

from harness.records.canonical import canonical_of_plain, digest_of_file, moment, now, plain
from harness.records.difference import describe, shorten
from harness.records.large import SHELF, keep
from harness.records.redaction import hidden

EVIDENCE = "evidence"
STEPS = "steps.jsonl"
INLINE = 2048  # bytes: a binary message up to this long is kept in its step, as hex

_SUFFIXES = {
    "application/json": ".json",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/html": ".html",
    "image/png": ".png",
    "application/vnd.tcpdump.pcap": ".pcap",
    "application/x-pcapng": ".pcapng",
}


def safe(name: str, length: int = 60) -> str:
    """A name that every file system and shell takes: letters, digits, ``.``, ``_`` and ``-``.

    >>> safe("a response/with spaces?.xml")
    'a-response-with-spaces-.xml'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:length].strip(".-") or "unnamed"


def slug(test_id: str) -> str:
    """A folder name for a planned test: short and readable, with a hash that makes it the test's own."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", test_id.rpartition("::")[2] or test_id)
    return f"{readable.strip('-')[:48].strip('-')}-{hashlib.sha256(test_id.encode()).hexdigest()[:8]}".lstrip(
        "-"
    )


def evidence_folder(run_folder: Path, test_id: str, number: int) -> Path:
    """Where an attempt at a planned test keeps its evidence."""
    return run_folder / EVIDENCE / slug(test_id) / str(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFile:
    """One file of an attempt's evidence; ``path`` is relative to the run folder."""

    path: str
    name: str
    media_type: str
    sha256: str
    size: int


class AttemptEvidence:
    """The evidence of one attempt: an EvidenceLog to its test, a Trace to the drivers.

    ``folder`` is that of :func:`evidence_folder` and must be new; ``clock`` tells lab time, where there is
    one. Threads may share it. After :meth:`close` nothing more is taken, so that a straggling thread cannot
    touch an attempt that is over.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] | None = None) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.clock = clock
        all_evidence = folder.parent.parent
        self._shelf = all_evidence / SHELF if all_evidence.name == EVIDENCE else None
        self._steps = (folder / STEPS).open("xb")
        self._lock = Lock()
        self._count = 0
        self._names: dict[str, tuple[str, str]] = {STEPS: ("steps", "application/x-ndjson")}

    def note(self, title: str, detail: Any = None) -> None:
        self._step("note", title, detail=detail)

    def attach(self, name: str, content: bytes | str, media_type: str = "text/plain") -> None:
        self._step("file", name, content=_bytes(content), media_type=media_type)

    def expect(self, what: str, *, found: Any, expected: Any) -> None:
        held = bool(found == expected)
        self._step("expect", what, expected=expected, found=found, held=held)
        if not held:
            raise AssertionError(f"{what}: {describe(expected, found)}")

    def expect_between(self, what: str, *, found: Any, low: Any, high: Any) -> None:
        held = bool(low <= found <= high)
        self._step("expect", what, low=low, high=high, found=found, held=held)
        if not held:
            raise AssertionError(
                f"{what}: expected {shorten(low)} to {shorten(high)}, found {shorten(found)}"
            )

    def event(self, source: str, what: str, **detail: Any) -> None:
        """One thing that happened at ``source``, with its details."""
        self._step("event", what, source=source, detail=detail or None)

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """One whole message: kept as a file, a short one of no known file type as hex in its step."""
        if len(content) <= INLINE and not _is_text(media_type) and media_type not in _SUFFIXES:
            self._step(
                "message", name, source=source, media_type=media_type, hex=content.hex(), size=len(content)
            )
        else:
            self._step("message", name, source=source, content=content, media_type=media_type)

    def _step(
        self, kind: str, title: str, *, content: bytes | None = None, media_type: str = "", **fields: Any
    ) -> None:
        lab = self.clock() if self.clock else None  # before our lock: a clock has a lock of its own
        with self._lock:
            if self._steps.closed:
                return
            self._count += 1
            title = hidden.of_text(title)
            step = {"n": self._count, "at": now(), "kind": kind, "title": title}
            if lab:
                step["lab"] = moment(lab)
            if media_type:
                step["media_type"] = media_type
            if content is not None:
                kept = self._keep(title, hidden.of_bytes(content), media_type)
                step |= {"path": kept, "size": len(content)}
            step |= {
                name: plain(value) for name, value in fields.items() if value is not None or name != "detail"
            }
            self._steps.write(canonical_of_plain(hidden.of_plain(plain(step))) + b"\n")
            self._steps.flush()

    def _keep(self, name: str, content: bytes, media_type: str) -> str:
        stem = f"{self._count:03d}-{safe(name)}"
        suffix = _SUFFIXES.get(media_type, ".bin")
        path = stem if stem.endswith(suffix) else stem + suffix
        keep(self.folder / path, content, self._shelf)
        self._names[path] = (name, media_type)
        return path

    def files(self) -> list[EvidenceFile]:
        """What the attempt has kept so far, with digests: for the journal, once the attempt is closed."""
        root = self.folder.parents[2]
        return [
            EvidenceFile(
                path=(self.folder / path).relative_to(root).as_posix(),
                name=name,
                media_type=media_type,
                sha256=digest_of_file(self.folder / path),
                size=(self.folder / path).stat().st_size,
            )
            for path, (name, media_type) in self._names.items()
        ]

    def close(self) -> None:
        """Take no more steps, and see the folder onto the disk; closing twice does nothing."""
        with self._lock:
            if self._steps.closed:
                return
            os.fsync(self._steps.fileno())
            self._steps.close()


class TraceRouter:
    """The Trace that a rig's drivers hold for as long as the rig is open; it leads to the attempt in hand.

    ``current`` is ``None`` between attempts: what drivers do then (opening the rig, say) is no attempt's
    evidence.
    """

    def __init__(self) -> None:
        self.current: AttemptEvidence | None = None

    def event(self, source: str, what: str, **detail: Any) -> None:
        """One thing that happened at ``source``."""
        if current := self.current:
            current.event(source, what, **detail)

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """One whole message."""
        if current := self.current:
            current.message(source, name, content, media_type)


def read_steps(folder: Path) -> list[Mapping[str, Any]]:
    """The steps of an attempt, in order; a torn last line is left out, no evidence gives none."""
    import json

    path = folder / STEPS
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def _bytes(content: bytes | str) -> bytes:
    return content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type.endswith(("xml", "json"))
