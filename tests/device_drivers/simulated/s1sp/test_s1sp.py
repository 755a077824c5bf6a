"""The S1SP itself: who may ask, in which order, through which hub, and what becomes of trouble."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from device_drivers.simulated.s1sp.s1sp import STEPS
from device_drivers.simulated.wan.head import DeviceSilent, HubUnreachable
from harness.domain.errors import UsageError
from harness.domain.faults import DROP, Fault, Place, Point, Seen
from harness.domain.words import DeviceType, UserRole

ESME, GSME, CH = DeviceType.ESME, DeviceType.GSME, DeviceType.CH
SCHEMAS = Path(__file__).parents[4].parent / "shared" / "spec" / "schemas"


def test_every_message_here_is_held_against_the_schemas(bed: Any) -> None:
    if not SCHEMAS.is_dir():
        pytest.skip(f"the DUIS and MMC schemas are not at {SCHEMAS}: messages here went unchecked")
    assert bed.schemas is not None
    with pytest.raises(AssertionError, match="NoSuchElement"):
        bed.ask("7.2", ESME, {"NoSuchElement": 1})


def test_every_srv_that_the_catalogue_marks_for_a_meter_is_served(bed: Any) -> None:
    marked = {
        known.srv
        for known in bed.lab.catalogue.values()
        if known.device_types & {ESME, GSME, CH} and not known.non_device
    }
    unknown = {known.srv for known in bed.lab.catalogue.values() if known.unknown_for}
    assert marked <= set(STEPS)
    assert set(STEPS) - marked <= unknown


def test_an_answer_names_device_srv_and_lab_time(bed: Any) -> None:
    answer = bed.ask("7.4", ESME)
    assert (answer.device_id, answer.srv) == (bed.twin(ESME).device_id, "7.4")
    assert answer.response_element == "ReadSupplyStatusRsp"
    assert answer.timestamp == bed.twins.clock.now()


def test_a_counter_that_was_used_is_refused_and_nothing_happens(bed: Any) -> None:
    request = bed.request("7.2", ESME)
    bed.s1sp.perform(request)
    bed.done("7.1", ESME)
    again = bed.s1sp.perform(request)
    assert not again.success
    assert "last one used" in again.debug[0][1]
    assert bed.twin(ESME).get("supply_state") == "Enabled"


def test_each_device_has_counters_of_its_own(bed: Any) -> None:
    bed.done("7.4", ESME, counter=5000)
    bed.done("7.4", GSME, counter=4000)


def test_a_user_role_that_may_not_is_refused(bed: Any) -> None:
    gas_supplier = bed.user(UserRole.GS)
    assert "GS" in bed.refused("7.1", ESME, originator=gas_supplier)


def test_a_stranger_is_refused(bed: Any) -> None:
    assert "none in this lab" in bed.refused("7.2", ESME, originator="00-DB-12-34-56-78-90-FF")


def test_an_srv_of_the_other_fuel_is_refused(bed: Any) -> None:
    assert "not for a SMETS1 GSME" in bed.refused("4.16", GSME)
    assert "not for a SMETS1 ESME" in bed.refused("4.1.4", ESME)


def test_what_no_device_can_hold_is_refused_where_it_is_future_dated(bed: Any) -> None:
    later = bed.twins.clock.now() + timedelta(hours=1)
    body = {"ExecutionDateTime": later, "RestrictionDateTime": later}
    assert "no device holds SRV 3.2" in bed.refused("3.2", ESME, body)


def test_a_request_that_the_dcc_has_held_may_be_older_than_the_last_and_is_taken_once(bed: Any) -> None:
    older = next(bed.counters)
    bed.done("4.18", ESME)
    assert "not above" in bed.refused("7.4", ESME, counter=older)
    bed.done("7.4", ESME, counter=older, held=True)
    assert "not above" in bed.refused("7.4", ESME, counter=older, held=True)


def test_a_scheduled_request_is_taken_from_the_dcc_alone(bed: Any) -> None:
    assert "countersignature" in bed.refused("4.15", ESME, scheduled=True)
    request = bed.request("4.15", ESME, scheduled=True)
    xml = bed.writer.scheduled_request(bed.message(request), None)
    mine = replace(request, xml=bed.writer.countersigned(xml))
    assert bed.s1sp.perform(mine).success
    assert not bed.s1sp.perform(mine).success  # the same once more
    bed.done("4.15", ESME, counter=request.counter)  # the User's own numbers are apart


def test_a_device_of_no_rig_is_bad_usage(bed: Any) -> None:
    with pytest.raises(UsageError, match="no simulated rig"):
        bed.s1sp.perform(bed.request("7.4", ESME, target="00-DB-12-34-56-78-90-FF"))


def test_a_wan_that_is_down_makes_the_hub_unreachable(bed: Any) -> None:
    bed.done("7.4", ESME)
    bed.twins.hub.set("wan_state", "down")
    with pytest.raises(HubUnreachable):
        bed.ask("7.4", ESME)
    bed.twins.hub.set("wan_state", "up")
    bed.done("7.4", ESME)


def test_a_hub_that_hung_up_is_unreachable(bed: Any) -> None:
    bed.wan.close()
    with pytest.raises(HubUnreachable):
        bed.ask("7.4", ESME)


def test_a_meter_without_power_is_silent_and_answers_when_it_has_power_again(bed: Any) -> None:
    bed.done("7.4", ESME)
    bed.twin(ESME).power(False)
    with pytest.raises(DeviceSilent):
        bed.ask("7.4", ESME)
    bed.twin(ESME).power(True)
    assert bed.done("7.4", ESME).text("SupplyState") == "Enabled"


def test_a_hub_that_connects_again_is_served_over_new_associations(bed: Any) -> None:
    bed.done("7.4", ESME)
    bed.wan.close()
    bed.wan = bed.twins.hub.connect(bed.head.address)
    bed.done("7.4", ESME)


def test_requests_to_the_devices_of_one_hub_do_not_mix(bed: Any) -> None:
    requests = [bed.request("4.1.1", device) for device in (ESME, GSME) * 5]
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda request=request: answers.append(bed.s1sp.perform(request)))
        for request in requests
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fuels = [(answer.device_id, next(iter(answer.data))) for answer in answers if answer.success]
    assert {fuel for device, fuel in fuels if device == bed.twin(ESME).device_id} == {"Electricity"}
    assert {fuel for device, fuel in fuels if device == bed.twin(GSME).device_id} == {"Gas"}


def test_a_slow_wan_is_woken_once_for_a_whole_request(bed: Any) -> None:
    bed.twins.hub.set("wan_state", "slow")
    begin = bed.twins.clock.now()
    answer = bed.ask("4.13", ESME)
    assert bed.twins.hub.get("wake_ups") == 1
    assert bed.twins.clock.now() - begin == timedelta(seconds=90)
    assert answer.timestamp == bed.twins.clock.now()


def test_a_gas_meter_is_waited_for_once_for_a_whole_request(bed: Any) -> None:
    due = bed.twins.gsme.next_wake()
    bed.done("4.11.1", GSME)
    assert bed.twins.clock.now() == due


def test_an_alert_reaches_the_gateway_before_the_hub_is_told(bed: Any) -> None:
    alerts: list[Any] = []
    bed.s1sp.on_alert = alerts.append
    bed.twin(ESME).tamper(True)
    bed.wan.drained()
    assert [(alert.device_id, alert.code) for alert in alerts] == [(bed.twin(ESME).device_id, 0x0081)]


def fault(point: Point, intercept: Callable[[Seen], Any]) -> tuple[Fault, ...]:
    return (Fault("test", Place.S1SP, point, "", intercept),)


class TestFaults:
    """Faults at the S1SP."""

    @pytest.mark.parametrize("faults", [fault(Point.RESPONSE, lambda seen: DROP)])
    def test_a_lost_response_is_silence_after_the_deed(self, bed: Any) -> None:
        with pytest.raises(DeviceSilent):
            bed.ask("7.2", ESME)
        assert bed.twin(ESME).get("supply_state") == "Disabled"

    @pytest.mark.parametrize("faults", [fault(Point.REQUEST, lambda seen: DROP)])
    def test_a_lost_request_is_silence_without_the_deed(self, bed: Any) -> None:
        with pytest.raises(DeviceSilent):
            bed.ask("7.2", ESME)
        assert bed.twin(ESME).get("supply_state") == "Enabled"

    @pytest.mark.parametrize("faults", [fault(Point.CHECK, lambda seen: "")])
    def test_a_blind_s1sp_takes_a_replay(self, bed: Any) -> None:
        request = bed.request("7.2", ESME)
        bed.s1sp.perform(request)
        assert bed.s1sp.perform(request).success

    @pytest.mark.parametrize("faults", [fault(Point.ALERT, lambda seen: DROP)])
    def test_a_lost_alert_reaches_nobody(self, bed: Any) -> None:
        alerts: list[Any] = []
        bed.s1sp.on_alert = alerts.append
        bed.twin(ESME).tamper(True)
        bed.wan.drained()
        assert alerts == []
