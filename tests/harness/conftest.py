"""A fabricated run: a small lab, a plan of three packs, and journals and evidence as workers leave them."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random

import pytest

from harness.domain.lab import (
    DccLink,
    DeviceModel,
    DeviceModelCombination,
    Environment,
    EpclEntry,
    Lab,
    Rig,
    RigDevice,
    ServiceRequest,
    Simulation,
)
from harness.domain.words import (
    AttemptResult,
    CapabilityRelease,
    Cause,
    DeviceType,
    InstallationType,
    PackKind,
    TestPhase,
    UserRole,
)
from harness.records.evidence import AttemptEvidence, evidence_folder
from harness.records.journal import Journal
from harness.records.plan import Plan, PlannedPack, PlannedRig, PlannedTest

ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH
BOTH, ELECTRIC, GAS = (ESME, GSME), (ESME,), (GSME,)
START = datetime(2026, 1, 15, 6, tzinfo=UTC)

SUBJECTS: tuple[tuple[str, str, str, tuple[DeviceType, ...]], ...] = (
    ("Tariff and price", "1.1.1", "Update Import Tariff (Primary Element)", BOTH),
    ("Tariff and price", "1.2.1", "Update Price (Primary Element)", BOTH),
    ("Payment mode", "1.6", "Update Payment Mode", BOTH),
    ("Prepayment", "2.1", "Update Prepay Configuration", BOTH),
    ("Prepayment", "2.2", "Top Up Device", BOTH),
    ("Prepayment", "2.3", "Update Debt", BOTH),
    ("Prepayment", "2.5", "Activate Emergency Credit", BOTH),
    ("Customer messages", "3.1", "Display Message", BOTH),
    ("Readings", "4.1.1", "Read Instantaneous Import Registers", BOTH),
    ("Readings", "4.2", "Read Instantaneous Export Registers", ELECTRIC),
    ("Readings", "4.3", "Read Instantaneous Prepay Values", BOTH),
    ("Readings", "4.6.1", "Retrieve Import Daily Read Log", BOTH),
    ("Readings", "4.8.1", "Read Active Import Profile Data", BOTH),
    ("Readings", "4.8.2", "Read Reactive Import Profile Data", ELECTRIC),
    ("Readings", "4.10", "Read Network Data", BOTH),
    ("Device settings", "6.2.1", "Read Device Configuration (Voltage)", ELECTRIC),
    ("Device settings", "6.11", "Synchronise Clock", BOTH),
    ("Device settings", "6.13", "Read Event Or Security Log", BOTH),
    ("Supply", "7.1", "Enable Supply", ELECTRIC),
    ("Supply", "7.2", "Disable Supply", BOTH),
    ("Supply", "7.3", "Arm Supply", BOTH),
    ("Supply", "7.4", "Read Supply Status", BOTH),
    ("Inventory", "8.2", "Read Inventory", BOTH),
    ("Firmware", "11.2", "Read Firmware Version", BOTH),
)


def _model(id_: str, type_: DeviceType, firmware: str) -> DeviceModel:
    name = id_.split("-")[0].title()
    return DeviceModel(
        id=id_, type=type_, manufacturer=name, model=id_.upper(), hardware="2", firmware=firmware
    )


def _dmc(id_: str, release: CapabilityRelease, maker: str, *, gas: bool = True) -> DeviceModelCombination:
    models = {ESME: _model(f"{maker}-e", ESME, "4.02.11"), CH: _model(f"{maker}-h", CH, "1.8.0")}
    if gas:
        models[GSME] = _model(f"{maker}-g", GSME, "2.17")
    return DeviceModelCombination(id=id_, release=release, models=models, smso=f"{maker.title()} Metering")


def _rig(id_: str, dmc: DeviceModelCombination, number: int) -> Rig:
    devices = {
        type_: RigDevice(type=type_, device_id=f"00-DB-12-34-56-78-{number:02X}-{at:02X}", model=model)
        for at, (type_, model) in enumerate(dmc.models.items())
    }
    return Rig(id=id_, dmc=dmc, devices=devices, mpan=f"12{number:011}", simulation=Simulation(starts=START))


def make_lab(folder: Path) -> Lab:
    """A lab of six rigs over four DMCs, with five EPCL entries and a matrix of one row an SRV and device."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lab.yaml").write_text("name: fabricated\n")
    rows = ["id,requirement,source,clause,srv,scenario,functional_group,device_types,releases,evidence"]
    rows += [
        f'{ttm_id(srv, type_)},"{name} works on {type_}",SRV {srv},,{srv},success,{group},{type_},'
        "IOC MOC FOC,inferred"
        for group, srv, name, types in SUBJECTS
        for type_ in types
    ]
    rows.append("FAB-ALERT-ESME,Power outage alert reaches the user,SEC,,,alert,Alerts,ESME,FOC,unknown")
    (folder / "ttm.csv").write_text("\n".join(rows) + "\n")
    alder = _dmc("ioc-alderwick", CapabilityRelease.IOC, "alderwick")
    birch = _dmc("moc-birchfell", CapabilityRelease.MOC, "birchfell")
    cedar = _dmc("foc-cedarholt", CapabilityRelease.FOC, "cedarholt")
    electric = _dmc("foc-cedarholt-electric", CapabilityRelease.FOC, "cedarholt", gas=False)
    entries = (
        (alder, InstallationType.ACTIVE, "Skylark Mobile"),
        (alder, InstallationType.DORMANT, "Skylark Mobile"),
        (birch, InstallationType.MIXED, "Fieldfare Cellular"),
        (cedar, InstallationType.DORMANT, "Skylark Mobile"),
        (electric, InstallationType.ACTIVE, "Skylark Mobile"),
    )
    return Lab(
        name="fabricated",
        file=folder / "lab.yaml",
        state=folder / "state",
        seed=7,
        environment=Environment(
            id="sit-b",
            dcc_systems={"DSP": "5.4", "S1SP": "3.12", "DCO": "2.7"},
            matches_production=False,
            tag_agreement="TAG 41/7",
        ),
        dmcs=(alder, birch, cedar, electric),
        epcl=tuple(
            EpclEntry(
                id=f"{dmc.id}-{kind}",
                dmc=dmc,
                communications_provider=provider,
                installation_type=kind,
                first_added=date(2025, 2, 3) if kind is InstallationType.ACTIVE else None,
            )
            for dmc, kind, provider in entries
        ),
        rigs=tuple(
            _rig(f"{dmc.id.split('-')[1]}-{number}", dmc, number)
            for number, dmc in enumerate((alder, alder, birch, cedar, cedar, electric), start=1)
        ),
        dcc=DccLink(gateway="simulated", receive="127.0.0.1:0"),
        catalogue={
            srv: ServiceRequest(
                srv=srv,
                name=name,
                service_reference=".".join(srv.split(".")[:2]),
                body_element=name.title().replace(" ", ""),
                critical=group == "Supply",
                command_variant=1,
                non_device=srv == "8.2",
                roles=(UserRole.IS, UserRole.GS),
                device_types=frozenset(types),
                unknown_for=frozenset(),
                evidence="fabricated",
            )
            for group, srv, name, types in SUBJECTS
        },
        ttm=folder / "ttm.csv",
        packs=folder,
    )


