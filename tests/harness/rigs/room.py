"""What a lab's store says of a rig, for tests of what goes on with it; and a hold on one in the way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.config import load_lab
from harness.rigs.health import HealthBook
from harness.rigs.health_words import Health
from harness.rigs.leases import Holder, Leases, RigStatus
from harness.rigs.pool import Pool
from harness.rigs.store import Store, sqlite_url


def health_of(state: Path, rig: str) -> Health:
    with Store(sqlite_url(state)) as store:
        return HealthBook(store).of(rig)


def status_of(state: Path, rig: str) -> RigStatus | None:
    """``None`` where the store was never told of the rig."""
    with Store(sqlite_url(state)) as store, Leases(store, "who looks") as leases:
        return next((each for each in leases.rigs() if each.rig == rig), None)


def holder_of(state: Path, rig: str) -> Holder | None:
    status = status_of(state, rig)
    return status.holder if status else None


@contextmanager
def somebody(file: Path, state: Path, owner: str = "ann") -> Iterator[Pool]:
    """A lab's rigs as somebody else has them at hand."""
    with Pool(load_lab(file, state=state), owner) as pool:
        yield pool


def no_check(_: object) -> None:
    """For who takes a rig that is clean."""
    raise AssertionError("the rig is dirty")
