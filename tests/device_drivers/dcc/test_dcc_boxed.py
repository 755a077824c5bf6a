"""The same user simulator, pointed by configuration at a gateway that speaks as DCC Boxed does.

That is: plain HTTP, three paths, unsigned refusals, GBCS payloads, and responses in its own time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from device_drivers.dcc.compose import write_response
from device_drivers.dcc.duis import RequestMessage
from device_drivers.dcc.http import HttpServer
from device_drivers.dcc.pki import KeyPair, SimulatedPki
from device_drivers.dcc.services import start_lab
from device_drivers.dcc.signature import Ring, Signer
from device_drivers.dcc.tree import parse
from device_drivers.dcc.user import RigUser
from device_drivers.simulated.clock import VirtualClock
from harness.domain.errors import DeviceTimeout
from harness.domain.lab import Lab
from harness.hooks import RunContext

NOW = datetime(2025, 3, 3, 8, tzinfo=UTC)
PAYLOAD = "3QAAAAAAAFURAAAAAN8JAgAAAYKse1oHCIhzhFcAL5YeCJCz1R8wAAACABIAWZCz1R8wAQAAAAAB"


class Silent:
    def event(self, source: str, what: str, **detail: Any) -> None:
        pass

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        pass


@dataclass
class Boxed:
    """Acknowledges on serviceS and responds when told; answers on serviceD; refuses SRV 11.2 with E65."""

    key: KeyPair
    ring: Ring
    receive: str = ""
    paths: list[str] = field(default_factory=list)
    due: list[RequestMessage] = field(default_factory=list)

    def write(self, request: RequestMessage, code: str, **content: Any) -> bytes:
        about = {"ServiceReference": request.service_reference, "ServiceReferenceVariant": request.srv}
        return write_response(request.request_id, code, NOW, about | content, "5.4", response_id=code == "I0")

    def handle(self, path: str, xml: bytes) -> bytes:
        root = parse(xml)
        self.ring.verify(root)
        request = RequestMessage.read(root)
        self.paths.append(path)
        if request.srv == "11.2":
            return self.write(request, "E65")
        if path == "serviceD":
            device = {"DeviceID": "00-DB-12-34-56-78-90-A2", "DeviceType": "CHF", "DeviceManufacturer": "m"}
            inventory = {"DSPInventory": {"Device": device | {"DeviceModel": "n"}}}
            return self.sign(self.write(request, "I0", **inventory))
        self.due.append(request)
        return self.sign(self.write(request, "I99"))

    def sign(self, xml: bytes) -> bytes:
        return Signer(self.key.key, self.key.certificate).sign(xml)

    def respond(self) -> None:
        for request in self.due:
            xml = self.sign(self.write(request, "I0", GBCSPayload=PAYLOAD))
            answer = httpx.post(self.receive, content=xml, headers={"Content-Type": "application/xml"})
            assert answer.status_code == 204
        self.due.clear()

    async def serve(self, request: Request) -> Response:
        path = request.path_params["service"]
        answer = await run_in_threadpool(self.handle, path, await request.body())
        return Response(answer, media_type="application/xml")


@dataclass
class Outside:
    boxed: Boxed
    user: RigUser
    clock: VirtualClock
    esme: str


@pytest.fixture
def outside(dcc_lab: Lab, tmp_path: Path) -> Iterator[Outside]:
    pki = SimulatedPki(tmp_path / "keys")
    user, acb = pki.user("IS", dcc_lab.dcc.users[0].eui), pki.dcc(dcc_lab.dcc.dcc_eui)
    for name, content in {"is.key": user.key, "is.pem": user.certificate, "acb.pem": acb.certificate}.items():
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    boxed = Boxed(acb, Ring({"IS": user.certificate}))
    server = HttpServer(Starlette(routes=[Route("/api/v1/{service}", boxed.serve, methods=["POST"])]))
    link = replace(
        dcc_lab.dcc,
        gateway=f"http://127.0.0.1:{server.port}",
        users=(replace(dcc_lab.dcc.users[0], key="file:is.key", certificate="file:is.pem"),),
        trust={"acb": "file:acb.pem"},
    )
    lab = replace(dcc_lab, file=tmp_path / "lab.yaml", dcc=link)
    services = start_lab(lab, RunContext("r1", tmp_path / "run", 1))
    boxed.receive = services.link.receive_url
    clock = VirtualClock(NOW)
    rig_user = RigUser(lab, lab.rigs[0], services.addresses, clock, Silent())
    yield Outside(boxed, rig_user, clock, lab.rigs[0].devices["ESME"].device_id)
    rig_user.close()
    services.close()
    server.close()


def test_a_device_request_goes_to_send_command_and_its_response_comes_back(outside: Outside) -> None:
    outside.clock.on_settle(outside.boxed.respond)
    response = outside.user.request("4.1.1", outside.esme)
    assert outside.boxed.paths == ["serviceS"]
    assert (response.acknowledgement, response.code, response.problems) == ("I99", "I0", ())
    assert response.payload.text("GBCSPayload") == PAYLOAD


def test_a_request_for_the_dcc_goes_to_the_non_device_service(outside: Outside) -> None:
    response = outside.user.request("8.2", outside.esme, {"DeviceID": outside.esme})
    assert outside.boxed.paths == ["serviceD"]
    assert (response.code, response.success) == ("I0", True)


def test_an_unsigned_refusal_is_believed(outside: Outside) -> None:
    response = outside.user.request("11.2", outside.esme)
    assert (response.code, response.success, response.problems) == ("E65", False, ())


def test_a_response_that_comes_too_late_is_kept(outside: Outside) -> None:
    with pytest.raises(DeviceTimeout):
        outside.user.request("4.1.1", outside.esme)
    outside.boxed.respond()
    (stray,) = outside.user.strays()
    assert "came after its test had stopped waiting" in stray
