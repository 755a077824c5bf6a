"""Devices by name, over a client whose answers are given: what is asked, read, refused and traced."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from device_drivers.dlms.data import (
    NULL,
    Data,
    array,
    double_long_unsigned,
    enum,
    integer,
    long64_unsigned,
    long_unsigned,
    octets,
    structure,
)
from device_drivers.dlms.refs import AttributeRef, MethodRef, RangeSelector, Selector
from device_drivers.dlms.times import encode_date_time
from device_drivers.named.device import NamedDevice, NamedMeter, plain
from harness.domain.errors import AccessRefused, ProtocolViolation, UsageError
from harness.domain.words import DeviceType, SupplyState

METER = "00-DB-12-34-56-78-90-A0"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
IMPORT = AttributeRef(3, "1-0:1.8.0", 2)
PROFILE = AttributeRef(7, "1-0:99.1.0", 2)


class GivenAnswers:
    """A DLMS client's stand-in that answers by reference and keeps what it was asked."""

    def __init__(self, answers: dict[Any, Any] | None = None) -> None:
        self.answers = answers or {}
        self.asked: list[tuple[Any, ...]] = []

    def get(self, ref: AttributeRef, selector: Selector | None = None) -> Data:
        self.asked.append(("get", ref, selector))
        return self._answer(ref)

    def get_many(self, refs: Sequence[AttributeRef]) -> list[Data | AccessRefused]:
        self.asked.append(("get_many", tuple(refs)))
        return [self.answers[ref] for ref in refs]

    def set(self, ref: AttributeRef, data: Data) -> None:
        self.asked.append(("set", ref, data))
        self._answer(ref)

    def action(self, ref: MethodRef, data: Data | None = None) -> Data | None:
        self.asked.append(("action", ref, data))
        return self._answer(ref)

    def close(self) -> None:
        self.asked.append(("close",))

    def _answer(self, ref: Any) -> Any:
        answer = self.answers.get(ref)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Notes:
    """A trace that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []

    def event(self, source: str, what: str, **detail: Any) -> None:
        self.events.append((source, what, detail))

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        raise AssertionError("the client tells its messages itself")


def meter(answers: dict[Any, Any] | None = None) -> tuple[NamedMeter, GivenAnswers, Notes]:
    client, notes = GivenAnswers(answers), Notes()
    return NamedMeter(client, METER, DeviceType.ESME, trace=notes), client, notes  # type: ignore[arg-type]


def test_a_register_is_read_by_its_name_and_noted_with_its_unit() -> None:
    esme, _, notes = meter({IMPORT: long64_unsigned(1234)})
    assert esme.read("active_import") == 1234
    assert notes.events == [("ESME", "read active_import", {"value": 1234, "unit": "Wh"})]


def test_several_items_go_in_one_request() -> None:
    voltage = AttributeRef(3, "1-0:32.7.0", 2)
    esme, client, _ = meter({IMPORT: long64_unsigned(1), voltage: long_unsigned(2304)})
    assert esme.read_many(("voltage", "active_import")) == {"voltage": Decimal("230.4"), "active_import": 1}
    assert client.asked == [("get_many", (voltage, IMPORT))]


def test_one_refusal_among_several_is_named() -> None:
    esme, _, _ = meter({IMPORT: AccessRefused("x", result="read-write-denied")})
    with pytest.raises(AccessRefused, match=f"ESME {METER} refused active_import: read-write-denied"):
        esme.read_many(("active_import",))


def test_a_refusal_names_item_and_device_and_is_noted() -> None:
    threshold = AttributeRef(71, "0-0:17.0.0", 4)
    esme, _, notes = meter({threshold: AccessRefused("0-0:17.0.0", result="read-write-denied")})
    with pytest.raises(AccessRefused, match="refused load_limit_threshold") as refusal:
        esme.write("load_limit_threshold", 5000)
    assert refusal.value.result == "read-write-denied"
    assert notes.events[-1] == ("ESME", "refused load_limit_threshold", {"result": "read-write-denied"})


def test_data_of_another_form_is_the_devices_fault() -> None:
    esme, _, _ = meter({IMPORT: octets(b"1234")})
    with pytest.raises(ProtocolViolation, match="answered active_import in another form"):
        esme.read("active_import")


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda esme: esme.read("active_inport"), "did you mean 'active_import'"),
        (lambda esme: esme.log("profil"), "did you mean 'profile'"),
        (lambda esme: esme.perform("topup"), "did you mean 'top_up'"),
    ],
)
def test_a_name_that_the_table_lacks_is_the_tests_fault_and_the_nearest_is_told(call: Any, near: str) -> None:
    esme, client, _ = meter()
    with pytest.raises(UsageError, match=near):
        call(esme)
    assert client.asked == []


@pytest.mark.parametrize(
    ("item", "value"),
    [("payment_mode", "Barter"), ("load_limit_threshold", "many"), ("debt_recovery_1", {"rate": 1})],
)
def test_a_value_of_the_wrong_form_never_reaches_the_device(item: str, value: Any) -> None:
    esme, client, _ = meter()
    with pytest.raises(UsageError, match=f"no value for {item}"):
        esme.write(item, value)
    assert client.asked == []


def test_a_value_that_does_not_fit_on_the_wire_is_the_tests_fault() -> None:
    esme, _, _ = meter({AttributeRef(71, "0-0:17.0.0", 4): ValueError("4294967296 is too large")})
    with pytest.raises(UsageError, match="4294967296 is no value for load_limit_threshold of the ESME"):
        esme.write("load_limit_threshold", 1 << 32)


def test_the_unit_is_what_the_device_says() -> None:
    esme, _, _ = meter({AttributeRef(3, "1-0:1.8.0", 3): structure(integer(0), enum(30))})
    assert (esme.unit("active_import"), esme.unit("message")) == ("Wh", "")


def test_a_register_that_is_scaled_otherwise_is_the_devices_fault() -> None:
    esme, _, _ = meter({AttributeRef(3, "1-0:1.8.0", 3): structure(integer(3), enum(30))})
    with pytest.raises(ProtocolViolation, match=r"scales active_import by 10\^3, expected 10\^0"):
        esme.unit("active_import")


def row(*cells: Data) -> Data:
    return structure(octets(encode_date_time(NOON)), *cells)


def test_a_log_is_read_from_and_to_a_moment() -> None:
    cells = [double_long_unsigned(number) for number in (10, 20, 30, 40)]
    esme, client, notes = meter({PROFILE: array(row(*cells))})
    (entry,) = esme.log("profile", start=NOON)
    assert entry.timestamp == NOON
    assert list(entry.values.values()) == [10, 20, 30, 40]
    selector = client.asked[0][2]
    assert isinstance(selector, RangeSelector)
    assert (selector.start, selector.end.year) == (NOON, 9999)
    assert notes.events[-1][2]["rows"] == 1


def test_a_whole_log_is_read_without_selection() -> None:
    esme, client, _ = meter({PROFILE: array()})
    assert esme.log("profile") == ()
    assert client.asked == [("get", PROFILE, None)]


@pytest.mark.parametrize("answer", [NULL, array(structure()), array(row(NULL)), array(row(*[NULL] * 4))])
def test_a_log_of_another_shape_is_the_devices_fault(answer: Data) -> None:
    esme, _, _ = meter({PROFILE: answer})
    with pytest.raises(ProtocolViolation):
        esme.log("profile")


def test_commands_and_cleared_logs_are_actions() -> None:
    esme, client, notes = meter()
    esme.operate_supply(SupplyState.ARMED)
    esme.clear_log("event_log")
    assert client.asked == [
        ("action", MethodRef(9, "0-0:10.0.106", 1), long_unsigned(3)),
        ("action", MethodRef(7, "0-0:99.98.0", 1), integer(0)),
    ]
    assert [what for _, what, _ in notes.events] == ["perform arm_supply", "clear log event_log"]


def test_the_supply_state_is_a_word_of_the_field() -> None:
    esme, _, _ = meter({AttributeRef(70, "0-0:96.3.10", 3): enum(0)})
    assert esme.supply() is SupplyState.DISABLED


def test_a_snapshot_holds_settings_and_states_but_nothing_that_moves_by_itself() -> None:
    esme, _, _ = meter()
    kinds = {kind: set(esme.items(kind)) for kind in ("register", "setting", "state", "identity")}
    assert "active_import" in kinds["register"]
    assert {"tou_prices", "supplier_name"} <= kinds["setting"]
    assert {"supply_state", "meter_balance"} <= kinds["state"]
    assert set(esme.items()) == set.union(*kinds.values())


def test_what_goes_into_the_trace_is_what_json_can_hold() -> None:
    assert plain({"a": (Decimal("1.5"), b"\x01", NOON, True, None, "text")}) == {
        "a": ["1.5", "01", "2026-03-02T12:00:00+00:00", True, None, "text"]
    }


def test_a_device_needs_no_trace() -> None:
    hub = NamedDevice(GivenAnswers({IMPORT: long64_unsigned(1)}), METER, DeviceType.ESME)  # type: ignore[arg-type]
    assert hub.read("active_import") == 1
