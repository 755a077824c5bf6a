"""Each fault of the catalogue, switched on alone: what it does, beside a sound rig that does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc.services import start_lab
from device_drivers.named.device import NoTrace
from device_drivers.simulated.faults import FAULTS
from device_drivers.simulated.rig import open_simulated_rig
from device_drivers.utrn import make_utrn
from harness.config import load_lab
from harness.domain.errors import DeviceTimeout
from harness.domain.faults import Place
from harness.domain.instruments import Forgery, Meter, RigInHand
from harness.domain.lab import Lab
from harness.domain.words import DeviceType, SupplyState, UserRole
from harness.hooks import RunContext

REPO = Path(__file__).parents[3]
ESME, GSME = DeviceType.ESME, DeviceType.GSME
HALF_HOUR = timedelta(minutes=30)
Open = Callable[..., RigInHand]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path / "state")


@pytest.fixture
def open_rig(lab: Lab, tmp_path: Path) -> Iterator[Open]:
    """Opens a rig with the named faults, without a DCC."""
    with ExitStack() as held:

        def open_rig(*faults: str) -> RigInHand:
            run = RunContext("run", tmp_path, 7, faults)
            rig = open_simulated_rig(lab, lab.rigs[0], {}, run, NoTrace())
            held.callback(rig.close)
            return rig

        yield open_rig


@pytest.fixture
def with_dcc(lab: Lab, tmp_path: Path) -> Callable[..., Any]:
    """A rig with the named faults in a simulated lab with its whole DCC."""

    @contextmanager
    def with_dcc(*faults: str) -> Iterator[RigInHand]:
        run = RunContext("run", tmp_path / "-".join(("run", *faults)), 7, faults)
        with ExitStack() as held:
            services = start_lab(lab, run)
            held.callback(services.close)
            rig = open_simulated_rig(lab, lab.rigs[0], services.addresses, run, NoTrace())
            held.callback(rig.close)
            yield rig

    return with_dcc


def meter(rig: RigInHand, type_: DeviceType) -> Meter:
    return rig.devices[type_]  # type: ignore[return-value]


def test_every_fault_names_srvs_that_the_catalogue_has(lab: Lab) -> None:
    assert {srv for fault in FAULTS for srv in fault.srvs} <= set(lab.catalogue)


def test_no_fault_touches_a_rig_on_which_it_is_not_switched_on(open_rig: Open) -> None:
    rig = open_rig()
    for type_ in (ESME, GSME):
        meter(rig, type_).operate_supply(SupplyState.DISABLED)
        assert meter(rig, type_).supply() is SupplyState.DISABLED


def test_a_stuck_register_parts_from_the_reference(open_rig: Open) -> None:
    for rig, counted in ((open_rig(), 1000), (open_rig("esme-import-stuck"), 0)):
        before = rig.devices[ESME].read("active_import")
        rig.bench.load(2000)
        rig.clock.sleep(HALF_HOUR)
        assert rig.devices[ESME].read("active_import") - before == counted
        assert rig.bench.reference().active_import == 1000


def test_a_profile_gap_is_a_gap(open_rig: Open) -> None:
    for rig, rows in ((open_rig(), 6), (open_rig("esme-profile-gap"), 4)):
        since = rig.clock.now() + timedelta(seconds=1)
        rig.clock.sleep(6 * HALF_HOUR)
        assert len(rig.devices[ESME].log("profile", start=since)) == rows


@pytest.mark.parametrize(
    ("fault", "type_"), [("esme-disable-ignored", ESME), ("gsme-valve-stays-open", GSME)]
)
def test_a_disable_command_is_acknowledged_and_not_done(
    open_rig: Open, fault: str, type_: DeviceType
) -> None:
    rig = open_rig(fault)
    (other,) = {ESME, GSME} - {type_}
    for each, state in ((type_, SupplyState.ENABLED), (other, SupplyState.DISABLED)):
        meter(rig, each).operate_supply(SupplyState.DISABLED)
        assert meter(rig, each).supply() is state


def test_a_valve_that_stays_open_lets_gas_flow(open_rig: Open) -> None:
    for rig, flowed in ((open_rig(), Decimal(0)), (open_rig("gsme-valve-stays-open"), Decimal("0.5"))):
        meter(rig, GSME).operate_supply(SupplyState.DISABLED)
        rig.bench.gas_flow(1000)
        rig.clock.sleep(HALF_HOUR)
        assert rig.bench.reference().gas_volume == flowed


@pytest.mark.parametrize(
    ("fault", "item", "value"),
    [
        ("esme-price-not-applied", "tou_prices", (7,) * 48),
        ("esme-price-not-applied", "block_prices", ((7,) * 4,) * 8),
    ],
)
def test_a_write_is_acknowledged_and_not_done(
    open_rig: Open, fault: str, item: str, value: tuple[Any, ...]
) -> None:
    sound, faulty = open_rig().devices[ESME], open_rig(fault).devices[ESME]
    before = faulty.read(item)
    for device in (sound, faulty):
        device.write(item, value)
    assert sound.read(item) == value
    assert faulty.read(item) == before


def test_a_clock_that_was_set_is_as_it_was(open_rig: Open) -> None:
    for rig, moved in ((open_rig(), timedelta(minutes=2)), (open_rig("esme-clock-set-ignored"), timedelta())):
        esme = rig.devices[ESME]
        esme.write("clock", esme.clock() + timedelta(minutes=2))
        assert esme.clock() - rig.clock.now() == moved


def test_a_top_up_is_credited_twice_over(open_rig: Open) -> None:
    for rig, pounds in ((open_rig(), 10), (open_rig("esme-top-up-doubled"), 20)):
        esme = rig.devices[ESME]
        esme.write("payment_mode", "Prepayment")
        before = esme.read("meter_balance")
        esme.perform("top_up", make_utrn(esme.device_id, 1000, 1).encode())
        assert esme.read("meter_balance") - before == pounds * 100_000


def test_events_are_missing_from_the_event_log(open_rig: Open) -> None:
    for rig, logged in ((open_rig(), 1), (open_rig("esme-event-not-logged"), 0)):
        meter(rig, ESME).operate_supply(SupplyState.DISABLED)
        assert len(rig.devices[ESME].log("event_log")) == logged


def test_the_s1sp_is_told_the_import_in_another_unit(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("esme-import-unit") as rig:
        response = rig.user.request("4.1.1", rig.devices[ESME])
        held = rig.devices[ESME].read("active_import")
        assert response.payload.integer("Electricity/ActiveImportRegister/Value") == held // 1000


def test_no_alert_arrives(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("alert-lost") as rig:
        rig.bench.tamper(ESME, True)
        rig.clock.sleep(timedelta(minutes=10))
        assert rig.user.alerts(rig.devices[ESME]) == ()


def test_another_devices_id_is_on_the_response(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("response-of-another-device") as rig:
        response = rig.user.request("4.18", rig.devices[ESME])
        assert response.device_id != rig.devices[ESME].device_id
        assert not response.success


def test_a_replayed_counter_passes_the_gateway(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("replay-accepted") as rig:
        rig.user.request("4.18", rig.devices[ESME])
        replayed = rig.user.request("4.18", rig.devices[ESME], forgery=Forgery(counter="replayed"))
        assert replayed.acknowledgement == "I99"


def test_a_forged_request_passes_the_gateway(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("signature-unchecked") as rig:
        forged = rig.user.request("4.18", rig.devices[ESME], forgery=Forgery(signature="broken"))
        assert forged.acknowledgement == "I99"


def test_a_role_gets_what_is_not_its_own(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("role-unchecked") as rig:
        response = rig.user.request("7.2", rig.devices[ESME], role=UserRole.ED)
        assert response.acknowledgement == "I99"


def test_a_late_response_is_no_response_in_time(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("response-late") as rig, pytest.raises(DeviceTimeout):
        rig.user.request("4.18", rig.devices[ESME])


def test_a_broken_signature_is_a_problem_of_the_response(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("response-signature-broken") as rig:
        response = rig.user.request("4.18", rig.devices[ESME])
        assert any("signature" in problem for problem in response.problems)


def test_a_response_that_comes_twice_is_kept_as_a_stray(with_dcc: Callable[..., Any]) -> None:
    with with_dcc("response-delivered-twice") as rig:
        assert rig.user.request("4.18", rig.devices[ESME]).success
        rig.clock.sleep(timedelta(seconds=1))
        assert len(rig.user.strays()) == 1


def test_somebody_elses_fault_comes_in_by_the_lab_files_plugins(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_faults.py").write_text(
        "from harness.domain.faults import Fault, Place, Point\n"
        "from harness.hooks import hookimpl\n"
        "def louder(seen):\n"
        "    return 'WRONG' if seen.item == 'supplier_name' else seen.value\n"
        "@hookimpl\n"
        "def harness_faults():\n"
        "    return [Fault('theirs', Place.ESME, Point.READ, 'says WRONG', louder)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    theirs = replace(lab, plugins=("their_faults",))
    run = RunContext("run", tmp_path, 7, ("theirs",))
    rig = open_simulated_rig(theirs, theirs.rigs[0], {}, run, NoTrace())
    assert rig.devices[ESME].read("supplier_name") == "WRONG"
    rig.close()


def test_the_catalogue_reaches_every_place() -> None:
    assert {fault.place for fault in FAULTS} == set(Place)
