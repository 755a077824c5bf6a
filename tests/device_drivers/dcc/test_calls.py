"""Calls between the processes of a run."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from device_drivers.dcc.calls import CallClient, CallFailed, CallServer
from harness.domain.errors import (
    ConfigurationError,
    DeviceFault,
    LinkLost,
    ProtocolViolation,
    TransportLost,
    UsageError,
)
from harness.domain.words import Cause
from harness.execution.verdict import judge

_RAISED = {
    "usage": UsageError("no such role", remedy="name one"),
    "configuration": ConfigurationError("no such schema", remedy="name one"),
    "device": ProtocolViolation("7 is no schedule", remedy="name one"),
    "lab": TransportLost("the gateway does not answer", remedy="name one"),
}


def refuse(call: Mapping[str, Any]) -> None:
    raise _RAISED[call["how"]]


@pytest.fixture
def server() -> Iterator[CallServer]:
    served = CallServer(
        {"double": lambda call: 2 * call["number"], "refuse": refuse, "divide": lambda _: 1 / 0}
    )
    yield served
    served.close()


@pytest.fixture
def client(server: CallServer) -> Iterator[CallClient]:
    calls = CallClient(server.address, server.token, "the test's server")
    yield calls
    calls.close()


def test_a_call_gives_back_what_it_should(client: CallClient) -> None:
    assert client("double", number=21) == 42


@pytest.mark.parametrize(
    ("how", "family"),
    [
        ("usage", UsageError),
        ("configuration", ConfigurationError),
        ("device", DeviceFault),
        ("lab", LinkLost),
    ],
)
def test_who_is_to_blame_stays_so_on_the_way(client: CallClient, how: str, family: type[Exception]) -> None:
    with pytest.raises(family, match=r"\(name one\)") as raised:
        client("refuse", how=how)
    assert raised.type is family


def test_a_call_that_breaks_blames_neither_lab_nor_device(client: CallClient) -> None:
    with pytest.raises(CallFailed, match="failed in double: KeyError: 'number'") as raised:
        client("double")
    assert judge(raised.value).cause is Cause.HARNESS
    with pytest.raises(CallFailed, match="failed in nothing: KeyError"):
        client("nothing")
    with pytest.raises(CallFailed, match="failed in divide: ZeroDivisionError"):
        client("divide")
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
