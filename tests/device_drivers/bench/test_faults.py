"""A bench that refuses, keeps silent, lies or goes away: one lab fault each, in time, nothing left behind."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from decimal import Decimal

import pytest

from device_drivers.bench.controller import NoController
from device_drivers.bench.modbus.bench import open_modbus_bench
from device_drivers.bench.modbus.client import open_link
from device_drivers.simulated.modbus_bench import Request
from harness.domain.bench import ReadBack, Table
from harness.domain.errors import BenchFault, BeyondBench, ConfigurationError, TransportLost
from harness.domain.words import DeviceType
from tests.device_drivers.bench.conftest import Bay, belongings

COIL, HOLDING = Table.COIL, Table.HOLDING_REGISTER


@contextmanager
def peer(answer: Callable[[socket.socket, bytes], None]) -> Iterator[tuple[str, int]]:
    """A server by hand: each request that it gets is answered so."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while request := connection.recv(300):
                answer(connection, request)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            thread.join(5)
            assert not thread.is_alive()


def frame(request: bytes, pdu: bytes, **changed: int) -> bytes:
    """An answer to a request, right but for what is changed."""
    tid = changed.get("tid", int.from_bytes(request[:2]))
    device = changed.get("device", request[6])
    head = tid.to_bytes(2) + changed.get("protocol", 0).to_bytes(2) + (len(pdu) + 1).to_bytes(2)
    return head + bytes((device,)) + pdu


def silent(_connection: socket.socket, _request: bytes) -> None:
    """Hears, and says nothing."""


def dripping(connection: socket.socket, request: bytes) -> None:
    """Answers a byte at a time, without end."""
    answer = frame(request, b"\x03\xf8" + bytes(248))
    with suppress(OSError):
        for place in itertools.count():
            connection.sendall(answer[place % len(answer)].to_bytes())
            time.sleep(0.02)


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        lambda there, request: there.sendall(frame(request, b"\x03\x02\x00\x01")[:-2]),
        lambda there, request: there.sendall(frame(request, b"\x03\x02\x00\x01", tid=999)),
        lambda there, request: there.sendall(frame(request, b"\x03\x02\x00\x01", device=9)),
        lambda there, request: there.sendall(frame(request, b"\x03\x02\x00\x01", protocol=7)),
        lambda there, request: there.sendall(frame(request, b"\x55")),
        lambda there, request: there.sendall(frame(request, b"\x03\xff\x00")),
        lambda there, request: there.sendall(b"\x00" * 300),
        lambda there, request: there.sendall(frame(request, b"\x03\x00")),
        dripping,
    ],
    ids=["silent", "half", "strange", "late", "protocol", "function", "length", "zeros", "empty", "dripping"],
)
def test_no_right_answer_in_time_is_a_bench_fault_and_the_link_is_done(settings, answer) -> None:
    began = time.monotonic()
    with peer(answer) as address, closing(open_link(replace(settings, timeout=0.2), address)) as link:
        with pytest.raises(BenchFault, match="'read holding_register 0'"):
            link.read(HOLDING, 0, 1)
        assert time.monotonic() - began < 5
        with pytest.raises(TransportLost, match="closed after an earlier failure"):
            link.read(HOLDING, 0, 1)


def test_a_peer_that_babbles_is_cut_off(settings) -> None:
    def babble(connection: socket.socket, request: bytes) -> None:
        with suppress(OSError):
            while True:
                connection.sendall(b"\x00\x01\x00\x00\xff\xff" * 1_000)

    with (
        peer(babble) as address,
        closing(open_link(replace(settings, timeout=30), address)) as link,
        pytest.raises(BenchFault, match="no answer"),
    ):
        link.read(HOLDING, 0, 1)


def test_a_connection_that_ends_is_a_lost_transport(settings) -> None:
    def leave(connection: socket.socket, _request: bytes) -> None:
        connection.shutdown(socket.SHUT_RDWR)

    with (
        peer(leave) as address,
        closing(open_link(settings, address)) as link,
        pytest.raises(TransportLost, match="connection was lost over 'write coil 3'"),
    ):
        link.write(COIL, 3, (1,))


