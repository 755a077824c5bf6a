"""The hub twin: HAN Device Log, WAN, gas proxy, and what passes through it to plain stand-ins for meters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from device_drivers.named.objects import ESME, GSME
from device_drivers.simulated.ch import AWAKE, SMS_WAKE_UP, ChTwin
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.twin import Twin
from device_drivers.simulated.wan.head import DeviceSilent, HubAlert, HubUnreachable, WanHead
from harness.domain.errors import AccessRefused
from harness.domain.faults import DROP, Fault, Interceptions, Place, Point
from harness.domain.lab import DeviceModel, DeviceModelCombination, Rig, RigDevice, Simulation
from harness.domain.words import CapabilityRelease, DeviceType

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
FIRST_WAKE = NOON + timedelta(minutes=20)
ESME_ID, GSME_ID, CH_ID = (f"00-DB-12-34-56-78-90-{last}" for last in ("A0", "B0", "C0"))
S1SP = 2


def device(type_: DeviceType, device_id: str) -> RigDevice:
    model = DeviceModel(
        id=f"m-{type_}", type=type_, manufacturer="Acme", model="One", hardware="1", firmware="1.0"
    )
    return RigDevice(type=type_, device_id=device_id, model=model, serial_number="S1")


def rig(wan: str = "up") -> Rig:
    devices = {
        DeviceType.ESME: device(DeviceType.ESME, ESME_ID),
        DeviceType.GSME: device(DeviceType.GSME, GSME_ID),
        DeviceType.CH: device(DeviceType.CH, CH_ID),
    }
    dmc = DeviceModelCombination(
        id="d", release=CapabilityRelease.MOC, models={type_: item.model for type_, item in devices.items()}
    )
    return Rig(id="r", dmc=dmc, devices=devices, mpan="1", simulation=Simulation(starts=NOON, wan=wan))


class SleepyGas(Twin):
    """A gas meter that does nothing but wake every half hour."""

    def next_wake(self, now: datetime) -> datetime:
        return FIRST_WAKE + HALF_HOUR * -((FIRST_WAKE - now) // HALF_HOUR)


@dataclass
class Answering:
    """A DLMS server's stand-in: answers every APDU reversed and keeps what it was asked."""

    asked: list[bytes] = field(default_factory=list)

    def handle(self, apdu: bytes, client_sap: int) -> tuple[bytes, ...]:
        assert client_sap == S1SP
        self.asked.append(apdu)
        return (apdu[::-1],)


@dataclass
class Home:
    hub: ChTwin
    esme: Twin
    gsme: SleepyGas
    clock: VirtualClock
    servers: dict[str, Answering]


def home(wan: str = "up", *faults: Fault) -> Home:
    described = rig(wan)
    clock = VirtualClock(NOON)
    hub = ChTwin(described.devices[DeviceType.CH], described, clock, Interceptions(Place.CH, 1, faults))
    none = Interceptions(Place.ESME, 1)
    esme = Twin(described.devices[DeviceType.ESME], clock, none, ESME)
    gsme = SleepyGas(described.devices[DeviceType.GSME], clock, none, GSME)
    gsme.values |= {name: 0 for name, item in GSME.items.items() if item.kind == "register"}
    servers = {device_id: Answering() for device_id in (ESME_ID, GSME_ID, CH_ID)}
    hub.serve(servers[CH_ID])  # type: ignore[arg-type]
    assert hub.attach(esme, servers[ESME_ID])  # type: ignore[arg-type]
    assert hub.attach_gas(gsme, servers[GSME_ID])  # type: ignore[arg-type]
    return Home(hub, esme, gsme, clock, servers)


def events(hub: ChTwin) -> list[int]:
    return [code for _, code in hub.rows("event_log")]


def log_of(hub: ChTwin) -> dict[str, dict[str, Any]]:
    return {entry["device_id"]: entry for entry in hub.get("han_devices")}


