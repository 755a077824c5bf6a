"""Reads a meter with dlms-cosem; see README.md beside this file."""

import json
import logging
import sys
import time
from datetime import UTC, datetime

import structlog
from dlms_cosem import cosem, enumerations, security, utils
from dlms_cosem.client import DlmsClient
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.io import BlockingTcpIO, HdlcTransport, SerialIO, TcpTransport
from dlms_cosem.time import datetime_from_bytes

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
Interface = enumerations.CosemInterface


def attribute(interface, obis, number):
    groups = obis.replace("-", ".").replace(":", ".").split(".")
    return cosem.CosemAttribute(interface, cosem.Obis(*map(int, groups)), number)


def authentication(task):
    if task["mechanism"] == "lls":
        return security.LowLevelSecurityAuthentication(secret=bytes.fromhex(task["password"]))
    if task["mechanism"] == "hls-gmac":
        return security.HighLevelSecurityGmacAuthentication(challenge_length=32)
    return security.NoSecurityAuthentication()


class PatientIO(SerialIO):
    """A serial port whose user waits before it speaks.

    Its time-out only says when the peer looks again: it never gives up. It is short, for where a check
    sequence ends in 7E the peer takes the flag behind it for the beginning of a frame, and waits for its end.
    """

    turnaround = 0.0

    def __init__(self, port, baud):
        super().__init__(port, baud, timeout=0.2)

    def send(self, data):
        time.sleep(self.turnaround)
        super().send(data)


def transport_for(task):
    sap = task["client_sap"]
    if "line" not in task:
        return TcpTransport(sap, 1, BlockingTcpIO(task["host"], task["port"], timeout=10))
    port = PatientIO(task["line"], task["baud"])
    port.turnaround = task.get("turnaround", 0.0)
    return HdlcTransport(
        sap,
        1,
        port,
        server_physical_address=task.get("physical"),
        extended_addressing=task.get("address_bytes") == 4,
    )


def client_for(task):
    ciphered = task["mechanism"] == "hls-gmac"
    client = DlmsClient(
        transport=transport_for(task),
        authentication=authentication(task),
        encryption_key=bytes.fromhex(task["encryption_key"]) if ciphered else None,
        authentication_key=bytes.fromhex(task["authentication_key"]) if ciphered else None,
        client_system_title=bytes.fromhex(task["title"]) if ciphered else None,
        client_initial_invocation_counter=task["counter"],
        max_pdu_size=task["max_pdu"],
    )
    # It offers general block transfer whatever it is told, and knows nothing of it
    client.dlms_connection.conformance.general_block_transfer = False
    return client


def moment(raw):
    return datetime_from_bytes(raw)[0].astimezone(UTC).isoformat()


def rows(raw):
    return [[moment(row[0]), *row[1:]] for row in utils.parse_as_dlms_data(raw)]


def in_range(task):
    clock = CaptureObject(attribute(Interface.CLOCK, "0-0:1.0.0", 2))
    return RangeDescriptor(clock, *(datetime.fromisoformat(text) for text in task["range"]))


def read(client, task):
    profile = attribute(Interface.PROFILE_GENERIC, task["profile"], 2)
    found = {
        "clock": moment(utils.parse_as_dlms_data(client.get(attribute(Interface.CLOCK, "0-0:1.0.0", 2)))),
        "registers": {
            obis: utils.parse_as_dlms_data(client.get(attribute(Interface.REGISTER, obis, 2)))
            for obis in task["registers"]
        },
        "range": rows(client.get(profile, in_range(task))) if task.get("range") else None,
        "entries": None,  # not implemented by this peer
        "wall": [],
        "cpu": [],
    }
    for _ in range(task["times"]):
        wall, cpu = time.perf_counter(), time.process_time()
        found["profile"] = rows(client.get(profile))
        found["wall"].append(time.perf_counter() - wall)
        found["cpu"].append(time.process_time() - cpu)
    return found


def main():
    task = json.load(sys.stdin)
    with client_for(task).session() as client:
        found = read(client, task)
    json.dump(found, sys.stdout)


main()
