"""Service group 1, balance and payment mode (SRV 1.5, 1.6), and reading them (SRV 4.3, 4.18, 6.2.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from device_drivers.simulated.s1sp.content import chosen
from device_drivers.simulated.s1sp.refusal import OUT_OF_RANGE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body
from harness.domain.words import PaymentMode


def update_balance(job: Job) -> Body:
    """SRV 1.5: adjust (millipence) or reset the balance of the mode that the meter is in."""
    mode = chosen(job.body, "PrepaymentMode", "CreditMode")
    held = job.device.read_many(("payment_mode", "meter_balance", "max_meter_balance"))
    if mode != f"{held['payment_mode']}Mode":
        raise Refused(OUT_OF_RANGE, f"the request is for {mode}; the meter is in {held['payment_mode']} mode")
    if f"{mode}/ResetMeterBalance" in job.body:
        job.device.perform("reset_balance")
        return None
    change = job.body.integer(f"{mode}/AdjustMeterBalance")
    if change > 0 and held["meter_balance"] + change > held["max_meter_balance"]:
        raise Refused(
            OUT_OF_RANGE,
            f"a balance of {held['meter_balance'] + change} millipence is above the meter's maximum of "
            f"{held['max_meter_balance']}",
        )
    job.device.perform("adjust_balance", change)
    return None


def update_mode(job: Job) -> Body:
    """SRV 1.6: credit or prepayment, the latter with its debt suspension and disablement threshold."""
    if chosen(job.body, "Credit", "Prepayment") == "Credit":
        job.write({"payment_mode": PaymentMode.CREDIT})
        return None
    job.write(
        {
            "suspend_debt_disabled": job.body.flag("Prepayment/SuspendDebtDisabled"),
            "suspend_debt_emergency": job.body.flag("Prepayment/SuspendDebtEmergency"),
            "disablement_threshold": job.body.integer("Prepayment/DisablementThreshold"),
            "payment_mode": PaymentMode.PREPAYMENT,
        }
    )
    return None


def read_prepay_values(job: Job) -> Body:
    """SRV 4.3: balance, emergency credit and debts, in millipence."""
    names = {
        "EmergencyCreditBalance": "emergency_credit_balance",
        "AccumulatedDebtRegister": "accumulated_debt",
        "PaymentDebtRegister": "payment_debt",
        "TimeDebtRegister1": "time_debt_1",
        "TimeDebtRegister2": "time_debt_2",
        "MeterBalance": "meter_balance",
    }
    return job.read(names)


def read_balance(job: Job) -> Body:
    """SRV 4.18: the balance; a gas meter in prepayment mode tells it once more under that mode."""
    held = job.device.read_many(("meter_balance", "payment_mode"))
    content: dict[str, object] = {"MeterBalance": held["meter_balance"]}
    if job.gas and held["payment_mode"] == PaymentMode.PREPAYMENT:
        content["Gas"] = {"MeterBalancePrepaymentMode": held["meter_balance"]}
    return content


def read_mode(job: Job) -> Body:
    """SRV 6.2.9: payment mode and debt suspension."""
    return job.read(
        {
            "PaymentMode": "payment_mode",
            "SuspendDebtEmergency": "suspend_debt_emergency",
            "SuspendDebtDisabled": "suspend_debt_disabled",
        }
    )


STEPS: Final[Mapping[str, Step]] = {
    "1.5": update_balance,
    "1.6": update_mode,
    "4.3": read_prepay_values,
    "4.18": read_balance,
    "6.2.9": read_mode,
}
