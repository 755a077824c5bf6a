"""Modbus RTU over a pty."""

from __future__ import annotations

import os
import threading
import tty
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pymodbus.framer import FramerRTU

from device_drivers.bench.controller import NoController
from device_drivers.bench.modbus.bench import open_modbus_bench
from device_drivers.bench.modbus.client import open_link
from harness.domain.bench import SerialPort, Table
from harness.domain.errors import BenchFault, TransportLost
from harness.domain.words import DeviceType
from tests.device_drivers.bench.conftest import belongings


@pytest.fixture
def serial_settings(settings):
    return replace(settings, serial=SerialPort(port="", baud=115_200))


def test_a_bench_on_a_serial_port_does_what_one_on_a_socket_does(
    serial_settings, stand_bay, lab, notes
) -> None:
    bay = stand_bay(serial_settings)
    assert Path(bay.settings.serial.port).exists()
    bench = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    bench.load(-1234, 567)
    assert bay.house.bench.demand == (-1234, 567)
    bay.house.wait(hours=1)
    assert bench.reference() == bay.house.bench.reference()
    assert bench.reference().active_export == Decimal(1234)
    bench.close()
    assert bay.house.bench.demand == (0, 0)


def test_the_port_is_nobody_elses_meanwhile(serial_settings, stand_bay) -> None:
    bay = stand_bay(serial_settings)
    link = open_link(bay.settings, ("", 0))
    with pytest.raises(TransportLost, match=r"modbus rtu /dev/pts/.*could not be opened"):
        open_link(bay.settings, ("", 0))
    link.close()
    open_link(bay.settings, ("", 0)).close()


def test_an_adapter_that_is_not_there_says_so(settings) -> None:
    nowhere = replace(settings, serial=SerialPort(port="/dev/serial/by-id/none"))
    with pytest.raises(TransportLost, match=r"by-id/none: could not be opened: .*No such file"):
        open_link(nowhere, ("", 0))


def test_silence_on_the_line_is_a_bench_fault(settings) -> None:
    master, slave = os.openpty()
    link = open_link(replace(settings, serial=SerialPort(port=os.ttyname(slave)), timeout=0.2), ("", 0))
    with pytest.raises(BenchFault, match="no answer of device 1"):
        link.read(Table.COIL, 0, 1)
    os.close(slave)
    os.close(master)


def test_an_exception_response_on_the_line_is_a_bench_fault_and_the_link_stays(
    serial_settings, stand_bay, lab, notes
) -> None:
    bay = stand_bay(serial_settings)
    bench = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    bay.refuse = lambda request: 4 if request.words else None
    with pytest.raises(BenchFault, match=r"refused 'write coil 8' with exception 4"):
        bench.tamper(DeviceType.ESME, True)
    bay.heal()
    bench.tamper(DeviceType.ESME, True)
    assert bay.house.esme.values["cover_open"]
    bench.close()


@pytest.mark.parametrize("disturbed", [0, 1])
def test_an_answer_counts_if_its_check_sum_is_right(settings, disturbed: int) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    answer = b"\x01\x01\x01\x01"
    low, high = FramerRTU.compute_CRC(answer).to_bytes(2)

    def respond() -> None:
        os.read(master, 256)
        os.write(master, answer + bytes((low, high ^ disturbed)))

    link = open_link(replace(settings, serial=SerialPort(port=os.ttyname(slave)), timeout=0.3), ("", 0))
    responding = threading.Thread(target=respond)
    responding.start()
    if disturbed:
        with pytest.raises(BenchFault, match="no answer of device 1"):
            link.read(Table.COIL, 0, 1)
    else:
        assert link.read(Table.COIL, 0, 1) == (1,)
    responding.join()
    link.close()
    os.close(slave)
    os.close(master)


def test_an_adapter_pulled_out_is_a_lost_transport(settings) -> None:
    master, slave = os.openpty()
    link = open_link(replace(settings, serial=SerialPort(port=os.ttyname(slave)), timeout=0.5), ("", 0))
    os.close(slave)
    os.close(master)
    with pytest.raises(TransportLost):
        link.read(Table.COIL, 0, 1)
    link.close()


def test_nothing_is_left_of_a_twin_behind_a_pty(serial_settings, stand_bay) -> None:
    stand_bay(serial_settings).twin.close()
    before = belongings()
    bay = stand_bay(serial_settings)
    open_link(bay.settings, ("", 0)).close()
    bay.twin.close()
    assert belongings() == before
