"""Service Requests that the DCC answers itself: the inventory and firmware distribution."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from device_drivers.dcc.duis import RequestId, RequestMessage
from device_drivers.simulated.gateway.inventory import COMMISSIONED, Inventory, Record
from harness.domain.errors import ProtocolViolation
from harness.domain.instruments import Body
from harness.domain.payload import Payload

Distribute = Callable[[RequestId, str, str, bytes], None]
"""Request, device id, version, image: begins to bring an image to a device, and returns at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The DCC's own answer: a response code, and what ResponseMessage holds beside the SRV."""

    code: str
    content: Body = None


_DONE = Answer("I99")  # confirmed: success of a non-device request with nothing to tell
_UNKNOWN_DEVICE = Answer("E19")


class NonDevice:
    """Serves non-device SRVs on an inventory. :attr:`served` says which."""

    def __init__(self, inventory: Inventory, distribute: Distribute) -> None:
        self._inventory = inventory
        self._distribute = distribute
        self.served: Mapping[str, Callable[[RequestMessage], Answer]] = {
            "8.2": self._read,
            "8.3": self._decommission,
            "8.4": self._update,
            "11.1": self._firmware,
            "12.2": self._prenotify,
        }

    def answer(self, request: RequestMessage) -> Answer:
        """Do what is asked; the SRV must be one of :attr:`served`."""
        return self.served[request.srv](request)

    def _read(self, request: RequestMessage) -> Answer:
        body = request.body
        if "DeviceID" in body:
            found = self._inventory.installation(body.text("DeviceID"))
        elif "MPxN" in body:
            found = self._inventory.at_supply(body.text("MPxN"))
        else:
            found = ()  # no simulated installation has an address
        if not found:
            return Answer("E080201")  # by its name one of 8.2; that it says "nothing found" is inferred
        return Answer("I0", {"DSPInventory": {"Device": [record.entry() for record in found]}})

    def _decommission(self, request: RequestMessage) -> Answer:
        body = request.body
        record = self._inventory.find(body.text("DeviceID"))
        if record is None:
            return _UNKNOWN_DEVICE
        if record.status == "Decommissioned":
            return Answer("E5")
        self._inventory.set_status(record.device_id, "Decommissioned")
        return _DONE

    def _update(self, request: RequestMessage) -> Answer:
        body = request.body
        record = self._inventory.find(body.text("DeviceID"))
        if record is None:
            return _UNKNOWN_DEVICE
        if "DeleteDevice" in body:
            self._inventory.remove(record.device_id)
        else:
            self._inventory.put(_updated(record, body))
        return _DONE

    def _prenotify(self, request: RequestMessage) -> Answer:
        body = request.body
        device_id = body.text("DeviceID").upper()
        if self._inventory.find(device_id) is not None:
            return Answer("E120201")  # inferred: the device is there already
        record = Record(
            device_id=device_id,
            type=body.text("DeviceType"),
            status="Pending",
            manufacturer=body.text("DeviceManufacturer"),
            model=body.text("DeviceModel"),
            firmware=_optional(body, "FirmwareVersion"),
        )
        self._inventory.put(record)
        return _DONE

    def _firmware(self, request: RequestMessage) -> Answer:
        body = request.body
        version, image = body.text("FirmwareVersion"), _image(body)
        listed = [device_id.upper() for device_id in body.text("DeviceIDList").split(",")]
        records = {device_id: self._inventory.find(device_id) for device_id in listed}
        unknown = [device_id for device_id, record in records.items() if record is None]
        waiting = [
            device_id for device_id, record in records.items() if record and record.status != COMMISSIONED
        ]
        fit = [device_id for device_id in records if device_id not in {*unknown, *waiting}]
        for device_id in fit:
            self._distribute(request.request_id, device_id, version, image)
        if not unknown and not waiting:
            return _DONE
        lists = {"InvalidDeviceIDList": unknown, "NotCommissionedDeviceIDList": waiting}
        warning = {name: ",".join(devices) for name, devices in lists.items() if devices}
        return Answer("W110101", {"DSPUpdateFirmwareWarning": warning})


def _optional(body: Payload, path: str) -> str:
    return body.text(path) if path in body else ""


def _image(body: Payload) -> bytes:
    try:
        return base64.b64decode(body.text("FirmwareImage"), validate=False)
    except binascii.Error as error:
        raise ProtocolViolation(f"FirmwareImage is not base64: {error}") from None


def _updated(record: Record, body: Payload) -> Record:
    """A record as SRV 8.4 would have it."""
    for choice in ("UpdateDeviceStatusExceptCH", "UpdateDeviceStatusCH"):
        if choice in body:
            return replace(record, status=body.text(choice))
    if "UpdateMPxN" in body:
        return replace(
            record,
            mpxn=_optional(body, "UpdateMPxN/ImportMPxN") or record.mpxn,
            export_mpan=_optional(body, "UpdateMPxN/ExportMPAN") or record.export_mpan,
        )
    details = "UpdateDeviceDetails"
    return replace(
        record,
        manufacturer=_optional(body, f"{details}/DeviceManufacturer") or record.manufacturer,
        model=_optional(body, f"{details}/DeviceModel") or record.model,
        firmware=_optional(body, f"{details}/FirmwareVersion") or record.firmware,
    )
