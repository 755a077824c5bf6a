"""A long APDU in blocks goes no further than the lease lasts, and what follows is not said either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from device_drivers.dlms.channel import HEADER_BYTES, WrapperChannel, parse_header
from device_drivers.dlms.client import DlmsClient
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import octets
from device_drivers.transports.tcp import open_tcp
from harness.rigs.lease_words import StaleLease
from tests.device_drivers.fencing import Gate, Tap

Ask = Callable[[DlmsClient, Any], Any]
ASKED: dict[str, Ask] = {
    "a profile is read": lambda client, bench: client.get(bench.profile),
    "an image is sent": lambda client, bench: client.action(bench.echo, octets(bytes(20_000))),
    "an attribute is written": lambda client, bench: client.set(bench.note, octets(bytes(20_000))),
}


@pytest.fixture
def line(listening: Any) -> Iterator[Tap]:
    with Tap(listening.address) as tap:
        yield tap


def frames(sent: bytes) -> int:
    """How many frames of the wrapper those bytes are."""
    count = at = 0
    while at < len(sent):
        at += HEADER_BYTES + parse_header(sent[at : at + HEADER_BYTES])[2]
        count += 1
    return count


@pytest.mark.parametrize("general_blocks", [False, True], ids=["service blocks", "general blocks"])
@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_a_lease_that_ends_in_the_middle_ends_it(
    ask: Ask, bench: Any, line: Tap, general_blocks: bool
) -> None:
    bench.max_pdu, bench.meter.rows = 1_024, 1_000
    gate, credentials = Gate(), bench.credentials["management"]
    host, port = line.address
    transport = open_tcp({"host": host, "port": port}, gate)
    channel = WrapperChannel(transport, credentials.client_sap, credentials.server_sap)
    options: dict[str, Any] = {"max_pdu": 1_024, "general_blocks": general_blocks, "window": 2}
    with closing(DlmsClient(channel, credentials, MemoryCounters(), **options)) as client:
        client.open()
        before = gate.asked
        ask(client, bench)
        steps = gate.asked - before
        assert steps >= 4
        gate.shut(after=steps // 2)
        with pytest.raises(StaleLease):
            ask(client, bench)
    assert gate.asked == before + steps + steps // 2
    assert frames(line.all()) == gate.asked  # to close is to say nothing, too
