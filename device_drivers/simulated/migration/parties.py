"""All parties of migration together, as one call of the simulated DCC's process: a step of one installation.

``POST /migration {"rig": …, "step": …, …}``. Files go as base64, the answer is a :class:`Progress`. Each rig
has one installation in hand, from "begin" to "end"; steps of one rig are taken one after another.
"""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Final

from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.tree import parse
from device_drivers.dlms.counters import CounterStore
from device_drivers.simulated.gateway.inventory import Inventory
from device_drivers.simulated.keys import key_ring
from device_drivers.simulated.migration import files
from device_drivers.simulated.migration.checks import Checks, Refused
from device_drivers.simulated.migration.commissioning import CommissioningParty, kept_records
from device_drivers.simulated.migration.head_end import HeadEnd
from device_drivers.simulated.migration.installation import Installation
from device_drivers.simulated.migration.requesting_party import RequestingParty
from device_drivers.simulated.migration.s1sp_and_dco import S1spAndDco
from device_drivers.simulated.migration.spelling import progress_to, wish_from
from device_drivers.simulated.s1sp.s1sp import S1sp
from device_drivers.simulated.wan.head import HubAlert, WanHead
from harness.domain.errors import ProtocolViolation, UsageError
from harness.domain.faults import Interceptions, Point
from harness.domain.lab import Lab
from harness.domain.migration import Circumstance, Files, Progress
from harness.domain.migration_rules import Consequence, MigrationParty, MigrationRules, MigrationStage
from harness.domain.words import DeviceType

Found = tuple[tuple[str, str], ...]
"""Codes of checks that refused without an end to the step, each with what it found."""
_S: Final = MigrationStage
_ANY: Final = frozenset(MigrationStage)
_RESTING_ON_PARTS: Final = frozenset({"validate", "test_devices", "change_credentials", "commission"})
_NOTHING: Final = "nothing"  # told for a code where a removed check leaves nothing to go on with
_WRITERS: Final = {"VIABLE_S1SP": MigrationParty.S1SP, "VIABLE_DCO": MigrationParty.DCO}


