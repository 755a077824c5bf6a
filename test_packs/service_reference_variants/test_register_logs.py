"""Service group 4: registers at midnight and at the end of billing periods (SRV 4.4.2, 4.4.3, 4.6.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from harness.domain.instruments import Bench, EvidenceLog, LabClock, LogEntry, Meter, RigInHand
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, PaymentMode
from test_packs.arrange import GBP, Served, Unchanged, crediting, from_now, power_cut, prepaying, put
from test_packs.content import expect_content, indexed
from test_packs.metering import expect_counted, let_flow, log_period, until_next

pytestmark = pytest.mark.functional_group("4 Meter reading")

DAY: Final = timedelta(days=1)
_A_LITTLE: Final = timedelta(minutes=1)
_MORE_THAN_IT_HOLDS: Final = 14  # rows; a twin's log holds twelve
_MONEY: Final = {
    "AccumulatedDebtRegister": "accumulated_debt",
    "EmergencyCreditBalance": "emergency_credit_balance",
    "MeterBalance": "meter_balance",
    "PaymentDebtRegister": "payment_debt",
    "TimeDebtRegisters1": "time_debt_1",
    "TimeDebtRegisters2": "time_debt_2",
}
_REGISTERS: Final = {
    DeviceType.ESME: ("active_import", "tou_registers", "tou_block_registers"),
    DeviceType.GSME: ("gas_volume", "tou_registers", "block_registers"),
}


def _held(meter: Meter, *, money: bool = True) -> dict[str, Any]:
    """What a row taken now has to hold."""
    return dict(meter.read_many((*_REGISTERS[meter.device_type], *(_MONEY.values() if money else ()))))


def _row(moment: datetime, held: Mapping[str, Any]) -> LogEntry:
    return LogEntry(moment, held)


def _electricity_matrices(row: LogEntry) -> dict[str, Any]:
    blocks: Any = row.values["tou_block_registers"]
    tou: Any = row.values["tou_registers"]
    return {"TariffTOURegisterMatrixValue": indexed(tou)} | {
        f"TariffTOUBlock{block}RegisterMatrixValue": indexed(registers)
        for block, registers in enumerate(blocks, start=1)
    }


def _gas_matrices(row: LogEntry, block: str, tou: str) -> dict[str, Any]:
    blocks: Any = row.values["block_registers"]
    registers: Any = row.values["tou_registers"]
    return {block: indexed(blocks), tou: indexed(registers)}


def _money(row: LogEntry) -> dict[str, Any]:
    return {element: row.values[item] for element, item in _MONEY.items()} | {"Timestamp": row.timestamp}


def _daily(rows: Sequence[LogEntry]) -> dict[str, Any]:
    """SRV 4.6.1."""

    def entry(row: LogEntry) -> dict[str, Any]:
        if "gas_volume" in row.values:
            matrices = _gas_matrices(row, "TariffBlockCounterMatrix", "TariffTOURegisterMatrix")
            content = {"Gas": {"GasActiveImportRegisterConsumption": row.values["gas_volume"]} | matrices}
        else:
            register = {"ElecActiveImportRegisterConsumption": row.values["active_import"]}
            content = {"Electricity": register | _electricity_matrices(row)}
        return {"Timestamp": row.timestamp} | content

    return {"LogEntry": [entry(row) for row in rows]}


def _billing(rows: Sequence[LogEntry], meter: Meter) -> dict[str, Any]:
    """SRV 4.4.3."""
    gas = meter.device_type is DeviceType.GSME

    def entry(row: LogEntry) -> dict[str, Any]:
        register = row.values["gas_volume" if gas else "active_import"]
        matrices = (
            _gas_matrices(row, "BlockRegisterMatrixValue", "TariffTOURegisterMatrixValue")
            if gas
            else _electricity_matrices(row)
        )
        return {"Timestamp": row.timestamp, "ActiveImportRegisterValueConsumption": register} | matrices

    return {
        "Gas" if gas else "Electricity": {
            f"{meter.device_type}BillingDataLogEntry": [entry(row) for row in rows],
            f"{meter.device_type}BillingPrepaymentDataLogEntry": [_money(row) for row in rows],
        }
    }


def _changes(rows: Sequence[LogEntry], meter: Meter) -> dict[str, Any]:
    """SRV 4.4.2."""
    if meter.device_type is DeviceType.GSME:
        registers = [
            {"ConsumptionRegister": row.values["gas_volume"], "Timestamp": row.timestamp}
            | _gas_matrices(row, "BlockRegisterMatrixValue", "TariffTOURegisterMatrixValue")
            for row in rows
        ]
        return {
            "Gas": {
                "LogEntryConsumptionRegister": registers,
                "LogEntryPrepaymentData": [_money(row) for row in rows],
            }
        }
    registers = [
        {"ActiveImportRegisterConsumption": row.values["active_import"], "Timestamp": row.timestamp}
        | _electricity_matrices(row)
        for row in rows
    ]
    return {
        "Electricity": {
            "LogEntryConsumptionAndTariffRegistersData": registers,
            "LogEntryPrepaymentData": [_money(row) for row in rows],
        }
    }


def _read(
    served: Served, unchanged: Unchanged, srv: str, meter: Meter, start: datetime, end: datetime
) -> Payload:
    with unchanged(meter):
        return served(srv, meter, log_period(start, end, certified=True))


@pytest.mark.srv("4.6.1")
@pytest.mark.ttm("TTM-4.6.1-E-01", "TTM-4.6.1-E-02", "TTM-4.6.1-G-01", "TTM-4.6.1-G-02")
@pytest.mark.ttm("TTM-4.6.1-E-03", "TTM-4.6.1-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_each_midnights_registers_are_told_as_they_stood(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.6.1: each day's row holds what the registers showed at midnight, a power cut or not."""
    crediting(meter)
    rows, reference = [], []
    for size in (2_345, 4_567, 1_111):
        clock.sleep(timedelta(hours=1))
        reference.append(let_flow(bench, clock, meter, timedelta(minutes=95), size))
        midnight = until_next(clock, DAY)
        rows.append(_row(midnight, _held(meter, money=False)))
    power_cut(bench, clock)
    payload = _read(served, unchanged, "4.6.1", meter, rows[0].timestamp, rows[-1].timestamp)
    expect_content(evidence, "registers at three midnights", payload, _daily(rows))
    register = _REGISTERS[meter.device_type][0]
    for earlier, later, flowed in zip(rows, rows[1:], reference[1:], strict=False):
        moved: Any = later.values[register] - earlier.values[register]  # type: ignore[operator]  # numbers
        expect_counted(evidence, rig, "between midnights", {register: moved}, flowed)


