"""SRVs that the catalogue marks unknown: served in a lab that turns them on, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from harness.domain.words import DeviceType

ESME, GSME = DeviceType.ESME, DeviceType.GSME


@pytest.fixture(autouse=True)
def turned_on(bed: Any) -> None:
    """The lab of the S1SP with all of them turned on."""
    catalogue = {
        srv: replace(row, device_types=row.device_types | row.unknown_for)
        for srv, row in bed.lab.catalogue.items()
    }
    bed.lab = bed.s1sp._lab = replace(bed.lab, catalogue=catalogue, unknown_services=True)


@pytest.mark.parametrize("device", [ESME, GSME])
def test_texts_for_the_customer_are_held(bed: Any, device: DeviceType) -> None:
    bed.done("3.1", device, {"SupplierMessage": "Hello"})
    bed.done("3.4", device, {"SupplierName": "Birch", "SupplierTelephoneNumber": "0161 496 0000"})
    held = [bed.twin(device).get(name) for name in ("message", "supplier_name", "supplier_telephone")]
    assert held == ["Hello", "Birch", "0161 496 0000"]


def test_daily_consumption_is_the_difference_of_midnights(bed: Any) -> None:
    rows = bed.twins.esme.rows("daily_read_log")[-3:]
    period = {"StartDateTime": rows[1][0], "EndDateTime": rows[2][0]}
    told = bed.done("4.17", ESME, {"ReadLogPeriod": period}).all("Electricity/LogEntry")
    found = [(entry.time("Timestamp"), entry.integer("Value")) for entry in told]
    assert found == [(rows[1][0], rows[1][1] - rows[0][1]), (rows[2][0], rows[2][1] - rows[1][1])]
    earlier = {
        "StartDateTime": rows[0][0] - timedelta(days=400),
        "EndDateTime": rows[0][0] - timedelta(days=300),
    }
    assert bed.done("4.17", ESME, {"ReadLogPeriod": earlier}).all("Electricity/LogEntry") == ()


def test_what_a_meter_has_no_place_for_is_refused(bed: Any) -> None:
    assert "does not serve SRV 3.5" in bed.refused("3.5", ESME)
