"""The gateway stub's Smart Metering Inventory: what the DCC knows of the simulated rigs' devices."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from harness.domain.instruments import Body
from harness.domain.lab import Lab, Rig, RigDevice
from harness.domain.words import DeviceType

COMMISSIONED: Final = "Commissioned"
S1SP_NAME: Final = "Simulated S1SP"
_INVENTORY_TYPES: Final = {DeviceType.ESME: "ESME", DeviceType.GSME: "GSME", DeviceType.CH: "CHF"}
_AT_MOST: Final = 17  # devices in one answer (schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One device of the inventory."""

    device_id: str
    type: str  # as the schema names it: ESME, GSME, CHF, …
    status: str
    manufacturer: str
    model: str
    firmware: str = ""
    mpxn: str = ""
    export_mpan: str = ""
    hub: str = ""  # the communications hub's device id; empty for a device of no rig
    commissioned: date | None = None
    region: str = "SMETS1"
    s1sp: str = S1SP_NAME

    def entry(self) -> Body:
        """The record as SRV 8.2 answers it."""
        fields = {
            "DeviceID": self.device_id,
            "DeviceType": self.type,
            "DeviceStatus": self.status,
            "DeviceManufacturer": self.manufacturer[:30],
            "DeviceModel": self.model[:30],
            "DeviceFirmwareVersion": self.firmware[:8],
            "DateCommissioned": self.commissioned,
            "ImportMPxN": self.mpxn,
            "ExportMPAN": self.export_mpan,
            "CSPRegion": self.region,
            "S1SP": self.s1sp,
        }
        return {name: value for name, value in fields.items() if value}


def _record(rig: Rig, device: RigDevice) -> Record:
    mpxn = {DeviceType.ESME: rig.mpan, DeviceType.GSME: rig.mprn}.get(device.type, "")
    return Record(
        device_id=device.device_id.upper(),
        type=_INVENTORY_TYPES[device.type],
        status=COMMISSIONED,
        manufacturer=device.model.manufacturer,
        model=device.model.model,
        firmware=device.model.firmware,
        mpxn=mpxn,
        export_mpan=rig.export_mpan if device.type is DeviceType.ESME else "",
        hub=rig.devices[DeviceType.CH].device_id.upper(),
        commissioned=rig.simulation.starts.date() if rig.simulation else None,
    )


class Inventory:
    """Records by device id. Begins with every device of the lab's simulated rigs, commissioned."""

    def __init__(self, lab: Lab) -> None:
        self._lock = threading.Lock()
        self._fresh = {
            record.device_id: record
            for rig in lab.rigs
            if rig.simulation is not None
            for record in (_record(rig, device) for device in rig.devices.values())
        }
        self._records = dict(self._fresh)

    def find(self, device_id: str) -> Record | None:
        """The record of a device, if the inventory has one."""
        with self._lock:
            return self._records.get(device_id.upper())

    def installation(self, device_id: str) -> tuple[Record, ...]:
        """The device first, then those behind the same hub; empty for a device that is not known.

        That a question about one device is answered with its whole installation is inferred.
        """
        asked = self.find(device_id)
        if asked is None:
            return ()
        beside = (
            record for record in self._all() if asked.hub and record.hub == asked.hub and record != asked
        )
        return (asked, *beside)[:_AT_MOST]

    def at_supply(self, mpxn: str) -> tuple[Record, ...]:
        """The installation whose meter has that MPAN or MPRN."""
        for record in self._all():
            if mpxn and mpxn in {record.mpxn, record.export_mpan}:
                return self.installation(record.device_id)
        return ()

    def installed(self, device_ids: Collection[str]) -> None:
        """These devices have been installed afresh: their records are what the lab says again."""
        with self._lock:
            for device_id in map(str.upper, device_ids):
                if device_id in self._fresh:
                    self._records[device_id] = self._fresh[device_id]

    def put(self, record: Record) -> None:
        """Add a record, or take another's place."""
        with self._lock:
            self._records[record.device_id] = record

    def remove(self, device_id: str) -> None:
        """Forget a device."""
        with self._lock:
            self._records.pop(device_id.upper(), None)

    def set_status(self, device_id: str, status: str) -> None:
        """Give a known device another status."""
        with self._lock:
            self._records[device_id] = replace(self._records[device_id], status=status)

    def _all(self) -> Iterable[Record]:
        with self._lock:
            return tuple(self._records.values())
