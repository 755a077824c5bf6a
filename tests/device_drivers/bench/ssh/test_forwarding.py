from __future__ import annotations

import signal
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from device_drivers.bench.ssh.controller import SshController
from device_drivers.simulated.controller import TwinController
from tests.device_drivers.bench.ssh.house import PATIENCE, Kept, frozen, soon, tell_sessions

pytestmark = pytest.mark.usefixtures("leaving_nothing")
Open = Callable[..., SshController]


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while piece := self.request.recv(4096):
            self.request.sendall(piece)
        self.request.sendall(b"<end>")


class EchoServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that gives back what it gets, and says when its client has said all."""
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def reach(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, PATIENCE)


def whole(connection: socket.socket, count: int | None = None) -> bytes:
    """So many bytes, or all until the other side has said all."""
    heard = b""
    while (count is None or len(heard) < count) and (piece := connection.recv(65536)):
        heard += piece
    return heard


def test_a_port_behind_the_controller_is_a_port_here(controller: SshController, echo: int) -> None:
    address = controller.forward("127.0.0.1", echo)
    assert address[0] == "127.0.0.1"
    assert address[1] != echo
    with reach(address) as one, reach(address) as other:
        one.sendall(b"one")
        other.sendall(b"other")
        assert (whole(one, 3), whole(other, 5)) == (b"one", b"other")
    assert controller.forward("127.0.0.1", echo) == address


def test_each_side_may_say_that_it_is_done_and_still_listen(controller: SshController, echo: int) -> None:
    with reach(controller.forward("127.0.0.1", echo)) as connection:
        connection.sendall(b"asked")
        connection.shutdown(socket.SHUT_WR)
        assert whole(connection) == b"asked<end>"


def test_a_server_that_is_done_may_still_listen(
    controller: SshController, far_end: Callable[[Callable[[], object]], None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def say_and_listen() -> None:
            served, _ = listener.accept()
            with served:
                served.sendall(b"said")
                served.shutdown(socket.SHUT_WR)
                assert whole(served) == b"heard"

        far_end(say_and_listen)
        with reach(controller.forward("127.0.0.1", listener.getsockname()[1])) as connection:
            assert whole(connection) == b"said"
            connection.sendall(b"heard")
            connection.shutdown(socket.SHUT_WR)


def test_much_goes_both_ways_at_once(controller: SshController, echo: int) -> None:
    content = bytes(range(256)) * 12_000
    with reach(controller.forward("127.0.0.1", echo)) as connection:
        sending = threading.Thread(target=connection.sendall, args=(content,))
        sending.start()
        assert whole(connection, len(content)) == content
        sending.join()


def test_a_client_that_goes_away_ends_its_connection_only(controller: SshController, echo: int) -> None:
    address = controller.forward("127.0.0.1", echo)
    with reach(address) as staying:
        with reach(address) as leaving:
            leaving.sendall(b"x" * 1000)
            leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        staying.sendall(b"still here")
        assert whole(staying, 10) == b"still here"
    soon(lambda: not controller._forwardings["127.0.0.1", echo]._carried, "a connection goes on")


def test_a_target_that_refuses_is_told_and_the_client_sees_its_connection_closed(
    controller: SshController, kept: Kept, echo: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with reach(controller.forward("127.0.0.1", port)) as connection:
        assert whole(connection) == b""
    (told,) = kept.told("could not forward a connection")
    assert f"forwarding to 127.0.0.1:{port}: refused" in told["problem"]
    with reach(controller.forward("127.0.0.1", echo)) as connection:
        connection.sendall(b"fine")
        assert whole(connection, 4) == b"fine"


def test_above_sixty_four_connections_further_ones_are_closed_at_once(
    controller: SshController, echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("device_drivers.bench.ssh.forwarding.MOST_CONNECTIONS", 3)
    address = controller.forward("127.0.0.1", echo)
    with ExitStack() as held:
        for connection in [held.enter_context(reach(address)) for _ in range(3)]:
            connection.sendall(b"here")
            assert whole(connection, 4) == b"here"
        assert whole(held.enter_context(reach(address))) == b""


def test_closing_the_controller_ends_every_forwarded_connection(open_it: Open, echo: int) -> None:
    controller = open_it()
    address = controller.forward("127.0.0.1", echo)
    with reach(address) as idle, reach(address) as busy:
        for connection in (idle, busy):
            connection.sendall(b"here")
            assert whole(connection, 4) == b"here"
        controller.close()
        assert whole(idle) in (b"", b"<end>")
        assert whole(busy) in (b"", b"<end>")
    with pytest.raises(ConnectionRefusedError):
        reach(address)


def test_a_dropped_ssh_connection_closes_what_was_forwarded_and_the_next_client_gets_a_new_one(
    controller: SshController, twin: TwinController, echo: int, kept: Kept
) -> None:
    address = controller.forward("127.0.0.1", echo)
    with reach(address) as connection:
        connection.sendall(b"here")
        assert whole(connection, 4) == b"here"
        tell_sessions(twin, signal.SIGKILL)
        assert whole(connection) == b""
    with reach(address) as connection:
        connection.sendall(b"again")
        assert whole(connection, 5) == b"again"
    assert len(kept.told("signed on")) == 2


def test_a_frozen_peer_closes_a_new_connection_at_its_deadline(
    open_it: Open, twin: TwinController, echo: int, kept: Kept
) -> None:
    controller = open_it(connect=2.0)
    address = controller.forward("127.0.0.1", echo)
    with frozen(twin):
        with reach(address) as connection:
            assert whole(connection) == b""
        (told,) = kept.told("could not forward a connection")
        assert "no answer within 2 s" in told["problem"]
    controller.close()
