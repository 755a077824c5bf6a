"""Lab time of a physical rig."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from device_drivers.rigs import wall_clock
from device_drivers.rigs.wall_clock import WallClock
from harness.domain.errors import DeviceTimeout

BRIEF = timedelta(milliseconds=50)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    monkeypatch.setattr(wall_clock, "_PROGRESS_SECONDS", 0.02)
    monkeypatch.setattr(wall_clock, "_LOOK_SECONDS", 0.01)
    return []


def test_it_really_waits_and_says_so(told: list[tuple[str, float]]) -> None:
    clock = WallClock(lambda what, left: told.append((what, left)))
    before, began = clock.now(), time.monotonic()
    clock.sleep(BRIEF)
    assert time.monotonic() - began >= BRIEF.total_seconds()
    assert clock.now() - before >= BRIEF
    assert told
    assert told[0][0] == "time to pass"


def test_it_returns_what_the_condition_gives_as_soon_as_it_does(told: list[tuple[str, float]]) -> None:
    answers = iter([None, None, "here"])
    clock = WallClock(lambda what, left: told.append((what, left)))
    assert clock.until(lambda: next(answers), within=timedelta(seconds=5), what="an answer") == "here"


def test_what_is_late_is_a_timeout_that_names_it(told: list[tuple[str, float]]) -> None:
    clock = WallClock(lambda what, left: told.append((what, left)))
    with pytest.raises(DeviceTimeout, match="the meter's clock: not within"):
        clock.until(lambda: None, within=BRIEF, what="the meter's clock")
    assert ("the meter's clock", pytest.approx(0.02, abs=0.03)) in told
