"""The pace of a standing lab's time."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from device_drivers.simulated import pace
from device_drivers.simulated.clock import VirtualClock

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)


class TenSeconds:
    """Real time that passes where it is waited for. The first second comes late, the tenth is the last."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds + (0.0 if self.now else 3.5)
        return self.now > 10

    def set(self) -> None:
        """It ends by itself."""


def test_lab_time_passes_as_fast_as_real_time_and_what_came_late_is_made_up_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = TenSeconds()
    monkeypatch.setattr(pace, "time", real)
    monkeypatch.setattr(pace, "threading", SimpleNamespace(Event=lambda: real, Thread=threading.Thread))
    clock = VirtualClock(NOON)
    pace.Pace([clock]).close()
    assert clock.now() == NOON + timedelta(seconds=10)
