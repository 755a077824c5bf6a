# ruff: noqa: E501 - messages stand here as their reader sees them, each on one line
"""Doors are held to what transports and drivers declare: with file and line, before anything is opened."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import load_lab
from harness.domain.errors import ConfigurationError
from harness.domain.words import DeviceType
from tests.harness.config.conftest import REAL_LAB

PLUGIN = """
from harness.domain.parameters import Parameter
from harness.domain.words import DeviceType
from harness.hooks import Driver, Transport, hookimpl

@hookimpl
def harness_transports():
    return [Transport("theirs", None, ""), Transport("told", None, "", (Parameter(name="line", meaning="a line"),))]

@hookimpl
def harness_drivers():
    return [Driver(DeviceType.ESME, "own", None, "")]
"""
ESME = "rigs.one.devices.ESME.door"


def told(lab: Path, old: str, new: str) -> str:
    """What is said of the lab once that is changed in it."""
    assert lab.read_text().count(old) == 1
    lab.write_text(lab.read_text().replace(old, new))
    with pytest.raises(ConfigurationError) as caught:
        load_lab(lab)
    return str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port: 4059", "port: abc",
         f"20: {ESME}.parameters.port: found 'abc', expected a whole number (correct it: the TCP port there, 1 to 65535)"),
        ("port: 4059", "port: 99999",
         f"20: {ESME}.parameters.port: found '99999', expected 65535 or less (correct it: the TCP port there, 1 to 65535)"),
        ("port: 4059", "port: -1",
         f"20: {ESME}.parameters.port: found '-1', expected more than 0 (correct it: the TCP port there, 1 to 65535)"),
        ("host: 127.0.0.1\n", "host: [127.0.0.22]\n",
         f"19: {ESME}.parameters.host: found a list of 1, expected text (correct it: the name or address to connect to)"),
        ("port: 4059", "port: 4059\n            connect_timeout: 30s",
         f"21: {ESME}.parameters.connect_timeout: found '30s', expected a number (correct it: seconds that connecting may take)"),
        ("port: 4059", "port: 4059\n            connect_timeout: -3",
         f"21: {ESME}.parameters.connect_timeout: found '-3', expected more than 0 (correct it: seconds that connecting may take)"),
        ("port: 4059", "port: 4059\n            connect_timeout: .inf",
         f"21: {ESME}.parameters.connect_timeout: found '.inf', expected a number (correct it: seconds that connecting may take)"),
        ("port: 4059", "port: 4059\n            timeout: soon",
         f"21: {ESME}.parameters.timeout: found 'soon', expected a number (correct it: seconds that an answer may take)"),
        ("port: 4059", "port: 4059\n            conect_timeout: 30",
         f"21: {ESME}.parameters.conect_timeout: unknown key 'conect_timeout' (did you mean 'connect_timeout'?)"),
        ("            host: 127.0.0.1\n", "",
         f"18: {ESME}.parameters: no key 'host' (add it: the name or address to connect to)"),
        ("port: /dev/null", "port: /dev/null, baud: fast",
         "23: rigs.one.devices.CH.door.parameters.baud: found 'fast', expected 300, 600, 1200, 2400, 4800, 9600, 19200, "
         "38400, 57600 or 115200 (correct it: the rate of the serial line)"),
        (", parameters: {port: /dev/null}", "",
         "23: rigs.one.devices.CH.door.parameters: no key 'port' (add it: a name from /dev/serial/by-id)"),
        ("transport: serial", "transport: seriel",
         "23: rigs.one.devices.CH.door.transport: no transport is called 'seriel' (did you mean 'serial'?)"),
        ("transport: tcp\n", "transport: tcp\n          protocol: dlsm\n",
         f"18: {ESME}.protocol: no driver for ESME speaks 'dlsm' (did you mean 'dlms'?)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_door_has_its_line(real_lab: Path, old: str, new: str, message: str) -> None:
    assert told(real_lab, old, new) == f"lab.yaml:{message}"


def test_the_doors_of_all_rigs_are_told_at_once(real_lab: Path) -> None:
    real_lab.write_text(REAL_LAB.replace("port: 4059", "port: abc"))
    said = told(real_lab, "transport: serial", "transport: seriel")
    assert [line.split(": ")[1] for line in said.splitlines()[1:]] == [
        f"{ESME}.parameters.port",
        "rigs.one.devices.CH.door.transport",
    ]


def test_the_doors_of_twins_are_held_to_names(lab_folder: Path) -> None:
    lab = lab_folder / "lab.yaml"
    message = "lab.yaml:15: rigs.one.devices.ESME.door.transport: no transport is called 'tpc' (did you mean 'tcp'?)"
    assert told(lab, "serial_number: E1", "door: {transport: tpc}") == message


@pytest.mark.parametrize(
    ("transport", "protocol", "parameters", "message"),
    [
        ("theirs", "dlms", "{anything: 1, timeout: 2}", ""),
        ("tcp", "own", "{host: a, port: 1, anything: 1}", ""),
        ("tcp", "own", "{host: a, port: 0}", f"{ESME}.parameters.port: found '0', expected more than 0"),
        (
            "told",
            "dlms",
            "{lines: 1}",
            f"{ESME}.parameters.lines: unknown key 'lines' (did you mean 'line'?)",
        ),
    ],
)
def test_what_a_plugin_does_not_declare_is_its_own_business(
    real_lab: Path,
    monkeypatch: pytest.MonkeyPatch,
    transport: str,
    protocol: str,
    parameters: str,
    message: str,
) -> None:
    (real_lab.parent / "their_doors.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(real_lab.parent)
    door = f"door: {{transport: {transport}, protocol: {protocol}, parameters: {parameters}}}\n      CH:"
    before, _, after = REAL_LAB.partition("door:\n")
    real_lab.write_text(f"{before}{door}{after.partition('      CH:')[2]}plugins: [their_doors]\n")
    if message:
        with pytest.raises(ConfigurationError, match=r"lab\.yaml:16: ") as caught:
            load_lab(real_lab)
        assert message in str(caught.value)
    else:
        door_read = load_lab(real_lab).rig("one").devices[DeviceType.ESME].door
        assert door_read
        assert door_read.transport == transport


def test_a_plugin_that_is_not_there_has_its_line(real_lab: Path) -> None:
    assert told(real_lab, "packs: packs", "plugins: [not_there]\npacks: packs") == (
        "lab.yaml:3: plugins: plugin 'not_there' cannot be loaded: No module named 'not_there' "
        "(install it beside the harness or correct the lab file's plugins)"
    )


def test_a_driver_of_the_lab_s_own_stands_before_the_built_in_one(
    real_lab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (real_lab.parent / "their_dlms.py").write_text(PLUGIN.replace('"own"', '"dlms"'))
    monkeypatch.syspath_prepend(real_lab.parent)
    text = REAL_LAB.replace("port: 4059", "port: 4059\n            theirs: 1")
    real_lab.write_text(f"{text}plugins: [their_dlms]\n")
    assert load_lab(real_lab).plugins == ("their_dlms",)
