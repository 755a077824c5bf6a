"""Bytes that no honest peer sends: bounded, seeded and always the same."""

from __future__ import annotations

from random import Random

import pytest

from device_drivers.dlms import acse, apdu
from device_drivers.dlms.acse import (
    AssociationRequest,
    AssociationResponse,
    InitiateRequest,
    InitiateResponse,
)
from device_drivers.dlms.apdu import Block, ExceptionResponse
from device_drivers.dlms.ciphering import Keys, wrap
from device_drivers.dlms.client import counter_name
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import Data, Tag, array, octets, structure, unsigned
from device_drivers.dlms.link import LONGEST_TRANSFER as LONGEST_ANSWER
from device_drivers.dlms.refs import AttributeRef, MethodRef
from device_drivers.dlms.services import LONGEST_TRANSFER, MOST_TARGETS
from harness.domain.errors import AccessRefused, ProtocolViolation

GET_CLOCK = bytes.fromhex("c001c100080000010000ff0200")
NOTE = AttributeRef(1, "0-0:94.44.26", 2)


def test_the_server_answers_or_stays_silent_whatever_comes(bench, conversation, damaged) -> None:
    random, answered = Random(1), 0
    server = bench.server()
    aarq = AssociationRequest(user_information=InitiateRequest(acse.OURS, 400).encode()).encode()
    for number in range(4_000):
        if number % 20 == 0:
            assert AssociationResponse.decode(server.handle(aarq, 16)[0]).result == 0
        raw = (
            damaged(random, random.choice(conversation))
            if number % 4
            else random.randbytes(random.randrange(60))
        )
        answered += bool(server.handle(raw, random.choice((16, 16, 16, 3, 1))))
    assert answered == 4_000
    assert AssociationResponse.decode(server.handle(aarq, 16)[0]).result == 0


def test_the_server_survives_what_an_authenticated_client_may_cipher(bench, conversation, damaged) -> None:
    random, keys, (title, _) = Random(2), Keys(*bench.keys), bench.titles
    counters = MemoryCounters()
    counters.raise_to(counter_name(bench.credentials["management"]), 1_000)
    client = bench.client("management", counters=counters)
    client.open()
    for counter in range(2_000, 4_000):
        plain = damaged(random, random.choice(conversation)) or b"\x00"
        assert client.channel.exchange(wrap(plain, keys.seal(title, counter, plain), title, general=True), 1)


class Answering:
    """A channel whose device answers as it is told."""

    def __init__(self, answer):
        self.answer = answer

    def send(self, raw: bytes, timeout: float) -> None:
        self.sent = raw

    def receive(self, timeout: float) -> bytes:
        return self.answer(self.sent)

    def close(self) -> None:
        """Nothing to let go of."""


def welcomed(answer):
    """A channel that lets the public client in and then gives ``answer`` to each request."""
    accepted = AssociationResponse(
        1, 0, 0, user_information=InitiateResponse(acse.OURS, 200).encode()
    ).encode()
    return Answering(lambda raw: accepted if raw[:1] == b"\x60" else answer(raw))


def ask_something(client, bench, service: int) -> None:
    match service:
        case 0:
            client.get(bench.profile)
        case 1:
            client.get_many([bench.clock])
        case 2:
            client.set(bench.note, octets(bytes(400)))
        case 3:
            client.action(bench.echo, octets(bytes(400)))


def test_the_client_reads_or_refuses_whatever_comes(bench, conversation, damaged) -> None:
    random, violations = Random(3), 0
    answers = [raw for raw in conversation if raw[0] in (0xC4, 0xC5, 0xC7, 0xD8, 0x61, 0x63)]

    def answer(_: bytes) -> bytes:
        return damaged(random, random.choice(answers))

    for number in range(3_200):
        client = bench.client("public", channel=welcomed(answer))
        client.open()
        try:
            ask_something(client, bench, number % 4)
        except (ProtocolViolation, AccessRefused) as error:
            violations += isinstance(error, ProtocolViolation)
    assert violations > 1_000


def test_the_client_survives_any_answer_to_its_request_to_be_let_in(bench, damaged) -> None:
    random = Random(4)
    for who in ("public", "management"):
        valid = bench.client(who)
        valid.open()
        aare = valid.channel.received[0]
        for _ in range(500):
            client = bench.client(who, channel=Answering(lambda _: damaged(random, aare)))  # noqa: B023
            try:
                client.open()
            except (ProtocolViolation, AccessRefused):
                continue


