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
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from device_drivers.dcc.calls import Call, CallServer
from device_drivers.dcc.http import HttpClient, HttpServer
from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.pki import client_context, server_context
from device_drivers.dcc.schemas import schemas
from device_drivers.dcc.signature import Signer
from device_drivers.dlms.counters import FileCounters
from device_drivers.rigs.assembly import chosen_faults
from device_drivers.simulated.dcc_process import Commission
from device_drivers.simulated.gateway.admission import Admission, known_others
from device_drivers.simulated.gateway.back_door import BackDoor
from device_drivers.simulated.gateway.delivery import Outbound, Signers, Writer
from device_drivers.simulated.gateway.inventory import Inventory
from device_drivers.simulated.gateway.stub import Gateway, Performer, application
from device_drivers.simulated.gateway.timetable import LabTime
from device_drivers.simulated.keys import key_ring
from device_drivers.simulated.migration.parties import Parties
from device_drivers.simulated.s1sp.executed import Executed
from device_drivers.simulated.s1sp.s1sp import S1sp
from device_drivers.simulated.wan.head import WanHead
from harness.domain.errors import ConfigurationError
from harness.domain.faults import Interceptions, Place, Point
from harness.domain.lab import Lab


class DccSide:
    """Everything on the DCC's side of the simulated lab, up from construction until :meth:`close`."""

    def __init__(self, commission: Commission) -> None:
        lab, run = commission.lab, commission.run
        faults = chosen_faults(lab, run.faults)
        with ExitStack() as held:
            at_s1sp = Interceptions(Place.S1SP, run.seed, faults)
            head = WanHead(proof=key_ring(lab).hub_proof, refusal=partial(_refusal_of_hub, at_s1sp))
            held.callback(head.close)
            counters = FileCounters(lab.state / "s1sp")
            s1sp = S1sp(lab, head, at_s1sp, counters, Executed(lab.state / "s1sp" / "executed"))
            at_gateway = Interceptions(Place.GATEWAY, run.seed, faults)
            gateway = build_gateway(commission, s1sp, head, at_gateway)
            held.callback(gateway.close)
            at_migration = Interceptions(Place.MIGRATION, run.seed, faults)
            parties = Parties(lab, head, s1sp, gateway.inventory, at_migration, counters)
            s1sp.on_alert = parties.passing(gateway.alert)
            head.on_due = gateway.due
            server = serve_gateway(gateway, lab, commission.gateway_port, at_gateway)
            held.callback(server.close)
            control = serve_control(gateway, parties, BackDoor(lab, s1sp))
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


def _refusal_of_hub(interceptions: Interceptions, hub: str, why: str) -> str:
    """Why a hub is not believed; faults of the S1SP see it at :attr:`Point.CHECK` as "hub"."""
    about = {"device_id": hub, "now": datetime.now(UTC)}
    return str(interceptions.passing(Point.CHECK, "hub", why, **about))


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
        Admission(lab, certificates, inventory, interceptions, commission.counters, known_others(lab, pki)),
        inventory,
        Writer(signers, lab.dcc),
        Outbound(client, receive.path, interceptions),
        interceptions,
        schemas(lab.dcc.schemas),
    )


def serve_gateway(
    gateway: Gateway, lab: Lab, port: int = 0, interceptions: Interceptions | None = None
) -> HttpServer:
    """The gateway behind a TLS socket that demands a certificate of the lab's own.

    Faults see that at :attr:`Point.INTAKE` as "tls": a context of the socket whose ``verify_mode`` or
    ``minimum_version`` they may lower.
    """
    pki = simulated_pki(lab)
    tls = server_context(*pki.tls("gateway"), pki.tls_authority)
    if interceptions is not None:
        tls = interceptions.passing(Point.INTAKE, "tls", tls, device_id="", now=datetime.now(UTC))
    return HttpServer(application(gateway), port=port, tls=tls)


def serve_control(
    gateway: Gateway, parties: Parties | None = None, back_door: BackDoor | None = None
) -> CallServer:
    """What a rig asks of the simulated DCC itself: to be still, to know of fresh twins, to migrate.

    Security tests come in by the back door.
    """
    calls: dict[str, Call] = {"settle": lambda call: gateway.in_flight.settle(call["devices"])}
    if back_door is not None:
        calls["back_door"] = back_door.ask
    if parties is None:
        return CallServer(calls | {"installed": lambda call: gateway.installed(call["devices"])})

    def installed(call: Mapping[str, Any]) -> None:
        parties.installed(call["devices"])
        gateway.installed(call["devices"])

    return CallServer(calls | {"installed": installed, "migration": parties.call})


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
