"""Migration as the test of a simulated rig holds it: the parties are in the simulated DCC's process."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from device_drivers.dcc.calls import CallClient
from device_drivers.dlms.channel import WrapperChannel
from device_drivers.dlms.client import AssociationRefused, DlmsClient, ServiceRefused
from device_drivers.dlms.counters import FileCounters
from device_drivers.doors.opening import open_transport
from device_drivers.rigs.assembly import HeldRig
from device_drivers.simulated.keys import key_ring
from device_drivers.simulated.migration.installation import dormant_meters
from device_drivers.simulated.migration.keys import (
    disclosed,
    enrolled_keys,
    keys_of,
    master_key,
    smso_keys,
)
from device_drivers.simulated.migration.spelling import progress_from, wish_to
from harness.domain.errors import BeyondLab
from harness.domain.instruments import Device, RigInHand
from harness.domain.lab import EpclEntry, Lab
from harness.domain.migration import Authorisation, Circumstance, Files, KeyHolder, Progress
from harness.domain.migration_rules import MigrationParty, MigrationRules
from harness.domain.words import DeviceType, InstallationType
from harness.hooks import Trace

_PATIENCE = 10.0  # real seconds, for an answer at a device's own port


class SimulatedMigration:
    """Implements :class:`harness.domain.migration.Migration`.

    =============  =======================================================================================
    needs          a simulated rig in hand, and the run's simulated DCC
    life cycle     construct: the installation is with its SMSO, its keys in the devices → steps →
                   :meth:`close`: enrolled, as it was found
    errors         a process that is gone: ``LinkLost``; what parties refuse is no error but their answer
    evidence       every step, and every file but the passwords
    =============  =======================================================================================
    """

    def __init__(
        self, lab: Lab, rig: HeldRig, entry: EpclEntry, services: Mapping[str, Any], trace: Trace
    ) -> None:
        assert lab.migration is not None
        self.rules: MigrationRules = lab.migration
        self._lab = lab
        self._rig = rig
        self._entry = entry
        self._trace = trace
        self._ring = key_ring(lab)
        self._counters = FileCounters(lab.state / "s1sp")  # the same keys are counted where the S1SP is
        self._parties = CallClient(services["settle"], services["settle_token"], "the simulated DCC")
        self._closed = False
        self._call("begin", entry=entry.id)
        self._put_keys(smso_keys)

    @property
    def dormant(self) -> tuple[DeviceType, ...]:
        return dormant_meters(self._entry.installation_type, self._rig.rig.devices)

    @property
    def eligible(self) -> tuple[InstallationType, ...]:
        entries = (entry for entry in self._lab.epcl if entry.dmc.id == self._entry.dmc.id)
        return tuple(entry.installation_type for entry in entries)

    def progress(self) -> Progress:
        return progress_from(self._call("progress"))

    def arrange(self, circumstance: Circumstance, device: DeviceType = DeviceType.ESME) -> None:
        self._call("arrange", circumstance=circumstance, device=device)

    def authorisation(self, wish: Authorisation | None = None) -> Files:
        return self._files("authorisation", wish=wish_to(wish))

    def authorise(self, files: Files) -> Progress:
        return self._step("authorise", files)

    def prepare(self) -> Progress:
        return self._step("prepare")

    def submission(self) -> Files:
        return self._files("submission")

    def submit(self, files: Files) -> Progress:
        return self._step("submit", files)

    def validate(self) -> Progress:
        return self._step("validate")

    def test_devices(self) -> Progress:
        return self._step("test_devices")

    def change_credentials(self, *devices: DeviceType) -> Progress:
        return self._step("change_credentials", devices=list(devices))

    def commission(self) -> Progress:
        return self._step("commission")

    def roll_back(self) -> Progress:
        return self._step("roll_back")

    def lists(self) -> Files:
        return self._files("lists")

    def opens(self, device: Device, holder: KeyHolder) -> bool:
        known = self._rig.site.rig.devices[device.device_type]
        door = known.door
        if door.transport != "tcp" or door.hdlc is not None:
            raise BeyondLab(
                f"the door of {device.device_id} takes one conversation only: keys cannot be tried",
                remedy="run it on a rig whose devices have TCP doors",
            )
        credentials = keys_of(self._ring, device.device_id, holder).credentials()
        transport = open_transport(door, self._lab, self._trace, device.device_type)
        channel = WrapperChannel(transport, credentials.client_sap, credentials.server_sap)
        client = DlmsClient(channel, credentials, self._counters, timeout=_PATIENCE)
        try:
            client.open()
            opened = True
        except (AssociationRefused, ServiceRefused):
            opened = False
        finally:
            client.close()
        self._trace.event("migration", f"keys of {holder} tried on the {device.device_type}", opened=opened)
        return opened

    def discloses(self, content: bytes) -> tuple[str, ...]:
        secrets: dict[str, bytes] = {}
        for type_, device in self._rig.rig.devices.items():
            before, after = (
                smso_keys(self._ring, device.device_id),
                enrolled_keys(self._ring, device.device_id),
            )
            secrets |= {
                f"{type_} master": master_key(self._ring, device.device_id),
                f"{type_} SMSO encryption": before.encryption,
                f"{type_} SMSO authentication": before.authentication,
                f"{type_} new encryption": after.encryption,
                f"{type_} new authentication": after.authentication,
            }
        return disclosed(content, secrets)

    def deciphered_by(self, party: MigrationParty, content: bytes) -> tuple[MigrationParty, ...]:
        told = self._call("deciphered", party=party, content=base64.b64encode(content).decode())
        return tuple(map(MigrationParty, told))

    def close(self) -> None:
        """Enrolled again, whatever has become of it; a second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._put_keys(enrolled_keys)
        try:
            self._call("end")
        finally:
            self._parties.close()

    def _put_keys(self, keys: Any) -> None:
        """Give the devices other keys as only the maker of twins can."""
        with self._rig.site.twins.clock.lock:
            for device_id, cabinet in self._rig.site.cabinets.items():
                cabinet.put(keys(self._ring, device_id))

    def _call(self, step: str, **arguments: Any) -> Any:
        return self._parties("migration", rig=self._rig.rig.id, step=step, **arguments)

    def _files(self, step: str, **arguments: Any) -> Files:
        made = {name: base64.b64decode(text) for name, text in self._call(step, **arguments).items()}
        for name, content in made.items():
            if not name.startswith("MAPASSWORD"):
                kind = "text/csv" if name.endswith(".csv") else "application/xml"
                self._trace.message("migration", name, content, kind)
        return made

    def _step(self, step: str, files: Files | None = None, **arguments: Any) -> Progress:
        coded = {name: base64.b64encode(content).decode() for name, content in (files or {}).items()}
        progress = progress_from(self._call(step, files=coded, **arguments))
        self._trace.event(
            "migration", step, stage=progress.stage, codes=list(progress.codes), told=list(progress.told)
        )
        return progress


def open_simulated_migration(
    lab: Lab, rig: RigInHand, entry: EpclEntry, services: Mapping[str, Any], trace: Trace
) -> SimulatedMigration:
    """The rig's installation, given to its SMSO."""
    if not isinstance(rig, HeldRig):
        raise BeyondLab(f"rig {rig.rig.id} is in the hand of another plugin")
    return SimulatedMigration(lab, rig, entry, services, trace)
