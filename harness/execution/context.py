"""What a run is, as its options and files describe it: the same for the controller and every worker.

Workers unpickle it, so nothing heavy is imported here: a worker is ready when its rig is.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.domain.lab import Lab
from harness.domain.operator import PreparedAnswer
from harness.domain.packs import Pack
from harness.hooks import RunContext
from harness.records.plan import PlannedPack

WORKER_INPUT = "smets1_harness"
"""Key under which the context travels in xdist's ``workerinput``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A run: its lab and packs, and where it is recorded."""

    lab: Lab
    packs: tuple[Pack, ...]
    run: RunContext
    started: datetime  # aware UTC
    cycle: str = ""
    planned_packs: tuple[PlannedPack, ...] = ()  # the packs as the plan has them
    witness: str = ""  # who witnesses the run; empty: nobody
    answers: tuple[PreparedAnswer, ...] = ()  # to what tests ask of the engineer
    owner: str = ""  # the person for whom the run holds its rigs
    exports: bool = True  # made when it ends
    wait: float = math.inf  # seconds that a rig is waited for which somebody else has
    priority: int = 0  # who waits with a greater one is served first

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.run.folder

    def pack(self) -> bytes:
        """For the way to the workers: the same bytes for each."""
        return pickle.dumps(self)

    @staticmethod
    @lru_cache(maxsize=1)
    def unpack(packed: bytes) -> Settings:
        """The way back, gone once where workers are forked from a process that has gone it."""
        settings = pickle.loads(packed)  # noqa: S301  # from our own controller, over its pipe
        assert isinstance(settings, Settings)
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerContext:
    """What a worker is given: the run, its own rig, and where the run's shared services are."""

    packed_settings: bytes
    rig: str
    arguments: tuple[str, ...]  # what to collect, as the controller does
    services: Mapping[str, Any]

    @property
    def settings(self) -> Settings:
        """The run."""
        return Settings.unpack(self.packed_settings)

    def pack(self) -> bytes:
        """For the way to the worker: execnet carries bytes between processes of one host and user."""
        return pickle.dumps(self)

    @staticmethod
    def unpack(data: bytes) -> WorkerContext:
        """The way back."""
        context = pickle.loads(data)  # noqa: S301  # from our own controller, over its pipe
        assert isinstance(context, WorkerContext)
        return context
