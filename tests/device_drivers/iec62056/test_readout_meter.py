"""A meter that is only read out, behind its door: a second protocol of an ESME, by the hooks alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from device_drivers.iec62056.messages import Identification
from device_drivers.named.device import NoTrace
from device_drivers.readout_meter import ReadoutMeter
from device_drivers.rigs.physical import open_physical_rig
from device_drivers.transports.serial import open_serial
from harness.cli.device import Target, info
from harness.cli.output import ExitCode
from harness.config import load_lab
from harness.domain.errors import (
    AccessRefused,
    ConfigurationError,
    LabFault,
    ProtocolViolation,
    TransportLost,
    UsageError,
)
from harness.domain.instruments import Esme, Identity
from harness.domain.lab import DeviceModel, Door, OpticalPort, RigDevice
from harness.domain.words import DeviceType, SupplyState
from harness.hooks import RunContext, Wanted, plugin_manager, unfenced

pytestmark = pytest.mark.usefixtures("leaving_nothing")

REPO = Path(__file__).parents[3]
METER = Identification("EXa", 9600, "E1", hdlc=False)
DEVICE_ID = "00-DB-12-34-56-01-00-01"
DEVICE = RigDevice(
    type=DeviceType.ESME,
    device_id=DEVICE_ID,
    model=DeviceModel(
        id="example-e", type=DeviceType.ESME, manufacturer="EXa", model="E1", hardware="2", firmware="4.02"
    ),
)
TELLS = {
    "0-0:1.0.0*255": "2026-03-02 12:00:00",
    "C.1.0": "SN1",
    "0-0:96.1.1": DEVICE_ID,
    "0.2.0": "4.02",
    "1.8.0*01": "000100.00*kWh",
    "1-0:1.8.0*255": "000123.45*kWh",
    "1.8.1": "000000.5*MWh",
    "1-0:2.8.0": "00000.0001*kWh",
    "3.8.0": "000001*kvarh",
    "1.7.0": "1.25*kW",
    "32.7.0": "230.4*V",
    "96.3.10": "2",
}


class Told:
    def __init__(self) -> None:
        self.events: list[tuple[str, Mapping[str, Any]]] = []
        self.messages: list[tuple[str, bytes]] = []

    def event(self, source: str, what: str, **detail: Any) -> None:
        self.events.append((what, detail))

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        self.messages.append((name, content))


def text(tells: Mapping[str, str]) -> bytes:
    return "".join(f"{address}({value})\r\n" for address, value in tells.items()).encode() + b"!\r\n"


def door(cable: Any, **parameters: Any) -> Door:
    optical = OpticalPort(mode="mode-c", settle=0.01, answer=0.5)
    return Door(
        transport="serial",
        parameters={"port": cable.path} | parameters,
        protocol="iec62056-21",
        optical=optical,
    )


@pytest.fixture
def connect(cable, meter_end, shipped_lab) -> Iterator[Callable[..., Any]]:
    """A meter that tells what the test says, and its driver as the hooks give it."""
    with ExitStack() as held:

        def connect(tells: Mapping[str, str] = TELLS, trace: Any = None, **parameters: Any) -> Esme:
            meter_end(METER, readout=lambda: text(tells))
            (driver,) = (
                driver
                for some in plugin_manager().hook.harness_drivers()
                for driver in some
                if driver.protocol == "iec62056-21"
            )
            assert driver.device_type is DeviceType.ESME
            opened = driver.connect(
                DEVICE, door(cable, **parameters), shipped_lab, None, trace or NoTrace(), unfenced
            )
            held.enter_context(closing(opened))
            return opened

        yield connect


def test_what_a_readout_tells_has_our_names_and_units(connect) -> None:
    esme = connect()
    told = {
        "active_import": 123_450,
        "tou_register_1": 500_000,
        "active_export": Decimal("0.1"),
        "reactive_import": 1000,
        "active_power_import": 1250,
        "voltage": Decimal("230.4"),
        "supply_state": "Armed",
        "serial_number": "SN1",
    }
    found = esme.read_many(tuple(told))
    assert found == told
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in told.items()
    }
    assert [esme.unit(name) for name in told] == ["Wh", "Wh", "Wh", "varh", "W", "V", "", ""]


def test_its_clock_its_supply_and_who_it_is_are_told(connect) -> None:
    esme = connect()
    assert esme.clock() == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert esme.supply() is SupplyState.ARMED
    assert esme.identity() == Identity(DEVICE_ID, "EXa", "E1", "SN1", "4.02")
    assert (esme.device_id, esme.device_type) == (DEVICE_ID, DeviceType.ESME)


def test_each_reading_is_a_readout_of_its_own(connect) -> None:
    tells = dict(TELLS)
    esme = connect(tells)
    before = esme.read("active_import")
    tells["1-0:1.8.0*255"] = "000124.45*kWh"
    assert esme.read("active_import") - before == 1000


def test_every_readout_is_evidence_and_so_is_every_value(connect) -> None:
    told = Told()
    connect(trace=told).read("active_import")
    assert [name for name, _ in told.messages] == ["data readout"] * 2
    assert b"/EXa E1\n0-0:1.0.0*255(2026-03-02 12:00:00)\nC.1.0(SN1)\n" in told.messages[0][1]
    assert told.events == [
        ("opening", {"step": "open serial"}),
        ("opening", {"step": "data readout"}),
        ("read", {"active_import": "123450 Wh"}),
    ]


def test_a_snapshot_is_of_what_the_readout_has(connect) -> None:
    tells = dict(TELLS)
    esme = connect(tells)
    assert esme.snapshot() == {"supply_state": "Armed"}
    del tells["96.3.10"]
    assert esme.snapshot() == {}
    assert esme.snapshot(("identity",))["model"] == "E1"


def test_what_it_offers_is_known_without_asking_and_can_be_typed(connect) -> None:
    esme = connect()
    assert [each.name for each in esme.offers()] == list(esme.items())
    assert {"clock", "active_import", "voltage"} <= set(esme.items("register"))
    assert esme.parse("active_import", "5") == 5
    with pytest.raises(UsageError, match="'five' is no value for active_import of the ESME"):
        esme.parse("active_import", "five")


def test_the_lab_file_can_say_where_a_value_is(connect) -> None:
    esme = connect({**TELLS, "F.9": "another"}, addresses={"device_id": "F.9", "active_import": "1.8.0*01"})
    assert esme.read_many(("device_id", "active_import")) == {
        "device_id": "another",
        "active_import": 100_000,
    }


@pytest.mark.parametrize("addresses", [{"colour": "1.1.1"}, "1.8.0"])
def test_addresses_of_what_it_does_not_offer_are_a_wrong_lab_file(connect, addresses) -> None:
    with pytest.raises(ConfigurationError, match="a readout's addresses"):
        connect(addresses=addresses)


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ({"0-0:1.0.0": "260302120000"}, "2026-03-02 12:00:00"),
        ({"1.0.0": "20260302120000Z"}, "2026-03-02 12:00:00"),
        ({"0.9.2": "26-03-02", "0.9.1": "12:00:01"}, "2026-03-02 12:00:01"),
        ({"1-0:0.9.1": "120002", "1-0:0.9.2": "260302"}, "2026-03-02 12:00:02"),
    ],
)
def test_a_clock_may_be_written_in_several_ways(connect, told, moment) -> None:
    assert connect(told).clock() == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("item", "address", "value", "wrong"),
    [
        ("active_import", "1.8.0", "123.45", "its unit is '', expected wh or kwh or mwh"),
        ("active_import", "1.8.0", "123.45*V", "its unit is 'V'"),
        ("active_import", "1.8.0", "-----*kWh", "it is no number"),
        ("active_import", "1.8.0", "NaN*kWh", "it is no number"),
        ("supply_state", "96.3.10", "3", "expected 0 to 2, for Disabled, Enabled, Armed"),
        ("supply_state", "96.3.10", "on", "expected 0 to 2"),
        ("clock", "1.0.0", "260302120000S", "it is no date and time in UTC"),
        ("clock", "1.0.0", "260231120000", "day is out of range|does not match"),
        ("clock", "1.0.0", "26030212", "does not match"),
    ],
)
def test_a_value_in_another_form_is_the_meters_fault(connect, item, address, value, wrong) -> None:
    esme = connect({address: value})
    with pytest.raises(ProtocolViolation, match=rf"ESME {DEVICE_ID} tells {item} as .*({wrong})"):
        esme.read(item)


@pytest.mark.parametrize("tells", [{}, {"1.8.0*01": "1*kWh"}, {"1-1:1.8.0": "1*kWh"}, {"1.8.0x": "1*kWh"}])
def test_what_the_readout_lacks_is_refused_as_an_object_that_is_not_there(connect, tells) -> None:
    esme = connect(tells)
    with pytest.raises(
        AccessRefused, match=r"refused active_import.*has no 1-0:1\.8\.0: see `addresses`"
    ) as refused:
        esme.read("active_import")
    assert refused.value.result == "object-undefined"


def test_a_readout_cannot_be_written(connect) -> None:
    told = Told()
    with pytest.raises(AccessRefused, match=f"ESME {DEVICE_ID} refused clock.*only tells") as refused:
        connect(trace=told).write("clock", datetime(2026, 3, 2, tzinfo=UTC))
    assert refused.value.result == "read-write-denied"
    assert told.events[-1] == ("refused clock", {"result": "read-write-denied"})


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda esme: esme.log("profile"), "no log 'profile'"),
        (lambda esme: esme.clear_log("event_log"), "no log 'event_log'"),
        (lambda esme: esme.perform("top_up", b"1"), "no command 'top_up'"),
        (lambda esme: esme.operate_supply(SupplyState.DISABLED), "no command 'supply Disabled'"),
        (lambda esme: esme.read("payment_mode"), "no item 'payment_mode'"),
        (lambda esme: esme.read("active_inport"), "did you mean 'active_import'"),
        (lambda esme: esme.write("supplier_name", "x"), "no item 'supplier_name'"),
        (lambda esme: esme.unit("supplier_name"), "no item 'supplier_name'"),
    ],
)
def test_what_such_a_meter_does_not_offer_is_a_wrong_test(connect, call, what) -> None:
    with pytest.raises(UsageError, match=what):
        call(connect())


def test_a_door_without_a_meter_is_a_lab_fault_and_lets_go_of_its_port(cable, shipped_lab) -> None:
    with pytest.raises(TransportLost, match="no identification: nothing came") as raised:
        ReadoutMeter.connect(DEVICE, door(cable), shipped_lab, None, NoTrace())
    open_serial({"port": cable.path}).close()  # while the error, and so the driver, is still in hand
    assert raised.value.remedy


def test_a_probe_pulled_out_between_two_readings_is_a_lost_transport(cable, meter_end, shipped_lab) -> None:
    meter = meter_end(METER, readout=lambda: text(TELLS))
    with closing(ReadoutMeter.connect(DEVICE, door(cable), shipped_lab, None, NoTrace())) as esme:
        meter.pull()
        for _ in range(2):
            with pytest.raises(TransportLost, match="plugged in"):
                esme.read("active_import")


# --- on a rig ------------------------------------------------------------------------------------------


BASELINE = {
    **TELLS,
    "0-0:96.1.1": "00-DB-12-34-57-01-00-01",
    "96.1.2": "Cedarholt Instruments",
    "96.1.3": "CX1-E",
    "0.2.0": "R3.0",
}


@pytest.fixture
def lab(cable, tmp_path: Path) -> Any:
    """A lab file whose one rig has such a meter."""
    config = REPO / "lab_config"
    before, _, _ = (config / "physical-example.yaml").read_text().partition("\nrigs:\n")
    for name in ("environments", "device_models", "dmcs", "epcl", "catalogue", "migration", "ttm", "packs"):
        before = re.sub(rf"^{name}: ", f"{name}: {config}/", before, flags=re.MULTILINE)
    file = tmp_path / "lab.yaml"
    file.write_text(
        f"""{before}
