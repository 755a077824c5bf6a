"""Fixtures of the migration packs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.domain.instruments import (
    Bench,
    CommunicationsHub,
    EvidenceLog,
    LabClock,
    RigInHand,
    ServiceUser,
)
from harness.domain.migration import Migration
from test_packs.migration.journey import Journey


@pytest.fixture
def journey(
    migration: Migration,
    rig: RigInHand,
    user: ServiceUser,
    bench: Bench,
    ch: CommunicationsHub,
    clock: LabClock,
    evidence: EvidenceLog,
) -> Iterator[Journey]:
    """An installation with its SMSO, whose devices are remembered as they are; WAN and HAN are put back."""
    found = Journey(migration, rig, user, bench, clock, evidence)
    found.remember()
    wan, joined = ch.read("wan_state"), ch.han_devices()
    yield found
    bench.safe()
    if ch.read("wan_state") != wan:
        ch.write("wan_state", wan)
    for device_id in set(ch.han_devices()) - set(joined):
        ch.perform("han_remove", device_id)
    for device_id in joined:
        if device_id not in ch.han_devices():
            ch.perform("han_add", {"device_id": device_id, "install_code": b"", "period": 600})
