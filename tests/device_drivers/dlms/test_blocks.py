"""General block transfer: the state machine by itself, then the two ends over it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_drivers.dlms import acse, apdu
from device_drivers.dlms.acse import AssociationRequest, Conformance, InitiateRequest
from device_drivers.dlms.blocks import GENERAL_BLOCK, GeneralBlock, GeneralBlocks
from device_drivers.dlms.ciphering import is_sealed
from device_drivers.dlms.data import octets
from device_drivers.dlms.refs import AttributeRef
from harness.domain.errors import ProtocolViolation

LONGEST = 40
BLOCKS = st.builds(
    GeneralBlock,
    st.booleans(),
    st.booleans(),
    st.integers(0, 63),
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.binary(max_size=300),
)


@given(BLOCKS)
@settings(deadline=None)
def test_decoding_undoes_encoding(block: GeneralBlock) -> None:
    assert GeneralBlock.decode(block.encode()) == block


def test_bytes_are_those_of_the_standard() -> None:
    block = GeneralBlock(True, False, 5, 2, 7, b"\xc0\x01")
    assert block.encode().hex() == "e08500020007" + "02c001"
    assert GeneralBlock.decode(bytes.fromhex("e0460001000000")).streaming


# --- the state machine ---------------------------------------------------------------------------------


def ends(client_window: int = 63, server_window: int = 63, most: int = 100_000):
    return (
        GeneralBlocks(longest=LONGEST, most=most, window=client_window),
        GeneralBlocks(longest=LONGEST, most=most, window=server_window, answers=True),
    )


class Wire:
    """Two ends and what passes between them; ``lose`` says of each block whether it is lost on the way."""

    def __init__(self, client, server, lose=lambda block: False):
        self.client, self.server, self.lose = client, server, lose
        self.passed: list[tuple[str, GeneralBlock]] = []

    def exchange(self, request: bytes, answer: bytes) -> tuple[bytes, bytes]:
        """What each end has received when nothing is sent any more."""
        asked, answered = None, None
        to_server, to_client = list(self.client.ask(request)), []
        while to_server or to_client:
            for raw in self._pass("client", to_server):
                step = self.server.take(raw)
                to_client += step.send
                if step.whole is not None:
                    asked = step.whole
                    to_client += self.server.send(answer)
            to_server = []
            for raw in self._pass("server", to_client):
                step = self.client.take(raw)
                to_server += step.send
                answered = step.whole if step.whole is not None else answered
            to_client = []
        return asked, answered

    def _pass(self, sender: str, raws: list[bytes]) -> list[bytes]:
        blocks = [GeneralBlock.decode(raw) for raw in raws]
        self.passed += [(sender, block) for block in blocks]
        return [block.encode() for block in blocks if not self.lose(block)]


@given(
    st.binary(min_size=1, max_size=2_000),
    st.binary(min_size=1, max_size=2_000),
    st.integers(1, 63),
    st.integers(1, 63),
)
@settings(max_examples=150, deadline=None)
def test_both_ends_receive_what_the_other_sent_whatever_the_windows(request, answer, ours, theirs) -> None:
    wire = Wire(*ends(ours, theirs))
    assert wire.exchange(request, answer) == (request, answer)
    assert wire.exchange(answer, request) == (answer, request)  # and again in the same association


@given(st.integers(0, 2**32), st.integers(2, 63), st.integers(2, 63))
@settings(max_examples=150, deadline=None)
def test_lost_blocks_are_sent_again(seed: int, ours: int, theirs: int) -> None:
    random = Random(seed)
    spared: set[tuple[int, bytes]] = set()

    def lose(block: GeneralBlock) -> bool:
        """Each block once at most, and never the end of a window."""
        seen = (block.number, block.raw) in spared
        spared.add((block.number, block.raw))
        return block.streaming and not seen and random.random() < 0.2

    request, answer = random.randbytes(1_500), random.randbytes(3_000)
    assert Wire(*ends(ours, theirs), lose).exchange(request, answer) == (request, answer)


def test_at_the_end_of_a_window_the_first_missing_block_is_asked_for() -> None:
    _, server = ends()
    raws = [
        GeneralBlock(last, streaming, 9, number, 0, bytes((number,)) * 3).encode()
        for number, last, streaming in ((1, False, True), (2, False, True), (3, True, False))
    ]
    assert server.take(raws[0]).send == ()
    (missing,) = server.take(raws[2]).send
    assert GeneralBlock.decode(missing).acknowledged == 1
    assert server.take(raws[1]).send == ()
    assert server.take(raws[2]).whole == bytes((1, 1, 1, 2, 2, 2, 3, 3, 3))


def test_a_window_of_blocks_streams_and_only_its_end_waits() -> None:
    wire = Wire(*ends(client_window=4, server_window=3))
    wire.exchange(bytes(300), bytes(600))
    asked = [block for who, block in wire.passed if who == "client" and block.raw]
    # Nobody has named a window before the first answer: the first block goes alone, then three at a time.
    assert [block.streaming for block in asked] == [False, *[True, True, False] * 2, True, True, False][:10]
    answered = [block for who, block in wire.passed if who == "server" and block.raw]
    assert [block.streaming for block in answered[:8]] == [True, True, True, False] * 2
    assert [block.last for block in answered] == [False] * (len(answered) - 1) + [True]
    assert [block.number for block in answered] == list(
        range(answered[0].number, answered[0].number + len(answered))
    )
    assert max(len(block.encode()) for _, block in wire.passed) == LONGEST


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (GeneralBlock(False, True, 9, 5, 0, b"a"), "block 5 came where 1 was due"),
        (GeneralBlock(False, True, 9, 0, 0, b"a"), "block 0 came where 1 was due"),
        (GeneralBlock(False, True, 9, 1, 2, b"a"), "block 2 acknowledged, 0 is the last sent"),
        (GeneralBlock(True, False, 9, 1, 7, b""), "block 7 acknowledged, 0 is the last sent"),
        (GeneralBlock(False, True, 9, 1, 0, bytes(200)), "more than 100 bytes"),
    ],
)
def test_wrong_numbers_and_more_than_agreed_are_refused(block: GeneralBlock, why: str) -> None:
    blocks = GeneralBlocks(longest=LONGEST, most=100, window=4)
    with pytest.raises(ProtocolViolation, match=why):
        blocks.take(block.encode())


def test_an_answer_before_the_request_is_whole_is_refused() -> None:
    client, _ = ends()
    client.ask(bytes(500))
    with pytest.raises(ProtocolViolation, match="before all of ours have gone"):
        client.take(GeneralBlock(True, False, 1, 1, 1, b"a").encode())


@pytest.mark.parametrize(
    "block",
    [
        GeneralBlock(True, False, 1, 1, 0, b""),  # acknowledges nothing of ours
        GeneralBlock(True, False, 1, 1, 1, b""),  # acknowledges all of ours
        GeneralBlock(False, True, 1, 1, 1, b"a"),  # the same block
        GeneralBlock(False, True, 1, 3, 1, b"a"),  # a block after a gap
        GeneralBlock(False, False, 1, 3, 1, b"a"),
    ],
)
def test_a_peer_that_brings_nothing_new_is_given_up(block: GeneralBlock) -> None:
    client, _ = ends()
    client.ask(b"short")

    def insist() -> None:
        for _ in range(2_000):
            client.take(block.encode())

    with pytest.raises(ProtocolViolation, match="again and again"):
        insist()


def test_a_window_of_nothing_or_too_much_is_no_window() -> None:
    for window in (0, 64):
        with pytest.raises(ValueError, match="1 to 63"):
            GeneralBlocks(longest=LONGEST, most=1, window=window)
    with pytest.raises(ValueError, match="65,535"):
        GeneralBlocks(longest=8, most=1).ask(bytes(65_536))


# --- the two ends --------------------------------------------------------------------------------------

EVERYONE = ["public", "reader", "management", "management, service-specific"]


def opened(bench, who: str = "management", **options):
    client = bench.client(who, general_blocks=True, **options)
    client.open()
    return client


def general(raws: list[bytes]) -> list[GeneralBlock]:
    return [GeneralBlock.decode(raw) for raw in raws if raw[0] == GENERAL_BLOCK]


@pytest.mark.parametrize("longest", [128, 333, 1024])
@pytest.mark.parametrize("who", EVERYONE)
def test_a_long_profile_arrives_whole(bench, who: str, longest: int) -> None:
    bench.meter.rows = 500
    client = opened(bench, who, max_pdu=longest)
    for _ in range(2):
        assert client.get(bench.profile).value == tuple(bench.row(number) for number in range(500))
    assert general(client.channel.received)
    assert max(map(len, client.channel.received[1:])) == longest


@pytest.mark.parametrize("window", [1, 2, 63])
@pytest.mark.parametrize("longest", [128, 200, 1024])
def test_what_is_written_and_returned_arrives_whole(connect, bench, longest: int, window: int) -> None:
    bench.max_pdu = longest
    manager = connect(bench.credentials["management"], max_pdu=longest, general_blocks=True, window=window)
    for length in (0, 60, longest - 60, longest, 9_000):
        text = octets(bytes(number % 251 for number in range(length)))
        manager.set(bench.note, text)
        assert bench.meter.values[bench.note] == text
        assert manager.action(bench.echo, text) == text
        assert manager.get_many([bench.note, bench.note]) == [text, text]
        other = AttributeRef(1, "0-0:94.44.27", 2)
        assert manager.set_many([(bench.note, text), (other, text)]) == [None, None]
        assert bench.meter.values[other] == text


def test_blocks_carry_the_ciphered_apdu_and_fill_what_the_other_end_takes(bench) -> None:
    bench.max_pdu = 300
    client = opened(bench, max_pdu=200)
    client.set(bench.note, octets(bytes(2_000)))
    client.get(bench.note)
    sent, received = general(client.channel.sent), general(client.channel.received)
    assert is_sealed(sent[0].raw)
    assert is_sealed(next(block.raw for block in received if block.raw))
    assert max(map(len, client.channel.sent)) == 300
    assert max(map(len, client.channel.received[2:])) == 200
    assert {raw[0] for raw in client.channel.sent[2:]} == {0xDB, GENERAL_BLOCK}  # no blocks of a service


def test_the_device_streams_as_many_blocks_as_the_client_takes(bench) -> None:
    client = opened(bench, "reader", max_pdu=128, window=5)
    client.get(bench.profile)
    answers = general(client.channel.received)
    assert [block.streaming for block in answers[:7]] == [False, True, True, True, True, False, True]
    acknowledged = [block.acknowledged for block in general(client.channel.sent)]
    assert acknowledged[:3] == [1, 6, 11]


def test_general_blocks_are_proposed_only_where_they_are_wanted(bench) -> None:
    client = bench.client("reader", max_pdu=128)
    client.open()
    client.get(bench.profile)
    assert not general(client.channel.received)
    assert client.channel.received[-1][:2] == b"\xc4\x02"


def test_a_device_that_does_not_agree_is_spoken_to_in_blocks_of_the_service(bench, monkeypatch) -> None:
    client = bench.client("management", max_pdu=128, general_blocks=True)
    monkeypatch.setattr("device_drivers.dlms.acse.OURS", bench.service_blocks)
    client.open()
    client.set(bench.note, octets(bytes(500)))
    assert len(client.get(bench.profile).value) == 100
    assert not general(client.channel.sent + client.channel.received)


def test_a_block_lost_on_the_way_is_sent_again(bench) -> None:
    client = opened(bench, "reader", max_pdu=128)
    lost: list[int] = []
    channel, handle = client.channel, client.channel.server.handle

    def lossy(raw: bytes, client_sap: int) -> tuple[bytes, ...]:
        answers = handle(raw, client_sap)
        if len(answers) > 3 and not lost:
            lost.append(GeneralBlock.decode(answers[2]).number)
            return answers[:2] + answers[3:]
        return answers

    channel.server.handle = lossy
    assert client.get(bench.profile).value == tuple(bench.row(number) for number in range(100))
    assert lost
    assert lost[0] - 1 in [block.acknowledged for block in general(channel.sent)]


# --- what the server does with blocks out of place -----------------------------------------------------

ABORTED = bytes.fromhex("d80103")


@pytest.fixture
def blocks(bench):
    """Sends blocks as the public client, who has agreed to them, and returns what comes back."""
    server = bench.server()
    initiate = InitiateRequest(acse.OURS, 300).encode()
    server.handle(AssociationRequest(user_information=initiate).encode(), 16)
    return lambda *block: server.handle(GeneralBlock(*block).encode(), 16)


GET = apdu.encode(apdu.GetRequest(0xC1, AttributeRef(1, "0-0:94.44.26", 2)))


def test_a_request_in_blocks_is_answered_in_blocks_however_short(blocks) -> None:
    assert blocks(False, True, 1, 1, 0, GET[:5]) == ()
    (answer,) = blocks(True, False, 1, 2, 0, GET[5:])
    found = GeneralBlock.decode(answer)
    assert (found.last, found.number, found.acknowledged) == (True, 1, 2)
    assert apdu.decode(found.raw).result == octets(b"hello")


def test_a_wrong_number_aborts_and_the_next_request_is_served(blocks) -> None:
    blocks(False, True, 1, 1, 0, GET[:5])
    assert blocks(True, False, 1, 200, 0, GET[5:]) == (ABORTED,)
    assert blocks(False, False, 1, 1, 9, GET[:5]) == (ABORTED,)
    (answer,) = blocks(True, False, 1, 1, 0, GET)
    assert apdu.decode(GeneralBlock.decode(answer).raw).result == octets(b"hello")


def test_a_request_begun_anew_forgets_the_one_before(blocks) -> None:
    blocks(False, True, 1, 1, 0, b"something else")
    (answer,) = blocks(True, False, 1, 1, 0, GET)
    assert apdu.decode(GeneralBlock.decode(answer).raw).result == octets(b"hello")


def test_a_request_that_grows_too_long_is_aborted(blocks) -> None:
    for number in range(1, 20):
        (answer,) = blocks(False, False, 63, number, 0, bytes(60_000))
        if answer == ABORTED:
            break
    assert number == 1_048_576 // 60_000 + 1


def test_a_client_may_ask_how_far_its_request_has_come(blocks) -> None:
    blocks(False, True, 1, 1, 0, GET[:5])
    (answer,) = blocks(True, False, 1, 2, 0, b"")
    assert GeneralBlock.decode(answer).acknowledged == 1


def test_blocks_that_were_not_agreed_are_refused(bench) -> None:
    server = bench.server()
    block = GeneralBlock(True, False, 1, 1, 0, GET).encode()
    assert apdu.decode(*server.handle(block, 16)).service_error == "operation-not-possible"
    initiate = InitiateRequest(Conformance.GET, 300).encode()
    server.handle(AssociationRequest(user_information=initiate).encode(), 16)
    assert isinstance(apdu.decode(*server.handle(block, 16)), apdu.ExceptionResponse)
