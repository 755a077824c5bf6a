"""A rig of twins behind a hub, and an S1SP that reaches it over a real WAN connection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc import duis, tree
from device_drivers.dcc.compose import write_request
from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.pki import stranger
from device_drivers.dcc.schemas import Schemas, schemas
from device_drivers.dcc.signature import Signer
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.server import DlmsServer
from device_drivers.simulated.cosem import TwinModel
from device_drivers.simulated.gateway.delivery import Signers, Writer
from device_drivers.simulated.keys import S1SP, key_ring, server_title
from device_drivers.simulated.meters.gsme import GsmeTwin
from device_drivers.simulated.rig import Twins, build_twins
from device_drivers.simulated.s1sp.answer import CountersignedRequest, Smets1Answer
from device_drivers.simulated.s1sp.s1sp import S1sp
from device_drivers.simulated.twin import Twin
from device_drivers.simulated.wan.head import WanHead
from device_drivers.simulated.wan.hub import HubWan
from harness.config import load_lab
from harness.domain.faults import Fault, Interceptions, Place
from harness.domain.instruments import Body
from harness.domain.lab import Lab, Rig
from harness.domain.payload import Payload
from harness.domain.words import DeviceType, UserRole

REPO = Path(__file__).parents[4]
SCHEMAS = REPO.parent / "shared" / "spec" / "schemas"
ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH


@dataclass
class Bed:
    """The rig's twins and the S1SP; ``ask`` holds every request and answer against the schemas."""

    lab: Lab
    twins: Twins
    head: WanHead
    wan: HubWan
    s1sp: S1sp
    writer: Writer
    schemas: Schemas | None
    counters: Iterator[int]

    def twin(self, device_type: DeviceType) -> Twin:
        return {ESME: self.twins.esme, GSME: self.twins.gsme, CH: self.twins.hub}[device_type]

    def user(self, role: UserRole) -> str:
        """The EUI-64 of the lab's user in that role."""
        return next(user.eui for user in self.lab.dcc.users if user.role is role)

    def originator(self, srv: str, device_type: DeviceType) -> str:
        """The user whose matter such a request to such a device is."""
        strange = {ESME: {UserRole.GS, UserRole.GT}, GSME: {UserRole.IS, UserRole.ES, UserRole.ED}}
        roles = self.lab.catalogue[srv].roles
        fitting = [role for role in roles if role not in strange.get(device_type, set())]
        return self.user(fitting[0] if fitting else roles[0])

    def request(
        self, srv: str, device_type: DeviceType, body: Body = None, **changes: Any
    ) -> CountersignedRequest:
        """The request as the gateway would hand it over; ``changes`` overrule its fields."""
        content = tree.body_element(self.lab.catalogue[srv].body_element, body)
        request = CountersignedRequest(
            request_id="",
            originator=self.originator(srv, device_type),
            target=self.twin(device_type).device_id,
            counter=next(self.counters),
            srv=srv,
            body_element=self.lab.catalogue[srv].body_element,
            body=Payload(tree.tree(content)),
        )
        request = replace(request, **changes)
        message = self.message(request)
        xml = self._valid(self.signer_of(request.originator).sign(write_request(message, content, "5.4")))
        return replace(request, request_id=str(message.request_id), xml=self.writer.countersigned(xml))

    def message(self, request: CountersignedRequest) -> duis.RequestMessage:
        """The request as the gateway reads it."""
        known = self.lab.catalogue[request.srv]
        return duis.RequestMessage(
            request_id=duis.RequestId(request.originator, request.target, request.counter),
            command_variant=known.command_variant,
            service_reference=known.service_reference,
            srv=request.srv,
            body_element=request.body_element,
            body=request.body,
        )

    def signer_of(self, eui: str) -> Signer:
        """Signs as the lab's user of that EUI-64 would; a stranger has a key that nobody knows."""
        pki = simulated_pki(self.lab)
        known = [pki.user(user.role, user.eui) for user in self.lab.dcc.users if user.eui == eui]
        pair = known[0] if known else stranger(eui)
        return Signer(pair.key, pair.certificate)

    def ask(self, srv: str, device_type: DeviceType, body: Body = None, **changes: Any) -> Smets1Answer:
        """Whatever the S1SP answers."""
        request = self.request(srv, device_type, body, **changes)
        answer = self.s1sp.perform(request)
        self._valid(self.writer.response(self.message(request), answer, datetime.now(UTC)))
        return answer

    def done(self, srv: str, device_type: DeviceType, body: Body = None, **changes: Any) -> Payload:
        """The content of a successful answer."""
        answer = self.ask(srv, device_type, body, **changes)
        assert answer.success, answer.debug
        return Payload(tree.tree(tree.element(tree.RA, answer.response_element, answer.data)))

    def refused(self, srv: str, device_type: DeviceType, body: Body = None, **changes: Any) -> str:
        """Why a request fails; the device is the same before and after."""
        before = self.settings(device_type)
        answer = self.ask(srv, device_type, body, **changes)
        assert not answer.success
        assert answer.data is None
        assert self.settings(device_type) == before
        return answer.debug[0][1]

    def settings(self, device_type: DeviceType) -> dict[str, Any]:
        """Settings and states of a device."""
        twin = self.twin(device_type)
        return {
            name: twin.get(name)
            for name, item in twin.table.items.items()
            if item.kind in ("setting", "state") and name != "han_devices"
        }

    def _valid(self, xml: bytes) -> bytes:
        """The message, once the schemas have found nothing against it."""
        if self.schemas is not None:
            assert self.schemas.problems(tree.parse(xml)) == (), xml.decode()
        return xml


@pytest.fixture(scope="session")
def simulated_lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path_factory.mktemp("state"))
    return replace(lab, rigs=(_briefly(lab.rigs[0]),))


@pytest.fixture(scope="session")
def writer(simulated_lab: Lab) -> Writer:
    pki = simulated_pki(simulated_lab)
    dcc, s1sp = pki.dcc(simulated_lab.dcc.dcc_eui), pki.s1sp()
    return Writer(
        Signers(Signer(dcc.key, dcc.certificate), Signer(s1sp.key, s1sp.certificate)), simulated_lab.dcc
    )


@pytest.fixture
def faults() -> tuple[Fault, ...]:
    """Faults of the S1SP; a test module overrides it."""
    return ()


@pytest.fixture
def bed(simulated_lab: Lab, writer: Writer, faults: tuple[Fault, ...]) -> Iterator[Bed]:
    head = WanHead()
    s1sp = S1sp(simulated_lab, head, Interceptions(Place.S1SP, 7, faults), MemoryCounters())
    twins = build_twins(simulated_lab.rigs[0], seed=7)
    for twin in twins.all():
        _behind_the_hub(twin, twins, simulated_lab)
    wan = twins.hub.connect(head.address)
    held = schemas(SCHEMAS) if SCHEMAS.is_dir() else None
    yield Bed(simulated_lab, twins, head, wan, s1sp, writer, held, count(1000))
    wan.close()
    head.close()


def _briefly(rig: Rig) -> Rig:
    assert rig.simulation is not None
    return replace(rig, simulation=replace(rig.simulation, history_days=40))


def _behind_the_hub(twin: Twin, twins: Twins, lab: Lab) -> None:
    keys = key_ring(lab).associations(twin.device_id, S1SP)
    server = DlmsServer(TwinModel(twin), keys, server_title(twin.device_id), MemoryCounters())
    if twin is twins.hub:
        twins.hub.serve(server)
    elif isinstance(twin, GsmeTwin):
        twins.hub.attach_gas(twin, server)
    else:
        twins.hub.attach(twin, server)