def ttm_id(srv: str, type_: DeviceType) -> str:
    return f"FAB-{srv}-{type_}"


def make_plan(lab: Lab, run_id: str = "20260115T060000Z-7") -> Plan:
    """The standard packs on every EPCL entry: a success for each SRV and device, one refusal a group."""
    packs = tuple(
        PlannedPack(
            name=f"standard-srvt-{release.lower()}",
            version="1.0",
            digest=f"{index:064x}",
            kind=PackKind.SRV,
            capability_release=release,
            test_phase=TestPhase.DMCT_SRVT,
        )
        for index, release in enumerate(CapabilityRelease, start=0xABCDEF)
    )
    tests = [
        test for pack in packs for entry in lab.epcl if entry.dmc.release is pack.capability_release
        for test in _planned(pack, entry)
    ]  # fmt: skip
    return Plan.of_lab(
        lab,
        run_id=run_id,
        created=START,
        seed=7,
        test_phase=TestPhase.DMCT_SRVT,
        packs=packs,
        tests=tests,
        cycle="2",
    )


def _planned(pack: PlannedPack, entry: EpclEntry) -> Iterator[PlannedTest]:
    refused: set[str] = set()
    for group, srv, name, types in SUBJECTS:
        for type_ in types:
            if not entry.dmc.has(type_):
                continue
            kinds = ["works"] if group in refused else ["works", "is_refused_from_a_wrong_role"]
            refused.add(group)
            for kind in kinds:
                function = f"test_{name.lower().replace(' ', '_').replace('(', '').replace(')', '')}_{kind}"
                module = group.lower().replace(" ", "_")
                case = f"{pack.name},{entry.id},{type_}"
                yield PlannedTest(
                    id=f"{function}[{case}]",
                    node_id=f"test_packs/{module}/test_{module}.py::{function}[{case}]",
                    pack=pack.name,
                    title=f"{name}: {kind.replace('_', ' ')}",
                    full_name=f"test_packs.{module}.test_{module}#{function}",
                    srvs=("7.2", "7.4") if srv == "7.2" else (srv,),  # disable, then read the state
                    ttm=(ttm_id(srv, type_),),
                    functional_group=group,
                    device_type=type_,
                    entry=entry.id,
                    dmc=entry.dmc.id,
                    installation_type=entry.installation_type,
                    release=pack.capability_release,
                    test_phase=pack.test_phase,
                )


