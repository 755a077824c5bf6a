"""``harness simulate``: a lab that stands for other tools, talked to with nothing but what it prints."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from device_drivers.dcc.compose import write_request
from device_drivers.dcc.duis import RequestId, RequestMessage
from device_drivers.dcc.http import HttpClient, HttpServer
from device_drivers.dcc.pki import client_context, server_context
from device_drivers.dcc.signature import Signer
from device_drivers.dcc.tree import SR
from device_drivers.dlms.client import DlmsClient, WrapperChannel
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.refs import AttributeRef
from device_drivers.dlms.security import Credentials
from device_drivers.dlms.times import decode_date_time
from device_drivers.transports.tcp import open_tcp
from harness.domain.payload import Payload
from tests.harness.rigs.room import holder_of, no_check, somebody, status_of

REPO = Path(__file__).parents[2]
LAB = REPO / "lab_config" / "simulated.yaml"
RIGS = 7  # of the shipped lab
CLOCK = AttributeRef(8, "0-0:1.0.0", 2)
IMPORT = AttributeRef(3, "1-0:1.8.0", 2)


def free_base_port() -> int:
    """A port with enough free ones above it for the whole lab."""
    for base in range(21000, 32000, 100):
        wanted = (base, base + 1, base + 2, base + 10 * RIGS, base + 10 * RIGS + 1)
        if all(is_free(port) for port in wanted):
            return base
    raise AssertionError("no free ports")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def soon(look: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
    return found


@dataclass
class Standing:
    process: subprocess.Popen[str]
    listing: dict[str, Any]
    state: Path
    base: int

    def port(self, device: str) -> dict[str, Any]:
        return next(port for port in self.listing["ports"] if port["device"] == device)

    def children(self) -> list[str]:
        pid = self.process.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def start(folder: Path, *arguments: str, lab: Path = LAB) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "simulate", f"--lab={lab}", f"--runs={folder}", "--rig=ioc-1",
         "--json", *arguments],
        cwd=REPO,
        env={**os.environ, "HARNESS_STATE": str(folder / "state")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def ended(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and complaint of one that ends by itself."""
    process = start(folder, f"--base-port={free_base_port()}", *arguments)
    try:
        return process.wait(60), process.communicate()[1]
    finally:
        process.kill()


@contextmanager
def stood_up(folder: Path, lab: Path = LAB) -> Iterator[Standing]:
    base = free_base_port()
    process = start(folder, f"--base-port={base}", lab=lab)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:  # the one JSON object; then it waits
        lines.append(line)
        if line == "}\n":
            break
    else:
        raise AssertionError(process.communicate()[1])
    try:
        yield Standing(process, json.loads("".join(lines)), folder / "state" / "simulated", base)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with stood_up(tmp_path_factory.mktemp("simulate")) as standing:
        yield standing


def client_of(port: dict[str, Any], mechanism: str) -> DlmsClient:
    """A DLMS client made of what was printed and nothing else."""
    told = next(client for client in port["clients"] if client["mechanism"] == mechanism)
    credentials = Credentials(
        mechanism,
        told["client_sap"],
        port["server_sap"],
        system_title=bytes.fromhex(told["system_title"]),
        password=told["password"].encode(),
        encryption_key=bytes.fromhex(told["encryption_key"]),
        authentication_key=bytes.fromhex(told["authentication_key"]),
    )
    transport = open_tcp({"host": port["host"], "port": port["port"], "connect_timeout": 5})
    channel = WrapperChannel(transport, credentials.client_sap, credentials.server_sap)
    return DlmsClient(channel, credentials, MemoryCounters())


def clock_of(client: DlmsClient) -> datetime:
    return decode_date_time(bytes(client.get(CLOCK).value))


def test_ports_follow_the_scheme(standing: Standing) -> None:
    ports = {port["device"]: port["port"] - standing.base for port in standing.listing["ports"]}
    assert ports == {"ESME": 0, "GSME": 1, "CH": 2}
    dcc = standing.listing["dcc"]
    assert dcc["gateway"].endswith(f":{standing.base + 10 * RIGS}")
    assert f":{standing.base + 10 * RIGS + 1}/" in dcc["receive"]


@pytest.mark.parametrize("mechanism", ["none", "lls", "hls-gmac"])
def test_every_printed_client_gets_in(standing: Standing, mechanism: str) -> None:
    for device in ("ESME", "GSME"):
        with client_of(standing.port(device), mechanism) as client:
            assert clock_of(client).year == 2025  # the lab file's


def test_the_reader_reads_what_the_public_may_not(standing: Standing) -> None:
    with client_of(standing.port("ESME"), "lls") as reader:
        assert reader.get(IMPORT).value > 0


def test_lab_time_passes_by_itself(standing: Standing) -> None:
    with client_of(standing.port("ESME"), "none") as client:
        first = clock_of(client)
        soon(lambda: (clock_of(client) - first).total_seconds() >= 3)


def test_who_has_the_printed_files_is_a_user_of_the_gateway(standing: Standing) -> None:
    dcc = standing.listing["dcc"]
    answer = ask(dcc, standing.port("ESME")["device_id"])
    assert b"I99" in answer
    kept = soon(lambda: Path(dcc["kept_in"]).read_text())
    assert "ReadInstantaneousImportRegistersRsp" in kept


