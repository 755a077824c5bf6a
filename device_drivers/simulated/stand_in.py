"""A simulated lab on fixed ports, for other tools to talk to: twins, hubs, gateway and S1SP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from device_drivers.dcc.counters import originator_counter
from device_drivers.dcc.identities import simulated_identities, simulated_pki
from device_drivers.dcc.link import Link
from device_drivers.rigs.assembly import chosen_faults
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.dcc_process import Commission, DccSideProcess
from device_drivers.simulated.keys import MANAGEMENT, PUBLIC, READER, KeyRing, key_ring, server_title
from device_drivers.simulated.pace import Pace
from device_drivers.simulated.rig import build_twins, join_the_dcc, stand_up
from harness.domain.errors import ConfigurationError
from harness.domain.lab import Lab, Rig, RigDevice
from harness.domain.stand_in import Client, DccPorts, Listing, Port, UserFiles
from harness.domain.words import DeviceType
from harness.hooks import RunContext

_BLOCK: Final = 10  # ports of a rig
_OFFSETS: Final = {DeviceType.ESME: 0, DeviceType.GSME: 1, DeviceType.CH: 2}
_GATEWAY, _RECEIVE = 0, 1  # in the block after the last rig's
_HIGHEST_PORT: Final = 65535
_USES: Final = {
    PUBLIC: "public: clock, identity, firmware and invocation counters",
    READER: "reader: reads everything",
    MANAGEMENT: "management: reads, writes and commands everything",
}


@dataclass(frozen=True, slots=True)
class StandingLab:
    """Implements :class:`harness.hooks.StandIn`."""

    listing: Listing
    held: ExitStack = field(repr=False)

    def close(self) -> None:
        """Stop lab time, hang up on everybody, end the DCC side."""
        self.held.close()


def stand_up_lab(lab: Lab, rigs: Sequence[Rig], run: RunContext, base_port: int) -> StandingLab:
    """Stand those rigs up, by the ports that :class:`harness.hooks.Specification` tells.

    Raises :class:`ConfigurationError` for a port that is taken or does not exist, a fault that nobody
    knows, or a rig that is not simulated.
    """
    dcc_port = base_port + _BLOCK * len(lab.rigs)
    if base_port < 1 or dcc_port + _RECEIVE > _HIGHEST_PORT:
        raise ConfigurationError(
            f"ports {base_port} to {dcc_port + _RECEIVE} do not all exist",
            remedy=f"name a base port from 1 to {_HIGHEST_PORT - dcc_port + base_port - _RECEIVE}",
        )
    run.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        dcc, services = _stand_up_dcc(lab, run, dcc_port, held)
        ports: list[Port] = []
        clocks: list[VirtualClock] = []
        for rig in rigs:
            block = base_port + _BLOCK * lab.rigs.index(rig)
            standing, clock = _stand_up_rig(lab, rig, run, block, services, held)
            ports += standing
            clocks.append(clock)
        held.callback(Pace(clocks).close)
        return StandingLab(Listing(ports=tuple(ports), dcc=dcc), held.pop_all())


def _stand_up_rig(
    lab: Lab, rig: Rig, run: RunContext, block: int, services: Mapping[str, Any], held: ExitStack
) -> tuple[list[Port], VirtualClock]:
    ring, rig = key_ring(lab), _plain(rig)
    twins = build_twins(rig, run.seed, chosen_faults(lab, run.faults))
    wanted = {type_: block + offset for type_, offset in _OFFSETS.items()}
    site = stand_up(rig, lab, twins, held, wanted)
    if services:
        join_the_dcc(twins, services, held)
    return [_port(rig, device, ring) for device in site.rig.devices.values()], twins.clock


def _plain(rig: Rig) -> Rig:
    """The rig with TCP doors alone: other tools reach twins at fixed ports."""
    devices = {type_: replace(device, door=None) for type_, device in rig.devices.items()}
    simulation = replace(rig.simulation, controller=False) if rig.simulation else None
    return replace(rig, devices=devices, simulation=simulation, modbus=None)


def _port(rig: Rig, device: RigDevice, ring: KeyRing) -> Port:
    assert device.door is not None  # a twin that stands has one
    return Port(
        rig=rig.id,
        device=device.type,
        device_id=device.device_id,
        protocol=device.door.protocol,
        host=device.door.parameters["host"],
        port=device.door.parameters["port"],
        server_sap=device.security.server_sap,
        system_title=server_title(device.device_id).hex(),
        clients=tuple(_client(ring, device.device_id, sap) for sap in _USES),
    )


def _client(ring: KeyRing, device_id: str, client_sap: int) -> Client:
    credentials = ring.credentials(device_id, client_sap)
    return Client(
        use=_USES[client_sap],
        client_sap=client_sap,
        mechanism=credentials.mechanism,
        system_title=credentials.system_title.hex(),
        password=credentials.password.decode(),
        encryption_key=credentials.encryption_key.hex(),
        authentication_key=credentials.authentication_key.hex(),
    )


def _stand_up_dcc(
    lab: Lab, run: RunContext, block: int, held: ExitStack
) -> tuple[DccPorts | None, Mapping[str, Any]]:
    """The simulated DCC and where it is reached; nothing where the lab file names a gateway outside."""
    if lab.dcc.gateway != "simulated":
        return None, {}
    counters = {user.eui: _last_counter(lab, user.eui) for user in lab.dcc.users}
    receive, kept_in = _receive_endpoint(lab, run, block + _RECEIVE, held)
    side = DccSideProcess(run.folder / "dcc-side.log")
    held.callback(side.close)
    side.begin(Commission(lab, run, receive, counters, block + _GATEWAY))
    return _dcc_ports(lab, side.addresses["gateway"], receive, kept_in, counters), side.addresses


def _receive_endpoint(lab: Lab, run: RunContext, port: int, held: ExitStack) -> tuple[str, Path | None]:
    """The URL that the DCC posts to, and where the lab's own endpoint keeps what came.

    A lab file that fixes the receive port has a tool listening there; else the lab listens itself.
    """
    if not lab.dcc.receive.endswith(":0"):
        return f"https://{lab.dcc.receive}{lab.dcc.receive_path}", None
    host = lab.dcc.receive.rpartition(":")[0]
    own = replace(lab, dcc=replace(lab.dcc, receive=f"{host}:{port}"))
    folder = run.folder / "dcc"
    link = Link(own, simulated_identities(own), folder)
    held.callback(link.close)
    return link.receive_url, folder / "messages.jsonl"


def _dcc_ports(
    lab: Lab, gateway: str, receive: str, kept_in: Path | None, counters: Mapping[str, int]
) -> DccPorts:
    pki = simulated_pki(lab)
    certificate, key = pki.tls("user")
    users = []
    for user in lab.dcc.users:
        pki.user(user.role, user.eui)  # made where it is missing
        own_certificate, own_key = pki.user_files(user.role, user.eui)
        users.append(
            UserFiles(
                role=user.role,
                eui=user.eui,
                certificate=own_certificate,
                key=own_key,
                last_counter=counters[user.eui],
            )
        )
    return DccPorts(
        gateway=gateway,
        receive=receive,
        kept_in=kept_in,
        tls_authority=pki.tls_authority,
        tls_certificate=certificate,
        tls_key=key,
        dcc_eui=lab.dcc.dcc_eui,
        dcc_certificate=pki.dcc_files(lab.dcc.dcc_eui)[0],
        s1sp_certificate=pki.s1sp_files()[0],
        users=tuple(users),
    )


def _last_counter(lab: Lab, eui: str) -> int:
    with originator_counter(lab.state, eui).held() as counter:
        return counter.last
