"""A harness plugin whose rigs do nothing: what is left of a test's cost is the harness's own."""

from __future__ import annotations

from datetime import UTC, datetime

from harness.domain.baseline import baseline
from harness.domain.findings import GOOD, Finding
from harness.hooks import hookimpl

_NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class StoppedClock:
    def now(self) -> datetime:
        return _NOW


class DoNothingDevice:
    """Is what the lab file says."""

    def __init__(self, device) -> None:
        self._identity = baseline(device)

    def identity(self):
        return self._identity


class DoNothingRig:
    def __init__(self, rig) -> None:
        self.rig = rig
        self.clock = StoppedClock()
        self.devices = {type_: DoNothingDevice(device) for type_, device in rig.devices.items()}
        self.bench = self.user = None

    def close(self) -> None:
        """There is nothing to put down."""


class DoNothingServices:
    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}

    def close(self) -> None:
        """There is nothing to stop."""


@hookimpl(tryfirst=True)
def harness_start_lab():
    return DoNothingServices()


@hookimpl(tryfirst=True)
def harness_open_rig(rig):
    return DoNothingRig(rig)


@hookimpl(tryfirst=True)
def harness_check_rig(rig):
    return [Finding(rig.id, "", GOOD, "look", "it is there")]
