"""Reads give exactly what the meter holds when it is read (SRV 4.1 to 4.16, 6.13)."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from harness.domain.events import Event
from harness.domain.payload import Payload
from harness.domain.words import DeviceType

ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH


def period(start: datetime, end: datetime, *, certificate: bool = False) -> dict[str, Any]:
    log = {"ReadLogPeriod": {"StartDateTime": start, "EndDateTime": end}}
    return log | ({"KAPublicSecurityCredentials": "AAAA"} if certificate else {})


def values(payload: Payload, path: str) -> list[Decimal]:
    return [item.decimal() for item in payload.all(path)]


def test_electricity_import_is_the_register(bed: Any) -> None:
    read = bed.done("4.1.1", ESME)
    assert read.integer("Electricity/ActiveImportRegister/Value") == bed.twin(ESME).get("active_import") > 0
    assert read.text("Electricity/ActiveImportRegister/ActiveEnergyUnit") == "Wh"
    assert read.integer("Electricity/ReactiveImportRegister/Value") == bed.twin(ESME).get("reactive_import")


def test_gas_import_is_the_register(bed: Any) -> None:
    read = bed.done("4.1.1", GSME)
    assert read.decimal("Gas/ConsumptionRegister/Value") == bed.twin(GSME).get("gas_volume") > 0
    assert read.text("Gas/ConsumptionRegister/Unit") == "m3"


def test_time_of_use_registers_are_read_in_order(bed: Any) -> None:
    found = values(bed.done("4.1.2", ESME), "Electricity/TariffTOURegisterCollection/TOUPrimaryRegisterValue")
    assert found == list(bed.twin(ESME).get("tou_registers"))
    assert len(found) == 48


def test_gas_block_counters_are_read_in_order(bed: Any) -> None:
    found = values(bed.done("4.1.4", GSME), "ImportBlockCounters/TariffBlockCounterValue")
    assert found == list(bed.twin(GSME).get("block_counters"))


def test_export_is_the_register(bed: Any) -> None:
    read = bed.done("4.2", ESME)
    assert read.integer("ActiveExportRegister/Value") == bed.twin(ESME).get("active_export")
    assert read.integer("ReactiveExportRegister/Value") == bed.twin(ESME).get("reactive_export")


def test_load_limit_data_are_settings_and_counter(bed: Any) -> None:
    meter = bed.twin(ESME)
    meter.values["load_limit_counter"] = 3
    for name, value in (("threshold", 4321), ("period", 41), ("restoration_period", 83)):
        meter.set(f"load_limit_{name}", value)
    read = bed.done("4.15", ESME)
    assert {name: read.text(name) for name in read.names()} == {
        "LoadLimitCounterValue": "3",
        "LoadLimitPowerThreshold": "4321",
        "LoadLimitPeriod": "41",
        "LoadLimitRestorationPeriod": "83",
        "LoadLimitSupplyState": "Unchanged",
    }


def test_power_is_told_in_watts(bed: Any) -> None:
    read = bed.done("4.16", ESME)
    assert read.integer("ActivePowerImport/Value") == bed.twin(ESME).get("active_power_import")
    assert read.text("ActivePowerImport/Unit") == "W"


LOGS = [
    ("4.8.1", ESME, "profile", "LogEntry", {"Electricity/PrimaryValue": 1}, True),
    ("4.8.1", GSME, "profile", "LogEntry", {"Gas/PrimaryValue": 1}, True),
    ("4.8.2", ESME, "profile", "LogEntry", {"ReactiveEnergyImportedValue": 3}, False),
    ("4.8.3", ESME, "profile", "LogEntry",
     {"ActiveEnergyExportedValue": 2, "ReactiveEnergyExportedValue": 4}, False),
    ("4.6.1", ESME, "daily_read_log", "LogEntry",
     {"Electricity/ElecActiveImportRegisterConsumption": 1}, True),
    ("4.6.1", GSME, "daily_read_log", "LogEntry", {"Gas/GasActiveImportRegisterConsumption": 1}, True),
    ("4.4.3", ESME, "billing_data_log", "Electricity/ESMEBillingDataLogEntry",
     {"ActiveImportRegisterValueConsumption": 1}, True),
    ("4.4.3", GSME, "billing_data_log", "Gas/GSMEBillingDataLogEntry",
     {"ActiveImportRegisterValueConsumption": 1}, True),
    ("4.10", ESME, "voltage_profile", "Electricity/SinglePhaseESME/AvgRMSVoltageProfileDataLog/LogEntry",
     {"Value": 1}, True),
]  # fmt: skip


@pytest.mark.parametrize(("srv", "device", "log", "path", "columns", "certificate"), LOGS)
def test_a_log_is_read_row_by_row_in_the_period_asked_for(
    bed: Any, srv: str, device: DeviceType, log: str, path: str, columns: dict[str, int], certificate: bool
) -> None:
    bed.twins.clock.sleep(timedelta(days=40))
    held = bed.twin(device).rows(log)
    first, last = (held[len(held) // 3][0], held[-1][0]) if len(held) > 3 else (held[0][0], held[-1][0])
    due = [row for row in held if first <= row[0] <= last]
    entries = bed.done(srv, device, period(first, last, certificate=certificate)).all(path)
    assert len(entries) == len(due) > 0
    assert [entry.time("Timestamp") for entry in entries] == [row[0] for row in due]
    for column, index in columns.items():
        assert [entry.decimal(column) for entry in entries] == [Decimal(row[index]) for row in due]


ELECTRICITY_MATRICES = {
    "tou_registers": ("TariffTOURegisterMatrixValue",),
    "tou_block_registers": tuple(f"TariffTOUBlock{block}RegisterMatrixValue" for block in range(1, 5)),
}
GAS_LOG_MATRICES = {
    "tou_registers": ("TariffTOURegisterMatrixValue",),
    "block_registers": ("BlockRegisterMatrixValue",),
}
GAS_DAY_MATRICES = {
    "tou_registers": ("TariffTOURegisterMatrix",),
    "block_registers": ("TariffBlockCounterMatrix",),
}
MATRICES = [
    ("4.6.1", ESME, "daily_read_log", "LogEntry/Electricity", ELECTRICITY_MATRICES),
    ("4.6.1", GSME, "daily_read_log", "LogEntry/Gas", GAS_DAY_MATRICES),
    ("4.4.3", ESME, "billing_data_log", "Electricity/ESMEBillingDataLogEntry", ELECTRICITY_MATRICES),
    ("4.4.3", GSME, "billing_data_log", "Gas/GSMEBillingDataLogEntry", GAS_LOG_MATRICES),
    ("4.4.2", ESME, "tariff_change_log", "Electricity/LogEntryConsumptionAndTariffRegistersData",
     ELECTRICITY_MATRICES),
    ("4.4.2", GSME, "tariff_change_log", "Gas/LogEntryConsumptionRegister", GAS_LOG_MATRICES),
]  # fmt: skip


@pytest.mark.parametrize(("srv", "device", "log", "path", "matrices"), MATRICES)
def test_a_row_holds_every_register_in_its_place(
    bed: Any, srv: str, device: DeviceType, log: str, path: str, matrices: dict[str, tuple[str, ...]]
) -> None:
    meter = bed.twin(device)
    meter.set("supplier_name", "Another")
    bed.twins.clock.sleep(timedelta(days=32))
    meter.set("standing_charge", 1)
    columns = [name for name, *_ in meter.table.logs[log].columns]
    row = _with_different_registers(meter, log, columns)
    content = bed.done(srv, device, period(row[0], row[0], certificate=True)).all(path)[0]
    for column, elements in matrices.items():
        held = row[1 + columns.index(column)]
        for element, registers in zip(elements, held if len(elements) > 1 else (held,), strict=True):
            assert values(content, element) == list(registers)


def _with_different_registers(meter: Any, log: str, columns: list[str]) -> tuple[Any, ...]:
    """The newest row of the log, with a different number in each register: none can stand for another."""
    row = list(meter.rows(log)[-1])
    for index, column in enumerate(columns, start=1):
        if column.endswith("block_registers") and isinstance(row[index][0], tuple):
            row[index] = tuple(tuple(10 * block + n for n in range(8)) for block in range(4))
        elif column.endswith("registers"):
            row[index] = tuple(Decimal(index * 100 + n) for n in range(len(row[index])))
    meter.logs[log].fill([tuple(row)])
    return tuple(row)


@pytest.mark.parametrize(
    ("srv", "device", "log", "path"),
    [
        ("4.4.3", ESME, "billing_data_log", "Electricity/ESMEBillingPrepaymentDataLogEntry"),
        ("4.4.3", GSME, "billing_data_log", "Gas/GSMEBillingPrepaymentDataLogEntry"),
        ("4.4.2", ESME, "tariff_change_log", "Electricity/LogEntryPrepaymentData"),
        ("4.4.2", GSME, "tariff_change_log", "Gas/LogEntryPrepaymentData"),
    ],
)
def test_a_row_holds_every_amount_in_its_place(
    bed: Any, srv: str, device: DeviceType, log: str, path: str
) -> None:
    meter = bed.twin(device)
    meter.set("standing_charge", 1)
    bed.twins.clock.sleep(timedelta(days=32))
    columns = [name for name, *_ in meter.table.logs[log].columns]
    first = columns.index("meter_balance") + 1
    row = (*meter.rows(log)[-1][:first], 1, 2, 3, 4, 5, 6)
    meter.logs[log].fill([row])
    content = bed.done(srv, device, period(row[0], row[0], certificate=True)).all(path)[0]
    held = dict(zip(columns, row[1:], strict=True))
    assert {name: content.integer(name) for name in content.names() if name != "Timestamp"} == {
        "AccumulatedDebtRegister": held["accumulated_debt"],
        "EmergencyCreditBalance": held["emergency_credit_balance"],
        "MeterBalance": held["meter_balance"],
        "PaymentDebtRegister": held["payment_debt"],
        "TimeDebtRegisters1": held["time_debt_1"],
        "TimeDebtRegisters2": held["time_debt_2"],
    }


def test_a_period_without_rows_gives_an_empty_log(bed: Any) -> None:
    long_ago = datetime.fromisoformat("2001-01-01T00:00:00+00:00")
    body = period(long_ago, long_ago + timedelta(days=1), certificate=True)
    assert bed.done("4.8.1", ESME, body).all("LogEntry") == ()


@pytest.mark.parametrize("srv", ["4.8.2", "4.8.3"])
def test_more_rows_than_the_schema_has_room_for_are_refused(bed: Any, srv: str) -> None:
    meter = bed.twin(ESME)
    (row, *_) = meter.rows("profile")
    half_hours = [(row[0] + timedelta(minutes=30 * n), *row[1:]) for n in range(4_465)]
    meter.logs["profile"].fill(half_hours)
    whole = period(half_hours[0][0], half_hours[-1][0])
    assert "room for 4464" in bed.refused(srv, ESME, whole)
    three_months = period(half_hours[1][0], half_hours[-1][0])
    assert len(bed.done(srv, ESME, three_months).all("LogEntry")) == 4_464


@pytest.mark.parametrize(("device", "fuel"), [(ESME, "Electricity"), (GSME, "Gas")])
def test_a_change_of_mode_leaves_a_row_that_can_be_read(bed: Any, device: DeviceType, fuel: str) -> None:
    prepayment = {"SuspendDebtDisabled": False, "SuspendDebtEmergency": False, "DisablementThreshold": 0}
    bed.done("1.6", device, {"Prepayment": prepayment})
    now = bed.twins.clock.now()
    read = bed.done("4.4.2", device, period(now - timedelta(days=1), now, certificate=True))
    (row,) = read.all(f"{fuel}/LogEntryPrepaymentData")
    assert row.time("Timestamp") == bed.twin(device).rows("tariff_change_log")[-1][0]
    assert len(read.all(f"{fuel}/LogEntryPrepaymentData")) == 1


def test_network_data_hold_the_period_and_the_counters(bed: Any) -> None:
    now = bed.twins.clock.now()
    read = bed.done("4.10", ESME, period(now - timedelta(days=1), now, certificate=True))
    found = read.all("Electricity/SinglePhaseESME")[0]
    assert found.integer("AvgRMSVoltageProfileDataLog/MeasurementPeriod") == 1800
    assert found.integer("AvgRMSOverVoltageCounter/Value") == 0


@pytest.mark.parametrize(
    ("device", "name", "log"),
    [
        (ESME, "Event", "event_log"),
        (ESME, "Security", "security_log"),
        (ESME, "PowerEvent", "power_event_log"),
        (GSME, "GSMEEvent", "event_log"),
        (GSME, "GSMESecurity", "security_log"),
    ],
)
def test_an_event_log_is_read_with_codes_and_meanings(
    bed: Any, device: DeviceType, name: str, log: str
) -> None:
    bed.twin(device).tamper(True)
    bed.twin(device).tamper(False)
    bed.twin(device).power(False)
    bed.twin(device).power(True)
    bed.twin(device).set("supplier_name", "Another")
    held = bed.twin(device).rows(log)
    body = period(held[0][0], held[-1][0]) | {"LogToRead": name}
    entries = bed.done("6.13", device, body).all("Log/LogEntry")
    assert [int(entry.text("LogCode"), 16) for entry in entries] == [row[1] for row in held]
    assert entries[0].text("LogMeaning") == Event(held[0][1]).meaning


def test_a_log_that_the_meter_does_not_have_is_refused(bed: Any) -> None:
    now = bed.twins.clock.now()
    body = period(now, now) | {"LogToRead": "ALCSEvent"}
    assert "no log ALCSEvent" in bed.refused("6.13", ESME, body)