def test_an_installed_rig_has_its_meters_on_the_log_and_joined() -> None:
    hub = home().hub
    assert hub.han() == (CH_ID, ESME_ID, GSME_ID)
    assert [(entry["type"], entry["joined"]) for entry in hub.get("han_devices")] == [
        ("ESME", True),
        ("GSME", True),
    ]
    assert events(hub) == []


def test_a_message_reaches_the_addressed_device_only_and_is_noted_on_the_log() -> None:
    at = home()
    assert at.hub.relay(ESME_ID, b"abc", S1SP) == (b"cba",)
    assert [len(at.servers[name].asked) for name in (ESME_ID, GSME_ID, CH_ID)] == [1, 0, 0]
    assert log_of(at.hub)[ESME_ID]["last_communication"] == NOON
    assert at.hub.relay(CH_ID, b"hub", S1SP) == (b"buh",)


def test_a_device_that_is_not_on_the_log_may_not_join_and_is_not_reached() -> None:
    at = home()
    at.hub.act("han_remove", ESME_ID)
    assert not at.hub.join(ESME_ID)
    assert events(at.hub) == [0x0102, 0x0103]
    with pytest.raises(DeviceSilent, match="not joined"):
        at.hub.relay(ESME_ID, b"abc", S1SP)


def test_a_device_added_to_the_log_joins_if_it_is_there() -> None:
    at = home()
    at.hub.act("han_remove", ESME_ID)
    at.hub.act("han_add", {"device_id": ESME_ID, "install_code": b"", "period": 60})
    at.hub.act("han_add", {"device_id": "00-DB-12-34-56-78-90-FF", "install_code": b"", "period": 60})
    entries = log_of(at.hub)
    assert (entries[ESME_ID]["joined"], entries[ESME_ID]["type"]) == (True, "ESME")
    assert not entries["00-DB-12-34-56-78-90-FF"]["joined"]
    assert at.hub.relay(ESME_ID, b"abc", S1SP) == (b"cba",)
    assert events(at.hub) == [0x0102, 0x0101]


@pytest.mark.parametrize(
    ("command", "argument"),
    [
        ("han_add", {"device_id": "nonsense", "install_code": b"", "period": 60}),
        ("han_add", {"device_id": ESME_ID, "install_code": b"", "period": 60}),
        ("han_remove", "00-DB-12-34-56-78-90-FF"),
    ],
)
def test_a_log_change_that_makes_no_sense_is_refused_and_changes_nothing(command: str, argument: Any) -> None:
    hub = home().hub
    before = hub.get("han_devices")
    with pytest.raises(AccessRefused):
        hub.act(command, argument)
    assert hub.get("han_devices") == before


def test_a_message_for_the_gas_meter_waits_until_it_wakes() -> None:
    at = home()
    at.clock.advance_to(NOON + timedelta(minutes=10))
    assert at.hub.relay(GSME_ID, b"gas", S1SP) == (b"sag",)
    assert at.clock.now() == FIRST_WAKE
    at.clock.advance_to(FIRST_WAKE + timedelta(seconds=20))
    at.hub.relay(GSME_ID, b"more", S1SP)  # it is still awake
    assert at.clock.now() == FIRST_WAKE + timedelta(seconds=20)


def test_the_gas_meter_does_not_listen_for_ever() -> None:
    at = home()
    at.hub.relay(GSME_ID, b"gas", S1SP)
    at.clock.advance_to(FIRST_WAKE + timedelta(minutes=1))
    at.hub.relay(GSME_ID, b"gas", S1SP)
    assert at.clock.now() == FIRST_WAKE + HALF_HOUR


def test_the_gas_proxy_keeps_what_the_gas_meter_last_sent() -> None:
    at = home()
    at.gsme.values["gas_volume"] = 7
    at.clock.advance_to(FIRST_WAKE)
    at.gsme.values["gas_volume"] = 8
    at.clock.advance_to(FIRST_WAKE + timedelta(minutes=29))
    assert at.hub.proxy["gas_volume"] == 7
    assert at.hub.get("gas_proxy_updated") == FIRST_WAKE


