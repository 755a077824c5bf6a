"""A serial port on a real pseudo terminal, and every way in which it goes away."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from device_drivers.transports import serial as serial_module
from device_drivers.transports.base import SerialLine, line_time
from device_drivers.transports.serial import open_serial
from harness.domain.errors import ConfigurationError, TransportLost

pytestmark = pytest.mark.usefixtures("leaving_nothing")


@pytest.fixture
def line(cable):
    opened = open_serial({"port": cable.path, "baud": 300})
    yield opened
    opened.close()


def test_bytes_pass_both_ways_unchanged(line, cable) -> None:
    every = bytes(range(256))
    line.write(every)
    assert cable.hear(256) == every
    cable.say(every)
    assert line.read(3, 5) == every[:3]
    received = b""
    while len(received) < 253:
        received += line.read(4096, 5)
    assert received == every[3:]


def test_it_is_a_serial_line_of_the_rate_that_was_asked_for(line, cable) -> None:
    assert isinstance(line, SerialLine)
    assert (line.baud, cable.baud) == (300, 300)
    line.set_baud(9600)
    assert (line.baud, cable.baud) == (9600, 9600)


def test_the_rate_changes_when_the_last_byte_has_left(line) -> None:
    began = time.monotonic()
    line.write(bytes(6))
    line.set_baud(9600)
    assert time.monotonic() - began >= 6 * 10 / 300


def test_silence_is_an_empty_read_after_its_time(line) -> None:
    began = time.monotonic()
    assert line.read(1, 0.1) == b""
    assert 0.09 < time.monotonic() - began < 5
    assert line.read(1, 0) == b""


@pytest.mark.parametrize(
    "act",
    [lambda line: line.read(1, 5), lambda line: line.write(b"x"), lambda line: line.set_baud(9600)],
    ids=["read", "write", "baud change"],
)
def test_a_probe_pulled_out_is_a_lost_transport(line, cable, act) -> None:
    cable.unplug()
    with pytest.raises(TransportLost, match=rf"serial {cable.path}: could not .*plugged in"):
        act(line)
    line.close()


def test_a_probe_pulled_out_while_one_listens_is_noticed_at_once(line, cable) -> None:
    timer = threading.Timer(0.1, cable.unplug)
    timer.start()
    began = time.monotonic()
    with pytest.raises(TransportLost):
        line.read(1, 30)
    timer.join()
    assert time.monotonic() - began < 10


def test_a_probe_pulled_out_while_one_sends_is_noticed_at_once(cable) -> None:
    """A pseudo terminal that nobody reads takes some thousand bytes; the rest waits to be sent."""
    line = open_serial({"port": cable.path, "baud": 300})
    timer = threading.Timer(0.2, cable.unplug)
    timer.start()
    began = time.monotonic()
    with pytest.raises(TransportLost, match="could not send"):
        line.write(bytes(20_000))
    assert time.monotonic() - began < line_time(20_000, 300) / 10
    timer.join()
    line.close()


def test_a_probe_pulled_out_in_the_moment_of_opening_is_a_lost_transport(cable) -> None:
    """The name still leads somewhere, and nothing is behind it any more."""
    still_there = os.open(cable.path, os.O_RDWR | os.O_NOCTTY)
    cable.unplug()
    with pytest.raises(TransportLost, match=r"could not open.*plugged in"):
        open_serial({"port": f"/proc/self/fd/{still_there}"})
    os.close(still_there)


def test_a_port_that_is_not_there_names_those_that_are(monkeypatch, tmp_path) -> None:
    for name in ("usb-probe-7", "usb-probe-8"):
        (tmp_path / name).symlink_to("/dev/null")
    monkeypatch.setattr(serial_module, "PORTS", tmp_path)
    with pytest.raises(TransportLost, match=r"no such port.*usb-probe-7, usb-probe-8"):
        open_serial({"port": str(tmp_path / "usb-probe-9")})


def test_a_port_is_missed_where_no_port_is(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(serial_module, "PORTS", tmp_path / "nowhere")
    with pytest.raises(TransportLost, match=r"no such port.*has none"):
        open_serial({"port": "/dev/pts/9999"})


@pytest.mark.parametrize("what", ["/dev/null", "/etc/hostname", "/tmp"])
def test_what_is_no_port_cannot_be_opened(what) -> None:
    with pytest.raises(TransportLost, match="could not open"):
        open_serial({"port": what})


def test_a_port_without_permission_says_what_to_do(monkeypatch) -> None:
    def refused(*_args, **_settings):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("serial.Serial", refused)
    with pytest.raises(TransportLost, match=r"no permission.*dialout"):
        open_serial({"port": "/dev/ttyS0"})


def test_a_name_is_looked_up_each_time_it_is_opened(plug_in, tmp_path) -> None:
    """A probe that vanishes and comes back has another device behind the same name."""
    name, first, second = tmp_path / "usb-probe", plug_in(), plug_in()
    name.symlink_to(first.path)
    lost = open_serial({"port": str(name)})
    first.unplug()
    with pytest.raises(TransportLost):
        lost.read(1, 5)
    with pytest.raises(TransportLost, match="no such port"):
        open_serial({"port": str(name)})
    name.unlink()
    name.symlink_to(second.path)
    found = open_serial({"port": str(name)})
    found.write(b"again")
    assert second.hear(5) == b"again"
    found.close()
    lost.close()


def test_a_port_in_use_names_its_holder(line, cable) -> None:
    with pytest.raises(TransportLost, match=rf"held by process {os.getpid()} \(.*end that program"):
        open_serial({"port": cable.path})


def test_a_port_that_another_process_holds_names_it(cable) -> None:
    holding = (
        "import sys; from device_drivers.transports.serial import open_serial; "
        f"line = open_serial({{'port': {cable.path!r}}}); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(TransportLost, match=rf"held by process {process.pid} \(.*python"):
            open_serial({"port": cable.path})
        process.communicate("", timeout=10)
    open_serial({"port": cable.path}).close()


def test_a_holder_that_the_kernel_does_not_name_is_another_process(line, cable, monkeypatch) -> None:
    monkeypatch.setattr(serial_module, "LOCKS", Path("/nonexistent"))
    with pytest.raises(TransportLost, match="held by another process"):
        open_serial({"port": cable.path})


def test_bytes_that_nobody_takes_do_not_keep_us_waiting(line, monkeypatch) -> None:
    """A pseudo terminal that nobody reads takes some thousand bytes, and no more."""
    monkeypatch.setattr(serial_module, "_BEYOND_LINE_TIME", 0.1)
    monkeypatch.setattr(serial_module, "line_time", lambda *_: 0.1)
    with pytest.raises(TransportLost, match="could not send"):
        line.write(bytes(400_000))


def test_an_own_close_can_be_repeated_and_ends_everything(line) -> None:
    line.close()
    line.close()
    for act in (lambda: line.read(1, 1), lambda: line.write(b"x"), lambda: line.set_baud(9600)):
        with pytest.raises(TransportLost):
            act()


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [({}, "needs port"), ({"port": "/dev/null", "baud": 1234}, "no port has 1234 baud")],
)
def test_wrong_parameters_are_named(parameters, wrong) -> None:
    with pytest.raises(ConfigurationError, match=wrong):
        open_serial(parameters)
