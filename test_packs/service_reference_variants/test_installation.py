"""The installation as a whole: what its devices are, who hears of them (Clauses 5.4(a), 8.4(c), 20.13(b))."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from harness.domain.events import Event
from harness.domain.instruments import (
    Bench,
    Device,
    Esme,
    EvidenceLog,
    LabClock,
    Meter,
    RigInHand,
    ServiceUser,
)
from harness.domain.words import DeviceType, UserRole
from test_packs.arrange import Served, added_rows, power_cut, watch_alerts
from test_packs.estate import UNKNOWN_DEVICE, expect_refused

pytestmark = pytest.mark.functional_group("The installation")

PROMPT: Final = timedelta(minutes=40)  # a gas meter is out of reach for up to half an hour


@pytest.mark.ttm("TTM-AK-8.4c-01")
@pytest.mark.devices("ESME", "GSME", "CH")
def test_each_device_is_of_its_model_and_runs_the_baseline(
    rig: RigInHand, meter: Device, evidence: EvidenceLog
) -> None:
    """Clause 8.4(c): what the device says of itself is its Device Model, with the firmware of the phase."""
    known, found = rig.rig.devices[meter.device_type], meter.identity()
    for what, told, due in (
        ("device id", found.device_id, known.device_id),
        ("manufacturer", found.manufacturer, known.model.manufacturer),
        ("model", found.model, known.model.model),
        ("serial number", found.serial_number, known.serial_number),
        ("firmware", found.firmware, known.model.firmware),
    ):
        evidence.expect(f"{what} of the {meter.device_type}", found=told, expected=due)


@pytest.mark.ttm("TTM-AK-5.4a-02", "TTM-AK-5.4a-03", "TTM-AK-20.13b-02")
@pytest.mark.devices("ESME", "GSME")
def test_an_alert_reaches_the_user_once_as_the_meter_logged_it(
    user: ServiceUser, meter: Meter, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """Clause 5.4(a): an opened cover is alerted once, signed twice, with the time of the meter's log."""
    alerts, before = watch_alerts(user, clock, meter), meter.log("security_log")
    opened = clock.now()
    bench.tamper(meter.device_type, open_=True)
    alerts.expect_once(evidence, Event.COVER_OPENED)
    evidence.expect_between(
        "time until the user was told", found=clock.now() - opened, low=timedelta(0), high=PROMPT
    )
    (alert,) = alerts.all()
    row = meter.log("security_log")[-1]
    evidence.expect("the log has one row more", found=row not in before, expected=True)
    evidence.expect("event in the log", found=row.values["code"], expected=Event.COVER_OPENED)
    assert alert.timestamp is not None, "expect_once has seen to that"
    apart = abs(alert.timestamp - row.timestamp)
    evidence.expect_between("alert and log apart", found=apart, low=timedelta(0), high=timedelta(seconds=1))
    evidence.expect("the alert says what happened", found=bool(alert.description), expected=True)


@pytest.mark.ttm("TTM-AK-5.4a-02", "TTM-AK-20.13b-02")
@pytest.mark.devices("ESME")
def test_a_power_cut_is_alerted_and_its_end_too(
    user: ServiceUser, esme: Esme, bench: Bench, clock: LabClock, evidence: EvidenceLog
) -> None:
    """Clause 5.4(a): loss of power and its return are alerted once each, at the times that the log has."""
    alerts, duration = watch_alerts(user, clock, esme), timedelta(minutes=25)
    logged = esme.log("event_log")
    lost = clock.now()
    power_cut(bench, clock, duration)
    times = {}
    for event, due in ((Event.POWER_LOST, lost), (Event.POWER_RESTORED, lost + duration)):
        alerts.expect_once(evidence, event)
        times[event] = next(alert.timestamp for alert in alerts.all() if alert.code == event.alert)
        low, high = due - timedelta(seconds=2), due + timedelta(seconds=10)
        evidence.expect_between(f"time of alert {event.alert}", found=times[event], low=low, high=high)
    codes = [alert.code for alert in alerts.all()]
    evidence.expect("all alerts", found=codes, expected=[event.alert for event in times])
    rows = {row.values["code"]: row.timestamp for row in added_rows(logged, esme.log("event_log"))}
    for event, alerted in times.items():
        evidence.expect(f"{event.alert} is in the meter's log", found=int(event) in rows, expected=True)
        low, high = (rows[int(event)] + timedelta(seconds=apart) for apart in (-1, 1))
        evidence.expect_between("time by the log", found=alerted, low=low, high=high)


@pytest.mark.srv("11.2")
@pytest.mark.ttm("TTM-AK-20.13b-03")
@pytest.mark.devices("ESME", "CH")
def test_a_meter_that_is_installed_is_served_and_one_that_is_not_is_refused(
    served: Served, user: ServiceUser, rig: RigInHand, esme: Device, clock: LabClock, evidence: EvidenceLog
) -> None:
    """Clause 20.13(b): each meter enrolled is served; where there is no gas, a request for gas is refused."""
    gas_meter = rig.devices.get(DeviceType.GSME)
    for meter in (esme, gas_meter) if gas_meter is not None else (esme,):
        told = served("11.2", meter).text("FirmwareVersion")
        evidence.expect(
            f"firmware told of the {meter.device_type}", found=told, expected=meter.identity().firmware
        )
    nobody = f"{esme.device_id[:-2]}{'0F' if gas_meter else '02'}"
    response = user.request("11.2", nobody, role=UserRole.GS)
    expect_refused(evidence, user, clock, response, code=UNKNOWN_DEVICE)
