"""Other people's DLMS clients read our electricity meter in the TCP wrapper."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from device_drivers.dlms.blocks import GENERAL_BLOCK
from device_drivers.dlms.tcp_server import TcpDlmsServer
from tests.interoperability.conftest import (
    DLMS_COSEM,
    GURUX,
    HISTORY_DAYS,
    PYDLMS,
    STARTS,
    Meter,
    needs_peers,
)

pytestmark = needs_peers


@pytest.fixture(scope="module")
def meter(unreached: Meter) -> Iterator[Meter]:
    with TcpDlmsServer(unreached.server, lock=unreached.twin.clock.lock) as server:
        host, port = server.address
        yield replace(unreached, where={"host": host, "port": port})


@pytest.mark.parametrize("peer", [DLMS_COSEM, GURUX, PYDLMS])
def test_clock_registers_profile_and_range_are_what_the_meter_holds(meter: Meter, peer: str) -> None:
    first, last = STARTS - timedelta(days=2, minutes=10), STARTS - timedelta(days=1)
    registers = meter.registers()
    found = meter.read_by(
        peer, registers=list(registers), range=[first.isoformat(), last.isoformat()], times=1
    )
    assert datetime.fromisoformat(found["clock"]) == meter.twin.clock.now()
    assert found["registers"] == registers
    assert registers["1-0:1.8.0"] > 0
    rows = meter.rows()
    assert len(rows) == 48 * HISTORY_DAYS  # far more than an APDU of 512 bytes holds: it came in blocks
    assert found["profile"] == rows
    wanted = [row for row in rows if first <= datetime.fromisoformat(row[0]) <= last]
    assert len(wanted) == 49
    assert found["range"] == wanted


@pytest.mark.parametrize("peer", [GURUX, PYDLMS])  # dlms-cosem does not know this selection
def test_rows_are_read_by_their_numbers(meter: Meter, peer: str) -> None:
    assert meter.read_by(peer, entries=[3, 7])["entries"] == meter.rows()[2:7]


@pytest.mark.parametrize("peer", [DLMS_COSEM, GURUX])
@pytest.mark.parametrize("max_pdu", [128, 65_535])
def test_the_size_of_blocks_does_not_matter(meter: Meter, peer: str, max_pdu: int) -> None:
    assert meter.read_by(peer, max_pdu=max_pdu, times=1)["profile"] == meter.rows()


@pytest.mark.parametrize("window", [1, 5])
def test_general_blocks_carry_a_profile(meter: Meter, window: int) -> None:
    """To pydlms-client alone: the others offer them, or can be told to, and cannot take them."""
    meter.heard.clear()
    assert meter.read_by(PYDLMS, general_blocks=window, times=1)["profile"] == meter.rows()
    assert GENERAL_BLOCK in meter.heard  # it acknowledges in kind