def test_an_up_wan_wakes_nobody_and_takes_no_lab_time() -> None:
    at = home("up")
    at.hub.relay(ESME_ID, b"abc", S1SP)
    assert (at.hub.get("wake_ups"), at.clock.now()) == (0, NOON)


def test_a_slow_wan_wakes_the_hub_once_for_a_conversation_and_again_after_a_pause() -> None:
    at = home("slow")
    for _ in range(3):
        at.hub.relay(ESME_ID, b"abc", S1SP)
    assert (at.hub.get("wake_ups"), at.clock.now()) == (1, NOON + SMS_WAKE_UP)
    at.clock.advance_to(at.clock.now() + AWAKE + timedelta(seconds=1))
    at.hub.relay(ESME_ID, b"abc", S1SP)
    assert at.hub.get("wake_ups") == 2


def test_nothing_passes_a_wan_that_is_down() -> None:
    at = home()
    at.hub.set("wan_state", "down")
    with pytest.raises(HubUnreachable, match="WAN"):
        at.hub.relay(ESME_ID, b"abc", S1SP)
    at.hub.set("wan_state", "up")
    assert at.hub.relay(ESME_ID, b"abc", S1SP) == (b"cba",)
    assert events(at.hub) == [0x0104, 0x0105]


def test_without_power_the_hub_is_out_of_reach_and_a_meter_is_silent() -> None:
    at = home()
    at.esme.powered = False
    with pytest.raises(DeviceSilent, match="no power"):
        at.hub.relay(ESME_ID, b"abc", S1SP)
    at.hub.power(False)
    with pytest.raises(HubUnreachable, match="no power"):
        at.hub.relay(ESME_ID, b"abc", S1SP)


def fault(point: Point, intercept: Callable[..., Any]) -> Fault:
    return Fault("test", Place.CH, point, "for this test", intercept)


def test_a_fault_can_lose_or_change_what_passes_through_the_hub() -> None:
    lost = home("up", fault(Point.REQUEST, lambda seen: DROP if seen.item == "ESME" else seen.value))
    with pytest.raises(DeviceSilent, match="lost"):
        lost.hub.relay(ESME_ID, b"abc", S1SP)
    assert lost.servers[ESME_ID].asked == []
    assert lost.hub.relay(GSME_ID, b"gas", S1SP) == (b"sag",)
    changed = home("up", fault(Point.RESPONSE, lambda seen: seen.value + b"!"))
    assert changed.hub.relay(ESME_ID, b"abc", S1SP) == (b"cba!",)


@dataclass
class Connected:
    at: Home
    head: WanHead
    arrived: list[HubAlert]
    drained: Callable[[], None]


Connect = Callable[[Home], Connected]


@pytest.fixture
def connect() -> Iterator[Connect]:
    arrived: list[HubAlert] = []
    head = WanHead(on_alert=arrived.append)
    wans = []

    def connect(at: Home) -> Connected:
        wan = at.hub.connect(head.address)
        wans.append(wan)
        return Connected(at, head, arrived, wan.drained)

    yield connect
    for wan in wans:
        wan.close()
    head.close()


def test_a_meters_alert_reaches_the_s1sp_through_the_hub(connect: Connect) -> None:
    rigged = connect(home())
    rigged.at.esme.tamper(True)
    rigged.drained()
    assert rigged.arrived == [HubAlert(CH_ID, ESME_ID, 0x0081, "Cover opened", NOON)]


def test_the_hub_raises_alerts_of_its_own(connect: Connect) -> None:
    rigged = connect(home())
    rigged.at.hub.tamper(True)
    rigged.drained()
    assert [(alert.device_id, alert.code) for alert in rigged.arrived] == [(CH_ID, 0x0081)]


