"""scapy and paramiko are loaded by who needs them, and scapy may not be there at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[4]


def python(script: str, *words: str) -> str:
    done = subprocess.run(
        (sys.executable, "-c", script, *words),
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys\n"
        "import device_drivers.bench.capture, device_drivers.bench.controller\n"
        "import device_drivers.bench.ssh.controller, device_drivers.bench.capturing.wrapper\n"
        "print(*sorted({'scapy', 'paramiko', 'cryptography', 'pymodbus'} & set(sys.modules)))\n"
    )
    assert set(python(script).split()) <= {"cryptography"}


def test_without_scapy_a_recording_is_kept_and_who_reads_it_is_blocked(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "scapy":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from device_drivers.bench.capture import open_capture
from device_drivers.bench.controller import NoController
from harness.config import load_lab
from harness.domain.errors import CaptureUnavailable
from tests.device_drivers.bench.ssh.house import Kept

lab = load_lab(Path("lab_config/simulated.yaml"), state=Path(sys.argv[1]))
kept = Kept()
capture = open_capture(lab.rigs[0], lab, NoController("bay-3"), kept)
recording = capture.read(Path(sys.argv[1]) / "wan.pcap")
assert recording.pcapng and kept.messages[0][1] == recording.pcapng
for ask in (lambda: recording.frames, lambda: recording.apdus, recording.expect_nothing_in_clear):
    try:
        ask()
    except CaptureUnavailable as fault:
        print(fault)
"""
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 ffff0000 01000000")
    (tmp_path / "wan.pcap").write_bytes(head + bytes.fromhex("01000000 00000000 02000000 02000000 6162"))
    told = python(script, str(tmp_path)).splitlines()
    assert len(told) == 3
    assert all(
        "pip install 'smets1-harness[capture]'" in line and "No module named 'scapy" in line for line in told
    )