@dataclass
class Worker:
    """A worker process as its journal and evidence show it."""

    folder: Path
    journal: Journal
    rig: Rig
    numbers: dict[str, int]
    random: Random
    lab_time: datetime = START
    open: list[str] = field(default_factory=list)

    def attempt(
        self, test: PlannedTest, result: AttemptResult = AttemptResult.PASSED, *, rich: bool = True
    ) -> None:
        """One whole attempt, or for ``interrupted`` one that goes no further than its evidence."""
        number = self.numbers[test.id] = self.numbers.get(test.id, 0) + 1
        attempt = f"{test.id}#{number}"
        self.journal.write(
            "attempt_started",
            attempt=attempt,
            test=test.id,
            number=number,
            rig=self.rig.id,
            worker=self.journal.process,
        )
        evidence = AttemptEvidence(evidence_folder(self.folder, test.id, number), clock=lambda: self.lab_time)
        began, message = self.lab_time, ""
        try:
            if rich:
                self._work(evidence, test, result)
        except AssertionError as error:
            message = str(error)
        evidence.close()
        if result is AttemptResult.INTERRUPTED:
            return
        if result is AttemptResult.BLOCKED:
            message = f"{self.rig.id}: port /dev/ttyUSB0 went away (check cable, probe and power)"
        results = {"setup": "passed", "call": "failed" if message else "passed", "teardown": "passed"}
        self.journal.write(
            "attempt_finished",
            attempt=attempt,
            test=test.id,
            result=result,
            cause={AttemptResult.FAILED: Cause.DEVICE, AttemptResult.BLOCKED: Cause.LAB}.get(result),
            message=message or ("assertion failed" if result is AttemptResult.FAILED else ""),
            trace=f'test_packs/readings.py:41: in {test.id}\n    evidence.expect("…")\n' if message else "",
            seconds=0.75,
            lab_started=began,
            lab_ended=self.lab_time,
            phases=[{"name": name, "result": each, "seconds": 0.25} for name, each in results.items()],
            devices=PlannedRig.of(self.rig).devices,
            evidence=evidence.files(),
        )

    def _work(self, evidence: AttemptEvidence, test: PlannedTest, result: AttemptResult) -> None:
        device = self.rig.devices[test.device_type]
        read = 1_204_377 + self.random.randrange(1000)
        evidence.event("bench", "load set", active_watts=2300, reactive_var=0)
        for direction, size in (("sent", 37), ("received", 64)):
            apdu = self.random.randbytes(size)
            evidence.message(test.device_type, f"GET {direction}", apdu, "application/x-dlms-apdu")
        evidence.note("read the meter before the request", {"active_import": Decimal(read), "unit": "Wh"})
        request = duis(self.random, test.srvs[0], device.device_id, f"<sr:{test.srvs[0]}/>")
        evidence.message("DCC", f"{test.srvs[0]} request", request, "application/xml")
        if result is AttemptResult.INTERRUPTED:
            return
        self.lab_time += timedelta(seconds=4)
        answer = duis(self.random, test.srvs[0], device.device_id, f"<ra:Value>{read}</ra:Value>" * 12)
        evidence.message("DCC", f"{test.srvs[0]} response", answer, "application/xml")
        evidence.expect("response code", found="I0", expected="I0")
        evidence.expect_between("active import, Wh", found=read + 1, low=read, high=read + 2)
        if test.srvs == ("4.8.1",):
            rows = "".join(f"2026-01-{d:02}T{h:02}:00Z,{d * h}\n" for d in range(1, 29) for h in range(24))
            evidence.attach("profile.csv", "timestamp,Wh\n" + rows, "text/csv")
        found = read + 40 if result is AttemptResult.FAILED else read
        evidence.expect("the meter holds what the response said", found=found, expected=read)


