"""The log of a rig: read as it happens, whole whatever happens, part of the evidence, without secrets."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from harness.records import rig_log
from harness.records.evidence import AttemptEvidence, TraceRouter, evidence_folder, read_steps
from harness.records.manifest import verify_manifest
from harness.records.redaction import Redactor
from harness.records.rig_log import LIMIT, RigLog, attach, log_of
from harness.records.sealing import write_manifest

TEST = "test_reads[ioc-alderwick-active,ESME]"
ATTEMPT = "test-reads-1a2b3c4d/1"
MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[RigLog]:
    log = RigLog(tmp_path, "bench-a")
    yield log
    log.close()


@pytest.fixture
def trace(log: RigLog) -> TraceRouter:
    """What the drivers of the rig are given."""
    trace = TraceRouter()
    trace.log = log
    return trace


def lines(log: RigLog) -> list[str]:
    """What the log has, without the wall clock."""
    whole = log.path.read_text().splitlines()
    assert all(re.match(MOMENT, line) for line in whole), whole
    return [line.partition(" ")[2] for line in whole]


def begin(trace: TraceRouter, folder: Path, number: int = 1) -> AttemptEvidence:
    evidence = AttemptEvidence(evidence_folder(folder, TEST, number))
    trace.begins(f"{evidence.folder.parent.name}/{number}", TEST, number, evidence)
    return evidence


def test_a_line_says_when_in_which_attempt_at_what_lab_time_who_and_what(log: RigLog) -> None:
    log.event("controller", "signed on")
    log.clock = lambda: datetime(2026, 1, 15, 6, tzinfo=UTC)
    log.begins(ATTEMPT, TEST, 1)
    log.event("ESME", "read active_import", value=Decimal("12.50"), unit="Wh", raw=b"\x01\x02")
    log.message("DCC", "request.xml", b"<x/>", "text/xml")
    log.ends("blocked", "TransportLost: /dev/ttyUSB0 went away")
    log.clock = None
    log.event("bench", "made safe")
    assert lines(log) == [
        "- controller: signed on",
        f"1a2b3c4d/1 lab 2026-01-15T06:00:00Z begins: attempt 1 at {TEST}, evidence {ATTEMPT}",
        "1a2b3c4d/1 lab 2026-01-15T06:00:00Z ESME: read active_import (value 12.50, unit Wh, raw 01 02)",
        "1a2b3c4d/1 lab 2026-01-15T06:00:00Z DCC: request.xml (4 bytes of text/xml)",
        "1a2b3c4d/1 lab 2026-01-15T06:00:00Z ends: blocked: TransportLost: /dev/ttyUSB0 went away",
        "- bench: made safe",
    ]


def test_it_can_be_read_while_it_is_written(log: RigLog) -> None:
    log.event("ESME", "read clock")
    assert lines(log) == ["- ESME: read clock"]


def test_a_line_stays_one_line_of_a_limited_length_whatever_a_device_says(log: RigLog) -> None:
    log.event("ESME", "says\n\x1b[2J", name="x" * 10_000)
    (line,) = lines(log)
    assert line.startswith(r"- ESME: says\n\x1b[2J (name xxx")
    assert line.endswith("x…")
    assert len(line) == len("- ") + LIMIT


def test_an_attempts_own_part_of_the_log_is_among_its_evidence(tmp_path: Path, trace: TraceRouter) -> None:
    trace.event("bench", "opened")
    evidence = begin(trace, tmp_path)
    trace.event("ESME", "read clock")
    trace.ends("passed")
    trace.event("bench", "made safe")
    second = begin(trace, tmp_path, 2)
    trace.event("ESME", "read clock")
    trace.ends("failed", "expected 7, found 8")
    own = (evidence.folder / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2].partition(":")[0] for line in own] == ["begins", "ESME", "ends"]
    assert (
        (second.folder / "log.txt").read_text().splitlines()[-1].endswith("ends: failed: expected 7, found 8")
    )
    kept = {file.name: file for file in evidence.files()}["log of the rig"]
    assert kept.path == f"evidence/{evidence.folder.parent.name}/1/log.txt"
    assert kept.size == sum(len(line) + 1 for line in own)


def test_what_happens_between_attempts_is_in_the_log_and_no_attempts_evidence(
    tmp_path: Path, trace: TraceRouter, log: RigLog
) -> None:
    evidence = begin(trace, tmp_path)
    trace.ends("passed")
    trace.event("bench", "made safe")
    trace.message("bench", "registers", b"\x00\x01", "application/octet-stream")
    assert lines(log)[-2:] == [
        "- bench: made safe",
        "- bench: registers (2 bytes of application/octet-stream)",
    ]
    assert read_steps(evidence.folder) == []


def test_another_process_goes_on_where_one_was_killed_in_the_midst_of_a_line(tmp_path: Path) -> None:
    log_of(tmp_path, "bench-a").parent.mkdir()
    log_of(tmp_path, "bench-a").write_text("2026-03-02T09:15:00.123Z - ESME: read clo")
    log = RigLog(tmp_path, "bench-a")
    log.begins(ATTEMPT, TEST, 2)
    log.event("ESME", "read clock")
    part = log.ends("passed")
    log.close()
    assert lines(log)[0] == "- ESME: read clo"
    assert [line.split(b" ", 2)[2].partition(b":")[0] for line in part.splitlines()] == [
        b"begins",
        b"ESME",
        b"ends",
    ]


def test_threads_never_mix_their_lines(log: RigLog) -> None:
    def tell(number: int) -> None:
        for _ in range(50):
            log.event("thread", f"{number} " * 30)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(8)))
    told = lines(log)
    assert len(told) == 400
    assert all(len(set(line.split()[2:])) == 1 for line in told)


def test_after_it_is_closed_nothing_is_taken(log: RigLog) -> None:
    log.close()
    with (log.path.parent / "another").open("wb") as another:  # has the number that the log's file had
        log.event("bench", "too late")
        log.close()
        assert log.ends("passed") == b""
        another.flush()
    assert (log.path.parent / "another").read_bytes() == log.path.read_bytes() == b""


FULL = """
import resource, signal, sys
from pathlib import Path
from harness.records.rig_log import RigLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = RigLog(Path(sys.argv[1]), "bench-a")
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
for count in range(5):
    log.event("ESME", f"read {count}", note="." * 40)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.event("ESME", "read again")
