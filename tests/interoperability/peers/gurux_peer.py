"""Reads a meter with gurux-dlms; see README.md beside this file."""

import contextlib
import io
import json
import socket
import sys
import time
from datetime import UTC, datetime

from gurux_dlms import GXByteBuffer, GXDateTime, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.objects import GXDLMSClock, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient

AUTHENTICATION = {
    "none": Authentication.NONE,
    "lls": Authentication.LOW,
    "hls-gmac": Authentication.HIGH_GMAC,
}


class Reader:
    """The client over a plain socket."""

    def __init__(self, task):
        self.connection = socket.create_connection((task["host"], task["port"]), timeout=10)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        password = bytes.fromhex(task["password"]) or None
        how = AUTHENTICATION[task["mechanism"]]
        self.client = GXDLMSSecureClient(True, task["client_sap"], 1, how, password, InterfaceType.WRAPPER)
        self.client.setMaxReceivePDUSize(task["max_pdu"])
        if task["mechanism"] == "hls-gmac":
            ciphering = self.client.ciphering
            ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            ciphering.systemTitle = bytearray.fromhex(task["title"])
            ciphering.blockCipherKey = bytearray.fromhex(task["encryption_key"])
            ciphering.authenticationKey = bytearray.fromhex(task["authentication_key"])
            ciphering.invocationCounter = task["counter"]

    def exactly(self, count):
        received = b""
        while len(received) < count:
            piece = self.connection.recv(count - len(received))
            if not piece:
                raise ConnectionError("closed by the meter")
            received += piece
        return received

    def exchange(self, frame, reply):
        self.connection.sendall(bytes(frame))
        header = self.exactly(8)
        answer = header + self.exactly(int.from_bytes(header[6:], "big"))
        self.client.getData(GXByteBuffer(answer), reply)
        if reply.error:
            raise ValueError(f"refused: {reply.error}")

    def ask(self, frames):
        """The whole answer to one request, all its blocks."""
        reply = GXReplyData()
        for frame in frames:
            reply.clear()
            self.exchange(frame, reply)
            while reply.isMoreData():
                self.exchange(self.client.receiverReady(reply), reply)
        return reply

    def associate(self):
        self.client.parseAareResponse(self.ask(self.client.aarqRequest()).data)
        if self.client.getIsAuthenticationRequired():
            reply = self.ask(self.client.getApplicationAssociationRequest())
            self.client.parseApplicationAssociationResponse(reply.data)

    def release(self):
        self.ask(self.client.releaseRequest())
        self.connection.close()

    def value(self, item, number=2):
        reply = self.ask(self.client.read(item, number))
        return self.client.updateValue(item, number, reply.value)


def moment(stamp):
    value = stamp.value if isinstance(stamp, GXDateTime) else stamp
    return value.astimezone(UTC).isoformat()


def rows(reader, profile, frames):
    profile.buffer = []  # the peer appends to what was read before
    reply = reader.ask(frames)
    reader.client.updateValue(profile, 2, reply.value)
    return [[moment(row[0]), *row[1:]] for row in profile.buffer]


def read(reader, task):
    client = reader.client
    profile = GXDLMSProfileGeneric(dotted(task["profile"]))
    reader.value(profile, 3)
    start_end = [datetime.fromisoformat(text) for text in task.get("range") or ()]
    found = {
        "clock": moment(reader.value(GXDLMSClock(), 2)),
        "registers": {obis: reader.value(GXDLMSRegister(dotted(obis)), 2) for obis in task["registers"]},
        "range": rows(reader, profile, client.readRowsByRange(profile, *start_end)) if start_end else None,
        "wall": [],
        "cpu": [],
    }
    if task.get("entries"):
        first, last = task["entries"]
        found["entries"] = rows(reader, profile, client.readRowsByEntry(profile, first, last - first + 1))
    for _ in range(task["times"]):
        wall, cpu = time.perf_counter(), time.process_time()
        found["profile"] = rows(reader, profile, client.read(profile, 2))
        found["wall"].append(time.perf_counter() - wall)
        found["cpu"].append(time.process_time() - cpu)
    return found


def dotted(obis):
    return obis.replace("-", ".").replace(":", ".") + ".255"


def main():
    task = json.load(sys.stdin)
    with contextlib.redirect_stdout(io.StringIO()):  # the peer prints as it goes
        reader = Reader(task)
        reader.associate()
        found = read(reader, task)
        reader.release()
    json.dump(found, sys.stdout)


main()
