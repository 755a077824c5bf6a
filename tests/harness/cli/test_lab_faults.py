"""``harness lab check`` on benches with real faults: all are named in one call, each with what to do."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_drivers.simulated.controller import TwinController
from harness.domain.errors import ConfigurationError, TransportLost
from harness.rigs.health_words import HealthState
from tests.harness.cli.physical import HARNESS, REPO, PhysicalLab, modbus, physical_lab
from tests.harness.rigs.room import health_of, somebody, status_of

PROBE = "/dev/serial/by-id/usb-FTDI_no_such_probe-if00-port0"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")

pytestmark = pytest.mark.skipif(
    shutil.which("tcpdump") is None, reason="a capture interface that is not there is named by tcpdump"
)


@dataclass
class Faulty:
    """A lab with faults of each kind, and where they are."""

    lab: PhysicalLab
    closed: int  # a port where nobody listens
    silent: int  # a port where somebody listens and never answers
    ssh: int


def put_an_impostor_at(lab: PhysicalLab, rig: dict[str, Any], held: ExitStack) -> int:
    """A controller whose pinned host key is another computer's."""
    folder = lab.file.parent
    try:
        here, elsewhere = (
            held.enter_context(TwinController(folder / "sshd", folder / "home")).settings for _ in range(2)
        )
    except ConfigurationError as error:
        pytest.skip(str(error))
    pinned = Path(elsewhere.known_hosts.removeprefix("file:")).read_text()
    (folder / "known_hosts").write_text(pinned.replace(f":{elsewhere.port} ", f":{here.port} "))
    rig["controller"] = {
        "host": here.host, "port": here.port, "user": here.user, "key": here.key,
        "known_hosts": f"file:{folder / 'known_hosts'}",
    }  # fmt: skip
    return here.port


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faulty]:
    with ExitStack() as held:
        lab = physical_lab(tmp_path_factory.mktemp("faults"), held)
        silent = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        closed = closed_port()
        rig = lab.stand_up("foc-1", hub_firmware="R9.9")  # bench-1
        ssh = put_an_impostor_at(lab, rig, held)
        rig["bench"] = modbus(port=silent, timeout=0.1)
        rig["devices"]["ESME"]["door"] = {
            "transport": "serial", "parameters": {"port": PROBE}, "optical": {"mode": "mode-e"}, "hdlc": {},
        }  # fmt: skip
        rig["devices"]["GSME"]["door"]["parameters"]["port"] = closed
        rig["captures"] = {
            "wan": {"interface": "nosuch0"},
            "han": {"interface": "lo", "on_controller": True},
        }
        lab.stand_up("foc-2", starts=datetime.now(UTC) - timedelta(hours=2))  # bench-2: its clocks
        lab.stand_up("ioc-1", bench=True)  # bench-3: nothing wrong
        lab.write()
        yield Faulty(lab, closed, silent, ssh)


