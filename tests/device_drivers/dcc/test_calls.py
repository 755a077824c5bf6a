"""Calls between the processes of a run."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from device_drivers.dcc.calls import CallClient, CallServer
from harness.domain.errors import LinkLost, UsageError


def refuse(call: Mapping[str, Any]) -> None:
    raise UsageError("no such role", remedy="name one")


@pytest.fixture
def server() -> Iterator[CallServer]:
    served = CallServer({"double": lambda call: 2 * call["number"], "refuse": refuse})
    yield served
    served.close()


@pytest.fixture
def client(server: CallServer) -> Iterator[CallClient]:
    calls = CallClient(server.address, server.token, "the test's server")
    yield calls
    calls.close()


def test_a_call_gives_back_what_it_should(client: CallClient) -> None:
    assert client("double", number=21) == 42


def test_an_error_of_the_user_stays_one(client: CallClient) -> None:
    with pytest.raises(UsageError, match=r"no such role \(name one\)"):
        client("refuse")


def test_a_call_that_breaks_is_a_lost_link(client: CallClient) -> None:
    with pytest.raises(LinkLost, match="called as it cannot be, double: KeyError: 'number'"):
        client("double")
    with pytest.raises(LinkLost, match="called as it cannot be, nothing: KeyError"):
        client("nothing")
    assert client("double", number=1) == 2


def test_nobody_calls_without_the_token(server: CallServer) -> None:
    stranger = CallClient(server.address, "wrong", "the test's server")
    with pytest.raises(LinkLost, match="no answer to double"):
        stranger("double", number=1)
    stranger.close()


def test_what_is_no_message_is_hung_up_on(server: CallServer, client: CallClient) -> None:
    host, _, port = server.address.rpartition(":")
    for content in (b"GET / HTTP/1.1\r\n\r\n", (1 << 30).to_bytes(4) + b"x"):
        with socket.create_connection((host, int(port)), 10) as line:
            line.sendall(content)
            with suppress(ConnectionResetError):
                assert line.recv(1) == b""
    assert client("double", number=1) == 2


def test_threads_share_a_client(client: CallClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda number: client("double", number=number), range(200))) == [
            2 * number for number in range(200)
        ]


def test_a_large_call_comes_whole(server: CallServer, client: CallClient) -> None:
    assert client("double", number="7" * (4 << 20)) == "7" * (8 << 20)


def test_who_does_not_answer_in_time_is_a_lost_link() -> None:
    silent = threading.Event()
    server = CallServer({"wait": lambda call: silent.wait()})
    client = CallClient(server.address, server.token, "the test's server", timeout=0.2)
    with pytest.raises(LinkLost, match=r"nothing came within 0\.2 s"):
        client("wait")
    silent.set()
    client.close()
    server.close()


def test_a_server_that_is_gone_is_a_lost_link(server: CallServer, client: CallClient) -> None:
    server.close()
    with pytest.raises(LinkLost, match="the test's server"):
        client("double", number=1)
