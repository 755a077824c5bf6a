"""Progress and wishes on their way between a rig's worker and the simulated DCC: as JSON can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from harness.domain.migration import Authorisation, Progress
from harness.domain.migration_rules import MigrationStage
from harness.domain.words import DeviceType, InstallationType


def progress_to(progress: Progress) -> dict[str, Any]:
    """To be sent."""
    return asdict(progress)


def progress_from(told: Mapping[str, Any]) -> Progress:
    """As it was sent."""
    return Progress(
        stage=MigrationStage(told["stage"]),
        devices=tuple(DeviceType(name) for name in told["devices"]),
        codes=tuple(told["codes"]),
        attempts=int(told["attempts"]),
        told=tuple(told["told"]),
    )


def wish_to(wish: Authorisation | None) -> dict[str, Any]:
    """To be sent; only what is wished for."""
    chosen = {} if wish is None else asdict(wish)
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in chosen.items()
        if value
    }


def wish_from(told: Mapping[str, Any]) -> Authorisation:
    """As it was sent."""
    kinds: dict[str, Any] = {
        "installation_type": InstallationType,
        "model_of": DeviceType,
        "valid_from": datetime.fromisoformat,
        "valid_to": datetime.fromisoformat,
    }
    return Authorisation(**{name: kinds.get(name, str)(value) for name, value in told.items()})
