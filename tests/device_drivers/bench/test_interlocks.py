"""What the lab file forbids is refused before anything goes to the wire."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from harness.domain.bench import Condition, Interlock, ReadBack, Relation, Table
from harness.domain.errors import BeyondBench
from harness.domain.words import DeviceType

ESME = DeviceType.ESME


def test_no_load_while_the_supply_relay_is_open(bay, bench) -> None:
    bench.power(ESME, False)
    bay.requests.clear()
    with pytest.raises(
        BeyondBench, match=r"refused: .*load\.on on.*never load\.on is on while supply\.ESME is off"
    ):
        bench.load(1000)
    assert not bay.requests


def test_the_supply_relay_does_not_open_under_load(bay, bench) -> None:
    bench.load(1000)
    bay.requests.clear()
    with pytest.raises(
        BeyondBench, match=r"refused: supply\.ESME off: the lab file says never load\.on is on"
    ):
        bench.mains(False)
    assert not bay.requests
    bench.load(0)
    bench.mains(False)


def test_without_load_nothing_is_forbidden(bench) -> None:
    bench.mains(False)
    bench.load(0)
    bench.mains(True)
    bench.load(1000)


def test_what_can_only_be_read_is_read_and_nothing_is_written(bay, bench, monkeypatch) -> None:
    bench.load(21_000)
    monkeypatch.setattr(bay.house.bench, "temperature", lambda: Decimal(41))
    bay.requests.clear()
    with pytest.raises(BeyondBench, match=r"never load\.current above 90 while temperature above 40"):
        bench.load(22_000)
    assert [request.table for request in bay.requests] == [Table.INPUT_REGISTER]
    assert not bay.writes
    bench.load(20_000)


def test_a_relay_with_a_feedback_contact_is_believed_by_its_contact(
    bay, settings, stand_bay, lab, notes
) -> None:
    from device_drivers.bench.controller import NoController
    from device_drivers.bench.modbus.bench import open_modbus_bench

    relay = replace(
        settings.map.points["supply.ESME"], read_back=ReadBack(table=Table.DISCRETE_INPUT, address=3)
    )
    seen = replace(settings.map, points={**settings.map.points, "supply.ESME": relay})
    bay = stand_bay(replace(settings, map=seen))
    bench = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    bay.twin.hold("supply.ESME", False)  # it has dropped by itself
    bay.twin.touch("supply.ESME")
    bay.requests.clear()
    with pytest.raises(BeyondBench, match=r"while supply\.ESME is off"):
        bench.load(1000)
    assert not bay.writes
    bay.heal()
    bench.close()


def test_conditions_hold_as_they_are_written() -> None:
    warm = Condition("temperature", Relation.ABOVE, Decimal(40))
    assert [warm.holds(Decimal(value)) for value in (39, 40, 41)] == [False, False, True]
    cold = Condition("temperature", Relation.BELOW, Decimal(5))
    assert [cold.holds(Decimal(value)) for value in (4, 5, 6)] == [True, False, False]
    lit = Condition("load.on", Relation.IS, True)
    assert (lit.holds(True), lit.holds(False)) == (True, False)
    assert str(Interlock(lit, warm)) == "never load.on is on while temperature above 40"
