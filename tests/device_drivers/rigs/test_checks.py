"""The check of a rig: each part by itself, how far it came, what came back and what to do."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc.calls import CallServer
from device_drivers.plugin import harness_check_rig
from device_drivers.rigs.checks import check_rig
from device_drivers.simulated.controller import TwinController
from device_drivers.simulated.pace import Pace
from device_drivers.simulated.rig import build_twins, stand_up
from harness.config import load_lab
from harness.domain.bench import ModbusBenchSettings
from harness.domain.errors import ConfigurationError
from harness.domain.findings import BAD, GOOD, Finding
from harness.domain.lab import Door, Hdlc, Lab, OpticalPort, Rig
from harness.domain.words import DeviceType
from harness.hooks import RunContext, unfenced

REPO = Path(__file__).parents[3]
ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH


class Notes:
    """A trace that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def event(self, source: str, what: str, **detail: Any) -> None:
        self.told.append((source, what))

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        self.told.append((source, name))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path / "state")


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


@pytest.fixture
def rig(lab: Lab, held: ExitStack) -> Rig:
    """As of a lab file that names a door for each device, whose clocks go right."""
    return stood_up(lab.rigs[0], lab, held)


def stood_up(described: Rig, lab: Lab, held: ExitStack, starts: datetime | None = None) -> Rig:
    """That rig in front of its twins, as a physical one."""
    assert described.simulation is not None
    simulation = replace(described.simulation, starts=starts or datetime.now(UTC), history_days=2)
    described = replace(described, simulation=simulation)
    twins = build_twins(described, 7)
    site = stand_up(described, lab, twins, held)
    if starts is None:
        held.callback(Pace([twins.clock]).close)
    return replace(site.rig, simulation=None)


def check(lab: Lab, rig: Rig, trace: Any = None, services: Any = None) -> dict[str, Finding]:
    """The findings by their part, of a physical rig or of twins."""
    run = RunContext("check-1", lab.state / "run", 7)
    found = harness_check_rig(lab, rig, services or {}, run, trace or Notes(), unfenced)
    assert all(each.rig == rig.id for each in found)
    assert all(each.remedy for each in found if each.state == BAD)
    return {each.part: each for each in found}


def with_device(rig: Rig, type_: DeviceType, **changes: Any) -> Rig:
    return replace(rig, devices=rig.devices | {type_: replace(rig.devices[type_], **changes)})


def with_door(rig: Rig, type_: DeviceType, **changes: Any) -> Rig:
    door = rig.devices[type_].door
    assert door is not None
    return with_device(rig, type_, door=replace(door, **changes))


def parameters(rig: Rig, type_: DeviceType, **changes: Any) -> dict[str, Any]:
    door = rig.devices[type_].door
    assert door is not None
    return {**door.parameters, **changes}


def test_each_device_tells_who_it_is_and_how_far_the_check_came(lab: Lab, rig: Rig) -> None:
    trace = Notes()
    found = check(lab, rig, trace)
    assert list(found) == [
        ESME,
        GSME,
        CH,
    ]  # it has no bench, no controller and no captures: not a word of them
    esme = found[ESME]
    assert (esme.state, esme.remedy, esme.family) == (GOOD, "", "")
    assert esme.tried == "open tcp → associate → read identity → read clock"
    assert re.fullmatch(
        r"Alderwick Metering AE-110, firmware 1\.4\.20, serial number E01101, 00-DB-12-34-56-01-00-01; "
        r"clock \d\.\d s (behind|ahead of) lab time", esme.found,
    )  # fmt: skip
    assert (ESME, "opening") in trace.told
    assert any("associate" in what or "AARQ" in what for source, what in trace.told if source == ESME)


@pytest.mark.parametrize("gateway", ["http://192.0.2.10:8079", "https://192.0.2.10"])
def test_messages_that_pass_unprotected_are_told(lab: Lab, rig: Rig, held: ExitStack, gateway: str) -> None:
    link = CallServer({"session": lambda _: 0})
    held.callback(link.close)
    outside = replace(lab, dcc=replace(lab.dcc, gateway=gateway, plain_http=True))
    said = check(outside, replace(rig, devices={}), services={"link": link.address, "token": link.token})
    if gateway.startswith("https:"):
        assert not said
    else:
        assert said["DCC"].state == GOOD
        assert (
            said["DCC"].found == f"messages to {gateway} pass unprotected: the lab file says dcc.plain_http"
        )


