"""A twin does not hear a client any more who has failed too often; for a while, and no other client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from device_drivers.simulated.lockout import ATTEMPTS, DEAF, TwinGuard


@pytest.fixture
def guard(house: Any) -> TwinGuard:
    return TwinGuard(house.esme)


def fail(guard: TwinGuard, times: int, client: int = 3) -> None:
    for _ in range(times):
        guard.failed(client)


def test_the_last_attempt_that_is_borne_locks_the_client_out(guard: TwinGuard) -> None:
    fail(guard, ATTEMPTS - 1)
    assert not guard.locked(3)
    fail(guard, 1)
    assert guard.locked(3)
    assert not guard.locked(1)


def test_it_ends_with_time(guard: TwinGuard, house: Any) -> None:
    fail(guard, ATTEMPTS)
    house.clock.sleep(DEAF - timedelta(seconds=1))
    assert guard.locked(3)
    house.clock.sleep(timedelta(seconds=1))
    assert not guard.locked(3)


def test_who_gets_in_begins_anew(guard: TwinGuard) -> None:
    fail(guard, ATTEMPTS - 1)
    guard.let_in(3)
    fail(guard, ATTEMPTS - 1)
    assert not guard.locked(3)
