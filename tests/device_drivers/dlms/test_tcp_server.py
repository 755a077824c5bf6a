"""The TCP wrapper at both ends, over real sockets that break."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from struct import pack

import pytest

from device_drivers.dlms.acse import OURS, AssociationRequest, AssociationResponse, InitiateRequest
from device_drivers.dlms.channel import WrapperChannel, parse_header, wrap_frame
from device_drivers.dlms.tcp_server import MOST_CONNECTIONS, TcpDlmsServer
from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import DeviceTimeout, ProtocolViolation, TransportLost

AARQ = AssociationRequest(user_information=InitiateRequest(OURS, 0).encode()).encode()


@pytest.fixture
def raw(listening):
    """A socket to the server, without any client of ours."""
    with socket.create_connection(listening.address, timeout=5) as connection:
        yield connection


def receive(connection: socket.socket) -> bytes:
    header = connection.recv(8, socket.MSG_WAITALL)
    return connection.recv(parse_header(header)[2], socket.MSG_WAITALL)


def test_a_frame_in_pieces_is_one_frame(raw) -> None:
    for byte in wrap_frame(16, 1, AARQ):
        raw.sendall(bytes((byte,)))
    assert AssociationResponse.decode(receive(raw)).result == 0


def test_frames_in_one_piece_are_answered_one_by_one(raw) -> None:
    raw.sendall(wrap_frame(16, 1, AARQ) * 3)
    assert [AssociationResponse.decode(receive(raw)).result for _ in range(3)] == [0, 0, 0]


def test_another_version_of_the_wrapper_ends_the_connection(raw) -> None:
    raw.sendall(pack(">HHHH", 2, 16, 1, 0))
    assert raw.recv(1) == b""


def test_a_frame_for_another_server_goes_unanswered_and_the_next_is_served(raw) -> None:
    get_clock = bytes.fromhex("c001c100080000010000ff0200")
    raw.sendall(wrap_frame(16, 99, AARQ) + wrap_frame(16, 1, get_clock))
    assert receive(raw)[:1] == b"\xd8"  # to the second: nobody has associated


def test_a_peer_that_leaves_in_the_middle_of_an_apdu_harms_nobody(bench, connect, listening) -> None:
    for cut in (1, 7, 8, 20):
        with socket.create_connection(listening.address) as leaving:
            leaving.sendall(wrap_frame(16, 1, AARQ)[:cut])
    assert connect(bench.credentials["public"]).get(bench.register).value == 123_456


def test_connections_above_the_limit_are_closed_at_once(listening) -> None:
    with ExitStack() as held:
        for _ in range(MOST_CONNECTIONS):
            connection = held.enter_context(socket.create_connection(listening.address, timeout=5))
            connection.sendall(wrap_frame(16, 1, AARQ))
            receive(connection)
        with socket.create_connection(listening.address, timeout=5) as one_more:
            assert one_more.recv(1) == b""


def test_nothing_is_left_after_closing(bench) -> None:
    others = set(threading.enumerate())  # those of earlier tests may still be ending
    server = TcpDlmsServer(bench.server)
    server.start()
    address = server.address
    with (
        socket.create_connection(address, timeout=5) as silent,
        socket.create_connection(address, timeout=5) as talking,
    ):
        talking.sendall(wrap_frame(16, 1, AARQ))
        receive(talking)
        assert set(threading.enumerate()) - others
        server.close()
        server.close()
        assert not set(threading.enumerate()) - others
        assert silent.recv(1) == b""
        assert talking.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=1)


def test_a_conversation_that_is_just_ending_is_waited_for_too(bench) -> None:
    def conversing() -> bool:
        return any(thread.name == "dlms-connection" for thread in threading.enumerate())

    for _ in range(60):
        with TcpDlmsServer(bench.server) as server, socket.create_connection(server.address, timeout=5):
            while not conversing():  # to wait in any kinder way would let it get ahead
                pass
        assert not conversing()


def test_a_server_never_started_can_be_closed(bench) -> None:
    TcpDlmsServer(bench.server).close()


def test_the_lock_is_held_while_an_apdu_is_handled(bench) -> None:
    lock = threading.Lock()
    with (
        TcpDlmsServer(bench.server, lock=lock) as server,
        socket.create_connection(server.address, timeout=5) as connection,
    ):
        with lock:
            connection.sendall(wrap_frame(16, 1, AARQ))
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        connection.settimeout(5)
        assert AssociationResponse.decode(receive(connection)).result == 0


# --- the client's end ----------------------------------------------------------------------------------


@pytest.fixture
def device():
    """A listening socket that a test answers from by hand."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def pair(device):
    """A channel to the device, and the device's end of it."""
    host, port = device.getsockname()
    channel = WrapperChannel(open_tcp({"host": host, "port": port}), 16)
    other, _ = device.accept()
    with other:
        yield channel, other
    channel.close()


def exchange(channel: WrapperChannel, apdu: bytes, timeout: float) -> bytes:
    channel.send(apdu, timeout)
    return channel.receive(timeout)


def test_a_silent_device_times_out_and_no_later(pair) -> None:
    channel, _ = pair
    began = time.monotonic()
    with pytest.raises(DeviceTimeout, match=r"no complete answer within 0\.2 s"):
        exchange(channel, AARQ, 0.2)
    assert 0.15 < time.monotonic() - began < 2


def test_a_device_that_dribbles_does_not_stretch_the_deadline(pair) -> None:
    channel, other = pair
    stop = threading.Event()

    def dribble() -> None:
        for byte in wrap_frame(1, 16, bytes(1_000)):
            if stop.wait(0.02):
                return
            other.sendall(bytes((byte,)))

    thread = threading.Thread(target=dribble)
    thread.start()
    with pytest.raises(DeviceTimeout):
        exchange(channel, AARQ, 0.3)
    stop.set()
    thread.join()


@pytest.mark.parametrize("sent", [b"", b"\x00\x01\x00", wrap_frame(1, 16, bytes(50))[:30]])
def test_a_connection_closed_in_the_middle_is_a_lost_transport(pair, sent) -> None:
    channel, other = pair
    other.sendall(sent)
    other.shutdown(socket.SHUT_WR)
    with pytest.raises(TransportLost, match="closed by the other side"):
        exchange(channel, AARQ, 5)


@pytest.mark.parametrize(
    ("frame", "why"),
    [(wrap_frame(2, 16, b"abc"), "from SAP 2 to 16"), (pack(">HHHH", 7, 1, 16, 0), "wrapper version 7")],
)
def test_an_answer_in_a_wrong_frame_is_a_violation(pair, frame, why) -> None:
    channel, other = pair
    other.sendall(frame)
    with pytest.raises(ProtocolViolation, match=why):
        exchange(channel, AARQ, 5)


def test_after_a_failure_a_late_answer_is_never_taken_for_the_next(pair) -> None:
    channel, _ = pair
    with pytest.raises(DeviceTimeout):
        exchange(channel, AARQ, 0.05)
    with pytest.raises(TransportLost, match="closed after an earlier failure"):
        exchange(channel, AARQ, 1)


def test_a_closed_channel_says_so(pair) -> None:
    channel, _ = pair
    channel.close()
    channel.close()
    with pytest.raises(TransportLost, match="closed"):
        exchange(channel, AARQ, 1)


def test_an_apdu_too_long_for_the_wrapper_is_not_sent(pair) -> None:
    channel, _ = pair
    with pytest.raises(ValueError, match="up to 65535 bytes"):
        exchange(channel, bytes(65_536), 1)