def test_a_twin_is_checked_through_its_own_doors(lab: Lab) -> None:
    optical = OpticalPort(mode="mode-e")
    twin = with_device(lab.rigs[0], ESME, door=Door(transport="serial", optical=optical, hdlc=Hdlc()))
    found = check(lab, twin)
    assert found["bench"].state == GOOD
    assert found[ESME].tried == "open serial → sign on → HDLC → associate → read identity → read clock"
    assert all(each.state == GOOD for each in found.values())


def test_a_rig_that_cannot_even_be_stood_up_is_one_finding(lab: Lab) -> None:
    rig = replace(lab.rigs[0], devices={ESME: lab.rigs[0].devices[ESME]})
    (finding,) = check(lab, rig).values()
    assert (finding.part, finding.state, finding.family) == ("", BAD, "ConfigurationError")
    assert finding.tried == "stand the twins up"
    assert "without a hub" in finding.found


def test_a_device_that_never_answers_hides_no_other(lab: Lab, rig: Rig, held: ExitStack) -> None:
    silent = held.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
    found = check(lab, with_door(rig, ESME, parameters=parameters(rig, ESME, port=silent, timeout=0.3)))
    assert (found[ESME].state, found[ESME].tried) == (BAD, "open tcp → associate")
    assert found[ESME].family == "DeviceTimeout"
    assert found[ESME].remedy == "check that the device has power, and that this door is the device's"
    assert found[GSME].state == found[CH].state == GOOD


def test_a_door_that_hangs_up_is_told_as_such(lab: Lab, rig: Rig) -> None:
    rig = with_door(rig, ESME, parameters={"host": "127.0.0.1", "port": 1})
    esme = check(lab, rig)[ESME]
    assert (esme.tried, esme.family, esme.remedy) == ("open tcp", "TransportLost", "check address and power")


