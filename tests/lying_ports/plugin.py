"""A plugin of pytest that makes the lab's own view of a device lie, from a test's first request on.

What a device's own port, the bench and the display then tell is another value than the true one. A test that
still passes asserts nothing of what they tell: it only listens to the DCC. Set-up, arrangement and teardown
hear the truth. With ``LYING_FROM=bench`` the lies begin with the first act of the bench already, for tests
that look before they ask; with ``body`` at once, for tests that ask nothing. Named in ``PYTEST_PLUGINS``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Any, Final

import pytest

from device_drivers.rigs.assembly import HeldRig
from harness.domain.instruments import RigInHand
from harness.execution.rig_keeper import RigKeeper

TELLING: Final = (
    "read",
    "read_many",
    "snapshot",
    "log",
    "supply",
    "clock",
    "identity",
    "han_devices",
    "wake_ups",
)
"""What devices tell; a bench has ``reference`` and ``temperature``."""
ACTS: Final = ("load", "voltage", "gas_flow", "mains", "power", "tamper", "press_enable")
"""What a bench does."""


class Liar:
    """Lies while ``lying``; a request begins it, within the body of a test."""

    def __init__(self, begin: str) -> None:
        self._begin = begin
        self.in_body = self.lying = False
        self._seen: set[int] = set()
        self._lies = count(1)

    def take(self, rig: RigInHand) -> RigInHand:
        """Stand before everything of a rig that tells."""
        if id(rig) in self._seen:
            return rig
        self._seen.add(id(rig))
        for device in rig.devices.values():
            self._stand_before(device, TELLING)
        self._stand_before(rig.bench, ("reference", "temperature"))
        beginners = [(rig.user, name) for name in ("request", "send", "vend")]
        if self._begin == "bench":
            beginners += [(rig.bench, name) for name in ACTS]
        for whom, name in beginners:
            setattr(whom, name, self._beginning(getattr(whom, name)))
        return rig

    def _stand_before(self, driver: Any, names: tuple[str, ...]) -> None:
        for name in names:
            if hasattr(driver, name):
                setattr(driver, name, self._twisting(getattr(driver, name)))

    def _twisting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def told(*args: Any, **kwargs: Any) -> Any:
            value = method(*args, **kwargs)
            return twisted(value, next(self._lies)) if self.lying else value

        return told

    def _beginning(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            finally:
                self.lying = self.in_body

        return asked

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self) -> Generator[None, Any, Any]:
        self.in_body, self.lying = True, self._begin == "body"
        try:
            return (yield)
        finally:
            self.in_body = self.lying = False


def twisted(value: Any, number: int = 1) -> Any:
    """Another value of the same kind, and another one for each number, so that no two lies agree.

    >>> twisted(5), twisted(True), twisted("abc"), twisted((1, 2), 2)
    (1000008, False, 'cba~', (2000007, 2000008))
    """
    match value:
        case bool():
            return not value
        case Enum():
            others = [each for each in type(value) if each is not value]
            return others[number % len(others)] if others else value
        case int() | Decimal() | float():
            return value + type(value)(1_000_003 * number)
        case str():
            return value[::-1] + "~" * number
        case bytes():
            return value[::-1] + b"~" * number
        case datetime():
            return value + timedelta(days=(400 if value.year < 2000 else -400), seconds=number)
        case Mapping():
            return {name: twisted(each, number) for name, each in value.items()}
        case tuple() | list():
            lies = (twisted(each, number) for each in value)
            return type(value)(lies) or type(value)(("nothing is not true either",))
        case _ if is_dataclass(value) and not isinstance(value, type):
            lies = {each.name: twisted(getattr(value, each.name), number) for each in fields(value)}
            return replace(value, **lies)
    return value


def pytest_configure(config: pytest.Config) -> None:
    liar = Liar(os.environ.get("LYING_FROM", "request"))
    take, displayed = RigKeeper.take, HeldRig.display
    RigKeeper.take = lambda keeper, dmc: liar.take(take(keeper, dmc))  # type: ignore[method-assign]

    def display(rig: HeldRig, device: Any) -> str | None:
        shown = displayed(rig, device)
        return twisted(shown) if liar.lying and shown is not None else shown

    HeldRig.display = display  # type: ignore[method-assign]
    config.pluginmanager.register(liar, "lying-ports")