def test_nobody_hears_a_device_that_has_left_the_han(connect: Connect) -> None:
    rigged = connect(home())
    rigged.at.hub.act("han_remove", ESME_ID)
    rigged.at.esme.tamper(True)
    rigged.drained()
    assert rigged.arrived == []


def test_the_s1sp_is_told_who_leaves_and_joins_the_han(connect: Connect) -> None:
    rigged = connect(home())
    hub = rigged.at.hub
    hub.act("han_remove", ESME_ID)
    rigged.drained()
    assert rigged.head.devices(CH_ID) == (CH_ID, GSME_ID)
    hub.act("han_add", {"device_id": ESME_ID, "install_code": b"", "period": 60})
    rigged.drained()
    assert set(rigged.head.devices(CH_ID)) == {CH_ID, ESME_ID, GSME_ID}


def test_the_wan_is_the_managements_to_switch_and_nobody_elses() -> None:
    hub = home().hub
    with pytest.raises(AccessRefused, match="read only"):
        hub.set("wan_state", "down", S1SP)


@pytest.mark.parametrize("cut", ["wan", "power"])
def test_alerts_wait_in_the_hub_until_wan_and_power_are_back(connect: Connect, cut: str) -> None:
    rigged = connect(home())
    hub = rigged.at.hub

    def carries(on: bool) -> None:
        if cut == "wan":
            hub.set("wan_state", "up" if on else "down")
        else:
            hub.power(on)

    carries(False)
    rigged.at.esme.tamper(True)
    rigged.drained()
    assert rigged.arrived == []
    carries(True)
    rigged.drained()
    assert [alert.code for alert in rigged.arrived] == [0x0081]


def test_a_fault_can_lose_an_alert_in_the_hub(connect: Connect) -> None:
    lost = connect(home("up", fault(Point.ALERT, lambda seen: DROP)))
    lost.at.esme.tamper(True)
    lost.drained()
    assert lost.arrived == []


def test_a_fault_can_send_an_alert_twice(connect: Connect) -> None:
    twice = connect(home("up", fault(Point.DELIVERY, lambda seen: seen.value * 2)))
    twice.at.esme.tamper(True)
    twice.drained()
    assert [alert.code for alert in twice.arrived] == [0x0081, 0x0081]


def test_a_gas_reading_over_a_slow_wan_wakes_hub_and_meter(connect: Connect) -> None:
    rigged = connect(home("slow"))
    rigged.at.hub.relay(GSME_ID, b"gas", S1SP)
    assert rigged.at.clock.now() == FIRST_WAKE
    assert rigged.at.hub.get("wake_ups") == 1


@pytest.mark.parametrize(("wan", "sleeper", "device_id"), [("slow", "CH", ESME_ID), ("up", "GSME", GSME_ID)])
def test_a_fault_can_keep_a_sleeper_asleep(wan: str, sleeper: str, device_id: str) -> None:
    never = home(wan, fault(Point.WAKE, lambda seen: DROP))
    with pytest.raises(HubUnreachable, match=f"the {sleeper} at hub .* did not wake"):
        never.hub.relay(device_id, b"ask", S1SP)
    late = home(wan, fault(Point.WAKE, lambda seen: timedelta(hours=2)))
    late.hub.relay(device_id, b"ask", S1SP)
    assert late.clock.now() == NOON + timedelta(hours=2)


def test_who_has_joined_is_kept_over_a_power_cut_unless_a_fault_forgets_it() -> None:
    forgets = fault(Point.POWER, lambda seen: {**seen.value, GSME_ID: False})
    for hub, joined in ((home().hub, True), (home("up", forgets).hub, False)):
        hub.power(False)
        hub.power(True)
        assert log_of(hub)[GSME_ID]["joined"] is joined
        assert log_of(hub)[ESME_ID]["joined"]
