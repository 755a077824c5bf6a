"""Calls between the processes of a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
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
    with pytest.raises(LinkLost, match="HTTP 400: a call that cannot be: KeyError"):
        client("double")
    with pytest.raises(LinkLost, match="HTTP 404"):
        client("nothing")


def test_nobody_calls_without_the_token(server: CallServer) -> None:
    with httpx.Client(base_url=server.address) as nobody:
        assert nobody.post("/double", json={"number": 1}).status_code == 401
        wrong = {"Authorization": "Bearer wrong"}
        assert nobody.post("/double", json={"number": 1}, headers=wrong).status_code == 401
        assert nobody.get("/double").status_code == 405


def test_a_server_that_is_gone_is_a_lost_link(server: CallServer, client: CallClient) -> None:
    server.close()
    with pytest.raises(LinkLost, match="the test's server"):
        client("double", number=1)