def duis(random: Random, srv: str, device_id: str, body: str) -> bytes:
    """Something that has the look and the size of a signed DUIS message."""
    signature, certificate = (base64.b64encode(random.randbytes(size)).decode() for size in (70, 420))
    return (
        '<?xml version="1.0" encoding="UTF-8"?><sr:Request schemaVersion="5.4" '
        'xmlns:sr="http://www.dccinterface.co.uk/ServiceUserGateway"><sr:Header><sr:RequestID>'
        f"90-B3-D5-1F-30-01-00-00:{device_id}:{random.randrange(10**12)}</sr:RequestID><sr:CommandVariant>1"
        f"</sr:CommandVariant><sr:ServiceReferenceVariant>{srv}</sr:ServiceReferenceVariant></sr:Header>"
        f'<sr:Body>{body}</sr:Body><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f"<ds:SignatureValue>{signature}</ds:SignatureValue><ds:X509Certificate>{certificate}"
        "</ds:X509Certificate></ds:Signature></sr:Request>"
    ).encode()


def _play(
    at: int, test: PlannedTest, first: Worker, other: Worker, controller: Journal, *, rich: bool
) -> None:
    """What happens to the test at this place of the plan: mostly, it passes."""
    for worker, result in STORIES.get(at % 46, ((0, AttemptResult.PASSED),)):
        (first, other)[worker].attempt(test, result, rich=rich)
    match at % 46:
        case 17:
            controller.write("not_run", test=test.id, reason=f"{first.rig.id} was quarantined")
        case 19:
            controller.write("descoped", test=test.id, approval="Secretary of State letter 12/2025")


STORIES: dict[int, tuple[tuple[int, AttemptResult], ...]] = {
    2: ((0, AttemptResult.FAILED),),
    7: ((0, AttemptResult.INTERRUPTED), (1, AttemptResult.PASSED)),
    11: ((0, AttemptResult.BLOCKED), (1, AttemptResult.PASSED)),
    13: ((0, AttemptResult.INTERRUPTED),),
    17: (),  # a reason is given
    19: ((0, AttemptResult.FAILED),),  # and de-scoped
    21: ((0, AttemptResult.FAILED), (0, AttemptResult.PASSED)),
    30: ((0, AttemptResult.BLOCKED), (1, AttemptResult.BLOCKED)),
    37: (),  # the run ended before it
}
"""What happens to every 46th test, by its place: (which of two workers, with what result)."""


