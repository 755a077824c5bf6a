"""Client's and meter's station on a line of memory: sessions, segments, windows, damage, refusals."""

from __future__ import annotations

from random import Random
from threading import Lock

import pytest

from device_drivers.dlms.hdlc import negotiation
from device_drivers.dlms.hdlc.frame import (
    FINAL,
    Frame,
    FrameDecoder,
    Kind,
    client_address,
    encode,
    numbered,
    server_address,
)
from device_drivers.dlms.hdlc.negotiation import Parameters, both_ways
from device_drivers.dlms.hdlc.primary import Primary, State
from device_drivers.dlms.hdlc.server import MOST_SESSIONS, HdlcServer
from harness.domain.errors import AccessRefused, ProtocolViolation, TransportLost

CLIENT, SERVER = client_address(16), server_address(1)
SIZES = [(128, 1), (128, 7), (512, 3), (2030, 1), (2030, 7)]


def frames(data: bytes) -> list[Frame]:
    return FrameDecoder().feed(data)


def only(data: bytes) -> Frame:
    [frame] = frames(data)
    return frame


# --- a session on a good line --------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "window"), SIZES)
@pytest.mark.parametrize("length", [0, 1, 125, 126, 1_000, 2_027, 2_028, 20_000, 65_535])
def test_apdus_of_any_length_go_there_and_back(line, field, window, length) -> None:
    on = line(field, window)
    on.connect()
    apdu = Random(length).randbytes(length)
    for _ in range(3):
        assert on.ask(apdu) == apdu[::-1]
    assert on.silences == 0
    on.carry(on.primary.disconnect())
    assert (on.primary.state, on.server.connected) == (State.DISCONNECTED, False)


