"""What tests of refusals share."""

from __future__ import annotations

import pytest

from harness.domain.instruments import EvidenceLog, LabClock, ServiceUser
from test_packs.arrange import Unchanged
from test_packs.refusals import Doorkeeper


@pytest.fixture
def door(user: ServiceUser, clock: LabClock, evidence: EvidenceLog, unchanged: Unchanged) -> Doorkeeper:
    """The DCC's door, watched from outside."""
    return Doorkeeper(user, clock, evidence, unchanged)
