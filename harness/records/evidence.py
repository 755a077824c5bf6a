"""The evidence of an attempt: every step with what was expected and found, every message, every file.

One folder an attempt, ``evidence/<test>/<number>/``, empty where nothing happened in the attempt.
``steps.jsonl`` has a line for each step in the order in which it happened; files stand beside it, named after
their step; of large ones, what several attempts keep is stored once (:mod:`harness.records.large`).
``log.txt`` is the attempt's part of its rig's log, where anything happened in it. A step's ``kind`` is

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
from functools import cache
from pathlib import Path
from threading import Lock
from typing import IO, Any

from harness.records.canonical import moment, now, plain
from harness.records.difference import describe, shorten
from harness.records.disk import Disk, onto_disk
from harness.records.large import LARGE, SHELF, keep_once
from harness.records.recording import recording
from harness.records.redaction import hidden
from harness.records.rig_log import RigLog

EVIDENCE = "evidence"
STEPS = "steps.jsonl"
LOG = "log.txt"
_FRAME = 2  # lines of it: that the attempt began, and that it ended; alone they are not worth a file
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


@cache  # asked again and again, while an attempt at the test is made and for each export
def slug(test_id: str) -> str:
    """A folder name for a planned test: short and readable, with a hash that makes it the test's own."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", test_id.rpartition("::")[2] or test_id)
    return f"{readable.strip('-')[:48].strip('-')}-{hashlib.sha256(test_id.encode()).hexdigest()[:8]}".lstrip(
        "-"
    )


def evidence_folder(run_folder: Path, test_id: str, number: int) -> Path:
    """Where an attempt at a planned test keeps its evidence."""
    return run_folder.joinpath(EVIDENCE, slug(test_id), str(number))


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
    one; a ``disk`` is left to see the steps there in the end. Threads may share it. After :meth:`close`
    nothing more is taken, so that a straggling thread cannot touch an attempt that is over.
    """

    def __init__(
        self, folder: Path, *, clock: Callable[[], datetime] | None = None, disk: Disk | None = None
    ) -> None:
        with recording(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)  # mostly new: cheaper than to try without it
            folder.mkdir()
        self.folder = folder
        self.clock = clock
        self._disk = disk
        self._steps: IO[bytes] | None = None  # made with the first step
        self._closed = False
        self._lock = Lock()
        self._count = 0
        self._digest, self._size = hashlib.sha256(), 0  # of the steps as they are in the file
        self._kept: list[EvidenceFile] = []

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
        with self._lock, recording(self.folder):
            if self._closed:
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
            self._write(hidden.canonical(step) + b"\n")

    def _write(self, line: bytes) -> None:
        """One line of steps, which is there to read when this returns."""
        if self._steps is None:
            self._steps = (self.folder / STEPS).open("xb", buffering=0)
        view = memoryview(line)
        while view:
            done = self._steps.write(view)
            self._digest.update(view[:done])
            self._size += done
            view = view[done:]

    def _keep(self, name: str, content: bytes, media_type: str) -> str:
        stem = f"{self._count:03d}-{safe(name)}"
        suffix = _SUFFIXES.get(media_type, ".bin")
        path = stem if stem.endswith(suffix) else stem + suffix
        digest = hashlib.sha256(content).hexdigest()
        if len(content) < LARGE:
            (self.folder / path).write_bytes(content)
        else:
            all_evidence = self.folder.parent.parent
            shelf = all_evidence / SHELF if all_evidence.name == EVIDENCE else None
            keep_once(self.folder / path, content, digest, shelf)
        self._kept.append(self._file(path, name, media_type, digest, len(content)))
        return path

    def _file(self, path: str, name: str, media_type: str, digest: str, size: int) -> EvidenceFile:
        place = "/".join((*self.folder.parts[-3:], path))  # from the run folder
        return EvidenceFile(path=place, name=name, media_type=media_type, sha256=digest, size=size)

    def files(self) -> list[EvidenceFile]:
        """What the attempt has kept so far, with digests: for the journal, once the attempt is closed."""
        steps = self._file(STEPS, "steps", "application/x-ndjson", self._digest.hexdigest(), self._size)
        return [steps, *self._kept] if self._steps else self._kept.copy()

    def keep_log(self, content: bytes) -> None:
        """Keep the attempt's part of its rig's log, which has no secrets in it, beside the steps."""
        with self._lock, recording(self.folder):
            if not self._closed:
                (self.folder / LOG).write_bytes(content)
                digest = hashlib.sha256(content).hexdigest()
                self._kept.append(self._file(LOG, "log of the rig", "text/plain", digest, len(content)))

    def close(self) -> None:
        """Take no more steps, and see them onto the disk; closing twice does nothing."""
        with self._lock:
            if self._steps is not None and not self._closed:
                self._leave(self._steps)
            self._closed = True

    def _leave(self, steps: IO[bytes]) -> None:
        if self._disk is not None:
            self._disk.last(steps)
            return
        onto_disk(steps)
        steps.close()


class TraceRouter:
    """The Trace that a rig's drivers hold for as long as the rig is open; it leads to the attempt in hand.

    ``current`` is ``None`` between attempts: what drivers do then (opening the rig, say) is no attempt's
    evidence. ``log`` is the rig's log, where one is kept: it has what happens in attempts and between them.
    """

    def __init__(self) -> None:
        self.current: AttemptEvidence | None = None
        self.log: RigLog | None = None

    def begins(self, attempt: str, test: str, number: int, evidence: AttemptEvidence) -> None:
        """An attempt is in hand."""
        self.current = evidence
        if self.log is not None:
            self.log.begins(attempt, test, number)

    def ends(self, result: str, message: str = "") -> None:
        """It is not any more: its part of the rig's log is of its evidence, which is then complete."""
        current, self.current = self.current, None
        if self.log is not None:
            part = self.log.ends(result, message)
            if current is not None and part.count(b"\n") > _FRAME:
                current.keep_log(part)
        if current is not None:
            current.close()

    def event(self, source: str, what: str, **detail: Any) -> None:
        """One thing that happened at ``source``."""
        if log := self.log:
            log.event(source, what, **detail)
        if current := self.current:
            current.event(source, what, **detail)

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """One whole message."""
        if log := self.log:
            log.message(source, name, content, media_type)
        if current := self.current:
            current.message(source, name, content, media_type)


def read_steps(folder: Path) -> list[Mapping[str, Any]]:
    """The steps of an attempt, in order; a torn last line is left out, no evidence gives none."""
    import json

    try:
        content = (folder / STEPS).read_bytes()
    except FileNotFoundError:
        return []
    steps: list[Mapping[str, Any]] = json.loads(b"[%b]" % b",".join(content.split(b"\n")[:-1]))
    return steps


def names_in(folder: str) -> list[str]:
    """The names in a folder of evidence; none where there is no such folder."""
    try:
        return os.listdir(folder)  # noqa: PTH208  # a run has many, and paths of text are cheap
    except FileNotFoundError:
        return []


def _bytes(content: bytes | str) -> bytes:
    return content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type.endswith(("xml", "json"))