"""


def test_a_full_disk_costs_lines_and_says_how_many(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", FULL, tmp_path], check=True)
    told = log_of(tmp_path, "bench-a").read_text().splitlines()
    assert re.fullmatch(rf"{MOMENT} - ESME: read 0 \(note \.+\)", told[0])
    assert re.match(rf"{MOMENT} - ESME: read", told[1])  # torn: there was room for a part of it
    assert told[2].endswith("- log: 4 lines before this could not be written")
    assert told[3].endswith("- ESME: read again")


@pytest.mark.parametrize(
    "library", ["pymodbus.client", "paramiko.transport", "sqlalchemy.pool", "harness.rigs"]
)
def test_what_a_library_warns_of_is_in_the_log_as_long_as_it_is_attached(
    log: RigLog, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(library.partition(".")[0]), "propagate", False)  # pytest is strict
    detach = attach(log)
    logger = logging.getLogger(library)
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    logger.warning("no answer from %s", "unit 1")
    try:
        raise TimeoutError("1 s have passed")
    except TimeoutError:
        logger.exception("lost")
    logger.warning("%d arguments", "too", "many")
    logger.info("this is nobody's business")
    detach()
    logger.warning("nor is this")
    assert lines(log) == [
        f"- {library}: warning: no answer from unit 1",
        f"- {library}: error: lost: TimeoutError: 1 s have passed",
        f"- {library}: warning: %d arguments ('too', 'many')",
    ]


def test_secrets_never_reach_the_log(
    tmp_path: Path, trace: TraceRouter, log: RigLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    password, key = 'pa"ss\\wörd', Random(7).randbytes(16)
    redactor = Redactor([password.encode(), key.hex().encode()])
    monkeypatch.setattr(rig_log, "hidden", redactor)
    detach = attach(log)
    evidence = begin(trace, tmp_path)
    trace.event(password, password, key=key, **{password: [password], "text": key.hex()})
    trace.event("ESME", "at the limit", value="x" * (LIMIT - 40) + key.hex() + password)
    trace.message(password, key.hex(" "), password.encode(), "text/plain")
    logging.getLogger("device_drivers.there").error("login as %s failed: %r", password, {"key": key})
    logging.getLogger("device_drivers.there").error("lost", exc_info=OSError(password))
    trace.ends("failed", f"expected {password}, found {key.hex()[:20]}…")
    detach()
    for path in (log.path, evidence.folder / "log.txt"):
        content = path.read_bytes()
        assert content.count(b"\n") == 7
        assert not redactor.reveals(content)
        assert key.hex()[:12].encode() not in content
        assert b"****" in content


def test_the_manifest_covers_the_logs_and_lets_them_grow_when_a_run_is_resumed(tmp_path: Path) -> None:
    for part in range(2):
        log = RigLog(tmp_path, "bench-a")
        log.event("bench", "opened", part=part)
        log.close()
        write_manifest(tmp_path)
    assert verify_manifest(tmp_path) == ()
    content = log.path.read_bytes()
    log.path.write_bytes(content.replace(b"part 0", b"part 7"))
    where = content.index(b"part 0")
    (problem,) = verify_manifest(tmp_path)
    assert problem.file == "rigs/bench-a.log"
    assert problem.start is not None
    assert problem.start <= where < problem.end