def fabricate(root: Path, *, every: int = 1, rich: bool = True) -> tuple[Path, Lab]:
    """A finished run folder with something of everything, and its lab; ``every`` thins the plan out."""
    lab = make_lab(root / "lab")
    whole = make_plan(lab)
    kept = whole.tests[::every]
    plan = Plan.of_lab(
        lab, run_id=whole.run_id, created=START, seed=7, test_phase=whole.test_phase, packs=whole.packs,
        tests=kept, faults=("esme-import-stuck",), cycle="2",
    )  # fmt: skip
    return _recorded(root, lab, plan, partial(_play, rich=rich)), lab


def fabricate_many(root: Path, results: int, *, rich: bool = True) -> tuple[Path, Lab]:
    """A finished run folder with so many planned tests, which all passed once, and its lab."""
    lab = make_lab(root / "lab")
    whole = make_plan(lab)
    tests = [
        replace(test, id=f"{test.id[:-1]},{round_}]", node_id=f"{test.node_id[:-1]},{round_}]")
        for round_ in range(results // len(whole.tests) + 1)
        for test in whole.tests
    ]
    plan = replace(whole, tests=tuple(tests[:results]))

    def passes(at: int, test: PlannedTest, first: Worker, other: Worker, controller: Journal) -> None:
        first.attempt(test, rich=rich)

    return _recorded(root, lab, plan, passes), lab


def _recorded(
    root: Path, lab: Lab, plan: Plan, play: Callable[[int, PlannedTest, Worker, Worker, Journal], None]
) -> Path:
    """The folder of a run in which that happened to each of its tests, by their places in the plan."""
    folder = root / "runs" / plan.run_id
    plan.write(folder)
    random, numbers = Random(7), dict[str, int]()

    def journal(process: str) -> Journal:
        return Journal.begin(folder, run_id=plan.run_id, plan_digest=plan.digest, process=process)

    controller = journal("controller")
    workers = {
        rig.id: Worker(folder, journal(f"gw{index}"), rig, numbers, random)
        for index, rig in enumerate(lab.rigs)
    }
    for at, test in enumerate(plan.tests):
        rigs = lab.rigs_of(test.dmc)
        first, other = (workers[rigs[(at + next_) % len(rigs)].id] for next_ in (0, 1))
        play(at, test, first, other, controller)
    for worker in workers.values():
        worker.journal.write("run_ended", reason="no more tests")
        worker.journal.close()
    controller.write("run_ended", reason="all planned tests are accounted for")
    controller.close()
    return folder


@pytest.fixture(scope="session")
def fabricated_pattern(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lab]:
    return fabricate(tmp_path_factory.mktemp("pattern"), every=5)


@pytest.fixture
def fabricated(fabricated_pattern: tuple[Path, Lab], tmp_path: Path) -> tuple[Path, Lab]:
    """A small run folder that a test may spoil, and its lab."""
    pattern, lab = fabricated_pattern
    return Path(shutil.copytree(pattern, tmp_path / "runs" / pattern.name)), lab


@pytest.fixture(scope="session")
def fabricated_whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lab]:
    """The run of three packs, for tests that leave it as it is."""
    return fabricate(tmp_path_factory.mktemp("fabricated"))


@pytest.fixture
def fabricated_lab(tmp_path: Path) -> Lab:
    return make_lab(tmp_path / "lab")


@pytest.fixture
def fabricated_plan(fabricated_lab: Lab) -> Plan:
    return make_plan(fabricated_lab)
