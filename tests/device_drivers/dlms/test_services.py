"""Client and server together, over a real socket, at every level of security."""

from __future__ import annotations

from datetime import timedelta

import pytest

from device_drivers.dlms.acse import Conformance
from device_drivers.dlms.data import Data, Tag, octets, unsigned
from device_drivers.dlms.refs import (
    CLOCK_TIME,
    AttributeRef,
    EntrySelector,
    MethodRef,
    RangeSelector,
    invocation_counter,
)
from device_drivers.dlms.times import decode_date_time
from harness.domain.errors import AccessRefused, UsageError

EVERYONE = ["public", "reader", "management", "management, service-specific"]
MANAGERS = EVERYONE[2:]
NOWHERE = AttributeRef(1, "0-0:99.99.99", 2)


@pytest.fixture(params=EVERYONE)
def client(request, bench, connect):
    return connect(bench.credentials[request.param])


@pytest.fixture(params=MANAGERS)
def manager(request, bench, connect):
    return connect(bench.credentials[request.param])


def test_clock_and_register_are_read(bench, client) -> None:
    assert decode_date_time(client.get(bench.clock).value) == bench.start
    assert client.get(bench.register).value == 123_456


def test_a_refusal_is_named_and_the_association_goes_on(bench, client) -> None:
    with pytest.raises(
        AccessRefused, match=r"0-0:99\.99\.99 attribute 2 \(class 1\): object-undefined"
    ) as refusal:
        client.get(NOWHERE)
    assert refusal.value.result == "object-undefined"
    assert client.get(bench.register).value == 123_456


def test_several_attributes_come_at_once_with_refusals_in_their_place(bench, client) -> None:
    found = client.get_many([bench.register, NOWHERE, bench.note])
    assert found[0].value == 123_456
    assert isinstance(found[1], AccessRefused)
    assert found[2] == octets(b"hello")
    assert client.get_many([]) == []
    assert len(client.get_many([bench.register] * 100)) == 100


@pytest.mark.parametrize(("who", "allowed"), [("public", False), ("reader", False), ("management", True)])
def test_only_those_who_may_write_write(bench, connect, who, allowed) -> None:
    client = connect(bench.credentials[who])
    if allowed:
        client.set(bench.note, octets(b"new"))
    else:
        with pytest.raises(AccessRefused, match="read-write-denied"):
            client.set(bench.note, octets(b"new"))
    assert bench.meter.values[bench.note] == octets(b"new" if allowed else b"hello")


@pytest.mark.parametrize("longest", [128, 129, 200, 1024, 65_535])
@pytest.mark.parametrize("length", [0, 1, 80, 100, 116, 117, 500, 4_000])
def test_what_is_written_arrives_whole_whatever_the_block_size(bench, connect, longest, length) -> None:
    bench.max_pdu = longest
    manager = connect(bench.credentials["management"], max_pdu=longest)
    text = octets(bytes(n % 251 for n in range(length)))
    manager.set(bench.note, text)
    assert bench.meter.values[bench.note] == text
    assert manager.get(bench.note) == text
    assert manager.action(bench.echo, text) == text
    assert bench.meter.acted[-1] == (bench.echo, text)
    assert manager.get_many([bench.note, NOWHERE, bench.note])[::2] == [text, text]


@pytest.mark.parametrize("longest", [128, 333, 1024, 65_535])
def test_a_long_profile_arrives_whole(bench, connect, longest) -> None:
    bench.meter.rows = 1_000
    client = connect(bench.credentials["reader"], max_pdu=longest)
    assert client.get(bench.profile).value == tuple(bench.row(n) for n in range(1_000))


def test_no_apdu_is_longer_than_the_other_side_can_take(bench) -> None:
    bench.max_pdu = 300
    client = bench.client("management", max_pdu=200)
    client.open()
    client.set(bench.note, octets(bytes(2_000)))
    client.action(bench.echo, octets(bytes(2_000)))
    client.get(bench.profile)
    assert max(map(len, client.channel.sent)) <= 300
    assert max(map(len, client.channel.received)) <= 200
    assert max(map(len, client.channel.sent)) > 270  # and blocks are filled
    assert max(map(len, client.channel.received)) > 170


def test_a_profile_is_read_by_range_both_ends_included(bench, client) -> None:
    half_hour = timedelta(minutes=30)
    rows = client.get(
        bench.profile, RangeSelector(bench.start + half_hour, bench.start + 4 * half_hour)
    ).value
    assert rows == tuple(bench.row(n) for n in (1, 2, 3, 4))
    columns = (CLOCK_TIME, bench.register)
    client.get(bench.profile, RangeSelector(bench.start, bench.start, columns))
    assert bench.meter.selected.columns == columns


def test_a_profile_is_read_by_entry_and_column(bench, client) -> None:
    rows = client.get(bench.profile, EntrySelector(3, 5, 2, 3)).value
    assert [tuple(field.value for field in row.value) for row in rows] == [(2, 2), (3, 3), (4, 4)]
    assert len(client.get(bench.profile, EntrySelector(91)).value) == 10


def test_methods_are_invoked_with_and_without_parameters(bench, manager) -> None:
    assert manager.action(bench.switch, Data(Tag.INTEGER, 0)) is None
    assert manager.action(bench.switch) is None
    assert manager.action(bench.echo, unsigned(7)) == unsigned(7)
    assert bench.meter.acted == [
        (bench.switch, Data(Tag.INTEGER, 0)),
        (bench.switch, None),
        (bench.echo, unsigned(7)),
    ]


