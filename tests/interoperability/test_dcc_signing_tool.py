"""DCC's own signing tool, run as a process of its own, believes our signatures, and we believe its."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from device_drivers.dcc.compose import write_request
from device_drivers.dcc.duis import RequestId, RequestMessage, ResponseMessage
from device_drivers.dcc.pki import KeyPair, SimulatedPki
from device_drivers.dcc.signature import Ring, Signer
from device_drivers.dcc.tree import body_element, parse
from harness.domain.payload import Payload

REPO = Path(__file__).parents[2]
TOOL = REPO / ".peers" / "node_modules" / "@smartdcc" / "duis-sign-wrap" / "dist" / "tool.jar"
SAMPLES = REPO.parent / "shared" / "spec" / "samples"
CLASSES = "uk.co.smartdcc.boxed.xmldsig"
USER, DEVICE = "90-B3-D5-1F-30-01-00-00", "00-DB-12-34-56-78-90-A0"

pytestmark = [
    pytest.mark.skipif(not TOOL.exists(), reason="DCC's signing tool is not installed: `make peers`"),
    pytest.mark.skipif(shutil.which("java") is None, reason="DCC's signing tool needs Java"),
]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    return SimulatedPki(tmp_path_factory.mktemp("keys")).user("IS", USER)


@pytest.fixture
def verdict(tmp_path: Path, pair: KeyPair) -> Callable[[bytes], str]:
    """What the tool logs about a message: its exit status alone does not tell."""

    def validate(xml: bytes) -> str:
        (tmp_path / "message.xml").write_bytes(xml)
        (tmp_path / "certificate.pem").write_bytes(pair.certificate)
        files = [str(tmp_path / "message.xml"), str(tmp_path / "certificate.pem")]
        command = ["java", "-cp", str(TOOL), f"{CLASSES}.Validate", *files]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stderr

    return validate


def request_xml(srv: str, name: str, body: object) -> bytes:
    message = RequestMessage(
        request_id=RequestId(USER, DEVICE, 1000),
        command_variant=1,
        service_reference=".".join(srv.split(".")[:2]),
        srv=srv,
        body_element=name,
        body=Payload(),
    )
    return write_request(message, body_element(name, body), "5.4")


PERIOD = {"StartDateTime": "2025-03-01T00:00:00Z", "EndDateTime": "2025-03-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("srv", "name", "body"),
    [
        ("4.1.1", "ReadInstantaneousImportRegisters", None),
        ("6.13", "ReadEventOrSecurityLog", {"ReadLogPeriod": PERIOD, "LogToRead": "Event"}),
        ("3.1", "DisplayMessage", {"SupplierMessage": 'Smith & Sons say "pay <10 GBP>"'}),
    ],
)
def test_the_tool_believes_our_signature(
    pair: KeyPair, verdict: Callable[[bytes], str], srv: str, name: str, body: object
) -> None:
    told = verdict(Signer(pair.key, pair.certificate).sign(request_xml(srv, name, body)))
    assert "passed xsd validation" in told
    assert "passed signature check" in told


def test_the_tool_does_not_believe_a_changed_message(pair: KeyPair, verdict: Callable[[bytes], str]) -> None:
    signed = Signer(pair.key, pair.certificate).sign(
        request_xml("4.1.1", "ReadInstantaneousImportRegisters", None)
    )
    told = verdict(signed.replace(b":1000<", b":1001<"))
    assert "passed xsd validation" in told
    assert "passed signature check" not in told


def tool_certificates() -> dict[str, bytes]:
    """The test certificates that come with the tool."""
    with zipfile.ZipFile(TOOL) as jar:
        names = [name for name in jar.namelist() if name.endswith(".pem") and ".key" not in name]
        return {name: jar.read(name) for name in names}


def test_we_believe_what_the_tool_has_signed(tmp_path: Path) -> None:
    unsigned = tmp_path / "unsigned.xml"
    unsigned.write_bytes(request_xml("4.1.1", "ReadInstantaneousImportRegisters", None))
    command = ["java", "-cp", str(TOOL), f"{CLASSES}.Sign", str(unsigned)]
    run = subprocess.run(command, capture_output=True, timeout=60, check=True)
    holder = Ring(tool_certificates()).verify(parse(run.stdout))
    assert holder.name == "xml-sign-90B3D51F30010000-ds.pem"


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"the samples are not there: {SAMPLES}")
def test_we_believe_a_real_response_of_dcc_boxed() -> None:
    root = parse((SAMPLES / "response-11.2-dccboxed.xml").read_bytes())
    assert Ring(tool_certificates()).verify(root).name == "dsp-xml-sign-90B3D51F30000002-ds-pre-1.4.1.pem"
    assert ResponseMessage.read(root).code == "I0"


def test_the_tool_is_the_version_that_we_name() -> None:
    package = json.loads((TOOL.parents[1] / "package.json").read_text())
    assert package["version"] == "0.1.2"
