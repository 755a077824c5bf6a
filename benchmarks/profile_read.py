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
from statistics import median
from typing import Any

from full_meter import (
    MECHANISMS,
    PEER_PYTHON,
    PEERS,
    PEERS_ARE_HERE,
    PROFILE_ROWS,
    ROWS,
    FullMeter,
    credentials,
    plain_row,
    task,
)

from device_drivers.dlms.client import DlmsClient, WrapperChannel
from device_drivers.dlms.tcp_server import TcpDlmsServer
from device_drivers.transports.tcp import open_tcp

CLIENTS = {
    "ours": [sys.executable, __file__, "--client"],
    "dlms-cosem": [str(PEER_PYTHON), str(PEERS / "dlms_cosem_peer.py")],
    "gurux-dlms": [str(PEER_PYTHON), str(PEERS / "gurux_peer.py")],
}


def read_with_ours(told: dict[str, Any]) -> dict[str, list[float]]:
    """What a peer's program does, done by our client."""
    transport = open_tcp({"host": told["host"], "port": told["port"]})
    channel = WrapperChannel(transport, told["client_sap"])
    spent: dict[str, list[float]] = {"wall": [], "cpu": []}
    with DlmsClient(channel, *credentials(told), max_pdu=told["max_pdu"]) as client:
        for _ in range(told["times"]):
            wall, cpu = time.perf_counter(), time.process_time()
            rows = [plain_row(row) for row in client.get(PROFILE_ROWS).value]
            spent["wall"].append(time.perf_counter() - wall)
            spent["cpu"].append(time.process_time() - cpu)
            assert len(rows) == ROWS
    return spent


def measure(client: str, told: dict[str, Any]) -> str:
    """A line of the table."""
    head = f"{client:12} {told['mechanism']:9} {told['max_pdu']:7}"
    finished = subprocess.run(
        CLIENTS[client], input=json.dumps(told), capture_output=True, text=True, timeout=300, check=False
    )
    if finished.returncode:
        return f"{head}  failed: {finished.stderr.strip().splitlines()[-1]}"
    spent = json.loads(finished.stdout)
    wall, cpu = (1_000 * median(spent[kind]) for kind in ("wall", "cpu"))
    return f"{head} {wall:10.1f} {cpu:10.1f}"


def main(times: int) -> None:
    """Serve, measure each client in turn, print the table."""
    clients = [name for name in CLIENTS if name == "ours" or PEERS_ARE_HERE]
    print(f"{ROWS} rows of 5 columns, median of {times} readings, milliseconds")
    print(f"{'client':12} {'security':9} {'max PDU':>7} {'wall':>10} {'client CPU':>10}")
    counter = 0
    with TcpDlmsServer(FullMeter().server) as server:
        host, port = server.address
        for mechanism in MECHANISMS:
            for max_pdu in (1_024, 65_535):
                for client in clients:
                    counter += 1_000_000
                    told = task(mechanism, max_pdu, counter, host=host, port=port, times=times)
                    print(measure(client, told), flush=True)
    for missing in [name for name in CLIENTS if name not in clients]:
        print(f"{missing}: not installed here, see `make peers`")


if __name__ == "__main__":
    if "--client" in sys.argv:
        json.dump(read_with_ours(json.load(sys.stdin)), sys.stdout)
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