rigs:
  bench-a:
    dmc: foc-cedarholt-electric
    place: bay 1
    mpan: "9900000006017"
    devices:
      ESME:
        device_id: 00-DB-12-34-57-01-00-01
        serial_number: SN1
        door:
          transport: serial
          parameters: {{port: {cable.path}}}
          protocol: iec62056-21
          optical: {{mode: mode-c, settle: 0.01}}
        security: {{mechanism: none}}
      CH:
        device_id: 00-DB-12-34-57-01-00-03
        door: {{transport: tcp, parameters: {{host: 127.0.0.1, port: 1}}}}
        security: {{mechanism: none}}
"""
    )
    return load_lab(file, state=tmp_path / "state")


def open_rig(lab: Any, folder: Path) -> Any:
    run = RunContext("run", folder, 7)
    return open_physical_rig(lab, lab.rigs[0], {}, run, NoTrace(), Wanted(devices={DeviceType.ESME}))


def test_a_lab_file_puts_it_on_a_rig_held_to_its_baseline(lab, meter_end, tmp_path: Path) -> None:
    meter_end(METER, readout=lambda: text(BASELINE))
    with closing(open_rig(lab, tmp_path)) as opened:
        assert opened.devices[DeviceType.ESME].read("active_import") == 123_450


def test_a_meter_with_another_firmware_than_the_baseline_keeps_its_rig_closed(
    lab, meter_end, tmp_path: Path
) -> None:
    meter_end(METER, readout=lambda: text({**BASELINE, "0.2.0": "R3.1"}))
    with pytest.raises(LabFault, match=r"firmware is 'R3\.1'; the baseline .* 'R3\.0' \(Clause 8\.4\(c\)\)"):
        open_rig(lab, tmp_path)


def test_a_meter_that_does_not_say_who_it_is_keeps_its_rig_closed(lab, meter_end, tmp_path: Path) -> None:
    meter_end(METER, readout=lambda: text({"1.8.0": "1*kWh"}))
    with pytest.raises(LabFault, match=r"its ESME cannot be taken in hand: .* refused device_id"):
        open_rig(lab, tmp_path)


def test_the_screwdriver_shows_what_such_a_meter_does_not_tell(lab, meter_end, monkeypatch, capsys) -> None:
    told = {
        address: value
        for address, value in BASELINE.items()
        if not address.endswith(("1.0.0*255", "96.3.10"))
    }
    meter_end(METER, readout=lambda: text(told))
    monkeypatch.setenv("HARNESS_STATE", str(lab.state))
    assert info(Target(lab=lab.file, rig="bench-a", device="ESME", as_json=True)) is ExitCode.GOOD
    rows = {row["what"]: row["found"] for row in json.loads(capsys.readouterr().out)}
    assert (rows["clock"], rows["supply"]) == ("not told", "not told")
