"""Is pydlms-client's example meter until standard input ends; see README.md beside this file."""

import json
import sys

from pydlms.apdu.xdlms import Conformance
from pydlms.security.hls import Mechanism
from pydlms.simulator import ClientProfile, example_meter, serve

MECHANISMS = {"none": Mechanism.NONE, "lls": Mechanism.LLS, "hls-gmac": Mechanism.HLS_GMAC}


def meter_for(task):
    ciphered = task["mechanism"] == "hls-gmac"
    meter = example_meter(
        encryption_key=bytes.fromhex(task["encryption_key"]) if ciphered else None,
        authentication_key=bytes.fromhex(task["authentication_key"]) if ciphered else None,
    )
    meter.conformance |= Conformance.GENERAL_BLOCK_TRANSFER
    meter.gbt_window = task["window"]
    secret = bytes.fromhex(task["password"]) or None
    meter.clients = {task["client_sap"]: ClientProfile(MECHANISMS[task["mechanism"]], secret, ciphered)}
    return meter


def main():
    task = json.loads(sys.stdin.readline())
    server = serve(meter_for(task), hdlc=task["hdlc"], hdlc_window=task["window"])
    sys.stdout.write(json.dumps(server.server_address) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.shutdown()


main()
