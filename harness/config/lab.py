"""A lab file and the data files that it names, read, checked against each other and made into a Lab."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from harness.config import checks
from harness.config.catalogue import read_catalogue
from harness.config.data_files import data_file, named
from harness.config.document import Document, Place, read_document
from harness.config.doors import check_doors
from harness.config.models import (
    DccFile,
    DeviceModelFile,
    DmcFile,
    DoorFile,
    EnvironmentFile,
    EpclFile,
    LabFile,
    RigDeviceFile,
    RigFile,
    SecurityFile,
)
from harness.config.problems import FileProblems, Problems
from harness.config.validation import validate
from harness.domain.lab import (
    CaptureLine,
    Controller,
    DccLink,
    DeviceModel,
    DeviceModelCombination,
    DlmsSecurity,
    Door,
    Environment,
    EpclEntry,
    Hdlc,
    Lab,
    OpticalPort,
    Rig,
    RigDevice,
    ServiceRequest,
    ServiceUserIdentity,
    Simulation,
)

if TYPE_CHECKING:
    from harness.config.bench import ReadBench
    from harness.domain.migration_rules import MigrationRules

M = TypeVar("M", bound=BaseModel)
STATE_VARIABLE: Final = "HARNESS_STATE"


def load_lab(path: Path, *, state: Path | None = None) -> Lab:
    """The lab that a lab file and its data files describe.

    ``state`` is where counters and leases are kept; by default ``$HARNESS_STATE/<lab name>``, or
    ``.state/<lab name>`` beside the lab file. It is not made here.

    Raises :class:`~harness.domain.errors.ConfigurationError` (:class:`harness.config.FileProblems`) that
    names file, line, what was found, what was expected and what to do, for every problem of every file.
    """
    problems = Problems()
    files = _read(path.resolve(), problems)
    problems.tell()
    return _Building(files, _state(files, state)).lab()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFiles:
    """Everything that was read, each part valid by itself. Ids lead to parts."""

    document: Document
    lab: LabFile
    rigs: Mapping[str, RigFile]
    benches: Mapping[str, ReadBench]
    models: Mapping[str, DeviceModelFile]
    dmcs: Mapping[str, DmcFile]
    epcl: Mapping[str, EpclFile]
    environments: Mapping[str, EnvironmentFile]
    catalogue: Mapping[str, ServiceRequest]
    migration: MigrationRules | None


def _read(path: Path, problems: Problems) -> LabFiles:
    document = _lab_document(path, problems)
    lab = validate(LabFile, document, (), problems)
    rigs = _placed("rig", RigFile, document, ("rigs",), problems)
    models = _collection("Device Model", DeviceModelFile, document, "device_models", problems)
    dmcs = _collection("DMC", DmcFile, document, "dmcs", problems)
    epcl = _collection("EPCL entry", EpclFile, document, "epcl", problems)
    environments = _collection("environment", EnvironmentFile, document, "environments", problems)
    catalogue_file = data_file(document, "catalogue", problems)
    catalogue = read_catalogue(catalogue_file, problems) if catalogue_file else {}
    checks.check_dmcs(dmcs, models, problems)
    checks.check_epcl(epcl, dmcs, problems)
    checks.check_rigs(rigs, dmcs, models, problems)
    benches = _benches(document, rigs.items, problems)
    if lab is None:
        raise FileProblems(problems.found)
    checks.check_lab(document, lab, rigs, environments, problems)
    check_doors(document, lab, rigs.items, problems)
    migration = _migration(document, lab, dmcs.items, problems)
    return LabFiles(
        document=document, lab=lab, rigs=rigs.items, models=models.items, dmcs=dmcs.items, epcl=epcl.items,
        environments=environments.items, catalogue=catalogue, benches=benches, migration=migration,
    )  # fmt: skip


def _migration(
    document: Document, lab: LabFile, dmcs: Mapping[str, DmcFile], problems: Problems
) -> MigrationRules | None:
    """What migration is judged by, in a lab that tests it."""
    file = data_file(document, "migration", problems) if lab.migration else None
    if file is None:
        return None
    from harness.config.migration import read_migration

    return read_migration(file, dmcs, problems)


def _benches(document: Document, rigs: Mapping[str, RigFile], problems: Problems) -> Mapping[str, ReadBench]:
    """The benches by rig; the models of a bench take longer to make than a lab without one to read."""
    if not any(rig.bench for rig in rigs.values()):
        return {}
    from harness.config.bench import read_benches

    return read_benches(document, rigs, problems)


def _lab_document(path: Path, problems: Problems) -> Document:
    document = read_document(path, problems)
    if document is not None and isinstance(document.content, Mapping):
        return document
    if document is not None:
        problems.add(path, 1, "found no keys", "begin with name:, as lab_config/simulated.yaml does")
    raise FileProblems(problems.found)


def _collection(
    word: str, model: type[M], lab: Document, key: str, problems: Problems
) -> checks.Collection[M]:
    """The items of a data file."""
    file = data_file(lab, key, problems)
    document = read_document(file, problems) if file else None
    return _placed(word, model, document, (), problems) if document else checks.Collection(word, None, {})


def _placed(
    word: str, model: type[M], document: Document, start: Place, problems: Problems
) -> checks.Collection[M]:
    return checks.Collection(word, document, _each(model, document, start, problems), start)


def _each(model: type[M], document: Document, place: Place, problems: Problems) -> dict[str, M]:
    """Every item of a mapping validated by itself, so that one bad item does not hide the others."""
    content = document.at(*place)
    if not isinstance(content, Mapping):
        if not place:
            problems.add(document.path, 1, "found no keys", "write items below their ids")
        return {}
    items = ((str(key), validate(model, document, (*place, key), problems)) for key in content)
    return {key: item for key, item in items if item is not None}


def _state(files: LabFiles, state: Path | None) -> Path:
    if state is not None:
        return state.resolve()
    base = os.environ.get(STATE_VARIABLE)
    folder = Path(base) if base else files.document.path.parent / ".state"
    return folder.resolve() / files.lab.name


@dataclass(frozen=True, slots=True)
class _Building:
    """Makes the domain's values from files that have been checked."""

    files: LabFiles
    state: Path
    models: dict[str, DeviceModel] = field(default_factory=dict)
    dmcs: dict[str, DeviceModelCombination] = field(default_factory=dict)

    def lab(self) -> Lab:
        files, lab, path = self.files, self.files.lab, self.files.document.path
        self.models.update({id_: DeviceModel(id=id_, **dict(item)) for id_, item in files.models.items()})
        self.dmcs.update({id_: self.dmc(id_, item) for id_, item in files.dmcs.items()})
        environment = files.environments[lab.environment]
        critical = lab.dcc.critical_command_variant
        return Lab(
            name=lab.name,
            file=path,
            state=self.state,
            seed=lab.seed,
            environment=Environment(id=lab.environment, **dict(environment)),
            dmcs=tuple(self.dmcs.values()),
            epcl=tuple(self.entry(id_, item) for id_, item in files.epcl.items()),
            rigs=tuple(self.rig(id_, item) for id_, item in files.rigs.items()),
            dcc=_dcc(lab.dcc, path.parent),
            catalogue={
                srv: self.service(replace(request, command_variant=critical) if request.critical else request)
                for srv, request in files.catalogue.items()
            },
            unknown_services=lab.unknown_services,
            ttm=named(files.document, "ttm"),
            packs=named(files.document, "packs"),
            agreed_packs=named(files.document, "agreed_packs"),
            migration=files.migration,
            plugins=tuple(lab.plugins),
            evidence_key=lab.evidence.key if lab.evidence else "",
            database=lab.database or "",
        )

    def service(self, request: ServiceRequest) -> ServiceRequest:
        """The request as this lab has it: for devices marked ``?`` too, where the lab turns these on."""
        if not self.files.lab.unknown_services:
            return request
        return replace(request, device_types=request.device_types | request.unknown_for)

    def dmc(self, id_: str, item: DmcFile) -> DeviceModelCombination:
        models = {device_type: self.models[model] for device_type, model in item.models.items()}
        return DeviceModelCombination(id=id_, release=item.release, models=models, smso=item.smso)

    def entry(self, id_: str, item: EpclFile) -> EpclEntry:
        return EpclEntry(id=id_, **{**dict(item), "dmc": self.dmcs[item.dmc]})

    def rig(self, id_: str, item: RigFile) -> Rig:
        dmc = self.dmcs[item.dmc]
        bench = self.files.benches.get(id_)
        return Rig(
            id=id_,
            dmc=dmc,
            devices={type_: self.device(dmc, type_, each) for type_, each in item.devices.items()},
            mpan=item.mpan or "",
            mprn=item.mprn or "",
            export_mpan=item.export_mpan or "",
            simulation=_simulation(item),
            bench=bench.parameters if bench else item.bench,
            modbus=bench.modbus if bench else None,
            controller=Controller(**dict(item.controller)) if item.controller else None,
            captures={name: CaptureLine(**dict(line)) for name, line in item.captures.items()},
            place=item.place,
        )

    def device(self, dmc: DeviceModelCombination, type_: Any, item: RigDeviceFile) -> RigDevice:
        return RigDevice(
            type=type_,
            device_id=item.device_id,
            model=self.models[item.model] if item.model else dmc.models[type_],
            serial_number=item.serial_number,
            door=_door(item.door),
            security=_security(item.security),
        )


def _door(item: DoorFile | None) -> Door | None:
    if item is None:
        return None
    optical = OpticalPort(**dict(item.optical)) if item.optical else None
    hdlc = Hdlc(**dict(item.hdlc)) if item.hdlc else None
    return Door(**{**dict(item), "optical": optical, "hdlc": hdlc})


def _security(item: SecurityFile | None) -> DlmsSecurity:
    return DlmsSecurity(**{name: value for name, value in dict(item or {}).items() if value is not None})


def _simulation(item: RigFile) -> Simulation | None:
    if item.simulation is None:
        return None
    return Simulation(**{**dict(item.simulation), "starts": item.simulation.starts.astimezone(UTC)})


def _dcc(item: DccFile, folder: Path) -> DccLink:
    users = tuple(
        ServiceUserIdentity(role=role, eui=user.eui, key=user.key or "", certificate=user.certificate or "")
        for role, user in item.users.items()
    )
    schemas = (folder / item.schemas.folder).resolve() if item.schemas else None
    tls = {name: value for name, value in dict(item.tls or {}).items() if value}
    return DccLink(
        **{
            **dict(item),
            "users": users,
            "schemas": schemas if schemas and schemas.is_dir() else None,
            "tls": tls,
        }
    )
