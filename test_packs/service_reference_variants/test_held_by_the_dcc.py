"""Future-dated requests that the DCC holds until their ExecutionDateTime (``DSP`` in the catalogue).

How future dating works for SMETS1 devices (DUIS 1.4.4) was not found, so this is inferred: the DCC answers
when what it held was done. E30 is published as the code of a future-dated time-out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest

from harness.domain.instruments import (
    Bench,
    CommunicationsHub,
    Device,
    Esme,
    EvidenceLog,
    Gsme,
    LabClock,
    Meter,
    ServiceUser,
)
from harness.domain.words import DeviceType, SupplyState
from test_packs.arrange import crediting, expect_held, prepaying, put
from test_packs.consumption import demand
from test_packs.metering import counted, log_period, quantities_of
from test_packs.schedules import SECOND, TEN_MINUTES, ahead, expect_whole, future_dated, slack_of, until

pytestmark = pytest.mark.functional_group("Future dating")

_NOT_IN_TIME: Final = "E30"
_RMS: Final = {
    "RMSExtremeOverVoltageMeasurementPeriod": 33,
    "RMSExtremeOverVoltageThreshold": 269,
    "RMSExtremeUnderVoltageMeasurementPeriod": 34,
    "RMSExtremeUnderVoltageThreshold": 188,
    "RMSVoltageSagMeasurementPeriod": 6,
    "RMSVoltageSagThreshold": 178,
    "RMSVoltageSwellMeasurementPeriod": 8,
    "RMSVoltageSwellThreshold": 282,
}


@pytest.mark.srv("3.2", "4.1.1")
@pytest.mark.ttm("TTM-4.1.1-E-06", "TTM-4.1.1-G-06", "TTM-3.2-E-04", "TTM-3.2-G-04")
@pytest.mark.devices("ESME", "GSME")
def test_what_the_dcc_holds_is_done_at_its_time(
    user: ServiceUser, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.1, 3.2 future dated: nothing before; then what the registers show, and the restriction."""
    at, before = ahead(clock, meter), meter.read("access_restricted_before")
    moment = clock.now().replace(microsecond=0) - timedelta(days=1)
    strays = user.strays()
    reading = user.send("4.1.1", meter, future_dated(at))
    restricting = user.send("3.2", meter, future_dated(at, {"RestrictionDateTime": moment}))
    demand(meter, bench, on=True)
    until(clock, at - SECOND)
    early = (reading.response(), restricting.response(), meter.read("access_restricted_before"))
    evidence.expect("before its time", found=early, expected=(None, None, before))
    low = counted(meter)
    clock.sleep(SECOND)
    read, restricted = reading.wait(slack_of(meter)), restricting.wait(slack_of(meter))
    high = counted(meter)
    for response, srv in ((read, "4.1.1"), (restricted, "3.2")):
        expect_whole(evidence, response, meter, srv, at, slack_of(meter))
    gas = meter.device_type is DeviceType.GSME
    path = "Gas/ConsumptionRegister/Value" if gas else "Electricity/ActiveImportRegister/Value"
    name = quantities_of(meter)[0]
    found = read.payload.decimal(path)
    evidence.expect_between("the register told", found=found, low=low[name], high=high[name])
    evidence.expect("restriction", found=meter.read("access_restricted_before"), expected=moment)
    evidence.expect("messages that nobody waits for", found=user.strays(), expected=strays)


