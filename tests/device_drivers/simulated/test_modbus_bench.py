"""The twin of a bench, spoken to by the library's own client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from device_drivers.simulated.modbus_bench import ModbusBenchTwin
from harness.config.bench_map import read_map
from harness.config.problems import Problems
from harness.domain.bench import ModbusBenchSettings

MAP = Path(__file__).resolve().parents[3] / "lab_config" / "bench-map.yaml"


@pytest.fixture
def settings() -> ModbusBenchSettings:
    register_map = read_map(MAP, Problems())
    assert register_map is not None
    return ModbusBenchSettings(map=register_map, safe={})


@pytest.fixture
def client(house, settings) -> Iterator:
    from pymodbus.client import ModbusTcpClient

    with closing(ModbusBenchTwin(house.bench, settings)) as twin:
        client = ModbusTcpClient(twin.settings.host, port=twin.settings.port, timeout=5, retries=0)
        assert client.connect()
        yield client
        client.close()


def test_it_begins_as_the_bench_is(client) -> None:
    assert client.read_coils(0, count=16).bits == [True, True, *[False] * 14]
    assert client.read_holding_registers(0, count=1).registers == [2300]
    assert client.read_input_registers(0, count=1).registers == [215]


def test_what_is_written_acts_on_the_bench_and_is_kept(client, house) -> None:
    assert not client.write_coil(4, True).isError()
    client.write_registers(2, [10_000_000 >> 16, 10_000_000 & 0xFFFF, 0, 0])
    assert house.bench.demand == (2300, 0)
    assert client.read_holding_registers(2, count=4).registers == [152, 38528, 0, 0]


def test_reference_meters_are_read_exactly(client, house) -> None:
    house.bench.load(1234, -5)
    house.wait(seconds=7)
    registers = client.read_input_registers(16, count=20).registers
    counts = [
        int.from_bytes(b"".join(word.to_bytes(2) for word in registers[at : at + 4])) for at in (0, 4, 8, 12)
    ]
    assert counts == [1234 * 7_000_000, 0, 0, 5 * 7_000_000]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda client: client.read_holding_registers(1, count=1), 2),  # nothing stands there
        (lambda client: client.read_input_registers(200, count=1), 2),
        (lambda client: client.write_registers(1, [1]), 2),
        (lambda client: client.write_register(2, 1), 3),  # half of a value
        (lambda client: client.write_register(0, 4_001), 3),  # 400.1 V
        (lambda client: client.write_coil(10, True), 3),  # this house has no hub
        (lambda client: client.mask_write_register(address=0), 1),
    ],
)
def test_what_it_cannot_do_is_an_exception(client, house, call, code) -> None:
    assert call(client).exception_code == code
    assert client.read_holding_registers(0, count=1).registers == [2300]


def test_what_the_rig_lacks_can_be_written_at_rest(client) -> None:
    assert not client.write_coil(10, False).isError()


def test_a_button_is_pressed_once_until_it_is_let_go(client, house, monkeypatch) -> None:
    pressed = []
    monkeypatch.setattr(house.bench, "press_enable", pressed.append)
    for on in (True, True, False, True):
        client.write_coil(12, on)
    assert pressed == ["ESME", "ESME"]


def test_two_twins_listen_beside_each_other(house, settings) -> None:
    with (
        closing(ModbusBenchTwin(house.bench, settings)) as one,
        closing(ModbusBenchTwin(house.bench, settings)) as other,
    ):
        assert one.settings.port != other.settings.port
