"""A twin as COSEM objects: over DLMS on a real socket, and by the rights of its clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import pytest

from device_drivers.dlms.client import DlmsClient, WrapperChannel
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import NULL, Data, Tag, double_long_unsigned, long_unsigned, octets
from device_drivers.dlms.refs import (
    AttributeRef,
    EntrySelector,
    MethodRef,
    RangeSelector,
    format_obis,
    invocation_counter,
)
from device_drivers.dlms.security import Association, Credentials
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.simulated.cosem import MANAGEMENT, READER, S1SP, TwinModel
from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import AccessRefused

PUBLIC = 16
CLOCK = AttributeRef(8, "0-0:1.0.0", 2)
IMPORT = AttributeRef(3, "1-0:1.8.0", 2)
PROFILE = AttributeRef(7, "1-0:99.1.0", 2)
MESSAGE = AttributeRef(1, "0-0:94.44.26", 2)
CLIENTS = {
    MANAGEMENT: Credentials("lls", MANAGEMENT, password=b"12345678"),
    S1SP: Credentials(
        "hls-gmac", S1SP, system_title=b"S1SP0001", encryption_key=b"e" * 16, authentication_key=b"a" * 16
    ),
    READER: Credentials("lls", READER, password=b"reader"),
    PUBLIC: Credentials("none", PUBLIC),
}

Connect = Callable[[int], Any]


@contextmanager
def served(meter: Any, lock: Any) -> Iterator[Connect]:
    """A port with that meter behind it; gives open clients by their SAP."""
    counters = MemoryCounters()
    doors = {
        sap: Association(
            sap, who.mechanism, who.password, who.encryption_key, who.authentication_key, who.system_title
        )
        for sap, who in CLIENTS.items()
    }
    model = TwinModel(meter, counters)
    server = TcpDlmsServer(lambda: DlmsServer(model, doors, b"MTR00001", counters), lock=lock)
    server.start()
    opened: list[DlmsClient] = []

    def connect(sap: int) -> DlmsClient:
        host, port = server.address
        transport = open_tcp({"host": host, "port": port, "connect_timeout": 2.0})
        client = DlmsClient(WrapperChannel(transport, sap), CLIENTS[sap], MemoryCounters())
        client.open()
        opened.append(client)
        return client

    try:
        yield connect
    finally:
        for client in opened:
            client.close()
        server.close()


@pytest.fixture
def old_house(a_house: Callable[..., Any]) -> Any:
    return a_house(history_days=100)


@pytest.fixture
def connect(old_house: Any) -> Iterator[Connect]:
    with served(old_house.esme, old_house.clock.lock) as connect:
        yield connect


# Over a socket


@pytest.mark.parametrize("sap", [MANAGEMENT, S1SP, READER])
def test_every_item_read_over_dlms_is_what_the_twin_holds(old_house: Any, connect: Connect, sap: int) -> None:
    items = old_house.esme.table.items.values()
    found = connect(sap).get_many([AttributeRef(i.class_id, i.obis, i.attribute) for i in items])
    for item, data in zip(items, found, strict=True):
        assert item.form.decode(data) == old_house.esme.get(item.name), item.name


def test_every_log_read_over_dlms_is_what_the_twin_holds(old_house: Any, connect: Connect) -> None:
    for log in old_house.esme.table.logs.values():
        rows = connect(READER).get(AttributeRef(7, log.obis, 2)).value
        forms = [form for _, _, form, _ in log.columns]
        decoded = tuple(
            tuple(form.decode(cell) for form, cell in zip(forms, row.value[1:], strict=True)) for row in rows
        )
        assert decoded == tuple(row[1:] for row in old_house.esme.rows(log.name))


def test_three_months_of_half_hours_are_read_whole(old_house: Any, connect: Connect) -> None:
    assert len(connect(S1SP).get(PROFILE, EntrySelector(1, 4_464)).value) == 4_464


def test_a_range_has_both_its_ends_and_the_columns_asked_for(old_house: Any, connect: Connect) -> None:
    end = old_house.esme.rows("profile")[-1][0]
    start = end - timedelta(hours=2)
    rows = connect(READER).get(PROFILE, RangeSelector(start, end)).value
    assert [len(row.value) for row in rows] == [5] * 5
    columns = (CLOCK, AttributeRef(3, "1-0:2.29.0", 2))
    narrow = connect(READER).get(PROFILE, RangeSelector(start, end, columns)).value
    assert [row.value for row in narrow] == [(row.value[0], row.value[2]) for row in rows]


def test_entries_and_columns_are_counted_from_one(old_house: Any, connect: Connect) -> None:
    every = connect(READER).get(PROFILE).value
    client = connect(READER)
    assert client.get(PROFILE, EntrySelector(1, 2)).value == every[:2]
    assert client.get(PROFILE, EntrySelector(len(every), 0)).value == every[-1:]
    assert [row.value for row in client.get(PROFILE, EntrySelector(5, 6, 2, 3)).value] == [
        row.value[1:3] for row in every[4:6]
    ]
    with pytest.raises(AccessRefused):
        client.get(PROFILE, EntrySelector(0, 2))


def test_settings_are_written_and_commands_run(old_house: Any, connect: Connect) -> None:
    client = connect(S1SP)
    client.set(MESSAGE, octets(b"hello"))
    assert old_house.esme.get("message") == "hello"
    client.action(MethodRef(9, "0-0:10.0.106", 1), long_unsigned(1))
    assert old_house.esme.get("supply_state") == "Disabled"
    client.action(MethodRef(9, "0-0:10.0.106", 1), long_unsigned(2))
    assert old_house.esme.get("supply_state") == "Enabled"
    with pytest.raises(AccessRefused) as refused:
        client.action(MethodRef(9, "0-0:10.0.106", 1), long_unsigned(9))
    assert refused.value.result == "object-undefined"


def test_a_log_is_cleared_by_its_reset(old_house: Any, connect: Connect) -> None:
    old_house.esme.set("message", "x")
    connect(MANAGEMENT).action(MethodRef(7, "0-0:99.98.0", 1), Data(Tag.INTEGER, 0))
    assert old_house.esme.rows("event_log") == ()


def test_reading_while_lab_time_jumps_shows_a_register_that_only_rises(
    old_house: Any, connect: Connect
) -> None:
    client, seen = connect(S1SP), []
    reader = Thread(target=lambda: seen.extend(client.get(IMPORT).value for _ in range(200)))
    old_house.bench.load(10_000)
    reader.start()
    while reader.is_alive():
        old_house.wait(minutes=7)
    reader.join()
    assert len(seen) == 200
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    assert sum(old_house.esme.get("tou_registers")) == old_house.esme.get("active_import")


def test_what_the_meter_refuses_is_refused_with_its_reason(connect: Connect) -> None:
    client = connect(MANAGEMENT)
    for ref, data, result in (
        (MESSAGE, long_unsigned(1), "type-unmatched"),
        (AttributeRef(1, "0-0:94.44.37", 2), Data(Tag.INTEGER, 1), "other-reason"),  # price scale
        (IMPORT, Data(Tag.LONG64_UNSIGNED, 1), "read-write-denied"),
        (AttributeRef(3, "1-0:77.7.7", 2), double_long_unsigned(1), "object-undefined"),
    ):
        with pytest.raises(AccessRefused) as refused:
            client.set(ref, data)
        assert refused.value.result == result


# Rights


def test_the_public_client_sees_who_the_meter_is_and_no_more(connect: Connect) -> None:
    client = connect(PUBLIC)
    assert client.get(CLOCK).tag is Tag.OCTET_STRING
    assert client.get(AttributeRef(1, "1-0:0.2.0", 2)) == octets(b"1.0.0")
    for ref in (IMPORT, MESSAGE, PROFILE, AttributeRef(3, "1-0:1.8.0", 3)):
        with pytest.raises(AccessRefused) as refused:
            client.get(ref)
        assert refused.value.result == "read-write-denied"
    for write in (
        lambda: client.set(CLOCK, octets(bytes(12))),
        lambda: client.action(MethodRef(70, "0-0:96.3.10", 1), Data(Tag.INTEGER, 0)),
    ):
        with pytest.raises(AccessRefused):
            write()


def test_the_reader_reads_and_neither_writes_nor_commands(old_house: Any, connect: Connect) -> None:
    client = connect(READER)
    with pytest.raises(AccessRefused):
        client.set(MESSAGE, octets(b"hello"))
    with pytest.raises(AccessRefused):
        client.action(MethodRef(70, "0-0:96.3.10", 1), Data(Tag.INTEGER, 0))
    assert (old_house.esme.get("message"), old_house.esme.get("supply_state")) == ("", "Enabled")


def test_after_a_change_of_tenancy_the_reader_sees_no_older_row(old_house: Any, connect: Connect) -> None:
    old_house.esme.act("restrict_access")
    old_house.wait(hours=1)
    assert len(connect(READER).get(PROFILE).value) == 2
    assert len(connect(S1SP).get(PROFILE).value) == 100 * 48 + 2


def test_the_public_client_reads_each_clients_invocation_counter(connect: Connect) -> None:
    public = connect(PUBLIC)
    before = public.get(invocation_counter(S1SP)).value
    client = connect(S1SP)
    client.get(IMPORT)
    assert public.get(invocation_counter(S1SP)).value > before
    assert public.get(invocation_counter(MANAGEMENT)).value == 0


# What follows from the table


def test_registers_tell_their_scaler_and_unit(house: Any) -> None:
    def told(meter: Any, obis: str) -> tuple[int, int]:
        scaler, unit = TwinModel(meter).get(AttributeRef(3, obis, 3), None, READER).value
        return scaler.value, unit.value

    assert told(house.esme, "1-0:1.8.0") == (0, 30)
    assert told(house.esme, "1-0:3.8.0") == (0, 32)
    assert told(house.esme, "1-0:1.7.0") == (0, 27)
    assert told(house.esme, "1-0:32.7.0") == (-1, 35)
    assert told(house.gsme, "7-0:3.0.0") == (-3, 13)


def test_a_profile_tells_what_it_captures_how_often_and_how_much_there_is(old_house: Any) -> None:
    model = TwinModel(old_house.esme)

    def attribute(number: int) -> Data:
        return model.get(AttributeRef(7, "1-0:99.1.0", number), None, READER)

    captured = [
        (ref.value[0].value, format_obis(ref.value[1].value), ref.value[2].value)
        for ref in attribute(3).value
    ]
    assert captured == [(8, "0-0:1.0.0", 2), *((3, f"1-0:{n}.29.0", 2) for n in (1, 2, 3, 4))]
    assert [attribute(n).value for n in (4, 5, 7, 8)] == [1_800, 1, 4_800, 19_056]
    assert attribute(6).value[0].value == 8


def test_the_clock_keeps_utc(house: Any) -> None:
    model = TwinModel(house.esme)
    values = [model.get(AttributeRef(8, "0-0:1.0.0", n), None, PUBLIC).value for n in (3, 4, 7, 8)]
    assert values == [0, 0, 0, False]


def test_the_association_lists_every_object_with_this_clients_rights(house: Any) -> None:
    model = TwinModel(house.esme)

    def rights(client: int) -> dict[tuple[int, str], dict[int, int]]:
        listed = model.get(AttributeRef(15, "0-0:40.0.0", 2), None, client).value
        return {
            (element.value[0].value, format_obis(element.value[2].value)): {
                access.value[0].value: access.value[1].value for access in element.value[3].value[0].value
            }
            for element in listed
        }

    assert {(i.class_id, i.obis) for i in house.esme.table.items.values()} <= set(rights(READER))
    assert {(7, log.obis) for log in house.esme.table.logs.values()} <= set(rights(READER))
    for client, message, clock, balance, volume in (
        (MANAGEMENT, 3, 3, 3, 1),
        (S1SP, 3, 3, 1, 1),
        (READER, 1, 1, 1, 1),
        (PUBLIC, 0, 1, 0, 0),
    ):
        of = rights(client)
        assert of[1, "0-0:94.44.26"][2] == message
        assert of[8, "0-0:1.0.0"][2] == clock
        assert of[1, "0-0:94.44.2"][2] == balance
        assert of[3, "1-0:1.8.0"][2] == volume


def test_every_object_tells_its_logical_name(house: Any) -> None:
    model = TwinModel(house.gsme)
    for item in house.gsme.table.items.values():
        name = model.get(AttributeRef(item.class_id, item.obis, 1), None, PUBLIC)
        assert format_obis(name.value) == item.obis


def test_what_is_nowhere_is_undefined_and_what_has_no_value_is_denied(house: Any) -> None:
    model = TwinModel(house.esme)
    for ref, result in (
        (AttributeRef(3, "1-0:9.9.9", 2), "object-undefined"),
        (AttributeRef(3, "1-0:1.8.0", 9), "read-write-denied"),
        (AttributeRef(7, "1-0:99.1.0", 77), "read-write-denied"),
    ):
        with pytest.raises(AccessRefused) as refused:
            model.get(ref, None, MANAGEMENT)
        assert refused.value.result == result
    with pytest.raises(AccessRefused) as refused:
        model.action(MethodRef(70, "0-0:96.3.10", 1), NULL, MANAGEMENT)
    assert refused.value.result == "type-unmatched"


def test_gas_is_read_in_cubic_metres(a_house: Callable[..., Any]) -> None:
    house = a_house(history_days=3)
    with served(house.gsme, house.clock.lock) as connect:
        volume = house.gsme.table.items["gas_volume"].form.decode(
            connect(S1SP).get(AttributeRef(3, "7-0:3.0.0", 2))
        )
    assert volume == house.gsme.get("gas_volume") > Decimal(0)
