"""What every misuse case proves: it was refused, nothing is different, and honest requests are served."""

from __future__ import annotations

import pytest

from harness.domain.instruments import EvidenceLog, LabClock, ServiceUser
from test_packs.arrange import Served, Unchanged
from test_packs.refusals import Doorkeeper
from test_packs.security.guarding import Guard


@pytest.fixture
def guard(
    user: ServiceUser, clock: LabClock, evidence: EvidenceLog, unchanged: Unchanged, served: Served
) -> Guard:
    """Watches a device while the lab is misused."""
    return Guard(Doorkeeper(user, clock, evidence, unchanged), served)
