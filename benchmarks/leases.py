"""How many durable leases a second: client processes, each with a rig of its own, take it and give it back.

Prints, and judges nothing. A cycle is an acquire and a release, each of which is on the disk before the
client goes on: SQLite with a write-ahead log and ``synchronous=FULL``, PostgreSQL (if its server is
installed) with ``fsync`` and ``synchronous_commit`` on. They are written one after the other, so that the
disk allows about half as many cycles as it does fsyncs, which are counted first.

In the same run labgrid's coordinator, if it can be had: its clients acquire and release a place each over
gRPC. It saves its state now and then, so that a cycle of it is not durable.

    .venv/bin/python benchmarks/leases.py [--seconds 5] [--clients 8] [--rigs 8] [--only SQLite]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).parents[1]
PEER_VENV = REPO / ".venv-peers" / "labgrid"
LABGRID = "labgrid==26.0.1"
START_UP = 30.0  # seconds that a server may take to start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument(
        "--rigs", type=int, default=0, help="as many as clients, unless said; fewer are fought for"
    )
    parser.add_argument(
        "--only", choices=list(SERVERS), action="append", help="measure this; may be given again"
    )
    parser.add_argument("--client", nargs=3, metavar=("KIND", "ADDRESS", "NUMBER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rigs = options.rigs or options.clients
    if options.client:
        client(*options.client, options)
        return
    load, pace = os.getloadavg()[0], fsyncs_a_second()
    print(f"{options.clients} client processes, {options.rigs} rigs, {options.seconds:g} s each")
    print(f"before: load {load:.1f} on {os.cpu_count()} cores, {pace:.0f} fsyncs/s")
    for title in options.only or SERVERS:
        server = SERVERS[title]
        with tempfile.TemporaryDirectory() as folder:
            try:
                with server(Path(folder), options.rigs) as (kind, address, python, how):
                    measure(title, how, [*python, __file__, "--client", kind, address], options)
            except Unavailable as reason:
                print(f"{title:12} dropped: {reason}")


def fsyncs_a_second(tries: int = 200) -> float:
    with tempfile.TemporaryFile() as file:
        began = time.monotonic()
        for _ in range(tries):
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        return tries / (time.monotonic() - began)


class Unavailable(Exception):
    """Why a server is not measured."""


Served = tuple[str, str, list[str], str]  # kind, address, the clients' interpreter, how durable


@contextlib.contextmanager
def sqlite(folder: Path, rigs: int) -> Iterator[Served]:
    from harness.rigs.store import sqlite_url

    url = sqlite_url(folder)
    enrol(url, rigs)
    yield "ours", url, [sys.executable], "write-ahead log, synchronous=FULL"


@contextlib.contextmanager
def postgresql(_: Path, rigs: int) -> Iterator[Served]:
    from tests.harness.rigs.postgresql import cluster, server_binaries

    binaries = server_binaries()
    if binaries is None:
        raise Unavailable("no PostgreSQL server is installed")
    with cluster(binaries, fsync=True) as server:
        url = server.url
        enrol(url, rigs)
        yield "ours", url, [sys.executable], "fsync and synchronous_commit on, loopback"


def enrol(url: str, rigs: int) -> None:
    from harness.rigs.leases import Leases
    from harness.rigs.store import Store

    with Store(url) as store, Leases(store, "the benchmark") as leases:
        leases.enrol({name(number): "dmc-1" for number in range(rigs)})


@contextlib.contextmanager
def labgrid(folder: Path, rigs: int) -> Iterator[Served]:
    python = labgrid_python()
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [python.parent / "labgrid-coordinator", "--listen", address]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as server,
    ):
        try:
            places = [python, __file__, "--rigs", str(rigs), "--client", "places", address, "0"]
            made = subprocess.run(places, capture_output=True, text=True, check=False, timeout=START_UP)
            if made.returncode:
                raise Unavailable(f"its coordinator does not answer: {made.stderr.strip()[-200:]}")
            yield (
                "labgrid",
                address,
                [str(python)],
                "its coordinator, as it is installed; saved later, not durable",
            )
        finally:
            server.terminate()


def labgrid_python() -> Path:
    """Of the environment of its own that it is installed into at need."""
    python = PEER_VENV / "bin" / "python"
    if not (PEER_VENV / "bin" / "labgrid-coordinator").exists():
        subprocess.run([sys.executable, "-m", "venv", PEER_VENV], check=True)
        install = [python, "-m", "pip", "install", "--quiet", LABGRID]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(
                f"{LABGRID} cannot be installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
            )
    return python


def measure(title: str, how: str, client_command: list[str], options: argparse.Namespace) -> None:
    """Start the clients, let them go at once, and print what they tell."""
    clients = [
        subprocess.Popen(
            [*client_command, str(number), "--rigs", str(options.rigs), "--seconds", str(options.seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(options.clients)
    ]
    try:
        for each in clients:
            if each.stdout.readline() != "ready\n":
                raise Unavailable("a client of it does not start")
        for each in clients:
            each.stdin.write("go\n")
            each.stdin.flush()
        took = sorted(float(cycle) for each in clients for cycle in each.communicate()[0].split())
        if any(each.returncode for each in clients):
            raise Unavailable("a client of it failed")
    finally:
        for each in clients:
            each.kill()
            each.communicate()
    middle, late = took[len(took) // 2], took[len(took) * 99 // 100]
    rate = len(took) / options.seconds
    times = f"median {middle * 1e3:.1f} ms, 99 % {late * 1e3:.1f} ms, longest {took[-1] * 1e3:.0f} ms"
    print(f"{title:12} {rate:7.0f} cycles/s; a cycle: {times}  ({how})")


def name(number: int) -> str:
    return f"rig-{number}"


def client(kind: str, address: str, number: str, options: argparse.Namespace) -> None:
    """One of the client processes: says ready, waits for the word, prints how long each cycle took."""
    rig = name(int(number) % options.rigs)
    if kind == "ours":
        ours(address, rig, options.seconds)
    else:
        asyncio.run(labgrid_client(kind, address, rig, options))


def ours(url: str, rig: str, seconds: float) -> None:
    from harness.rigs.leases import Leases
    from harness.rigs.store import Store

    with Store(url) as store, Leases(store, f"client of {rig}") as leases:
        leases.acquire(rig, purpose="warming up", wait=60).release()
        took = []
        ends = started(seconds)
        while (began := time.monotonic()) < ends:
            leases.acquire(rig, purpose="a cycle", wait=60).release()
            took.append(time.monotonic() - began)
    print(*took)


def started(seconds: float) -> float:
    """When to stop."""
    print("ready", flush=True)
    sys.stdin.readline()
    return time.monotonic() + seconds


async def labgrid_client(kind: str, address: str, rig: str, options: argparse.Namespace) -> None:
    import grpc
    from labgrid.remote.client import ClientSession
    from labgrid.remote.generated import labgrid_coordinator_pb2 as messages

    session = ClientSession(address=address, loop=asyncio.get_running_loop())
    await asyncio.wait_for(session.channel.channel_ready(), START_UP)
    await session.start()
    if kind == "places":
        for number in range(options.rigs):
            await session.stub.AddPlace(messages.AddPlaceRequest(name=name(number)))
    else:
        took = []
        ends = started(options.seconds)
        while (began := time.monotonic()) < ends:
            try:
                await session.stub.AcquirePlace(messages.AcquirePlaceRequest(placename=rig))
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                    raise
                continue  # another client has it; that it is waited for costs a cycle nothing here
            await session.stub.ReleasePlace(messages.ReleasePlaceRequest(placename=rig))
            took.append(time.monotonic() - began)
        print(*took)
    await session.stop()
    await session.close()


SERVERS = {"SQLite": sqlite, "PostgreSQL": postgresql, "labgrid": labgrid}

if __name__ == "__main__":
    main()