@pytest.mark.parametrize(("field", "window"), SIZES)
def test_no_frame_is_longer_and_no_turn_has_more_frames_than_agreed(line, field, window) -> None:
    on = line(field, window)
    on.connect()
    on.ask(bytes(30_000))
    for turn in on.sent + on.received:
        came = frames(turn)
        assert len(came) <= window
        assert all(len(frame.information) <= max(field, 23) for frame in came)
        assert [frame.final for frame in came] == [False] * (len(came) - 1) + [True]
    full = -(-30_003 // (field * window))
    assert len(on.sent) == 1 + full + (full - 1)


def test_a_meter_that_can_less_is_taken_at_its_word(line) -> None:
    server = HdlcServer(lambda: on_server, parameters=Parameters(300, 200, 2, 3))
    on_server = type("Silent", (), {"handle": lambda self, apdu, sap: (bytes(1000),)})()
    on = line(2030, 7, server=server)
    on.connect()
    assert on.primary.parameters == Parameters(200, 300, 3, 2)
    assert on.ask(bytes(1000)) == bytes(1000)
    assert max(len(f.information) for turn in on.sent for f in frames(turn)) == 200
    assert max(len(f.information) for turn in on.received for f in frames(turn)) == 300


def test_a_client_without_parameters_gets_the_defaults() -> None:
    server = HdlcServer(lambda: None)
    answer = only(server.feed(encode(Frame(SERVER, CLIENT, Kind.SNRM | FINAL)), 0))
    assert answer.kind is Kind.UA
    assert negotiation.parse(answer.information) == negotiation.DEFAULTS


def test_several_clients_are_in_session_with_servers_of_their_own() -> None:
    made: list[list[tuple[bytes, int]]] = []

    class Told:
        def __init__(self) -> None:
            made.append([])
            self.told = made[-1]

        def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
            self.told.append((apdu, client_sap))
            return (bytes((client_sap,)), b"and one more")

    server = HdlcServer(Told)
    clients = [Primary(SERVER, client_address(sap), both_ways(128, 1)) for sap in (1, 16)]
    for client in clients:
        client.feed(server.feed(client.connect(), 0))
    for client in clients:
        out = client.send(b"x")
        while out:
            out = client.feed(server.feed(out, 0))
        client.feed(server.feed(client.poll(), 0))
    assert [list(client.apdus) for client in clients] == [[bytes((sap,)), b"and one more"] for sap in (1, 16)]
    assert made == [[(b"x", 1)], [(b"x", 16)]]


def test_sessions_above_the_most_are_refused() -> None:
    server = HdlcServer(lambda: None)
    answers = [
        only(server.feed(encode(Frame(SERVER, client_address(sap), Kind.SNRM | FINAL)), 0)).kind
        for sap in range(1, MOST_SESSIONS + 3)
    ]
    assert answers == [Kind.UA] * MOST_SESSIONS + [Kind.DM] * 2


@pytest.mark.parametrize(
    ("address", "answered"),
    [
        (server_address(1), True),
        (server_address(1, 17), True),
        (server_address(1, 17, 4), True),
        (server_address(1, 18), False),
        (server_address(2), False),
        (server_address(2, 17, 4), False),
    ],
)
def test_a_meter_answers_at_its_own_addresses_alone(address, answered) -> None:
    server = HdlcServer(lambda: None, 1, 17)
    answer = server.feed(encode(Frame(address, CLIENT, Kind.SNRM | FINAL)), 0)
    assert bool(answer) is answered
    if answered:
        assert (only(answer).source, only(answer).kind) == (address, Kind.UA)


# --- a bad line ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lose", "double", "spoil", "swap", "all"])
@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize(("field", "window"), SIZES)
def test_what_a_line_does_to_frames_does_nothing_to_apdus(line, damage, field, window, share, kind) -> None:
    """Either every APDU arrives, once and in order, or the line is reported as lost."""
    kinds = ("lose", "double", "spoil", "swap") if kind == "all" else (kind,)
    arrived, reports = 0, []
    for seed in range(4):
        there, back = (damage(each, share / len(kinds), kinds, window) for each in (seed, seed + 100))
        on = line(field, window, attempts=8, there=there, back=back)
        random = Random(seed)
        asked = [random.randbytes(random.choice((0, 10, 300, 3_000))) for _ in range(12)]
        try:
            on.connect()
            for apdu in asked:
                assert on.ask(apdu) == apdu[::-1]
                arrived += 1
        except TransportLost as lost:
            reports.append(str(lost))
    assert arrived >= 40
    assert all("no answer of use" in report for report in reports)


@pytest.mark.parametrize(("field", "window"), SIZES)
@pytest.mark.parametrize("way", ["there", "back", "both"])
def test_a_line_that_brings_everything_twice_costs_no_turn_more(line, field, window, way) -> None:
    """An answer come twice is answered once: two conversations side by side would never end."""
    apdu = Random(window).randbytes(5_000)
    good, double = line(field, window), line(field, window)
    for on in (good, double):
        on.connect()
    if way != "back":
        double.there = lambda data: b"".join(encode(frame) * 2 for frame in frames(data))
    if way != "there":
        double.back = lambda data: data + data
    for on in (good, double):
        assert [on.ask(apdu) for _ in range(3)] == [apdu[::-1]] * 3
    assert (len(double.sent), double.silences) == (len(good.sent), 0)


@pytest.mark.parametrize(
    "control",
    [
        numbered(Kind.I, 0, 3, final=True),  # always behind a gap
        numbered(Kind.I, 0, 7, final=True),  # always one of the past
        numbered(Kind.RR, 0, final=True),  # never takes what we send
        numbered(Kind.REJ, 0, final=True),
    ],
)
@pytest.mark.parametrize("attempts", [1, 3, 8])
def test_a_meter_that_brings_nothing_new_is_given_up(line, control, attempts) -> None:
    on = line(128, 7, attempts=attempts)
    on.connect()
    on.back = lambda data: encode(Frame(CLIENT, SERVER, control, b"" if control & 1 else b"abc"))
    with pytest.raises(TransportLost, match="no answer of use"):
        on.ask(bytes(2_000))
    assert len(on.sent) <= 1 + (attempts + 1) ** 2


def test_a_meter_that_is_busy_in_the_middle_is_not_given_up(line) -> None:
    on = line(128, 1, attempts=2)
    on.connect()
    [session] = on.server._sessions.values()
    session.station.busy = True
    on.carry(on.primary.send(bytes(1_000)))
    for _ in range(50):
        session.station.busy = not session.station.busy
        on.settle(lambda: not on.primary.awaiting)
        on.carry(on.primary.poll())
    session.station.busy = False
    on.settle(lambda: on.primary.apdus)
    assert list(on.primary.apdus) == [bytes(1_000)]


def test_each_request_is_served_once_however_often_it_was_sent(line, damage) -> None:
    """A credit is never added twice for a frame that was lost."""
    served: list[bytes] = []

    class Counting:
        def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
            served.append(apdu)
            return (apdu,)

    on = line(128, 1, attempts=10, server=HdlcServer(Counting), there=damage(5, 0.08), back=damage(6, 0.08))
    on.connect()
    asked = [number.to_bytes(2) * 200 for number in range(40)]
    assert [on.ask(apdu) for apdu in asked] == asked
    assert served == asked
    assert on.silences


def test_a_line_that_went_dead_is_reported_after_the_attempts(line) -> None:
    on = line(attempts=4, back=lambda data: b"")
    with pytest.raises(TransportLost, match="4 of our frames brought no answer of use"):
        on.connect()
    assert [only(turn).kind for turn in on.sent] == [Kind.SNRM] * 4


def test_a_line_that_dies_in_session_is_reported(line) -> None:
    on = line(attempts=3)
    on.connect()
    on.back = lambda data: b""
    with pytest.raises(TransportLost):
        on.ask(b"x")
    assert [only(turn).kind for turn in on.sent[1:]] == [Kind.I, Kind.RR, Kind.RR]


def test_the_echo_of_a_probe_is_nobodys_answer(line) -> None:
    on = line(128, 3)
    on.connect()
    on.back = lambda data: on.sent[-1] + data
    assert on.ask(bytes(2_000)) == bytes(2_000)


def test_a_frame_repeated_is_answered_again_and_served_once(line) -> None:
    on = line()
    on.connect()
    request = on.primary.send(b"abc")
    first = on.server.feed(request, 0)
    assert on.server.feed(request, 0) == first
    assert on.primary.feed(first + first) == b""
    assert list(on.primary.apdus) == [b"cba"]


def test_a_gap_in_a_window_is_filled_at_once(line) -> None:
    """Not after a time-out: what came behind the gap shows it."""
    on = line(128, 7)
    on.connect()
    lost = []

    def lose_the_third(data: bytes) -> bytes:
        came = frames(data)
        if len(came) == 7 and not lost:
            lost.append(came.pop(2))
        return b"".join(map(encode, came))

    on.back = lose_the_third
    assert on.ask(bytes(3_000)) == bytes(3_000)
    assert len(lost) == 1
    assert on.silences == 0


# --- refusals and states -------------------------------------------------------------------------------


def test_a_busy_meter_is_asked_again_until_it_is_ready(line) -> None:
    on = line()
    on.connect()
    [session] = on.server._sessions.values()
    session.station.busy = True
    on.carry(on.primary.send(b"abc"))
    for _ in range(3):
        assert frames(on.received[-1])[-1].kind is Kind.RNR
        assert on.primary.nothing_yet
        on.carry(on.primary.poll())
    session.station.busy = False
    on.settle(lambda: on.primary.apdus)
    assert list(on.primary.apdus) == [b"cba"]


def test_a_client_that_is_not_ready_gets_no_apdu_until_it_is(line) -> None:
    on = line()
    on.connect()
    request = only(on.primary.send(b"abc"))
    on.server.feed(encode(request), 0)
    not_ready = encode(Frame(SERVER, CLIENT, numbered(Kind.RNR, 0, final=True)))
    assert only(on.server.feed(not_ready, 0)).kind is Kind.RR
    ready = encode(Frame(SERVER, CLIENT, numbered(Kind.RR, 0, final=True)))
    assert only(on.server.feed(ready, 0)).information.endswith(b"cba")


def test_reject_asks_for_what_was_missed(line) -> None:
    on = line()
    on.connect()
    first = on.server.feed(on.primary.send(b"abc"), 0)
    reject = encode(Frame(SERVER, CLIENT, numbered(Kind.REJ, 0, final=True)))
    assert on.server.feed(reject, 0) == first


@pytest.mark.parametrize(
    ("frame", "reasons"),
    [
        (Frame(SERVER, CLIENT, 0xEF | FINAL), 0x01),
        (Frame(SERVER, CLIENT, numbered(Kind.RR, 0, final=True), b"info"), 0x03),
        (Frame(SERVER, CLIENT, numbered(Kind.I, 0, final=True), bytes(129)), 0x04),
        (Frame(SERVER, CLIENT, numbered(Kind.RR, 5, final=True)), 0x08),
    ],
)
def test_what_the_standard_forbids_is_rejected_until_the_next_session(line, frame, reasons) -> None:
    on = line()
    on.connect()
    rejection = only(on.server.feed(encode(frame), 0))
    assert (rejection.kind, rejection.information[0], rejection.information[2]) == (
        Kind.FRMR,
        frame.control,
        reasons,
    )
    again = only(on.server.feed(on.primary.poll(), 0))
    assert again.information == rejection.information
    with pytest.raises(ProtocolViolation, match="rejects a frame"):
        on.primary.feed(encode(again))
    on.connect()
    assert on.ask(b"abc") == b"cba"


def test_more_segments_than_an_apdu_can_have_are_rejected(line) -> None:
    on = line(2030, 1)
    on.connect()
    for number in range(40):
        control = numbered(Kind.I, 0, number % 8, final=True)
        answer = only(on.server.feed(encode(Frame(SERVER, CLIENT, control, bytes(2030), True)), 0))
        if answer.kind is Kind.FRMR:
            break
    assert answer.information[2] == 0x04
    assert number == 65_538 // 2030


def test_out_of_session_everything_but_snrm_is_answered_with_dm() -> None:
    server = HdlcServer(lambda: None)
    for control in (numbered(Kind.RR, 0), numbered(Kind.I, 0), Kind.DISC):
        assert only(server.feed(encode(Frame(SERVER, CLIENT, control | FINAL)), 0)).kind is Kind.DM
    for control in (Kind.UI, Kind.UI | FINAL, Kind.UA | FINAL, Kind.DM | FINAL, numbered(Kind.RR, 0)):
        assert server.feed(encode(Frame(SERVER, CLIENT, control, b"")), 0) == b""


def test_a_meter_that_refuses_a_session_refuses_access() -> None:
    primary = Primary(SERVER, CLIENT, both_ways(128, 1))
    primary.connect()
    with pytest.raises(AccessRefused, match="refuses an HDLC session"):
        primary.feed(encode(Frame(CLIENT, SERVER, Kind.DM | FINAL)))


def test_a_meter_that_has_left_the_session_is_a_line_lost(line) -> None:
    on = line()
    on.connect()
    on.server.reset()  # its power was cut
    with pytest.raises(TransportLost, match="has left the session"):
        on.ask(b"abc")


def test_disconnecting_is_agreed_to_or_already_done(line) -> None:
    for cut in (False, True):
        on = line()
        on.connect()
        if cut:
            on.server.reset()
        on.carry(on.primary.disconnect())
        assert on.primary.state is State.DISCONNECTED
        assert only(on.received[-1]).kind is (Kind.DM if cut else Kind.UA)


def test_a_session_that_rests_too_long_is_ended_by_the_meter(line) -> None:
    on = line()
    on.connect()
    on.now += 119
    assert on.ask(b"abc") == b"cba"
    on.now += 121
    on.server.expire(on.now)
    assert not on.server.connected
    with pytest.raises(TransportLost, match="has left"):
        on.ask(b"abc")


def test_a_frame_that_stops_is_given_up_after_the_gap(line) -> None:
    on = line()
    on.connect()
    torn = encode(Frame(SERVER, CLIENT, Kind.UI, bytes(100)))[:40]
    request = on.primary.send(b"abc")
    assert on.server.feed(torn, 0.0) == b""
    assert on.server.feed(request[:9], 0.4) == b""  # a pause within a frame is no gap yet
    assert on.server.feed(request[9:], 0.8) == b""  # it may belong to what was torn
    assert only(on.server.feed(b"~", 1.4)).information.endswith(b"cba")


def test_the_lock_is_held_while_an_apdu_is_handled_and_never_else(line) -> None:
    lock = Lock()

    class Watching:
        def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
            assert lock.locked()
            return (apdu,)

    on = line(server=HdlcServer(Watching, lock=lock))
    on.connect()
    assert on.ask(b"abc") == b"abc"
    assert not lock.locked()


def test_unnumbered_information_changes_nothing(line) -> None:
    on = line()
    on.connect()
    for final in (0, FINAL):
        assert on.server.feed(encode(Frame(SERVER, CLIENT, Kind.UI | final, b"news")), 0) == b""
        assert on.primary.feed(encode(Frame(CLIENT, SERVER, Kind.UI | final, b"news"))) == b""
    assert on.ask(b"abc") == b"cba"


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (Frame(CLIENT, SERVER, numbered(Kind.I, 0, final=True), b"\xe6\xe6\x00abc"), "LLC header e6e600"),
        (Frame(CLIENT, SERVER, numbered(Kind.I, 0, final=True), bytes(129)), "129 bytes in an I frame"),
        (Frame(CLIENT, SERVER, numbered(Kind.RR, 5, final=True)), "acknowledged"),
        (Frame(CLIENT, SERVER, Kind.FRMR | FINAL, b"\x10\x00\x03"), "not known, information where none"),
    ],
)
def test_what_a_meter_must_not_send_is_a_violation(line, frame, why) -> None:
    on = line()
    on.connect()
    with pytest.raises(ProtocolViolation, match=why):
        on.primary.feed(encode(frame))


def test_parameters_that_cannot_be_refuse_or_break_the_session() -> None:
    server = HdlcServer(lambda: None)
    assert only(server.feed(encode(Frame(SERVER, CLIENT, Kind.SNRM | FINAL, b"\x00")), 0)).kind is Kind.DM
    primary = Primary(SERVER, CLIENT, both_ways(128, 1))
    primary.connect()
    with pytest.raises(ProtocolViolation, match="expected 8180"):
        primary.feed(encode(Frame(CLIENT, SERVER, Kind.UA | FINAL, b"\x00")))
