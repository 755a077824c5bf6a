"""Reads a meter with gurux-dlms; see README.md beside this file."""

import contextlib
import io
import json
import socket
import sys
import time
from datetime import UTC, datetime

import serial
from gurux_dlms import GXByteBuffer, GXDateTime, GXReplyData
from gurux_dlms.enums import Authentication, InterfaceType, Security
from gurux_dlms.objects import GXDLMSClock, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient

AUTHENTICATION = {
    "none": Authentication.NONE,
    "lls": Authentication.LOW,
    "hls-gmac": Authentication.HIGH_GMAC,
}


class Socket:
    """Answers in the wrapper, over a plain socket."""

    interface = InterfaceType.WRAPPER

    def __init__(self, task):
        self.connection = socket.create_connection((task["host"], task["port"]), timeout=10)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, frame):
        self.connection.sendall(frame)

    def receive(self):
        """The next piece of an answer."""
        piece = self.connection.recv(65_536)
        if not piece:
            raise ConnectionError("closed by the meter")
        return piece

    def close(self):
        self.connection.close()


class Line:
    """Answers in HDLC, over a serial port."""

    interface = InterfaceType.HDLC

    def __init__(self, task):
        self.port = serial.Serial(task["line"], task["baud"], timeout=10)

    def send(self, frame):
        self.port.write(frame)

    def receive(self):
        """The next piece of an answer."""
        piece = self.port.read(1) + self.port.read(self.port.in_waiting)
        if not piece:
            raise ConnectionError("nothing from the meter")
        return piece

    def close(self):
        self.port.close()


class Reader:
    """The client over a socket or a serial port."""

    def __init__(self, task):
        self.carrier = Line(task) if "line" in task else Socket(task)
        password = bytes.fromhex(task["password"]) or None
        how = AUTHENTICATION[task["mechanism"]]
        interface = self.carrier.interface
        server = 1
        if task.get("physical"):
            server = GXDLMSSecureClient.getServerAddress(1, task["physical"], task["address_bytes"])
        self.client = GXDLMSSecureClient(True, task["client_sap"], server, how, password, interface)
        self.client.setMaxReceivePDUSize(task["max_pdu"])
        if "line" in task:
            hdlc = self.client.hdlcSettings
            hdlc.maxInfoRX = hdlc.maxInfoTX = task["field"]
            hdlc.windowSizeRX = hdlc.windowSizeTX = task["window"]
        if task["mechanism"] == "hls-gmac":
            ciphering = self.client.ciphering
            ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            ciphering.systemTitle = bytearray.fromhex(task["title"])
            ciphering.blockCipherKey = bytearray.fromhex(task["encryption_key"])
            ciphering.authenticationKey = bytearray.fromhex(task["authentication_key"])
            ciphering.invocationCounter = task["counter"]

    def exchange(self, frame, reply):
        self.carrier.send(bytes(frame))
        answer = GXByteBuffer(self.carrier.receive())
        while not self.client.getData(answer, reply):
            answer.set(self.carrier.receive())
        if reply.error:
            raise ValueError(f"refused: {reply.error}")

    def ask(self, frames):
        """The whole answer to one request, all its blocks."""
        reply = GXReplyData()
        for frame in frames if isinstance(frames, list) else [frames]:
            reply.clear()
            self.exchange(frame, reply)
            while reply.isMoreData():
                self.exchange(self.client.receiverReady(reply), reply)
        return reply

    def associate(self):
        if connect := self.client.snrmRequest():
            self.client.parseUAResponse(self.ask(connect).data)
        self.client.parseAareResponse(self.ask(self.client.aarqRequest()).data)
        if self.client.getIsAuthenticationRequired():
            reply = self.ask(self.client.getApplicationAssociationRequest())
            self.client.parseApplicationAssociationResponse(reply.data)

    def release(self):
        self.ask(self.client.releaseRequest())
        if self.carrier.interface is InterfaceType.HDLC:
            self.ask(self.client.disconnectRequest(True))
        self.carrier.close()

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
