"""Our own HTTP servers towards those who send slowly, or not to the end."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette

from device_drivers.dcc.http import PLAIN, HttpServer, xml_route

HEAD = b"POST /here HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\nContent-Length: 4\r\n\r\n"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    route = xml_route("/here", lambda xml: (200, PLAIN, xml), patience=0.2)
    server = HttpServer(Starlette(routes=[route]))
    yield server
    server.close()


def answered(server: HttpServer, *pieces: bytes) -> bytes:
    """All that comes until the server hangs up, or has answered whole."""
    received = b""
    with socket.create_connection((server.host, server.port), 10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        while piece := connection.recv(65_536):
            received += piece
            if received.endswith(b"<a/>"):
                break
    return received


def test_a_body_in_pieces_is_taken(server: HttpServer) -> None:
    assert answered(server, HEAD, b"<a", b"/>").startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_come_to_its_end_is_refused_in_time_and_hung_up_on(server: HttpServer) -> None:
    assert answered(server, HEAD, b"<a").startswith(b"HTTP/1.1 408")


def test_one_who_waits_holds_up_nobody(server: HttpServer) -> None:
    with socket.create_connection((server.host, server.port), 10) as waiting:
        waiting.sendall(HEAD + b"<")
        assert answered(server, HEAD, b"<a/>").startswith(b"HTTP/1.1 200")