def test_a_method_is_refused_by_name(bench, connect) -> None:
    with pytest.raises(AccessRefused) as refusal:
        connect(bench.credentials["reader"]).action(bench.switch)
    assert refusal.value.result == "read-write-denied"
    assert bench.meter.acted == []


def test_several_attributes_are_written_at_once(bench, manager) -> None:
    other = AttributeRef(1, "0-0:94.44.27", 2)
    assert manager.set_many([(bench.note, unsigned(1)), (other, unsigned(2))]) == [None, None]
    assert (bench.meter.values[bench.note], bench.meter.values[other]) == (unsigned(1), unsigned(2))


def test_refused_writes_of_a_list_stand_in_their_place(bench, connect) -> None:
    (refusal,) = connect(bench.credentials["reader"]).set_many([(bench.note, unsigned(1))])
    assert refusal.result == "read-write-denied"


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("longest", [128, 200, 1024])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_lists_of_any_length_are_written_and_invoked(bench, connect, general, longest, count) -> None:
    bench.max_pdu = longest
    manager = connect(bench.credentials["management"], max_pdu=longest, general_blocks=general)
    refs = [AttributeRef(1, f"0-0:94.44.{number}", 2) for number in range(count)]
    if count == 40 and longest < 1024 and not general:
        with pytest.raises(ValueError, match="name fewer at once"):  # their names alone are too long
            manager.set_many([(ref, octets(bytes(100))) for ref in refs])
        return
    texts = [octets(bytes([number]) * 100) for number in range(count)]
    assert manager.set_many(list(zip(refs, texts, strict=True))) == [None] * count
    assert [bench.meter.values[ref] for ref in refs] == texts
    assert manager.get_many(refs) == texts
    assert manager.action_many([(bench.echo, text) for text in texts]) == texts
    assert bench.meter.acted == [(bench.echo, text) for text in texts]


def test_what_each_method_of_a_list_returns_stands_in_its_place(bench, manager) -> None:
    assert manager.action_many([]) == []
    done = [(bench.switch, None), (bench.echo, unsigned(7))]
    assert manager.action_many(done) == [None, unsigned(7)]
    assert bench.meter.acted == done
    bench.meter.refuse = "object-undefined"
    refusals = manager.action_many(done)
    assert [refusal.result for refusal in refusals] == ["object-undefined"] * 2


def test_a_value_that_cannot_be_encoded_leaves_the_association_as_it_was(bench, manager) -> None:
    for bad in (unsigned(300), Data(Tag.VISIBLE_STRING, "é")):
        with pytest.raises(ValueError, match="is no"):
            manager.set(bench.note, bad)
    with pytest.raises(ValueError, match="not an OBIS code"):
        manager.get(AttributeRef(1, "nonsense", 2))
    assert manager.get(bench.note) == octets(b"hello")


def test_the_public_client_reads_how_far_a_counter_has_come(bench, connect) -> None:
    manager = connect(bench.credentials["management"])
    public = connect(bench.credentials["public"])
    before = public.get(invocation_counter(1)).value
    manager.get(bench.clock)
    assert public.get(invocation_counter(1)).value == before + 1


def test_evidence_sees_every_apdu_in_plain_and_no_password(bench, connect) -> None:
    seen: list[tuple[str, bytes]] = []
    for who in ("reader", "management"):
        connect(bench.credentials[who], on_apdu=lambda direction, raw: seen.append((direction, raw))).get(
            bench.clock
        )
    assert [direction for direction, _ in seen] == ["sent", "received"] * (len(seen) // 2)
    assert sum(raw == bytes.fromhex("c001c100080000010000ff0200") for _, raw in seen) == 2
    assert not any(bench.password in raw for _, raw in seen)


def test_services_need_an_association(bench) -> None:
    client = bench.client("public")
    with pytest.raises(UsageError, match="open"):
        client.get(bench.clock)
    client.open()
    client.get(bench.clock)
    client.release()
    with pytest.raises(UsageError):
        client.get(bench.clock)


def test_a_device_without_lists_is_asked_one_by_one(bench, monkeypatch) -> None:
    monkeypatch.setattr("device_drivers.dlms.acse.OURS", int(Conformance.GET))
    client = bench.client("management")
    client.open()
    before = len(client.channel.sent)
    assert [type(found) for found in client.get_many([bench.clock, NOWHERE])] == [Data, AccessRefused]
    assert client.set_many([(bench.note, unsigned(1)), (bench.note, unsigned(2))]) == [None, None]
    assert client.action_many([(bench.switch, None), (bench.echo, unsigned(3))]) == [None, unsigned(3)]
    assert len(client.channel.sent) == before + 6


@pytest.mark.parametrize("who", EVERYONE)
def test_a_release_is_answered_in_kind(bench, who) -> None:
    client = bench.client(who)
    client.open()
    client.release()
    ciphered = who.startswith("management")
    assert client.channel.received[-1][:1] == b"\x63"
    assert (b"\xbe" in client.channel.received[-1][:8]) is ciphered


def test_methods_that_do_not_exist_are_refused(bench, manager) -> None:
    bench.meter.refuse = "object-undefined"
    with pytest.raises(AccessRefused) as refusal:
        manager.action(MethodRef(99, "0-0:1.1.1", 1))
    assert refusal.value.result == "object-undefined"