@pytest.fixture(scope="module")
def checked(faulty: Faulty, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What one call for a program comes to, after one rig was suspect for what is over now."""
    with somebody(faulty.lab.file, faulty.lab.state) as pool:
        pool.health.fault("bench-3", TransportLost("its probe fell off"), "run 7")
    return subprocess.run(
        [*HARNESS, "lab", "check", "--json", "--runs", str(tmp_path_factory.mktemp("runs"))],
        cwd=REPO, env=os.environ | faulty.lab.environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_every_fault_is_named_in_one_call_each_with_a_remedy(faulty: Faulty, checked) -> None:
    assert checked.returncode == 3, checked.stderr
    bad = [each for each in json.loads(checked.stdout) if each["state"] != "good"]
    assert all(each["found"] and each["tried"] and each["remedy"] and each["family"] for each in bad), bad
    expected = [
        ("controller", "connect", "is not the one that is pinned", "ssh-keyscan", "ControllerFault"),
        ("bench", "open", f"127.0.0.1:{faulty.silent}: no answer", "by hand", "BenchFault"),
        ("ESME", "open serial", f"{PROBE}: there is no such port", "plug the probe in", "TransportLost"),
        ("GSME", "open tcp", f"127.0.0.1:{faulty.closed}: could not connect", "check", "TransportLost"),
        ("CH", "open tcp → associate → read identity", "'R9.9'", "baseline", "LabFault"),
        ("capture", "hear wan at nosuch0", "nosuch0", "tcpdump -D", "CaptureUnavailable"),
        ("capture", "hear han at lo of the controller", "not tried", "controller", "ControllerFault"),
    ]
    told = [each for each in bad if each["rig"] == "bench-1"]
    assert [(each["part"], each["tried"], each["family"]) for each in told] == [
        (part, tried, family) for part, tried, _, _, family in expected
    ]
    for each, (_, _, found, remedy, _) in zip(told, expected, strict=True):
        assert found in each["found"]
        assert remedy in each["remedy"]


def test_a_clock_that_is_off_is_named_with_the_command_that_sets_it(checked) -> None:
    esme, ch = (each for each in json.loads(checked.stdout) if each["rig"] == "bench-2")
    assert re.match(r"its clock is 72\d\d\.\d s behind lab time, more than the 10 s", esme["found"])
    assert esme["remedy"] == "set it: harness device bench-2 ESME clock --set"
    assert ch["state"] == "bad"


def test_what_is_well_is_told_as_well(checked) -> None:
    found = [each for each in json.loads(checked.stdout) if each["rig"] == "bench-3"]
    assert [(each["part"], each["state"], each["remedy"]) for each in found] == [
        (part, "good", "") for part in ("bench", "ESME", "GSME", "CH")
    ]
    assert found[0]["tried"] == "open → make safe and read back → read the reference meters"


@pytest.mark.usefixtures("checked")
def test_a_good_check_makes_a_rig_good_again_and_a_bad_one_bad_in_all_that_is_wrong(faulty: Faulty) -> None:
    state = faulty.lab.state
    assert health_of(state, "bench-3").state is HealthState.GOOD
    bad = health_of(state, "bench-1")
    assert (bad.state, bad.family) == (HealthState.BAD, "ControllerFault")
    assert bad.by.startswith("check-")
    with somebody(faulty.lab.file, state) as pool:
        parts = {part: each.state for part, each in pool.health.parts("bench-1").items()}
    assert parts == dict.fromkeys(("controller", "bench", "ESME", "GSME", "CH", "capture"), HealthState.BAD)
    assert str(status_of(state, "bench-1")) == "bench-1 is free"


def test_who_reads_the_table_on_eighty_columns_misses_nothing(
    on_a_terminal, environment: dict[str, str], faulty: Faulty, tmp_path: Path
) -> None:
    environment.update(faulty.lab.environment)
    shown = COLOUR.sub("", on_a_terminal(*HARNESS, "lab", "check", "--runs", str(tmp_path)))
    table = [line for line in shown.splitlines() if line.startswith("│")]
    assert {len(line) for line in table} == {80}
    assert "…" not in shown
    words = " ".join(line.split("│")[4].strip() for line in table)
    for told in (
        "is not the one that is pinned", "there is no such port", "Connection refused", "'R9.9'", "nosuch0",
        "to do: plug the probe in", "clock --set",
    ):  # fmt: skip
        assert told in words
    said = shown.splitlines()[-5:]
    assert re.fullmatch(r"bench-1 is bad since \S+Z", said[0])
    assert said[2] == "bench-3 is good"
    assert said[4] == "3 rigs checked, 9 to look at"


def test_what_only_the_lab_file_has_wrong_is_a_configuration_error(harness, tmp_path: Path) -> None:
    with ExitStack() as held:
        lab = physical_lab(tmp_path, held)
        rig = lab.stand_up("foc-2")
        for device, name in (("ESME", "NOT_SET"), ("CH", "NOT_SET_EITHER")):
            rig["devices"][device]["security"]["encryption_key"] = f"env:{name}"
        file = lab.write()
        user = lab.file.parent / "user.key"
        user.unlink()
        done = harness("lab", "check", "--json", "--runs", tmp_path / "runs", **lab.environment)
    assert done.returncode == 2
    missing, *findings = json.loads(done.stdout)
    lines = file.read_text().splitlines()
    assert [missing[name] for name in ("rig", "part", "state")] == ["all", "secrets", "bad"]
    assert missing["found"].splitlines() == [
        f"{file}:{next(at for at, line in enumerate(lines, 1) if reference in line)}: {reference} {why}"
        for reference, why in (
            (f"file:{user}", "cannot be read: No such file or directory"),
            ("env:NOT_SET", "is not set"),
            ("env:NOT_SET_EITHER", "is not set"),
        )
    ]
    esme, ch = (each for each in findings if each["rig"] == "bench-1")  # all is tried none the less
    assert (esme["state"], ch["state"]) == ("bad", "bad")
    assert "NOT_SET_EITHER" in ch["found"]
    assert health_of(lab.state, "bench-1").state is HealthState.UNKNOWN


def test_a_door_that_cannot_be_is_a_configuration_error_before_anything_is_tried(
    harness, tmp_path: Path
) -> None:
    with ExitStack() as held:
        lab = physical_lab(tmp_path, held)
        lab.stand_up("foc-2")["devices"]["ESME"]["door"] = {
            "transport": "tcp", "parameters": {"host": "127.0.0.1", "port": "abc"}, "protocol": "smoke",
        }  # fmt: skip
        lab.write()
        done = harness("lab", "check", "--runs", tmp_path / "runs", **lab.environment)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "door.protocol: no driver for ESME speaks 'smoke' (choose from 'dlms', 'iec62056-21')" in done.stderr
    )
    assert not (tmp_path / "runs").exists()