def test_keys_that_are_not_the_devices_are_told_where_they_stand(lab: Lab, rig: Rig, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.key"
    wrong.touch(mode=0o600)
    wrong.write_text("00" * 16)
    security = replace(rig.devices[ESME].security, encryption_key=f"file:{wrong}")
    esme = check(lab, with_device(rig, ESME, security=security))[ESME]
    assert (esme.state, esme.tried) == (BAD, "open tcp → associate")
    assert "`security:` in the lab file" in esme.remedy


@pytest.mark.parametrize(
    ("changes", "told", "remedy"),
    [
        ({"system_title": "4c41"}, "a system title is 16 hexadecimal digits", "correct the lab file"),
        ({"encryption_key": "env:NOBODY_SET_THIS"}, "NOBODY_SET_THIS is not set", "set it for the harness"),
    ],
)
def test_what_the_lab_file_has_wrong_is_of_the_family_that_says_so(
    lab: Lab, rig: Rig, changes: dict[str, str], told: str, remedy: str
) -> None:
    security = replace(rig.devices[GSME].security, **changes)
    gsme = check(lab, with_device(rig, GSME, security=security))[GSME]
    assert told in gsme.found
    assert (gsme.remedy, gsme.family) == (remedy, "ConfigurationError")


def test_a_device_without_a_door_is_told(lab: Lab, rig: Rig) -> None:
    found = check(lab, with_device(rig, CH, door=None))
    assert found[CH].found.endswith("its CH has no door")
    assert found[ESME].state == GOOD


def test_each_deviation_from_the_baseline_is_a_finding_and_the_clock_is_read_none_the_less(
    lab: Lab, rig: Rig
) -> None:
    model = replace(rig.devices[ESME].model, firmware="9.9.9", model="AE-999")
    found = check_rig(lab, with_device(rig, ESME, model=model), {}, Notes())
    told = [each.found for each in found if each.part == ESME]
    assert [line.partition("; the baseline")[0] for line in told] == [
        "the ESME says its model is 'AE-110'", "the ESME says its firmware is '1.4.20'",
    ]  # fmt: skip


@pytest.mark.parametrize(("off", "state"), [(timedelta(seconds=4), GOOD), (timedelta(seconds=-60), BAD)])
def test_a_clock_may_be_ten_seconds_off_and_no_more(
    lab: Lab, held: ExitStack, off: timedelta, state: str
) -> None:
    rig = stood_up(lab.rigs[-1], lab, held, starts=datetime.now(UTC) + off)
    esme = check(lab, rig)[ESME]
    assert esme.state == state
    if state == BAD:
        assert re.fullmatch(
            r"its clock is 6\d\.\d s behind lab time, more than the 10 s that SMETS1 allows", esme.found
        )
        assert esme.remedy == f"set it: harness device {rig.id} ESME clock --set"


@pytest.fixture
def controller(tmp_path: Path, held: ExitStack) -> TwinController:
    try:
        return held.enter_context(TwinController(tmp_path / "sshd", tmp_path / "home"))
    except ConfigurationError as error:
        pytest.skip(str(error))


def test_what_is_behind_the_controller_is_reached_through_it(
    lab: Lab, rig: Rig, controller: TwinController
) -> None:
    rig = replace(with_door(rig, ESME, via_controller=True), controller=controller.settings)
    found = check(lab, rig)
    assert found["controller"].state == GOOD
    assert re.search(r"OpenSSH.* on \w+ .*ssh-ed25519 SHA256:", found["controller"].found)
    assert found[ESME].state == GOOD
    assert found[ESME].tried.startswith("forward its port → open tcp → ")


def test_what_is_behind_a_controller_that_is_not_reached_is_not_tried(
    lab: Lab, rig: Rig, controller: TwinController
) -> None:
    nobody = replace(controller.settings, port=1)
    found = check(lab, replace(with_door(rig, ESME, via_controller=True), controller=nobody))
    assert (found["controller"].state, found["controller"].family) == (BAD, "TransportLost")
    assert found[ESME].found.startswith("not tried: it is reached through the controller")
    assert found[ESME].remedy == "put the controller right, then check again"
    assert found[GSME].state == GOOD


def bench_of(lab: Lab, tmp_path: Path, without: str = "") -> tuple[dict[str, Any], ModbusBenchSettings]:
    """The shipped register map in a lab file's bench, without the points whose name begins so."""
    text = (REPO / "lab_config" / "bench-map.yaml").read_text()
    if without:
        text = "\n".join(line for line in text.splitlines() if not line.startswith(f"  {without}"))
    (tmp_path / "map.yaml").write_text(text)
    safe = {
        "load.on": "off", "load.current": "0", "load.angle": "0", "gas.flow": "0", "tamper.ESME": "off",
        "tamper.GSME": "off", "tamper.CH": "off", "button.ESME": "off", "button.GSME": "off",
        "mains.voltage": "230", "supply.CH": "on", "supply.ESME": "on",
    }  # fmt: skip
    bench = {"kind": "modbus", "map": str(tmp_path / "map.yaml"), "timeout": 0.5, "press": 0, "safe": safe}
    lab_text = lab.file.read_text().replace("../test_packs", str(REPO / "test_packs"))
    lab_text = re.sub(r"^(\w+): (?=[\w.]+\.(yaml|csv)$)", rf"\1: {lab.file.parent}/", lab_text, flags=re.M)
    file = tmp_path / "lab.yaml"
    file.write_text(lab_text.replace("    devices:\n", f"    bench: {bench!r}\n    devices:\n", 1))
    found = load_lab(file, state=lab.state).rigs[0]
    assert found.modbus is not None
    return dict(found.bench), found.modbus


@pytest.mark.parametrize("without", ["", "reference."])
def test_a_bench_is_brought_into_its_safe_state_and_need_not_have_every_meter(
    lab: Lab, tmp_path: Path, held: ExitStack, without: str
) -> None:
    bench, modbus = bench_of(lab, tmp_path, without)
    rig = stood_up(replace(lab.rigs[0], bench=bench, modbus=modbus), lab, held)
    finding = check(lab, rig)["bench"]
    assert finding.state == GOOD, finding
    assert finding.tried == "open → make safe and read back → read the reference meters"
    assert finding.found.startswith("in its safe state")
    assert ("has no reference." in finding.found) is bool(without)


@pytest.mark.skipif(
    shutil.which("tcpdump") is None, reason="a line is heard by tcpdump, which is not installed"
)
def test_lines_are_heard_for_a_moment(lab: Lab, rig: Rig) -> None:
    from harness.domain.lab import CaptureLine

    found = check(lab, replace(rig, captures={"wan": CaptureLine(interface="no-such-if")}))["capture"]
    assert (found.state, found.tried, found.family) == (BAD, "hear wan at no-such-if", "CaptureUnavailable")
    assert "tcpdump -D" in found.remedy
