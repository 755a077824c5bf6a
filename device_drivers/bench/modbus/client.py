"""One Modbus connection: bounded, nothing sent twice, every trouble an error of ours."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn

from harness.domain.bench import ModbusBenchSettings, SerialPort, Table
from harness.domain.errors import BenchFault, LabFault, TransportLost
from harness.hooks import Fence, unfenced

if TYPE_CHECKING:
    from pymodbus.client import ModbusSerialClient, ModbusTcpClient
    from pymodbus.client.base import ModbusBaseSyncClient
    from pymodbus.pdu import ModbusPDU

_READING: Final = {
    Table.COIL: "read_coils",
    Table.DISCRETE_INPUT: "read_discrete_inputs",
    Table.HOLDING_REGISTER: "read_holding_registers",
    Table.INPUT_REGISTER: "read_input_registers",
}
_MEANINGS: Final = {
    1: ("it does not know this function", "the point stands in another table: correct the register map"),
    2: ("it has no such address", "correct the point's address in the register map"),
    3: ("it does not take this value", "ask for what the bench can do, or correct the point's scale"),
    4: ("it failed", "look at the bench's own indications"),
    5: ("it is still at it", "the bench is slow: raise what it is given to answer"),
    6: ("it is busy", "end what else uses the bench"),
    10: ("the gateway has no way to it", "check the gateway's settings"),
    11: ("the gateway got no answer from it", "check power, wiring and device_id"),
}
_MOST_BYTES: Final = 4_096  # that may come while an answer is waited for: an answer has 260 at most


class ModbusLink:
    """An open connection to one Modbus device.

    Life cycle: :func:`open_link`, ``read`` and ``write``, ``close``. An exception response is a
    :class:`BenchFault` and the link stays. After silence it is a :class:`BenchFault` too and the link is
    closed, so that a late answer is never taken for the next one; a lost connection is a
    :class:`TransportLost`. A closed link stays closed. The fence is asked before each request, for to read is
    to write one too; where the rig is not ours the link is closed, and what the fence raised comes out.
    """

    def __init__(
        self, client: ModbusBaseSyncClient, name: str, device_id: int, fence: Fence = unfenced
    ) -> None:
        self.name = name
        self._fence = fence
        self._client = client
        self._device_id = device_id
        self._open = True

    @property
    def is_open(self) -> bool:
        """Whether it can still be used."""
        return self._open

    def read(self, table: Table, address: int, count: int) -> tuple[int, ...]:
        """So many bits or words from there on."""
        request = getattr(self._client, _READING[table])
        response = self._exchange(
            lambda: request(address, count=count, device_id=self._device_id), f"read {table} {address}"
        )
        found = response.bits if table.of_bits else response.registers
        if len(found) < count:  # bits come padded to whole bytes
            self._odd(f"read {table} {address}", f"{len(found)} values, expected {count}")
        return tuple(int(each) for each in found[:count])

    def write(self, table: Table, address: int, words: tuple[int, ...]) -> None:
        """Write bits or words from there on, in one request."""
        client, device_id = self._client, self._device_id
        what = f"write {table} {address}"
        if table.of_bits:
            bits = [bool(word) for word in words]
            if len(bits) == 1:
                self._exchange(lambda: client.write_coil(address, bits[0], device_id=device_id), what)
            else:
                self._exchange(lambda: client.write_coils(address, bits, device_id=device_id), what)
        elif len(words) == 1:
            self._exchange(lambda: client.write_register(address, words[0], device_id=device_id), what)
        else:
            self._exchange(lambda: client.write_registers(address, list(words), device_id=device_id), what)

    def close(self) -> None:
        """Let go of the port; closing twice is fine."""
        self._open = False
        self._client.close()  # type: ignore[no-untyped-call]  # the library's

    def _exchange(self, request: Callable[[], ModbusPDU], what: str) -> ModbusPDU:
        from pymodbus.exceptions import ConnectionException, ModbusException

        try:
            self._fence()
        except LabFault:
            self.close()
            raise
        if not self._open:
            raise TransportLost(f"{self.name}: closed after an earlier failure", remedy="open the rig anew")
        try:
            response = request()
        except ConnectionException as error:
            self.close()
            raise TransportLost(
                f"{self.name}: the connection was lost over {what!r}", remedy="check cable, power and address"
            ) from error
        except ModbusException as error:
            self.close()
            raise BenchFault(
                f"{self.name}: no answer of device {self._device_id} to {what!r} in time",
                remedy="check the bench's power, its device_id and timeout in the lab file",
            ) from error
        except OSError as error:
            self.close()
            raise TransportLost(
                f"{self.name}: {error} over {what!r}", remedy="check cable and power"
            ) from error
        if response.isError():
            code = int(getattr(response, "exception_code", 0))
            meaning, remedy = _MEANINGS.get(code, ("its meaning is its maker's", "see its manual"))
            raise BenchFault(
                f"{self.name}: device {self._device_id} refused {what!r} with exception {code}: {meaning}",
                remedy=remedy,
            )
        return response

    def _odd(self, what: str, found: str) -> NoReturn:
        self.close()
        raise BenchFault(f"{self.name}: the answer to {what!r} holds {found}", remedy="check the device")


def open_link(settings: ModbusBenchSettings, address: tuple[str, int], fence: Fence = unfenced) -> ModbusLink:
    """Connect to the bench's serial port or else to ``address``, within its timeout."""
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL + 1)  # it tells all that it raises
    fence()
    if settings.serial is not None:
        return ModbusLink(*_over_serial(settings.serial, settings.timeout), settings.device_id, fence)
    return ModbusLink(*_over_tcp(address, settings.timeout), settings.device_id, fence)


def _over_tcp(address: tuple[str, int], timeout: float) -> tuple[ModbusTcpClient, str]:
    from pymodbus.client import ModbusTcpClient

    host, port = address
    name = f"modbus tcp {host}:{port}"
    try:
        connection = socket.create_connection(address, timeout)
    except OSError as error:
        raise TransportLost(
            f"{name}: could not connect: {error}", remedy="check the bench's address and power"
        ) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = ModbusTcpClient(host, port=port, timeout=timeout, retries=0, trace_packet=_bounded)
    client.socket = connection  # made here, so that the reason of a failure is known
    return client, name


def _over_serial(serial: SerialPort, timeout: float) -> tuple[ModbusSerialClient, str]:
    from pymodbus.client import ModbusSerialClient
    from serial import SerialException, serial_for_url

    name = f"modbus rtu {serial.port}"
    client = ModbusSerialClient(
        serial.port,
        baudrate=serial.baud,
        parity=serial.parity,
        stopbits=serial.stop_bits,
        timeout=timeout,
        retries=0,
        trace_packet=_bounded,
    )
    try:
        client.socket = serial_for_url(
            serial.port,
            baudrate=serial.baud,
            parity=serial.parity,
            stopbits=serial.stop_bits,
            timeout=timeout,
            write_timeout=timeout,
            exclusive=True,
        )
    except (SerialException, OSError, ValueError) as error:
        raise TransportLost(
            f"{name}: could not be opened: {error}",
            remedy="check that the adapter is plugged in, named rightly and used by nobody else",
        ) from error
    client.socket.inter_byte_timeout = client.inter_byte_timeout
    return client, name


def _bounded(sending: bool, data: bytes) -> bytes:
    """What passes; a peer that babbles instead of answering is cut off."""
    if not sending and len(data) > _MOST_BYTES:
        from pymodbus.exceptions import ModbusIOException

        raise ModbusIOException(f"{len(data)} bytes and no answer among them")
    return data
