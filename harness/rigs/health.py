"""The health of each rig of the lab, and of its parts: what it is, since when, by whom, and why.

It is kept in the lab's store, every change of it in a history. Nobody has checked a new rig: *unknown*. A
lab fault makes a rig unknown, two in a row *suspect*, three *bad*; a check that finds something wrong makes
it bad at once. A check that finds nothing makes it *good*, unless two faults in a row were met that it
cannot explain: then it stays suspect until an attempt on it went well, and so does a part. *Maintenance* is
what the leases say (:meth:`harness.rigs.leases.Leases.maintain`), and is shown before all else.

What says nothing of the rig (a lab file that is wrong, a DCC link that is away) leaves its health alone.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from harness.domain.errors import TransportLost
>>> from harness.rigs.store import Store, sqlite_url
>>> with TemporaryDirectory() as folder, Store(sqlite_url(Path(folder))) as store:
...     book = HealthBook(store)
...     for run in ("run 7", "run 8"):
...         book.fault("bench-a", TransportLost("/dev/ttyUSB0 went away"), run)
...     found = book.of("bench-a")
...     print(found.state, found.faults, found.by, found.reason)
suspect 2 run 8 /dev/ttyUSB0 went away
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from harness.domain.errors import (
    BeyondBench,
    BeyondLab,
    CaptureUnavailable,
    ConfigurationError,
    LabFault,
    LinkLost,
    UsageError,
)
from harness.domain.findings import BAD, IN_USE, Finding
from harness.rigs.health_words import Health, HealthState
from harness.rigs.lease_words import StaleLease

if TYPE_CHECKING:
    from harness.rigs.store import Store

_SUSPECT_FROM: Final = 2  # lab faults in a row
_BAD_FROM: Final = 3
_DCC: Final = "DCC"  # a part of findings that is no part of a rig
_NOT_THE_RIGS: Final = frozenset(  # families that say nothing of the rig itself
    family.__name__
    for family in (
        ConfigurationError,
        UsageError,
        BeyondBench,
        BeyondLab,
        CaptureUnavailable,
        LinkLost,
        StaleLease,
    )
)


class HealthBook:
    """The health of the lab's rigs, in its store. What cannot be read or kept is a ``StoreFault``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def of(self, rig: str) -> Health:
        """How the rig itself is."""
        return self.all_of(rig)[""]

    def parts(self, rig: str) -> Mapping[str, Health]:
        """How each part is of which anything is known, by its name."""
        return {part: health for part, health in self.all_of(rig).items() if part}

    def all_of(self, rig: str) -> Mapping[str, Health]:
        """The rig itself, under "", and its parts; one query."""
        from harness.rigs import health_rows

        return self._store.read(health_rows.of(rig))

    def all(self) -> Mapping[str, Health]:
        """How each rig of the lab is; one query."""
        from harness.rigs import health_rows

        return self._store.read(health_rows.all_rigs)

    def history(self, rig: str, last: int = 20) -> tuple[Health, ...]:
        """The last changes of the rig and its parts, the newest last."""
        from harness.rigs import health_rows

        return self._store.read(health_rows.history(rig, last))

    def fault(self, rig: str, fault: LabFault, by: str) -> None:
        """A lab fault was met on the rig; one that says nothing of the rig is left out."""
        if fault.suspect:
            self._write(rig, dict.fromkeys(("", fault.part), _after_a_fault(fault, by)))

    def checked(self, rig: str, by: str, findings: Sequence[Finding] = ()) -> None:
        """The rig was checked; ``findings`` may name its parts, and what is wrong."""
        of_rig = [each for each in findings if each.part != _DCC]
        if any(each.state == IN_USE for each in of_rig):
            return
        bad = [each for each in of_rig if each.state == BAD]
        telling = [each for each in bad if each.family not in _NOT_THE_RIGS]
        changes: dict[str, _Change] = {}
        if telling or not bad:
            changes[""] = _after_a_check(telling[0] if telling else None, by)
        for part in {each.part for each in of_rig} - {""}:
            wrong = [each for each in bad if each.part == part]
            if not wrong or (wrong := [each for each in wrong if each in telling]):
                changes[part] = _after_a_check(wrong[0] if wrong else None, by)
        self._write(rig, changes)

    def went_well(self, rig: str, by: str) -> None:
        """An attempt ended without a lab fault: the row of them has ended. What a check found stays."""
        self._write(rig, dict.fromkeys(self.all_of(rig), _after_a_good_attempt(by)))

    @contextmanager
    def watched(self, rig: str, by: str) -> Iterator[None]:
        """What is done with a rig: a lab fault in it is written down, and goes on."""
        try:
            yield
        except LabFault as fault:
            self.fault(rig, fault, by)
            raise

    def _write(self, rig: str, changes: Mapping[str, _Change]) -> None:
        """Where nothing changes nothing is written, and who looks keeps nobody waiting."""
        from harness.rigs import health_rows

        differs = bool(changes) and self._store.read(health_rows.would_change(rig, changes))
        if differs:
            self._store.write(health_rows.change(rig, uuid.uuid4().hex, changes))


_Change = Callable[[Health], Health]
"""From what was known of a rig or part to what is known now; ``since`` is kept by who writes it down."""


def _after_a_fault(fault: LabFault, by: str) -> _Change:
    def changed(before: Health) -> Health:
        faults = before.faults + 1
        if before.state is HealthState.BAD and before.faults < _BAD_FROM:
            return replace(before, faults=faults)  # in the words of the check that found it bad
        if faults >= _BAD_FROM:
            state = HealthState.BAD
        else:
            state = HealthState.SUSPECT if faults >= _SUSPECT_FROM else HealthState.UNKNOWN
        family = type(fault).__name__
        return Health(before.rig, before.part, state, "", by, family, fault.message, fault.remedy, faults)

    return changed


def _after_a_check(bad: Finding | None, by: str) -> _Change:
    def changed(before: Health) -> Health:
        rig, part, faults = before.rig, before.part, before.faults
        if bad is not None:
            return Health(rig, part, HealthState.BAD, "", by, bad.family, bad.found, bad.remedy, faults)
        if faults < _SUSPECT_FROM:
            return Health(rig, part, HealthState.GOOD, "", by, "", "a check found nothing wrong", "", faults)
        if before.state is not HealthState.BAD:
            return before
        why = f"a check found nothing wrong after {faults} lab faults in a row"
        return Health(rig, part, HealthState.SUSPECT, "", by, "", why, "", faults)

    return changed


def _after_a_good_attempt(by: str) -> _Change:
    def changed(before: Health) -> Health:
        if before.state in {HealthState.GOOD, HealthState.BAD}:
            return replace(before, faults=0)
        return Health(before.rig, before.part, HealthState.GOOD, "", by, "", "an attempt met no lab fault")

    return changed
