"""The doors that a lab file can put in front of a twin, each read through by the driver of a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_drivers.rigs.assembly import HeldRig, take_in_hand
from device_drivers.simulated.rig import Site, build_twins, stand_up
from harness.config import load_lab
from harness.domain.errors import ConfigurationError, DeviceTimeout, TransportLost
from harness.domain.lab import Door, Hdlc, Lab, OpticalPort
from harness.domain.words import DeviceType

REPO = Path(__file__).parents[3]
ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH
HDLC = Hdlc(answer=1.0)
PROBE = OpticalPort(settle=0, answer=1.0)
DOORS = {
    "a TCP port": None,
    "a TCP port with HDLC": Door(transport="tcp", hdlc=HDLC),
    "an optical port with a sign-on": Door(transport="serial", optical=PROBE, hdlc=HDLC),
    "an optical port without one": Door(
        transport="serial", optical=replace(PROBE, mode="direct", baud=19_200), hdlc=HDLC
    ),
    "a meter that confirms at the new rate": Door(
        transport="serial", optical=replace(PROBE, confirms="after"), hdlc=HDLC
    ),
    "a meter that confirms nothing": Door(
        transport="serial", optical=replace(PROBE, confirms="never"), hdlc=HDLC
    ),
    "a probe that echoes": Door(transport="serial", optical=replace(PROBE, echo=True), hdlc=HDLC),
    "an optical port called by the serial number": Door(
        transport="serial", optical=replace(PROBE, address="E01101"), hdlc=HDLC
    ),
    "a short frame and a long address": Door(
        transport="serial",
        hdlc=replace(HDLC, information_field=128, window=1, address_bytes=4, physical_address=17),
    ),
    "a serial server": Door(transport="serial-tcp", hdlc=HDLC),
}


class Notes:
    """A trace that remembers what happened."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def event(self, source: str, what: str, **detail: Any) -> None:
        self.events.append((source, what, detail))

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """Nothing comes whole here."""

    def opened_anew(self) -> list[tuple[str, str]]:
        return [
            (source, detail["why"]) for source, what, detail in self.events if what == "session opened anew"
        ]


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path / "state")


Open = Callable[..., tuple[Site, HeldRig]]


@pytest.fixture
def behind(lab: Lab, notes: Notes) -> Iterator[Open]:
    """A rig in hand whose devices have those doors."""
    with ExitStack() as held:

        def stand(**doors: Door | None) -> tuple[Site, HeldRig]:
            rig = lab.rigs[0]
            devices = {
                type_: replace(device, door=doors.get(type_.value)) for type_, device in rig.devices.items()
            }
            rig = replace(rig, devices=devices, simulation=replace(rig.simulation, history_days=1))
            site = stand_up(rig, lab, build_twins(rig, 7), held)
            taken = take_in_hand(lab, site.rig, {}, site.twins.clock, notes, held, bench=site.bench)
            held.callback(taken.close)
            return site, taken

        yield stand


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_meter_is_read_and_written_through(door: Door | None, behind: Open) -> None:
    site, rig = behind(ESME=door)
    esme = rig.devices[ESME]
    assert esme.read("active_import") == site.twins.esme.get("active_import")
    assert len(esme.log("profile")) == 48
    esme.write("load_limit_counter", 41)
    assert site.twins.esme.get("load_limit_counter") == 41


def test_every_device_of_a_rig_can_have_its_own_kind_of_door(behind: Open) -> None:
    probe = DOORS["an optical port with a sign-on"]
    _, rig = behind(ESME=probe, GSME=probe, CH=DOORS["a serial server"])
    assert {device.identity().device_id for device in rig.devices.values()} == {
        device.device_id for device in rig.rig.devices.values()
    }


def test_a_meter_that_is_called_by_another_number_does_not_answer(behind: Open) -> None:
    stranger = replace(PROBE, address="E99999", answer=0.3)
    with pytest.raises(TransportLost, match="no identification: nothing came"):
        behind(ESME=Door(transport="serial", optical=stranger, hdlc=HDLC))


@pytest.mark.parametrize("name", ["a TCP port", "an optical port with a sign-on", "a serial server"])
def test_a_power_cut_ends_the_session_and_the_driver_opens_a_new_one(
    name: str, behind: Open, notes: Notes
) -> None:
    site, rig = behind(ESME=DOORS[name])
    esme = rig.devices[ESME]
    before = esme.read("active_import")
    rig.bench.mains(on=False)
    rig.bench.mains(on=True)
    assert notes.opened_anew() == []  # not before somebody asks
    assert esme.read("active_import") == before
    assert notes.opened_anew() == [(ESME, "its supply was cut")]
    assert site.twins.esme.power_cuts == 1


def test_a_relay_that_is_cut_alone_renews_that_session_alone(behind: Open, notes: Notes) -> None:
    _, rig = behind()
    rig.bench.power(CH, on=False)
    rig.bench.power(CH, on=True)
    for device in rig.devices.values():
        device.clock()
    assert notes.opened_anew() == [(CH, "its supply was cut")]


def test_a_meter_without_power_is_not_heard_at_its_optical_port(behind: Open) -> None:
    _, rig = behind(ESME=DOORS["an optical port with a sign-on"])
    rig.bench.mains(on=False)
    with pytest.raises(TransportLost, match="no identification: nothing came"):
        rig.devices[ESME].clock()


@pytest.mark.parametrize(
    ("door", "family"),
    [
        (Door(transport="serial", optical=PROBE, hdlc=replace(HDLC, answer=0.2)), TransportLost),
        (Door(transport="tcp", parameters={"timeout": 0.3}), DeviceTimeout),
    ],
    ids=["an optical port", "a TCP port"],
)
def test_a_session_that_a_power_cut_has_ended_is_dead_for_who_does_not_renew_it(
    door: Door, family: type[Exception], behind: Open
) -> None:
    site, rig = behind(ESME=door)
    site.twins.esme.power(False)  # past the bench, whose relays are watched
    site.twins.esme.power(True)
    with pytest.raises(family):
        rig.devices[ESME].clock()


@pytest.mark.parametrize(
    ("door", "why"),
    [
        (Door(transport="serial"), "DLMS without HDLC on a serial line"),
        (Door(transport="serial-tcp", optical=PROBE, hdlc=HDLC), "'serial-tcp' with a sign-on"),
        (Door(transport="rfc2217", hdlc=HDLC), "'rfc2217'"),
        (Door(transport="tcp", protocol="semaphore"), "speaks 'semaphore'"),
    ],
)
def test_a_door_that_no_twin_has_is_a_configuration_error(door: Door, why: str, behind: Open) -> None:
    with pytest.raises(ConfigurationError, match=f"no twin has a door that .*{why}"):
        behind(ESME=door)
