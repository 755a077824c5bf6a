"""The health of a rig: well, or suspect since a lab fault, until a check finds nothing wrong with it.

One small file a rig under the lab's state folder. It is replaced whole, under a lock, so that a reader never
sees half of it and two writers never mix. What a later version adds to it, an earlier one reads over.

>>> from tempfile import TemporaryDirectory
>>> from harness.domain.errors import TransportLost
>>> with TemporaryDirectory() as folder:
...     now_suspect(Path(folder), "bench-a", TransportLost("/dev/ttyUSB0 went away"), "run 7")
...     health(Path(folder), "bench-a").fault.message
'/dev/ttyUSB0 went away'
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from harness.domain.errors import LabFault

WELL, SUSPECT = "well", "suspect"
_LARGEST_RECORD: Final = 65_536  # bytes


@dataclass(frozen=True, slots=True)
class LastFault:
    """The last lab fault that a rig's attempt, opening or check ended in."""

    family: str  # the class of the error
    message: str
    when: str  # UTC, ISO 8601
    run: str  # the run, check or command that met it
    remedy: str = ""

    @classmethod
    def now(cls, family: str, message: str, run: str, remedy: str = "") -> LastFault:
        """One that was met this second."""
        return cls(family, message, _now(), run, remedy)


@dataclass(frozen=True, slots=True)
class Health:
    """How a rig is. ``since`` is when it became so, empty where nothing was ever written down."""

    state: str = WELL
    since: str = ""
    fault: LastFault | None = None  # the last one, also where the rig is well again

    def __str__(self) -> str:
        if self.state == WELL or self.fault is None:
            return self.state
        return f"{self.state} since {self.since}, {self.fault.run}: {self.fault.family}: {self.fault.message}"


def health(state: Path, rig: str) -> Health:
    """The rig's health as it was last written down. A record that cannot be read makes a rig suspect."""
    path = _path(state, rig)
    try:
        with path.open("rb") as file:
            return _read(json.loads(file.read(_LARGEST_RECORD)))
    except FileNotFoundError:
        return Health()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{path} cannot be read: {error}"
        return Health(SUSPECT, "", LastFault("damaged record", problem, "", "", "check the rig"))


def now_suspect(state: Path, rig: str, fault: LabFault, run: str) -> None:
    """Write down that this fault was met on the rig; one that says nothing of the rig is left out."""
    if fault.suspect:
        note(state, rig, LastFault.now(type(fault).__name__, fault.message, run, fault.remedy))


def note(state: Path, rig: str, fault: LastFault) -> None:
    """Write down a fault that makes the rig suspect; ``since`` stays that of the first one."""
    with _locked(state):
        before = health(state, rig)
        since = before.since if before.state == SUSPECT and before.since else fault.when
        _write(_path(state, rig), Health(SUSPECT, since, fault))


def now_well(state: Path, rig: str) -> None:
    """Write down that a check found nothing wrong; what the last fault was stays known."""
    with _locked(state):
        before = health(state, rig)
        if before.state == WELL and before.since:
            return
        fault = before.fault if before.fault is not None and before.fault.when else None
        _write(_path(state, rig), Health(WELL, _now(), fault))


@contextmanager
def watched(state: Path, rig: str, run: str) -> Iterator[None]:
    """What is done with a rig: a lab fault in it is written down, and goes on."""
    try:
        yield
    except LabFault as fault:
        now_suspect(state, rig, fault, run)
        raise


def _now() -> str:
    return f"{datetime.now(UTC):%FT%TZ}"


def _path(state: Path, rig: str) -> Path:
    return state / "health" / f"{rig}.json"


def _read(record: Any) -> Health:
    fault = record["fault"]
    known = {name: str(fault[name]) for name in LastFault.__dataclass_fields__} if fault else None
    return Health(str(record["state"]), str(record["since"]), LastFault(**known) if known else None)


@contextmanager
def _locked(state: Path) -> Iterator[None]:
    folder = state / "health"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, record: Health) -> None:
    """Whole or not at all, also where the power fails."""
    beside = path.with_suffix(".new")
    with beside.open("w") as file:
        json.dump(asdict(record), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
