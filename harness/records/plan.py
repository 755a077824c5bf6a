"""The plan of a run: what was planned is written down, and frozen, before the first test starts.

Every count is made against it, so a planned test can never disappear. ``plan.json`` is its own canonical
JSON: ``sha256sum plan.json`` prints the digest that heads every journal of the run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from harness.domain.errors import ConfigurationError, UsageError
from harness.domain.lab import DeviceModelCombination, Environment, EpclEntry, Lab, Rig
from harness.domain.packs import PackStanding
from harness.domain.words import CapabilityRelease, DeviceType, InstallationType, PackKind, TestPhase
from harness.records.canonical import canonical, digest_of_file, plain
from harness.records.recording import recording
from harness.records.redaction import hidden

PLAN = "plan.json"
_NOT_SAID: Final = {"digest", "lab_digest", "created"}
"""What nobody has chosen: a secret of six digits stands in it by chance alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTest:
    """One pack test on one EPCL entry. ``not_run`` is the reason where it can be seen that it cannot run."""

    id: str
    node_id: str  # pytest's
    pack: str
    title: str
    full_name: str  # package.module.Class#function, without parameters
    srvs: tuple[str, ...]
    ttm: tuple[str, ...]
    functional_group: str
    device_type: DeviceType
    entry: str  # EPCL entry id
    dmc: str
    installation_type: InstallationType
    release: CapabilityRelease
    test_phase: TestPhase
    not_run: str = ""
    stage: str = ""  # of the order that its pack declares; a test without one is free
    stage_order: int = 0  # the place of its stage in that order, from 1
    expected: float = 0.0  # seconds that it may last, as its mark or its pack guesses
    state: str = ""  # that it needs the installation to be in: one word, the packs'


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPack:
    """A Test Pack as it stood when the run was planned; ``digest`` covers all that it selects.

    ``departures`` says where the run is not what was agreed: of the pack, its environment, its cycle.
    """

    name: str
    version: str
    digest: str
    kind: PackKind
    capability_release: CapabilityRelease
    test_phase: TestPhase
    standing: PackStanding = PackStanding.NOT_AGREED
    agreement: str = ""  # the reference of the TAG's agreement to it, or to what it differs from
    departures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDmc:
    """A DMC of the run; ``models`` gives the Device Model id by device type."""

    id: str
    release: CapabilityRelease
    models: Mapping[DeviceType, str]

    @classmethod
    def of(cls, dmc: DeviceModelCombination) -> PlannedDmc:
        """As the lab has it."""
        models = {type_: model.id for type_, model in dmc.models.items()}
        return cls(id=dmc.id, release=dmc.release, models=models)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntry:
    """An EPCL entry that the run tests."""

    id: str
    dmc: str
    communications_provider: str
    installation_type: InstallationType

    @classmethod
    def of(cls, entry: EpclEntry) -> PlannedEntry:
        """As the lab has it."""
        provider, kind = entry.communications_provider, entry.installation_type
        return cls(id=entry.id, dmc=entry.dmc.id, communications_provider=provider, installation_type=kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDevice:
    """A device of a rig, with the firmware of its baseline (Clause 8.4(c))."""

    type: DeviceType
    model: str
    firmware: str
    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRig:
    """A rig that may serve the run."""

    id: str
    dmc: str
    simulated: bool
    devices: tuple[PlannedDevice, ...]

    @classmethod
    def of(cls, rig: Rig) -> PlannedRig:
        """As the lab has it."""
        devices = tuple(
            PlannedDevice(
                type=type_, model=device.model.id, firmware=device.model.firmware, device_id=device.device_id
            )
            for type_, device in rig.devices.items()
        )
        return cls(id=rig.id, dmc=rig.dmc.id, simulated=rig.simulation is not None, devices=devices)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is to do, and against what. Make one with :meth:`of_lab`."""

    run_id: str
    created: datetime  # aware
    seed: int
    faults: tuple[str, ...]  # twin faults switched on, by name
    cycle: str
    test_phase: TestPhase
    lab: str
    lab_digest: str
    environment: Environment
    packs: tuple[PlannedPack, ...]
    dmcs: tuple[PlannedDmc, ...]
    epcl_entries: tuple[PlannedEntry, ...]
    rigs: tuple[PlannedRig, ...]
    tests: tuple[PlannedTest, ...] = field(repr=False)
    narrowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # what was asked for, by kind
    left_out: int = 0  # tests that the packs plan, and that were not asked for
    witness: str = ""  # who witnesses the run (Clause 13.15); empty: nobody

    @classmethod
    def of_lab(
        cls,
        lab: Lab,
        *,
        run_id: str,
        created: datetime,
        seed: int,
        test_phase: TestPhase,
        packs: Iterable[PlannedPack],
        tests: Iterable[PlannedTest],
        faults: Iterable[str] = (),
        cycle: str = "",
        narrowed: Mapping[str, tuple[str, ...]] | None = None,
        left_out: int = 0,
        witness: str = "",
    ) -> Plan:
        """The plan of these tests on a lab, with the DMCs, EPCL entries and rigs that they concern."""
        planned = tuple(tests)
        dmcs, entries = {test.dmc for test in planned}, {test.entry for test in planned}
        return cls(
            run_id=run_id,
            created=created,
            seed=seed,
            faults=tuple(faults),
            cycle=cycle,
            test_phase=test_phase,
            lab=lab.name,
            lab_digest=digest_of_file(lab.file),
            environment=lab.environment,
            packs=tuple(packs),
            dmcs=tuple(PlannedDmc.of(dmc) for dmc in lab.dmcs if dmc.id in dmcs),
            epcl_entries=tuple(PlannedEntry.of(entry) for entry in lab.epcl if entry.id in entries),
            rigs=tuple(PlannedRig.of(rig) for rig in lab.rigs if rig.dmc.id in dmcs),
            tests=planned,
            narrowed=dict(narrowed or {}),
            left_out=left_out,
            witness=witness,
        )

    def __post_init__(self) -> None:
        if len(self.by_id) != len(self.tests):
            ids = [test.id for test in self.tests]
            twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
            raise UsageError(f"planned twice: {', '.join(twice)}", remedy="a planned test's id is its own")

    @cached_property
    def by_id(self) -> Mapping[str, PlannedTest]:
        """The planned tests by id, in the order of the plan."""
        return {test.id: test for test in self.tests}

    @property
    def notices(self) -> tuple[str, ...]:
        """Where the packs are not what was agreed with the TAG: what stands at the top of every report."""
        return notices(self.packs)

    @cached_property
    def content(self) -> bytes:
        """The plan's canonical JSON."""
        return canonical(self)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, in hex."""
        return hashlib.sha256(self.content).hexdigest()

    def write(self, folder: Path) -> Path:
        """Freeze the plan in a run folder: written whole or not at all, and never twice.

        :class:`UsageError`, and nothing written, where one of the lab's secrets stands in it.
        """
        self._refuse_secrets()
        path, part = folder / PLAN, folder / f".{PLAN}.{os.getpid()}"
        with recording(path):
            folder.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.write(self.content)
                file.flush()
                os.fsync(file.fileno())
            part.chmod(0o444)
        try:
            path.hardlink_to(part)
        except FileExistsError:
            raise UsageError(
                f"{path} is frozen already",
                remedy="a new run takes a new folder; a resumed one keeps its plan",
            ) from None
        finally:
            part.unlink()
        sync_folder(folder)
        return path

    def _refuse_secrets(self) -> None:
        """Ids name tests, rigs and folders in every record and report: a secret in one cannot be hidden."""
        said = dict(_said(plain(self))) if hidden.knows_any else {}
        for text, place in said.items():
            content = text.encode("utf-8", "backslashreplace")
            if hidden.reveals(content):
                secret = hidden.reference_in(content) or "one of the lab's secrets"
                raise UsageError(
                    f"{secret} occurs in the plan, which every record and report repeats: "
                    f"{place} is {hidden.of_text(text)}",
                    remedy="choose another secret, or another name for what has it in its own",
                )

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """The plan of a run folder; :class:`ConfigurationError` where there is none that can be read."""
        return cls.of_json(content_of(folder), folder / PLAN)

    @classmethod
    def of_json(cls, content: bytes, path: Path) -> Plan:
        """The plan that a file holds; :class:`ConfigurationError` names it where it holds none."""
        from pydantic import TypeAdapter, ValidationError

        try:
            plan: Plan = TypeAdapter(cls).validate_json(content)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the file"
            raise ConfigurationError(
                f"{path}: {place}: {first['msg']}", remedy="a plan is never edited; restore the file"
            ) from None
        return plan


def _said(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each text in a plan that is JSON already, with its place there, but for what nobody has chosen.

    >>> list(_said({"rigs": [{"id": "ioc-1"}], "lab_digest": "12ab"}))
    [('ioc-1', 'rigs.0.id')]
    """
    match value:
        case str():
            yield value, place
        case dict():
            for name, item in value.items():
                if name not in _NOT_SAID:
                    yield from _said(item, f"{place}.{name}".lstrip("."))
        case list():
            for at, item in enumerate(value):
                yield from _said(item, f"{place}.{at}".lstrip("."))


def notices(packs: Iterable[PlannedPack]) -> tuple[str, ...]:
    """A line for all packs that were never agreed, and one for each thing that is not as it was agreed."""
    given = tuple(packs)
    never = [pack.name for pack in given if pack.standing is PackStanding.NOT_AGREED]
    lines = [f"not agreed with the TAG: {', '.join(never)}"] if never else []
    for pack in given:
        lines += (f"{pack.name} {pack.version}: {departure}" for departure in pack.departures)
    return tuple(lines)


def refuse_another_lab(plan: Plan, lab: Lab) -> None:
    """:class:`UsageError` where the run is of another lab: its keys, matrix and secrets are not ours."""
    from harness.config.problems import shown

    if lab.name != plan.lab:
        raise UsageError(
            f"run {plan.run_id} is a run of lab {plan.lab}; {shown(lab.file)} is of {lab.name}",
            remedy="name the lab file of the run: --lab",
        )


def content_of(folder: Path) -> bytes:
    """The bytes of a run folder's plan; :class:`ConfigurationError` where there is none that can be read."""
    path = folder / PLAN
    try:
        if not S_ISREG(path.stat().st_mode):  # a pipe would be waited for, a device read for ever
            raise ConfigurationError(f"{path} cannot be read: it is no file")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(f"{folder} is no run folder: it has no {PLAN}") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None


def sync_folder(folder: Path) -> None:
    """Make the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
