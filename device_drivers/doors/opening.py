"""From a door in the lab file to an open DLMS association behind it."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import pluggy

from device_drivers.dlms.client import DlmsClient, WrapperChannel
from device_drivers.dlms.counters import FileCounters
from device_drivers.dlms.security import KEY_BYTES, SYSTEM_TITLE_BYTES, Credentials
from device_drivers.doors.apdu_trace import apdu_tracer
from device_drivers.doors.sessions import Session
from device_drivers.doors.steps import step
from device_drivers.secrets import resolve_key, resolve_private
from harness.domain.errors import ConfigurationError
from harness.domain.lab import DlmsSecurity, Door, Lab, RigDevice
from harness.domain.names import named
from harness.hooks import Fence, Trace, Transport, plugin_manager, unfenced

if TYPE_CHECKING:
    from device_drivers.dlms.channel import ApduChannel
    from device_drivers.transports.base import ByteTransport


@lru_cache(maxsize=8)
def plugins(names: tuple[str, ...]) -> pluggy.PluginManager:
    """The plugin manager of a lab with those plugins."""
    return plugin_manager(names)


def open_transport(door: Door, lab: Lab, trace: Trace, source: str, fence: Fence = unfenced) -> ByteTransport:
    """The door's transport, open: without the echo of its probe, and with its bytes in the trace if asked.

    It asks the fence before each write, and is not opened where the rig is not ours. Raises
    :class:`ConfigurationError` where no transport of that name is registered.
    """
    known: dict[str, Transport] = {
        transport.name: transport
        for some in plugins(lab.plugins).hook.harness_transports()
        for transport in some
    }
    way = named(door.transport, known, f"no transport is called {door.transport!r}")
    fence()
    transport: ByteTransport = way.open(door.parameters, fence)
    try:
        return _as_told(transport, door, trace, source)
    except BaseException:
        transport.close()
        raise


def _as_told(transport: ByteTransport, door: Door, trace: Trace, source: str) -> ByteTransport:
    if door.log_bytes:
        from device_drivers.transports.hexlog import logged

        transport = logged(transport, trace, source)
    if door.optical and door.optical.echo:
        from device_drivers.iec62056.sign_on import serial_line
        from device_drivers.transports.echo import EchoDropping

        transport = EchoDropping(serial_line(transport))
    return transport


def open_association(
    device: RigDevice, door: Door, lab: Lab, trace: Trace, fence: Fence = unfenced
) -> Session:
    """An association with the device behind its door, which the caller closes.

    ``door.parameters["timeout"]`` is how long an answer may take, in seconds (default 10). Every APDU goes
    to the trace, deciphered. Over HDLC, a session that has rested for ``door.hdlc.idle`` is opened anew.
    Raises the errors of the transport, of the sign-on, and of :meth:`DlmsClient.open`.
    """
    credentials = credentials_of(device.security, lab)
    counters = FileCounters(lab.state / "invocation-counters")

    def associated() -> DlmsClient:
        channel = _open_channel(device, door, lab, trace, credentials, fence)
        client = DlmsClient(
            channel,
            credentials,
            counters,
            timeout=float(door.parameters.get("timeout", 10.0)),
            on_apdu=apdu_tracer(trace, device.type),
        )
        step(trace, device.type, "associate")
        try:
            client.open()
        except BaseException:
            channel.close()
            raise
        return client

    return Session(associated, door.hdlc.idle if door.hdlc else math.inf, trace, device.type)


def _open_channel(
    device: RigDevice, door: Door, lab: Lab, trace: Trace, credentials: Credentials, fence: Fence
) -> ApduChannel:
    """What carries APDUs to the device: port, sign-on of an optical one, and HDLC, as its door has them."""
    step(trace, device.type, f"open {door.transport}")
    transport = open_transport(door, lab, trace, device.type, fence)
    try:
        if door.optical:
            from device_drivers.iec62056.sign_on import signed_on

            step(trace, device.type, "sign on")
            signed_on(transport, door.optical)
        if not door.hdlc:
            return WrapperChannel(transport, credentials.client_sap, credentials.server_sap)
        from device_drivers.dlms.hdlc.channel import HdlcChannel

        step(trace, device.type, "HDLC")
        channel = HdlcChannel(transport, door.hdlc, credentials.client_sap, credentials.server_sap)
        channel.connect()
    except BaseException:
        transport.close()
        raise
    return channel


def credentials_of(security: DlmsSecurity, lab: Lab) -> Credentials:
    """What the lab proves itself with at a door; its secrets are resolved here."""
    base = lab.file.parent
    match security.mechanism:
        case "none":
            return Credentials("none", security.client_sap, security.server_sap)
        case "lls":
            password = resolve_private(security.password, base=base)
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