def ask(dcc: dict[str, Any], device_id: str) -> bytes:
    """SRV 4.1.1 as another tool would send it."""
    user = next(user for user in dcc["users"] if user["role"] == "IS")
    name = "ReadInstantaneousImportRegisters"
    message = RequestMessage(
        request_id=RequestId(user["eui"], device_id, user["last_counter"] + 1),
        command_variant=1,
        service_reference="4.1",
        srv="4.1.1",
        body_element=name,
        body=Payload(),
    )
    signer = Signer(Path(user["key"]).read_bytes(), Path(user["certificate"]).read_bytes())
    signed = signer.sign(write_request(message, etree.Element(f"{{{SR}}}{name}"), "5.4"))
    own = (Path(dcc["tls_certificate"]), Path(dcc["tls_key"]))
    gateway = HttpClient(dcc["gateway"], "the gateway", tls=client_context(Path(dcc["tls_authority"]), own))
    try:
        return gateway.call(
            "POST", "/api/v1/serviceS", content=signed, headers={"Content-Type": "application/xml"}
        ).content
    finally:
        gateway.close()


def test_the_rig_is_held_while_it_stands(standing: Standing) -> None:
    held = holder_of(standing.state, "ioc-1")
    assert held is not None
    assert (held.purpose, held.process) == ("harness simulate", standing.process.pid)
    assert holder_of(standing.state, "ioc-2") is None


def test_a_rig_in_use_is_not_stood_up(tmp_path: Path) -> None:
    with somebody(LAB, tmp_path / "state" / "simulated") as pool:
        pool.take("ioc-1", "a colleague's bench work", no_check)
        code, told = ended(tmp_path)
    assert code == 3
    assert "a colleague's bench work" in told


@pytest.mark.parametrize("offset", [1, 10 * RIGS, 10 * RIGS + 1], ids=["GSME", "gateway", "receive"])
def test_a_port_in_use_is_named(tmp_path: Path, offset: int) -> None:
    base = free_base_port()
    with socket.create_server(("127.0.0.1", base + offset)):
        code, told = ended(tmp_path, f"--base-port={base}")
    assert code == 2
    assert str(base + offset) in told
    assert "Traceback" not in told
    assert str(status_of(tmp_path / "state" / "simulated", "ioc-1")) == "ioc-1 is free"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rig=ioc-9"], "no simulated rig ioc-9 (it has ioc-1, "),
        ([f"--lab={REPO / 'lab_config' / 'physical-example.yaml'}"], "no simulated rig ioc-1 (it has none)"),
        (["--base-port=65500"], "name a base port from 1 to 65464"),
        (["--fault=alert-lots"], "did you mean 'alert-lost'?"),
    ],
    ids=["unknown rig", "physical lab", "ports beyond the last", "unknown fault"],
)
def test_what_cannot_be_stood_up_is_refused(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    code, told = ended(tmp_path, *arguments)
    assert code == 2
    assert complaint in told
    assert "Traceback" not in told


def test_asked_to_stop_it_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    with stood_up(tmp_path) as standing:
        children = standing.children()
        assert children
        standing.process.send_signal(signal.SIGTERM)
        _, told = standing.process.communicate(timeout=30)
        assert standing.process.returncode == 0, told
        assert not [child for child in children if Path(f"/proc/{child}").exists()]
        assert all(is_free(standing.base + offset) for offset in (0, 1, 2, 10 * RIGS, 10 * RIGS + 1))
        assert str(status_of(standing.state, "ioc-1")) == "ioc-1 is free"


def test_it_stops_when_somebody_has_ended_its_lease(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HARNESS_LEASE_EXPIRY", "1.5")
    with stood_up(tmp_path) as standing:
        with somebody(LAB, standing.state, "bob") as pool:
            pool.leases.evict("ioc-1", "the rig is needed")
        _, told = standing.process.communicate(timeout=30)
        assert standing.process.returncode == 3, told
        assert "error: stopped: the lease of ioc-1 (token 1) for harness simulate has ended" in told
        assert is_free(standing.base)


def test_killed_it_takes_the_dcc_side_with_it(tmp_path: Path) -> None:
    with stood_up(tmp_path) as standing:
        children = standing.children()
        standing.process.kill()
        standing.process.wait()
        soon(lambda: not [child for child in children if Path(f"/proc/{child}").exists()])
        soon(lambda: is_free(standing.base + 10 * RIGS))


def test_a_receive_address_in_the_lab_file_is_somebody_elses(tmp_path: Path, copied_lab: Path) -> None:
    posted: queue.Queue[bytes] = queue.Queue()

    async def receive(request: Any) -> Response:
        posted.put(await request.body())
        return Response(status_code=204)

    port = free_base_port() + 10 * RIGS + 1  # of the lab's own endpoint, which is not there then
    text = copied_lab.read_text().replace("receive: 127.0.0.1:0", f"receive: 127.0.0.1:{port}")
    copied_lab.write_text(text)
    with stood_up(tmp_path, copied_lab) as standing:
        dcc = standing.listing["dcc"]
        assert dcc["kept_in"] is None
        files = [Path(dcc[name]) for name in ("tls_certificate", "tls_key", "tls_authority")]
        routes = [Route("/smartdcc/duis", receive, methods=["POST"])]
        tool = HttpServer(Starlette(routes=routes), port=port, tls=server_context(*files))
        try:
            ask(dcc, standing.port("ESME")["device_id"])
            assert b"ReadInstantaneousImportRegistersRsp" in posted.get(timeout=20)
        finally:
            tool.close()
