"""The referee: a process of its own that is never killed, and believes nobody.

It is the bench of every rig (a small Modbus server each, written here, so that nothing of the harness has a
say in what it sees), and it hears from each test, over a Unix socket, when it begins and when it ends. What
it saw it tells on standard output, a line of JSON an event, each with ``at``, seconds of its own clock:

- ``listening``: ``ports`` by rig;
- ``bench``: ``rig``, and ``live``: the registers that are not in the safe state now that it was written to;
- ``begun`` and ``ended``: ``attempt``, ``rig``, ``run``, ``pid`` (the kernel's word, not the test's); at the
  end also ``acted``: when its process asked the bench for something last;
- ``gone``: the process of a test closed its socket without having said that it ended;
- ``foul``: ``kind`` (``two owners`` or ``given live``), ``rig``, ``why``.

A foul is: a write on a connection after a younger connection has written to the same bench; a hand-over (the
first test over a new connection) of a bench that is not in the safe state. A late owner may think that it
begins a test: only when it writes is it a foul. On standard input the referee takes ``silence RIG`` and
``speak RIG``, and ends when that is closed.

Usage: ``referee.py SOCKET SAFE``, where SAFE is JSON: rig → table ("coil" or "holding") → address → word.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COIL, HOLDING = "coil", "holding"
READ_COILS, READ_HOLDING, WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 1, 3, 5, 6, 15, 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS = 1, 2
Registers = dict[str, dict[int, int]]


def tell(event: str, **fields: Any) -> None:
    sys.stdout.write(json.dumps({"event": event, "at": round(time.monotonic(), 4), **fields}) + "\n")
    sys.stdout.flush()


@dataclass
class Bench:
    """The registers of a rig's bench, and who has written to them."""

    rig: str
    safe: Registers
    words: Registers = field(init=False)
    silent: bool = False
    port: int = 0
    peers: dict[int, int] = field(default_factory=dict)  # connection by the port that it came from
    youngest_writer: int = 0
    blamed: set[int] = field(default_factory=set)  # connections that wrote although they were late
    acted: dict[int, float] = field(default_factory=dict)  # when the last request came over a connection
    owner: int = 0  # the connection over which the last hand-over was
    shown: list[str] | None = None

    def __post_init__(self) -> None:
        """Nobody knows how a bench was left: no word is as it is in the safe state."""
        self.words = {
            table: {at: word ^ 1 for at, word in words.items()} for table, words in self.safe.items()
        }

    def live(self) -> list[str]:
        return [
            f"{table} {address} is {word}"
            for table, words in self.words.items()
            for address, word in words.items()
            if word != self.safe[table][address]
        ]

    def show(self) -> None:
        live = self.live()
        if live != self.shown:
            self.shown = live
            tell("bench", rig=self.rig, live=live)

    def written_by(self, connection: int) -> None:
        if connection < self.youngest_writer and connection not in self.blamed:
            self.blamed.add(connection)
            why = f"connection {connection} wrote after connection {self.youngest_writer} had written"
            tell("foul", kind="two owners", rig=self.rig, why=why)
        self.youngest_writer = max(self.youngest_writer, connection)

    def answer(self, connection: int, pdu: bytes) -> bytes:
        """The answer to one request; what it writes is written before it is answered."""
        function, address = pdu[0], int.from_bytes(pdu[1:3])
        table = self.words[COIL if function in {READ_COILS, WRITE_COIL, WRITE_COILS} else HOLDING]
        match function:
            case 1 | 3:
                wanted = range(address, address + int.from_bytes(pdu[3:5]))
            case 5 | 6:
                wanted = range(address, address + 1)
            case 15 | 16:
                wanted = range(address, address + int.from_bytes(pdu[3:5]))
            case _:
                return bytes([function | 0x80, ILLEGAL_FUNCTION])
        if any(each not in table for each in wanted):
            return bytes([function | 0x80, ILLEGAL_ADDRESS])
        if function == READ_COILS:
            bits = sum(table[each] << place for place, each in enumerate(wanted))
            data = bits.to_bytes((len(wanted) + 7) // 8, "little")
            return bytes([function, len(data)]) + data
        if function == READ_HOLDING:
            data = struct.pack(f">{len(wanted)}H", *(table[each] for each in wanted))
            return bytes([function, len(data)]) + data
        self.written_by(connection)
        table.update(zip(wanted, _words(function, pdu), strict=True))
        self.show()
        return pdu[:5]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; a request that comes while the bench is silent is never acted upon."""
        connection = self.peers[writer.get_extra_info("peername")[1]] = len(self.peers) + 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                pdu = await reader.readexactly(length - 1)
                self.acted[connection] = round(time.monotonic(), 4)
                if not self.silent:
                    answer = self.answer(connection, pdu)
                    writer.write(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)
                    await writer.drain()


def _words(function: int, pdu: bytes) -> tuple[int, ...]:
    if function == WRITE_COIL:
        return (int(pdu[3] != 0),)
    if function == WRITE_REGISTER:
        return (int.from_bytes(pdu[3:5]),)
    count = int.from_bytes(pdu[3:5])
    if function == WRITE_COILS:
        bits = int.from_bytes(pdu[6:], "little")
        return tuple(bits >> place & 1 for place in range(count))
    return struct.unpack(f">{count}H", pdu[6:])


class Words:
    """What the tests say: a connection a test, for as long as it is in hand."""

    def __init__(self, benches: dict[str, Bench]) -> None:
        self._benches = benches

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told = json.loads(await reader.readline())
        peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        said = {**told, "pid": struct.unpack("3i", peer)[0]}
        bench = self._benches[said["rig"]]
        connection = max((bench.peers[port] for port in _ports_to(bench.port, said["pid"])), default=0)
        self._judge(bench, connection, said)
        tell("begun", **said)
        writer.write(b"go on\n")
        last = b""
        with contextlib.suppress(OSError):
            last = await reader.readline()
        acted = bench.acted.get(connection)
        tell("ended" if last == b"ended\n" else "gone", **said, acted=acted)
        writer.write(b"heard\n")  # so that what comes next is heard next
        writer.close()

    def _judge(self, bench: Bench, connection: int, said: dict[str, Any]) -> None:
        if connection <= bench.owner:
            return  # it has it since long; or is late, and may not write
        bench.owner = connection
        if live := bench.live():
            why = f"{said['attempt']} of {said['run']} is given a bench that is not safe: {', '.join(live)}"
            tell("foul", kind="given live", rig=bench.rig, why=why)


def _ports_to(server: int, pid: int) -> list[int]:
    """The ports of a process's connections to a server of this host, as the kernel knows them."""
    links = []
    with contextlib.suppress(OSError):  # it has died
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                links.append(entry.readlink())
    sockets = {str(link)[8:-1] for link in links if str(link).startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [
        int(row[1].partition(":")[2], 16)
        for row in rows
        if row[9] in sockets and int(row[2].partition(":")[2], 16) == server
    ]


async def main(words_at: str, safe: dict[str, Any]) -> None:
    benches = {
        rig: Bench(
            rig, {table: {int(at): word for at, word in words.items()} for table, words in tables.items()}
        )
        for rig, tables in safe.items()
    }
    await asyncio.start_unix_server(Words(benches).hear, words_at)
    for bench in benches.values():
        server = await asyncio.start_server(bench.serve, "127.0.0.1", 0)
        bench.port = server.sockets[0].getsockname()[1]
    tell("listening", ports={rig: bench.port for rig, bench in benches.items()})
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while order := (await orders.readline()).split():
        benches[order[1].decode()].silent = order[0] == b"silence"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