class Parties:
    """Every party of migration in the simulated DCC's process."""

    def __init__(
        self,
        lab: Lab,
        head: WanHead,
        s1sp: S1sp,
        inventory: Inventory,
        interceptions: Interceptions,
        counters: CounterStore,
    ) -> None:
        self._lab = lab
        self._head = head
        self._s1sp = s1sp
        self._inventory = inventory
        self._interceptions = interceptions
        self._rules = lab.migration or MigrationRules(attempts=1, checks={})
        pki, ring = simulated_pki(lab), key_ring(lab)
        head_end = HeadEnd(head, counters)
        self._requesting = RequestingParty(lab, self._rules, ring, pki, head_end)
        self._both = S1spAndDco(ring, pki, head_end, self._forget)
        self._commissioning = CommissioningParty(lab, inventory, s1sp, pki)
        self._jobs: dict[str, Installation] = {}
        self._lock = threading.Lock()

    # -- what others of the DCC's side ask ---------------------------------------------------------

    def call(self, call: Mapping[str, Any]) -> Any:
        """One step, as the worker of a rig asks for it."""
        rig, step = str(call["rig"]), str(call["step"])
        match step:
            case "begin":
                return progress_to(self._begin(rig, str(call["entry"])))
            case "end":
                return self._end(rig)
        job = self._jobs.get(rig)
        if job is None:
            raise UsageError(f"no installation of rig {rig} is being migrated")
        return self._asked(job, step, call)

    def installed(self, device_ids: Collection[str]) -> None:
        """These devices are fresh twins, enrolled: nothing is being migrated any more."""
        wanted = {device_id.upper() for device_id in device_ids}
        with self._lock:
            for rig, job in list(self._jobs.items()):
                if wanted & set(job.kept):
                    del self._jobs[rig]

    def passing(self, deliver: Callable[[HubAlert], None]) -> Callable[[HubAlert], None]:
        """Lets an alert go on unless its device is not enrolled: then nobody of the DCC hears of it."""

        def pass_on(alert: HubAlert) -> None:
            with self._lock:
                job = next((job for job in self._jobs.values() if alert.ch_id == job.ch_id), None)
            withheld = job is not None and not job.enrolled(alert.device_id)
            about = {"device_id": alert.device_id, "now": alert.timestamp}
            if not self._interceptions.passing(Point.ALERT, "unenrolled", withheld, **about):
                deliver(alert)

        return pass_on

    # -- beginning and end -------------------------------------------------------------------------

    def _begin(self, rig_id: str, entry_id: str) -> Progress:
        rig = self._lab.rig(rig_id)
        entry = next(entry for entry in self._lab.epcl if entry.id == entry_id)
        ch_id = rig.devices[DeviceType.CH].device_id
        with self._lock:
            if left := self._jobs.pop(rig_id, None):  # by a test whose end never came here
                self._commissioning.restore(left)
            records = self._inventory.installation(ch_id)
            job = Installation(rig, entry, records, kept_records(self._s1sp, records), list(rig.devices))
            self._jobs[rig_id] = job
        shutil.rmtree(self._folder(job), ignore_errors=True)
        self._commissioning.withdraw(job)
        self._forget(job)
        return job.progress()

    def _end(self, rig_id: str) -> None:
        with self._lock:
            job = self._jobs.pop(rig_id, None)
        if job is not None:
            self._commissioning.restore(job)
            self._forget(job)

    def _forget(self, job: Installation) -> None:
        self._s1sp.hello(job.ch_id, tuple(device.device_id for device in job.rig.devices.values()))

    # -- steps -------------------------------------------------------------------------------------

    def _asked(self, job: Installation, step: str, call: Mapping[str, Any]) -> Any:
        checks = Checks(self._rules, self._interceptions, job.ch_id, self._head.now(job.ch_id))
        match step:
            case "progress":
                return progress_to(job.progress())
            case "arrange":
                job.circumstances.add((Circumstance(call["circumstance"]), DeviceType(call["device"])))
                return None
            case "authorisation":
                made = self._requesting.make_authorisation(job, wish_from(call["wish"]), checks)
                return self._handed_out(job, made)
            case "submission":
                return self._handed_out(job, self._requesting.make_submission(job, checks))
            case "lists":
                return _coded(job.lists)
            case "deciphered":
                return self._deciphered(MigrationParty(call["party"]), base64.b64decode(call["content"]))
        given = {name: base64.b64decode(content) for name, content in call.get("files", {}).items()}
        types = tuple(DeviceType(name) for name in call.get("devices", ()))
        return progress_to(self._taken(job, step, given, types, checks))

    def _taken(
        self, job: Installation, step: str, given: Files, types: tuple[DeviceType, ...], checks: Checks
    ) -> Progress:
        """One step, and what becomes of the installation where a check refuses."""
        begin, take = self._steps(job, given, types, checks)[step]
        try:
            if step != "authorise" and job.stage not in begin:
                checks.make("order", f"{step} while the installation is {job.stage}")
                if (
                    step in _RESTING_ON_PARTS
                    and not job.parts
                    and not (step == "validate" and job.submission)
                ):
                    return job.progress((_NOTHING,), (f"there is nothing that {step} could rest on",))
            found = take() or ()
        except Refused as refused:
            return self._refused(job, refused, checks)
        except files.FileRefused as unread:  # its check is removed, and still nobody can read it
            return job.progress((_NOTHING,), (unread.message,))
        for name, content in job.lists.items():
            party = next((party for start, party in _WRITERS.items() if name.startswith(start)), None)
            self._keep(job, party or MigrationParty.COMMISSIONING_PARTY, {name: content})
        return job.progress(tuple(code for code, _ in found), tuple(told for _, told in found))

    def _steps(
        self, job: Installation, given: Files, types: tuple[DeviceType, ...], checks: Checks
    ) -> dict[str, tuple[Collection[MigrationStage], Callable[[], Found | None]]]:
        """Each step: the stages that it may begin at, and what it does."""
        ready = {job.ready, _S.ROLLED_BACK}
        return {
            "authorise": (_ANY, lambda: self._requesting.take_authorisation(job, given, checks)),
            "prepare": (
                {_S.AUTHORISED} if job.dormant else (),
                lambda: self._requesting.prepare(job, checks),
            ),
            "submit": (ready | {_S.SUBMITTED, _S.VALIDATED}, lambda: self._submit(job, given, checks)),
            "validate": ({_S.SUBMITTED}, lambda: self._both.validate(job, checks)),
            "test_devices": ({_S.VALIDATED}, lambda: self._both.test_devices(job, checks)),
            "change_credentials": ({_S.DEVICE_TESTED}, lambda: self._both.change(job, types, checks)),
            "commission": ({_S.CREDENTIALS_CHANGED}, lambda: self._commission(job, checks)),
            "roll_back": (
                {_S.SUBMITTED, _S.VALIDATED, _S.DEVICE_TESTED, _S.CREDENTIALS_CHANGED, _S.ROLL_BACK_DUE},
                lambda: self._roll_back(job, checks),
            ),
        }

    def _submit(self, job: Installation, given: Files, checks: Checks) -> None:
        over = job.attempts >= self._rules.attempts
        checks.make("attempts", f"{job.attempts} attempts have failed" if over else "")
        self._both.take_submission(job, given, checks)
        self._keep(job, MigrationParty.S1SP, given)
        self._keep(job, MigrationParty.DCO, given)
        self._commissioning.announce(job, checks)

    def _commission(self, job: Installation, checks: Checks) -> None:
        self._both.prove(job, checks)
        self._commissioning.commission(job, checks)

    def _refused(self, job: Installation, refused: Refused, checks: Checks) -> Progress:
        consequence = refused.check.consequence
        if consequence is Consequence.FAILED:
            self._roll_back(job, checks)
        elif consequence is Consequence.EXCLUDED:
            self._roll_back(job, checks, counted=False)
            job.stage = _S.EXCLUDED
        return job.progress((refused.check.code,), (refused.told,))

    def _roll_back(self, job: Installation, checks: Checks, *, counted: bool = True) -> None:
        """Back to the SMSO; an attempt is counted once, however often it takes to reach the devices."""
        if counted and job.stage is not _S.ROLL_BACK_DUE:
            job.attempts = checks.passing(Point.LOG, "attempts", job.attempts + 1)
        self._commissioning.withdraw(job, checks)
        if not self._both.give_back(job, checks):
            job.stage = _S.ROLL_BACK_DUE
            return
        job.begin_anew()
        job.stage = _S.ROLLED_BACK

    # -- files -------------------------------------------------------------------------------------

    def _deciphered(self, party: MigrationParty, content: bytes) -> list[str]:
        """Whose halves of an encrypted group file a party can read."""
        try:
            material = files.read_key_material(parse(content))
        except ProtocolViolation:
            return []
        found = []
        for whose, part in material.items():
            try:
                self._both.deciphered(party, part)
                found.append(whose.value)
            except ProtocolViolation:
                continue
        return found

    def _handed_out(self, job: Installation, made: Files) -> dict[str, str]:
        self._keep(job, MigrationParty.REQUESTING_PARTY, made)
        return _coded(made)

    def _keep(self, job: Installation, party: MigrationParty, made: Files) -> None:
        """A party's files on disk; who reads them reads these."""
        folder = self._folder(job) / party.lower().replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, content in made.items():
            (folder / Path(name).name[:120]).write_bytes(content)

    def _folder(self, job: Installation) -> Path:
        return self._lab.state / "migration" / job.rig.id


def _coded(made: Files) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in made.items()}