@pytest.mark.srv("3.2", "7.2")
@pytest.mark.ttm("TTM-3.2-E-05", "TTM-3.2-G-05", "TTM-7.2-E-06", "TTM-7.2-G-06")
@pytest.mark.devices("ESME", "GSME")
def test_what_cannot_be_done_at_its_time_is_told_and_not_done_later(
    user: ServiceUser, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 3.2 future dated, without power then: a time-out is told. SRV 7.2 cannot be future dated."""
    prepaying(meter)
    at, before = ahead(clock, meter), meter.read("access_restricted_before")
    refused = user.request("7.2", meter, future_dated(at))
    evidence.expect("SRV 7.2 future dated", found=(refused.success, refused.problems), expected=(False, ()))
    moment = clock.now().replace(microsecond=0) - timedelta(days=1)
    restricting = user.send("3.2", meter, future_dated(at, {"RestrictionDateTime": moment}))
    until(clock, at - TEN_MINUTES)
    bench.mains(on=False)
    response = restricting.wait(slack_of(meter) + TEN_MINUTES)
    found = (response.code, response.success, response.problems)
    evidence.expect("what is told", found=found, expected=(_NOT_IN_TIME, False, ()))
    bench.mains(on=True)
    clock.sleep(slack_of(meter))
    held = (meter.read("access_restricted_before"), meter.supply())
    evidence.expect("restriction and supply", found=held, expected=(before, SupplyState.ENABLED))


def _expect_held_readings(
    evidence: EvidenceLog, user: ServiceUser, meter: Device, clock: LabClock, readings: Mapping[str, Any]
) -> None:
    """Each reading, held until the same time, then tells what a reading at once tells; nothing flows."""
    at = ahead(clock, meter)
    sent = {srv: user.send(srv, meter, future_dated(at, body)) for srv, body in readings.items()}
    until(clock, at - SECOND)
    early = [srv for srv, pending in sent.items() if pending.response() is not None]
    evidence.expect("answered before its time", found=early, expected=[])
    clock.sleep(SECOND)
    for srv, pending in sent.items():
        held, now = pending.wait(slack_of(meter)), user.request(srv, meter, readings[srv])
        expect_whole(evidence, held, meter, srv, at, slack_of(meter))
        evidence.expect(f"content of {srv}", found=held.payload.tree, expected=now.payload.tree)


def _period(clock: LabClock) -> dict[str, Any]:
    """The two days until a moment ago."""
    end = clock.now() - timedelta(hours=1)
    return log_period(end - timedelta(days=2), end)


@pytest.mark.srv("4.1.2", "4.2", "4.3", "4.4.2", "4.4.3", "4.6.1", "4.8.1", "4.8.2", "4.8.3", "4.10")
@pytest.mark.srv("4.13", "4.15", "4.18", "11.2")
@pytest.mark.ttm("TTM-FD-01-E-01")
@pytest.mark.devices("ESME")
def test_every_electricity_reading_can_wait_for_its_time(
    user: ServiceUser, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.2 to 4.18, 11.2 future dated: nothing before, then each tells what one at once tells."""
    crediting(esme)
    now: Mapping[str, Any] = dict.fromkeys(("4.1.2", "4.2", "4.3", "4.13", "4.15", "4.18", "11.2"))
    logs = ("4.4.2", "4.4.3", "4.6.1", "4.8.1", "4.8.2", "4.8.3", "4.10")
    period = _period(clock)
    _expect_held_readings(evidence, user, esme, clock, {**now, **dict.fromkeys(logs, period)})
    evidence.expect("the meter still runs", found=esme.supply(), expected=SupplyState.ENABLED)


@pytest.mark.srv("4.1.4", "4.3", "4.4.2", "4.4.3", "4.6.1", "4.8.1", "4.13", "4.18", "11.2")
@pytest.mark.ttm("TTM-FD-01-G-01")
@pytest.mark.devices("GSME")
def test_every_gas_reading_can_wait_for_its_time(
    user: ServiceUser, gsme: Gsme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 4.1.4 to 4.18, 11.2 future dated: nothing before, then each tells what one at once tells."""
    crediting(gsme)
    now: Mapping[str, Any] = dict.fromkeys(("4.1.4", "4.3", "4.13", "4.18", "11.2"))
    logs = dict.fromkeys(("4.4.2", "4.4.3", "4.6.1", "4.8.1"), _period(clock))
    _expect_held_readings(evidence, user, gsme, clock, {**now, **logs})
    evidence.expect("the meter still runs", found=gsme.supply(), expected=SupplyState.ENABLED)


@pytest.mark.srv("8.9")
@pytest.mark.ttm("TTM-FD-01-C-01")
@pytest.mark.devices("CH")
def test_the_hubs_device_log_can_wait_for_its_time(
    user: ServiceUser, ch: CommunicationsHub, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 8.9 future dated: nothing before, then the devices and times that a reading at once tells."""
    _expect_held_readings(evidence, user, ch, clock, {"8.9": {"ReadSecurityDetails": None}})
    told = user.request("8.9", ch, {"ReadSecurityDetails": None}).payload
    listed = [entry.text("DeviceID") for entry in told.all("CHFDeviceLog/CHFDeviceLogEntry")]
    evidence.expect("the hub's own log", found=sorted(listed), expected=sorted(ch.han_devices()))


@pytest.mark.srv("6.4.2", "6.5", "6.12", "6.20.1", "6.20.2")
@pytest.mark.ttm("TTM-FD-02-E-01")
@pytest.mark.devices("ESME")
def test_settings_that_the_dcc_holds_are_made_at_their_time(
    user: ServiceUser, esme: Esme, clock: LabClock, evidence: EvidenceLog
) -> None:
    """SRV 6.4.2, 6.5, 6.12, 6.20.1, 6.20.2 future dated: as it was until then, as sent from then on."""
    put(esme, {"load_limit_counter": 9})
    averages = {"AverageRMSOverVoltageThreshold": 252, "AverageRMSUnderVoltageThreshold": 214}
    asks: list[tuple[str, Any, Mapping[str, Any]]] = [
        ("6.4.2", None, {"load_limit_counter": 0}),
        (
            "6.5",
            {
                "RMSVoltageSettings": _RMS,
                "SinglePhaseVoltageSettings": averages | {"AverageRMSVoltageMeasurementPeriod": 1_200},
            },
            {
                "rms_voltage_sag_period": 6,
                "average_rms_over_voltage_threshold": 252,
                "average_rms_voltage_period": 1_200,
            },
        ),
        (
            "6.12",
            {"LowMediumPowerThreshold": 321, "MediumHighPowerThreshold": 4_321},
            {"low_medium_power_threshold": 321, "medium_high_power_threshold": 4_321},
        ),
        ("6.20.1", {"ImportMPANs": {"ImportMPAN": "9900000778012"}}, {"import_mpxn": "9900000778012"}),
        ("6.20.2", {"ExportMPAN": "9900000998024"}, {"export_mpan": "9900000998024"}),
    ]
    at = ahead(clock, esme)
    due = {item: value for *_, held in asks for item, value in held.items()}
    before = dict(esme.read_many(tuple(due)))
    sent = {srv: user.send(srv, esme, future_dated(at, body)) for srv, body, _ in asks}
    until(clock, at - SECOND)
    expect_held(evidence, esme, "before the time", before)
    clock.sleep(SECOND)
    for srv, pending in sent.items():
        expect_whole(evidence, pending.wait(slack_of(esme)), esme, srv, at, slack_of(esme))
    expect_held(evidence, esme, "from the time on", due)
