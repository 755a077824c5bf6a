"""The Commissioning Party: what the DCC's inventory and the S1SP hold of an installation, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Final

from device_drivers.dcc.pki import SimulatedPki
from device_drivers.dcc.signature import Signer
from device_drivers.simulated.gateway.inventory import COMMISSIONED, Inventory, Record
from device_drivers.simulated.migration import files
from device_drivers.simulated.migration.checks import Checks
from device_drivers.simulated.migration.installation import Installation
from device_drivers.simulated.s1sp import credentials
from device_drivers.simulated.s1sp.record import DeviceRecord
from device_drivers.simulated.s1sp.s1sp import S1sp
from harness.domain.faults import DROP, Point
from harness.domain.lab import Lab
from harness.domain.migration_rules import MigrationParty, MigrationStage

_PENDING: Final = "Pending"  # inferred: absent, then pending, then commissioned


class CommissioningParty:
    """Writes the inventory and, by way of the S1SP, which certificates are notified."""

    def __init__(self, lab: Lab, inventory: Inventory, s1sp: S1sp, pki: SimulatedPki) -> None:
        self._lab = lab
        self._inventory = inventory
        self._s1sp = s1sp
        pair = pki.migration_party(MigrationParty.COMMISSIONING_PARTY)
        self._signer = Signer(pair.key, pair.certificate)

    def withdraw(self, job: Installation, checks: Checks | None = None) -> None:
        """The inventory knows nothing of the installation, and the S1SP of no certificate for it."""
        for record in job.records:
            gone = record if checks is None else checks.passing(Point.WRITE, "removed", record)
            if gone is not DROP:
                self._inventory.remove(record.device_id)
                self._s1sp.record(record.device_id).certificates.clear()

    def announce(self, job: Installation, checks: Checks) -> None:
        """The devices of an installation whose files were taken are pending."""
        for record in self._going_on(job):
            self._put("pending", replace(record, status=_PENDING, commissioned=None), checks)

    def commission(self, job: Installation, checks: Checks) -> None:
        """From now on the devices are served; those that were left out are not known."""
        going_on = self._going_on(job)
        for record in going_on:
            made = replace(record, status=COMMISSIONED, commissioned=checks.now.date())
            self._put("commissioned", made, checks)
            self._notify(job, record, checks)
        for record in job.records:
            if record not in going_on:
                self._inventory.remove(record.device_id)
        ids = [record.device_id for record in going_on]
        body = {
            "FileID": job.submission.file_id if job.submission else "",
            "Created": checks.now,
            "Commissioned": ids,
        }
        for name in ("Commissioning", "CommissioningOutcome"):
            job.lists[f"{name.upper()}_{job.attempts + 1}.xml"] = files.written(
                f"Migration{name}File", body, self._signer
            )
        job.stage = MigrationStage.COMMISSIONED

    def restore(self, job: Installation) -> None:
        """Inventory and S1SP as they were before it was given to its SMSO."""
        for record in job.records:
            self._inventory.put(record)
        for device_id, kept in job.kept.items():
            now = self._s1sp.record(device_id)
            now.images, now.certificates, now.floors = kept.images, kept.certificates, kept.floors

    def _going_on(self, job: Installation) -> tuple[Record, ...]:
        ids = {device.device_id.upper() for device in job.going_on()}
        return tuple(record for record in job.records if record.device_id in ids)

    def _put(self, what: str, record: Record, checks: Checks) -> None:
        passed = checks.passing(Point.WRITE, what, record)
        if passed is not DROP:
            self._inventory.put(passed)

    def _notify(self, job: Installation, record: Record, checks: Checks) -> None:
        device = next(d for d in job.rig.devices.values() if d.device_id.upper() == record.device_id)
        notified = credentials.first_notified(self._lab, device.type)
        passed = checks.passing(Point.WRITE, "notified", notified, device_type=device.type)
        if passed is not DROP:
            self._s1sp.record(record.device_id).certificates.update(passed)


def kept_records(s1sp: S1sp, records: tuple[Record, ...]) -> Mapping[str, DeviceRecord]:
    """Copies of what the S1SP keeps, by device id."""
    return {record.device_id: deepcopy(s1sp.record(record.device_id)) for record in records}
