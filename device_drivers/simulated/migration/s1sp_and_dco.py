"""S1SP and DCO: take the files, list what is viable, test the devices, change their keys, give them back.

Both are needed for every key: each has half of what opens a device and of its master key (:mod:`.keys`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from device_drivers.dcc.pki import SimulatedPki
from device_drivers.dcc.signature import Ring, Signer
from device_drivers.simulated.keys import KeyRing
from device_drivers.simulated.migration import files
from device_drivers.simulated.migration.checks import Checks
from device_drivers.simulated.migration.head_end import HeadEnd, Order
from device_drivers.simulated.migration.installation import Installation
from device_drivers.simulated.migration.keys import (
    HeadEndKeys,
    enrolled_keys,
    joined,
    private_key,
    unsealed,
)
from device_drivers.simulated.migration.requesting_party import tag
from device_drivers.simulated.wan.head import DeviceSilent, HubUnreachable
from harness.domain.errors import AccessRefused, DeviceFault, ProtocolViolation
from harness.domain.instruments import Identity
from harness.domain.lab import RigDevice
from harness.domain.migration import Circumstance, Files
from harness.domain.migration_rules import Consequence, MigrationParty, MigrationStage
from harness.domain.words import DeviceType

BOTH: Final = (MigrationParty.S1SP, MigrationParty.DCO)
_UNWILLING: Final = {
    MigrationParty.S1SP: ("s1sp_viability", Circumstance.NOT_VIABLE_FOR_S1SP),
    MigrationParty.DCO: ("dco_viability", Circumstance.NOT_VIABLE_FOR_DCO),
}


class S1spAndDco:
    """``forget`` is told of devices whose keys have changed: associations with them are over."""

    def __init__(
        self, ring: KeyRing, pki: SimulatedPki, head: HeadEnd, forget: Callable[[Installation], None]
    ) -> None:
        self._ring = ring
        self._pki = pki
        self._head = head
        self._forget = forget
        requesting = pki.migration_party(MigrationParty.REQUESTING_PARTY)
        self._requesting = Ring({MigrationParty.REQUESTING_PARTY: requesting.certificate})

    # -- submission and validation -----------------------------------------------------------------

    def take_submission(self, job: Installation, given: Files, checks: Checks) -> None:
        """Schema, signatures, and whether the files belong together; the same ones again change nothing."""
        digest = hashlib.sha256(b"".join(sorted(given.values()))).hexdigest()
        if job.digest:
            checks.make("file_again", "" if digest == job.digest else "an attempt is under way")
            return
        read = self._read(given, checks)
        due = files.installation_of(job.rig, job.entry, {})
        same = read.installation.text("MPAN") == due["MPAN"] and {
            device.text("DeviceID") for device in read.installation.all("Device")
        } == {device["DeviceID"] for device in due["Device"]}
        checks.make("file_set", "" if same else "the files are about another installation")
        party = tag(job.entry.dmc.smso)
        whose = (
            read.requesting_party == party
            and job.authorisation
            and (read.authorisation == job.authorisation.name)
        )
        checks.make("file_set", "" if whose else "the files are not those of the authorisation")
        job.digest, job.submission = digest, read
        job.stage = MigrationStage.SUBMITTED

    def _read(self, given: Files, checks: Checks) -> files.ReadSubmission:
        try:
            roots = {
                kind: files.read_file(kind, content) for kind, content in files.sorted_out(given).items()
            }
            for kind, root in roots.items():
                try:
                    files.check_signature(kind, root, self._requesting)
                except files.FileRefused as refused:
                    checks.make(refused.rule, refused.message)
            return files.joined_up(roots)
        except files.FileRefused as refused:
            checks.make(refused.rule, refused.message)
            raise

    def validate(self, job: Installation, checks: Checks) -> None:
        """Each deciphers its half and lists the installation, or does not; both have to."""
        assert job.submission is not None
        for party in BOTH:
            try:
                job.parts[party] = self.deciphered(party, job.submission.key_material[party])
            except (ProtocolViolation, KeyError) as problem:
                checks.make("key_material", f"{party}: {problem}")
        missing = sorted(
            type_
            for type_, device in job.rig.devices.items()
            if not all(job.parts[party][device.device_id].share for party in BOTH)
        )
        checks.make("master_key", f"no master key of {', '.join(missing)}" if missing else "")
        for party in BOTH:
            rule, circumstance = _UNWILLING[party]
            refusing = checks.refusing(rule, circumstance.value if job.suffers(circumstance) else "")
            self._list(party, job, checks, viable=refusing is None)
        for party in BOTH:
            rule, circumstance = _UNWILLING[party]
            checks.make(rule, circumstance.value if job.suffers(circumstance) else "")
        job.stage = MigrationStage.VALIDATED

    def deciphered(self, party: MigrationParty, content: bytes) -> dict[str, Any]:
        """A party's half of the key material; :class:`ProtocolViolation` where it cannot read it."""
        return unsealed(content, private_key(self._pki.migration_party(party).key))

    def _list(self, party: MigrationParty, job: Installation, checks: Checks, *, viable: bool) -> None:
        pair = self._pki.migration_party(party)
        devices = [device.device_id for device in job.going_on()] if viable else []
        body = {"FileID": job.submission.file_id if job.submission else "", "Created": checks.now,
                "Party": party, "Viable": devices}  # fmt: skip
        job.lists[f"VIABLE_{party}_{job.attempts + 1}.xml"] = files.written(
            "MigrationViabilityList", body, Signer(pair.key, pair.certificate)
        )

    # -- the devices -------------------------------------------------------------------------------

    def test_devices(self, job: Installation, checks: Checks) -> tuple[tuple[str, str], ...]:
        """Contact each device; codes and findings of those that are left out and do not stop the others."""
        left_out = []
        for device in job.going_on():
            try:
                order = checks.does("contact", self._order(job, device), device_id=device.device_id)
                if order is not None:
                    identity = self._head.contact(order)
                    checks.make("device_identity", self._another(job, device, identity))
            except HubUnreachable as lost:
                checks.make("wan_at_migration", lost.message)
            except DeviceFault as fault:
                rule = "han_gas" if device.type is DeviceType.GSME else "han_electricity"
                refusing = checks.refusing(rule, fault.message)
                if refusing and refusing.consequence is Consequence.ELECTRICITY_ONLY:
                    job.devices.remove(device.type)
                    left_out.append((refusing.code, fault.message))
                else:
                    checks.make(rule, fault.message)
        job.stage = MigrationStage.DEVICE_TESTED
        return tuple(left_out)

    @staticmethod
    def _another(job: Installation, device: RigDevice, told: Identity) -> str:
        """How the device differs from what the files say of it, or nothing."""
        assert job.submission is not None
        entries = {entry.text("DeviceID"): entry for entry in job.submission.installation.all("Device")}
        due = entries[device.device_id]
        found = {
            "DeviceID": told.device_id,
            "SerialNumber": told.serial_number,
            "Manufacturer": told.manufacturer,
            "Model": told.model,
            "FirmwareVersion": told.firmware,
        }
        wrong = [
            f"{name} {value}, not {due.text(name)}"
            for name, value in found.items()
            if value != due.text(name)
        ]
        return f"{device.type}: {'; '.join(wrong)}" if wrong else ""

    def change(self, job: Installation, types: tuple[DeviceType, ...], checks: Checks) -> None:
        """New keys on those devices that have none; each must open its device before the next one."""
        for device in job.going_on():
            if (types and device.type not in types) or device.type in job.changed:
                continue
            order = self._order(job, device, new=enrolled_keys(self._ring, device.device_id))
            passed = checks.does("change", order, device_id=device.device_id)
            job.changed.add(device.type)
            try:
                if passed is not None:
                    self._head.change(passed)
                    self._head.contact(replace(order, keys=passed.new or order.keys))
            except DeviceFault as fault:
                checks.make("credentials", f"{device.type}: {fault.message}")
            self._forget(job)
        if job.changed >= set(job.devices):
            job.stage = MigrationStage.CREDENTIALS_CHANGED

    def prove(self, job: Installation, checks: Checks) -> None:
        """Each device answers under its new keys."""
        for device in job.going_on():
            order = replace(self._order(job, device), keys=enrolled_keys(self._ring, device.device_id))
            try:
                found = self._head.contact(order)
            except DeviceFault as fault:
                checks.make("commissioning", f"{device.type}: {fault.message}")
            else:
                checks.make("commissioning", self._another(job, device, found))

    def give_back(self, job: Installation, checks: Checks) -> bool:
        """Put the SMSO's keys back; whether every device has them again."""
        for device in job.going_on():
            if device.type not in job.changed:
                continue
            before = self._order(job, device)
            order = replace(before, keys=enrolled_keys(self._ring, device.device_id), new=before.keys)
            passed = checks.does("give_back", order, device_id=device.device_id)
            if passed is None or self._given_back(passed):
                job.changed.discard(device.type)
        self._forget(job)
        return not job.changed

    def _given_back(self, order: Order) -> bool:
        """Whether the device opens under the SMSO's keys in the end: it may never have lost them."""
        try:
            self._head.change(order)
        except (HubUnreachable, DeviceSilent):
            return False
        except (AccessRefused, ProtocolViolation):
            assert order.new is not None
            try:
                self._head.contact(replace(order, keys=order.new))
            except DeviceFault:
                return False
        return True

    def _order(self, job: Installation, device: RigDevice, *, new: HeadEndKeys | None = None) -> Order:
        halves = [job.parts[party][device.device_id] for party in BOTH]
        keys, master = joined(*halves)
        return Order(device=device, ch_id=job.ch_id, keys=keys, new=new, master=master)
