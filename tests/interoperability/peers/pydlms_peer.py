"""Reads a meter with pydlms-client; see README.md beside this file."""

import json
import sys
import time
from datetime import UTC, datetime

import serial
from pydlms.apdu.xdlms import entry_descriptor, range_descriptor
from pydlms.client import DlmsClient
from pydlms.cosem.data import DlmsData
from pydlms.cosem.time import CosemDateTime
from pydlms.hdlc.connection import HdlcParameters
from pydlms.security.context import SecurityContext
from pydlms.security.hls import Mechanism

MECHANISMS = {"none": Mechanism.NONE, "lls": Mechanism.LLS, "hls-gmac": Mechanism.HLS_GMAC}
REGISTER, PROFILE = 3, 7


class WithParity(serial.Serial):
    """A port with the parity that a pseudo terminal lacks: with seven bits it is made and dropped here."""

    def __init__(self, port, bytesize=8, parity="N", **settings):
        super().__init__(port, **settings)
        self.sevens = parity == "E"

    def apply_settings(self, settings):
        self.sevens = settings["parity"] == "E"
        self.baudrate = settings["baudrate"]

    def write(self, data):
        return super().write(bytes(map(evened, data)) if self.sevens else data)

    def read(self, size=1):
        data = super().read(size)
        return bytes(byte & 0x7F for byte in data) if self.sevens else data


def evened(byte):
    return byte | (byte.bit_count() & 1) << 7


def client_for(task):
    settings = {"mechanism": MECHANISMS[task["mechanism"]], "max_receive_pdu_size": task["max_pdu"]}
    if "general_blocks" in task:
        settings |= {"propose_gbt": True, "gbt_window": task["general_blocks"]}
    if task["mechanism"] == "lls":
        settings["password"] = bytes.fromhex(task["password"])
    if task["mechanism"] == "hls-gmac":
        settings["security"] = SecurityContext(
            encryption_key=bytes.fromhex(task["encryption_key"]),
            authentication_key=bytes.fromhex(task["authentication_key"]),
            client_system_title=bytes.fromhex(task["title"]),
            invocation_counter=task["counter"],
        )
    if "line" not in task:
        return DlmsClient.tcp(task["host"], task["port"], task["client_sap"], **settings)
    sides = {"max_info": task["field"], "window": task["window"]}
    proposal = {f"{name}_{way}": value for name, value in sides.items() for way in ("tx", "rx")}
    settings["hdlc_parameters"] = HdlcParameters(**proposal)
    if "physical" in task:
        settings |= {"server_physical": task["physical"], "address_size": task["address_bytes"]}
    if task["sign_on"]:
        serial.serial_for_url = WithParity
        return DlmsClient.optical(task["line"], task["client_sap"], max_baud=task["baud"], **settings)
    return DlmsClient.serial(task["line"], task["baud"], task["client_sap"], **settings)


def moment(raw):
    return CosemDateTime.from_bytes(bytes(raw)).to_datetime().astimezone(UTC).isoformat()


def rows(client, obis, selected=None):
    read = client.get(obis, PROFILE, 2, selected).value
    return [[moment(row.value[0].value), *(cell.value for cell in row.value[1:])] for row in read]


def bound(text):
    return DlmsData.octet_string(CosemDateTime.from_datetime(datetime.fromisoformat(text)).to_bytes())


def read(client, task):
    profile = task["profile"]
    start_end = [bound(text) for text in task.get("range") or ()]
    found = {
        "clock": client.get_clock().to_datetime().astimezone(UTC).isoformat(),
        "registers": {obis: client.get(obis, REGISTER, 2).value for obis in task["registers"]},
        "range": rows(client, profile, range_descriptor(*start_end)) if start_end else None,
        "entries": rows(client, profile, entry_descriptor(*task["entries"])) if task.get("entries") else None,
        "wall": [],
        "cpu": [],
    }
    for _ in range(task["times"]):
        wall, cpu = time.perf_counter(), time.process_time()
        found["profile"] = rows(client, profile)
        found["wall"].append(time.perf_counter() - wall)
        found["cpu"].append(time.process_time() - cpu)
    return found


def main():
    task = json.load(sys.stdin)
    with client_for(task) as client:
        found = read(client, task)
    json.dump(found, sys.stdout)


main()