def test_blocks_without_end_are_refused(bench) -> None:
    def endless(size: int):
        def answer(raw: bytes) -> bytes:
            request = apdu.decode(raw)
            number = request.block + 1 if isinstance(request, apdu.GetNext) else 1
            return apdu.encode(apdu.GetBlock(request.invoke, False, number, bytes(size)))

        return answer

    for size, why in ((60_000, "more than"), (0, "empty and not the last")):
        asked: list[bytes] = []
        client = bench.client(
            "public",
            channel=welcomed(endless(size)),
            on_apdu=lambda _, raw, asked=asked: asked.append(raw[:2]),
        )
        client.open()
        with pytest.raises(ProtocolViolation, match=why):
            client.get(bench.profile)
        assert asked.count(b"\xc0\x02") * size <= LONGEST_ANSWER


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (apdu.GetResponse(0xC5, unsigned(1)), "an answer to invocation 5, expected 1"),
        (apdu.SetResponse(0xC1, "success"), "SetResponse in answer to GetRequest"),
        (apdu.GetBlock(0xC1, True, 2, b"\x00"), "block 2 came where block 1 was due"),
        (apdu.GetBlock(0xC1, True, 1, b"\x11"), "ends where more was due"),
    ],
)
def test_an_answer_to_something_else_is_not_taken(bench, answer, why) -> None:
    client = bench.client("public", channel=welcomed(lambda _: apdu.encode(answer)))
    client.open()
    with pytest.raises(ProtocolViolation, match=why):
        client.get(bench.clock)


# --- the server's bounds -------------------------------------------------------------------------------


@pytest.fixture
def ask(bench):
    """One request in plain, as the association of the public client, its answer decoded."""
    server = bench.server()
    initiate = InitiateRequest(bench.service_blocks, 300).encode()
    server.handle(AssociationRequest(user_information=initiate).encode(), 16)
    return lambda request: apdu.decode(*server.handle(apdu.encode(request), 16))


def test_a_transfer_that_grows_too_long_is_stopped(ask) -> None:
    piece = bytes(60_000)
    answer = ask(apdu.SetFirstBlock(0xC1, NOTE, None, Block(False, 1, piece)))
    number = 1
    while isinstance(answer, apdu.SetBlockReceived):
        number += 1
        answer = ask(apdu.SetBlock(0xC1, Block(False, number, piece)))
    assert answer == apdu.SetResponse(0xC1, "long-set-aborted")
    assert number == LONGEST_TRANSFER // 60_000 + 1


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (apdu.GetNext(0xC1, 1), apdu.GetBlock(0xC1, True, 1, "no-long-get-in-progress")),
        (apdu.ActionNext(0xC1, 1), apdu.ActionResponse(0xC1, "no-long-action-in-progress")),
        (apdu.SetBlock(0xC1, Block(True, 1, b"")), apdu.SetResponse(0xC1, "no-long-set-in-progress")),
        (
            apdu.ActionBlock(0xC1, Block(True, 2, b"")),
            apdu.ActionResponse(0xC1, "no-long-action-in-progress"),
        ),
        (
            apdu.SetFirstBlock(0xC1, NOTE, None, Block(False, 2, b"a")),
            apdu.SetResponse(0xC1, "data-block-number-invalid"),
        ),
        (
            apdu.SetFirstBlock(0xC1, NOTE, None, Block(False, 1, b"")),
            apdu.SetResponse(0xC1, "data-block-number-invalid"),
        ),
        (
            apdu.SetFirstBlock(0xC1, NOTE, None, Block(True, 1, b"\xff")),
            ExceptionResponse("service-unknown", "other-reason"),
        ),
        (
            apdu.SetList(0xC1, ((NOTE, None),), ()),
            ExceptionResponse("service-unknown", "other-reason"),
        ),
        (
            apdu.GetList(0xC1, ((NOTE, None),) * (MOST_TARGETS + 1)),
            ExceptionResponse("service-not-allowed", "operation-not-possible"),
        ),
        (apdu.GetResponse(0xC1, unsigned(1)), ExceptionResponse("service-unknown", "service-not-supported")),
        (
            ExceptionResponse("service-unknown", "other-reason"),
            ExceptionResponse("service-unknown", "service-not-supported"),
        ),
    ],
)
def test_requests_out_of_place_are_answered_by_name(ask, request_, answer) -> None:
    assert ask(request_) == answer


def test_blocks_out_of_order_end_the_transfer(ask) -> None:
    first = ask(apdu.GetRequest(0xC1, AttributeRef(7, "1-0:99.1.0", 2)))
    assert (first.number, first.last) == (1, False)
    assert ask(apdu.GetNext(0xC1, 7)).result == "data-block-number-invalid"
    assert ask(apdu.GetNext(0xC1, 1)).result == "no-long-get-in-progress"


def test_a_new_request_ends_a_transfer_that_was_not_finished(ask) -> None:
    ask(apdu.GetRequest(0xC1, AttributeRef(7, "1-0:99.1.0", 2)))
    ask(apdu.GetRequest(0xC1, NOTE))
    assert ask(apdu.GetNext(0xC1, 1)).result == "no-long-get-in-progress"
    ask(apdu.ActionFirstBlock(0xC1, MethodRef(9, "0-0:10.0.0", 1), Block(False, 1, b"\x09")))
    assert ask(apdu.SetBlock(0xC1, Block(True, 2, b"a"))).result == "no-long-set-in-progress"


def test_an_apdu_longer_than_agreed_is_refused(bench) -> None:
    bench.max_pdu = 500
    assert apdu.decode(bench.channel(16).exchange(bytes(501), 1)).service_error == "pdu-too-long"


def test_a_profile_selection_that_makes_no_sense_is_refused(ask) -> None:
    selection = apdu.Selection(1, structure(unsigned(1), unsigned(2), array(), Data(Tag.NULL)))
    assert ask(apdu.GetRequest(0xC1, NOTE, selection)).result == "scope-of-access-violated"
