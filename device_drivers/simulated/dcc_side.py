"""The DCC side of a simulated lab as a process: gateway stub, S1SP and WAN head.

``python -m device_drivers.simulated.dcc_side`` takes a pickled :class:`Commission` on standard input, prints
one line of JSON when it is ready (its addresses) or cannot start (why), and ends when standard input closes.
"""

from __future__ import annotations

import json
import logging
import pickle
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from device_drivers.dcc.calls import CallServer
from device_drivers.dcc.http import HttpClient, HttpServer
from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.pki import client_context, server_context
from device_drivers.dcc.schemas import schemas
from device_drivers.dcc.services import Commission
from device_drivers.dcc.signature import Signer
from device_drivers.dlms.counters import FileCounters
from device_drivers.rigs.assembly import chosen_faults
from device_drivers.simulated.gateway.admission import Admission
from device_drivers.simulated.gateway.delivery import Outbound, Signers, Writer
from device_drivers.simulated.gateway.inventory import Inventory
from device_drivers.simulated.gateway.stub import Gateway, LabTime, Performer, application
from device_drivers.simulated.s1sp.s1sp import S1sp
from device_drivers.simulated.wan.head import WanHead
from harness.domain.errors import ConfigurationError
from harness.domain.faults import Interceptions, Place
from harness.domain.lab import Lab


class DccSide:
    """Everything on the DCC's side of the simulated lab, up from construction until :meth:`close`."""

    def __init__(self, commission: Commission) -> None:
        lab, run = commission.lab, commission.run
        faults = chosen_faults(lab, run.faults)
        with ExitStack() as held:
            head = WanHead()
            held.callback(head.close)
            counters = FileCounters(lab.state / "s1sp")
            s1sp = S1sp(lab, head, Interceptions(Place.S1SP, run.seed, faults), counters)
            gateway = build_gateway(commission, s1sp, head, Interceptions(Place.GATEWAY, run.seed, faults))
            held.callback(gateway.close)
            s1sp.on_alert = gateway.alert
            server = serve_gateway(gateway, lab, commission.gateway_port)
            held.callback(server.close)
            control = serve_control(gateway)
            held.callback(control.close)
            self.addresses = {
                "gateway": f"https://{server.host}:{server.port}",
                "wan": head.address,
                "settle": control.address,
                "settle_token": control.token,
            }
            self._held = held.pop_all()

    def close(self) -> None:
        """Stop listening, finish what is under way, hang up on every hub."""
        self._held.close()


def build_gateway(
    commission: Commission, s1sp: Performer, time: LabTime, interceptions: Interceptions
) -> Gateway:
    """The gateway of a simulated lab, in front of an S1SP and with lab time from ``time``."""
    lab, inventory = commission.lab, Inventory(commission.lab)
    pki = simulated_pki(lab)
    certificates = {user.role: pki.user(user.role, user.eui).certificate for user in lab.dcc.users}
    dcc, inner = pki.dcc(lab.dcc.dcc_eui), pki.s1sp()
    signers = Signers(Signer(dcc.key, dcc.certificate), Signer(inner.key, inner.certificate))
    receive = urlsplit(commission.receive_url)
    client = HttpClient(
        f"{receive.scheme}://{receive.netloc}",
        "the user's Receive Response endpoint",
        tls=client_context(pki.tls_authority, pki.tls("gateway")),
    )
    return Gateway(
        lab,
        s1sp,
        time,
        Admission(lab, certificates, inventory, interceptions, commission.counters),
        inventory,
        Writer(signers, lab.dcc),
        Outbound(client, receive.path, interceptions),
        interceptions,
        schemas(lab.dcc.schemas),
    )


def serve_gateway(gateway: Gateway, lab: Lab, port: int = 0) -> HttpServer:
    """The gateway behind a TLS socket that demands a certificate of the lab's own."""
    pki = simulated_pki(lab)
    tls = server_context(*pki.tls("gateway"), pki.tls_authority)
    return HttpServer(application(gateway), port=port, tls=tls)


def serve_control(gateway: Gateway) -> CallServer:
    """What a rig asks of the simulated DCC itself: to be still, and to know of a fresh installation."""
    return CallServer(
        {
            "settle": lambda call: gateway.in_flight.settle(call["devices"]),
            "installed": lambda call: gateway.inventory.installed(call["devices"]),
        }
    )


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until standard input closes."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    commission = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the controller that started this process
    try:
        side = DccSide(commission)
    except ConfigurationError as error:
        _say({"refusal": error.message, "remedy": error.remedy})
        return
    _say(side.addresses)
    sys.stdin.buffer.read()
    side.close()


if __name__ == "__main__":
    main()
