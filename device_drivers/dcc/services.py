"""What a run starts once: the DCC link and, for a simulated lab, the DCC side behind it as a process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from device_drivers.dcc.identities import named_identities, simulated_identities
from device_drivers.dcc.link import Link
from device_drivers.dcc.loopback import LinkDoor
from device_drivers.simulated.dcc_process import Commission, DccSideProcess
from harness.domain.lab import Lab
from harness.hooks import RunContext


class LabServicesInHand:
    """Implements :class:`harness.hooks.LabServices`."""

    def __init__(
        self, addresses: Mapping[str, Any], link: Link, dcc_side: DccSideProcess | None, held: ExitStack
    ) -> None:
        self.addresses = addresses
        self.link = link
        self.dcc_side = dcc_side  # of a simulated lab
        self._held = held

    def close(self) -> None:
        """Stop the door, the DCC side and the link; never raises twice."""
        self._held.close()


def start_lab(lab: Lab, run: RunContext) -> LabServicesInHand:
    """Start what a run shares.

    ``addresses`` always has ``link``, ``token`` and ``receive``, our own endpoint; in a simulated
    lab also ``wan`` (``host:port``), ``gateway``, ``settle`` and ``settle_token``.

    Raises :class:`ConfigurationError` for keys or ports that cannot be used, :class:`LinkLost` where the
    simulated DCC does not start.
    """
    simulated = lab.dcc.gateway == "simulated"
    run.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held, ExitStack() as in_vain:
        dcc_side = DccSideProcess(run.folder / "dcc-side.log") if simulated else None  # the link has threads
        if dcc_side:
            in_vain.callback(dcc_side.close)
        link = Link(
            lab, simulated_identities(lab) if simulated else named_identities(lab), run.folder / "dcc"
        )
        held.callback(link.close)
        if dcc_side:
            held.callback(in_vain.pop_all().close)
            dcc_side.begin(Commission(lab, run, link.receive_url, link.counters()))
        addresses = dict(dcc_side.addresses) if dcc_side else {}
        link.connect(addresses.get("gateway", lab.dcc.gateway))
        held.callback(link.disconnect)
        door = LinkDoor(link)
        held.callback(door.close)
        addresses |= {"link": door.address, "token": door.token, "receive": link.receive_url}
        return LabServicesInHand(addresses, link, dcc_side, held.pop_all())
