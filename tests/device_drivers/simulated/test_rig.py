"""A simulated rig in hand: drivers over TCP, hub to S1SP, faults in their places, and nothing left behind."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dlms.client import DlmsClient
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.named.device import NamedDevice, NoTrace
from device_drivers.rigs.assembly import HeldRig, chosen_faults, connect_devices
from device_drivers.simulated.keys import MANAGEMENT, PUBLIC, S1SP, key_ring
from device_drivers.simulated.rig import Site, build_twins, derived_seed, open_simulated_rig, stand_up
from device_drivers.simulated.s1sp.sessions import HubChannel
from device_drivers.simulated.wan.head import DeviceSilent, HubAlert, HubUnreachable, WanHead
from harness.config import load_lab
from harness.domain.errors import (
    AccessRefused,
    ConfigurationError,
    DeviceTimeout,
    LabFault,
    LinkLost,
    TransportLost,
)
from harness.domain.lab import Lab, Rig
from harness.domain.words import DeviceType, SupplyState
from harness.hooks import RunContext

REPO = Path(__file__).parents[3]
ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH
HALF_HOUR = timedelta(minutes=30)
Open = Callable[..., HeldRig]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path / "state")


@pytest.fixture
def open_rig(lab: Lab, tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as held:

        def open_rig(*faults: str, rig: Rig = lab.rigs[0], trace: Any = None, seed: int = 7) -> HeldRig:
            run = RunContext("run", tmp_path, seed, faults)
            opened = open_simulated_rig(lab, rig, {}, run, trace or NoTrace())
            held.callback(opened.close)
            return opened

        yield open_rig


def descriptors() -> set[Path]:
    """Those that are open, without what earlier tests let lie."""
    gc.collect()
    return set(Path("/proc/self/fd").iterdir())


def test_a_closed_rig_leaves_no_thread_and_no_socket(lab: Lab, open_rig: Open) -> None:
    open_rig().close()  # what is loaded once is loaded now
    threads, files = set(threading.enumerate()), descriptors()
    rig = open_rig()
    assert descriptors() > files
    rig.close()
    rig.close()
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= files


def test_a_rig_that_fails_to_open_leaves_nothing_either(lab: Lab, open_rig: Open, tmp_path: Path) -> None:
    open_rig().close()
    threads, files = set(threading.enumerate()), descriptors()
    with pytest.raises(LinkLost, match=r"WAN head at 127\.0\.0\.1:1 cannot be reached"):
        open_simulated_rig(
            lab, lab.rigs[0], {"wan": "127.0.0.1:1"}, RunContext("run", tmp_path, 7), NoTrace()
        )
    assert set(threading.enumerate()) <= threads
    assert descriptors() <= files


def test_it_opens_in_less_than_a_second(open_rig: Open) -> None:
    open_rig()
    began = time.perf_counter()
    open_rig()
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("firmware", "9.9.9"), ("model", "Other"), ("manufacturer", "Nobody")],
)
def test_a_device_that_is_not_the_baseline_is_a_lab_fault_naming_both(
    lab: Lab, field: str, value: str
) -> None:
    rig = lab.rigs[0]
    with ExitStack() as held:
        site = stand_up(rig, lab, build_twins(rig, 7), held)
        esme = site.rig.devices[ESME]
        found, model = getattr(esme.model, field), replace(esme.model, **{field: value})
        expected = replace(site.rig, devices=site.rig.devices | {ESME: replace(esme, model=model)})
        with pytest.raises(LabFault, match=rf"{field} is '{found}'.*is '{value}' \(Clause 8\.4\(c\)\)"):
            drivers_of(lab, replace(site, rig=expected), held)


def test_a_device_that_does_not_let_the_driver_in_is_a_lab_fault(lab: Lab) -> None:
    rig = lab.rigs[0]
    with ExitStack() as held:
        site = stand_up(rig, lab, build_twins(rig, 7), held)
        esme = site.rig.devices[ESME]
        stranger = replace(esme, security=site.rig.devices[CH].security)
        expected = replace(site.rig, devices=site.rig.devices | {ESME: stranger})
        with pytest.raises(LabFault, match="its ESME cannot be taken in hand"):
            drivers_of(lab, replace(site, rig=expected), held)


def test_every_driver_reads_what_its_twin_holds(lab: Lab) -> None:
    rig = lab.rigs[0]
    twins = build_twins(rig, 7)
    with ExitStack() as held:
        site = stand_up(rig, lab, twins, held)
        devices = drivers_of(lab, site, held)
        for twin in twins.all():
            device = devices[twin.device.type]
            names = device.items()
            assert device.read_many(names) == {name: twin.get(name) for name in names}
            for name in twin.table.logs:
                rows = tuple((entry.timestamp, *entry.values.values()) for entry in device.log(name))
                assert rows == twin.rows(name), name


def drivers_of(lab: Lab, site: Site, held: ExitStack) -> dict[DeviceType, Any]:
    return connect_devices(lab, site.rig, site.twins.clock, NoTrace(), held)


def test_waiting_on_the_clock_moves_the_meters_and_the_reference_agrees(open_rig: Open) -> None:
    rig = open_rig()
    esme, gsme = rig.devices[ESME], rig.devices[GSME]
    energy, volume, flow = esme.read("active_import"), gsme.read("gas_volume"), rig.bench.reference()
    rig.bench.load(2000)
    rig.bench.gas_flow(500)
    rig.clock.sleep(3 * HALF_HOUR)
    after = rig.bench.reference()
    assert esme.read("active_import") - energy == after.active_import - flow.active_import == 3000
    assert gsme.read("gas_volume") - volume == after.gas_volume - flow.gas_volume == Decimal("0.75")
    assert len(esme.log("profile", start=esme.clock() - timedelta(minutes=59))) == 2


def test_commands_reach_the_meter_and_refusals_come_back(open_rig: Open) -> None:
    esme = open_rig().devices[ESME]
    esme.operate_supply(SupplyState.DISABLED)  # type: ignore[attr-defined]
    assert esme.supply() is SupplyState.DISABLED  # type: ignore[attr-defined]
    before = esme.snapshot()
    with pytest.raises(AccessRefused, match="refused active_import"):
        esme.write("active_import", 0)
    assert esme.snapshot() == before


def test_a_driver_whose_port_is_gone_is_a_lab_fault_and_stays_one(lab: Lab) -> None:
    rig = lab.rigs[0]
    with ExitStack() as held, ExitStack() as ports:
        site = stand_up(rig, lab, build_twins(rig, 7), ports)
        esme = drivers_of(lab, site, held)[ESME]
        ports.close()
        for _ in range(2):
            with pytest.raises(TransportLost):
                esme.read("active_import")


def test_a_meter_without_power_does_not_answer(lab: Lab) -> None:
    rig = lab.rigs[0]
    with ExitStack() as held:
        site = stand_up(rig, lab, build_twins(rig, 7), held)
        esme = site.rig.devices[ESME]
        assert esme.door is not None
        brief = replace(esme, door=replace(esme.door, parameters={**esme.door.parameters, "timeout": 0.2}))
        devices = drivers_of(
            lab, replace(site, rig=replace(site.rig, devices=site.rig.devices | {ESME: brief})), held
        )
        site.bench.mains(False)
        with pytest.raises(DeviceTimeout):
            devices[ESME].read("active_import")


def test_lab_time_waits_for_an_alert_that_is_under_way(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived: list[HubAlert] = []

    def slowly(alert: HubAlert) -> None:
        time.sleep(0.2)
        arrived.append(alert)

    monkeypatch.setattr("device_drivers.dcc.user.gateway_settler", lambda services, device_ids: lambda: None)
    monkeypatch.setattr("device_drivers.rigs.assembly.open_user", lambda *_: None)
    head = WanHead(on_alert=slowly)
    rig = open_simulated_rig(lab, lab.rigs[0], {"wan": head.address}, RunContext("r", tmp_path, 7), NoTrace())
    rig.bench.tamper(ESME, True)
    rig.clock.sleep(timedelta(seconds=1))
    assert len(arrived) == 1
    rig.close()
    head.close()


def test_a_rig_without_gas_has_no_gas_meter(lab: Lab, open_rig: Open) -> None:
    rig = next(rig for rig in lab.rigs if GSME not in rig.devices)
    assert set(open_rig(rig=rig).devices) == {ESME, CH}


def test_closing_leaves_the_bench_safe(open_rig: Open) -> None:
    rig = open_rig()
    rig.bench.load(1000)
    rig.close()
    before = rig.bench.reference()
    rig.clock.sleep(HALF_HOUR)
    assert rig.bench.reference() == before


def test_without_a_dcc_the_user_says_so(open_rig: Open) -> None:
    rig = open_rig()
    with pytest.raises(LinkLost, match=r"SRV 4\.1\.1: no DCC link"):
        rig.user.request("4.1.1", rig.devices[ESME])
    assert rig.user.strays() == ()


def test_every_apdu_and_value_is_in_the_trace(open_rig: Open) -> None:
    told: list[tuple[str, str]] = []

    class Told:
        def event(self, source: str, what: str, **detail: Any) -> None:
            told.append((source, what))

        def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
            assert content
            told.append((source, name))

    esme = open_rig(trace=Told()).devices[ESME]
    told.clear()
    esme.read("active_import")
    assert told == [
        ("ESME", "sent GetRequest 1-0:1.8.0 attribute 2 (class 3)"),
        ("ESME", "received GetResponse"),
        ("ESME", "read active_import"),
    ]


def test_one_seed_gives_one_rig_and_another_seed_another(open_rig: Open) -> None:
    def consumption(seed: int) -> Any:
        rig = open_rig(seed=seed)
        return rig.devices[ESME].log("profile", start=rig.clock.now() - timedelta(days=2))

    assert consumption(1) == consumption(1)
    assert consumption(1) != consumption(2)
    assert derived_seed(1, "a", "ESME") != derived_seed(1, "a", "GSME")


def test_an_unknown_fault_is_refused_with_the_nearest_name(open_rig: Open, lab: Lab) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'esme-import-stuck'"):
        open_rig("esme-import-stick")


# The way through the hub


@dataclass
class Remote:
    """A site whose hub is connected, and a client of the S1SP for each device."""

    site: Site
    head: WanHead
    alerts: list[HubAlert]
    drained: Callable[[], None]
    ring: Any

    def device(self, type_: DeviceType, client_sap: int = S1SP) -> NamedDevice:
        device = self.site.rig.devices[type_]
        ch_id = self.site.rig.devices[CH].device_id
        client = DlmsClient(
            HubChannel(self.head, ch_id, device.device_id, client_sap),
            self.ring.credentials(device.device_id, client_sap),
            MemoryCounters(),
        )
        client.open()
        return NamedDevice(client, device.device_id, type_)


@pytest.fixture
def remote(lab: Lab) -> Iterator[Callable[..., Remote]]:
    with ExitStack() as held:

        def remote(*faults: str, wan: str = "up") -> Remote:
            rig = lab.rigs[0]
            assert rig.simulation is not None
            rig = replace(rig, simulation=replace(rig.simulation, wan=wan))
            twins = build_twins(rig, 7, chosen_faults(lab, faults))
            ring = key_ring(lab)
            site = stand_up(rig, lab, twins, held)
            alerts: list[HubAlert] = []
            head = WanHead(on_alert=alerts.append)
            held.callback(head.close)
            connection = twins.hub.connect(head.address)
            held.callback(connection.close)
            return Remote(site, head, alerts, connection.drained, ring)

        yield remote


def test_the_s1sp_reads_each_device_through_the_hub_with_its_own_keys(
    remote: Callable[..., Remote],
) -> None:
    at = remote()
    for twin in at.site.twins.all():
        assert at.device(twin.device.type).identity().device_id == twin.device_id


def test_an_idle_gas_meter_is_waited_for_and_then_listens(remote: Callable[..., Remote]) -> None:
    at = remote()
    clock = at.site.twins.clock
    began = clock.now()
    gsme = at.device(GSME)
    waited = clock.now() - began
    assert timedelta(0) < waited <= HALF_HOUR
    assert gsme.read("gas_volume") == at.site.twins.gsme.get("gas_volume")  # type: ignore[union-attr]
    assert clock.now() - began == waited


def test_management_keys_are_no_use_through_the_hub(remote: Callable[..., Remote]) -> None:
    with pytest.raises(DeviceSilent):
        remote().device(ESME, MANAGEMENT)


def test_the_public_client_may_read_identity_through_the_hub_and_no_register(
    remote: Callable[..., Remote],
) -> None:
    public = remote().device(ESME, PUBLIC)
    assert public.read("firmware_version")
    with pytest.raises(AccessRefused):
        public.read("active_import")


def test_a_whole_conversation_costs_one_wake_up_on_a_slow_wan(remote: Callable[..., Remote]) -> None:
    at = remote(wan="slow")
    began = at.site.twins.clock.now()
    esme = at.device(ESME)
    esme.log("daily_read_log")
    assert at.site.twins.hub.get("wake_ups") == 1
    assert at.site.twins.clock.now() - began == timedelta(seconds=90)


def test_nothing_is_reached_over_a_wan_that_is_down(remote: Callable[..., Remote]) -> None:
    with pytest.raises(HubUnreachable):
        remote(wan="down").device(ESME)


def test_a_power_cut_is_told_when_the_hub_is_back(remote: Callable[..., Remote]) -> None:
    at = remote()
    at.site.bench.mains(False)
    with pytest.raises(HubUnreachable):
        at.device(ESME)
    at.site.bench.mains(True)
    at.drained()
    esme_id = at.site.rig.devices[ESME].device_id
    assert [(alert.device_id, alert.code) for alert in at.alerts] == [(esme_id, 0x0002), (esme_id, 0x0003)]


def test_wrong_keys_are_an_event_and_an_alert_of_the_device(remote: Callable[..., Remote]) -> None:
    at = remote()
    at.ring = replace(at.ring, _seed=b"stranger")
    with pytest.raises(AccessRefused):
        at.device(ESME)
    at.drained()
    assert [alert.code for alert in at.alerts] == [0x0083]


def test_the_s1sp_may_work_while_the_test_waits_and_reads(remote: Callable[..., Remote]) -> None:
    """Lab time jumps in one thread while another reads through the hub: nobody waits for ever."""
    at = remote()
    at.site.twins.clock.on_settle(at.drained)
    failures: list[BaseException] = []

    def read() -> None:
        try:
            esme = at.device(ESME)
            for _ in range(50):
                esme.read("active_import")
        except BaseException as error:
            failures.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    for number in range(50):
        at.site.bench.tamper(ESME, number % 2 == 0)
        at.site.twins.clock.sleep(timedelta(seconds=1))
    reading.join(20)
    assert not reading.is_alive()
    assert failures == []
    assert [alert.code for alert in at.alerts].count(0x0081) == 25
