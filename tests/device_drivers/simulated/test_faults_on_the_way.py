"""Each fault of hub, S1SP and gateway in the catalogue changes something of what passes there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from device_drivers.dcc.duis import RequestId, RequestMessage
from device_drivers.simulated.faults import (
    FAULTS,
    gateway,
    hub,
    performing,
    s1sp,
)
from device_drivers.simulated.gateway.delivery import S1spAlert
from device_drivers.simulated.gateway.non_device import Answer
from device_drivers.simulated.s1sp.answer import CountersignedRequest, Smets1Answer
from device_drivers.simulated.twin import AlertRaised
from harness.domain.faults import Interceptions, Place, Point
from harness.domain.payload import Payload
from tests.device_drivers.simulated.onlooker import Onlooker

S1SP_CLIENT: Final = 2
ALONG_THE_WAY: Final = (*hub.FAULTS, *s1sp.FAULTS, *performing.FAULTS, *gateway.FAULTS)
NOW: Final = datetime(2025, 3, 3, 9, tzinfo=UTC)
DEVICE: Final = "00-DB-12-34-56-01-00-01"
LOST_POWER: Final = AlertRaised(DEVICE, 0x0002, "Power lost", NOW)
HAN: Final = tuple(
    {"device_id": DEVICE[:-1] + number, "type": type_, "joined": True, "last_communication": NOW}
    for number, type_ in (("1", "ESME"), ("2", "GSME"))
)
ROWS: Final = [{"Timestamp": NOW, "Value": 1}, {"Timestamp": NOW + timedelta(minutes=30), "Value": 2}]
BLOCKS: Final = {f"TariffTOUBlock{number}RegisterMatrixValue": [number] for number in (1, 2)}
ANSWERS: Final[dict[str, Any]] = {
    "4.1.1": {"Electricity": {"ReactiveImportRegister": {"Value": 3}}},
    "4.2": {"ActiveExportRegister": {"Value": 3}, "ReactiveExportRegister": {"Value": 4}},
    "4.3": {"TimeDebtRegister1": 1, "TimeDebtRegister2": 2},
    "4.4.2": {"Electricity": {"LogEntryConsumptionAndTariffRegistersData": ROWS}},
    "4.4.3": {"Electricity": {"ESMEBillingDataLogEntry": ROWS, "ESMEBillingPrepaymentDataLogEntry": ROWS}},
    "4.6.1": {"LogEntry": [*ROWS, BLOCKS]},
    "4.8.1": {"LogEntry": ROWS},
    "4.8.2": {"LogEntry": ROWS},
    "4.8.3": {"LogEntry": ROWS},
    "4.10": {"LogEntry": ROWS},
    "4.11.1": {"StandingCharge": 5, "SpecialDays": {"SpecialDay": [1]}},
    "4.13": {"EmergencyCreditLimit": 5, "LowCreditThreshold": 2},
    "4.15": {"LoadLimitPeriod": 30, "LoadLimitRestorationPeriod": 60},
    "6.2.3": {"BillingPeriodStart": NOW},
    "6.2.4": {"ModelType": "AE-110", "ManufacturerIdentifier": "Alderwick"},
    "6.2.5": {"LowMediumPowerThreshold": 500, "MediumHighPowerThreshold": 3_000},
    "6.2.7": {"Electricity": {"ImportMPAN": "19", "ExportMPAN": "20"}},
    "6.2.8": {"ConversionFactor": Decimal("1.02264")},
    "6.2.9": {"SuspendDebtDisabled": True, "SuspendDebtEmergency": True},
    "6.13": {"Log": {"LogEntry": ROWS}},
    "6.24.1": {"RemotePartyDetails": [{"ExistingRemotePartyID": DEVICE}]},
    "7.4": {"Gas": {"RemainingBatteryCapacity": 100}},
    "8.9": {"CHFDeviceLog": {"CHFDeviceLogEntry": ["a", "b"]}},
}
INVENTORY: Final[dict[str, Any]] = {
    "DSPInventory": {
        "Device": [
            {"DeviceStatus": "Pending", "DeviceFirmwareVersion": "1.4.20", "ImportMPxN": "19"},
            {"DeviceStatus": "Commissioned"},
        ]
    }
}
ASKED: Final[dict[str, Any]] = {
    "8.3": {"DeviceID": DEVICE},
    "8.4": {"DeviceID": DEVICE},
    "12.2": {"DeviceID": DEVICE, "DeviceModel": "AE-110"},
    "11.1": {"DeviceIDList": DEVICE, "FirmwareImage": "QUJD" * 8, "FirmwareVersion": "1.4.21"},
}


def answer(srv: str, data: Any = None, *, success: bool = True) -> Smets1Answer:
    debug = () if success else ((1, "refused"),)
    return Smets1Answer(
        device_id=DEVICE,
        srv=srv,
        response_element="Rsp",
        success=success,
        data=data,
        debug=debug,
        timestamp=NOW,
    )


def request(srv: str) -> RequestMessage:
    return RequestMessage(
        request_id=RequestId(DEVICE, DEVICE, 1),
        command_variant=1,
        service_reference=srv,
        srv=srv,
        body_element="Body",
        body=Payload(ASKED.get(srv, {})),
    )


def countersigned(srv: str) -> CountersignedRequest:
    return CountersignedRequest(
        request_id="1",
        originator=DEVICE,
        target=DEVICE,
        counter=1,
        srv=srv,
        body_element="B",
        body=Payload({}),
    )


def passages() -> Iterator[tuple[Place, Point, str, Any, dict[str, Any]]]:
    """What passes in the hub, the S1SP and the gateway, some of it twice."""
    srvs = {srv for fault in FAULTS for srv in fault.srvs}
    for srv in srvs:
        yield Place.S1SP, Point.REQUEST, srv, countersigned(srv), {}
        yield Place.S1SP, Point.ACTION, srv, countersigned(srv), {}
        yield Place.S1SP, Point.RESPONSE, srv, answer(srv, ANSWERS.get(srv)), {}
        yield Place.S1SP, Point.RESPONSE, srv, answer(srv, success=False), {}
        yield Place.GATEWAY, Point.REQUEST, srv, request(srv), {}
        yield Place.GATEWAY, Point.RESPONSE, srv, answer(srv), {}
    yield Place.S1SP, Point.RESPONSE, "4.3", answer("4.3", {"TimeDebtRegister1": 0}), {}
    yield Place.GATEWAY, Point.RESPONSE, "8.2", Answer("I0", INVENTORY), {}
    for check in ("counter", "signature", "role", "authorised", "status", "device_type"):
        yield Place.GATEWAY, Point.CHECK, check, "E1", {}
    for code in ("0081", "firmware_distributed"):
        yield Place.GATEWAY, Point.ALERT, code, LOST_POWER, {}
    refused = S1spAlert(RequestId(DEVICE, DEVICE, 1), DEVICE, "FW2", "refused", NOW)
    yield Place.GATEWAY, Point.ALERT, "firmware_not_distributed", refused, {}
    for item in ("response", "alert", "response"):
        yield Place.GATEWAY, Point.DELIVERY, item, (b"<a><SignatureValue>x</SignatureValue></a>",), {}
    yield Place.CH, Point.WAKE, "CH", timedelta(seconds=90), {}
    for type_ in ("ESME", "GSME"):
        for apdu in (b"\x01", b"\x02"):
            yield Place.CH, Point.REQUEST, type_, apdu, {}
            yield Place.CH, Point.RESPONSE, type_, apdu, {}
        yield Place.CH, Point.WAKE, type_, timedelta(minutes=1), {}
    for devices in (HAN, HAN[:1]):
        yield Place.CH, Point.READ, "han_devices", devices, {"client": S1SP_CLIENT}
    yield Place.CH, Point.ACTION, "han_add", HAN[0], {}
    yield Place.CH, Point.ACTION, "han_remove", DEVICE, {}
    yield Place.CH, Point.POWER, "state", {each["device_id"]: True for each in HAN}, {}
    yield Place.CH, Point.ALERT, "0002", LOST_POWER, {}
    yield Place.CH, Point.DELIVERY, "alert", (LOST_POWER,), {}


def test_each_fault_between_meter_and_user_changes_something_that_passes() -> None:
    onlooker = Onlooker(ALONG_THE_WAY)
    held: list[float] = []
    about = {"device_id": "00-DB-12-34-56-01-00-03", "now": NOW, "hold": held.append}
    for place in (Place.CH, Place.S1SP, Place.GATEWAY):
        parts = Interceptions(place, 1, onlooker.faults)
        for where, point, item, value, details in passages():
            if where is place:
                assert parts.passing(point, item, value, **(about | details)) is value
    late = {"response-late", "gateway-alerts-late"}  # they change no message, but the time
    assert sorted({fault.name for fault in ALONG_THE_WAY} - onlooker.changing - late) == []
    assert len(held) == 3
