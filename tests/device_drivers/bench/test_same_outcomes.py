"""A bench behind Modbus and the simulated bench itself: the same calls come to the same."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from device_drivers.bench.modbus.loads import current_and_angle, power
from device_drivers.simulated.bench import MAX_DEMAND
from harness.domain.instruments import Bench
from harness.domain.words import DeviceType
from tests.device_drivers.simulated.conftest import build_house

ESME, GSME = DeviceType.ESME, DeviceType.GSME


def life(choice: random.Random) -> list[Callable[[Bench], Any]]:
    """A hundred things that tests do to a bench."""

    def step() -> Callable[[Bench], Any]:
        active, reactive = choice.randint(-9_000, 9_000), choice.randint(-2_000, 2_000)
        volts, litres = choice.uniform(200, 255), choice.randint(0, 6_000)
        meter, on = choice.choice((ESME, GSME)), choice.random() < 0.5
        return choice.choice((
            lambda bench: bench.load(active, reactive),
            lambda bench: bench.load(active),
            lambda bench: bench.load(0),
            lambda bench: bench.voltage(volts),
            lambda bench: bench.gas_flow(litres),
            lambda bench: bench.mains(on),
            lambda bench: bench.tamper(meter, on),
            lambda bench: bench.press_enable(meter),
            lambda bench: bench.reference(),
            lambda bench: bench.temperature(),
        ))  # fmt: skip

    return [step() for _ in range(100)]


@pytest.mark.parametrize("seed", range(3))
def test_a_life_of_a_bench_comes_to_the_same_both_ways(bay, open_it, seed) -> None:
    there, here = open_it(interlocks=()), build_house()
    choice = random.Random(seed)
    for step in life(choice):
        assert repr(step(there)) == repr(step(here.bench))
        wait = timedelta(seconds=choice.randint(0, 4_000), microseconds=choice.randint(0, 999_999))
        for clock in (bay.house.clock, here.clock):
            clock.sleep(wait)
    for each in (there, here.bench):
        each.mains(True)
    for meter, other in ((bay.house.esme, here.esme), (bay.house.gsme, here.gsme)):
        for log in ("profile", "event_log", "security_log"):
            assert meter.rows(log) == other.rows(log)
        assert {name: counter.ticks for name, counter in meter.counters.items()} == {
            name: counter.ticks for name, counter in other.counters.items()
        }
    assert repr(there.reference()) == repr(here.bench.reference())


def test_every_watt_and_var_survives_current_and_angle() -> None:
    choice = random.Random(7)
    step = Decimal("0.000001")
    for _ in range(5_000):
        active, reactive = (choice.randint(-MAX_DEMAND, MAX_DEMAND) for _ in range(2))
        volts = Decimal(choice.randint(100, 4_000)) / 10
        current, angle = (value.quantize(step) for value in current_and_angle(active, reactive, volts))
        assert power(current, angle, volts) == (active, reactive)
