"""Service group 2, prepayment (SRV 2.1, 2.2, 2.3, 2.5), and reading its configuration (SRV 4.13).

Money is in millipence. That SRV 2.3 sets the debt registers to the values given, and does not add them, is
inferred from the elements' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from device_drivers.simulated.s1sp import non_disablement
from device_drivers.simulated.s1sp.content import within
from device_drivers.simulated.s1sp.refusal import NOT_FOR_THIS_DEVICE, Refused
from device_drivers.simulated.s1sp.steps import Job, Step
from harness.domain.instruments import Body
from harness.domain.payload import Payload

_INT32_MAX: Final = 0x7FFF_FFFF
_NEVER_NEGATIVE: Final = {
    "DebtRecoveryRateCap": "debt_recovery_rate_cap",
    "EmergencyCreditLimit": "emergency_credit_limit",
    "MaxMeterBalance": "max_meter_balance",
    "MaxCreditThreshold": "max_credit_threshold",
}
_THRESHOLDS: Final = {
    "EmergencyCreditThreshold": "emergency_credit_threshold",
    "LowCreditThreshold": "low_credit_threshold",
}
_CONFIGURATION: Final = {
    "DebtRecoveryPerPayment": "debt_recovery_per_payment",
    "DebtRecoveryRateCap": "debt_recovery_rate_cap",
    "DisablementThreshold": "disablement_threshold",
    "EmergencyCreditLimit": "emergency_credit_limit",
    "EmergencyCreditThreshold": "emergency_credit_threshold",
    "LowCreditThreshold": "low_credit_threshold",
    "CreditMaxCreditThreshold": "max_credit_threshold",
    "MaxCreditMaxMeterBalance": "max_meter_balance",
    "SuspendDebtDisabled": "suspend_debt_disabled",
    "SuspendDebtEmergency": "suspend_debt_emergency",
}
_BESIDE: Final = (
    "payment_mode",
    "debt_recovery_1",
    "debt_recovery_2",
    "non_disablement_calendar",
    "non_disablement_special_days",
)


def update_configuration(job: Job) -> Body:
    """SRV 2.1: thresholds, limits and the non-disablement calendar."""
    body = job.branch("UpdatePrepayConfigElectricity", "UpdatePrepayConfigGas")
    numbers = {
        item: within(element, body.integer(element), 0, _INT32_MAX)
        for element, item in _NEVER_NEGATIVE.items()
    } | {
        item: within(element, body.integer(element), -_INT32_MAX - 1, _INT32_MAX)
        for element, item in _THRESHOLDS.items()
    }
    calendar = non_disablement.from_gas(body) if job.gas else non_disablement.from_electricity(body)
    job.write(numbers | calendar)
    return None


def top_up(job: Job) -> Body:
    """SRV 2.2: the meter itself judges the UTRN."""
    job.device.perform("top_up", job.body.text("UTRN").encode())
    return None


def update_debt(job: Job) -> Body:
    """SRV 2.3: debt registers and how they are recovered."""
    fuel, other = ("Gas", "Elec") if job.gas else ("Elec", "Gas")
    if f"{fuel}DebtRecovery1" not in job.body.names():
        raise Refused(NOT_FOR_THIS_DEVICE, f"the request holds {other}DebtRecovery1")
    debts = {
        item: within(element, job.body.integer(element), 0, _INT32_MAX)
        for element, item in (
            ("TimeDebtRegister1", "time_debt_1"),
            ("TimeDebtRegister2", "time_debt_2"),
            ("PaymentDebtRegister", "payment_debt"),
        )
    }
    job.write(
        debts
        | {"debt_recovery_per_payment": within(
            "DebtRecoveryPerPayment", job.body.integer("DebtRecoveryPerPayment"), 0, 10_000
        )}
        | {f"debt_recovery_{n}": _rate(job, job.body.all(f"{fuel}DebtRecovery{n}")[0]) for n in (1, 2)}
    )  # fmt: skip
    return None


def _rate(job: Job, recovery: Payload) -> dict[str, Any]:
    """A rate with its power of ten in pounds; a gas meter's is always in millipence (-5)."""
    scale = -5 if job.gas else recovery.integer("DebtRecoveryRatePriceScale")
    return {
        "rate": within("DebtRecoveryRate", recovery.integer("DebtRecoveryRate"), 0, _INT32_MAX),
        "scale": within("DebtRecoveryRatePriceScale", scale, -128, 127),
        "period": recovery.text("DebtRecoveryRatePeriod"),
    }


def activate_emergency_credit(job: Job) -> Body:
    """SRV 2.5: the meter itself judges whether it may."""
    job.device.perform("activate_emergency_credit")
    return None


def read_configuration(job: Job) -> Body:
    """SRV 4.13: the prepayment configuration as the meter holds it."""
    held = job.device.read_many((*_CONFIGURATION.values(), *_BESIDE))
    content = {element: held[item] for element, item in _CONFIGURATION.items()}
    calendar = non_disablement.gas_content(held) if job.gas else non_disablement.electricity_content(held)
    mode = {} if job.gas else {"PaymentMode": held["payment_mode"]}
    recovery = {f"DebtRecovery{n}": _rate_content(job, held[f"debt_recovery_{n}"]) for n in (1, 2)}
    content["Gas" if job.gas else "Electricity"] = mode | {"NonDisablementCalendar": calendar} | recovery
    return content


def _rate_content(job: Job, rate: Mapping[str, Any]) -> dict[str, Any]:
    scale = {} if job.gas else {"DebtRecoveryRatePriceScale": rate["scale"]}
    return {"DebtRecoveryRate": rate["rate"], **scale, "DebtRecoveryRatePeriod": rate["period"]}


STEPS: Final[Mapping[str, Step]] = {
    "2.1": update_configuration,
    "2.2": top_up,
    "2.3": update_debt,
    "2.5": activate_emergency_credit,
    "4.13": read_configuration,
}
