"""Enumerations: the words of Appendix AK and of the lab."""

from __future__ import annotations

from enum import Enum, StrEnum


class CapabilityRelease(StrEnum):
    """Initial, Middle and Final Operating Capability (Clause 1.1)."""

    IOC = "IOC"
    MOC = "MOC"
    FOC = "FOC"


class InstallationType(StrEnum):
    """What an EPCL entry says of its installations (Clauses 20.9 and 20.15)."""

    DORMANT = "dormant"
    ACTIVE = "active"
    MIXED = "mixed"


class DeviceType(StrEnum):
    """The devices of an installation that a rig can hold."""

    ESME = "ESME"
    GSME = "GSME"
    CH = "CH"


class TestPhase(StrEnum):
    """Test Phases (Clause 1.1) and the testing of Clause 20.15."""

    __test__ = False  # a word of Appendix AK, not a test class

    PIT = "PIT"
    SIT = "SIT"
    UTS = "UTS"
    SCT = "SCT"
    ACTIVE_MMT = "Active MMT"
    DORMANT_MMT = "Dormant MMT"
    MIXED_MMT = "Mixed MMT"
    DMCT_MT = "DMCT MT"
    DMCT_SRVT = "DMCT SRVT"


class PackKind(StrEnum):
    """What a Test Pack is for."""

    MIGRATION = "migration"
    SRV = "service_reference_variant"
    FUNCTIONAL = "functional"
    REGRESSION = "regression"
    END_OF_CYCLE = "end_of_cycle"
    SECURITY = "security"
    CAPACITY = "capacity"


class UserRole(StrEnum):
    """User Roles as the Service Request catalogue abbreviates them."""

    IS = "IS"  # Import Supplier
    ES = "ES"  # Export Supplier
    GS = "GS"  # Gas Supplier
    ED = "ED"  # Electricity Distributor
    GT = "GT"  # Gas Transporter
    RSA = "RSA"  # Registered Supplier Agent
    OU = "OU"  # Other User


class Outcome(StrEnum):
    """What became of a planned test: exactly one each, never missing."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"  # a lab fault stood in the way
    NOT_RUN = "not_run"  # always with a reason
    DESCOPED = "descoped"  # with the approval that Clause 12.9(a) asks for


class AttemptResult(StrEnum):
    """What became of one attempt at a planned test; every attempt is kept and shown."""

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"  # started and never finished: its process died


class Cause(StrEnum):
    """Whom a failed or blocked attempt points at; the Allure categories follow these."""

    DEVICE = "device failure"
    LAB = "lab fault"
    HARNESS = "harness error"  # the test script or the harness itself broke


class SupplyState(StrEnum):
    """Supply states as DUIS names them (SRV 7.4)."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"
    ARMED = "Armed"


class PaymentMode(StrEnum):
    """Payment modes as DUIS names them (SRV 1.6, 6.2.9)."""

    CREDIT = "Credit"
    PREPAYMENT = "Prepayment"


class Evidence(Enum):
    """How well a fact is known: nothing inferred is ever shown as the DCC's."""

    CONFIRMED = "confirmed"
    SUPPORTED = "supported"
    INFERRED = "inferred"
    UNKNOWN = "unknown"
