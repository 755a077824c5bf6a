"""Reads 93 days of half hours (4,464 rows of clock and four values) from a meter on the loopback.

Our client, dlms-cosem and Gurux, each in a process of its own, from the same server, one after the other.
Prints the median of the wall and CPU time of a reading, request to rows, and judges nothing. The other two
need `make peers`.

    .venv/bin/python benchmarks/profile_read.py [readings]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from device_drivers.dlms.client import DlmsClient, WrapperChannel, counter_name
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    integer,
    long_unsigned,
    octets,
    structure,
)
from device_drivers.dlms.refs import CLOCK_TIME, AttributeRef, MethodRef, Selector, parse_obis
from device_drivers.dlms.security import Association, Credentials
from device_drivers.dlms.server import DlmsServer
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.dlms.times import decode_date_time, encode_date_time
from device_drivers.transports.tcp import open_tcp
from harness.domain.errors import AccessRefused

REPO = Path(__file__).parents[1]
PEER_PYTHON = REPO / ".venv-peers" / "bin" / "python"
PEERS = REPO / "tests" / "interoperability" / "peers"
ROWS, PROFILE = 4_464, "1-0:99.1.0"
START = datetime(2026, 1, 1, tzinfo=UTC)
METER_TITLE, CLIENT_TITLE = b"MTR\x00\x00\x00\x00\x01", b"LAB\x00\x00\x00\x00\x01"
ENCRYPTION, AUTHENTICATION, PASSWORD = bytes(range(16)), bytes(range(16, 32)), b"12345678"
ASSOCIATIONS = {
    3: Association(3, "lls", password=PASSWORD),
    1: Association(1, "hls-gmac", encryption_key=ENCRYPTION, authentication_key=AUTHENTICATION),
}
MECHANISMS = {"lls": 3, "hls-gmac": 1}


class FullMeter:
    """A meter that has nothing but a full profile, its values ready."""

    def __init__(self) -> None:
        columns = [CLOCK_TIME, *(AttributeRef(3, f"1-0:{n}.29.0", 2) for n in range(1, 5))]
        self._values = {
            CLOCK_TIME: octets(encode_date_time(START)),
            AttributeRef(7, PROFILE, 2): array(*(self._row(number) for number in range(ROWS))),
            AttributeRef(7, PROFILE, 3): array(*(self._capture(column) for column in columns)),
        }

    @staticmethod
    def _row(number: int) -> Data:
        when = octets(encode_date_time(START + timedelta(minutes=30 * number)))
        return structure(when, *(double_long_unsigned(number * factor) for factor in range(1, 5)))

    @staticmethod
    def _capture(ref: AttributeRef) -> Data:
        name = octets(parse_obis(ref.obis))
        return structure(long_unsigned(ref.class_id), name, integer(ref.attribute), long_unsigned(0))

    def get(self, ref: AttributeRef, selector: Selector | None, client: int) -> Data:  # noqa: ARG002
        return self._values[ref]

    def set(self, ref: AttributeRef, data: Data, client: int) -> None:  # noqa: ARG002
        raise AccessRefused("read only", result="read-write-denied")

    def action(self, ref: MethodRef, data: Data | None, client: int) -> Data | None:  # noqa: ARG002
        raise AccessRefused("read only", result="read-write-denied")


def read_with_ours(task: Mapping[str, Any]) -> dict[str, list[float]]:
    """What a peer's program does, done by our client."""
    sap, keys = task["client_sap"], (ENCRYPTION, AUTHENTICATION)
    credentials = (
        Credentials("lls", sap, password=PASSWORD)
        if task["mechanism"] == "lls"
        else Credentials("hls-gmac", sap, 1, CLIENT_TITLE, b"", *keys)
    )
    counters = MemoryCounters()
    counters.raise_to(counter_name(credentials), task["counter"])
    channel = WrapperChannel(open_tcp({"host": task["host"], "port": task["port"]}), sap)
    spent: dict[str, list[float]] = {"wall": [], "cpu": []}
    with DlmsClient(channel, credentials, counters, max_pdu=task["max_pdu"]) as client:
        for _ in range(task["times"]):
            wall, cpu = time.perf_counter(), time.process_time()
            data = client.get(AttributeRef(7, PROFILE, 2))
            rows = [_plain_row(row) for row in data.value]
            spent["wall"].append(time.perf_counter() - wall)
            spent["cpu"].append(time.process_time() - cpu)
            assert len(rows) == ROWS
    return spent


def _plain_row(row: Data) -> list[Any]:
    when, *values = row.value
    return [decode_date_time(when.value).isoformat(), *[value.value for value in values]]


CLIENTS = {
    "ours": [sys.executable, __file__, "--client"],
    "dlms-cosem": [str(PEER_PYTHON), str(PEERS / "dlms_cosem_peer.py")],
    "gurux-dlms": [str(PEER_PYTHON), str(PEERS / "gurux_peer.py")],
}


def measure(
    client: str, mechanism: str, max_pdu: int, address: tuple[str, int], times: int, counter: int
) -> str:
    """A line of the table."""
    task = {
        "host": address[0],
        "port": address[1],
        "mechanism": mechanism,
        "client_sap": MECHANISMS[mechanism],
        "max_pdu": max_pdu,
        "password": PASSWORD.hex() if mechanism == "lls" else "",
        "title": CLIENT_TITLE.hex(),
        "encryption_key": ENCRYPTION.hex(),
        "authentication_key": AUTHENTICATION.hex(),
        "counter": counter,
        "registers": [],
        "profile": PROFILE,
        "times": times,
    }
    finished = subprocess.run(
        CLIENTS[client], input=json.dumps(task), capture_output=True, text=True, timeout=300, check=False
    )
    if finished.returncode:
        return f"{client:12} {mechanism:9} {max_pdu:7}  failed: {finished.stderr.strip().splitlines()[-1]}"
    spent = json.loads(finished.stdout)
    wall, cpu = (1_000 * median(spent[kind]) for kind in ("wall", "cpu"))
    return f"{client:12} {mechanism:9} {max_pdu:7} {wall:10.1f} {cpu:10.1f}"


def main(times: int) -> None:
    """Serve, measure each client in turn, print the table."""
    meter, counters = FullMeter(), MemoryCounters()
    clients = [name for name in CLIENTS if name == "ours" or (REPO / ".venv-peers" / ".installed").exists()]
    print(f"{ROWS} rows of 5 columns, median of {times} readings, milliseconds")
    print(f"{'client':12} {'security':9} {'max PDU':>7} {'wall':>10} {'client CPU':>10}")
    counter = 0
    with TcpDlmsServer(lambda: DlmsServer(meter, ASSOCIATIONS, METER_TITLE, counters)) as server:
        for mechanism in MECHANISMS:
            for max_pdu in (1_024, 65_535):
                for client in clients:
                    counter += 1_000_000
                    print(measure(client, mechanism, max_pdu, server.address, times, counter), flush=True)
    for missing in [name for name in CLIENTS if name not in clients]:
        print(f"{missing}: not installed here, see `make peers`")


if __name__ == "__main__":
    if "--client" in sys.argv:
        json.dump(read_with_ours(json.load(sys.stdin)), sys.stdout)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
