"""Reads 93 days of half hours (4,464 rows) through an optical port: what of the line's rate is used.

The port is a pseudo terminal on which bytes take their time: 9600 baud, ten bits a byte, and each side waits
20 ms before it answers. Our client reads with several information fields, windows and longest PDUs, and
dlms-cosem, which always has 128/1, beside it. Prints, and judges nothing: the share of the line rate, which
is the time that the bare profile would take over the time of the reading, and the clients' CPU time a row. At
best is what bytes and turnarounds alone leave of the rate, counted over a line in memory.

A real reading takes minutes. ``--speed`` divides all times of line and turnarounds, by raising the rate to
another that ports have; what the two ends themselves need is not divided, so that shares come out somewhat
below those in real time.

    .venv/bin/python benchmarks/optical_line.py [--speed 1|2|4|6|12]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from full_meter import (
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

from device_drivers.dlms.client import DlmsClient
from device_drivers.dlms.hdlc.channel import HdlcChannel
from device_drivers.dlms.hdlc.server import HdlcServer
from device_drivers.simulated.optical_port import MeterPort, OpticalPort
from device_drivers.transports.base import ByteTransport, line_time
from device_drivers.transports.serial import open_serial
from harness.domain.lab import Hdlc

BAUD, TURNAROUND = 9_600, 0.020
SPEEDS = (1, 2, 4, 6, 12)  # with each the rate is one that ports have
LARGEST_PDU = 65_535
CLIENTS = {
    "ours": [sys.executable, __file__, "--client"],
    "dlms-cosem": [str(PEER_PYTHON), str(PEERS / "dlms_cosem_peer.py")],
}


@dataclass(frozen=True)
class Setting:
    """A line of the table; ``aim`` is the share, in percent, that a client can be asked to reach."""

    client: str
    field: int
    window: int
    max_pdu: int
    aim: int | None = None


SETTINGS = (
    Setting("ours", 128, 1, 1_024, 64),
    Setting("ours", 128, 7, 1_024, 82),
    Setting("ours", 2_030, 1, 1_024, 92),
    Setting("ours", 2_030, 7, LARGEST_PDU, 97),
    Setting("dlms-cosem", 128, 1, 1_024),
)


class SlowToAnswer:
    """A transport whose user begins to speak no sooner than so many seconds after what it heard last."""

    def __init__(self, transport: ByteTransport, turnaround: float) -> None:
        self._transport = transport
        self._turnaround = turnaround
        self._heard_at = 0.0

    @property
    def name(self) -> str:
        return self._transport.name

    def write(self, data: bytes) -> None:
        time.sleep(max(0.0, self._heard_at + self._turnaround - time.monotonic()))
        self._transport.write(data)

    def read(self, at_most: int, timeout: float) -> bytes:
        data = self._transport.read(at_most, timeout)
        if data:
            self._heard_at = time.monotonic()
        return data

    def close(self) -> None:
        self._transport.close()


class Counting:
    """A transport with the meter at its other end, which adds up what a line would need for what passes."""

    name = "a line in memory"

    def __init__(self, meter: HdlcServer) -> None:
        self.seconds = 0.0
        self._meter = meter
        self._said = b""

    def write(self, data: bytes) -> None:
        said = self._meter.feed(data, now=0.0)
        self.seconds += line_time(len(data) + len(said), BAUD) + 2 * TURNAROUND
        self._said += said

    def read(self, at_most: int, timeout: float) -> bytes:  # noqa: ARG002 - nothing comes later
        data, self._said = self._said[:at_most], self._said[at_most:]
        return data

    def close(self) -> None:
        pass


def seconds_at_best(setting: Setting, meter: FullMeter) -> float:
    """How long our client's reading takes where nothing but the line and the turnarounds takes time."""
    asked = task("lls", setting.max_pdu, 0)
    line = Counting(HdlcServer(meter.server))
    hdlc = Hdlc(information_field=setting.field, window=setting.window)
    channel = HdlcChannel(line, hdlc, asked["client_sap"])
    channel.connect()
    with DlmsClient(channel, *credentials(asked), max_pdu=setting.max_pdu) as client:
        line.seconds = 0.0
        client.get(PROFILE_ROWS)
        return line.seconds


def read_with_ours(told: dict[str, Any]) -> dict[str, list[float]]:
    """What a peer's program does, done by our client."""
    transport = SlowToAnswer(open_serial({"port": told["line"], "baud": told["baud"]}), told["turnaround"])
    hdlc = Hdlc(information_field=told["field"], window=told["window"])
    channel = HdlcChannel(transport, hdlc, told["client_sap"])
    channel.connect()
    with DlmsClient(channel, *credentials(told), max_pdu=told["max_pdu"]) as client:
        wall, cpu = time.perf_counter(), time.process_time()
        rows = [plain_row(row) for row in client.get(PROFILE_ROWS).value]
        spent = {"wall": [time.perf_counter() - wall], "cpu": [time.process_time() - cpu]}
    assert len(rows) == ROWS
    return spent


def measure(setting: Setting, meter: FullMeter, speed: int) -> str:
    """A line of the table."""
    head = f"{setting.client:12} {setting.field:5}/{setting.window} {setting.max_pdu:7}"
    port = OpticalPort(MeterPort(HdlcServer(meter.server), baud=BAUD * speed), turnaround=TURNAROUND / speed)
    try:
        finished = subprocess.run(
            CLIENTS[setting.client],
            input=json.dumps(task_for(setting, port, speed)),
            capture_output=True,
            text=True,
            timeout=900 / speed + 60,
            check=False,
        )
    finally:
        port.close()
    if finished.returncode:
        return f"{head}  failed: {finished.stderr.strip().splitlines()[-1]}"
    spent = json.loads(finished.stdout)
    seconds, cpu = spent["wall"][0] * speed, spent["cpu"][0]
    bare = 100 * line_time(meter.profile_bytes, BAUD)
    at_best = f"{bare / seconds_at_best(setting, meter):.1f}" if setting.client == "ours" else "-"
    shares = f"{bare / seconds:9.1f} {at_best:>7} {setting.aim or '-':>4}"
    return f"{head} {seconds:9.1f} {shares} {1e6 * cpu / ROWS:14.1f}"


def task_for(setting: Setting, port: OpticalPort, speed: int) -> dict[str, Any]:
    """What the client's program is told."""
    line = {"line": port.path, "baud": BAUD * speed, "turnaround": TURNAROUND / speed}
    return task("lls", setting.max_pdu, 0, **line, field=setting.field, window=setting.window, times=1)


def main(speed: int) -> None:
    """Measure one after the other, print the table."""
    meter = FullMeter()
    bare = line_time(meter.profile_bytes, BAUD)
    print(f"{ROWS} rows, {meter.profile_bytes} bytes: {bare:.1f} s at {BAUD} baud; each side waits 20 ms")
    print(f"all times on the line divided by {speed} (--speed {speed}); seconds are those at {BAUD} baud")
    titles = f"{'client':12} {'field/w':>7} {'max PDU':>7} {'s':>9} {'% of rate':>9}"
    print(f"{titles} {'at best':>7} {'aim':>4} {'CPU us per row':>14}")
    for setting in SETTINGS:
        if setting.client == "ours" or PEERS_ARE_HERE:
            print(measure(setting, meter, speed), flush=True)
        else:
            print(f"{setting.client}: not installed here, see `make peers`")


if __name__ == "__main__":
    if "--client" in sys.argv:
        json.dump(read_with_ours(json.load(sys.stdin)), sys.stdout)
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("--speed", type=int, choices=SPEEDS, default=12)
        main(parser.parse_args().speed)
