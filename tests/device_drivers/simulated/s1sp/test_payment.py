"""Balance and payment mode (SRV 1.5, 1.6, 4.3, 4.18, 6.2.9)."""

from __future__ import annotations

from typing import Any

import pytest

from harness.domain.words import DeviceType

ESME, GSME = DeviceType.ESME, DeviceType.GSME
PREPAYMENT = {
    "Prepayment": {"SuspendDebtDisabled": True, "SuspendDebtEmergency": True, "DisablementThreshold": 1000}
}


@pytest.mark.parametrize("device", [ESME, GSME])
def test_the_balance_of_a_credit_meter_is_adjusted_and_reset(bed: Any, device: DeviceType) -> None:
    before = bed.twin(device).get("meter_balance")
    bed.done("1.5", device, {"CreditMode": {"AdjustMeterBalance": 12_345}})
    assert bed.twin(device).get("meter_balance") - before >= 12_345
    bed.done("1.5", device, {"CreditMode": {"ResetMeterBalance": None}})
    assert bed.twin(device).get("meter_balance") == 0


def test_a_balance_of_the_other_mode_is_refused(bed: Any) -> None:
    assert "Credit mode" in bed.refused("1.5", ESME, {"PrepaymentMode": {"ResetMeterBalance": None}})


def test_a_balance_above_the_maximum_is_refused(bed: Any) -> None:
    most = bed.twin(ESME).get("max_meter_balance")
    assert "maximum" in bed.refused("1.5", ESME, {"CreditMode": {"AdjustMeterBalance": most + 1}})


@pytest.mark.parametrize("device", [ESME, GSME])
def test_a_meter_goes_to_prepayment_and_back(bed: Any, device: DeviceType) -> None:
    bed.done("1.6", device, PREPAYMENT)
    meter = bed.twin(device)
    assert meter.get("payment_mode") == "Prepayment"
    assert meter.get("disablement_threshold") == 1000
    read = bed.done("6.2.9", device)
    assert read.text("PaymentMode") == "Prepayment"
    assert read.flag("SuspendDebtEmergency")
    bed.done("1.6", device, {"Credit": None})
    assert bed.done("6.2.9", device).text("PaymentMode") == "Credit"
    assert meter.get("suspend_debt_disabled")


PREPAY_VALUES = {
    "EmergencyCreditBalance": ("emergency_credit_balance", 11_000),
    "AccumulatedDebtRegister": ("accumulated_debt", 12_000),
    "PaymentDebtRegister": ("payment_debt", 13_000),
    "TimeDebtRegister1": ("time_debt_1", 14_000),
    "TimeDebtRegister2": ("time_debt_2", 15_000),
    "MeterBalance": ("meter_balance", 16_000),
}


@pytest.mark.parametrize("device", [ESME, GSME])
def test_prepay_values_are_those_that_the_meter_holds(bed: Any, device: DeviceType) -> None:
    for item, amount in PREPAY_VALUES.values():
        bed.twin(device).set(item, amount)
    read = bed.done("4.3", device)
    assert {element: read.integer(element) for element in read.names()} == {
        element: bed.twin(device).get(item) for element, (item, _) in PREPAY_VALUES.items()
    }
    assert read.integer("TimeDebtRegister2") == 15_000


def test_a_gas_meter_tells_its_prepayment_balance_only_in_that_mode(bed: Any) -> None:
    assert "Gas" not in bed.done("4.18", GSME)
    bed.done("1.6", GSME, PREPAYMENT)
    read = bed.done("4.18", GSME)
    assert read.integer("Gas/MeterBalancePrepaymentMode") == bed.twin(GSME).get("meter_balance")


def test_an_electricity_meter_tells_its_balance(bed: Any) -> None:
    assert bed.done("4.18", ESME).integer("MeterBalance") == bed.twin(ESME).get("meter_balance")
