"""Every wrong way to a meter's port: refused by a right meter, done by one without the check it tries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_drivers.dlms.counters import FileCounters
from device_drivers.dlms.data import octets
from device_drivers.dlms.security import Credentials, Guard
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.misuse.knocking import Knocker, asking, setting
from device_drivers.transports.tcp import open_tcp
from harness.domain.misuse import KNOCKS

SETTING = {
    # How → the check that it tries; the reading client's rights are the model's affair
    "password for keys": "mechanism",
    "no security": "mechanism",
    "wrong title": "title",
    "unproven": "unproven",
    "wrong proof": "challenge",
    "plain": "ciphered",
    "authenticated only": "security_control",
    "tag changed": "tag",
    "replayed": "counter",
    "counter lowered": "counter",
}
READING = {"wrong password": "password", "unknown client": "client"}


class Without(Guard):
    """A guard that takes one check back, and remembers who failed."""

    def __init__(self, check: str = "") -> None:
        self.check = check
        self.failures: list[int] = []
        self.deaf = False

    def refusal(self, check: str, why: str, client_sap: int) -> str:
        return "" if check == self.check else why

    def failed(self, client_sap: int) -> None:
        self.failures.append(client_sap)

    def locked(self, client_sap: int) -> bool:
        return self.deaf


@pytest.fixture
def guard() -> Without:
    return Without()


@pytest.fixture
def knocker(bench, guard: Without, tmp_path: Path) -> Iterator[Knocker]:
    titled = {1: replace(bench.associations[1], client_title=bench.credentials["management"].system_title)}

    def server() -> DlmsServer:
        return bench.server(guard=guard, associations={**bench.associations, **titled})

    with TcpDlmsServer(server) as listening:
        host, port = listening.address
        yield Knocker(
            lambda: open_tcp({"host": host, "port": port}),
            bench.credentials["management"],
            FileCounters(tmp_path / "counters"),
            Credentials("lls", 3, password=bench.password),
            lambda direction, raw: None,
        )


def knocked(knocker: Knocker, bench, how: str) -> bool:
    return knocker.knock(
        how, setting(bench.note, octets(b"changed")), setting(bench.note, octets(b"hello"))
    ).done


@pytest.mark.parametrize("how", [how for how in KNOCKS if how != "rightly"])
def test_a_meter_that_is_right_does_nothing(knocker: Knocker, bench, how: str) -> None:
    assert not knocked(knocker, bench, how)
    assert bench.meter.values[bench.note].value == b"hello"


@pytest.mark.parametrize(("how", "check"), SETTING.items())
def test_a_meter_without_the_check_does_it(
    knocker: Knocker, bench, guard: Without, how: str, check: str
) -> None:
    guard.check = check
    assert knocked(knocker, bench, how)
    assert bench.meter.values[bench.note].value == b"changed"


@pytest.mark.parametrize(("how", "check"), READING.items())
def test_a_meter_without_the_check_tells_it(
    knocker: Knocker, bench, guard: Without, how: str, check: str
) -> None:
    guard.check = check
    assert knocker.knock(how, asking(bench.note), asking(bench.note)).done


def test_the_right_way_is_open(knocker: Knocker, bench) -> None:
    assert knocked(knocker, bench, "rightly")
    assert knocker.knock("reading client", asking(bench.note), b"").done


@pytest.mark.parametrize(
    "how", ["wrong password", "wrong encryption key", "wrong authentication key", "wrong proof"]
)
def test_an_attempt_to_get_in_counts(knocker: Knocker, bench, guard: Without, how: str) -> None:
    knocked(knocker, bench, how)
    assert len(guard.failures) == 1


def test_a_spoilt_apdu_in_an_open_association_is_told_and_does_not_count(
    knocker: Knocker, bench, guard: Without
) -> None:
    knocked(knocker, bench, "tag changed")
    assert (guard.failures, bench.failures) == ([], [1])


def test_who_is_locked_out_is_not_heard_with_the_right_keys(knocker: Knocker, bench, guard: Without) -> None:
    guard.deaf = True
    assert not knocked(knocker, bench, "rightly")
    guard.check = "lockout"
    assert knocked(knocker, bench, "rightly")


def test_bytes_that_are_no_apdu_are_answered_and_the_meter_serves_on(knocker: Knocker, bench) -> None:
    pieces = (b"", b"\xff", b"\xc0\x01\xc1\x00\x08", b"\xc1\x01\xc1" + b"\xff" * 40, b"\x00" * 60_000)
    assert knocker.babble(pieces) == len(pieces)
    assert knocked(knocker, bench, "rightly")
