"""What a pack test may ask for. Registered only where packs are run, not in every pytest session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from harness.domain.errors import BeyondLab
from harness.domain.instruments import (
    Bench,
    CommunicationsHub,
    Device,
    Esme,
    EvidenceLog,
    Gsme,
    LabClock,
    Meter,
    Operator,
    RigInHand,
    ServiceUser,
)
from harness.domain.migration import Migration
from harness.domain.misuse import Adversary
from harness.domain.operator import PreparedAnswer
from harness.domain.words import DeviceType
from harness.execution.attempts import AttemptRecorder
from harness.execution.operator import OperatorAtRig
from harness.execution.planning import Case
from harness.execution.rig_keeper import RigKeeper


class PackFixtures:
    """The fixtures of pack tests; docstrings show in ``pytest --fixtures``.

    Tests are collected with them; the rig that they serve may come later, by :meth:`serve`.
    """

    _keeper: RigKeeper
    _recorder: AttemptRecorder
    _answers: Sequence[PreparedAnswer]
    _desk: str

    def serve(
        self, keeper: RigKeeper, recorder: AttemptRecorder, answers: Sequence[PreparedAnswer], desk: str
    ) -> None:
        """Give tests the rig that is kept there; ``desk`` is where the engineer is asked."""
        self._keeper = keeper
        self._recorder = recorder
        self._answers = answers
        self._desk = desk

    @pytest.fixture
    def rig(self, planned_case: Case) -> RigInHand:
        """The rig, leased and open."""
        return self._keeper.take(planned_case.entry.dmc.id)

    @pytest.fixture
    def esme(self, rig: RigInHand) -> Esme:
        """The rig's electricity meter, over its own port."""
        return _device(rig, DeviceType.ESME)  # type: ignore[return-value]  # registered for that type

    @pytest.fixture
    def gsme(self, rig: RigInHand) -> Gsme:
        """The rig's gas meter, over its own port."""
        return _device(rig, DeviceType.GSME)  # type: ignore[return-value]  # registered for that type

    @pytest.fixture
    def ch(self, rig: RigInHand) -> CommunicationsHub:
        """The rig's communications hub, over its own port."""
        return _device(rig, DeviceType.CH)  # type: ignore[return-value]  # registered for that type

    @pytest.fixture
    def meter(self, rig: RigInHand, planned_case: Case) -> Meter:
        """The meter that this planning of the test is about."""
        return _device(rig, planned_case.device)  # type: ignore[return-value]  # registered for that type

    @pytest.fixture
    def user(self, rig: RigInHand) -> ServiceUser:
        """The service user simulator of Clause 17.1."""
        return rig.user

    @pytest.fixture
    def adversary(self, rig: RigInHand) -> Iterator[Adversary]:  # noqa: ARG002 - it must be open
        """Who misuses the rig and the lab's interfaces on purpose, for security tests."""
        adversary = self._keeper.adversary()
        yield adversary
        if (close := getattr(adversary, "close", None)) is not None:
            close()

    @pytest.fixture
    def migration(self, rig: RigInHand, planned_case: Case) -> Iterator[Migration]:  # noqa: ARG002 - it must be open
        """The parties of migration; the installation is with its SMSO, and enrolled again after the test."""
        migration = self._keeper.migration(planned_case.entry)
        yield migration
        migration.close()

    @pytest.fixture
    def bench(self, rig: RigInHand) -> Bench:
        """The rig's I/O."""
        return rig.bench

    @pytest.fixture
    def clock(self, rig: RigInHand) -> LabClock:
        """The rig's lab time: waiting on it jumps on a simulated rig."""
        return rig.clock

    @pytest.fixture
    def evidence(self) -> EvidenceLog:
        """The evidence of this attempt."""
        assert self._recorder.current is not None
        return self._recorder.current.evidence

    @pytest.fixture
    def operator(self, rig: RigInHand) -> Operator:
        """The engineer at the rig, for what only a person can do or see."""
        attempt = self._recorder.current
        assert attempt is not None
        return OperatorAtRig(rig, attempt.test, attempt.evidence, self._answers, self._desk)


def _device(rig: RigInHand, device_type: DeviceType) -> Device:
    try:
        return rig.devices[device_type]
    except KeyError:
        raise BeyondLab(
            f"rig {rig.rig.id} has no {device_type}", remedy="mark the test with the devices that it needs"
        ) from None
