"""The Requesting Party: holds the SMSO's devices, is authorised, prepares dormant meters, makes the files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from device_drivers.dcc.pki import SimulatedPki
from device_drivers.dcc.signature import Signer
from device_drivers.simulated.keys import KeyRing
from device_drivers.simulated.migration import authorisation, files
from device_drivers.simulated.migration.checks import Checks
from device_drivers.simulated.migration.head_end import HeadEnd, Order
from device_drivers.simulated.migration.installation import Installation
from device_drivers.simulated.migration.keys import Half, halves, private_key, sealed, smso_keys
from device_drivers.simulated.wan.head import DeviceSilent, HubUnreachable
from harness.domain.errors import DeviceFault
from harness.domain.faults import Point
from harness.domain.lab import Lab
from harness.domain.migration import Authorisation, Circumstance, Files
from harness.domain.migration_rules import MigrationParty, MigrationRules, MigrationStage

EUI: Final = "00-DB-12-34-90-00-01-01"  # the Requesting Party's, made up
_SEALED_BY: Final = "smso/authorisation"
_OTHER_MODEL: Final = "Nobody NB-1 0.1"
_ANOTHER: Final = {Circumstance.WRONG_SERIAL_NUMBER: "X00000"}


def tag(name: str) -> str:
    """A party as files name it: the first word of its name."""
    return re.sub(r"[^A-Z0-9]", "", name.upper().split()[0] if name.strip() else "")[:20] or "SMSO"


class RequestingParty:
    """One for each SMSO; the SMSO's keys are its own."""

    def __init__(
        self, lab: Lab, rules: MigrationRules, ring: KeyRing, pki: SimulatedPki, head: HeadEnd
    ) -> None:
        self._lab = lab
        self._rules = rules
        self._ring = ring
        self._pki = pki
        self._head = head
        own = pki.migration_party(MigrationParty.REQUESTING_PARTY)
        self._signer = Signer(own.key, own.certificate)

    def make_authorisation(self, job: Installation, wish: Authorisation, checks: Checks) -> Files:
        """What the DCC hands out, right but for the wish."""
        models = {wish.model_of: _OTHER_MODEL} if wish.model_of else {}
        row = {
            "requesting_party": wish.party or tag(job.entry.dmc.smso),
            "valid_from": (wish.valid_from or checks.now - timedelta(days=1)).isoformat(),
            "valid_to": (wish.valid_to or checks.now + timedelta(days=14)).isoformat(),
            **authorisation.row_of(job.rig, job.entry, models),
        }
        wished = {
            "mpan": wish.mpan,
            "communications_provider": wish.communications_provider,
            "installation_type": wish.installation_type or "",
        }
        row |= {name: value for name, value in wished.items() if value}
        password = self._ring.derived(job.ch_id, _SEALED_BY).hex()
        name = f"{row['requesting_party']}_{EUI}"
        given = wish.password or password
        return authorisation.write_authorisation(name, row, password, given, checks.now)

    def take_authorisation(self, job: Installation, given: Files, checks: Checks) -> None:
        """Read it, and hold it against what it has to be, the installation and the EPCL."""
        if job.stage is not MigrationStage.WITH_SMSO:
            self._take_again(job, given, checks)
            return
        try:
            read = authorisation.read_authorisation(given, checks.make)
        except files.FileRefused as refused:
            checks.make(refused.rule, refused.message)
            raise
        own, row = tag(job.entry.dmc.smso), read.row
        party = row["requesting_party"]
        checks.make("authorisation_party", "" if party == own else f"it is for {party}, not for {own}")
        valid = read.valid_from <= checks.now <= read.valid_to
        period = f"valid from {read.valid_from} to {read.valid_to}; it is {checks.now}"
        checks.make("authorisation_period", "" if valid else period)
        due = authorisation.row_of(job.rig, job.entry, {})
        wrong = [name for name in ("mpan", "mprn", "ch", "esme", "gsme") if row[name] != due[name]]
        checks.make("authorisation_installation", f"{', '.join(wrong)} is another's" if wrong else "")
        checks.make("epcl_entry", self._not_eligible(row, due))
        ended = job.suffers(Circumstance.CONTRACT_ENDED)
        checks.make("contract_ended", "dormant since its contract ended" if ended else "")
        dmc = job.entry.dmc.id
        out = dmc in self._rules.uneconomic or job.suffers(Circumstance.UNECONOMIC)
        checks.make("uneconomic", f"DMC {dmc} is uneconomic" if out else "")
        job.authorisation = read
        job.stage = MigrationStage.AUTHORISED

    def _take_again(self, job: Installation, given: Files, checks: Checks) -> None:
        """The same one again changes nothing; another one comes too late."""
        same = job.authorisation is not None and job.authorisation.name in given
        checks.make("order", "" if same else f"the installation is {job.stage}")

    def _not_eligible(self, row: Mapping[str, str], due: Mapping[str, str]) -> str:
        """Why no EPCL entry covers the installation as the authorisation has it, or nothing."""
        fits = any(
            (entry.dmc.id, entry.communications_provider, entry.installation_type)
            == (row["dmc"], row["communications_provider"], row["installation_type"])
            for entry in self._lab.epcl
        )
        if fits and row["models"] == due["models"]:
            return ""
        return (
            f"no EPCL entry has {row['models']} by {row['communications_provider']} "
            f"in a {row['installation_type']} installation"
        )

    def prepare(self, job: Installation, checks: Checks) -> None:
        """Dormant meters get configuration and firmware of their EPCL entry, over the SMSO's WAN."""
        for type_ in job.dormant:
            device = job.device(type_)
            order = Order(
                device=device,
                ch_id=job.ch_id,
                keys=smso_keys(self._ring, device.device_id),
                settings=self._rules.configuration.get(type_, {}),
            )
            passed = checks.does("prepare", order, device_id=device.device_id)
            try:
                if passed is not None:
                    self._head.prepare(passed)
            except HubUnreachable as lost:
                checks.make("wan_before", lost.message)
            except (DeviceSilent, DeviceFault) as fault:
                checks.make("preparation", f"{type_}: {fault.message}")
        job.stage = MigrationStage.PREPARED

    def make_submission(self, job: Installation, checks: Checks) -> Files:
        """Common, group and encrypted group file, signed; the key material is sealed in two halves."""
        parts = self._halves(job)
        body = self._bodies(job, checks, parts)
        names = files.submission_names(tag(job.entry.dmc.smso), EUI, checks.now)
        return {
            names[kind]: files.written(
                files.ROOTS[kind], checks.passing(Point.REQUEST, kind, body[kind], parts=parts), self._signer
            )
            for kind in files.ROOTS
        }

    def _bodies(
        self, job: Installation, checks: Checks, parts: Mapping[MigrationParty, Mapping[str, Half]]
    ) -> dict[str, Any]:
        stamp = f"{checks.now:%Y%m%d%H%M%S}"
        head = {"FileID": f"{tag(job.entry.dmc.smso)}-{job.rig.id}-{stamp}", "Created": checks.now}
        wrong = Circumstance.WRONG_SERIAL_NUMBER
        serials = {type_: _ANOTHER[wrong] for type_ in job.rig.devices if job.suffers(wrong, type_)}
        spoilt = job.suffers(Circumstance.KEY_MATERIAL_SPOILT)
        sealed_for = {party: MigrationParty.REQUESTING_PARTY if spoilt else party for party in parts}
        sealed_parts = {party: sealed(part, self._public(sealed_for[party])) for party, part in parts.items()}
        return {
            "common": {
                **head,
                "RequestingParty": tag(job.entry.dmc.smso),
                "Authorisation": job.authorisation.name if job.authorisation else "none",
            },
            "group": {**head, "Installation": files.installation_of(job.rig, job.entry, serials)},
            "encrypted": {**head, "KeyMaterial": files.key_material(sealed_parts)},
        }

    def _halves(self, job: Installation) -> dict[MigrationParty, dict[str, Half]]:
        parts: dict[MigrationParty, dict[str, Half]] = {MigrationParty.S1SP: {}, MigrationParty.DCO: {}}
        for type_, device in job.rig.devices.items():
            known = not job.suffers(Circumstance.MASTER_KEY_MISSING, type_)
            for party, half in zip(parts, halves(self._ring, device.device_id, master=known), strict=True):
                parts[party][device.device_id] = half
        return parts

    def _public(self, party: MigrationParty) -> Any:
        return private_key(self._pki.migration_party(party).key).public_key()
