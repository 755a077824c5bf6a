"""From a door in the lab file to an open DLMS association behind it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import pluggy

from device_drivers.apdu_trace import apdu_tracer
from device_drivers.dlms.client import DlmsClient, WrapperChannel
from device_drivers.dlms.counters import FileCounters
from device_drivers.dlms.security import KEY_BYTES, SYSTEM_TITLE_BYTES, Credentials
from device_drivers.secrets import resolve, resolve_key
from harness.domain.errors import ConfigurationError
from harness.domain.lab import DlmsSecurity, Door, Lab, RigDevice
from harness.hooks import Trace, plugin_manager

if TYPE_CHECKING:
    from device_drivers.transports.base import ByteTransport


@lru_cache(maxsize=8)
def plugins(names: tuple[str, ...]) -> pluggy.PluginManager:
    """The plugin manager of a lab with those plugins."""
    return plugin_manager(names)


def open_transport(door: Door, lab: Lab) -> ByteTransport:
    """The door's transport, open; :class:`ConfigurationError` where none of that name is registered."""
    known = {
        transport.name: transport
        for some in plugins(lab.plugins).hook.harness_transports()
        for transport in some
    }
    if door.transport not in known:
        raise ConfigurationError(
            f"no transport is called {door.transport!r}",
            remedy=f"use one of {', '.join(sorted(known))}, or install the plugin that brings it",
        )
    transport: ByteTransport = known[door.transport].open(door.parameters)
    return transport


def open_association(device: RigDevice, door: Door, lab: Lab, trace: Trace) -> DlmsClient:
    """An association with the device behind its door, which the caller closes.

    ``door.parameters["timeout"]`` is how long an answer may take, in seconds (default 10). Every APDU goes
    to the trace, deciphered. Raises the errors of the transport, and of :meth:`DlmsClient.open`.
    """
    credentials = _credentials(device.security, lab)
    counters = FileCounters(lab.state / "invocation-counters")
    channel = WrapperChannel(open_transport(door, lab), credentials.client_sap, credentials.server_sap)
    client = DlmsClient(
        channel,
        credentials,
        counters,
        timeout=float(door.parameters.get("timeout", 10.0)),
        on_apdu=apdu_tracer(trace, device.type),
    )
    try:
        client.open()
    except BaseException:
        channel.close()
        raise
    return client


def _credentials(security: DlmsSecurity, lab: Lab) -> Credentials:
    base = lab.file.parent
    match security.mechanism:
        case "none":
            return Credentials("none", security.client_sap, security.server_sap)
        case "lls":
            password = resolve(security.password, base=base)
            return Credentials("lls", security.client_sap, security.server_sap, password=password)
        case "hls-gmac":
            return Credentials(
                "hls-gmac",
                security.client_sap,
                security.server_sap,
                system_title=_title(security.system_title),
                encryption_key=resolve_key(security.encryption_key, KEY_BYTES, base=base),
                authentication_key=resolve_key(security.authentication_key, KEY_BYTES, base=base),
            )
        case other:
            raise ConfigurationError(f"no DLMS mechanism is called {other!r}", remedy="none, lls or hls-gmac")


def _title(digits: str) -> bytes:
    try:
        title = bytes.fromhex(digits)
    except ValueError:
        title = b""
    if len(title) != SYSTEM_TITLE_BYTES:
        raise ConfigurationError(
            f"a system title is {2 * SYSTEM_TITLE_BYTES} hexadecimal digits, found {digits!r}"
        )
    return title