@pytest.mark.srv("4.6.1")
@pytest.mark.ttm("TTM-4.6.1-E-04", "TTM-4.6.1-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_the_daily_log_is_told_for_the_period_asked_for(
    served: Served, unchanged: Unchanged, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.6.1: a week, one midnight, and a time between midnights: just the rows in it are told."""
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for start, end, days in (
        (today - 7 * DAY + _A_LITTLE, today, [today - n * DAY for n in range(6, -1, -1)]),
        (today - 3 * DAY, today - 3 * DAY + _A_LITTLE, [today - 3 * DAY]),
        (today - 3 * DAY + _A_LITTLE, today - 2 * DAY - _A_LITTLE, []),
        (today + DAY, today + 9 * DAY, []),
    ):
        payload = _read(served, unchanged, "4.6.1", meter, start, end)
        rows = meter.log("daily_read_log", start, end)
        expect_content(evidence, f"{start:%d %b %H:%M} to {end:%d %b %H:%M}", payload, _daily(rows))
        evidence.expect("midnights", found=[row.timestamp for row in rows], expected=days)


@pytest.mark.srv("4.4.3")
@pytest.mark.ttm("TTM-4.4.3-E-01", "TTM-4.4.3-E-02", "TTM-4.4.3-G-01", "TTM-4.4.3-G-02")
@pytest.mark.ttm("TTM-4.4.3-E-03", "TTM-4.4.3-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_billing_data_is_told_as_it_stood_at_the_end_of_each_period(
    served: Served,
    unchanged: Unchanged,
    rig: RigInHand,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.4.3: each billing row holds registers, balance and debts as they stood, over a power cut too."""
    prepaying(
        meter,
        balance=37 * GBP,
        accumulated_debt=3 * GBP,
        payment_debt=11 * GBP,
        time_debt_1=13 * GBP,
        time_debt_2=17 * GBP,
    )
    daily = {"periodicity": "Daily", "hour": 0, "minute": 0, "day": 1, "month": 1}
    rows, reference = [], []
    for size, hour in ((2_345, 14), (4_567, 15)):
        clock.sleep(_next_hour(clock, hour - 2))
        put(meter, {"billing_calendar": daily | {"hour": hour}})
        reference.append(let_flow(bench, clock, meter, timedelta(minutes=50), size))
        clock.sleep(_next_hour(clock, hour))
        rows.append(_row(clock.now(), _held(meter)))
    power_cut(bench, clock)
    payload = _read(served, unchanged, "4.4.3", meter, rows[0].timestamp, rows[-1].timestamp)
    expect_content(evidence, "billing data of two periods", payload, _billing(rows, meter))
    register = _REGISTERS[meter.device_type][0]
    moved: Any = rows[1].values[register] - rows[0].values[register]  # type: ignore[operator]  # numbers
    expect_counted(evidence, rig, "in the period", {register: moved}, reference[1])


def _next_hour(clock: LabClock, hour: int) -> timedelta:
    """How long it is until that hour of the day comes next."""
    now = clock.now()
    then = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return (then if then > now else then + DAY) - now


@pytest.mark.srv("4.4.3")
@pytest.mark.ttm("TTM-4.4.3-E-04", "TTM-4.4.3-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_billing_data_is_told_for_the_period_asked_for(
    served: Served, unchanged: Unchanged, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.4.3: of the months behind just the rows of the period asked for are told."""
    now = clock.now()
    rows = meter.log("billing_data_log")
    assert len(rows) >= 4, f"the billing data log has {len(rows)} rows; the test needs four"
    for wanted in (rows, rows[1:3], rows[-1:], ()):
        start = wanted[0].timestamp if wanted else now + _A_LITTLE
        end = wanted[-1].timestamp if wanted else now + DAY
        payload = _read(served, unchanged, "4.4.3", meter, start, end)
        expect_content(evidence, f"{len(wanted)} rows", payload, _billing(wanted, meter))


@pytest.mark.srv("4.4.2")
@pytest.mark.ttm("TTM-4.4.2-E-01", "TTM-4.4.2-E-02", "TTM-4.4.2-G-01", "TTM-4.4.2-G-02")
@pytest.mark.ttm("TTM-4.4.2-E-03", "TTM-4.4.2-G-03")
@pytest.mark.devices("ESME", "GSME")
def test_billing_data_at_a_change_of_mode_and_of_tariff_is_told_as_it_stood(
    served: Served,
    unchanged: Unchanged,
    meter: Meter,
    bench: Bench,
    clock: LabClock,
    evidence: EvidenceLog,
) -> None:
    """SRV 4.4.2: a change of mode, then one of tariff, each leave one row of how things stood before it."""
    prepaying(meter, balance=41 * GBP, payment_debt=5 * GBP, time_debt_1=7 * GBP, time_debt_2=9 * GBP)
    changes: tuple[dict[str, Any], ...] = (
        {"payment_mode": PaymentMode.CREDIT},
        {"standing_charge": meter.read("standing_charge") + 10},
    )
    until_next(clock, past=timedelta(seconds=5))
    rows = []
    for change in changes:
        let_flow(bench, clock, meter, timedelta(minutes=20), 3_456)
        rows.append(_row(clock.now(), _held(meter)))
        put(meter, change)
        clock.sleep(_A_LITTLE)
    power_cut(bench, clock)
    last, end = rows[-1].timestamp, clock.now()
    logged = meter.log("tariff_change_log", rows[0].timestamp - _A_LITTLE, end)
    within = [
        abs(found.timestamp - due.timestamp) < _A_LITTLE for found, due in zip(logged, rows, strict=False)
    ]
    evidence.expect("one row for each change, when it was made", found=within, expected=[True, True])
    due = [_row(found.timestamp, row.values) for found, row in zip(logged, rows, strict=True)]
    payload = _read(served, unchanged, "4.4.2", meter, rows[0].timestamp - _A_LITTLE, end)
    expect_content(evidence, "how things stood before both changes", payload, _changes(due, meter))
    payload = _read(served, unchanged, "4.4.2", meter, last - _A_LITTLE, end)
    expect_content(evidence, "the second change alone", payload, _changes(due[1:], meter))
    payload = _read(served, unchanged, "4.4.2", meter, end + DAY, end + 2 * DAY)
    expect_content(evidence, "nothing of the time to come", payload, _changes((), meter))


@pytest.mark.srv("4.4.2")
@pytest.mark.ttm("TTM-4.4.2-E-04", "TTM-4.4.2-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_a_full_log_of_changes_lets_its_oldest_rows_go(
    served: Served, unchanged: Unchanged, meter: Meter, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.4.2: after more changes than the log has room for, the newest are held and told, in order."""
    crediting(meter)
    changes = []
    for number in range(_MORE_THAN_IT_HOLDS):
        changes.append(from_now(clock))
        put(meter, {"standing_charge": 40_000 + number})
    rows = meter.log("tariff_change_log")[-len(changes) :]
    evidence.expect("the log has rows", found=bool(rows), expected=True)
    kept = changes[-len(rows) :]
    late = [row.timestamp - change for row, change in zip(rows, kept, strict=True)]
    in_time = [timedelta(seconds=-1) <= each <= timedelta(seconds=1) for each in late]
    evidence.expect("the newest changes, in their order", found=in_time, expected=[True] * len(kept))
    payload = _read(served, unchanged, "4.4.2", meter, rows[0].timestamp, rows[-1].timestamp)
    expect_content(evidence, "what the log holds", payload, _changes(rows, meter))