def test_a_bench_that_is_not_there_says_why(settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with pytest.raises(TransportLost, match=r"could not connect: .*refused"):
        open_link(settings, address)


@pytest.mark.parametrize(
    ("code", "meaning"), [(2, "no such address"), (4, "it failed"), (6, "busy"), (99, "maker")]
)
def test_an_exception_response_is_a_bench_fault_and_the_link_stays(settings, code, meaning) -> None:
    answers = [bytes((0x83, code)), b"\x03\x02\x12\x34"]
    with (
        peer(lambda there, request: there.sendall(frame(request, answers.pop(0)))) as address,
        closing(open_link(settings, address)) as link,
    ):
        with pytest.raises(BenchFault, match=f"exception {code}: .*{meaning}"):
            link.read(HOLDING, 0, 1)
        assert link.read(HOLDING, 0, 1) == (0x1234,)


# --- the driver ----------------------------------------------------------------------------------------


def test_a_relay_that_is_stuck_is_told_by_point_written_and_read(bay, bench) -> None:
    bay.refuse = lambda request: bay.twin.hold("tamper.ESME", False)
    with pytest.raises(BenchFault, match=r"tamper\.ESME was written on and reads off"):
        bench.tamper(DeviceType.ESME, True)


def test_an_instrument_that_takes_another_value_is_told(bay, bench) -> None:
    bay.refuse = lambda request: bay.twin.hold("mains.voltage", Decimal("229.9"))
    with pytest.raises(BenchFault, match=r"mains\.voltage was written 240 V and reads 229\.9 V"):
        bench.voltage(240)


def test_what_the_bench_itself_refuses_is_a_bench_fault(bench) -> None:
    with pytest.raises(BenchFault, match="exception 3"):
        bench.voltage(401)
    bench.voltage(240)


def test_a_feedback_contact_is_waited_for_as_long_as_the_map_says(stand_bay, settings, lab, notes) -> None:
    relay = settings.map.points["tamper.ESME"]
    back = ReadBack(table=Table.DISCRETE_INPUT, address=3, within=0.3)
    points = {**settings.map.points, "tamper.ESME": replace(relay, read_back=back)}
    bay = stand_bay(replace(settings, map=replace(settings.map, points=points)))
    bench = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    looks = itertools.count(1)

    def move_at_the_third_look(request: Request) -> None:
        if request.table is Table.DISCRETE_INPUT and next(looks) == 3:
            bay.twin.hold("tamper.ESME", None)
            bay.twin.touch("tamper.ESME")

    bay.twin.hold("tamper.ESME", False)
    bay.refuse = move_at_the_third_look
    bench.tamper(DeviceType.ESME, True)
    assert next(looks) == 4
    bay.heal()
    bay.twin.hold("tamper.ESME", True)
    began = time.monotonic()
    with pytest.raises(BenchFault, match=r"tamper\.ESME was written off and reads on"):
        bench.tamper(DeviceType.ESME, False)
    assert time.monotonic() - began >= 0.3
    bay.heal()
    bench.close()


def test_a_busy_bench_is_a_bench_fault(bay, bench) -> None:
    bay.refuse = lambda request: 6
    with pytest.raises(BenchFault, match="exception 6: it is busy"):
        bench.load(1000)


@pytest.mark.parametrize("volts", [-1, 7_000])
def test_a_value_that_no_register_holds_never_reaches_the_wire(bay, bench, volts) -> None:
    with pytest.raises(BeyondBench, match=r"mains.voltage takes 0 V to 6553.5 V, not"):
        bench.voltage(volts)
    assert not bay.requests


def test_no_current_gives_power_without_voltage(bench) -> None:
    bench.voltage(0)
    with pytest.raises(BeyondBench, match="no current gives 1000 W"):
        bench.load(1000)


@pytest.mark.parametrize(
    ("lacking", "call"),
    [
        ("load.current", lambda bench: bench.load(100)),
        ("load.angle", lambda bench: bench.load(100, 50)),
        ("mains.voltage", lambda bench: bench.voltage(230)),
        ("gas.flow", lambda bench: bench.gas_flow(1)),
        ("supply.ESME", lambda bench: bench.mains(False)),
        ("supply.CH", lambda bench: bench.power(DeviceType.CH, False)),
        ("tamper.GSME", lambda bench: bench.tamper(DeviceType.GSME, True)),
        ("button.GSME", lambda bench: bench.press_enable(DeviceType.GSME)),
        ("reference.gas_volume", lambda bench: bench.reference()),
        ("temperature", lambda bench: bench.temperature()),
    ],
)
def test_a_function_without_a_point_is_named_with_the_map(bay, open_it, settings, lacking, call) -> None:
    points = {name: point for name, point in settings.map.points.items() if name != lacking}
    safe = {name: value for name, value in settings.safe.items() if name != lacking}
    bench = open_it(map=replace(settings.map, points=points), safe=safe, interlocks=())
    with pytest.raises(BeyondBench, match=rf"bench-?\w* .*has no {lacking}.*bench-map\.yaml"):
        call(bench)


def test_a_rig_whose_twin_was_not_stood_up_says_so(lab, notes) -> None:
    rig = lab.rigs[0]
    with pytest.raises(ConfigurationError, match="nobody says where the Modbus bench of rig ioc-1 listens"):
        open_modbus_bench(rig, lab, notes, NoController(rig.id))


def test_nothing_is_left_after_closing(settings, stand_bay, lab, notes) -> None:
    warm = stand_bay(settings)  # what the library keeps for good is loaded now
    open_modbus_bench(warm.rig(lab), lab, notes, NoController("one")).close()
    before = belongings()
    bay = stand_bay(settings)
    bench = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    assert belongings() != before
    bench.load(1000)
    bench.close()
    bench.close()
    bay.twin.close()
    bay.twin.close()
    assert belongings() == before
    assert bay.house.bench.counts() == bay.house.bench.counts()


def refuses(_bay: Bay) -> int:
    return 4


def keeps_silent(bay: Bay) -> None:
    time.sleep(1.5 * bay.settings.timeout)  # the server's own thread: it answers nobody meanwhile


def goes_away(bay: Bay) -> None:
    bay.twin.drop()


def lies(bay: Bay) -> None:
    bay.twin.hold("load.on", False)


@pytest.mark.parametrize(
    ("wrong", "family", "told"),
    [
        (refuses, BenchFault, "exception 4"),
        (keeps_silent, BenchFault, "no answer"),
        (goes_away, TransportLost, "connection was lost"),
        (lies, BenchFault, "was written on and reads off"),
    ],
)
def test_what_went_wrong_under_load_ends_in_time_with_a_safe_bench_and_nothing_left(
    settings, stand_bay, lab, notes, wrong, family, told
) -> None:
    warm = stand_bay(settings)
    open_modbus_bench(warm.rig(lab), lab, notes, NoController("one")).close()
    before = belongings()
    bay = stand_bay(settings)
    bench = open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    bench.load(1000)
    bay.refuse = lambda request: wrong(bay) if request.words else None
    began = time.monotonic()
    with pytest.raises(family, match=told) as caught:
        bench.load(2000)
    assert time.monotonic() - began < 10
    assert caught.value.suspect
    bay.heal()
    bench.close()
    assert bay.house.bench.demand == (0, 0)
    bay.twin.close()
    assert belongings() == before


def test_nothing_is_left_of_a_bench_that_does_not_open(settings, bay, lab, notes) -> None:
    open_modbus_bench(bay.rig(lab), lab, notes, NoController("one")).close()
    before = belongings()
    bay.refuse = lambda request: 4
    with pytest.raises(BenchFault, match=r"not in its safe state|no known state"):
        open_modbus_bench(bay.rig(lab), lab, notes, NoController("one"))
    after = belongings()
    assert (after[0], after[2]) == (before[0], before[2])
