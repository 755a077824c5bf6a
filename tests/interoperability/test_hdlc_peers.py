"""Other people's DLMS clients read our electricity meter in HDLC on a pseudo terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from device_drivers.dlms.hdlc.frame import FrameDecoder
from device_drivers.dlms.hdlc.server import HdlcServer
from device_drivers.iec62056.messages import Identification
from device_drivers.iec62056.meter import SignOnMeter
from device_drivers.simulated.meters.esme import EsmeTwin
from device_drivers.simulated.optical_port import MeterPort, OpticalPort
from tests.interoperability.conftest import (
    DLMS_COSEM,
    GURUX,
    HISTORY_DAYS,
    PYDLMS,
    Meter,
    needs_peers,
    with_servers,
)

pytestmark = needs_peers

BAUD = 9_600
PHYSICAL = 17
LLC_BYTES, MAX_PDU = 3, 512


class Overheard(HdlcServer):
    """Notices the longest field of its frames, and the most frames on end."""

    field = window = 0

    def feed(self, data: bytes, now: float) -> bytes:
        said = super().feed(data, now)
        frames = FrameDecoder().feed(said)
        self.field = max([self.field, *(len(frame.information) for frame in frames)])
        self.window = max(self.window, len(frames))
        return said


@pytest.fixture
def hdlc(unreached: Meter) -> Overheard:
    return Overheard(unreached.server, lock=unreached.twin.clock.lock)


@pytest.fixture
def direct(unreached: Meter, hdlc: Overheard) -> Iterator[Meter]:
    """Behind a port where HDLC is spoken at once."""
    port = OpticalPort(MeterPort(hdlc, baud=BAUD))
    yield replace(unreached, where={"line": port.path, "baud": BAUD, "sign_on": False})
    port.close()


@pytest.fixture
def mode_e(unreached: Meter, hdlc: Overheard) -> Iterator[Meter]:
    """Behind a port where a sign-on comes before it."""
    port = OpticalPort(MeterPort(hdlc, SignOnMeter(Identification("TWi", BAUD, "X1"))))
    yield replace(unreached, where={"line": port.path, "baud": BAUD, "sign_on": True})
    port.close()


def assert_reads_all(meter: Meter, peer: str, **task: object) -> None:
    """Clock, registers, and the profile in blocks of 512 bytes."""
    registers = meter.registers()
    found = meter.read_by(peer, registers=list(registers), times=1, **task)
    assert datetime.fromisoformat(found["clock"]) == meter.twin.clock.now()
    assert found["registers"] == registers
    assert found["profile"] == meter.rows()
    assert len(found["profile"]) == 48 * HISTORY_DAYS


@pytest.mark.parametrize("peer", [DLMS_COSEM, GURUX])
def test_frames_of_128_bytes_come_one_at_a_time(direct: Meter, hdlc: Overheard, peer: str) -> None:
    assert_reads_all(direct, peer, field=128, window=1)
    assert (hdlc.field, hdlc.window) == (128, 1)


@pytest.mark.parametrize("peer", [GURUX, PYDLMS])  # dlms-cosem negotiates nothing
def test_an_apdu_goes_in_one_long_frame(direct: Meter, hdlc: Overheard, peer: str) -> None:
    assert_reads_all(direct, peer, field=2_030, window=7)
    assert MAX_PDU - 32 < hdlc.field <= MAX_PDU + LLC_BYTES
    assert hdlc.window == 1


def test_an_apdu_goes_in_several_frames_on_end(direct: Meter, hdlc: Overheard) -> None:
    """By pydlms-client alone: Gurux loses count where two frames on end are not the last."""
    assert_reads_all(direct, PYDLMS, field=128, window=3)
    assert (hdlc.field, hdlc.window) == (128, 3)


def test_a_client_signs_on_before_it_reads(mode_e: Meter) -> None:
    """By pydlms-client alone: the others leave the sign-on to whoever uses them."""
    assert_reads_all(mode_e, PYDLMS, field=512, window=3)


@pytest.mark.parametrize("peer", [DLMS_COSEM, GURUX, PYDLMS])
@pytest.mark.parametrize("address_bytes", [2, 4])
def test_a_meter_is_called_by_its_physical_address(twin: EsmeTwin, peer: str, address_bytes: int) -> None:
    meter = with_servers(twin, "none")
    hdlc = HdlcServer(meter.server, physical_address=PHYSICAL, lock=twin.clock.lock)
    port = OpticalPort(MeterPort(hdlc, baud=BAUD))
    meter.where = {"line": port.path, "baud": BAUD, "sign_on": False, "field": 128, "window": 1}
    found = meter.read_by(peer, physical=PHYSICAL, address_bytes=address_bytes, times=1)
    port.close()
    assert found["profile"] == meter.rows()
